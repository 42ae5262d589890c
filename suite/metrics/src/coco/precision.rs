//! AP of a resample of images, ten thousand times over: the hot loop of every bootstrap. Sees what
//! the matching found; it may not touch ground truth, detections or files.
//!
//! AP as in pycocotools' `COCOeval.accumulate` and `summarize`: at each of 101 recalls the best
//! precision from there on, averaged over recalls, thresholds and categories. What makes it fast is
//! that the order of detections is known beforehand, and that hardly a branch depends on a weight,
//! for weights are random and a wrong guess costs as much as a step:
//!
//! - Most detections find nothing at any threshold. They change one count, the same for all
//!   thresholds, so all that is needed of them is the sum of weights up to each of the others.
//! - Others are one step for all ten thresholds, which lie side by side. Masks are looked up as
//!   zeros and ones in a short table, since few different ones occur.
//! - Steps go from the last detection to the first. The best precision from there on is then a
//!   running maximum, and counts for as many recalls as are reached by the step.
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
    /// COCO's number of each, rising.
    categories: Vec<(u64, Category)>,
}

/// What AP of one category depends on. Images are places in `Matches::images`.
#[derive(Debug, Clone, Default)]
struct Category {
    /// An image and its objects.
    objects: Vec<(u32, u32)>,
    /// Images of the detections wrong at every threshold, best first, up to the last event.
    wrong: Vec<u32>,
    /// The other detections, best first, up to the last that is right at any threshold.
    events: Vec<Event>,
    /// Kinds of detections that tie within an image.
    tied: Vec<u32>,
    /// The masks that occur.
    kinds: Vec<Kind>,
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

/// An event of an image that is drawn.
#[derive(Clone, Copy)]
struct Drawn {
    what: What,
    weight: f64,
    /// Detections up to and with it, ignored ones included; the same for all thresholds.
    passed: f64,
}

/// Memory of one call, used for each category anew.
#[derive(Default)]
struct Scratch {
    /// How many of the first 0, 1, ... of `Category::wrong` are in the resample.
    wrong: Vec<u64>,
    drawn: Vec<Drawn>,
    /// How many detections of each kind are in the resample.
    of_kind: Vec<f64>,
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
        let mut palettes: HashMap<u64, Palette> = HashMap::new();
        for run in matches.detections.chunk_by(MatchedDetection::ties_with) {
            let [MatchedDetection { image_id, category_id, .. }, ..] = run else { continue };
            // A category without objects is never found, so its detections have no say.
            if let Some(category) = categories.get_mut(category_id)
                && let Some(&image) = places.get(image_id)
            {
                category.add(image, run, palettes.entry(*category_id).or_default());
            }
        }
        let categories = categories.into_iter().map(|(id, category)| (id, category.up_to_last_right())).collect();
        Self { categories }
    }

    /// AP where image i of `matches.images` is drawn `weights[i]` times, each time as an image of
    /// its own behind the one before; images beyond the list are not drawn. Categories of which the
    /// resample has no object are left out of the mean.
    ///
    /// With all weights 1 it is the evaluation's own AP, AP50 and AP75.
    pub fn average_precision(&self, weights: &[u32]) -> AveragePrecision {
        let (mut sums, mut counted, mut scratch) = ([0.0; THRESHOLDS], 0, Scratch::default());
        for (_, category) in &self.categories {
            if let Some(averages) = category.averages_if_any(weights, &mut scratch) {
                counted += 1;
                for (sum, average) in sums.iter_mut().zip(averages) {
                    *sum += average;
                }
            }
        }
        if counted == 0 {
            return AveragePrecision { ap: -1.0, ap50: -1.0, ap75: -1.0 };
        }
        AveragePrecision::of(sums, f64::from(counted))
    }

    /// The same of each category by itself: COCO's number of it, rising, without those that the
    /// resample has no object of.
    pub fn by_category(&self, weights: &[u32]) -> Vec<(u64, AveragePrecision)> {
        let mut scratch = Scratch::default();
        let of = |(id, category): &(u64, Category)| {
            Some((*id, AveragePrecision::of(category.averages_if_any(weights, &mut scratch)?, 1.0)))
        };
        self.categories.iter().filter_map(of).collect()
    }
}

impl AveragePrecision {
    /// Of the sums over so many categories.
    fn of(sums: Lanes, categories: f64) -> Self {
        Self {
            ap: sums.iter().sum::<f64>() / (categories * THRESHOLDS as f64),
            ap50: sums[AP50] / categories,
            ap75: sums[AP75] / categories,
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
        for one in run() {
            let kind = palette.kind(one, &mut self.kinds);
            self.tied.push(kind);
        }
        let what = match self.tied[from as usize..] {
            [kind] => {
                self.tied.pop();
                What::One(kind)
            }
            _ => What::Tied { from, to: self.tied.len() as u32 },
        };
        self.events.push(Event { wrong_before: self.wrong.len() as u32, image, what });
    }

    /// Without what follows the last event with a right detection: behind it precision only falls.
    fn up_to_last_right(mut self) -> Self {
        let any_right =
            |event: &Event| self.kinds_of(&event.what).iter().any(|&kind| self.kinds[kind as usize].any_right);
        let events = self.events.iter().rposition(any_right).map_or(0, |at| at + 1);
        self.events.truncate(events);
        self.wrong.truncate(self.events.last().map_or(0, |event| event.wrong_before as usize));
        self
    }

    fn kinds_of<'a>(&'a self, what: &'a What) -> &'a [u32] {
        match what {
            What::One(kind) => std::slice::from_ref(kind),
            What::Tied { from, to } => &self.tied[*from as usize..*to as usize],
        }
    }

    /// AP at each threshold; None for a resample without an object.
    fn averages_if_any(&self, weights: &[u32], scratch: &mut Scratch) -> Option<Lanes> {
        // Exact: far below 2^53.
        let objects: f64 =
            self.objects.iter().map(|&(image, count)| f64::from(weight(weights, image)) * f64::from(count)).sum();
        (objects > 0.0).then(|| self.average_precisions(weights, objects, scratch))
    }

    /// AP at each threshold, of a resample with so many objects, more than none.
    fn average_precisions(&self, weights: &[u32], objects: f64, scratch: &mut Scratch) -> Lanes {
        let drawn = self.draw(weights, scratch);
        let mut sweep = Sweep::from_the_end(objects, &self.kinds, &scratch.of_kind);
        for drawn in scratch.drawn[..drawn].iter().rev() {
            match drawn.what {
                What::One(kind) => sweep.step(&self.kinds[kind as usize], drawn.weight, drawn.passed),
                What::Tied { from, to } => {
                    let mut passed = drawn.passed;
                    let mut copies = drawn.weight;
                    while copies > 0.0 {
                        for &kind in self.tied[from as usize..to as usize].iter().rev() {
                            sweep.step(&self.kinds[kind as usize], 1.0, passed);
                            passed -= 1.0;
                        }
                        copies -= 1.0;
                    }
                }
            }
        }
        sweep.finish()
    }

    /// Fills `scratch`, and says how many of `scratch.drawn` are drawn. All counts are exact: far
    /// below 2^53.
    fn draw(&self, weights: &[u32], scratch: &mut Scratch) -> usize {
        scratch.wrong.clear();
        scratch.wrong.push(0);
        let mut sum = 0;
        scratch.wrong.extend(self.wrong.iter().map(|&image| {
            sum += u64::from(weight(weights, image));
            sum
        }));
        scratch.of_kind.clear();
        scratch.of_kind.resize(self.kinds.len(), 0.0);
        let nothing = Drawn { what: What::One(0), weight: 0.0, passed: 0.0 };
        scratch.drawn.resize(self.events.len().max(scratch.drawn.len()), nothing);
        let (mut events, mut passed) = (0, 0.0);
        for event in &self.events {
            let weight = f64::from(weight(weights, event.image));
            for &kind in self.kinds_of(&event.what) {
                scratch.of_kind[kind as usize] += weight;
                passed += weight;
            }
            let wrong = scratch.wrong[event.wrong_before as usize] as f64;
            scratch.drawn[events] = Drawn { what: event.what, weight, passed: wrong + passed };
            // Written over by the next where this one isn't drawn.
            events += usize::from(weight > 0.0);
        }
        events
    }
}

impl MatchedDetection {
    fn is_wrong_everywhere(&self) -> bool {
        self.right() == 0 && self.wrong().count_ones() as usize == THRESHOLDS
    }
}

/// Where the kinds met so far are in a category's list.
#[derive(Default)]
struct Palette(HashMap<(u16, u16), u32>);

impl Palette {
    fn kind(&mut self, detection: &MatchedDetection, kinds: &mut Vec<Kind>) -> u32 {
        let (right, ignored) = (detection.right(), !(detection.right() | detection.wrong()));
        let lanes = |mask: u16| std::array::from_fn(|lane| f64::from(mask >> lane & 1));
        *self.0.entry((right, ignored)).or_insert_with(|| {
            let (right, ignored): (Lanes, Lanes) = (lanes(right), lanes(ignored));
            let (any_right, any_ignored) = (right.contains(&1.0), ignored.contains(&1.0));
            kinds.push(Kind { right, ignored, any_right, any_ignored });
            kinds.len() as u32 - 1
        })
    }
}

/// One pass over a category's detections, from the last to the first.
struct Sweep {
    /// How many detections up to here are right.
    right: Lanes,
    /// How many of them are ignored.
    ignored: Lanes,
    /// The last recall they reach.
    reached: Lanes,
    /// Best precision from here on.
    best: Lanes,
    /// Sum over the recalls passed of the best precision from there on.
    sum: Lanes,
    recalls: Recalls,
}

impl Sweep {
    fn from_the_end(objects: f64, kinds: &[Kind], of_kind: &[f64]) -> Self {
        let recalls = Recalls::new(objects);
        let (mut right, mut ignored) = ([0.0; THRESHOLDS], [0.0; THRESHOLDS]);
        for (kind, &count) in kinds.iter().zip(of_kind) {
            for lane in 0..THRESHOLDS {
                right[lane] += count * kind.right[lane];
                ignored[lane] += count * kind.ignored[lane];
            }
        }
        let reached = recalls.reached(&right);
        Self { right, ignored, reached, best: [0.0; THRESHOLDS], sum: [0.0; THRESHOLDS], recalls }
    }

    /// Back over `weight` detections of a kind in a row; with them, `passed` detections come up to
    /// here.
    #[inline]
    fn step(&mut self, kind: &Kind, weight: f64, passed: f64) {
        for lane in 0..THRESHOLDS {
            // np.spacing(1), as pycocotools: it keeps 0 / 0 away.
            let precision = self.right[lane] / (passed - self.ignored[lane] + f64::EPSILON);
            self.best[lane] = larger(self.best[lane], precision);
            self.right[lane] -= weight * kind.right[lane];
        }
        if kind.any_ignored {
            for lane in 0..THRESHOLDS {
                self.ignored[lane] -= weight * kind.ignored[lane];
            }
        }
        let before = self.recalls.reached(&self.right);
        for (lane, before) in before.into_iter().enumerate() {
            self.sum[lane] += self.best[lane] * (self.reached[lane] - before);
            self.reached[lane] = before;
        }
    }

    /// The mean over recalls of the best precision from there on.
    fn finish(self) -> Lanes {
        // Recall 0 is reached by nothing.
        std::array::from_fn(|lane| (self.sum[lane] + self.best[lane] * (self.reached[lane] + 1.0)) / RECALLS as f64)
    }
}

/// The larger of two that aren't NaN, without the case that `f64::max` has for NaN.
#[inline]
fn larger(one: f64, other: f64) -> f64 {
    if one > other { one } else { other }
}

/// Which recalls a number of right detections reaches.
struct Recalls {
    /// From [`needed`]; infinity up to a length that a mask can index without a check.
    needed: [f64; 128],
    /// Recalls an object.
    density: f64,
}

impl Recalls {
    fn new(objects: f64) -> Self {
        let mut padded = [f64::INFINITY; 128];
        padded[..=RECALLS].copy_from_slice(&needed(objects));
        Self { needed: padded, density: (RECALLS - 1) as f64 / objects }
    }

    /// The number, from 0, of the last recall reached.
    #[inline]
    fn reached(&self, right: &Lanes) -> Lanes {
        // A guess that is right or one too low, for it is low by more than rounding errors; cut to
        // an integer by adding the 2^52 above which there are no others.
        const INTEGERS: f64 = (1u64 << 52) as f64;
        let mut reached = [0.0; THRESHOLDS];
        let mut next = [0usize; THRESHOLDS];
        for lane in 0..THRESHOLDS {
            let guess = right[lane] * self.density - (0.5 + 1e-9);
            let guess = larger(guess, 0.0);
            let guess = if guess < 100.0 { guess } else { 100.0 };
            let shifted = guess + INTEGERS;
            reached[lane] = shifted - INTEGERS;
            next[lane] = (shifted.to_bits() & 127) as usize;
        }
        let next = next.map(|guess| self.needed[(guess + 1) & 127]);
        for lane in 0..THRESHOLDS {
            reached[lane] += if next[lane] <= right[lane] { 1.0 } else { 0.0 };
        }
        reached
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
    fn the_last_recall_reached() {
        for objects in (1..3000).chain([100_000, 1_234_567]).map(f64::from) {
            let recalls = Recalls::new(objects);
            let needed = needed(objects);
            let rights = needed[..RECALLS].iter().flat_map(|&right| [right - 1.0, right, right + 1.0]);
            for right in rights.chain([0.0, objects + 2.0, 3.0 * objects]).filter(|&right| right >= 0.0) {
                let last = needed.iter().rposition(|&needed| needed <= right).unwrap();
                assert_eq!(recalls.reached(&[right; THRESHOLDS]), [last as f64; THRESHOLDS], "{right} of {objects}");
            }
        }
    }

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
