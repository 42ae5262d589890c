//! `features` and `predict`: arguments to the engine and back.

use std::path::Path;

use adamv_engine::{DrawOptions, FeaturesBackbone, FeaturesConfig};
use adamv_models::config::BACKBONES;
use adamv_store::CellDir;

use crate::cli::{FeaturesArgs, PredictArgs};
use crate::exit::Failure;
use crate::explain::unknown;
use crate::{given, torch, yaml};

/// Writes a backbone's features of a tensor of images.
pub fn features(args: &FeaturesArgs) -> Result<(), Failure> {
    let backbone = backbone(&args.backbone)?;
    given::file("--weights", &args.weights, "give a safetensors file")?;
    given::file("--input", &args.input, "give a safetensors file")?;
    torch::start()?;
    let device = torch::device(&args.device.device)?;
    torch::threads(None)?;
    adamv_engine::features(&backbone, args.task.into(), &args.weights, &args.input, &args.out, device)?;
    eprintln!("wrote {}", args.out.display());
    Ok(())
}

/// A preset's name, or a YAML file.
fn backbone(name: &str) -> Result<FeaturesBackbone, Failure> {
    if BACKBONES.contains(&name) {
        return Ok(FeaturesBackbone::Preset(name.into()));
    }
    let path = Path::new(name);
    let like_a_file = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    if !like_a_file && !path.is_file() {
        return Err(Failure::usage(format!(
            "--backbone: {}; or give a YAML file",
            unknown("backbone", name, &BACKBONES)
        )));
    }
    let text = yaml::read(path)?;
    yaml::parse::<FeaturesConfig>(path, &text).map(FeaturesBackbone::Yaml)
}

/// Runs a trained cell on a folder of images.
pub fn predict(args: &PredictArgs) -> Result<(), Failure> {
    let finished = "give the folder of a finished cell, such as runs/smoke/mtl-vit-vit-micro-s0";
    given::folder("--cell", &args.cell, finished)?;
    given::file("--cell", &CellDir::new(&args.cell).record(), finished)?;
    given::folder("--images", &args.images, "give a folder of JPEG or PNG images")?;
    if !(0.0..=1.0).contains(&args.draw_score) {
        return Err(Failure::usage(format!("--draw-score: {} is not from 0 to 1", args.draw_score)));
    }
    torch::start()?;
    let device = torch::device(&args.device.device)?;
    torch::threads(None)?;
    let draw = args.draw.then_some(DrawOptions { least_score: args.draw_score });
    let summary = adamv_engine::predict(&args.cell, &args.images, &args.out, draw, device)?;
    eprintln!("{} images, {} detections, in {}", summary.images, summary.detections, args.out.display());
    Ok(())
}
