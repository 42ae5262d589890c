//! Samples as a model receives them, read back from the tensors of a real batch: pixels with the normalisation undone,
//! boxes, and masks pasted from their M x M targets. Reads no annotation.

use std::path::Path;

use rayon::prelude::*;

use super::tile::{Tile, thumbnail};
use super::{Samples, ShowOptions, chosen, file_name};
use crate::batch::DetectionBatch;
use crate::coco::DetectionDataset;
use crate::draw::{self, Mark};
use crate::error::Error;
use crate::image::{Image, Rectangle};
use crate::imagenet::ClassificationDataset;
use crate::loader::BatchSource;
use crate::order::Pick;
use crate::task::Split;

/// Samples a batch: bounds the memory of large sheets.
const BATCH: usize = 24;

pub(super) fn classification(root: &Path, split: Split, options: &ShowOptions) -> Result<Samples, Error> {
    let how = &options.classification;
    let data = ClassificationDataset::open(root, split, how, options.classification_size)?;
    samples(
        &data,
        split,
        options,
        |i| data.decode(i).map(drop),
        |batch, i| {
            let side = batch.image_size;
            let index = batch.indices[i];
            let entry = |label: usize| (data.classes()[label].clone(), draw::colour_of(label));
            let mut legend = vec![entry(data.label(index))];
            if batch.lambda < 1.0 {
                // Sample B - 1 - i was mixed into it.
                legend.push(entry(data.label(batch.indices[batch.indices.len() - 1 - i])));
            }
            Tile {
                picture: thumbnail(&pixels(&batch.images, i, side, how.mean, how.std), options.tile),
                legend,
                caption: file_name(data.image_name(index)),
            }
        },
    )
}

pub(super) fn detection(json: &Path, images: &Path, split: Split, options: &ShowOptions) -> Result<Samples, Error> {
    let how = &options.detection;
    let data = DetectionDataset::open(images, json, split, how, options.detection_size)?;
    samples(
        &data,
        split,
        options,
        |i| data.decode(i).map(drop),
        |batch, i| {
            let picture = thumbnail(&pixels(&batch.images, i, batch.image_size, how.mean, how.std), options.tile);
            let marks = marks(batch, i, data.class_names(), picture.width);
            Tile::detection(picture, marks, file_name(data.image_name(batch.indices[i])))
        },
    )
}

/// The tiles of training batches of epoch 0, or of evaluation batches of the validation split. Samples that cannot be
/// read are left out of them and have tiles of their own.
fn samples<S: BatchSource>(
    data: &S,
    split: Split,
    options: &ShowOptions,
    readable: impl Fn(usize) -> Result<(), Error> + Sync,
    tile: impl Fn(&S::Batch, usize) -> Tile,
) -> Result<Samples, Error> {
    let mut tiles = Vec::new();
    for picked in chosen(data.len(), options).chunks(BATCH) {
        let read: Vec<Result<(), Error>> = picked.par_iter().map(|&index| readable(index)).collect();
        let sound: Vec<usize> = picked.iter().zip(&read).filter(|(_, r)| r.is_ok()).map(|(&index, _)| index).collect();
        let batch = match split {
            Split::Train => {
                let picks: Vec<Pick> = sound.iter().map(|&index| Pick { index, epoch: 0 }).collect();
                data.train_batch(&picks, options.seed.unwrap_or(0))?
            }
            Split::Val => data.eval_batch(&sound)?,
        };
        let mut at = 0;
        tiles.extend(picked.iter().zip(read).map(|(&index, read)| match read {
            Ok(()) => {
                at += 1;
                tile(&batch, at - 1)
            }
            Err(error) => Tile::broken(error, file_name(&data.sample_name(index)), options.tile),
        }));
    }
    Ok(Samples { tiles, of: data.len() })
}

/// Sample `i` of `[B, 3, side, side]` with the normalisation undone.
fn pixels(images: &[f32], i: usize, side: usize, mean: [f32; 3], std: [f32; 3]) -> Image {
    let plane = side * side;
    let sample = &images[3 * i * plane..3 * (i + 1) * plane];
    let value = |at: usize, c: usize| (sample[c * plane + at] * std[c] + mean[c]) * 255.0;
    let rgb = (0..plane).flat_map(|at| [0, 1, 2].map(|c| value(at, c).round().clamp(0.0, 255.0) as u8)).collect();
    Image { width: side as u32, height: side as u32, rgb }
}

/// The instances of sample `i` on a square picture of another size.
fn marks(batch: &DetectionBatch, i: usize, names: &[String], side: u32) -> Vec<Mark> {
    let (g, m) = (batch.max_instances, batch.mask_size);
    let per = f64::from(side) / batch.image_size as f64;
    let slots = (i * g..(i + 1) * g).filter_map(|slot| Some((slot, usize::try_from(batch.labels[slot]).ok()?)));
    slots
        .map(|(slot, label)| {
            let corners: [f64; 4] = std::array::from_fn(|k| f64::from(batch.boxes[4 * slot + k]) * per);
            let target = &batch.masks[slot * m * m..(slot + 1) * m * m];
            // The cell of the target in which a pixel's centre lies.
            let cell = |pixel: u32, from: f64, to: f64| {
                let share = (f64::from(pixel) + 0.5 - from) / (to - from);
                (0.0..1.0).contains(&share).then(|| ((share * m as f64) as usize).min(m - 1))
            };
            let mut mask = Vec::with_capacity(side as usize * side as usize);
            for row in 0..side {
                let v = cell(row, corners[1], corners[3]);
                mask.extend((0..side).map(|column| match (cell(column, corners[0], corners[2]), v) {
                    (Some(u), Some(v)) => target[v * m + u] == 1,
                    _ => false,
                }));
            }
            let area = Rectangle { left: 0, top: 0, width: side, height: side };
            Mark { name: names[label].clone(), colour: draw::colour_of(label), crowd: false, corners, area, mask }
        })
        .collect()
}
