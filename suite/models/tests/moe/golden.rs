//! Against an implementation in PyTorch that shares nothing with ours (`golden/make_moe.py`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use adamv_datasets::Task;
use adamv_models::config::{BackboneConfig, InputConfig, MoeConfig, MoeLayers};
use adamv_models::moe::router::Choice;
use adamv_models::moe::{Route, losses};
use adamv_models::params::Params;
use adamv_models::vit::{Embedding, Mode, Trunk};
use adamv_models::weights;
use tch::{Device, Kind, Tensor};

use crate::difference;

fn saved() -> (PathBuf, BTreeMap<String, Tensor>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/moe.safetensors");
    let saved = weights::read(&path).unwrap();
    (path, saved)
}

#[test]
fn the_backbone_equals_the_independent_one_for_both_tasks() {
    let (path, saved) = saved();
    let moe = MoeConfig { layers: MoeLayers::Blocks(vec![1, 2]), experts: 4, ..MoeConfig::default() };
    let config = BackboneConfig { depth: 3, width: 48, heads: 3, mlp: 96, moe: Some(moe), ..BackboneConfig::default() };
    for task in Task::ALL {
        let mut params = Params::new(0, Device::Cpu);
        let embedding =
            Embedding::new(params.root(), &config, &InputConfig { image_size: 32, patch_size: 8, windows: 1 });
        let trunk = Trunk::new(params.root(), &config, &[task]);
        weights::assign(&params, &path, |name| saved.get(name)).unwrap();
        let (tokens, out) = tch::no_grad(|| {
            trunk.forward(&embedding.forward(&saved["images"]), 1, Route { task, k: 2 }, Mode::Evaluate)
        });
        let theirs = |name: &str| &saved[&format!("{task}.{name}")];
        assert!(difference(&tokens, theirs("tokens")) < 1e-5, "{task}: tokens");
        assert!(difference(&trunk.pool(&tokens), theirs("pooled")) < 1e-5, "{task}: pooled");
        for i in [1, 2] {
            let both = |name: &str| {
                let key = format!("{name}.{i}");
                (out[&key].shallow_clone(), theirs(&key).shallow_clone())
            };
            let (ours, expected) = both("selected");
            assert_eq!((ours.kind(), &ours), (Kind::Int64, &expected), "{task}, block {i}");
            let (ours, expected) = both("router_probs");
            assert!(difference(&ours, &expected) < 1e-5, "{task}, block {i}: probabilities");
            for name in ["importance_loss", "load_loss"] {
                let (ours, expected) = both(name);
                assert!(ours.dim() == 0 && difference(&ours.view([1]), &expected) < 1e-5, "{task}, block {i}: {name}");
            }
        }
        assert!(!out.contains_key("router_probs.0"), "block 0 is dense");
    }
}

#[test]
fn losses_equal_their_formulas_in_f64() {
    let (_, saved) = saved();
    let importance = losses::importance(&saved["importance.probs"], 40);
    assert!(difference(&importance.view([1]), &saved["importance.loss"]) < 1e-6);
    let (logits, noisy) = (&saved["load.logits"], &saved["load.noisy"]);
    for k in 1..=4 {
        let (_, selected) = noisy.topk(k, -1, true, true);
        let choice = Choice {
            logits: logits.copy(),
            noisy: noisy.copy(),
            probs: logits.softmax(-1, Kind::Float),
            gates: noisy.softmax(-1, Kind::Float).gather(-1, &selected, false),
            selected,
        };
        let expected = saved["load.loss"].get(k - 1);
        assert!(difference(&losses::load(&choice, 0.2, 40), &expected) < 1e-6, "k = {k}");
    }
}
