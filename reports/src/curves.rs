//! Learning curves: the loss of each task and the learning rate against the step, one figure per task and backbone, one line
//! per cell.

use std::collections::BTreeMap;

use adamv_store::{History, HistoryRow};
use serde::Serialize;

use crate::error::Result;
use crate::figure::{Line, LineFigure, Panel, draw};
use crate::group::{Group, first_seen, label};
use crate::load::{Results, RunCell};
use crate::number::count;

/// A longer line is averaged in bins of equal numbers of rows: more points than that are noise on paper.
const POINTS: usize = 160;
/// A task's loss as a whole. Where the history has only its terms, their sum is it.
const LOSS: &str = "loss";
const LEARNING_RATE: &str = "learning_rate";
/// The task of what belongs to no task.
const NONE: &str = "";

/// A figure of the report.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    /// Name of its file, without ending.
    pub name: String,
    pub title: String,
    /// What is to be seen, for people who cannot see it.
    pub description: String,
    pub caption: String,
    pub svg: String,
}

pub(crate) fn curves(results: &Results, groups: &[Group]) -> Result<Vec<Figure>> {
    let labels = styles(groups);
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let rows = results.cells().flat_map(|cell| &cell.history.rows);
    let mut tasks = first_seen(rows.filter(|row| is_training(row) && row.task != NONE).map(|row| row.task.as_str()));
    tasks.sort_unstable();
    let mut figures: Vec<Figure> = Vec::new();
    for backbone in first_seen(groups.iter().map(|group| group.id.backbone.as_str())) {
        for task in &tasks {
            let cells: Vec<&RunCell> = groups
                .iter()
                .filter(|group| group.id.backbone == backbone)
                .flat_map(|group| group.cells.iter().copied())
                .collect();
            figures.extend(curve(&cells, task, backbone, &labels, figures.len())?);
        }
    }
    Ok(figures)
}

/// Systems and variants, each at the number of its colour: the same in every figure.
pub(crate) fn styles(groups: &[Group]) -> Vec<String> {
    let labels: Vec<String> = groups.iter().map(|group| label(group.id)).collect();
    first_seen(labels.iter().map(String::as_str)).into_iter().map(str::to_owned).collect()
}

/// Rows of evaluations have a phase of their own; every other phase trains.
pub(crate) fn is_training(row: &HistoryRow) -> bool {
    !row.phase.starts_with("eval") && !row.phase.starts_with("val")
}

/// Optimizer steps in which a task was trained, over all phases; 0 without a history.
pub(crate) fn steps_trained(history: &History, task: &str) -> u64 {
    let rows = || history.rows.iter().filter(|row| is_training(row) && row.task == task);
    let last = |phase: &str| rows().filter(|row| row.phase == phase).map(|row| row.step).max().unwrap_or(0);
    first_seen(rows().map(|row| row.phase.as_str())).into_iter().map(last).sum()
}

/// The figure of a task on a backbone; None when no cell has a loss for it.
fn curve(cells: &[&RunCell], task: &str, backbone: &str, labels: &[&str], number: usize) -> Result<Option<Figure>> {
    let mut entries: Vec<(String, usize)> = Vec::new();
    let mut seeds: Vec<usize> = Vec::new();
    let (mut losses, mut rates, mut told) = (Vec::new(), Vec::new(), Vec::new());
    let mut binned = 1;
    for cell in cells {
        let trace = trace(&cell.history, task);
        let Some((first, last)) = trace.loss.first().zip(trace.loss.last()) else { continue };
        let label = label(&cell.id);
        let style = labels.iter().position(|other| *other == label).unwrap_or(0);
        let entry = entries.iter().position(|(other, _)| *other == label).unwrap_or_else(|| {
            entries.push((label.clone(), style));
            seeds.push(0);
            entries.len() - 1
        });
        seeds[entry] += 1;
        told.push(format!(
            "{label}, seed {}: from {:.3} at step {} to {:.3} at step {}",
            cell.id.seed, first.1, first.0, last.1, last.0
        ));
        let (points, bin) = averaged(&trace.loss);
        binned = binned.max(bin);
        losses.push(Line { entry, points });
        if !trace.rate.is_empty() {
            rates.push(Line { entry, points: averaged(&trace.rate).0 });
        }
    }
    if losses.is_empty() {
        return Ok(None);
    }
    for (entry, seeds) in entries.iter_mut().zip(seeds).filter(|(_, seeds)| *seeds > 1) {
        entry.0 = format!("{} ({seeds} seeds)", entry.0);
    }
    let lines = losses.len();
    let mut panels =
        vec![Panel { title: "Training loss", lines: losses, marks: vec![], axis: Some(0.0), format: loss_text }];
    if !rates.is_empty() {
        panels.push(Panel { title: "Learning rate", lines: rates, marks: vec![], axis: Some(0.0), format: rate_text });
    }
    let name = format!("curves-{}-{}-{}", number + 1, plain(task), plain(backbone));
    let title = format!("Training loss of {task}, {backbone}");
    let description = format!("Training loss against the step, {}. {}.", count(lines, "line"), told.join("; "));
    let bins =
        if binned > 1 { format!(" Each point is the mean of up to {binned} logged values.") } else { String::new() };
    let rate = if panels.len() > 1 { ", and the learning rate" } else { "" };
    let caption =
        format!("Training loss of {task}{rate} against the optimizer step on {backbone}, a line per cell.{bins}");
    let svg = draw(&LineFigure { name: &name, title: &title, description: &description, entries, panels })?;
    Ok(Some(Figure { name, title, description, caption, svg }))
}

/// Loss and learning rate of a task against its optimizer steps.
#[derive(Debug, Default, PartialEq)]
struct Trace {
    loss: Vec<(f64, f64)>,
    rate: Vec<(f64, f64)>,
}

/// A phase counts its own steps, so that of the next one follows on. Of two rows for the same thing the later one counts, and a
/// step with a value that is not finite is left out.
fn trace(history: &History, task: &str) -> Trace {
    let training = || history.rows.iter().filter(|row| is_training(row));
    let mut trace = Trace::default();
    let mut before = 0;
    for phase in first_seen(training().filter(|row| row.task == task).map(|row| row.phase.as_str())) {
        let rows = || training().filter(|row| row.phase == phase);
        let is_rate = |row: &&HistoryRow| row.metric == LEARNING_RATE;
        let terms = || rows().filter(|row| row.task == task && !is_rate(row));
        let whole = terms().any(|row| row.metric == LOSS);
        let mut losses: BTreeMap<u64, BTreeMap<&str, f64>> = BTreeMap::new();
        for row in terms().filter(|row| !whole || row.metric == LOSS) {
            losses.entry(row.step).or_default().insert(&row.metric, row.value);
        }
        let rates: BTreeMap<u64, f64> = rows()
            .filter(|row| is_rate(row) && [task, NONE].contains(&row.task.as_str()))
            .map(|row| (row.step, row.value))
            .collect();
        let last = losses.keys().chain(rates.keys()).max().copied().unwrap_or(0);
        let point = |(step, value): (u64, f64)| ((before + step) as f64, value);
        let sums = losses.into_iter().map(|(step, terms)| point((step, terms.values().sum())));
        trace.loss.extend(sums.filter(|point| point.1.is_finite()));
        trace.rate.extend(rates.into_iter().map(point).filter(|point| point.1.is_finite()));
        before += last;
    }
    trace
}

/// At most [`POINTS`] points, each the mean of a bin; and the size of a bin.
fn averaged(points: &[(f64, f64)]) -> (Vec<(f64, f64)>, usize) {
    let bin = points.len().div_ceil(POINTS).max(1);
    let mean = |chunk: &[(f64, f64)]| {
        let n = chunk.len() as f64;
        let sum = chunk.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (sum.0 / n, sum.1 / n)
    };
    (points.chunks(bin).map(mean).collect(), bin)
}

pub(crate) fn loss_text(value: &f64) -> String {
    if value.abs() < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

fn rate_text(value: &f64) -> String {
    if *value == 0.0 { "0".to_owned() } else { format!("{value:.0e}") }
}

/// A part of a file name.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_all_phases_count() {
        let mut history = History::default();
        for (phase, step) in [("classification", 10), ("classification", 500), ("joint", 250), ("joint", 500)] {
            history.push(step, phase, "classification", "cross_entropy", 1.0);
        }
        history.push(500, "joint", "detection", "mask", 1.0);
        history.push(900, "eval", "detection", "AP", 1.0);
        assert_eq!(steps_trained(&history, "classification"), 1000);
        assert_eq!(steps_trained(&history, "detection"), 500);
        assert_eq!(steps_trained(&History::default(), "detection"), 0);
    }

    #[test]
    fn a_long_line_is_averaged_and_a_short_one_is_not() {
        let points: Vec<(f64, f64)> = (0..400).map(|i| (f64::from(i), f64::from(i % 2))).collect();
        let (short, bin) = averaged(&points);
        assert_eq!((bin, short.len()), (3, 134));
        assert_eq!(short[0], (1.0, 1.0 / 3.0));
        assert_eq!(averaged(&points[..POINTS]), (points[..POINTS].to_vec(), 1));
        assert_eq!(averaged(&[]), (vec![], 1));
    }

    #[test]
    fn a_trace_sums_the_terms_and_joins_the_phases() {
        let mut history = History::default();
        // The row at 20 was written twice: the second time after a resume.
        for (step, value) in [(10, 1.0), (20, 2.0), (20, 3.0), (30, f64::NAN)] {
            history.push(step, "detection", "detection", "rpn_box", value);
            history.push(step, "detection", "detection", "mask", 0.5);
            history.push(step, "detection", NONE, LEARNING_RATE, 0.1);
            history.push(step, "detection", NONE, "gradient_norm", 7.0);
        }
        history.push(10, "joint", "detection", LOSS, 0.25);
        history.push(10, "joint", "detection", "mask", 0.125);
        history.push(10, "joint", "classification", "cross_entropy", 9.0);
        history.push(10, "joint", NONE, LEARNING_RATE, 0.2);
        history.push(10, "classification", NONE, LEARNING_RATE, 0.9);
        history.push(40, "evaluate", "detection", LOSS, 9.0);
        let detection = trace(&history, "detection");
        assert_eq!(detection.loss, [(10.0, 1.5), (20.0, 3.5), (40.0, 0.25)]);
        assert_eq!(detection.rate, [(10.0, 0.1), (20.0, 0.1), (30.0, 0.1), (40.0, 0.2)]);
        assert_eq!(trace(&history, "classification").loss, [(10.0, 9.0)]);
    }
}
