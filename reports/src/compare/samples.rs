//! What resampling the images makes of one cell: accuracy is a mean over images, AP is not, so its four numbers are computed
//! anew for every resample. Cells resampled over the same images with the same seed are paired, resample by resample.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use adamv_metrics::{ApResampler, MatchedDetection, Matches, ObjectCount, bootstrap};
use adamv_store::{ClassificationPrediction, DetectionMatches};

use super::refused;
use super::source::SourceCell;
use crate::error::Result;

/// Everything random here: a comparison is a function of its arguments.
const SEED: u64 = 0;

/// AP, AP50, AP75, APmask, in percent.
pub(super) const APS: usize = 4;

/// Which images each of several cells got right.
pub(super) struct Correct {
    /// A row per cell, a column per image that all of them have.
    pub right: Vec<Vec<bool>>,
    /// Images that only some of them have.
    pub left_out: usize,
}

/// Looks up the images that all cells have; `None` when a cell has no classification or they have no image in common.
pub(super) fn correct(cells: &[&SourceCell]) -> Result<Option<Correct>> {
    let by_image = |cell: &'_ SourceCell| -> HashMap<String, (u32, bool)> {
        let right = |p: &ClassificationPrediction| p.best.first().is_some_and(|(class, _)| *class == p.label);
        cell.classification.iter().map(|p| (p.image.clone(), (p.label, right(p)))).collect()
    };
    let Some((first, rest)) = cells.split_first() else { return Ok(None) };
    let others: Vec<_> = rest.iter().map(|cell| by_image(cell)).collect();
    let mut right = vec![Vec::new(); cells.len()];
    for prediction in &first.classification {
        let found: Option<Vec<(u32, bool)>> =
            others.iter().map(|images| images.get(&prediction.image).copied()).collect();
        let Some(found) = found else { continue };
        if let Some(other) = found.iter().position(|(label, _)| *label != prediction.label) {
            return Err(refused(format!(
                "the image {} has the label {} in {} and {} in {}: they are different data; compare runs on the same",
                prediction.image,
                prediction.label,
                first.name(),
                found[other].0,
                rest[other].name()
            )));
        }
        right[0].push(prediction.best.first().is_some_and(|(class, _)| *class == prediction.label));
        right[1..].iter_mut().zip(found).for_each(|(row, (_, is_right))| row.push(is_right));
    }
    let common = right[0].len();
    let most = cells.iter().map(|cell| cell.classification.len()).max().unwrap_or(0);
    Ok((common > 0).then(|| Correct { right, left_out: most - common }))
}

/// `resamples` bootstrapped values of the mean of `differences`, one number an image.
pub(super) fn bootstrapped_mean(differences: &[f64], resamples: usize) -> Vec<f64> {
    // Equal predictions are equal in every resample.
    if differences.iter().all(|difference| *difference == 0.0) {
        return vec![0.0; resamples];
    }
    let images = differences.len() as f64;
    let mean = |weights: &[u32], out: &mut [f64]| {
        out[0] = weights.iter().zip(differences).map(|(w, d)| f64::from(*w) * d).sum::<f64>() / images;
    };
    bootstrap(differences.len(), resamples, SEED, 1, mean).swap_remove(0)
}

/// AP of one cell: of its images, and of each resample of them.
pub(crate) struct ApSamples {
    pub point: [f64; APS],
    pub resampled: [Vec<f64>; APS],
}

/// The images that all cells have, rising, and how many only some have; `None` when a cell has no detection.
pub(super) fn common_images(cells: &[&SourceCell]) -> Option<(Vec<u64>, usize)> {
    let all: Option<Vec<&DetectionMatches>> = cells.iter().map(|cell| cell.matches.as_ref()).collect();
    let all = all?;
    let (first, rest) = all.split_first()?;
    let others: Vec<HashSet<u64>> = rest.iter().map(|matches| matches.images.iter().copied().collect()).collect();
    let common: Vec<u64> =
        first.images.iter().copied().filter(|image| others.iter().all(|images| images.contains(image))).collect();
    let most = all.iter().map(|matches| matches.images.len()).max().unwrap_or(0);
    let left_out = most - common.len();
    (!common.is_empty()).then_some((common, left_out))
}

/// Refuses cells whose images have the same numbers and other objects in them.
pub(super) fn same_objects(cells: &[&SourceCell], images: &[u64]) -> Result<()> {
    let chosen: HashSet<u64> = images.iter().copied().collect();
    let of = |cell: &SourceCell| -> Vec<(u64, u64, u32)> {
        let objects = cell.matches.iter().flat_map(|matches| &matches.objects).filter(|o| chosen.contains(&o.image));
        let mut objects: Vec<_> = objects.map(|o| (o.image, o.category, o.count)).collect();
        objects.sort_unstable();
        objects
    };
    let Some((first, rest)) = cells.split_first() else { return Ok(()) };
    let objects = of(first);
    match rest.iter().find(|cell| of(cell) != objects) {
        None => Ok(()),
        Some(other) => Err(refused(format!(
            "images of detection have the same numbers and other objects in {} and {}: they are different data; compare runs on the same",
            first.name(),
            other.name()
        ))),
    }
}

/// Resamples of cells, each made once.
pub(crate) struct ApCache<'a> {
    resamples: usize,
    made: Vec<(&'a DetectionMatches, Vec<u64>, Rc<ApSamples>)>,
}

impl<'a> ApCache<'a> {
    pub(crate) fn new(resamples: usize) -> Self {
        Self { resamples, made: Vec::new() }
    }

    /// Resamples of each cell.
    pub(super) fn resamples(&self) -> usize {
        self.resamples
    }

    /// AP over `images`, which all are the cell's.
    pub(super) fn get(&mut self, matches: &'a DetectionMatches, images: &[u64]) -> Rc<ApSamples> {
        let known = self.made.iter().find(|(other, of, _)| of == images && *other == matches);
        if let Some((_, _, samples)) = known {
            return Rc::clone(samples);
        }
        let samples = Rc::new(ap_samples(matches, images, self.resamples));
        self.made.push((matches, images.to_vec(), Rc::clone(&samples)));
        samples
    }
}

fn ap_samples(matches: &DetectionMatches, images: &[u64], resamples: usize) -> ApSamples {
    let boxes = ApResampler::new(&of_kind(matches, images, |d| (d.bbox_matched, d.bbox_ignored)));
    let masks = ApResampler::new(&of_kind(matches, images, |d| (d.segm_matched, d.segm_ignored)));
    let aps = |weights: &[u32]| {
        let found = boxes.average_precision(weights);
        [found.ap, found.ap50, found.ap75, masks.average_precision(weights).ap].map(|fraction| 100.0 * fraction)
    };
    let resampled = bootstrap(images.len(), resamples, SEED, APS, |weights, out| out.copy_from_slice(&aps(weights)));
    let mut resampled = resampled.into_iter();
    ApSamples {
        point: aps(&vec![1; images.len()]),
        resampled: std::array::from_fn(|_| resampled.next().unwrap_or_default()),
    }
}

/// The matches of boxes or masks, over some of the images.
pub(crate) fn of_kind(
    matches: &DetectionMatches,
    images: &[u64],
    bits: impl Fn(&adamv_store::MatchedDetection) -> (u16, u16),
) -> Matches {
    let chosen: HashSet<u64> = images.iter().copied().collect();
    let objects = matches.objects.iter().filter(|o| chosen.contains(&o.image));
    let detections = matches.detections.iter().filter(|d| chosen.contains(&d.image));
    Matches {
        images: images.to_vec(),
        objects: objects.map(|o| ObjectCount { image_id: o.image, category_id: o.category, count: o.count }).collect(),
        detections: detections
            .zip(1u32..)
            .map(|(d, rank)| {
                let (matched, ignored) = bits(d);
                // The rows are ranked. Their scores may be rounded, and would tie where the detections didn't.
                let score = -f64::from(rank);
                MatchedDetection { image_id: d.image, category_id: d.category, score, matched, ignored }
            })
            .collect(),
    }
}
