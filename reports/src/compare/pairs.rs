//! Which cells are held against each other, and which have nothing to be held against. Looks at names and protocols only.

use std::collections::BTreeMap;

use adamv_store::{CellId, CellState, Difference, Record, differences};
use serde::Serialize;

use super::source::{Source, SourceCell};
use crate::error::{ReportError, Result};
use crate::group::first_seen;

/// What a comparison asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "question", rename_all = "lowercase")]
pub enum Question {
    /// Did it get worse? Each cell against the stored cell of the same system, backbone, variant and seed.
    Regression,
    /// Is it better? Each system and variant against the stored results of one system, over the seeds that both have.
    Reference { reference: String },
}

/// A cell that was not compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Absent {
    pub cell: String,
    pub why: String,
    /// It is done in the baseline and failed now: a regression.
    pub failed: bool,
    /// The baseline has it and the run doesn't, as when only some cells were run.
    pub baseline_alone: bool,
}

/// Cells that are compared together: seed by seed in the same order.
pub(super) struct Pair<'a> {
    pub system: &'a str,
    pub backbone: &'a str,
    pub variant: &'a str,
    pub seeds: Vec<u64>,
    pub new: Vec<&'a SourceCell>,
    pub base: Vec<&'a SourceCell>,
}

pub(super) struct Paired<'a> {
    pub pairs: Vec<Pair<'a>>,
    pub absent: Vec<Absent>,
}

/// Pairs the done cells of both. The name of the suite plays no part: whether results may be compared is the protocol's to say.
pub(super) fn pair<'a>(run: &'a Source, baseline: &'a Source, question: &Question) -> Paired<'a> {
    match question {
        Question::Regression => same_cells(run, baseline),
        Question::Reference { reference } => with_reference(run, baseline, reference),
    }
}

fn same_cells<'a>(run: &'a Source, baseline: &'a Source) -> Paired<'a> {
    let same = |a: &CellId, b: &CellId| {
        CellId { suite: String::new(), ..a.clone() } == CellId { suite: String::new(), ..b.clone() }
    };
    let (mut pairs, mut absent) = (Vec::new(), Vec::new());
    let mut add = |cell: &SourceCell, why: String, failed| {
        absent.push(Absent { cell: cell.name(), why, failed, baseline_alone: false });
    };
    for new in &run.cells {
        let stored = baseline.cells.iter().find(|base| base.done().is_some() && same(&base.id, &new.id));
        match (stored, new.done()) {
            (Some(base), Some(_)) => {
                for (had, has, what) in [
                    (!base.classification.is_empty(), !new.classification.is_empty(), "classes of single images"),
                    (base.matches.is_some(), new.matches.is_some(), "matched detections"),
                ] {
                    if had && !has {
                        add(new, format!("it is done without {what}, which the baseline has"), true);
                    }
                }
                pairs.push(Pair {
                    system: &new.id.system,
                    backbone: &new.id.backbone,
                    variant: &new.id.variant,
                    seeds: vec![new.id.seed],
                    new: vec![new],
                    base: vec![base],
                });
            }
            (Some(_), None) => add(new, not_done(new), new.state == CellState::Failed),
            (None, _) => add(new, "not in the baseline".to_owned(), false),
        }
    }
    for base in baseline.cells.iter().filter(|base| base.done().is_some()) {
        if !run.cells.iter().any(|new| same(&base.id, &new.id)) {
            let why = "not in this run".to_owned();
            absent.push(Absent { cell: base.name(), why, failed: false, baseline_alone: true });
        }
    }
    Paired { pairs, absent }
}

fn with_reference<'a>(run: &'a Source, baseline: &'a Source, reference: &str) -> Paired<'a> {
    let mut groups: BTreeMap<usize, Pair> = BTreeMap::new();
    let mut order: Vec<(&str, &str, &str)> = Vec::new();
    let mut absent = Vec::new();
    let is_reference = |id: &CellId| id.system == reference && id.variant == CellId::BASE;
    for new in run.cells.iter().filter(|cell| !is_reference(&cell.id)) {
        let fits = |base: &&SourceCell| {
            is_reference(&base.id)
                && base.id.backbone == new.id.backbone
                && base.id.seed == new.id.seed
                && base.done().is_some()
        };
        let why = match (new.done(), baseline.cells.iter().find(fits)) {
            (Some(_), Some(base)) => {
                let key = (new.id.system.as_str(), new.id.backbone.as_str(), new.id.variant.as_str());
                let at = order.iter().position(|other| *other == key).unwrap_or_else(|| {
                    order.push(key);
                    order.len() - 1
                });
                let (system, backbone, variant) = key;
                let group = groups.entry(at).or_insert_with(|| Pair {
                    system,
                    backbone,
                    variant,
                    seeds: Vec::new(),
                    new: Vec::new(),
                    base: Vec::new(),
                });
                group.seeds.push(new.id.seed);
                group.new.push(new);
                group.base.push(base);
                continue;
            }
            (None, _) => not_done(new),
            (Some(_), None) => {
                format!("the baseline has no {reference} on {} with seed {}", new.id.backbone, new.id.seed)
            }
        };
        absent.push(Absent { cell: new.name(), why, failed: false, baseline_alone: false });
    }
    Paired { pairs: groups.into_values().collect(), absent }
}

/// Pairs of two systems of one run, each by name and variant: a pair per backbone, over the seeds that both have under one protocol.
pub(super) fn within<'a>(run: &'a Source, system: (&str, &str), than: (&str, &str)) -> Vec<Pair<'a>> {
    let of = |(system, variant): (&str, &str)| {
        run.cells
            .iter()
            .filter(|cell| cell.done().is_some() && cell.id.system == system && cell.id.variant == variant)
            .collect::<Vec<_>>()
    };
    let (ours, theirs) = (of(system), of(than));
    let backbones = first_seen(ours.iter().map(|cell| cell.id.backbone.as_str()));
    let on = |backbone: &str| ours.iter().copied().filter(|cell| cell.id.backbone == backbone).collect::<Vec<_>>();
    backbones.into_iter().filter_map(|backbone| between(&on(backbone), &theirs)).collect()
}

/// Done cells of one system, variant and backbone against those of another: the seeds that both have on the backbone under one
/// protocol; none where there is no such seed.
pub(super) fn between<'a>(ours: &[&'a SourceCell], theirs: &[&'a SourceCell]) -> Option<Pair<'a>> {
    let mut pair: Option<Pair> = None;
    for &new in ours.iter().filter(|cell| cell.done().is_some()) {
        let fits = |base: &&&SourceCell| {
            let protocol = |cell: &SourceCell| cell.done().map(|record| record.protocol_key.clone());
            base.done().is_some()
                && base.id.backbone == new.id.backbone
                && base.id.seed == new.id.seed
                && protocol(base) == protocol(new)
        };
        let Some(&base) = theirs.iter().find(fits) else { continue };
        let (system, backbone, variant) = (&new.id.system, &new.id.backbone, &new.id.variant);
        let empty = || Pair { system, backbone, variant, seeds: Vec::new(), new: Vec::new(), base: Vec::new() };
        let pair = pair.get_or_insert_with(empty);
        pair.seeds.push(new.id.seed);
        pair.new.push(new);
        pair.base.push(base);
    }
    pair
}

fn not_done(cell: &SourceCell) -> String {
    match cell.record.as_ref().and_then(|record| record.error.as_deref()) {
        Some(error) => format!("{}: {}", cell.state.name(), error.lines().next().unwrap_or_default()),
        None => cell.state.name().to_owned(),
    }
}

/// Refuses a pair whose protocols differ, with the fields that do.
pub(super) fn same_protocol(pair: &Pair) -> Result<()> {
    for (new, base) in pair.new.iter().zip(&pair.base) {
        let (Some(ours), Some(theirs)) = (new.done(), base.done()) else { continue };
        if ours.protocol_key == theirs.protocol_key {
            continue;
        }
        return Err(ReportError::Protocol { cell: new.name(), baseline: base.name(), fields: fields(ours, theirs) });
    }
    Ok(())
}

/// The differing fields of two protocols with both values.
fn fields(ours: &Record, theirs: &Record) -> String {
    let found = differences(&theirs.protocol, &ours.protocol);
    let texts: Vec<String> = found
        .iter()
        .map(|Difference { path, first, second }| format!("{path} ({first} in the baseline, {second} here)"))
        .collect();
    if texts.is_empty() { "the version of the protocol itself".to_owned() } else { texts.join(", ") }
}
