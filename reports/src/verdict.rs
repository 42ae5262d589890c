//! The top of the report: what ran, which system is best, and what to be careful about, in sentences.

use std::collections::BTreeMap;

use adamv_store::CellState;
use serde::Serialize;

use crate::curves::steps_trained;
use crate::group::{Group, Metric, first_seen, states};
use crate::load::{Results, RunCell};
use crate::number::{Estimate, count, fixed};

/// Half the width of a 95% interval in standard errors.
const Z95: f64 = 1.96;

#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    /// False when no cell was measured; the title then says so.
    pub measured: bool,
    /// How many cells did what.
    pub headline: String,
    pub sets: Vec<SetVerdict>,
    /// Cells that are not done.
    pub unfinished: Vec<NotDone>,
    /// What to be careful about.
    pub notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct NotDone {
    pub name: String,
    pub anchor: String,
    pub why: String,
}

/// Systems that may be compared: one backbone, one protocol.
#[derive(Debug, Serialize)]
pub(crate) struct SetVerdict {
    pub title: String,
    /// Metric, who is best.
    pub lines: Vec<(String, String)>,
}

pub(crate) fn verdict(results: &Results, groups: &[Group]) -> Verdict {
    let cells = results.cells().count();
    let done = results.cells().filter(|cell| cell.state == CellState::Done).count();
    let measured = groups.iter().any(|group| Metric::ALL.iter().any(|metric| group.metric(*metric).is_ok()));
    let rest = states(results);
    let rest = if rest.is_empty() { String::new() } else { format!("; {}", rest.join(", ")) };
    let finished = match (done, cells) {
        (_, 0) => "The run has no cells".to_owned(),
        (0, 1) => "The only cell is not done".to_owned(),
        (0, b) => format!("None of {b} cells is done"),
        (1, 1) => "The only cell is done".to_owned(),
        (a, b) if a == b => format!("All {b} cells are done"),
        (1, b) => format!("1 of {b} cells is done"),
        (a, b) => format!("{a} of {b} cells are done"),
    };
    Verdict {
        measured,
        headline: format!("{finished}{rest}."),
        sets: sets(groups).iter().map(|set| set_verdict(set)).filter(|set| !set.lines.is_empty()).collect(),
        unfinished: unfinished(results),
        notes: notes(results, groups),
    }
}

/// Groups with a finished cell, by backbone and protocol.
pub(crate) fn sets<'g, 'a>(groups: &'g [Group<'a>]) -> Vec<Vec<&'g Group<'a>>> {
    let mut sets: Vec<Vec<&Group>> = Vec::new();
    for group in groups.iter().filter(|group| group.done().next().is_some()) {
        let key = |group: &Group<'a>| (group.id.backbone.clone(), group.protocol);
        match sets.iter_mut().find(|set| key(set[0]) == key(group)) {
            Some(set) => set.push(group),
            None => sets.push(vec![group]),
        }
    }
    sets
}

fn set_verdict(set: &[&Group]) -> SetVerdict {
    let variants = set.iter().any(|group| group.label() != group.id.system);
    let systems = if variants { format!("{} systems and variants", set.len()) } else { count(set.len(), "system") };
    let seeds: Vec<usize> = set.iter().map(|group| group.done().count()).collect();
    let (least, most) = (seeds.iter().min().copied().unwrap_or(0), seeds.iter().max().copied().unwrap_or(0));
    let seeds = if least == most { count(most, "seed") } else { format!("{least} to {most} seeds") };
    let lines =
        Metric::MAIN.into_iter().filter_map(|metric| Some((metric.name().to_owned(), best(set, metric)?))).collect();
    SetVerdict { title: format!("{} ({systems}, {seeds})", set[0].id.backbone), lines }
}

/// Who is best at a metric and by how much; None when nobody has it.
fn best(set: &[&Group], metric: Metric) -> Option<String> {
    let mut ranked: Vec<(String, Estimate)> =
        set.iter().filter_map(|group| Some((group.label(), group.metric(metric).ok()?))).collect();
    ranked.sort_by(|a, b| b.1.mean.total_cmp(&a.1.mean));
    let (first, top) = ranked.first()?;
    let equal: Vec<&str> = ranked
        .iter()
        .filter(|(_, value)| fixed(value.mean) == fixed(top.mean))
        .map(|(name, _)| name.as_str())
        .collect();
    Some(match (equal.len(), ranked.get(equal.len())) {
        (1, None) => format!("{}%, {first}; no other system was measured", top.text()),
        (1, Some((second, value))) => {
            let next = if ranked.len() > 2 { "the next, " } else { "" };
            let gap = top.mean - value.mean;
            let deviation = top.deviation.zip(value.deviation).map(|(a, b)| a.max(b));
            let small = if deviation.is_some_and(|d| gap < d) { ", less than the deviation over seeds" } else { "" };
            format!("{first} is best, {}%: {} points above {next}{second}{small}", top.text(), fixed(gap))
        }
        _ => format!("{} are equal, {}%", equal.join(" and "), fixed(top.mean)),
    })
}

/// Whether `group` shows the highest mean among several systems of its set: the table prints it in bold.
pub(crate) fn is_best(set: &[&Group], group: &Group, metric: Metric) -> bool {
    let means: Vec<String> = set.iter().filter_map(|other| Some(fixed(other.metric(metric).ok()?.mean))).collect();
    let Ok(ours) = group.metric(metric) else { return false };
    let top =
        set.iter().filter_map(|other| other.metric(metric).ok()).map(|e| e.mean).fold(f64::NEG_INFINITY, f64::max);
    means.len() > 1 && fixed(ours.mean) == fixed(top) && means.iter().any(|mean| *mean != fixed(top))
}

fn unfinished(results: &Results) -> Vec<NotDone> {
    let why = |cell: &RunCell| {
        let error = cell.record.as_ref().and_then(|record| record.error.clone());
        let error = error.unwrap_or_else(|| "no reason was recorded".to_owned());
        let far = |verb: &str| match &cell.progress {
            Some(p) => format!("{verb} at step {} of {} ({})", p.step, p.steps, p.phase),
            None => "not started".to_owned(),
        };
        match cell.state {
            CellState::Done => None,
            CellState::Failed => Some(format!("failed: {error}")),
            CellState::Skipped => Some(format!("skipped: {error}")),
            CellState::Running => Some(format!("unfinished: running, {}", far("now"))),
            CellState::Waiting => Some(format!("unfinished: {}", far("stopped"))),
        }
    };
    let not_done =
        |cell: &RunCell| Some(NotDone { name: cell.name.clone(), anchor: cell.anchor.clone(), why: why(cell)? });
    results.cells().filter_map(not_done).collect()
}

fn notes(results: &Results, groups: &[Group]) -> Vec<String> {
    let mut notes = Vec::new();
    let done: Vec<_> = groups.iter().flat_map(Group::done).collect();
    if done.is_empty() {
        return notes;
    }
    let seeds = groups.iter().map(|group| group.done().count()).max().unwrap_or(0);
    if seeds == 1 {
        notes.push("One seed: differences between systems carry no error bars.".to_owned());
    } else {
        notes.push("± is the standard deviation over seeds, not an interval of the mean.".to_owned());
    }
    notes.extend(chance(&done));
    if sets(groups).iter().any(|set| set.iter().any(|group| group.done().count() != set[0].done().count())) {
        notes.push("Systems were measured with different numbers of seeds.".to_owned());
    }
    for backbone in first_seen(groups.iter().map(|group| group.id.backbone.as_str())) {
        let of = groups.iter().filter(|group| group.id.backbone == backbone && group.done().next().is_some());
        let protocols = first_seen(of.filter_map(|group| group.protocol)).len();
        if protocols > 1 {
            notes.push(format!(
                "Cells of {backbone} follow {protocols} protocols (other data, budget or evaluation): they are compared within one only."
            ));
        }
    }
    notes.extend(sets(groups).iter().flat_map(|set| budgets(set)));
    let skipped: u64 = done.iter().flat_map(|record| &record.data).map(|data| data.skipped_samples).sum();
    if skipped > 0 {
        notes.push("Broken samples were left out of some data: see Cells.".to_owned());
    }
    if done.iter().any(|record| record.environment.commit.ends_with("-dirty")) {
        notes.push("Some cells were made by a source tree with uncommitted changes (-dirty).".to_owned());
    }
    let environments = done.iter().fold(Vec::new(), |mut seen, record| {
        if !seen.contains(&&record.environment) {
            seen.push(&record.environment);
        }
        seen
    });
    if environments.len() > 1 {
        notes.push("Cells were made by different code, libraries or machines: see Provenance.".to_owned());
    }
    if results.cells().any(|cell| !cell.planned) && results.cells().any(|cell| cell.planned) {
        notes.push("Some cells are of an earlier plan of the run directory: see Cells.".to_owned());
    }
    notes
}

/// Which systems of a set were trained on a task for more steps than others.
fn budgets(set: &[&Group]) -> Vec<String> {
    let mut notes = Vec::new();
    for task in ["classification", "detection"] {
        let mut by_steps: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for group in set {
            let steps = group.cells.iter().map(|cell| steps_trained(&cell.history, task)).max().unwrap_or(0);
            if steps > 0 {
                by_steps.entry(steps).or_default().push(group.label());
            }
        }
        if by_steps.len() > 1 {
            let parts: Vec<String> =
                by_steps.iter().rev().map(|(steps, names)| format!("{} {steps} steps", names.join(", "))).collect();
            notes.push(format!(
                "On {}, {task} was not trained equally long: {}. Part of a difference may come from that.",
                set[0].id.backbone,
                parts.join("; ")
            ));
        }
    }
    notes
}

/// How far chance moves one accuracy, from the number of images alone.
fn chance(done: &[&adamv_store::Record]) -> Option<String> {
    let fewest = done.iter().filter_map(|record| record.metrics.classification.as_ref()).min_by_key(|c| c.images)?;
    if fewest.images == 0 {
        return None;
    }
    let half = Z95 * (fewest.top1 * (1.0 - fewest.top1) / fewest.images as f64).sqrt();
    Some(format!(
        "Accuracy is measured on {}: the 95% interval of a single accuracy is about ±{:.1} points (binomial).",
        count(usize::try_from(fewest.images).ok()?, "image"),
        100.0 * half
    ))
}
