//! The detector's norms: their numbers against their formulas (`golden/make_norms.py`), where they stand, and what a batch
//! norm's running statistics are.

use adamv_datasets::Task;
use adamv_models::config::{Classes, DetectorConfig, InputConfig, ModelConfig, NormKind, preset};
use adamv_models::cost::Cost;
use adamv_models::detection::mask_head::MaskHead;
use adamv_models::detection::norm::Norm;
use adamv_models::detection::pyramid::Pyramid;
use adamv_models::detection::roi_align::{Levels, Rows};
use adamv_models::detection::roi_head::RoiHead;
use adamv_models::detection::rpn::{Proposals, Rpn};
use adamv_models::detection::{Limits, Targets};
use adamv_models::params::Params;
use adamv_models::systems::{self, System};
use adamv_models::vit::Mode;
use adamv_native::autocast_bf16;
use proptest::prelude::*;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

const CLASSES: Classes = Classes { classification: 6, detection: 5 };
const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);
const KINDS: [NormKind; 4] = [NormKind::None, NormKind::Layer, NormKind::Group, NormKind::Batch];

/// A nested list of numbers as a f32 tensor.
fn tensor(value: &Value) -> Tensor {
    fn flatten(value: &Value, depth: usize, shape: &mut Vec<i64>, flat: &mut Vec<f32>) {
        match value {
            Value::Array(list) => {
                if shape.len() == depth {
                    shape.push(list.len() as i64);
                }
                list.iter().for_each(|v| flatten(v, depth + 1, shape, flat));
            }
            number => flat.push(number.as_f64().expect("a number") as f32),
        }
    }
    let (mut shape, mut flat) = (vec![], vec![]);
    flatten(value, 0, &mut shape, &mut flat);
    Tensor::from_slice(&flat).view(shape.as_slice())
}

#[track_caller]
fn assert_close(ours: &Tensor, theirs: &Tensor, within: f64) {
    assert_eq!(ours.size(), theirs.size());
    let most = (ours - theirs).abs().max().double_value(&[]);
    assert!(most <= within, "differs by {most}");
}

fn saved(params: &Params, name: &str) -> Tensor {
    params.saved().find(|(saved, _)| *saved == name).unwrap_or_else(|| panic!("no {name}")).1.shallow_clone()
}

fn set(params: &Params, name: &str, value: &Tensor) {
    tch::no_grad(|| saved(params, name).copy_(value));
}

#[test]
fn norms_equal_their_formulas() {
    let golden: Value = serde_json::from_str(include_str!("golden/norms.json")).expect("the golden file is JSON");
    let build = |kind, channels| {
        let mut params = Params::new(0, Device::Cpu);
        let norm = Norm::new(params.root(), kind, channels);
        (params, norm)
    };
    for case in golden["cases"].as_array().unwrap() {
        let with_weights = |kind| {
            let (params, norm) = build(kind, 12);
            set(&params, "weight", &tensor(&golden["weight"]));
            set(&params, "bias", &tensor(&golden["bias"]));
            (params, norm)
        };
        let (first, second) = (tensor(&case["first"]), tensor(&case["second"]));
        for (kind, name) in [(NormKind::Layer, "layer"), (NormKind::Group, "group")] {
            for mode in [Mode::Train, Mode::Evaluate] {
                let out = with_weights(kind).1.forward(first.shallow_clone(), mode);
                assert_close(&out, &tensor(&case[name]), 2e-5);
            }
        }
        let (params, norm) = with_weights(NormKind::Batch);
        for (x, wanted) in [&first, &second].into_iter().zip(case["batch"].as_array().unwrap()) {
            assert_close(&norm.forward(x.shallow_clone(), Mode::Train), &tensor(wanted), 2e-5);
        }
        for name in ["running_mean", "running_var"] {
            assert_close(&saved(&params, name), &tensor(&case[name]), 1e-6);
        }
        assert_close(&norm.forward(first.shallow_clone(), Mode::Evaluate), &tensor(&case["evaluated"]), 2e-5);
        assert_eq!(build(NormKind::None, 12).1.forward(first.shallow_clone(), Mode::Train), first);
    }
    for case in golden["groups"].as_array().unwrap() {
        let x = tensor(&case["x"]);
        let (_params, norm) = build(NormKind::Group, x.size()[1] as usize);
        assert_close(&norm.forward(x, Mode::Train), &tensor(&case["y"]), 2e-5);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// The fast way, forward and backward, against the formula over the channels in float64, whatever the layout in memory.
    #[test]
    fn a_layer_norm_of_maps_is_over_their_channels(
        b in 1i64..4, c in 2i64..20, y in 1i64..6, x in 1i64..6, channels_last: bool, seed: i64
    ) {
        tch::manual_seed(seed);
        let mut params = Params::new(0, Device::Cpu);
        let norm = Norm::new(params.root(), NormKind::Layer, c as usize);
        for name in ["weight", "bias"] {
            set(&params, name, &Tensor::randn([c], FLOAT));
        }
        let values = if channels_last {
            Tensor::randn([b, y, x, c], FLOAT).permute([0, 3, 1, 2])
        } else {
            Tensor::randn([b, c, y, x], FLOAT)
        };
        let coefficients = Tensor::randn([b, c, y, x], FLOAT);
        let fast = values.detach().set_requires_grad(true);
        let out = norm.forward(fast.shallow_clone(), Mode::Train);
        (&out * &coefficients).sum(Kind::Float).backward();

        let plain = values.to_kind(Kind::Double).detach().set_requires_grad(true);
        let double = |name: &str| saved(&params, name).detach().to_kind(Kind::Double).view([-1, 1, 1]);
        let mean = plain.mean_dim([1].as_slice(), true, Kind::Double);
        let variance = (&plain - &mean).square().mean_dim([1].as_slice(), true, Kind::Double);
        let wanted = (&plain - &mean) / (variance + 1e-6).sqrt() * double("weight") + double("bias");
        (&wanted * coefficients.to_kind(Kind::Double)).sum(Kind::Double).backward();

        let most = (out.to_kind(Kind::Double) - &wanted).abs().max().double_value(&[]);
        prop_assert!(most < 1e-4, "differs by {}", most);
        let (ours, theirs) = (fast.grad().to_kind(Kind::Double), plain.grad());
        let most = ((ours - &theirs).abs().max() / theirs.abs().max().clamp_min(1.0)).double_value(&[]);
        prop_assert!(most < 1e-3, "the gradient differs by {}", most);
    }
}

#[test]
fn a_batch_norm_trains_on_the_batch_and_evaluates_on_running_statistics() {
    let mut params = Params::new(0, Device::Cpu);
    let norm = Norm::new(params.root(), NormKind::Batch, 2);
    // Rows of two channels: means 2 and 6, variances 1 and 16 over N (2 and 32 over N - 1).
    let x = Tensor::from_slice(&[1f32, 2.0, 3.0, 10.0]).view([2, 2]);
    let values = |t: &Tensor| Vec::<f64>::try_from(t.detach().to_kind(Kind::Double).view([-1])).unwrap();
    let near = |ours: &Tensor, wanted: &[f64]| {
        values(ours).iter().zip(wanted).for_each(|(a, b)| assert!((a - b).abs() < 1e-6, "{a} instead of {b}"));
    };
    let running = || (saved(&params, "running_mean"), saved(&params, "running_var"));
    let (one, four) = (1.0 / 1.0001f64.sqrt(), 4.0 / 16.0001f64.sqrt());
    // A loss that is only measured moves nothing, in neither mode.
    tch::no_grad(|| {
        near(&norm.forward(x.shallow_clone(), Mode::Train), &[-one, -four, one, four]);
        near(&norm.forward(x.shallow_clone(), Mode::Evaluate), &[1.0, 2.0, 3.0, 10.0].map(|v: f64| v * one));
    });
    near(&norm.forward(x.shallow_clone(), Mode::Evaluate), &[1.0, 2.0, 3.0, 10.0].map(|v: f64| v * one));
    near(&running().0, &[0.0, 0.0]);
    near(&running().1, &[1.0, 1.0]);
    near(&norm.forward(x.shallow_clone(), Mode::Train), &[-one, -four, one, four]);
    near(&running().0, &[0.006, 0.018]);
    near(&running().1, &[0.997 + 0.003, 0.997 + 0.048]);
    let [a, b] = [1.0001f64.sqrt(), 1.0451f64.sqrt()];
    let evaluated = [0.994 / a, 1.982 / b, 2.994 / a, 9.982 / b];
    near(&norm.forward(x.shallow_clone(), Mode::Evaluate), &evaluated);
    let (mean, variance) = running();
    assert!(!mean.requires_grad() && !variance.requires_grad());
}

fn tiny(kind: NormKind, stages: usize) -> ModelConfig {
    let mut config = preset("vit-micro").unwrap();
    config.backbone.depth = 1;
    let detector = &mut config.detector;
    (detector.stages, detector.channels, detector.box_fc, detector.norm) = (stages, 8, 16, kind);
    (detector.box_convs, detector.mask_convs) = (2, 1);
    (detector.rpn_pre_nms, detector.rpn_post_nms, detector.rois, detector.mask_rois) = (20, 20, 16, 8);
    config
}

fn build(kind: NormKind, stages: usize) -> Box<dyn System> {
    systems::build("mtl-vit", &tiny(kind, stages), CLASSES, 0, Device::Cpu).unwrap()
}

/// Every hidden layer of the detector, once for each level where the norm is the level's own, as in fvlm/modeling/heads.py and
/// fpn.py: `rpn-l2-bn`, `conv_0_bn`, `fc6_bn`, `mask-conv-l0-bn`, `conv5-mask-bn`, `p2-bn`. Those of `rpn-class`, `rpn-box`,
/// `class-predict`, `box-predict` and `mask_fcn_logits` don't exist.
const PLACES: [&str; 14] = [
    "mask.conv_norm.0",
    "mask.up_norm",
    "pyramid.output_norm.2",
    "pyramid.output_norm.3",
    "pyramid.output_norm.4",
    "roi.0.conv_norm.0",
    "roi.0.conv_norm.1",
    "roi.0.fc_norm",
    "roi.1.conv_norm.0",
    "roi.1.conv_norm.1",
    "roi.1.fc_norm",
    "rpn.conv_norm.2",
    "rpn.conv_norm.3",
    "rpn.conv_norm.4",
];

#[test]
fn every_hidden_layer_and_level_has_a_norm_and_nothing_else_changes() {
    let plain = build(NormKind::None, 2);
    let cost = |system: &dyn System| Cost::of(system, Task::Detection, 7);
    assert!(plain.params().saved().all(|(name, _)| !name.starts_with("detector.") || !name.contains("norm")));
    for kind in [NormKind::Layer, NormKind::Group, NormKind::Batch] {
        let system = build(kind, 2);
        let leaves: &[&str] = if kind == NormKind::Batch {
            &["bias", "running_mean", "running_var", "weight"]
        } else {
            &["bias", "weight"]
        };
        let wanted: Vec<String> =
            PLACES.iter().flat_map(|place| leaves.iter().map(move |leaf| format!("detector.{place}.{leaf}"))).collect();
        let (theirs, ours) = (plain.params().by_name(), system.params().by_name());
        let all: Vec<(&str, &Tensor)> = system.params().saved().collect();
        let mut found: Vec<&str> =
            all.iter().map(|(name, _)| *name).filter(|name| !theirs.contains_key(name)).collect();
        found.sort();
        assert_eq!(found, wanted, "{kind:?}");
        assert!(theirs.iter().all(|(name, weight)| ours[name] == *weight), "{kind:?}: a weight starts elsewhere");
        assert!(ours.keys().all(|name| !name.contains("running")), "{kind:?}: statistics are no weights");
        assert!(system.params().iter().filter(|p| p.name.contains("norm")).all(|p| !p.decay), "{kind:?}");
        // By hand: 12 norms of 8 channels and 2 of 16, a weight and a bias each; norms are no multiply-adds.
        let (before, after) = (cost(&*plain), cost(&*system));
        assert_eq!(after.params_activated, before.params_activated + 2 * (12 * 8 + 2 * 16), "{kind:?}");
        assert_eq!(after.params_total, before.params_total + 2 * (12 * 8 + 2 * 16), "{kind:?}");
        assert_eq!(after.macs, before.macs, "{kind:?}");
    }
}

/// A detector's parts over a pyramid of random maps.
struct Parts {
    params: Params,
    pyramid: Pyramid,
    rpn: Rpn,
    roi: RoiHead,
    mask: MaskHead,
    levels: Levels,
    map: Tensor,
    maps: Vec<Tensor>,
}

impl Parts {
    fn new(kind: NormKind) -> Self {
        tch::manual_seed(0);
        let config: DetectorConfig = tiny(kind, 1).detector;
        let input = InputConfig { image_size: 64, patch_size: 8, windows: 1 };
        let sides = Pyramid::sides(&input, &config);
        let mut params = Params::new(0, Device::Cpu);
        let mut root = params.root();
        let pyramid = Pyramid::new(root.sub("pyramid"), 6, &input, &config);
        let rpn = Rpn::new(root.sub("rpn"), &input, &sides, &config, Device::Cpu);
        let roi = RoiHead::new(root.sub("roi"), 5, 64, &config);
        let mask = MaskHead::new(root.sub("mask"), 5, &config);
        let maps = sides.iter().map(|&side| Tensor::randn([2, 8, side as i64, side as i64], FLOAT)).collect();
        let map = Tensor::randn([2, 6, 8, 8], FLOAT);
        Self { params, pyramid, rpn, roi, mask, levels: Levels::new(&sides, config.min_level, Device::Cpu), map, maps }
    }

    /// The outputs that depend on a place of [`PLACES`].
    fn outputs(&self, place: &str) -> Vec<Tensor> {
        let boxes = Tensor::from_slice(&[4f32, 4.0, 40.0, 30.0, 10.0, 20.0, 60.0, 62.0]).view([2, 1, 4]);
        let rows = Rows::new(&self.maps, &self.levels);
        tch::no_grad(|| match place.split('.').next() {
            Some("pyramid") => self.pyramid.forward(&self.map, Mode::Train),
            Some("rpn") => {
                let (maps, mode) = (&self.maps, Mode::Train);
                // By level, 16², 8² and 4² cells of three anchors.
                self.rpn.forward(maps, mode).objectness.split_with_sizes([768, 192, 48], 1)
            }
            Some("roi") => {
                let real = Tensor::ones([2, 1], (Kind::Bool, Device::Cpu));
                vec![self.roi.predict(&rows, &Proposals { boxes, real }).0.log()]
            }
            _ => {
                vec![self.mask.forward(&rows, &boxes, &Tensor::zeros([2, 1], (Kind::Int64, Device::Cpu)), Mode::Train)]
            }
        })
    }
}

#[test]
fn a_norm_stands_between_its_layer_and_the_activation() {
    let parts = Parts::new(NormKind::Layer);
    for place in PLACES.iter().filter(|place| !place.starts_with("roi.1")) {
        // The level that the norm is of, and the layer before it.
        let level = place
            .rsplit('.')
            .next()
            .and_then(|last| last.parse::<usize>().ok())
            .filter(|_| place.starts_with("rpn") || place.starts_with("pyramid"));
        let layer = match *place {
            place if place.starts_with("rpn") => "rpn.conv".to_owned(),
            place => place.replace("_norm", ""),
        };
        let before = parts.outputs(place);
        let spread = |t: &Tensor| (t.max() - t.min()).double_value(&[]);
        assert!(before.iter().all(|t| spread(t) > 1e-3), "{place}: nothing to see");

        // A norm of the layer's own output takes the layer's scale away.
        let scaled: Vec<(String, Tensor)> = ["weight", "bias"]
            .map(|leaf| format!("{layer}.{leaf}"))
            .map(|name| (name.clone(), saved(&parts.params, &name).detach().copy()))
            .into();
        for (name, weight) in &scaled {
            set(&parts.params, name, &(weight * 8.0));
        }
        for (before, after) in before.iter().zip(parts.outputs(place)) {
            assert_close(&after, before, 1e-2 * spread(before));
        }
        for (name, weight) in &scaled {
            set(&parts.params, name, weight);
        }

        // With a bias far below zero, ReLU after it leaves nothing: what is predicted is one bias everywhere. A pyramid's level
        // has no activation.
        let name = format!("{place}.bias");
        set(&parts.params, &name, &Tensor::full([saved(&parts.params, &name).size()[0]], -1000.0, FLOAT));
        for (i, (before, after)) in before.iter().zip(parts.outputs(place)).enumerate() {
            if level.is_some_and(|level| level != i + 2) {
                assert_eq!(*before, after, "{place}: another level moved");
            } else if place.starts_with("pyramid") {
                assert_close(&after, &(before - 1000.0), 1e-2);
            } else {
                assert!(spread(&after) < 1e-6, "{place}: it isn't between the layer and the activation");
            }
        }
        set(&parts.params, &name, &saved(&parts.params, &name).zeros_like());
    }
}

fn targets() -> Targets {
    Targets {
        boxes: Tensor::from_slice(&[4f32, 4.0, 30.0, 28.0, 20.0, 30.0, 60.0, 62.0]).view([2, 1, 4]),
        labels: Tensor::from_slice(&[2i64, 4]).view([2, 1]),
        masks: Tensor::ones([2, 1, 14, 14], (Kind::Uint8, Device::Cpu)),
    }
}

#[test]
fn only_training_moves_the_running_statistics_and_all_of_them() {
    let system = build(NormKind::Batch, 2);
    let buffers = || -> Vec<(String, Tensor)> {
        let all = system.params().saved().filter(|(name, _)| name.contains(".running_"));
        all.map(|(name, tensor)| (name.to_owned(), tensor.copy())).collect()
    };
    let images = Tensor::rand([2, 3, 64, 64], FLOAT);
    let losses = |mode| -> Vec<f64> {
        tch::manual_seed(1);
        let losses = system.detector().losses(&system.feature_map(&images, mode).0, &targets(), mode);
        losses.iter().map(|(_, loss)| loss.double_value(&[])).collect()
    };
    let start = buffers();
    assert_eq!(start.len(), 2 * PLACES.len());
    let measured = losses(Mode::Evaluate);
    let trained = tch::no_grad(|| losses(Mode::Train));
    assert_ne!(measured, trained, "evaluation takes the batch's statistics");
    let limits = Limits { score: 0.0, nms: 0.5, count: 7 };
    let detect = || system.detector().detect(&system.feature_map(&images, Mode::Evaluate).0, &limits);
    let before = detect();
    assert_eq!(start, buffers(), "what is only measured moved the statistics");
    assert_eq!(losses(Mode::Train), trained);
    for ((name, before), (_, after)) in start.iter().zip(buffers()) {
        assert_ne!(*before, after, "{name}");
    }
    assert!(before[0][0].score != detect()[0][0].score, "detection doesn't use the running statistics");
}

#[test]
fn every_norm_gives_finite_losses_without_any_object() {
    for (kind, bf16) in KINDS.iter().flat_map(|&kind| [(kind, false), (kind, true)]) {
        let system = build(kind, 3);
        let mut targets = targets();
        targets.labels = targets.labels.full_like(-1);
        let images = Tensor::zeros([2, 3, 64, 64], FLOAT);
        let losses = autocast_bf16(Device::Cpu, bf16, || {
            system.detector().losses(&system.feature_map(&images, Mode::Train).0, &targets, Mode::Train)
        });
        let losses = losses.unwrap();
        let terms: Vec<&Tensor> = losses.iter().map(|(_, loss)| loss).collect();
        Tensor::stack(&terms, 0).sum(Kind::Float).backward();
        assert!(losses.iter().all(|(_, loss)| loss.double_value(&[]).is_finite()), "{kind:?}, {bf16}: {losses:?}");
        let finite = |t: &Tensor| !t.grad().defined() || t.grad().isfinite().all().int64_value(&[]) == 1;
        assert!(system.params().iter().all(|p| finite(&p.tensor)), "{kind:?}, {bf16}: a gradient isn't finite");
    }
}
