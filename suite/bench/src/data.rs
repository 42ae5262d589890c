//! The commands below `data`: arguments to the data crate and back.

use std::path::Path;

use adamv_datasets::image::write_png;
use adamv_datasets::stats::{PartStats, Spread};
use adamv_datasets::{CheckReport, PackOptions, ScenesConfig, ShowOptions, Sprites, scenes};

use crate::cli::{CheckArgs, PackArgs, ScenesArgs, ShowArgs, SpritesArg, StatsArgs};
use crate::exit::{Failure, OTHER};
use crate::matrix::Only;
use crate::suite_file::Suite;
use crate::text_table::{TextTable, grouped};
use crate::{json, matrix};

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
    for remark in &report.remarks {
        json::line(&format!("remark: {remark}"))?;
    }
    json::line(&format!(
        "{} images, {} annotations, {} problems, {} remarks, fingerprint {}",
        report.images,
        report.annotations,
        report.problems.len(),
        report.remarks.len(),
        report.fingerprint
    ))
}

/// Draws a contact sheet.
pub fn show(args: &ShowArgs) -> Result<(), Failure> {
    let mut options =
        ShowOptions { count: args.count, seed: args.seed, augmented: args.augmented, ..ShowOptions::default() };
    if let Some(suite) = &args.suite {
        prepare_as(suite, &mut options)?;
    }
    let sheet = adamv_datasets::show(&args.dir, &options)?;
    write_png(&args.out, &sheet)?;
    json::line(&format!("{}: {} x {} pixels", args.out.display(), sheet.width, sheet.height))
}

/// Sizes and augmentation of a suite's first cell.
fn prepare_as(suite: &Path, options: &mut ShowOptions) -> Result<(), Failure> {
    let suite = Suite::read(suite)?;
    let cells = matrix::cells(&suite, &[], &Only::default())?;
    let Some(cell) = cells.first() else {
        return Err(Failure::usage(format!("the suite {} has no cells", suite.file.name)));
    };
    let inputs = &cell.model.inputs;
    options.classification_size = inputs.classification.image_size as u32;
    options.detection_size = inputs.detection.image_size as u32;
    options.classification = cell.data.classification.clone();
    options.detection = cell.data.detection.clone();
    Ok(())
}

/// Counts a data set.
pub fn stats(args: &StatsArgs) -> Result<(), Failure> {
    let stats = adamv_datasets::stats(&args.dir)?;
    if args.json {
        return json::print(&stats);
    }
    for part in &stats.parts {
        json::line(&counted(part))?;
    }
    Ok(())
}

fn counted(part: &PartStats) -> String {
    let spread = |name: &str, spread: &Option<Spread>| {
        let spread = spread.map(|s| format!("{} to {}, median {}, mean {:.1}", s.min, s.max, s.median, s.mean));
        format!("  {name:<12}{}", spread.unwrap_or_else(|| "none".to_string()))
    };
    let mut lines = vec![
        format!("{}, {}: {} images", part.task, part.source, grouped(part.images as u64)),
        spread("width", &part.width),
        spread("height", &part.height),
    ];
    if part.unreadable > 0 {
        lines.push(format!("  {} cannot be read; `data check` says why", part.unreadable));
    }
    let mut table = TextTable::new(&["  class", "images", "instances", "crowds"], 1);
    if let Some(instances) = &part.instances {
        lines.push(spread("an image", &instances.per_image));
        lines.push(format!(
            "  instances   {} ({} small, {} medium, {} large boxes), {} crowds; {} images without any",
            instances.total,
            instances.small,
            instances.medium,
            instances.large,
            instances.crowds,
            instances.images_without
        ));
    } else {
        table = TextTable::new(&["  class", "images"], 1);
    }
    for class in &part.classes {
        let name = format!("  {}", class.name);
        let counts = [class.images, class.instances, class.crowds].map(|n| grouped(n as u64));
        let shown = if part.instances.is_some() { 3 } else { 1 };
        table.row(std::iter::once(name).chain(counts.into_iter().take(shown)));
    }
    lines.push(table.to_string());
    lines.join("\n")
}

/// Writes a data set as shards.
pub fn pack(args: &PackArgs) -> Result<(), Failure> {
    let options = PackOptions { shard_bytes: args.shard_mb << 20 };
    let report = adamv_datasets::pack(&args.dir, &args.out, &options)?;
    for part in &report.parts {
        json::line(part)?;
    }
    json::line(&format!(
        "{}: {} images in {} shards, {} MiB",
        args.out.display(),
        grouped(report.images as u64),
        report.shards,
        report.bytes >> 20
    ))
}
