//! The rows of a comparison: for each pair and metric the difference, its interval and its p value. Says nothing of what a
//! difference means (see `judge`).
//!
//! Two things make a difference uncertain. Other images would have given another one: the images are resampled, the same for both
//! sides. Another training would have given another one: over several seeds the paired differences show how much; for a cell
//! that is held against its stored self the spread over the baseline's seeds does. Unless the two trainings are the same to the bit, as
//! they are on the machine that made the baseline until code changes how it trains.

use std::collections::BTreeMap;

use adamv_metrics::statistics::student;
use adamv_metrics::{BootstrapSummary, Component, mcnemar, minimum_detectable_effect, summarize, t_interval};
use adamv_store::{Gates, HistoryRow, Record};
use serde::Serialize;

use super::judge::Verdict;
use super::pairs::{Pair, Question};
use super::samples::{APS, ApCache, bootstrapped_mean, common_images, correct, same_objects};
use super::source::{Source, SourceCell};
use super::{CompareOptions, refused};
use crate::error::Result;
use crate::group::Metric;
use crate::number::Estimate;

/// The note on a comparison of two systems with one training of each.
pub(crate) const ONE_SEED: &str = "One seed: what another training would give isn't in the intervals.";

/// What a row's interval and p value rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// Exact test on the images that only one side got right; the interval is of a paired bootstrap over images.
    #[serde(rename = "mcnemar")]
    McNemar,
    /// Paired bootstrap over images.
    Bootstrap,
    /// Bootstrap over images and the spread of training, with Student's t.
    ImagesAndTraining,
}

/// One metric of one pair. Values in percent, differences in percentage points.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    pub system: String,
    pub backbone: String,
    pub variant: String,
    pub seeds: Vec<u64>,
    /// `accuracy`, `AP`, `AP50`, `AP75` or `APmask`.
    pub metric: &'static str,
    /// Images that both sides have.
    pub images: usize,
    /// Means over the seeds.
    pub baseline: f64,
    pub value: f64,
    /// `value - baseline`, and its standard deviation over the seeds where there are several.
    pub delta: f64,
    pub delta_deviation: Option<f64>,
    /// Standard error of `delta`, and its 95% interval.
    pub standard_error: f64,
    pub low: f64,
    pub high: f64,
    pub test: Test,
    /// Two-sided, that there is no difference; and adjusted for all rows by Benjamini and Hochberg.
    pub p: f64,
    pub q: f64,
    /// Smallest true difference that would be found with 80% power at 5%, before the adjustment.
    pub minimum_detectable: f64,
    /// The gate of the metric.
    pub tolerance: f64,
    pub verdict: Verdict,
}

/// Differences of a metric of a pair.
struct Differences {
    images: usize,
    /// By seed: ours, the baseline's.
    values: Vec<(f64, f64)>,
    /// Resampled mean over the seeds of the difference.
    resampled: Vec<f64>,
    /// Exact p value, where there is one.
    exact: Option<f64>,
}

/// The rows of all pairs, not yet adjusted or judged.
pub(super) fn rows<'a>(
    pairs: &[Pair<'a>],
    baseline: &Source,
    gates: &Gates,
    options: &CompareOptions,
    cache: &mut ApCache<'a>,
    notes: &mut Vec<String>,
) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut noted = Noted::default();
    for pair in pairs {
        let noise = Noise::of(pair, baseline, &options.question);
        if matches!(noise, Noise::Unknown) {
            noted.note(pair, "was trained otherwise than its stored self, by another machine or other code, and the baseline has one seed: what another training would give isn't in its intervals");
        }
        rows.extend(rows_of(pair, &noise, gates, options.resamples, cache, &mut noted)?);
    }
    if options.question != Question::Regression && rows.iter().any(|row| row.seeds.len() == 1) {
        notes.push(ONE_SEED.to_owned());
    }
    notes.extend(noted.sentences());
    Ok(rows)
}

/// The rows of two systems, whose seeds alone say how much training varies; not yet adjusted or judged.
pub(super) fn rows_of_systems<'a>(
    pair: &Pair<'a>,
    gates: &Gates,
    resamples: usize,
    cache: &mut ApCache<'a>,
    noted: &mut Noted,
) -> Result<Vec<Row>> {
    rows_of(pair, &Noise::of_seeds(pair), gates, resamples, cache, noted)
}

fn rows_of<'a>(
    pair: &Pair<'a>,
    noise: &Noise,
    gates: &Gates,
    resamples: usize,
    cache: &mut ApCache<'a>,
    noted: &mut Noted,
) -> Result<Vec<Row>> {
    let measured = differences(pair, resamples, cache, noted)?;
    let found = Metric::ALL.into_iter().zip(measured).filter_map(|(metric, found)| Some((metric, found?)));
    found.map(|(metric, differences)| row(pair, metric, &differences, noise, gates)).collect()
}

/// Notes on pairs, each once with the names of all that it is about.
#[derive(Default)]
pub(crate) struct Noted(BTreeMap<String, Vec<String>>);

impl Noted {
    fn note(&mut self, pair: &Pair, what: impl Into<String>) {
        let names = self.0.entry(what.into()).or_default();
        let name = pair.new.first().map_or_else(String::new, |cell| cell.name());
        if !names.contains(&name) {
            names.push(name);
        }
    }

    pub(crate) fn sentences(self) -> impl Iterator<Item = String> {
        self.0.into_iter().map(|(what, names)| format!("{} {what}.", names.join(", ")))
    }
}

/// Differences by metric, in the order of [`Metric::ALL`]; none where one side lacks what is needed.
fn differences<'a>(
    pair: &Pair<'a>,
    resamples: usize,
    cache: &mut ApCache<'a>,
    noted: &mut Noted,
) -> Result<[Option<Differences>; 1 + APS]> {
    let cells: Vec<_> = pair.new.iter().chain(&pair.base).copied().collect();
    let seeds = pair.seeds.len();
    let mut found: [Option<Differences>; 1 + APS] = Default::default();

    // ---- Accuracy
    match correct(&cells)? {
        None => {
            noted.note(pair, "has no image of classification that both sides classified, so accuracy was not compared")
        }
        Some(correct) => {
            if correct.left_out > 0 {
                noted.note(
                    pair,
                    format!(
                        "was compared without {} images of classification that only one side has",
                        correct.left_out
                    ),
                );
            }
            let images = correct.right[0].len();
            let (ours, theirs) = correct.right.split_at(seeds);
            let share = |right: &Vec<bool>| 100.0 * right.iter().filter(|r| **r).count() as f64 / images as f64;
            let mut per_image = vec![0.0; images];
            for (new, base) in ours.iter().zip(theirs) {
                for ((difference, new), base) in per_image.iter_mut().zip(new).zip(base) {
                    *difference += 100.0 * (f64::from(u8::from(*new)) - f64::from(u8::from(*base))) / seeds as f64;
                }
            }
            let only = |a: &[bool], b: &[bool]| a.iter().zip(b).filter(|(a, b)| **a && !**b).count() as u64;
            found[0] = Some(Differences {
                images,
                values: ours.iter().zip(theirs).map(|(new, base)| (share(new), share(base))).collect(),
                resampled: bootstrapped_mean(&per_image, resamples),
                exact: (seeds == 1).then(|| mcnemar(only(&theirs[0], &ours[0]), only(&ours[0], &theirs[0]))),
            });
        }
    }

    // ---- AP of boxes and masks
    let Some((images, left_out)) = common_images(&cells) else {
        noted.note(pair, "has no matched detections on both sides, so AP was not compared; a cell of an older version gets them when its record.json is deleted and the suite run again, which only evaluates");
        return Ok(found);
    };
    same_objects(&cells, &images)?;
    if left_out > 0 {
        noted.note(pair, format!("was compared without {left_out} images of detection that only one side has"));
    }
    let matches = cells.iter().filter_map(|cell| cell.matches.as_ref());
    let samples: Vec<_> = matches.map(|matches| cache.get(matches, &images)).collect();
    let (ours, theirs) = samples.split_at(seeds);
    for ap in 0..APS {
        let values: Vec<(f64, f64)> =
            ours.iter().zip(theirs).map(|(new, base)| (new.point[ap], base.point[ap])).collect();
        // The COCO API's -1.
        if values.iter().any(|(new, base)| *new < 0.0 || *base < 0.0) {
            noted.note(pair, "has images without any object to find, so AP was not compared");
            continue;
        }
        let mut resampled = vec![0.0; resamples];
        for (new, base) in ours.iter().zip(theirs) {
            for ((sum, new), base) in resampled.iter_mut().zip(&new.resampled[ap]).zip(&base.resampled[ap]) {
                *sum += (new - base) / seeds as f64;
            }
        }
        found[1 + ap] = Some(Differences { images: images.len(), values, resampled, exact: None });
    }
    Ok(found)
}

fn row(pair: &Pair, metric: Metric, differences: &Differences, noise: &Noise, gates: &Gates) -> Result<Row> {
    let seeds = differences.values.len() as f64;
    let deltas: Vec<f64> = differences.values.iter().map(|(new, base)| new - base).collect();
    let broken = || {
        refused(format!(
            "{} of {} has no finite difference; the stored predictions are broken",
            metric.key(),
            pair.system
        ))
    };
    let spread = Estimate::of(&deltas).ok_or_else(broken)?;
    let delta = spread.mean;
    let of_images = summarize(&differences.resampled).ok_or_else(broken)?;
    let by_images = Component { variance: of_images.standard_error.powi(2), degrees: f64::INFINITY };
    let by_training = match (noise, spread.deviation) {
        (Noise::Spread(metrics), _) => metrics.get(metric.key()).map(|noise| Component {
            // Both sides are a training.
            variance: 2.0 * noise.variance / seeds,
            degrees: noise.degrees,
        }),
        (Noise::Seeds, Some(deviation)) => {
            Some(Component { variance: deviation.powi(2) / seeds, degrees: seeds - 1.0 })
        }
        _ => None,
    };
    let (test, standard_error, degrees, [low, high], p) = match (by_training, differences.exact) {
        (Some(training), _) => {
            let t = t_interval(delta, &[by_images, training]).ok_or_else(broken)?;
            (Test::ImagesAndTraining, t.standard_error, t.degrees, [t.low, t.high], t.p)
        }
        (None, Some(exact)) => {
            (Test::McNemar, of_images.standard_error, f64::INFINITY, [of_images.low, of_images.high], exact)
        }
        (None, None) => {
            let p = beyond_resamples(&of_images, delta, differences.resampled.len());
            (Test::Bootstrap, of_images.standard_error, f64::INFINITY, [of_images.low, of_images.high], p)
        }
    };
    let mean = |of: fn(&(f64, f64)) -> f64| differences.values.iter().map(of).sum::<f64>() / seeds;
    Ok(Row {
        system: pair.system.to_owned(),
        backbone: pair.backbone.to_owned(),
        variant: pair.variant.to_owned(),
        seeds: pair.seeds.clone(),
        metric: metric.key(),
        images: differences.images,
        baseline: mean(|(_, base)| *base),
        value: mean(|(new, _)| *new),
        delta,
        delta_deviation: spread.deviation,
        standard_error,
        low,
        high,
        test,
        p,
        q: p,
        minimum_detectable: minimum_detectable_effect(standard_error, degrees),
        tolerance: metric.tolerance(gates),
        verdict: Verdict::Undecided,
    })
}

/// B resamples can't tell p values below 2 / (B + 1) apart, and the adjustment for many rows would make nothing of such a floor: where no
/// resample crosses 0, the normal tail says how far away it is.
fn beyond_resamples(summary: &BootstrapSummary, delta: f64, resamples: usize) -> f64 {
    let floor = 2.0 / (resamples as f64 + 1.0);
    if summary.p > floor || summary.standard_error <= 0.0 {
        return summary.p;
    }
    summary.p.min(student::two_sided(delta / summary.standard_error, f64::INFINITY))
}

/// How much another training would change a difference.
enum Noise {
    /// Not at all: both were trained to the same bits.
    None,
    /// As the paired differences over the seeds say.
    Seeds,
    /// As the baseline's cells vary over their seeds, by metric.
    Spread(BTreeMap<&'static str, Component>),
    /// It does, and nothing says by how much.
    Unknown,
}

impl Noise {
    fn of(pair: &Pair, baseline: &Source, question: &Question) -> Self {
        if *question != Question::Regression {
            return Self::of_seeds(pair);
        }
        let same = pair.new.iter().zip(&pair.base).all(|(new, base)| same_training(new, base));
        if same {
            return Self::None;
        }
        let spread = spread(pair, baseline);
        if spread.is_empty() { Self::Unknown } else { Self::Spread(spread) }
    }

    fn of_seeds(pair: &Pair) -> Self {
        if pair.seeds.len() > 1 { Self::Seeds } else { Self::None }
    }
}

/// Whether both were trained to the same bits, as far as their histories show: then any difference is one of evaluation.
fn same_training(ours: &SourceCell, theirs: &SourceCell) -> bool {
    let (ours, theirs) = (ours.history.brief(), theirs.history.brief());
    let bits = |row: &HistoryRow| (row.value as f32).to_bits();
    // NaN is equal to itself here.
    !ours.rows.is_empty()
        && ours.rows.len() == theirs.rows.len()
        && ours.rows.iter().zip(&theirs.rows).all(|(a, b)| {
            (a.step, &a.phase, &a.task, &a.metric, bits(a)) == (b.step, &b.phase, &b.task, &b.metric, bits(b))
        })
}

/// Variance over seeds of each metric, pooled over the baseline's systems with the pair's backbone and protocol.
fn spread(pair: &Pair, baseline: &Source) -> BTreeMap<&'static str, Component> {
    let protocol = pair.base.first().and_then(|cell| cell.done()).map(|record| &record.protocol_key);
    let mut groups: BTreeMap<(&str, &str), Vec<&Record>> = BTreeMap::new();
    for record in baseline.cells.iter().filter_map(|cell| cell.done()) {
        if record.cell.backbone == pair.backbone && Some(&record.protocol_key) == protocol {
            groups.entry((&record.cell.system, &record.cell.variant)).or_default().push(record);
        }
    }
    let mut pooled = BTreeMap::new();
    for metric in Metric::ALL {
        let (mut squares, mut degrees) = (0.0, 0.0);
        for records in groups.values() {
            let values: Vec<f64> = records.iter().filter_map(|record| metric.of(record).ok()).collect();
            if let Some(deviation) = Estimate::of(&values).and_then(|estimate| estimate.deviation) {
                let own = values.len() as f64 - 1.0;
                squares += own * deviation.powi(2);
                degrees += own;
            }
        }
        if degrees > 0.0 {
            pooled.insert(metric.key(), Component { variance: squares / degrees, degrees });
        }
    }
    pooled
}
