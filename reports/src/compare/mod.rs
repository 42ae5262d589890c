//! Comparing results with others: did a cell get worse, is a variant better? Pairs what can be paired (the same images, the same
//! seeds), says how large each difference is, how sure that is, and what it costs.
//!
//! ```text
//! run directory | stored baseline --source--> cells --pairs--> pairs of the same protocol
//!                                                      |            \--cost--> activated parameters, MACs
//!                                  samples (per image, resampled) --rows--> difference, interval, p --judge--> verdict
//! ```
//!
//! Architecture invariant: differences are computed from what is stored per image, never from the summary numbers of records, which only say how
//! much training varies; the
//! same arguments give the same numbers, on any number of threads.

mod cost;
mod judge;
mod pairs;
mod rows;
mod samples;
mod seeds;
mod source;
mod text;

use std::path::Path;

use adamv_store::Gates;
use serde::Serialize;

pub use cost::CostRow;
pub use judge::Verdict;
pub(crate) use judge::judge;
pub use pairs::{Absent, Question};
pub(crate) use rows::{Noted, ONE_SEED};
pub use rows::{Row, Test};
pub(crate) use samples::{ApCache, of_kind};
pub use seeds::SeedsRow;
pub use source::{Source, SourceCell};
pub(crate) use text::{Page, page};
pub use text::{ShownCost, ShownRow, ShownSeeds};

use crate::error::{ReportError, Result};
use crate::group::Metric;

/// Version of the JSON that `compare --json` prints.
const VERSION: u32 = 1;

/// False discovery rate of the Benjamini-Hochberg adjustment, over all rows of a comparison.
const RATE: f64 = 0.05;

/// What a user may choose.
#[derive(Debug, Clone)]
pub struct CompareOptions {
    pub question: Question,
    /// Compare cells of different protocols as well.
    pub across: bool,
    /// In place of the gates of the run's suite.
    pub gates: Option<Gates>,
    /// Resamples of the images.
    pub resamples: usize,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self { question: Question::Regression, across: false, gates: None, resamples: 10_000 }
    }
}

/// A finished comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    pub comparison_version: u32,
    #[serde(flatten)]
    pub question: Question,
    /// Names of what was compared, and with what.
    pub run: String,
    pub baseline: String,
    pub resamples: usize,
    /// Tolerance of each metric, percentage points.
    pub gates: Gates,
    /// Rows of each verdict.
    pub summary: Summary,
    pub rows: Vec<Row>,
    /// Rows of single seeds drawn together, where a system has several.
    pub over_seeds: Vec<SeedsRow>,
    pub costs: Vec<CostRow>,
    /// Cells that were not compared, and why.
    pub absent: Vec<Absent>,
    /// What to know when reading it.
    pub notes: Vec<String>,
}

/// How many rows have each verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub better: usize,
    pub worse: usize,
    pub same: usize,
    pub undecided: usize,
    /// Cells that failed and are done in the baseline.
    pub failed: usize,
}

impl Comparison {
    /// Whether something got worse: a row of the question "did it get worse?", or a cell that was done and now fails.
    pub fn regressed(&self) -> bool {
        self.question == Question::Regression && self.summary.worse + self.summary.failed > 0
    }

    /// Whether there was anything to compare.
    pub fn measured(&self) -> bool {
        !self.rows.is_empty() || self.summary.failed > 0
    }

    /// The comparison as Markdown.
    ///
    /// # Errors
    /// A defect of the template.
    pub fn markdown(&self) -> Result<String> {
        text::markdown(self)
    }

    /// The cost rows worth showing: those that changed, or all where a reference was asked for.
    pub fn shown_costs(&self) -> Vec<&CostRow> {
        text::shown_costs(self)
    }

    /// The verdicts in one sentence.
    pub fn sentence(&self) -> String {
        text::sentence(self)
    }
}

/// Compares the results at `run` with those at `baseline`, run directories or stored baselines.
///
/// # Errors
/// A folder that is neither, or is broken, by name; protocols that differ, with the fields ([`ReportError::Protocol`]), unless
/// `across`; images that have different labels.
pub fn compare(run: &Path, baseline: &Path, options: &CompareOptions) -> Result<Comparison> {
    compare_sources(&Source::open(run)?, &Source::open(baseline)?, options)
}

/// [`compare`] of what is in memory.
///
/// # Errors
/// As [`compare`], but for reading.
pub fn compare_sources(run: &Source, baseline: &Source, options: &CompareOptions) -> Result<Comparison> {
    let paired = pairs::pair(run, baseline, &options.question);
    if !options.across {
        paired.pairs.iter().try_for_each(pairs::same_protocol)?;
    }
    let gates = options.gates.unwrap_or(run.gates);
    let mut notes = Vec::new();
    let mut cache = ApCache::new(options.resamples);
    let mut rows = rows::rows(&paired.pairs, baseline, &gates, options, &mut cache, &mut notes)?;
    judge(rows.iter_mut());
    let count = |verdict: Verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    let summary = Summary {
        better: count(Verdict::Better),
        worse: count(Verdict::Worse),
        same: count(Verdict::Same),
        undecided: count(Verdict::Undecided),
        failed: paired.absent.iter().filter(|absent| absent.failed).count(),
    };
    Ok(Comparison {
        comparison_version: VERSION,
        question: options.question.clone(),
        run: run.name.clone(),
        baseline: baseline.name.clone(),
        resamples: options.resamples,
        gates,
        summary,
        over_seeds: seeds::over_seeds(&rows),
        costs: cost::costs(&paired.pairs),
        rows,
        absent: paired.absent,
        notes,
    })
}

/// Systems of one run against others of the same run, each by name and variant, over the seeds that both have on each backbone under
/// the same protocol. Rows of the metrics named, each with the number of its pair; not yet adjusted or judged.
pub(crate) fn rows_within<'a>(
    run: &'a Source,
    systems: &[[(&str, &str); 2]],
    metrics: &[Metric],
    options: &CompareOptions,
    cache: &mut ApCache<'a>,
) -> Result<Vec<(usize, Row)>> {
    let mut found = Vec::new();
    for (number, [system, than]) in systems.iter().enumerate() {
        let pairs = pairs::within(run, *system, *than);
        let gates = options.gates.unwrap_or(run.gates);
        let rows = rows::rows(&pairs, run, &gates, options, cache, &mut Vec::new())?;
        found.extend(
            rows.into_iter().filter(|row| metrics.iter().any(|m| m.key() == row.metric)).map(|row| (number, row)),
        );
    }
    Ok(found)
}

/// The rows of some cells against others, of any runs, over the seeds that both have under the same protocol; none where there is no
/// such seed. Not yet adjusted or judged.
///
/// # Errors
/// As [`compare`], but for reading and protocols.
pub(crate) fn rows_between<'a>(
    ours: &[&'a SourceCell],
    theirs: &[&'a SourceCell],
    gates: &Gates,
    cache: &mut ApCache<'a>,
    noted: &mut Noted,
) -> Result<Vec<Row>> {
    let Some(pair) = pairs::between(ours, theirs) else { return Ok(Vec::new()) };
    let resamples = cache.resamples();
    rows::rows_of_systems(&pair, gates, resamples, cache, noted)
}

/// An error of a comparison that cannot be made.
fn refused(detail: String) -> ReportError {
    ReportError::Comparison { detail }
}
