//! The top of the report: what ran, which system is best, and what to be careful about, in sentences.

use std::collections::BTreeMap;

use adamv_store::{CellId, CellState};
use serde::Serialize;

use crate::compare::Verdict as Word;
use crate::curves::steps_trained;
use crate::group::{Group, Metric, first_seen, states};
use crate::load::{Results, RunCell};
use crate::margins::{GroupMargins, Margins};
use crate::number::{Estimate, count, fixed, signed};

/// The system that the paper is about.
const SUBJECT: &str = "adamv-moe";

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
    /// What the subject does against the reference, and whether it is best.
    pub sentences: Vec<String>,
    /// Metric, who is best.
    pub lines: Vec<(String, String)>,
}

/// `more` are notes of others, which come last.
pub(crate) fn verdict(results: &Results, groups: &[Group], margins: &Margins, more: &[String]) -> Verdict {
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
    let names = SetNames::new(groups);
    let mut notes = notes(results, groups);
    notes.extend_from_slice(more);
    Verdict {
        measured,
        headline: format!("{finished}{rest}."),
        sets: sets(groups)
            .iter()
            .map(|set| set_verdict(set, &names, groups, margins))
            .filter(|set| !set.lines.is_empty())
            .collect(),
        unfinished: unfinished(results),
        notes,
    }
}

/// Names of sets: the backbone's, with the protocol where it was run under several.
pub(crate) struct SetNames<'a> {
    several: Vec<&'a str>,
}

impl<'a> SetNames<'a> {
    pub(crate) fn new(groups: &'a [Group]) -> Self {
        let sets = sets(groups);
        let backbones: Vec<&str> = sets.iter().map(|set| set[0].id.backbone.as_str()).collect();
        let times = |name: &str| backbones.iter().filter(|other| **other == name).count();
        Self { several: backbones.iter().copied().filter(|name| times(name) > 1).collect() }
    }

    pub(crate) fn of(&self, set: &[&Group]) -> String {
        let backbone = &set[0].id.backbone;
        match set[0].protocol {
            Some(protocol) if self.several.contains(&backbone.as_str()) => {
                format!("{backbone}, protocol {}", protocol.chars().take(8).collect::<String>())
            }
            _ => backbone.clone(),
        }
    }
}

/// Groups with a finished cell, by backbone and protocol; what several runs have, once.
pub(crate) fn sets<'g, 'a>(groups: &'g [Group<'a>]) -> Vec<Vec<&'g Group<'a>>> {
    let mut sets: Vec<Vec<&Group>> = Vec::new();
    for group in groups.iter().filter(|group| group.done().next().is_some() && !group.repeats) {
        let key = |group: &Group<'a>| (group.id.backbone.clone(), group.protocol);
        match sets.iter_mut().find(|set| key(set[0]) == key(group)) {
            Some(set) => set.push(group),
            None => sets.push(vec![group]),
        }
    }
    sets
}

fn set_verdict(set: &[&Group], names: &SetNames, groups: &[Group], margins: &Margins) -> SetVerdict {
    let variants = set.iter().any(|group| group.id.variant != CellId::BASE);
    let systems = if variants { format!("{} systems and variants", set.len()) } else { count(set.len(), "system") };
    let seeds: Vec<usize> = set.iter().map(|group| group.done().count()).collect();
    let (least, most) = (seeds.iter().min().copied().unwrap_or(0), seeds.iter().max().copied().unwrap_or(0));
    let seeds = if least == most { count(most, "seed") } else { format!("{least} to {most} seeds") };
    let lines =
        Metric::MAIN.into_iter().filter_map(|metric| Some((metric.name().to_owned(), best(set, metric)?))).collect();
    SetVerdict {
        title: format!("{} ({systems}, {seeds})", names.of(set)),
        sentences: subject(set, groups, margins),
        lines,
    }
}

/// What the subject does against the reference on a set's backbone under its protocol; nothing where neither was asked for.
fn subject(set: &[&Group], groups: &[Group], margins: &Margins) -> Vec<String> {
    let reference = margins.reference.as_str();
    let of_set = |group: &Group| {
        group.id.backbone == set[0].id.backbone && (group.protocol.is_none() || group.protocol == set[0].protocol)
    };
    let ours: Vec<&GroupMargins> =
        margins.groups.iter().filter(|m| m.group.id.system == SUBJECT && !m.group.repeats && of_set(m.group)).collect();
    // Variants have tables of their own; where there is nothing else they speak for the system.
    let base: Vec<&&GroupMargins> = ours.iter().filter(|m| m.group.id.variant == CellId::BASE).collect();
    let chosen: Vec<&GroupMargins> = if base.is_empty() { ours } else { base.into_iter().copied().collect() };
    let mut sentences = Vec::new();
    for margins_of in &chosen {
        let group = margins_of.group;
        if group.done().next().is_none() {
            sentences.push(format!("{} has no finished cell here: {}.", group.label(), group.why_nothing()));
            continue;
        }
        match margins_of.over {
            None if !groups.iter().any(|other| other.id.system == reference && of_set(other)) => {
                sentences.push(format!("There is no {reference} here to hold {} against.", group.label()));
            }
            _ => sentences.extend(against(margins_of, reference)),
        }
        sentences.push(among(set, group));
    }
    if chosen.is_empty() && set.iter().any(|group| group.id.system == reference) {
        sentences.push(format!("{SUBJECT} was not run here."));
    }
    sentences
}

/// The margins in a sentence, and in another what they come to.
fn against(margins: &GroupMargins, reference: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut words = Vec::new();
    let mut tolerances = Vec::new();
    for metric in Metric::MAIN {
        match margins.of(metric) {
            Some(Ok(row)) => {
                words.push((metric.key(), row.verdict));
                tolerances.push(fixed(row.tolerance));
                parts.push(format!(
                    "{} {} points {} ({})",
                    metric.key(),
                    signed(row.delta),
                    row.shown().interval,
                    row.verdict
                ));
            }
            Some(Err(why)) => parts.push(format!("{} not compared ({why})", metric.key())),
            None => {}
        }
    }
    let name = margins.group.label();
    let over = margins.over.map_or_else(|| reference.to_owned(), Group::label);
    if words.is_empty() {
        let reasons = Metric::MAIN.into_iter().filter_map(|metric| margins.of(metric)?.as_ref().err());
        let why = first_seen(reasons.map(String::as_str)).join("; ");
        return vec![format!("{name} was not compared with {over}: {why}.")];
    }
    let mut sentences = vec![format!("{name} against {over}: {}.", parts.join(", "))];
    let of = |word: Word| words.iter().filter(|(_, other)| *other == word).map(|(name, _)| *name).collect::<Vec<_>>();
    let (better, worse) = (of(Word::Better), of(Word::Worse));
    let rest = Metric::MAIN.len() - better.len();
    let sure = format!("sure and at least the tolerance of the suite ({} points)", tolerances.join(", "));
    sentences.push(match (better.len(), rest) {
        (_, 0) => format!("{name} wins over {over} in all three."),
        (0, _) if worse.is_empty() => {
            format!("{name} does not win over {over}: in none of the three is it ahead by what is {sure}.")
        }
        (0, _) => {
            format!("{name} does not win over {over}: it is better in none of the three and worse in {}.", and(&worse))
        }
        (_, _) if worse.is_empty() => {
            format!("{name} wins over {over} in {} alone: elsewhere nothing is {sure}.", and(&better))
        }
        (_, _) => format!("{name} wins over {over} in {} and loses in {}.", and(&better), and(&worse)),
    });
    sentences
}

/// In which metrics a group has the highest mean of its set.
fn among(set: &[&Group], group: &Group) -> String {
    let measured: Vec<Metric> = Metric::MAIN.into_iter().filter(|metric| group.metric(*metric).is_ok()).collect();
    let best: Vec<&str> =
        measured.iter().filter(|metric| is_best(set, group, **metric)).map(|metric| metric.key()).collect();
    let name = group.label();
    match best.len() {
        _ if set.len() < 2 => format!("Nothing else was measured beside {name}."),
        0 => format!(
            "It has the highest mean in none of {}.",
            and(&measured.iter().map(|m| m.key()).collect::<Vec<_>>())
        ),
        n if n == measured.len() => format!("It has the highest mean in {}.", and(&best)),
        _ => format!("It has the highest mean in {} alone.", and(&best)),
    }
}

/// `a`, `a and b`, `a, b and c`.
fn and(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
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
    let repeats: Vec<String> = groups.iter().filter(|group| group.repeats).map(Group::label).collect();
    if !repeats.is_empty() {
        notes.push(format!(
            "Cells that an earlier run has too, with the same results, count once here and in figure 1: {}.",
            repeats.join(", ")
        ));
    }
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
