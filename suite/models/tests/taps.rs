//! TAPS: its straight-through gradients against finite differences, what is left of it when nothing counts, what is frozen.

use adamv_datasets::Task;
use adamv_models::config::{Classes, Frozen, ModelConfig, TapsConfig, TapsSettings, preset};
use adamv_models::params::Params;
use adamv_models::systems::{self, Part, Phase, System};
use adamv_models::taps::AdaptedMlp;
use adamv_models::vit::Mode;
use tch::{Device, Kind, Tensor};

const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

fn tiny(taps: Option<TapsConfig>) -> ModelConfig {
    let mut config = preset("vit-micro").unwrap();
    let backbone = &mut config.backbone;
    (backbone.depth, backbone.width, backbone.heads, backbone.mlp) = (2, 24, 2, 48);
    backbone.taps = taps;
    (config.inputs.classification.windows, config.inputs.detection.windows) = (2, 2);
    config
}

fn build(name: &str, taps: Option<TapsConfig>) -> Box<dyn System> {
    let classes = Classes { classification: 6, detection: 5 };
    systems::build(name, &tiny(taps), classes, 3, Device::Cpu).unwrap()
}

fn set(weight: &Tensor, value: f64) {
    let _filled = tch::no_grad(|| weight.shallow_clone().fill_(value));
}

#[test]
fn straight_through_gradients_equal_finite_differences() {
    let task = Task::Detection;
    // fc1's delta counts, fc2's doesn't.
    let taps = TapsConfig::default().values();
    let mut params = Params::new(5, Device::Cpu);
    let mlp = AdaptedMlp::new(params.root(), 4, 5, &taps, &[task]);
    tch::manual_seed(2);
    for param in params.iter() {
        let first = param.tensor.detach().to_kind(Kind::Double);
        let moved =
            if param.name.contains("indicator") { first } else { first + Tensor::randn(param.tensor.size(), DOUBLE) };
        param.tensor.shallow_clone().set_data(&moved);
    }
    let weights = params.by_name();
    set(weights["fc2.indicator.detection"], 0.01);
    let tokens = Tensor::randn([1, 6, 4], DOUBLE).set_requires_grad(true);
    let weighting = Tensor::randn([1, 6, 4], DOUBLE);
    let loss = || (mlp.forward(&tokens, task) * &weighting).sum(None);
    let slope = |place: &Tensor, i: i64| {
        let flat = place.detach().view([-1]);
        let value = flat.double_value(&[i]);
        let at = |shift: f64| {
            let _filled = flat.get(i).fill_(value + shift);
            tch::no_grad(loss).double_value(&[])
        };
        let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
        let _restored = flat.get(i).fill_(value);
        slope
    };
    let places: Vec<(&str, &Tensor)> =
        weights.iter().map(|(name, weight)| (*name, *weight)).chain([("tokens", &tokens)]).collect();
    let all: Vec<&Tensor> = places.iter().map(|(_, place)| *place).collect();
    let gradients = Tensor::run_backward(&[loss()], &all, false, false);
    for ((name, place), gradient) in places.iter().zip(&gradients) {
        let gradient = gradient.view([-1]);
        let compare = |i: i64, slope: f64| {
            let ours = gradient.double_value(&[i]);
            assert!((ours - slope).abs() < 1e-6 * slope.abs().max(1.0), "{name}[{i}]: {ours}, slope {slope}");
        };
        let Some(layer) = name.strip_suffix(".indicator.detection") else {
            (0..gradient.size()[0]).for_each(|i| compare(i, slope(place, i)));
            let counts = !name.starts_with("fc2.delta");
            assert_eq!(gradient.abs().max().double_value(&[]) > 1e-4, counts, "{name}");
            continue;
        };
        // The step has no slope; straight through is the slope by the factor of the delta, which is 1 or 0 here. Shifting the
        // factor by h shifts the weight by h times the delta.
        let (weight, delta) = (weights[&*format!("{layer}.weight")], weights[&*format!("{layer}.delta.detection")]);
        let before = weight.detach().copy();
        let at = |h: f64| {
            tch::no_grad(|| {
                weight.shallow_clone().copy_(&(&before + delta.detach() * h));
                loss().double_value(&[])
            })
        };
        let wanted = (at(1e-6) - at(-1e-6)) / 2e-6;
        tch::no_grad(|| weight.shallow_clone().copy_(&before));
        assert!(wanted.abs() > 1e-2, "{name} would have no gradient to speak of");
        compare(0, wanted);
    }
}

#[test]
fn with_every_indicator_off_it_is_mtl_vit_bit_for_bit() {
    let (taps, dense) = (build("taps", None), build("mtl-vit", None));
    let (ours, theirs) = (taps.params().by_name(), dense.params().by_name());
    let shared = || ours.iter().filter(|(name, _)| !name.contains(".delta.") && !name.contains(".indicator."));
    assert_eq!(shared().map(|(name, _)| *name).collect::<Vec<_>>(), theirs.keys().copied().collect::<Vec<_>>());
    tch::manual_seed(8);
    for (name, weight) in shared() {
        assert_eq!(**weight, *theirs[name], "{name} starts elsewhere");
        let moved = tch::no_grad(|| *weight + weight.randn_like() * 0.1);
        tch::no_grad(|| {
            weight.shallow_clone().copy_(&moved);
            theirs[name].shallow_clone().copy_(&moved);
        });
    }
    let images = Tensor::rand([3, 3, 64, 64], (Kind::Float, Device::Cpu));
    let differing = || {
        tch::no_grad(|| {
            [System::classify, System::feature_map]
                .map(|run| run(&*taps, &images, Mode::Evaluate).0 != run(&*dense, &images, Mode::Evaluate).0)
        })
    };
    assert_eq!(differing(), [false, false], "deltas start at zero");
    for (_, delta) in ours.iter().filter(|(name, _)| name.contains(".delta.")) {
        set(delta, 0.1);
    }
    assert_eq!(differing(), [true, true], "deltas count while their scores are over the threshold");
    for (name, score) in ours.iter().filter(|(name, _)| name.contains(".indicator.")) {
        // Just below the threshold, and far.
        set(score, if name.ends_with("detection") { 0.0499 } else { -3.0 });
    }
    assert_eq!(differing(), [false, false]);
    set(ours["blocks.1.mlp.fc2.indicator.detection"], 0.0501);
    assert_eq!(differing(), [false, true], "a task's score is its own");
}

#[test]
fn a_task_activates_the_deltas_that_count() {
    let (taps, dense) = (build("taps", None), build("mtl-vit", None));
    let of = |system: &dyn System, task| system.params_activated(task, Part::Backbone);
    let shared = of(&*dense, Task::Classification);
    let layer = 24 * 48;
    assert_eq!(of(&*taps, Task::Classification), shared + 4 * layer);
    set(taps.params().by_name()["blocks.0.mlp.fc1.indicator.classification"], 0.0);
    assert_eq!(of(&*taps, Task::Classification), shared + 3 * layer);
    assert_eq!(of(&*taps, Task::Detection), of(&*dense, Task::Detection) + 4 * layer);
}

#[test]
fn stages_train_what_the_settings_say() {
    let trained = |system: &dyn System, phase: &Phase| -> Vec<String> {
        system.params().iter().filter(|p| system.trains(&p.name, phase)).map(|p| p.name.clone()).collect()
    };
    let names = |frozen: Frozen, two_stages: bool| -> Vec<Vec<String>> {
        let system = build("taps", Some(TapsConfig { frozen: Some(frozen), ..TapsConfig::default() }));
        system.phases(two_stages).iter().map(|phase| trained(&*system, phase)).collect()
    };
    let own = |name: &String| name.contains(".delta.") || name.contains(".indicator.");
    let all = names(Frozen::Shared, false);
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].len(), build("taps", None).params().iter().count(), "one stage freezes nothing");
    for frozen in [Frozen::Nothing, Frozen::AdaptedWeights, Frozen::Shared] {
        let [first, second] = names(frozen, true).try_into().unwrap();
        let detects = |name: &String| name.starts_with("detector.") || name.starts_with("embed.detection.");
        assert!(!first.iter().any(|name| own(name) || detects(name)), "{first:?}");
        assert_eq!(first.len(), all[0].iter().filter(|name| !own(name) && !detects(name)).count());
        let missing: Vec<&String> = all[0].iter().filter(|name| !second.contains(name)).collect();
        let wanted: Vec<&String> = match frozen {
            Frozen::Nothing => Vec::new(),
            Frozen::AdaptedWeights => all[0]
                .iter()
                .filter(|name| name.ends_with(".mlp.fc1.weight") || name.ends_with(".mlp.fc2.weight"))
                .collect(),
            Frozen::Shared => {
                all[0].iter().filter(|n| (n.starts_with("blocks.") || n.starts_with("norm.")) && !own(n)).collect()
            }
        };
        assert_eq!(missing, wanted, "{frozen:?}");
    }
}

#[test]
fn the_penalty_weighs_each_score_as_the_released_one() {
    // moe_mtl/modeling/vmoe_mtl.py: for each of L blocks 0.1 x the sum of its 4 scores / L / 4. Here L = 2.
    let system = build("taps", None);
    let indicators = system.indicators().unwrap();
    let weights = system.params().by_name();
    let mut released = 0.0;
    for block in 0..2 {
        let mut sum = 0.0;
        for (i, layer) in ["fc1", "fc2"].into_iter().enumerate() {
            for (j, task) in Task::ALL.into_iter().enumerate() {
                let score: f64 = [0.5, -1.0, 2.0, 0.25][2 * i + j] * (block + 1) as f64;
                set(weights[format!("blocks.{block}.mlp.{layer}.indicator.{task}").as_str()], score);
                sum += score.abs();
            }
        }
        released += 0.1 * sum / 2.0 / 4.0;
    }
    assert!((released - 0.140625).abs() < 1e-12, "0.0125 x (3.75 + 7.5)");
    let ours = Task::ALL.map(|task| indicators.penalty(task, 0.0).unwrap());
    let ours = &ours[0] + &ours[1];
    assert!((ours.double_value(&[]) - released).abs() < 1e-7, "{ours}");
    ours.backward();
    for (name, score) in weights.iter().filter(|(name, _)| name.contains(".indicator.")) {
        let slope = score.grad().double_value(&[]);
        assert!((slope.abs() - 0.025 / 2.0).abs() < 1e-8, "{name}: {slope}");
    }
}

#[test]
fn settings_are_the_published_ones_and_each_value_can_be_changed() {
    // paper.md section 7; the original's lambda is the default of its code.
    let of = |text: &str| serde_json::from_str::<TapsConfig>(text).unwrap().values();
    let ours = of("{}");
    assert_eq!((ours.indicator, ours.threshold, ours.penalty, ours.penalty_after_epochs), (1.0, 0.05, 0.05, 0.0));
    assert_eq!(ours.frozen, Frozen::AdaptedWeights);
    let original = of(r#"{"settings": "original"}"#);
    let wanted = (0.15, 0.1, 1.0, 2.0);
    assert_eq!((original.indicator, original.threshold, original.penalty, original.penalty_after_epochs), wanted);
    assert_eq!(original.frozen, Frozen::Shared);
    let changed = of(r#"{"settings": "original", "penalty": 0.5, "frozen": "nothing"}"#);
    assert_eq!((changed.penalty, changed.frozen, changed.threshold), (0.5, Frozen::Nothing, 0.1));
    let mut config = tiny(Some(TapsConfig { settings: TapsSettings::Original, ..TapsConfig::default() }));
    assert!(systems::resolve("taps", &config).is_ok());
    let error = systems::resolve("mtl-vit", &config).unwrap_err().to_string();
    assert!(error.contains("model.backbone.taps: ") && error.contains("mtl-vit adapts no weights"), "{error}");
    config.backbone.taps = Some(TapsConfig { penalty: Some(-1.0), ..TapsConfig::default() });
    let error = systems::resolve("taps", &config).unwrap_err().to_string();
    assert!(error.contains("model.backbone.taps.penalty: -1 ") && error.contains("0 or more"), "{error}");
}
