//! What needs the same random draws twice: gradients against finite differences, and one expert against an MLP in training.
//! A process has one generator, so these tests have a process of their own and take turns.

use std::sync::{Mutex, PoisonError};

use adamv_datasets::Task;
use adamv_models::config::{Classes, ModelConfig, MoeConfig, MoeLayers, RouterSharing, preset};
use adamv_models::moe::dispatch::{Dispatch, Loop, Sorted};
use adamv_models::moe::{MoeLayer, Route};
use adamv_models::params::Params;
use adamv_models::systems::{self, System};
use adamv_models::vit::Mode;
use tch::{Device, Kind, Tensor};

static TURN: Mutex<()> = Mutex::new(());
const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);
const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

fn tiny() -> ModelConfig {
    let mut config = preset("vit-micro").unwrap();
    let backbone = &mut config.backbone;
    (backbone.depth, backbone.width, backbone.heads, backbone.mlp) = (4, 24, 2, 48);
    (config.inputs.classification.windows, config.inputs.detection.windows) = (2, 2);
    config
}

fn build(name: &str, config: &ModelConfig) -> Box<dyn System> {
    let classes = Classes { classification: 6, detection: 5 };
    systems::build(name, config, classes, 3, Device::Cpu).unwrap()
}

#[test]
fn one_expert_and_one_router_give_what_the_mlp_gives_bit_for_bit() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for layers in [MoeLayers::EverySecond, MoeLayers::Blocks(vec![0, 1, 2, 3])] {
        let one = MoeConfig { layers, experts: 1, k: 1, router: RouterSharing::Shared, ..MoeConfig::default() };
        let mut config = tiny();
        config.backbone.drop_path = 0.3;
        let dense = build("mtl-vit", &config);
        config.backbone.moe = Some(one);
        let moe = build("adamv-moe", &config);
        // Same seed, same start.
        let (ours, theirs) = (moe.params().by_name(), dense.params().by_name());
        let their_name = |name: &str| name.replace(".moe.experts.", ".mlp.");
        for (name, weight) in ours.iter().filter(|(name, _)| !name.contains(".routers.")) {
            let expected = theirs[their_name(name).as_str()];
            assert_eq!(weight.view_as(expected), *expected, "{name} starts elsewhere");
        }
        // And with any other weights.
        tch::manual_seed(8);
        tch::no_grad(|| {
            for (name, weight) in &ours {
                let moved = *weight + weight.randn_like() * 0.1;
                weight.shallow_clone().copy_(&moved);
                if !name.contains(".routers.") {
                    let other = theirs[their_name(name).as_str()];
                    other.shallow_clone().copy_(&moved.view_as(other));
                }
            }
            let images = Tensor::rand([3, 3, 64, 64], FLOAT);
            for mode in [Mode::Evaluate, Mode::Train] {
                for run in [System::classify, System::feature_map] {
                    let [a, b] = [&dense, &moe].map(|system| {
                        tch::manual_seed(1);
                        run(&**system, &images, mode).0
                    });
                    assert_eq!(a, b, "{mode:?}");
                }
            }
        });
    }
}

#[test]
fn gradients_of_routers_and_experts_equal_finite_differences() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let config = MoeConfig { experts: 3, ..MoeConfig::default() };
    let mut params = Params::new(5, Device::Cpu);
    let layer = MoeLayer::new(params.root(), 4, 5, &config, &[Task::Detection]);
    tch::manual_seed(2);
    let weights: Vec<(String, Tensor)> = params
        .iter()
        .map(|param| {
            let mut weight = param.tensor.shallow_clone();
            // Experts that start equal, with biases of zero, would hide a mix-up.
            weight
                .set_data(&(param.tensor.detach().to_kind(Kind::Double) + Tensor::randn(weight.size(), DOUBLE) * 0.3));
            (param.name.clone(), weight)
        })
        .collect();
    let tokens = Tensor::randn([1, 6, 4], DOUBLE).set_requires_grad(true);
    let weighting = Tensor::randn([1, 6, 4], DOUBLE);
    let loss = |way: &dyn Dispatch| {
        tch::manual_seed(9); // the same noise every time
        let (out, routing) = layer.forward_by(way, &tokens, 1, Route { task: Task::Detection, k: 2 }, Mode::Train);
        (out * &weighting).sum(None) + routing.importance_loss + routing.load_loss.unwrap()
    };
    let places: Vec<(&str, &Tensor)> =
        weights.iter().map(|(name, weight)| (name.as_str(), weight)).chain([("tokens", &tokens)]).collect();
    let ways: [(&str, &dyn Dispatch); 2] = [("loop", &Loop), ("sorted", &Sorted)];
    for (way, dispatch) in ways {
        let gradients = Tensor::run_backward(
            &[loss(dispatch)],
            &places.iter().map(|(_, place)| *place).collect::<Vec<_>>(),
            false,
            false,
        );
        for ((name, place), gradient) in places.iter().zip(&gradients) {
            assert!(gradient.abs().max().double_value(&[]) > 1e-4, "{name} has no gradient to speak of");
            let (flat, gradient) = (place.detach().view([-1]), gradient.view([-1]));
            for i in 0..flat.size()[0] {
                let value = flat.double_value(&[i]);
                let at = |shift: f64| {
                    let _filled = flat.get(i).fill_(value + shift);
                    tch::no_grad(|| loss(dispatch)).double_value(&[])
                };
                let step = 1e-6;
                let slope = (at(step) - at(-step)) / (2.0 * step);
                let _restored = flat.get(i).fill_(value);
                let ours = gradient.double_value(&[i]);
                assert!(
                    (ours - slope).abs() < 1e-7 * slope.abs().max(1.0),
                    "{way}, {name}[{i}]: {ours}, slope {slope}"
                );
            }
        }
    }
}
