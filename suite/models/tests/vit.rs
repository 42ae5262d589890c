//! The backbone against timm (`golden/make_timm_vit.py`), and UViT's windows.

use std::path::Path;

use adamv_datasets::Task;
use adamv_models::config::{BackboneConfig, InputConfig, Pool};
use adamv_models::moe::Route;
use adamv_models::params::Params;
use adamv_models::vit::{Embedding, Mode, Trunk};
use adamv_models::weights;
use tch::{Device, Kind, Tensor};

const ROUTE: Route = Route { task: Task::Classification, k: 0 };

fn against_timm(file: &str, pool: Pool) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    let saved = weights::read(&path).unwrap();
    let config = BackboneConfig { depth: 2, width: 48, heads: 3, mlp: 96, pool, ..BackboneConfig::default() };
    let input = InputConfig { image_size: 32, patch_size: 8 };
    let mut params = Params::new(0, Device::Cpu);
    let embedding = Embedding::new(params.root(), &config, &input);
    let trunk = Trunk::new(params.root(), &config, &Task::ALL);
    weights::assign(&params, &path, |name| saved.get(name)).unwrap();
    let (tokens, _) = tch::no_grad(|| trunk.forward(&embedding.forward(&saved["images"]), ROUTE, Mode::Evaluate));
    let pooled = trunk.pool(&tokens);
    for (name, ours) in [("tokens", &tokens), ("pooled", &pooled)] {
        assert_eq!(ours.size(), saved[name].size(), "{name}");
        let most = (ours - &saved[name]).abs().max().double_value(&[]);
        assert!(most < 1e-5, "{name} differs by {most}");
    }
}

#[test]
fn mean_pooling_equals_timm() {
    against_timm("vit_mean.safetensors", Pool::Mean);
}

#[test]
fn token_pooling_equals_timm() {
    against_timm("vit_token.safetensors", Pool::Token);
}

fn small(windows: usize) -> (Params, Embedding, Trunk) {
    let config = BackboneConfig { depth: 2, width: 8, heads: 2, mlp: 16, windows, ..BackboneConfig::default() };
    let mut params = Params::new(3, Device::Cpu);
    let embedding = Embedding::new(params.root(), &config, &InputConfig { image_size: 32, patch_size: 8 });
    let trunk = Trunk::new(params.root(), &config, &Task::ALL);
    (params, embedding, trunk)
}

#[test]
fn attention_never_crosses_a_window() {
    let (_params, embedding, trunk) = small(2);
    tch::manual_seed(0);
    let images = Tensor::rand([1, 3, 32, 32], (Kind::Float, Device::Cpu));
    let changed = images.copy();
    let _filled = changed.narrow(2, 0, 8).narrow(3, 16, 8).fill_(9.0); // patch row 0, column 2: the window top right
    let map = |images: &Tensor| trunk.map(&trunk.forward(&embedding.forward(images), ROUTE, Mode::Evaluate).0);
    let moved = (map(&images) - map(&changed)).abs().amax([0, 1].as_slice(), false); // [4, 4] patches
    for y in 0..4 {
        for x in 0..4 {
            let same_window = y < 2 && x >= 2;
            assert_eq!(moved.double_value(&[y, x]) > 0.0, same_window, "patch {y}, {x}");
        }
    }
}

#[test]
fn a_window_is_a_small_image() {
    // With 2x2 windows each quarter of the tokens runs as if it were alone.
    let (_params, embedding, windowed) = small(2);
    let (_params, _, plain) = small(1);
    tch::manual_seed(0);
    let tokens = embedding.forward(&Tensor::rand([2, 3, 32, 32], (Kind::Float, Device::Cpu)));
    let whole = windowed.forward(&tokens, ROUTE, Mode::Evaluate).0.view([2, 4, 4, 8]);
    let quarter = tokens.view([2, 4, 4, 8]).narrow(1, 2, 2).narrow(2, 0, 2).reshape([2, 4, 8]);
    let alone = plain.forward(&quarter, ROUTE, Mode::Evaluate).0;
    let found = whole.narrow(1, 2, 2).narrow(2, 0, 2).reshape([2, 4, 8]);
    assert!((alone - found).abs().max().double_value(&[]) < 1e-6);
}

#[test]
fn intermediates_are_named_by_block() {
    let (_params, embedding, trunk) = small(2);
    let images = Tensor::zeros([1, 3, 32, 32], (Kind::Float, Device::Cpu));
    let (tokens, out) = trunk.forward(&embedding.forward(&images), ROUTE, Mode::Evaluate);
    assert_eq!(out.keys().collect::<Vec<_>>(), ["blocks.0", "blocks.1"]);
    assert!(out.values().all(|t| t.size() == tokens.size()));
}

#[test]
fn stochastic_depth_leaves_whole_images_out() {
    let config = BackboneConfig {
        depth: 2,
        width: 8,
        heads: 2,
        mlp: 16,
        drop_path: 0.5,
        windows: 2,
        ..BackboneConfig::default()
    };
    let mut params = Params::new(3, Device::Cpu);
    let trunk = Trunk::new(params.root(), &config, &Task::ALL);
    tch::manual_seed(5);
    let tokens = Tensor::rand([64, 16, 8], (Kind::Float, Device::Cpu));
    let (_, out) = trunk.forward(&tokens, ROUTE, Mode::Train);
    let (_, kept) = trunk.forward(&tokens, ROUTE, Mode::Evaluate);
    // Block 0 has rate 0, block 1 the whole rate: both its branches are left out for about a quarter of the images.
    assert_eq!(out["blocks.0"], kept["blocks.0"]);
    let still = (&out["blocks.1"] - &out["blocks.0"]).abs().amax([2].as_slice(), false).eq(0.0).sum_dim_intlist(
        [1].as_slice(),
        false,
        Kind::Int64,
    );
    let still: Vec<i64> = Vec::try_from(still).unwrap();
    assert!(still.iter().all(|&n| n == 0 || n == 16), "an image is left out with all its windows: {still:?}");
    let gone = still.iter().filter(|&&n| n == 16).count();
    assert!((6..=28).contains(&gone), "{gone} of 64");
}
