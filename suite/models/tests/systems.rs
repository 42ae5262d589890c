//! The systems: which weights they have, which a task touches, and that training reaches all of them.

use adamv_datasets::Task;
use adamv_models::config::{BACKBONES, Classes, ModelConfig, MoeConfig, MoeLayers, Pool, preset};
use adamv_models::detection::sampling::balanced;
use adamv_models::detection::{Limits, Targets};
use adamv_models::systems::{self, Entry, Part, SYSTEMS, System};
use adamv_models::vit::Mode;
use adamv_models::{ModelError, weights};
use tch::{Device, Kind, Tensor};

const CLASSES: Classes = Classes { classification: 6, detection: 5 };

fn tiny(stages: usize) -> ModelConfig {
    let mut config = preset("vit-micro").unwrap();
    config.backbone.depth = 2;
    config.detector.stages = stages;
    config.detector.channels = 8;
    config.detector.box_fc = 16;
    config
}

fn build(name: &str, config: &ModelConfig) -> Box<dyn System> {
    systems::build(name, config, CLASSES, 0, Device::Cpu).unwrap()
}

/// Two images: one with two objects, one with none.
fn batch() -> (Tensor, Targets) {
    tch::manual_seed(0);
    let mut boxes = vec![4f32, 4.0, 30.0, 28.0, 20.0, 30.0, 60.0, 62.0];
    boxes.resize(2 * 3 * 4, 0.0);
    let targets = Targets {
        boxes: Tensor::from_slice(&boxes).view([2, 3, 4]),
        labels: Tensor::from_slice(&[2i64, 4, -1, -1, -1, -1]).view([2, 3]),
        masks: Tensor::ones([2, 3, 14, 14], (Kind::Uint8, Device::Cpu)),
    };
    (Tensor::rand([2, 3, 64, 64], (Kind::Float, Device::Cpu)), targets)
}

#[test]
fn every_weight_is_reached_by_the_gradient_of_a_task_that_activates_it() {
    for Entry { name, .. } in SYSTEMS {
        for stages in [1, 3] {
            let system = build(name, &tiny(stages));
            // A delta of zero leaves its score without a gradient, and so does an equal one everywhere: norms take away what
            // all features share.
            for param in system.params().iter().filter(|p| p.name.contains(".delta.")) {
                let _filled = tch::no_grad(|| param.tensor.shallow_clone().normal_(0.0, 0.01));
            }
            for task in Task::ALL {
                let (images, targets) = batch();
                let terms: Vec<Tensor> = match task {
                    Task::Classification => vec![system.classify(&images, Mode::Train).0.square().mean(Kind::Float)],
                    Task::Detection => {
                        let (map, _) = system.feature_map(&images, Mode::Train);
                        system
                            .detector()
                            .losses(&map, &targets, Mode::Train)
                            .into_iter()
                            .map(|(_, loss)| loss)
                            .collect()
                    }
                };
                Tensor::stack(&terms, 0).sum(Kind::Float).backward();
                for param in system.params().iter() {
                    let gradient = param.tensor.grad();
                    let reached = gradient.defined() && gradient.abs().max().double_value(&[]) > 0.0;
                    let activated = system.activates(&param.name, task).is_some();
                    // The last convolution of the masks has one row a class: that the object's rows move is enough.
                    assert_eq!(reached, activated, "{name}, {stages} stages, {task}: {}", param.name);
                    param.tensor.shallow_clone().zero_grad();
                }
            }
        }
    }
}

#[test]
fn losses_are_named_and_finite_without_any_object() {
    let system = build("mtl-vit", &tiny(2));
    let (images, mut targets) = batch();
    targets.labels = targets.labels.full_like(-1);
    targets.boxes = targets.boxes.zeros_like();
    let (map, _) = system.feature_map(&images, Mode::Train);
    let losses = system.detector().losses(&map, &targets, Mode::Train);
    let names: Vec<&str> = losses.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["rpn_objectness", "rpn_box", "class_1", "box_1", "class_2", "box_2", "mask"]);
    for (name, loss) in &losses {
        let value = loss.double_value(&[]);
        assert!(value.is_finite(), "{name} is {value}");
        assert!(name.contains("objectness") || name.contains("class") || value == 0.0, "{name} is {value}");
    }
}

#[test]
fn stl_shares_nothing_and_mtl_shares_the_trunk() {
    // MoE: 8 weights of a block besides the MLP's 4, which the experts' 4 replace.
    for Entry { name, .. } in SYSTEMS {
        let shared = if name == "stl" { 0 } else { 2 * 12 + 2 };
        let system = build(name, &tiny(1));
        let both = system.params().iter().filter(|p| Task::ALL.iter().all(|&t| system.activates(&p.name, t).is_some()));
        assert_eq!(both.count(), shared, "{name}: 12 weights a block, 2 of the last norm");
        let idle = system.params().iter().find(|p| Task::ALL.iter().all(|&t| system.activates(&p.name, t).is_none()));
        assert!(idle.is_none(), "{name}: no task activates {idle:?}");
    }
}

#[test]
fn backbones_have_the_published_sizes() {
    // timm 1.0: vit_small_patch16_224 has 22,050,664 parameters with a class token (384 + 384 of the token and its
    // position) and a 1000-class head (384 * 1000 + 1000); paper.md section 2 gives the other sizes by layers and width.
    let trunk = |width: u64, mlp: u64| 4 * width * width + 4 * width + 2 * width * mlp + width + mlp + 4 * width;
    let embedding = |width: u64| (3 * 16 * 16 + 1) * width + 14 * 14 * width;
    let count = |depth: u64, width: u64, mlp: u64| embedding(width) + depth * trunk(width, mlp) + 2 * width;
    assert_eq!(count(12, 384, 1536) + 384 + 384 + 385_000, 22_050_664);
    let small = [
        ("vit-small-star", count(6, 384, 1536)),
        ("vit-small", count(12, 384, 1536)),
        ("vit-base", count(12, 768, 3072)),
        ("uvit-base", count(18, 384, 1536)),
    ];
    for (name, expected) in small {
        let system = build("mtl-vit", &preset(name).unwrap());
        let backbone = |weight: &str| system.activates(weight, Task::Classification) == Some(Part::Backbone);
        assert_eq!(system.params().count(backbone), expected, "{name}");
    }
}

#[test]
fn large_dense_is_wider() {
    for name in BACKBONES {
        let (plain, wide) = (preset(name).unwrap(), systems::preset("large-dense", name).unwrap());
        // paper.md section 2; the small ones by the same factor as most.
        let width = match name {
            "vit-base" => 900,
            "vit-mini" => 240,
            "vit-micro" => 120,
            _ => 480,
        };
        assert_eq!((wide.backbone.width, wide.backbone.mlp), (width, 4 * width), "{name}");
        assert_eq!((wide.backbone.heads, wide.backbone.depth), (plain.backbone.heads, plain.backbone.depth), "{name}");
        systems::resolve("large-dense", &wide).unwrap();
        assert_eq!(systems::preset("mtl-vit", name).unwrap(), plain);
    }
}

#[test]
fn a_class_token_is_classifications_alone() {
    let mut config = tiny(1);
    config.backbone.pool = Pool::Token;
    for name in ["stl", "mtl-vit"] {
        let (token, mean) = (build(name, &config), build(name, &tiny(1)));
        let images = Tensor::rand([2, 3, 64, 64], (Kind::Float, Device::Cpu));
        let of = |system: &dyn System, task| system.params_activated(task, Part::Backbone);
        // The token and its position.
        assert_eq!(of(&*token, Task::Classification), of(&*mean, Task::Classification) + 2 * 96, "{name}");
        assert_eq!(of(&*token, Task::Detection), of(&*mean, Task::Detection), "{name}");
        let (logits, out) = token.classify(&images, Mode::Evaluate);
        assert_eq!((logits.size(), out["blocks.0"].size()), (vec![2, 6], vec![2, 65, 96]));
        assert_eq!(token.feature_map(&images, Mode::Evaluate).0, mean.feature_map(&images, Mode::Evaluate).0, "{name}");
    }
}

#[test]
fn a_task_activates_k_of_the_experts() {
    let activated = |system: &dyn System, task| system.params_activated(task, Part::Backbone);
    let [dense, quarters, adaptive] = ["mtl-vit", "mtl-moe", "adamv-moe"].map(|name| build(name, &tiny(1)));
    // vit-micro has D = 96 and an MLP of 384; of two blocks one has experts.
    let (width, mlp) = (96, 2 * 96 * 384 + 384 + 96);
    for task in Task::ALL {
        let plain = activated(&*dense, task);
        // 4 quarters are one MLP but for 3 more biases of fc2; a router of 16 rows.
        assert_eq!(activated(&*quarters, task), plain + 3 * width + 16 * width, "{task}");
        assert_eq!(activated(&*adaptive, task), plain + mlp + 8 * width, "{task}");
    }
    adaptive.experts().unwrap().set_k(Task::Detection, 5).unwrap();
    assert_eq!(activated(&*adaptive, Task::Classification), activated(&*dense, Task::Classification) + mlp + 8 * width);
    assert_eq!(activated(&*adaptive, Task::Detection), activated(&*dense, Task::Detection) + 4 * mlp + 8 * width);
    let all: u64 = dense.params().count(|_| true) + 7 * mlp + 2 * 8 * width;
    assert_eq!(adaptive.params().count(|_| true), all, "every expert is in the total");
}

#[test]
fn experts_are_the_systems_own_unless_given() {
    let moe = |name: &str, given: Option<MoeConfig>| {
        let mut config = tiny(1);
        config.backbone.moe = given;
        systems::resolve(name, &config).map(|config| config.backbone.moe)
    };
    assert_eq!(moe("mtl-vit", None).unwrap(), None);
    assert_eq!(moe("adamv-moe", None).unwrap(), Some(MoeConfig::default()));
    let own = moe("mtl-moe", None).unwrap().unwrap();
    assert_eq!((own.experts, own.k, own.mlp), (16, 4, Some(96)));
    // Laid over the defaults: eight experts, still quarters of the MLP.
    let defaults = systems::preset("mtl-moe", "vit-micro").unwrap().backbone.moe.unwrap();
    let eight = moe("mtl-moe", Some(MoeConfig { experts: 8, ..defaults })).unwrap().unwrap();
    assert_eq!(eight, MoeConfig { experts: 8, ..own });
    let wide = moe("mtl-moe", Some(MoeConfig { mlp: Some(12), ..MoeConfig::default() })).unwrap().unwrap();
    assert_eq!(wide, MoeConfig { mlp: Some(12), ..MoeConfig::default() });
    for name in ["stl", "mtl-vit"] {
        let error = moe(name, Some(MoeConfig::default())).unwrap_err().to_string();
        assert!(error.contains("model.backbone.moe: ") && error.contains(&format!("{name} has no experts")), "{error}");
    }
}

#[test]
fn wrong_experts_name_key_value_and_range() {
    type Spoil = fn(&mut MoeConfig);
    let wrong: [(&str, &str, Spoil); 12] = [
        ("experts: 0 ", "1 to 1024", |c| c.experts = 0),
        ("k: 0 ", "1 to experts (8)", |c| c.k = 0),
        ("k: 9 ", "1 to experts (8)", |c| c.k = 9),
        ("mlp: 0 ", "1 to 65536", |c| c.mlp = Some(0)),
        ("layers: [2] ", "from 0 to 1", |c| c.layers = MoeLayers::Blocks(vec![2])),
        ("layers: [] ", "one block or more", |c| c.layers = MoeLayers::Blocks(vec![])),
        ("layers: [1, 1] ", "different blocks", |c| c.layers = MoeLayers::Blocks(vec![1, 1])),
        ("capacity_factor: 0 ", "over 0, or null", |c| c.capacity_factor = Some(0.0)),
        ("capacity_factor: inf ", "over 0, or null", |c| c.capacity_factor = Some(f64::INFINITY)),
        ("router_noise: NaN ", "0 or more", |c| c.router_noise = f64::NAN),
        ("load_weight: -1 ", "0 or more", |c| c.load_weight = -1.0),
        ("loss_group: 0 ", "1 to 1048576", |c| c.loss_group = Some(0)),
    ];
    for (value, range, spoil) in wrong {
        let (mut config, mut moe) = (tiny(1), MoeConfig::default());
        spoil(&mut moe);
        config.backbone.moe = Some(moe);
        let error = systems::build("adamv-moe", &config, CLASSES, 0, Device::Cpu).err().unwrap().to_string();
        assert!(error.contains(&format!("model.backbone.moe.{value}")) && error.contains(range), "{error}");
    }
    let mut shallow = tiny(1);
    shallow.backbone.depth = 1;
    let error = systems::build("adamv-moe", &shallow, CLASSES, 0, Device::Cpu).err().unwrap().to_string();
    assert!(error.contains("model.backbone.moe.layers: every-second "), "{error}");
}

#[test]
fn queries_keys_and_values_start_with_the_spread_of_matrices_of_their_own() {
    let mut config = tiny(1);
    (config.backbone.width, config.backbone.heads) = (192, 3);
    let system = build("mtl-vit", &config);
    let deviation = |weight: &Tensor| weight.std(false).double_value(&[]);
    // Glorot of a matrix [192, 192]: a deviation of sqrt(2 / 384), here within 2%, 5 standard errors of 36,864 draws.
    let wanted = (2.0f64 / 384.0).sqrt();
    let qkv = system.params().by_name()["blocks.0.attn.qkv.weight"];
    for (name, part) in ["query", "key", "value"].into_iter().zip(qkv.chunk(3, 0)) {
        let found = deviation(&part);
        assert!((found / wanted - 1.0).abs() < 0.02, "{name}: {found}, not {wanted}");
    }
    let proj = deviation(system.params().by_name()["blocks.0.attn.proj.weight"]);
    assert!((proj / wanted - 1.0).abs() < 0.02, "proj: {proj}");
}

#[test]
fn equal_names_start_equal_across_systems_and_seeds_differ() {
    let (a, b) = (build("stl", &tiny(1)), build("stl", &tiny(3)));
    let name = "classification.blocks.0.attn.qkv.weight";
    assert_eq!(a.params().by_name()[name], b.params().by_name()[name]);
    let other = systems::build("stl", &tiny(1), CLASSES, 1, Device::Cpu).unwrap();
    assert_ne!(a.params().by_name()[name], other.params().by_name()[name]);
}

#[test]
fn detections_respect_limits_and_do_not_depend_on_the_batch() {
    let system = build("mtl-vit", &tiny(1));
    let (images, _) = batch();
    let limits = Limits { score: 0.0, nms: 0.5, count: 7 };
    let detect = |images: &Tensor| {
        tch::no_grad(|| system.detector().detect(&system.feature_map(images, Mode::Evaluate).0, &limits))
    };
    let both = detect(&images);
    assert!(both.iter().all(|image| image.len() == 7), "an untrained detector has more than 7 boxes to offer");
    for (i, image) in both.iter().enumerate() {
        assert!(image.windows(2).all(|pair| pair[0].score >= pair[1].score));
        assert!(image.iter().all(|d| d.label < 5 && d.bbox.iter().all(|v| (0.0..=64.0).contains(v))));
        let alone = detect(&images.narrow(0, i as i64, 1)).remove(0);
        for (a, b) in image.iter().zip(&alone) {
            assert_eq!(a.label, b.label);
            assert!((a.score - b.score).abs() < 1e-5);
            assert!(a.bbox.iter().zip(&b.bbox).all(|(a, b)| (a - b).abs() < 1e-3));
            assert!(a.mask.iter().zip(&b.mask).all(|(a, b)| (a - b).abs() < 1e-4));
        }
    }
}

#[test]
fn a_sample_is_foreground_first_within_its_share_and_never_repeats() {
    tch::manual_seed(2);
    // 10 boxes: 6 foreground, 3 background, 1 neither.
    let foreground =
        Tensor::from_slice(&[true, true, true, true, true, true, false, false, false, false]).view([1, 10]);
    let background =
        Tensor::from_slice(&[false, false, false, false, false, false, true, true, true, false]).view([1, 10]);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let sample = balanced(&foreground, &background, 8, 2);
        let index: Vec<i64> = Vec::try_from(sample.index.get(0)).unwrap();
        let flags = |t: &Tensor| Vec::<bool>::try_from(t.get(0)).unwrap();
        assert_eq!(flags(&sample.foreground), [true, true, false, false, false, false, false, false]);
        assert_eq!(flags(&sample.real), [true, true, true, true, true, false, false, false]);
        let mut drawn = index[..5].to_vec();
        drawn.sort();
        drawn.dedup();
        assert_eq!(drawn.len(), 5);
        assert!(index[..2].iter().all(|&i| i < 6) && index[2..5].iter().all(|&i| (6..9).contains(&i)));
        seen.extend(index[..2].to_vec());
    }
    assert_eq!(seen.len(), 6, "every foreground box is drawn sooner or later");
}

#[test]
fn wrong_configurations_name_key_value_and_range() {
    type Spoil = fn(&mut ModelConfig);
    let wrong: [(&str, Spoil); 8] = [
        ("model.inputs.classification.image_size: 65", |c| c.inputs.classification.image_size = 65),
        ("model.backbone.heads: 5", |c| c.backbone.heads = 5),
        ("model.backbone.depth: 0", |c| c.backbone.depth = 0),
        ("model.detector.stages: 4", |c| c.detector.stages = 4),
        ("model.detector.min_level: 4", |c| c.detector.min_level = 4),
        ("model.inputs.detection.windows: 3 is not possible; give a divisor of the 8 patches of a side", |c| {
            c.inputs.detection.windows = 3;
        }),
        ("model.inputs.classification.windows: 0 is not possible; give a whole number from 1 to 64", |c| {
            c.inputs.classification.windows = 0;
        }),
        ("model.backbone.pool: token", |c| {
            (c.inputs.classification.windows, c.backbone.pool) = (2, Pool::Token);
        }),
    ];
    for (expected, spoil) in wrong {
        let mut config = preset("vit-micro").unwrap();
        spoil(&mut config);
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    for name in BACKBONES {
        preset(name).unwrap().validate().unwrap();
    }
    let unknown = systems::build("stll", &tiny(1), CLASSES, 0, Device::Cpu).err().unwrap();
    assert!(unknown.to_string().contains("stl, mtl-vit"), "{unknown}");
}

#[test]
fn weights_of_another_architecture_are_refused_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let (saved, other) = (build("mtl-vit", &tiny(1)), build("mtl-vit", &tiny(3)));
    let all = saved.params().iter().map(|p| (p.name.as_str(), &p.tensor));
    std::fs::write(&path, weights::to_bytes(all).unwrap()).unwrap();
    let read = weights::read(&path).unwrap();
    let before = other.params().by_name()["norm.weight"].copy();
    let error = weights::assign(other.params(), &path, |name| read.get(name)).unwrap_err();
    assert!(error.to_string().contains("has no tensor detector.roi.1"), "{error}");
    assert_eq!(&before, other.params().by_name()["norm.weight"]);
    weights::assign(saved.params(), &path, |name| read.get(name)).unwrap();
}

#[test]
fn a_header_that_claims_more_than_the_file_has_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    for bytes in [&u64::MAX.to_le_bytes()[..], &1_000_000u64.to_le_bytes()[..], b"\x02\0\0\0\0\0\0\0{}x"] {
        std::fs::write(&path, bytes).unwrap();
        let error = weights::read(&path).unwrap_err();
        assert!(matches!(error, ModelError::Weights { .. }) && error.to_string().contains("weights.safetensors"));
    }
}
