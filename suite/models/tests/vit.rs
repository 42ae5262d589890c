//! The backbone against timm (`golden/make_timm_vit.py`), and UViT's windows.

use std::path::Path;

use adamv_datasets::Task;
use adamv_models::config::{BackboneConfig, DropPathPer, InputConfig, Pool};
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
    let input = InputConfig { image_size: 32, patch_size: 8, windows: 1 };
    let mut params = Params::new(0, Device::Cpu);
    let embedding = Embedding::new(params.root(), &config, &input);
    let trunk = Trunk::new(params.root(), &config, &Task::ALL);
    weights::assign(&params, &path, |name| saved.get(name)).unwrap();
    let (tokens, _) = tch::no_grad(|| trunk.forward(&embedding.forward(&saved["images"]), 1, ROUTE, Mode::Evaluate));
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

fn small() -> (Params, Embedding, Trunk) {
    let config = BackboneConfig { depth: 2, width: 8, heads: 2, mlp: 16, ..BackboneConfig::default() };
    let mut params = Params::new(3, Device::Cpu);
    let embedding = Embedding::new(params.root(), &config, &InputConfig { image_size: 32, patch_size: 8, windows: 2 });
    let trunk = Trunk::new(params.root(), &config, &Task::ALL);
    (params, embedding, trunk)
}

#[test]
fn attention_never_crosses_a_window() {
    let (_params, embedding, trunk) = small();
    assert_eq!(embedding.windows(), 2);
    tch::manual_seed(0);
    let images = Tensor::rand([1, 3, 32, 32], (Kind::Float, Device::Cpu));
    let changed = images.copy();
    let _filled = changed.narrow(2, 0, 8).narrow(3, 16, 8).fill_(9.0); // patch row 0, column 2: the window top right
    let map = |images: &Tensor| trunk.map(&trunk.forward(&embedding.forward(images), 2, ROUTE, Mode::Evaluate).0);
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
    let (_params, embedding, trunk) = small();
    tch::manual_seed(0);
    let tokens = embedding.forward(&Tensor::rand([2, 3, 32, 32], (Kind::Float, Device::Cpu)));
    let whole = trunk.forward(&tokens, 2, ROUTE, Mode::Evaluate).0.view([2, 4, 4, 8]);
    let quarter = tokens.view([2, 4, 4, 8]).narrow(1, 2, 2).narrow(2, 0, 2).reshape([2, 4, 8]);
    let alone = trunk.forward(&quarter, 1, ROUTE, Mode::Evaluate).0;
    let found = whole.narrow(1, 2, 2).narrow(2, 0, 2).reshape([2, 4, 8]);
    assert!((alone - found).abs().max().double_value(&[]) < 1e-6);
}

#[test]
fn intermediates_are_named_by_block() {
    let (_params, embedding, trunk) = small();
    let images = Tensor::zeros([1, 3, 32, 32], (Kind::Float, Device::Cpu));
    let (tokens, out) = trunk.forward(&embedding.forward(&images), 2, ROUTE, Mode::Evaluate);
    assert_eq!(out.keys().collect::<Vec<_>>(), ["blocks.0", "blocks.1"]);
    assert!(out.values().all(|t| t.size() == tokens.size()));
}

/// Which of 4 tokens of 4 windows of 64 images block 1 leaves as they are, `[64, 4, 4]`: images, windows, tokens.
fn left_out(drop_path_per: DropPathPer) -> Tensor {
    let (drop_path, depth) = (0.5, 2);
    let config =
        BackboneConfig { depth, width: 8, heads: 2, mlp: 16, drop_path, drop_path_per, ..BackboneConfig::default() };
    let mut params = Params::new(3, Device::Cpu);
    let trunk = Trunk::new(params.root(), &config, &Task::ALL);
    tch::manual_seed(5);
    let tokens = Tensor::rand([64, 16, 8], (Kind::Float, Device::Cpu));
    let (_, out) = trunk.forward(&tokens, 2, ROUTE, Mode::Train);
    let (_, whole) = trunk.forward(&tokens, 2, ROUTE, Mode::Evaluate);
    // Block 0 has rate 0, block 1 the whole rate.
    assert_eq!(out["blocks.0"], whole["blocks.0"]);
    let still = (&out["blocks.1"] - &out["blocks.0"]).abs().amax([2].as_slice(), false).eq(0.0);
    // Rows and columns of windows, then those within one.
    still.view([64, 2, 2, 2, 2]).permute([0, 1, 3, 2, 4]).reshape([64, 4, 4])
}

fn count(flags: &Tensor) -> i64 {
    flags.sum(Kind::Int64).int64_value(&[])
}

#[test]
fn stochastic_depth_leaves_whole_images_out() {
    let still = left_out(DropPathPer::Image).flatten(1, 2);
    let (all, any) = (count(&still.all_dim(1, false)), count(&still.any_dim(1, false)));
    assert_eq!(all, any, "an image is left out with all its windows");
    // Both branches are left out for about a quarter of the images.
    assert!((6..=28).contains(&all), "{all} of 64");
}

#[test]
fn stochastic_depth_per_window_leaves_windows_out_each_by_itself() {
    let still = left_out(DropPathPer::Window);
    let windows = still.all_dim(2, false); // [64, 4]
    assert_eq!(windows, still.any_dim(2, false), "a window is left out whole");
    // A quarter of 256 windows, within 5 standard deviations (6.9); all four of an image once in 256.
    let gone = count(&windows);
    assert!((30..=98).contains(&gone), "{gone} of 256");
    let together = count(&windows.all_dim(1, false));
    assert!(together <= 3, "{together} of 64 images are left out whole");
}
