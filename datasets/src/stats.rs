//! `data stats`: counts of a data folder: images and instances a class, sizes of images and of boxes. Reads annotation
//! files and the headers of images, no pixels; judges nothing.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use crate::coco;
use crate::error::Error;
use crate::image;
use crate::imagenet;
use crate::layout::{self, Part};
use crate::task::{Split, Task};

/// Area in square pixels from which COCO calls an object medium.
const MEDIUM: f64 = 32.0 * 32.0;
/// Area from which it calls one large.
const LARGE: f64 = 96.0 * 96.0;

/// What a folder holds, in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// One entry a split of each data set.
    pub parts: Vec<PartStats>,
}

/// One split of a data set, in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartStats {
    /// What it trains.
    pub task: Task,
    /// Its folder or its instances file, relative to the folder asked for.
    pub source: String,
    /// Images listed.
    pub images: usize,
    /// Those whose size cannot be read: files that are missing, or whose header is broken.
    pub unreadable: usize,
    /// Width of the others, upright, in pixels.
    pub width: Option<Spread>,
    /// Height of the others.
    pub height: Option<Spread>,
    /// By label.
    pub classes: Vec<ClassStats>,
    /// Only for detection.
    pub instances: Option<InstanceStats>,
}

/// One class, in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassStats {
    /// Name of the folder or of the category.
    pub name: String,
    /// Images of it; for detection, those that hold an instance of it.
    pub images: usize,
    /// Instances other than crowds; for classification one an image.
    pub instances: usize,
    /// Crowds, which are not trained on.
    pub crowds: usize,
}

/// The annotations of a split, in numbers. All but `crowds` leave crowds out, and so annotations whose image or category
/// the file does not list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InstanceStats {
    /// Instances.
    pub total: usize,
    /// Crowds.
    pub crowds: usize,
    /// Images without an instance.
    pub images_without: usize,
    /// Instances an image, images without one included.
    pub per_image: Option<Spread>,
    /// Boxes with an area below 32 x 32 pixels. COCO's evaluation uses the masks' areas, so that its groups differ.
    pub small: usize,
    /// Boxes from there to below 96 x 96 pixels.
    pub medium: usize,
    /// Boxes from there on.
    pub large: usize,
}

/// How numbers are spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The smallest.
    pub min: u32,
    /// The middle one; the mean of the two middle ones of an even number.
    pub median: f64,
    /// The mean.
    pub mean: f64,
    /// The largest.
    pub max: u32,
}

impl Spread {
    /// `None` for no numbers.
    fn of(mut values: Vec<u32>) -> Option<Self> {
        values.sort_unstable();
        let (&min, &max) = (values.first()?, values.last()?);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        let sum: f64 = values.iter().map(|&v| f64::from(v)).sum();
        let median = (f64::from(low) + f64::from(high)) / 2.0;
        Some(Spread { min, median, mean: sum / values.len() as f64, max })
    }
}

/// Counts every data set that [`check`](crate::check()) finds in a folder.
///
/// # Errors
/// When the folder is missing, nothing in it is recognised, or an annotation file cannot be read. Images that cannot be
/// read are counted.
pub fn stats(dir: &Path) -> Result<Stats, Error> {
    let mut parts = Vec::new();
    for part in layout::parts(dir)? {
        match part {
            Part::Imagenet(root) => {
                for split in imagenet::splits(&root)? {
                    parts.push(classification(dir, &root, split)?);
                }
            }
            Part::Coco { json, images } => parts.push(detection(dir, &json, &images)?),
        }
    }
    Ok(Stats { parts })
}

fn relative(dir: &Path, path: &Path) -> String {
    path.strip_prefix(dir).unwrap_or(path).display().to_string()
}

fn classification(dir: &Path, root: &Path, split: Split) -> Result<PartStats, Error> {
    let (listing, _) = imagenet::list(root, split)?;
    let mut counts = vec![0; listing.classes.len()];
    for sample in &listing.samples {
        counts[sample.label] += 1;
    }
    let sizes: Vec<[u32; 2]> = listing.samples.par_iter().filter_map(|s| image::size(&s.place(root)).ok()).collect();
    Ok(PartStats {
        task: Task::Classification,
        source: relative(dir, &root.join(split.as_str())),
        images: listing.samples.len(),
        unreadable: listing.samples.len() - sizes.len(),
        width: Spread::of(sizes.iter().map(|s| s[0]).collect()),
        height: Spread::of(sizes.iter().map(|s| s[1]).collect()),
        classes: listing
            .classes
            .into_iter()
            .zip(counts)
            .map(|(name, images)| ClassStats { name, images, instances: images, crowds: 0 })
            .collect(),
        instances: None,
    })
}

fn detection(dir: &Path, json: &Path, images: &Path) -> Result<PartStats, Error> {
    let mut file = coco::parse(json, &coco::read(json)?.0)?;
    file.categories.sort_by_key(|c| c.id);
    let label_of: HashMap<u64, usize> = file.categories.iter().enumerate().map(|(label, c)| (c.id, label)).collect();
    let mut per_image: HashMap<u64, u32> = file.images.iter().map(|i| (i.id, 0)).collect();
    let mut classes: Vec<ClassStats> =
        file.categories.into_iter().map(|c| ClassStats { name: c.name, images: 0, instances: 0, crowds: 0 }).collect();
    let mut instances =
        InstanceStats { total: 0, crowds: 0, images_without: 0, per_image: None, small: 0, medium: 0, large: 0 };
    let mut seen = HashSet::new();
    for annotation in &file.annotations {
        let (Some(&label), Some(count)) =
            (label_of.get(&annotation.category_id), per_image.get_mut(&annotation.image_id))
        else {
            continue;
        };
        if annotation.is_crowd() {
            classes[label].crowds += 1;
            instances.crowds += 1;
            continue;
        }
        *count += 1;
        instances.total += 1;
        classes[label].instances += 1;
        classes[label].images += usize::from(seen.insert((annotation.image_id, label)));
        match annotation.finite_box().map(|[_, _, w, h]| w * h) {
            Some(area) if area >= LARGE => instances.large += 1,
            Some(area) if area >= MEDIUM => instances.medium += 1,
            Some(_) => instances.small += 1,
            None => {}
        }
    }
    instances.images_without = per_image.values().filter(|&&count| count == 0).count();
    instances.per_image = Spread::of(per_image.into_values().collect());
    // The files' own sizes: a record may be wrong. Names that lead out of the folder are not followed.
    let found = coco::Images::open(images).ok().map(|(images, _)| images);
    let sizes: Vec<[u32; 2]> = file
        .images
        .par_iter()
        .filter_map(|i| image::size(&found.as_ref()?.find(i.id, &i.file_name, json).ok()?.0).ok())
        .collect();
    Ok(PartStats {
        task: Task::Detection,
        source: relative(dir, json),
        images: file.images.len(),
        unreadable: file.images.len() - sizes.len(),
        width: Spread::of(sizes.iter().map(|s| s[0]).collect()),
        height: Spread::of(sizes.iter().map(|s| s[1]).collect()),
        classes,
        instances: Some(instances),
    })
}
