//! `data make` and `data check`: arguments to the data crate and back.

use adamv_datasets::{CheckReport, ScenesConfig, Sprites, scenes};

use crate::cli::{CheckArgs, ScenesArgs, SpritesArg};
use crate::exit::{Failure, OTHER};
use crate::json;

/// Makes scenes, or finds the same ones there already.
pub fn make_scenes(args: &ScenesArgs) -> Result<(), Failure> {
    let defaults = ScenesConfig::default();
    let config = ScenesConfig {
        images: args.images.unwrap_or(defaults.images),
        size: args.size.unwrap_or(defaults.size),
        seed: args.seed.unwrap_or(defaults.seed),
        sprites: match args.sprites {
            SpritesArg::Shapes => Sprites::Shapes,
            SpritesArg::FashionMnist => Sprites::FashionMnist,
        },
        fashion_mnist: args.fashion_mnist.clone(),
    };
    let paths = scenes::make(&args.out, &config)?;
    json::line(&format!(
        "{} training scenes of {} ({} px) and their classification images in {}\nuse them in a suite as\n  data:\n    imagenet: {{root: {}}}\n    \
         coco:\n      train_images: {}\n      train_annotations: {}\n      val_images: {}\n      val_annotations: {}",
        config.images,
        config.sprites,
        config.size,
        args.out.display(),
        paths.imagenet.root.display(),
        paths.coco.train_images.display(),
        paths.coco.train_annotations.display(),
        paths.coco.val_images.display(),
        paths.coco.val_annotations.display(),
    ))
}

/// Reads every file of a data set; an error when anything is broken.
pub fn check(args: &CheckArgs) -> Result<(), Failure> {
    let report = adamv_datasets::check(&args.dir)?;
    if args.json {
        json::print(&report)?;
    } else {
        print(&report)?;
    }
    match report.problems.len() {
        0 => Ok(()),
        count => Err(Failure::new(
            OTHER,
            format!("{}: {count} problems; each is listed above with its mend", args.dir.display()),
        )),
    }
}

fn print(report: &CheckReport) -> Result<(), Failure> {
    for part in &report.parts {
        json::line(part)?;
    }
    for problem in &report.problems {
        json::line(&format!("broken: {problem}"))?;
    }
    json::line(&format!(
        "{} images, {} annotations, {} problems, fingerprint {}",
        report.images,
        report.annotations,
        report.problems.len(),
        report.fingerprint
    ))
}
