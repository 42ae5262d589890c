//! The layer inside a backbone: batches, windows, capacity, K.

use adamv_datasets::Task;
use adamv_models::config::{Classes, ExpertInit, ModelConfig, MoeConfig, MoeLayers, preset};
use adamv_models::moe::{MoeLayer, Route};
use adamv_models::params::Params;
use adamv_models::systems::{self, System};
use adamv_models::vit::{Intermediates, Mode};
use adamv_native::autocast_bf16;
use tch::{Device, Kind, Tensor};

use crate::difference;

const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

fn tiny(moe: Option<MoeConfig>) -> ModelConfig {
    let mut config = preset("vit-micro").unwrap();
    let backbone = &mut config.backbone;
    (backbone.depth, backbone.width, backbone.heads, backbone.mlp, backbone.moe) = (4, 24, 2, 48, moe);
    (config.inputs.classification.windows, config.inputs.detection.windows) = (2, 2);
    config
}

fn build(name: &str, config: &ModelConfig) -> Box<dyn System> {
    let classes = Classes { classification: 6, detection: 5 };
    systems::build(name, config, classes, 3, Device::Cpu).unwrap()
}

/// The intermediates of a classification pass without the drawing of noise.
fn classified(system: &dyn System, images: &Tensor) -> (Tensor, Intermediates) {
    tch::no_grad(|| system.classify(images, Mode::Evaluate))
}

#[test]
fn evaluation_does_not_change_with_the_batch() {
    let system = build("adamv-moe", &tiny(Some(MoeConfig { layers: MoeLayers::Late, ..MoeConfig::default() })));
    tch::manual_seed(0);
    let images = Tensor::rand([8, 3, 64, 64], FLOAT);
    let (together, out) = classified(&*system, &images);
    for (batch, start) in [(1, 0), (1, 7), (3, 2)] {
        let (apart, alone) = classified(&*system, &images.narrow(0, start, batch));
        assert!(difference(&apart, &together.narrow(0, start, batch)) < 1e-5);
        for i in [2, 3] {
            let name = format!("selected.{i}");
            assert_eq!(alone[&name], out[&name].narrow(0, start, batch), "{name}");
        }
    }
}

#[test]
fn windows_change_nothing_for_a_router() {
    // The block before the layer is the last to attend; with windows its tokens come in another order, and everything
    // that a router says must be back in the image's.
    let moe = MoeConfig { layers: MoeLayers::Blocks(vec![0]), router_noise: 0.0, ..MoeConfig::default() };
    let mut config = tiny(Some(moe));
    (config.backbone.depth, config.inputs.classification.windows) = (1, 1);
    let plain = build("adamv-moe", &config);
    config.inputs.classification.windows = 4;
    let windowed = build("adamv-moe", &config);
    // Without attention the order is all that differs.
    tch::no_grad(|| {
        for system in [&plain, &windowed] {
            let _zero = system.params().by_name()["blocks.0.attn.proj.weight"].shallow_clone().zero_();
        }
    });
    tch::manual_seed(0);
    let images = Tensor::rand([2, 3, 64, 64], FLOAT);
    let ((_, a), (_, b)) = (classified(&*plain, &images), classified(&*windowed, &images));
    let names = ["blocks.0", "importance_loss.0", "router_features.0", "router_probs.0", "selected.0"];
    assert_eq!(a.keys().collect::<Vec<_>>(), names);
    for (name, tensor) in &a {
        assert!(difference(tensor, &b[name]) < 1e-5, "{name}");
    }
}

#[test]
fn a_full_expert_is_skipped_and_groups_are_of_eight_images() {
    let config = MoeConfig { experts: 2, k: 1, capacity_factor: Some(0.25), ..MoeConfig::default() };
    let mut params = Params::new(0, Device::Cpu);
    let layer = MoeLayer::new(params.root(), 4, 8, &config, &[Task::Classification]);
    // All tokens choose expert 0. 8 images of 4 tokens, as 2 windows of 2: ceil(32 * 1 * 0.25 / 2) = 4, the first image.
    // The ninth is a group by itself: ceil(4 * 0.25 / 2) = 1, rounded up to 4, so all of it.
    let router = params.by_name()["moe.routers.classification.weight"].shallow_clone();
    tch::no_grad(|| router.get(0).fill_(5.0).numel() + router.get(1).fill_(-5.0).numel());
    let (out, _) = tch::no_grad(|| {
        let tokens = Tensor::ones([18, 2, 4], FLOAT);
        layer.forward(&tokens, 2, Route { task: Task::Classification, k: 1 }, Mode::Evaluate)
    });
    let taken: Vec<bool> = Vec::try_from(out.abs().amax([1, 2].as_slice(), false).gt(0.0)).unwrap();
    let expected: Vec<bool> = (0..18).map(|window| !(2..16).contains(&window)).collect();
    assert_eq!(taken, expected);
}

#[test]
fn k_changes_in_place_for_one_task() {
    let system = build("adamv-moe", &tiny(None));
    let experts = system.experts().unwrap();
    assert_eq!((experts.experts(), experts.layers()), (8, &[1, 3][..]));
    tch::manual_seed(0);
    let images = Tensor::rand([2, 3, 64, 64], FLOAT);
    let (_, two) = classified(&*system, &images);
    experts.set_k(Task::Classification, 5).unwrap();
    let (_, five) = classified(&*system, &images);
    assert_eq!(Task::ALL.map(|task| experts.k(task)), [5, 2]);
    // The first layer sees the same tokens: its first two choices are the same.
    assert_eq!(five["selected.1"].size(), [2, 64, 5]);
    assert_eq!(five["selected.1"].narrow(2, 0, 2), two["selected.1"]);
    let map = tch::no_grad(|| system.feature_map(&images, Mode::Evaluate)).1;
    assert_eq!(map["selected.1"].size(), [2, 64, 2]);
    for k in [0, 9] {
        let error = experts.set_k(Task::Detection, k).unwrap_err().to_string();
        assert_eq!(error, format!("k of detection: {k} is not possible; give 1 to experts (8)"));
    }
}

#[test]
fn the_auxiliary_loss_sums_both_losses_of_every_layer() {
    let moe = MoeConfig { importance_weight: 0.5, load_weight: 0.25, ..MoeConfig::default() };
    let system = build("adamv-moe", &tiny(Some(moe)));
    tch::manual_seed(0);
    let (_, out) = system.classify(&Tensor::rand([2, 3, 64, 64], FLOAT), Mode::Train);
    let value = |name: &str| out[name].double_value(&[]);
    let expected = 0.5 * (value("importance_loss.1") + value("importance_loss.3"))
        + 0.25 * (value("load_loss.1") + value("load_loss.3"));
    let ours = system.experts().unwrap().auxiliary_loss(&out);
    assert!((ours.double_value(&[]) - expected).abs() < 1e-7 && expected > 0.0);
    ours.backward();
    let router = system.params().by_name()["blocks.1.moe.routers.classification.weight"];
    assert!(router.grad().abs().max().double_value(&[]) > 0.0);
}

#[test]
fn autocast_leaves_the_choice_in_f32_and_halves_the_experts() {
    let mut params = Params::new(0, Device::Cpu);
    let layer = MoeLayer::new(params.root(), 24, 48, &MoeConfig::default(), &[Task::Detection]);
    let tokens = Tensor::randn([2, 20, 24], FLOAT);
    let run = || layer.forward(&tokens, 1, Route { task: Task::Detection, k: 2 }, Mode::Evaluate);
    let (full, expected) = run();
    let (half, found) = autocast_bf16(Device::Cpu, true, run).unwrap();
    assert_eq!((found.probs, found.selected), (expected.probs, expected.selected));
    assert_eq!(found.load_loss, expected.load_loss);
    let moved = difference(&half, &full);
    assert!(moved > 0.0 && moved < 0.02 * full.abs().max().double_value(&[]), "{moved}");
    half.sum(Kind::Float).backward();
    let weight = params.by_name()["moe.experts.fc1.weight"];
    assert_eq!(weight.grad().kind(), Kind::Float);
}

#[test]
fn noise_is_drawn_in_training_only() {
    let system = build("adamv-moe", &tiny(None));
    tch::manual_seed(0);
    let images = Tensor::rand([2, 3, 64, 64], FLOAT);
    let run = |mode| tch::no_grad(|| system.classify(&images, mode)).0;
    assert_eq!(run(Mode::Evaluate), run(Mode::Evaluate));
    assert_ne!(run(Mode::Train), run(Mode::Train));
}

#[test]
fn experts_start_identical_or_independent() {
    for (init, equal) in [(ExpertInit::Identical, true), (ExpertInit::Independent, false)] {
        let system = build("adamv-moe", &tiny(Some(MoeConfig { expert_init: init, ..MoeConfig::default() })));
        for leaf in ["fc1", "fc2"] {
            let weight = system.params().by_name()[format!("blocks.1.moe.experts.{leaf}.weight").as_str()];
            assert_eq!(weight.get(0) == weight.get(7), equal, "{init:?}");
        }
    }
}

#[test]
fn layers_have_names() {
    let blocks = |text: &str, depth| serde_json::from_str::<MoeLayers>(text).unwrap().blocks(depth);
    assert_eq!(
        ["\"early\"", "\"middle\"", "\"late\"", "\"every-second\""].map(|name| blocks(name, 6)),
        [[0, 1, 2], [1, 2, 3], [3, 4, 5], [1, 3, 5]]
    );
    assert_eq!(
        ["\"early\"", "\"middle\"", "\"late\"", "\"every-second\""].map(|name| blocks(name, 5)),
        [[0, 1], [1, 2], [3, 4], [1, 3]]
    );
    assert_eq!(blocks("[4, 0]", 6), [0, 4]);
    for text in ["\"late\"", "\"every-second\"", "[1,2]"] {
        let layers: MoeLayers = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&layers).unwrap(), text);
    }
    let error = serde_json::from_str::<MoeLayers>("\"lat\"").unwrap_err().to_string();
    assert!(error.contains("unknown variant `lat`, expected one of `early`, `middle`"), "{error}");
}
