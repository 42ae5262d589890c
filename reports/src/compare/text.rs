//! A comparison as Markdown, and its verdicts in a sentence. Judges nothing.

use serde::Serialize;

use super::cost::CostRow;
use super::pairs::Question;
use super::rows::{Row, Test};
use super::seeds::SeedsRow;
use super::{Comparison, Verdict};
use crate::error::Result;
use crate::markup::fill;
use crate::number::{Estimate, count, fixed, signed};

/// A comparison as the templates print it.
#[derive(Serialize)]
pub(crate) struct Page<'a> {
    title: String,
    sentence: String,
    /// Whether any row is of a variant.
    variants: bool,
    rows: Vec<ShownRow>,
    over_seeds: Vec<ShownSeeds>,
    costs: Vec<ShownCost>,
    unchanged_costs: usize,
    absent: &'a [super::Absent],
    notes: &'a [String],
    resamples: usize,
}

/// A row as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownRow {
    pub system: String,
    pub backbone: String,
    pub variant: String,
    pub seeds: String,
    pub metric: String,
    pub baseline: String,
    pub value: String,
    pub delta: String,
    pub interval: String,
    pub minimum_detectable: String,
    pub q: String,
    pub verdict: String,
}

impl Row {
    /// Its texts: percent and points with two decimals.
    pub fn shown(&self) -> ShownRow {
        let deviation = self.delta_deviation.map(|d| format!(" (± {} over seeds)", fixed(d))).unwrap_or_default();
        ShownRow {
            system: self.system.clone(),
            backbone: self.backbone.clone(),
            variant: self.variant.clone(),
            seeds: list(&self.seeds),
            metric: self.metric.to_owned(),
            baseline: fixed(self.baseline),
            value: fixed(self.value),
            delta: signed(self.delta) + &deviation,
            interval: format!("[{}, {}]", signed(self.low), signed(self.high)),
            minimum_detectable: fixed(self.minimum_detectable),
            q: probability(self.q),
            verdict: self.verdict.to_string(),
        }
    }
}

/// A row over seeds as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownSeeds {
    pub system: String,
    pub backbone: String,
    pub variant: String,
    pub seeds: String,
    pub metric: String,
    pub baseline: String,
    pub value: String,
    pub delta: String,
}

impl SeedsRow {
    /// Its texts: mean ± standard deviation over seeds.
    pub fn shown(&self) -> ShownSeeds {
        let estimate = |mean, deviation| Estimate { mean, deviation };
        ShownSeeds {
            system: self.system.clone(),
            backbone: self.backbone.clone(),
            variant: self.variant.clone(),
            seeds: list(&self.seeds),
            metric: self.metric.to_owned(),
            baseline: estimate(self.baseline, self.baseline_deviation).text(),
            value: estimate(self.value, self.value_deviation).text(),
            delta: estimate(self.delta, self.delta_deviation).signed(),
        }
    }
}

/// A cost row as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownCost {
    pub system: String,
    pub backbone: String,
    pub variant: String,
    pub seeds: String,
    pub task: String,
    pub params: String,
    pub macs: String,
}

impl CostRow {
    /// Its texts: millions, and the change in percent.
    pub fn shown(&self) -> ShownCost {
        let change = |ours: f64, theirs: f64| {
            let percent =
                if theirs > 0.0 { format!(" ({}%)", signed(100.0 * (ours / theirs - 1.0))) } else { String::new() };
            if ours == theirs {
                format!("{} M", fixed(ours * 1e-6))
            } else {
                format!("{} → {} M{percent}", fixed(theirs * 1e-6), fixed(ours * 1e-6))
            }
        };
        ShownCost {
            system: self.system.clone(),
            backbone: self.backbone.clone(),
            variant: self.variant.clone(),
            seeds: list(&self.seeds),
            task: self.task.clone(),
            params: change(self.params_activated, self.baseline_params_activated),
            macs: self
                .macs
                .zip(self.baseline_macs)
                .map_or_else(|| "not recorded".to_owned(), |(ours, theirs)| change(ours, theirs)),
        }
    }
}

/// The costs that a table shows: where nothing is asked but whether something got worse, those that changed.
pub(super) fn shown_costs(comparison: &Comparison) -> Vec<&CostRow> {
    let all = comparison.question != Question::Regression;
    comparison.costs.iter().filter(|cost| all || !cost.unchanged()).collect()
}

pub(super) fn markdown(comparison: &Comparison) -> Result<String> {
    #[derive(Serialize)]
    struct Whole<'a> {
        comparison: Page<'a>,
    }
    fill("compare.md", Whole { comparison: page(comparison) })
}

/// What a page says of a comparison.
pub(crate) fn page(comparison: &Comparison) -> Page<'_> {
    let title = match &comparison.question {
        Question::Regression => format!("{} against the baseline {}", comparison.run, comparison.baseline),
        Question::Reference { reference } => {
            format!("{} against {reference} of the baseline {}", comparison.run, comparison.baseline)
        }
    };
    let costs = shown_costs(comparison);
    Page {
        title,
        sentence: sentence(comparison),
        variants: comparison.rows.iter().any(|row| row.variant != adamv_store::CellId::BASE),
        rows: comparison.rows.iter().map(Row::shown).collect(),
        over_seeds: comparison.over_seeds.iter().map(SeedsRow::shown).collect(),
        unchanged_costs: comparison.costs.len() - costs.len(),
        costs: costs.into_iter().map(CostRow::shown).collect(),
        absent: &comparison.absent,
        notes: &comparison.notes,
        resamples: comparison.resamples,
    }
}

pub(super) fn sentence(comparison: &Comparison) -> String {
    let summary = &comparison.summary;
    if !comparison.measured() {
        return "Nothing was compared.".to_owned();
    }
    let mut parts = Vec::new();
    if summary.failed > 0 {
        parts.push(format!("{} failed that the baseline has", count(summary.failed, "cell")));
    }
    for verdict in [Verdict::Worse, Verdict::Better, Verdict::Undecided, Verdict::Same] {
        let rows = comparison.rows.iter().filter(|row| row.verdict == verdict).count();
        if rows > 0 {
            parts.push(format!("{} {verdict}", count(rows, "row")));
        }
    }
    if comparison.rows.is_empty() {
        return format!("{}.", parts.join(", "));
    }
    let images = comparison.rows.iter().any(|row| row.test == Test::ImagesAndTraining);
    let rest = if images { "images and training" } else { "images" };
    let mut text = parts.join(", ");
    if let Some(first) = text.get(..1) {
        text = first.to_uppercase() + &text[1..];
    }
    format!("{text}; intervals are over {rest}.")
}

/// `0`, `0, 1, 2`.
fn list(seeds: &[u64]) -> String {
    seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

fn probability(value: f64) -> String {
    if value < 0.0005 { "< 0.001".to_owned() } else { format!("{value:.3}") }
}
