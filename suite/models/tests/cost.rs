//! Costs against what a forward pass executes, against gradients, and against timm.
//!
//! Multiply-adds are counted for the whole process, so these tests take turns.

use std::sync::{Mutex, PoisonError};

use adamv_datasets::Task;
use adamv_models::config::{
    BACKBONES, Classes, ExpertInit, ModelConfig, MoeConfig, MoeLayers, Pool, RouterSharing, preset,
};
use adamv_models::cost::Cost;
use adamv_models::detection::{Limits, Targets};
use adamv_models::moe::dispatch::{Dispatch, Grouped, Loop, Sorted};
use adamv_models::moe::experts::Experts;
use adamv_models::params::Params;
use adamv_models::systems::{self, Entry, Part, SYSTEMS, System};
use adamv_models::vit::Mode;
use adamv_native::executed_macs;
use tch::{Device, Kind, Tensor};

static TURN: Mutex<()> = Mutex::new(());
const CLASSES: Classes = Classes { classification: 6, detection: 5 };
const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

/// A small backbone under the system's own changes; both tasks at 64 px. `windows` of classification and of detection.
fn tiny(name: &str, stages: usize, windows: (usize, usize)) -> ModelConfig {
    let mut config = systems::preset(name, "vit-micro").unwrap();
    config.backbone.depth = 3;
    (config.inputs.classification.windows, config.inputs.detection.windows) = windows;
    let detector = &mut config.detector;
    (detector.stages, detector.channels, detector.box_fc, detector.rpn_post_nms) = (stages, 8, 16, 20);
    config
}

fn build(name: &str, config: &ModelConfig) -> Box<dyn System> {
    systems::build(name, config, CLASSES, 0, Device::Cpu).unwrap()
}

/// Multiply-adds that one image of `task` executed, in the backbone and in the head, and the number of its detections.
fn executed(system: &dyn System, config: &ModelConfig, task: Task) -> ([u64; 2], usize) {
    let side = config.inputs.of(task).image_size as i64;
    let image = Tensor::rand([1, 3, side, side], FLOAT);
    tch::no_grad(|| match task {
        Task::Classification => {
            let (_, whole) = executed_macs(|| system.classify(&image, Mode::Evaluate)).unwrap();
            let head = system.macs(task, Part::Head, 0);
            // A linear layer on one vector.
            assert_eq!(head, (config.backbone.width * CLASSES.classification) as u64);
            ([whole - head, head], 0)
        }
        Task::Detection => {
            let ((map, _), backbone) = executed_macs(|| system.feature_map(&image, Mode::Evaluate)).unwrap();
            let limits = Limits { score: 0.0, nms: 0.5, count: 7 };
            let (found, head) = executed_macs(|| system.detector().detect(&map, &limits)).unwrap();
            ([backbone, head], found[0].len())
        }
    })
}

fn expected(system: &dyn System, task: Task, detections: usize) -> [u64; 2] {
    [Part::Backbone, Part::Head].map(|part| system.macs(task, part, detections))
}

#[test]
fn multiply_adds_are_those_that_the_layers_execute() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for Entry { name, .. } in SYSTEMS {
        for (stages, windows, pool) in [(1, (1, 2), Pool::Mean), (3, (4, 1), Pool::Mean), (1, (1, 1), Pool::Token)] {
            let mut config = tiny(name, stages, windows);
            config.backbone.pool = pool;
            let system = build(name, &config);
            let most = system.experts().map_or(1, |experts| experts.experts());
            for k in 1..=most {
                for task in Task::ALL {
                    if let Some(experts) = system.experts() {
                        experts.set_k(task, k).unwrap();
                    }
                    let (counted, detections) = executed(&*system, &config, task);
                    let wanted = expected(&*system, task, detections);
                    assert_eq!(wanted, counted, "{name}, {task}, {stages} stages, {windows:?} windows, k = {k}");
                    assert!(wanted.iter().all(|macs| *macs > 0));
                }
            }
        }
    }
}

#[test]
fn odd_sides_levels_and_a_shared_router_are_counted_too() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut config = tiny("adamv-moe", 2, (1, 1));
    config.inputs.detection.image_size = 72; // levels of 36, 18, 9, 5, 3 cells
    (config.detector.min_level, config.detector.max_level) = (1, 5);
    (config.detector.rpn_pre_nms, config.detector.rpn_post_nms) = (40, 100_000); // all 5 x 40 or less are proposals
    config.detector.mask_convs = 2;
    let router = RouterSharing::Shared;
    config.backbone.moe = Some(MoeConfig { router, layers: MoeLayers::Early, experts: 3, ..MoeConfig::default() });
    let system = build("adamv-moe", &config);
    let (counted, detections) = executed(&*system, &config, Task::Detection);
    assert_eq!(expected(&*system, Task::Detection, detections), counted);
}

#[test]
fn every_way_of_dispatch_executes_k_experts_a_token() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (tokens, width, hidden, count) = (10, 8, 16, 4);
    let mut params = Params::new(0, Device::Cpu);
    let experts = Experts::new(params.root(), width as usize, hidden as usize, count as usize, ExpertInit::Independent);
    let rows = Tensor::randn([tokens, width], FLOAT);
    for k in 1..=count {
        let (gates, selected) = Tensor::rand([tokens, count], FLOAT).topk(k, -1, true, true);
        let pairs = tokens * k;
        // Grouped products have no bias: there it is a product of each pair's one-hot expert with all biases.
        let bias = pairs * count * (hidden + width);
        let ways: [(&dyn Dispatch, i64); 3] = [(&Loop, 0), (&Sorted, 0), (&Grouped(Kind::Float), bias)];
        for (i, (way, beside)) in ways.into_iter().enumerate() {
            let (_, counted) = executed_macs(|| tch::no_grad(|| way.run(&rows, &selected, &gates, &experts))).unwrap();
            assert_eq!(counted, experts.macs(pairs as usize) + beside as u64, "way {i}, k = {k}");
            assert_eq!(experts.macs(pairs as usize), (pairs * 2 * width * hidden) as u64);
        }
    }
}

#[test]
fn pairs_without_room_are_counted_and_run() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut config = tiny("adamv-moe", 1, (1, 1));
    let of = |config: &ModelConfig| {
        let system = systems::sizes("adamv-moe", config, CLASSES).unwrap();
        Task::ALL.map(|task| Cost::of(&*system, task, 7).macs)
    };
    let dropless = of(&config);
    config.backbone.moe.as_mut().unwrap().capacity_factor = Some(0.25);
    assert_eq!(of(&config), dropless);
    let system = build("adamv-moe", &config);
    for task in Task::ALL {
        let (counted, detections) = executed(&*system, &config, task);
        // They run and a gate of 0 leaves their answers out.
        assert_eq!(expected(&*system, task, detections), counted, "{task}");
    }
}

/// Parameters that the output of a training step of `task` depends on: weights with a gradient, of experts' those with one.
fn touched(system: &dyn System, config: &ModelConfig, task: Task) -> u64 {
    let side = config.inputs.of(task).image_size as i64;
    let images = Tensor::rand([1, 3, side, side], FLOAT);
    let terms: Vec<Tensor> = match task {
        Task::Classification => vec![system.classify(&images, Mode::Evaluate).0.square().mean(Kind::Float)],
        Task::Detection => {
            let targets = Targets {
                boxes: Tensor::from_slice(&[4f32, 4.0, 30.0, 28.0]).view([1, 1, 4]),
                labels: Tensor::from_slice(&[2i64]).view([1, 1]),
                masks: Tensor::ones([1, 1, 14, 14], (Kind::Uint8, Device::Cpu)),
            };
            let map = system.feature_map(&images, Mode::Evaluate).0;
            system.detector().losses(&map, &targets, Mode::Evaluate).into_iter().map(|(_, loss)| loss).collect()
        }
    };
    Tensor::stack(&terms, 0).sum(Kind::Float).backward();
    let mut count = 0;
    // Scores are folded into the weights before an image comes.
    for param in system.params().iter().filter(|p| !p.name.contains(".indicator.")) {
        let gradient = param.tensor.grad();
        if gradient.defined() {
            let parts = if param.name.contains(".moe.experts.") { gradient.size()[0] } else { 1 };
            let reached = gradient.view([parts, -1]).abs().amax([1].as_slice(), false).gt(0.0).sum(Kind::Int64);
            count += (param.tensor.numel() as i64 / parts * reached.int64_value(&[])) as u64;
            param.tensor.shallow_clone().zero_grad();
        }
    }
    count
}

#[test]
fn activated_parameters_are_those_that_the_output_depends_on() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for (Entry { name, .. }, stages) in SYSTEMS.iter().flat_map(|entry| [(entry, 1), (entry, 3)]) {
        let config = tiny(name, stages, (1, 1));
        let system = build(name, &config);
        tch::manual_seed(1);
        for param in system.params().iter() {
            // A router of zeros sends every token to the same K experts; some deltas count, some don't.
            let value = if param.name.contains(".routers.") {
                Tensor::zeros_like(&param.tensor)
            } else if param.name.contains(".indicator.") {
                Tensor::full_like(&param.tensor, if param.name.contains(".fc1.") { 0.2 } else { 0.01 })
            } else {
                param.tensor.detach() + param.tensor.randn_like() * 0.02
            };
            tch::no_grad(|| param.tensor.shallow_clone().copy_(&value));
        }
        let most = system.experts().map_or(1, |experts| experts.experts());
        for k in 1..=most {
            for task in Task::ALL {
                if let Some(experts) = system.experts() {
                    experts.set_k(task, k).unwrap();
                }
                let cost = Cost::of(&*system, task, 7);
                assert_eq!(cost.params_activated, touched(&*system, &config, task), "{name}, {task}, {stages}, {k}");
            }
        }
    }
}

#[test]
fn sizes_alone_tell_the_same() {
    for Entry { name, .. } in SYSTEMS {
        let config = tiny(name, 3, (2, 2));
        let (whole, sizes) = (build(name, &config), systems::sizes(name, &config, CLASSES).unwrap());
        let of = |system: &dyn System| -> Vec<(String, Vec<i64>, bool)> {
            system.params().iter().map(|p| (p.name.clone(), p.tensor.size(), p.decay)).collect()
        };
        assert_eq!(of(&*whole), of(&*sizes), "{name}");
        for task in Task::ALL {
            assert_eq!(Cost::of(&*whole, task, 9), Cost::of(&*sizes, task, 9), "{name}, {task}");
        }
        // A weight without memory: every step along every axis stays where it is.
        assert!(sizes.params().iter().all(|p| p.tensor.stride().iter().all(|stride| *stride == 0)), "{name}");
    }
}

#[test]
fn vits_cost_what_timm_counts() {
    // Made by tests/golden/make_cost.py: timm 1.0.28, torch 2.11.0.
    let wanted = [
        ("vit-small", Pool::Token, 22_050_664, 4_598_882_304),
        ("vit-base", Pool::Token, 86_567_656, 17_563_828_224),
        ("uvit-base", Pool::Mean, 32_696_680, 6_831_946_752),
    ];
    for (backbone, pool, params, macs) in wanted {
        let mut config = preset(backbone).unwrap();
        config.backbone.pool = pool;
        let classes = Classes { classification: 1000, detection: 80 };
        let system = systems::sizes("mtl-vit", &config, classes).unwrap();
        let cost = Cost::of(&*system, Task::Classification, 0);
        assert_eq!((cost.params_activated, cost.macs), (params, macs), "{backbone}");
    }
}

#[test]
fn uvit_b_costs_what_its_paper_says_within_two_percent() {
    // paper.md section 2: 32.8 M parameters, 6.9 G multiply-adds at 224 px with patch 16 (Chen et al., ECCV 2022).
    let classes = Classes { classification: 1000, detection: 80 };
    let uvit = preset("uvit-base").unwrap();
    let of =
        |config: &ModelConfig| Cost::of(&*systems::sizes("mtl-vit", config, classes).unwrap(), Task::Classification, 0);
    let near = |ours: u64, theirs: f64| (ours as f64 / theirs - 1.0).abs() < 0.02;
    let global = of(&uvit);
    assert!(near(global.params_activated, 32.8e6) && near(global.macs, 6.9e9), "{global:?}");
    assert_eq!(uvit.inputs.detection.windows, 2);
    // Their 6.9 G is with attention over the whole image. In 2x2 windows a token would meet a quarter of the 196 tokens in both
    // products, in each of 18 blocks: 6.4 G.
    let mut split = uvit.clone();
    split.inputs.classification.windows = 2;
    let windowed = of(&split);
    assert_eq!(global.params_activated, windowed.params_activated);
    assert_eq!(global.macs - windowed.macs, 18 * 2 * 196 * (196 - 49) * 384);
}

#[test]
fn uvit_b_executes_at_224_px_what_it_says() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut config = preset("uvit-base").unwrap();
    // Classification alone is run: a small detector, whose anchors would take their time.
    config.inputs.detection.image_size = 64;
    let system = build("mtl-vit", &config);
    let (counted, _) = executed(&*system, &config, Task::Classification);
    assert_eq!(expected(&*system, Task::Classification, 0), counted);
    let whole = counted[0] + counted[1];
    assert!((6_800_000_000..6_950_000_000).contains(&whole), "{whole}");
}

#[test]
fn a_paper_sized_system_without_weights_takes_no_memory() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let resident = || -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    };
    let before = resident();
    let classes = Classes { classification: 1000, detection: 80 };
    let systems: Vec<Box<dyn System>> = BACKBONES
        .into_iter()
        .flat_map(|backbone| SYSTEMS.iter().map(move |entry| (entry.name, backbone)))
        .map(|(name, backbone)| systems::sizes(name, &systems::preset(name, backbone).unwrap(), classes).unwrap())
        .collect();
    let params: u64 = systems.iter().map(|system| system.params().count(|_| true)).sum();
    let taken = resident().saturating_sub(before);
    // Some gigabytes they would be; their anchors take some megabytes.
    assert!(params > 2_000_000_000 && taken < 400 << 20, "{params} parameters, {taken} bytes");
}
