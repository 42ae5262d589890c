//! `data show`: a contact sheet of a data folder, as its files are stored or as a model receives them. Changes nothing.
//!
//! `stored` and `augmented` make tiles, `tile` draws instances on them, `grid` lays them out, `crate::draw` knows
//! lines, text and colours. Equal folders and options give equal bytes.

mod augmented;
mod grid;
mod stored;
mod tile;

use std::path::Path;

use self::grid::Block;
use self::tile::Tile;
use crate::config::{ClassificationOptions, DetectionOptions, whole};
use crate::error::Error;
use crate::image::Image;
use crate::imagenet;
use crate::layout::{self, Part};
use crate::order::permutation;
use crate::task::Split;

/// What a contact sheet shows.
#[derive(Clone, Debug, PartialEq)]
pub struct ShowOptions {
    /// Samples of each split of each data set, 1 to 500.
    pub count: usize,
    /// Longer side of a thumbnail in pixels, 64 to 512.
    pub tile: u32,
    /// Which samples: a random choice, or evenly spread ones for `None`. Augmentation uses it too (0 for `None`).
    pub seed: Option<u64>,
    /// What a model receives: training samples augmented, validation samples as evaluated. Otherwise what is stored.
    pub augmented: bool,
    /// Side of the classification samples that a model receives, 16 to 2048 pixels.
    pub classification_size: u32,
    /// How they are prepared.
    pub classification: ClassificationOptions,
    /// Side of the detection canvas that a model receives, 16 to 2048 pixels.
    pub detection_size: u32,
    /// How it is prepared.
    pub detection: DetectionOptions,
}

impl Default for ShowOptions {
    fn default() -> Self {
        ShowOptions {
            count: 24,
            tile: 224,
            seed: None,
            augmented: false,
            classification_size: 224,
            classification: ClassificationOptions::default(),
            detection_size: 640,
            detection: DetectionOptions::default(),
        }
    }
}

/// Some samples of a split.
struct Samples {
    tiles: Vec<Tile>,
    /// How many there are in all.
    of: usize,
}

/// Draws the contact sheet of every data set that [`check`](crate::check()) finds in a folder, each split below a
/// heading. A broken sample has a tile that says what is wrong with it; so has a data set that cannot be read.
///
/// # Errors
/// [`Error::Config`] for options out of range; when the folder is missing or nothing in it is recognised.
pub fn show(dir: &Path, options: &ShowOptions) -> Result<Image, Error> {
    whole("count", options.count, 1, 500)?;
    whole("tile", options.tile as usize, 64, 512)?;
    whole("classification_size", options.classification_size as usize, 16, 2048)?;
    whole("detection_size", options.detection_size as usize, 16, 2048)?;
    let mut blocks = Vec::new();
    for part in layout::parts(dir)? {
        match part {
            Part::Imagenet(root) => {
                for split in imagenet::splits(&root)? {
                    let folder = root.join(split.as_str());
                    let samples = match options.augmented {
                        true => augmented::classification(&root, split, options),
                        false => stored::classification(&root, split, options),
                    };
                    blocks.push(block("classification", dir, &folder, split, samples, options));
                }
            }
            Part::Coco { json, images } => {
                let split = split_of(&json);
                let samples = match options.augmented {
                    true => augmented::detection(&json, &images, split, options),
                    false => stored::detection(&json, &images, options),
                };
                blocks.push(block("detection", dir, &json, split, samples, options));
            }
        }
    }
    Ok(grid::sheet(&blocks, options.tile))
}

fn block(
    task: &str,
    dir: &Path,
    source: &Path,
    split: Split,
    samples: Result<Samples, Error>,
    options: &ShowOptions,
) -> Block {
    let source = source.strip_prefix(dir).unwrap_or(source).display();
    let how = match (options.augmented, split) {
        (false, _) => "as stored",
        (true, Split::Train) => "as trained on",
        (true, Split::Val) => "as evaluated",
    };
    match samples {
        Ok(Samples { tiles, of }) => {
            let heading = format!("{task}, {source}: {} of {of} images, {how}", tiles.len());
            Block { heading, tiles }
        }
        Err(error) => {
            let tiles = vec![Tile::broken(error, "data check lists more".to_string(), options.tile)];
            Block { heading: format!("{task}, {source}: cannot be shown {how}"), tiles }
        }
    }
}

/// COCO's own names begin with the split: `instances_val2017.json`.
fn split_of(json: &Path) -> Split {
    let name = json.file_name().and_then(|n| n.to_str()).unwrap_or("");
    if name.starts_with("instances_val") { Split::Val } else { Split::Train }
}

/// Which of `n` samples to show, ascending.
fn chosen(n: usize, options: &ShowOptions) -> Vec<usize> {
    let count = options.count.min(n);
    match options.seed {
        None => (0..count).map(|i| i * n / count).collect(),
        Some(seed) => {
            let mut some = permutation(n, seed, 0);
            some.truncate(count);
            some.sort_unstable();
            some
        }
    }
}

fn file_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_string()
}
