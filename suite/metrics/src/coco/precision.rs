//! AP, AP50 and AP75 of any resample of the images, from matches alone. The formula is that of pycocotools' `accumulate`: 101 points
//! of recall, the envelope of precision, categories without objects left out.

use crate::coco::matches::{Matches, THRESHOLDS};

/// Points of recall: 0, 0.01, .. 1.
const RECALLS: usize = 101;

/// Fractions in 0..=1; -1 where there is nothing to find, as in the COCO API.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AveragePrecision {
    /// Mean over IoU 0.50 to 0.95.
    pub ap: f64,
    pub ap50: f64,
    pub ap75: f64,
}

/// Matches laid out for being weighed again and again.
#[derive(Debug, Clone)]
pub struct ApResampler {
    images: usize,
    categories: Vec<Category>,
}

#[derive(Debug, Clone, Default)]
struct Category {
    /// Image (by its place) and objects in it.
    objects: Vec<(u32, u32)>,
    /// By falling score.
    detections: Vec<Ranked>,
}

#[derive(Debug, Clone, Copy)]
struct Ranked {
    /// Place of the image.
    image: u32,
    matched: u16,
    ignored: u16,
}

impl ApResampler {
    /// Detections and objects of images that `matches.images` doesn't name are left out; so are detections that no precision looks
    /// at: those of a category that rank behind its last hit, in any resample.
    pub fn new(matches: &Matches) -> Self {
        let place = |image: u64| matches.images.binary_search(&image).ok().map(|place| place as u32);
        let mut ids: Vec<u64> = matches.objects.iter().map(|objects| objects.category_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut categories = vec![Category::default(); ids.len()];
        for objects in &matches.objects {
            if let (Ok(at), Some(image)) = (ids.binary_search(&objects.category_id), place(objects.image_id)) {
                categories[at].objects.push((image, objects.count));
            }
        }
        for detection in &matches.detections {
            // A category without objects is left out of every mean.
            if let (Ok(at), Some(image)) = (ids.binary_search(&detection.category_id), place(detection.image_id)) {
                let (matched, ignored) = (detection.matched, detection.ignored);
                categories[at].detections.push(Ranked { image, matched, ignored });
            }
        }
        for category in &mut categories {
            let hits = category.detections.iter().rposition(|detection| detection.matched != 0);
            category.detections.truncate(hits.map_or(0, |last| last + 1));
        }
        Self { images: matches.images.len(), categories }
    }

    /// AP where image i of [`Matches::images`] counts `weights[i]` times, as that many images of its own. Missing weights are 0.
    pub fn average_precision(&self, weights: &[u32]) -> AveragePrecision {
        let weights = &weights[..weights.len().min(self.images)];
        let weight = |image: u32| weights.get(image as usize).copied().unwrap_or(0);
        let mut sums = [0.0; THRESHOLDS];
        let mut found = 0;
        let mut hits: [Vec<(u32, f64)>; THRESHOLDS] = Default::default();
        for category in &self.categories {
            let objects: u32 = category.objects.iter().map(|&(image, count)| count * weight(image)).sum();
            if objects == 0 {
                continue;
            }
            found += 1;
            hits.iter_mut().for_each(Vec::clear);
            category.rank(weight, &mut hits);
            for (sum, hits) in sums.iter_mut().zip(&hits) {
                *sum += interpolated(hits, objects);
            }
        }
        if found == 0 {
            return AveragePrecision { ap: -1.0, ap50: -1.0, ap75: -1.0 };
        }
        let mean = |sum: f64, parts: usize| sum / (parts * RECALLS * found) as f64;
        AveragePrecision { ap: mean(sums.iter().sum(), THRESHOLDS), ap50: mean(sums[0], 1), ap75: mean(sums[5], 1) }
    }
}

impl Category {
    /// Walks down the ranking; at each hit of a threshold: hits so far, and precision there.
    fn rank(&self, weight: impl Fn(u32) -> u32, hits: &mut [Vec<(u32, f64)>; THRESHOLDS]) {
        const ALL: u16 = (1 << THRESHOLDS) - 1;
        let mut right = [0u32; THRESHOLDS];
        // Wrong at every threshold, as most wrong ones are; and wrong at one threshold beyond that.
        let mut wrong = 0u32;
        let mut wrong_at = [0u32; THRESHOLDS];
        for detection in &self.detections {
            let weight = weight(detection.image);
            if weight == 0 {
                continue;
            }
            if detection.matched | detection.ignored == 0 {
                wrong += weight;
                continue;
            }
            let mut missed = ALL & !(detection.matched | detection.ignored);
            while missed != 0 {
                wrong_at[missed.trailing_zeros() as usize] += weight;
                missed &= missed - 1;
            }
            let mut matched = detection.matched & ALL;
            while matched != 0 {
                let t = matched.trailing_zeros() as usize;
                right[t] += weight;
                // Several copies of an image are hits in a row: precision rises with each, so the last one's is the envelope.
                let precision = f64::from(right[t]) / (f64::from(wrong + wrong_at[t] + right[t]) + f64::EPSILON);
                hits[t].push((right[t], precision));
                matched &= matched - 1;
            }
        }
    }
}

/// Sum over the points of recall of the best precision at that recall or a higher one; 0 where it isn't reached.
fn interpolated(hits: &[(u32, f64)], objects: u32) -> f64 {
    let objects = f64::from(objects);
    // As numpy.linspace(0, 1, 101) has them.
    let point = |k: usize| if k + 1 == RECALLS { 1.0 } else { k as f64 * 0.01 };
    let (mut sum, mut best) = (0.0, 0.0f64);
    let mut points = RECALLS;
    for (i, &(right, precision)) in hits.iter().enumerate().rev() {
        // Points beyond this recall and not yet counted belong to a later hit, or to none.
        let recall = f64::from(right) / objects;
        while points > 0 && point(points - 1) > recall {
            sum += best;
            points -= 1;
        }
        best = best.max(precision);
        if i == 0 {
            sum += best * points as f64;
        }
    }
    sum
}
