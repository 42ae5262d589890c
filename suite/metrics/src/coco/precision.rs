//! AP of a resample of images, ten thousand times over: the hot loop of every bootstrap. Sees what
//! the matching found; it may not touch ground truth, detections or files.
//!
//! AP as in pycocotools' `COCOeval.accumulate` and `summarize`: at each of 101 recalls the best
//! precision from there on, averaged over recalls, thresholds and categories. What makes it fast:
//!
//! - Most detections find nothing at any threshold. They change one count, the same for all
//!   thresholds, so between two others there is only a sum of weights.
//! - Others are one step for all ten thresholds, which lie side by side. Masks are looked up as
//!   zeros and ones in a short table, since few different ones occur.
//! - Between two of the 101 recalls only the best precision matters. It is the running maximum of
//!   all thresholds at once; only where a recall is reached does a threshold go its own way.
//! - A weight w is one step as well: of w right detections in a row the last has the best precision.

use std::collections::{BTreeMap, HashMap};

use crate::coco::matches::{MatchedDetection, Matches, THRESHOLDS};

/// AP, AP50, AP75 as fractions; -1 where there is nothing to find (as pycocotools).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AveragePrecision {
    /// Over IoU 0.50:0.05:0.95.
    pub ap: f64,
    pub ap50: f64,
    pub ap75: f64,
}

/// A number for each threshold.
type Lanes = [f64; THRESHOLDS];

/// Recalls at which precision is read: 0, 0.01, ..., 1.
const RECALLS: usize = 101;

/// Where the lanes of AP50 and AP75 are.
const AP50: usize = 0;
const AP75: usize = 5;

/// AP of any resample of the images of one evaluation. Cheap to share between threads.
#[derive(Debug, Clone)]
pub struct ApResampler {
    categories: Vec<Category>,
    kinds: Vec<Kind>,
}

/// What AP of one category depends on. Images are places in `Matches::images`.
#[derive(Debug, Clone, Default)]
struct Category {
    /// An image and its objects.
    objects: Vec<(u32, u32)>,
    /// Images of the detections wrong at every threshold, best first.
    wrong: Vec<u32>,
    /// The other detections, best first, up to the last that is right at any threshold.
    events: Vec<Event>,
    /// Kinds of detections that tie within an image.
    tied: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Event {
    /// How many of `Category::wrong` come before it.
    wrong_before: u32,
    image: u32,
    what: What,
}

#[derive(Debug, Clone, Copy)]
enum What {
    /// One detection, and its kind.
    One(u32),
    /// Detections of one image with the same score, as `Category::tied[from..to]`: a copy of the
    /// image brings all of them before the next copy brings any.
    Tied { from: u32, to: u32 },
}

/// The masks of a detection as numbers, 0 or 1.
#[derive(Debug, Clone)]
struct Kind {
    right: Lanes,
    ignored: Lanes,
    any_right: bool,
    any_ignored: bool,
}

impl ApResampler {
    /// Of matches in the order that [`Matches`] documents. A detection or an object of an image
    /// that isn't in `matches.images` never counts.
    pub fn new(matches: &Matches) -> Self {
        let places: HashMap<u64, u32> = matches.images.iter().copied().zip(0..).collect();
        let mut categories: BTreeMap<u64, Category> = BTreeMap::new();
        for object in &matches.objects {
            if let Some(&image) = places.get(&object.image_id) {
                categories.entry(object.category_id).or_default().objects.push((image, object.count));
            }
        }
        let mut palette = Palette::default();
        for run in matches.detections.chunk_by(MatchedDetection::ties_with) {
            // A category without objects is never found, so its detections have no say.
            if let Some(category) = categories.get_mut(&run[0].category_id)
                && let Some(&image) = places.get(&run[0].image_id)
            {
                category.add(image, run, &mut palette);
            }
        }
        let mut categories: Vec<Category> = categories.into_values().collect();
        for category in &mut categories {
            let any_right = |kind: u32| palette.kinds[kind as usize].any_right;
            let last_right = category.events.iter().rposition(|event| match event.what {
                What::One(kind) => any_right(kind),
                What::Tied { from, to } => {
                    category.tied[from as usize..to as usize].iter().any(|&kind| any_right(kind))
                }
            });
            category.events.truncate(last_right.map_or(0, |at| at + 1));
        }
        Self { categories, kinds: palette.kinds }
    }

    /// AP where image i of `matches.images` is drawn `weights[i]` times, each time as an image of
    /// its own behind the one before; images beyond the list are not drawn. Categories of which the
    /// resample has no object are left out of the mean.
    ///
    /// With all weights 1 it is the evaluation's own AP, AP50 and AP75.
    pub fn average_precision(&self, weights: &[u32]) -> AveragePrecision {
        let (mut sums, mut counted) = ([0.0; THRESHOLDS], 0);
        for category in &self.categories {
            // Exact: far below 2^53.
            let objects: f64 = category
                .objects
                .iter()
                .map(|&(image, count)| f64::from(weight(weights, image)) * f64::from(count))
                .sum();
            if objects > 0.0 {
                counted += 1;
                let averages = category.average_precisions(&self.kinds, weights, objects);
                for (sum, average) in sums.iter_mut().zip(averages) {
                    *sum += average;
                }
            }
        }
        if counted == 0 {
            return AveragePrecision { ap: -1.0, ap50: -1.0, ap75: -1.0 };
        }
        let counted = f64::from(counted);
        AveragePrecision {
            ap: sums.iter().sum::<f64>() / (counted * THRESHOLDS as f64),
            ap50: sums[AP50] / counted,
            ap75: sums[AP75] / counted,
        }
    }
}

/// How often an image is drawn.
#[inline]
fn weight(weights: &[u32], image: u32) -> u32 {
    weights.get(image as usize).copied().unwrap_or(0)
}

impl Category {
    /// The next best detections, of one image and with one score.
    fn add(&mut self, image: u32, run: &[MatchedDetection], palette: &mut Palette) {
        let run = || run.iter().filter(|one| one.right() | one.wrong() != 0);
        if run().all(MatchedDetection::is_wrong_everywhere) {
            self.wrong.extend(run().map(|_| image));
            return;
        }
        let from = self.tied.len() as u32;
        self.tied.extend(run().map(|one| palette.kind(one)));
        let what = match self.tied[from as usize..] {
            [kind] => {
                self.tied.pop();
                What::One(kind)
            }
            _ => What::Tied { from, to: self.tied.len() as u32 },
        };
        self.events.push(Event { wrong_before: self.wrong.len() as u32, image, what });
    }

    /// AP at each threshold, of a resample with so many objects, more than none.
    fn average_precisions(&self, kinds: &[Kind], weights: &[u32], objects: f64) -> Lanes {
        let mut sweep = Sweep::new(objects);
        let mut wrong = self.wrong.as_slice();
        let mut wrong_passed = 0;
        for event in &self.events {
            let (before, behind) = wrong.split_at((event.wrong_before - wrong_passed) as usize);
            (wrong, wrong_passed) = (behind, event.wrong_before);
            if !before.is_empty() {
                let passed: u64 = before.iter().map(|&image| u64::from(weight(weights, image))).sum();
                sweep.passed += passed as f64;
            }
            let weight = weight(weights, event.image);
            if weight == 0 {
                continue;
            }
            match event.what {
                What::One(kind) => sweep.step(&kinds[kind as usize], f64::from(weight)),
                What::Tied { from, to } => {
                    for _ in 0..weight {
                        for &kind in &self.tied[from as usize..to as usize] {
                            sweep.step(&kinds[kind as usize], 1.0);
                        }
                    }
                }
            }
        }
        sweep.finish()
    }
}

impl MatchedDetection {
    fn is_wrong_everywhere(&self) -> bool {
        self.right() == 0 && self.wrong().count_ones() as usize == THRESHOLDS
    }
}

/// The kinds of detections met so far, each once.
#[derive(Default)]
struct Palette {
    kinds: Vec<Kind>,
    places: HashMap<(u16, u16), u32>,
}

impl Palette {
    fn kind(&mut self, detection: &MatchedDetection) -> u32 {
        let (right, ignored) = (detection.right(), !(detection.right() | detection.wrong()));
        let lanes = |mask: u16| std::array::from_fn(|lane| f64::from(mask >> lane & 1));
        *self.places.entry((right, ignored)).or_insert_with(|| {
            let (right, ignored): (Lanes, Lanes) = (lanes(right), lanes(ignored));
            let (any_right, any_ignored) = (right.contains(&1.0), ignored.contains(&1.0));
            self.kinds.push(Kind { right, ignored, any_right, any_ignored });
            self.kinds.len() as u32 - 1
        })
    }
}

/// One pass over a category's detections, best first.
struct Sweep {
    /// Detections so far, ignored ones included; the same for all thresholds.
    passed: f64,
    /// Of these, how many are ignored.
    ignored: Lanes,
    /// Of these, how many are right.
    right: Lanes,
    /// The last recall reached.
    reached: [usize; THRESHOLDS],
    /// How many right ones the next recall takes.
    next: Lanes,
    /// Best precision since `reached`.
    best: Lanes,
    /// Best precision between a recall and the next.
    precision: [Lanes; RECALLS],
    /// How many right ones each recall takes; never for the one past the last.
    needed: [f64; RECALLS + 1],
}

impl Sweep {
    fn new(objects: f64) -> Self {
        let needed = needed(objects);
        Self {
            passed: 0.0,
            ignored: [0.0; THRESHOLDS],
            right: [0.0; THRESHOLDS],
            reached: [0; THRESHOLDS],
            next: [needed[1]; THRESHOLDS],
            best: [0.0; THRESHOLDS],
            precision: [[0.0; THRESHOLDS]; RECALLS],
            needed,
        }
    }

    /// `weight` detections of a kind in a row.
    #[inline]
    fn step(&mut self, kind: &Kind, weight: f64) {
        self.passed += weight;
        if kind.any_ignored {
            for (ignored, one) in self.ignored.iter_mut().zip(kind.ignored) {
                *ignored += weight * one;
            }
        }
        if !kind.any_right {
            return;
        }
        let mut reached = false;
        for lane in 0..THRESHOLDS {
            self.right[lane] += weight * kind.right[lane];
            reached |= self.right[lane] >= self.next[lane];
        }
        if reached {
            self.reach();
        }
        // Where this detection isn't right, precision is at most that at the last right one, which
        // is in `best` already: no mask is needed.
        for lane in 0..THRESHOLDS {
            // np.spacing(1), as pycocotools: it keeps 0 / 0 away.
            let precision = self.right[lane] / (self.passed - self.ignored[lane] + f64::EPSILON);
            self.best[lane] = if precision > self.best[lane] { precision } else { self.best[lane] };
        }
    }

    /// Some thresholds have reached their next recall.
    #[inline]
    fn reach(&mut self) {
        for lane in 0..THRESHOLDS {
            if self.right[lane] >= self.next[lane] {
                let mut at = self.reached[lane];
                self.precision[at][lane] = self.best[lane];
                while self.right[lane] >= self.needed[at + 1] {
                    at += 1;
                }
                self.reached[lane] = at;
                self.next[lane] = self.needed[at + 1];
                self.best[lane] = 0.0;
            }
        }
    }

    /// The mean over recalls of the best precision from there on.
    fn finish(mut self) -> Lanes {
        for lane in 0..THRESHOLDS {
            self.precision[self.reached[lane]][lane] = self.best[lane];
        }
        let (mut best, mut sums) = ([0.0; THRESHOLDS], [0.0; THRESHOLDS]);
        for row in self.precision.iter().rev() {
            for lane in 0..THRESHOLDS {
                best[lane] = if row[lane] > best[lane] { row[lane] } else { best[lane] };
                sums[lane] += best[lane];
            }
        }
        sums.map(|sum: f64| sum / RECALLS as f64)
    }
}

/// The fewest right detections of `objects` whose recall, as a rounded quotient, is at least 0,
/// 0.01, ..., 1; infinity behind them.
fn needed(objects: f64) -> [f64; RECALLS + 1] {
    let mut needed = [f64::INFINITY; RECALLS + 1];
    for (at, needed) in needed[..RECALLS].iter_mut().enumerate() {
        // np.linspace(0, 1, 101)
        let recall = if at + 1 == RECALLS { 1.0 } else { at as f64 * 0.01 };
        let about = (recall * objects).ceil();
        *needed = if about > 0.0 && (about - 1.0) / objects >= recall {
            about - 1.0
        } else if about / objects < recall {
            about + 1.0
        } else {
            about
        };
    }
    needed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_that_reach_a_recall() {
        for objects in (1..3000).chain([100_000, 1_234_567]).map(f64::from) {
            let needed = needed(objects);
            for (at, &right) in needed[..RECALLS].iter().enumerate() {
                let recall = if at == 100 { 1.0 } else { at as f64 * 0.01 };
                assert!(
                    right / objects >= recall && (right == 0.0 || (right - 1.0) / objects < recall),
                    "{objects}, {at}"
                );
            }
        }
    }
}
