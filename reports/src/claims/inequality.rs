//! Judging one inequality by the runs. Pairing, intervals and significance are the comparison's.

use std::cell::RefCell;

use adamv_store::Gates;

use super::file::{Published, System, Test};
use super::{ClaimVerdict, Evidence, experts, gradients, routing};
use crate::compare::{ApCache, CompareOptions, Question, Row, Source, Verdict, judge as adjust, rows_within};
use crate::error::Result;
use crate::group::{Metric, first_seen};
use crate::number::{fixed, signed};

/// What claims are judged by.
pub(super) struct Given<'a, 'c> {
    pub published: &'a [Published],
    pub runs: &'a [Source],
    pub resamples: usize,
    /// Resamples of the runs' cells, shared by all claims.
    pub cache: &'c RefCell<ApCache<'a>>,
}

pub(super) fn judge(test: &Test, given: &Given<'_, '_>) -> Result<Vec<Evidence>> {
    Ok(match test {
        Test::Better { system, than, metrics } => {
            let rows = rows(system, than, metrics, given)?;
            let verdict = |row: &Row| match row.verdict {
                _ if one_seed(row) => ClaimVerdict::Undecided,
                Verdict::Better => ClaimVerdict::Supported,
                Verdict::Worse => ClaimVerdict::Contradicted,
                Verdict::Same | Verdict::Undecided => ClaimVerdict::Undecided,
            };
            findings(rows, verdict, given)
        }
        Test::Saturates { system, at, metrics, tolerance } => {
            let rows = rows(system, std::slice::from_ref(at), metrics, given)?;
            let verdict = |row: &Row| match row.verdict {
                _ if one_seed(row) => ClaimVerdict::Undecided,
                Verdict::Better => ClaimVerdict::Contradicted,
                _ if row.high <= *tolerance => ClaimVerdict::Supported,
                _ => ClaimVerdict::Undecided,
            };
            findings(rows, verdict, given)
        }
        Test::ActivatesLess { system, task, than } => activates_less(system, task, than, given),
        Test::Load { system, at_most } => experts::load(system, *at_most, given.runs),
        Test::Preference { system, at_least } => experts::preference(system, *at_least, given.runs),
        Test::Settles { system } => routing::settles(system, given.runs),
        Test::LessConflict { system, than } => gradients::less_conflict(system, than, given.runs),
        Test::All { tests } => {
            let mut all = Vec::new();
            for test in tests {
                all.extend(judge(test, given)?);
            }
            all
        }
    })
}

/// Two single trainings say nothing of two systems: nobody knows what another seed would give.
fn one_seed(row: &Row) -> bool {
    row.seeds.len() < 2
}

pub(super) fn not_run(finding: String) -> Evidence {
    Evidence { verdict: ClaimVerdict::NotRun, finding }
}

/// Rows of each pair of systems, and of those that no run has, their names.
struct Rows {
    found: Vec<(System, System, String, Row)>,
    missing: Vec<String>,
}

/// Any difference counts that is sure: the paper claims an order, not a size.
fn rows(systems: &[System], than: &[System], metrics: &[Metric], given: &Given) -> Result<Rows> {
    let gates = Gates { accuracy: 0.0, AP: 0.0, AP50: 0.0, AP75: 0.0, APmask: 0.0 };
    let mut all = Rows { found: Vec::new(), missing: Vec::new() };
    for run in given.runs {
        let options = CompareOptions {
            question: Question::Reference { reference: String::new() },
            across: false,
            gates: Some(gates),
            resamples: given.resamples,
        };
        let pairs: Vec<_> = systems.iter().flat_map(|system| than.iter().map(move |than| (system, than))).collect();
        let named: Vec<_> = pairs
            .iter()
            .map(|(system, than)| [(&*system.system, &*system.variant), (&*than.system, &*than.variant)])
            .collect();
        for (pair, row) in rows_within(run, &named, metrics, &options, &mut given.cache.borrow_mut())? {
            let (system, than) = pairs[pair];
            all.found.push((system.clone(), than.clone(), run.name.clone(), row));
        }
    }
    adjust(all.found.iter_mut().map(|(.., row)| row));
    for system in systems {
        for other in than {
            let rows: Vec<&Row> =
                all.found.iter().filter(|(a, b, ..)| a == system && b == other).map(|(.., row)| row).collect();
            if rows.is_empty() {
                all.missing.push(format!("no run has both {system} and {other} with the same seed and protocol"));
            }
            for backbone in first_seen(rows.iter().map(|row| row.backbone.as_str())) {
                let has =
                    |metric: &Metric| rows.iter().any(|row| row.backbone == backbone && row.metric == metric.key());
                all.missing.extend(
                    metrics.iter().filter(|metric| !has(metric)).map(|metric| {
                        format!("no run has {} of both {system} and {other} on {backbone}", metric.key())
                    }),
                );
            }
        }
    }
    Ok(all)
}

fn findings(rows: Rows, verdict: impl Fn(&Row) -> ClaimVerdict, given: &Given) -> Vec<Evidence> {
    let judged = rows.found.iter().map(|(system, than, run, row)| {
        let published = given.published.iter().find_map(|p| p.margin(system, than, &row.backbone, row.metric));
        let published = published.map(|margin| format!("; published {}", signed(margin))).unwrap_or_default();
        let seeds = if row.seeds.len() == 1 { "one seed".to_owned() } else { format!("{} seeds", row.seeds.len()) };
        Evidence {
            verdict: verdict(row),
            finding: format!(
                "{system} against {than} on {} ({run}, {seeds}), {}: {} points [{}, {}], q {:.3}{published}",
                row.backbone,
                row.metric,
                signed(row.delta),
                signed(row.low),
                signed(row.high),
                row.q
            ),
        }
    });
    let mut all: Vec<Evidence> = judged.collect();
    all.extend(rows.missing.into_iter().map(not_run));
    all
}

fn activates_less(system: &System, task: &str, than: &str, given: &Given) -> Vec<Evidence> {
    let mut found = Vec::new();
    for run in given.runs {
        let records: Vec<_> = run
            .cells
            .iter()
            .filter_map(|cell| cell.done())
            .filter(|record| record.cell.system == system.system && record.cell.variant == system.variant)
            .collect();
        for backbone in first_seen(records.iter().map(|record| record.cell.backbone.as_str())) {
            let mut parts = Vec::new();
            let mut verdicts = Vec::new();
            for record in records.iter().filter(|record| record.cell.backbone == backbone) {
                let of = |task: &str| record.cost.iter().find(|cost| cost.task == task);
                let (Some(ours), Some(theirs)) = (of(task), of(than)) else { continue };
                let k = |k: Option<u64>| k.map_or_else(String::new, |k| format!(" (k {k})"));
                let millions = |params: u64| fixed(params as f64 * 1e-6);
                let (a, b) = (ours.params_activated_backbone, theirs.params_activated_backbone);
                parts.push(format!(
                    "seed {}: {} M{} against {} M{}",
                    record.cell.seed,
                    millions(a),
                    k(ours.k),
                    millions(b),
                    k(theirs.k)
                ));
                // With equal K a difference is one of the tasks' embeddings, not of what was selected.
                verdicts.push(match (ours.k, theirs.k) {
                    (Some(k), Some(other)) if k == other => ClaimVerdict::Undecided,
                    _ if a < b => ClaimVerdict::Supported,
                    _ => ClaimVerdict::Contradicted,
                });
            }
            // Seeds that disagree decide nothing.
            let disagree = verdicts.iter().any(|verdict| *verdict != verdicts[0]);
            let Some(first) = verdicts.first() else { continue };
            found.push(Evidence {
                verdict: if disagree { ClaimVerdict::Undecided } else { *first },
                finding: format!(
                    "{system} on {backbone} ({}), {task} against {than}: {}{}",
                    run.name,
                    parts.join(", "),
                    published(system, backbone, [task, than], given)
                ),
            });
        }
    }
    if found.is_empty() {
        found.push(not_run(format!("no run has {system} with costs of {task} and {than}")));
    }
    found
}

/// `; published 29.65 M against 34.97 M`, where both are known.
fn published(system: &System, backbone: &str, tasks: [&str; 2], given: &Given) -> String {
    let millions = |task| given.published.iter().find_map(|p| p.activated(system, backbone, task));
    match tasks.map(millions) {
        [Some(ours), Some(theirs)] => format!("; published {} M against {} M", fixed(ours), fixed(theirs)),
        _ => String::new(),
    }
}
