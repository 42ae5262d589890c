//! Rows of the main table: cells that differ only in their seed, and what can be said of them together.

use std::cmp::Reverse;

use serde::Deserialize;

use adamv_store::{CellId, CellState, Gates, Record, TaskCost};

use crate::load::{Results, RunCell};
use crate::number::{Estimate, count};

/// The order of the paper's tables; other systems follow by name.
const SYSTEMS: [&str; 6] = ["stl", "mtl-vit", "large-dense", "taps", "mtl-moe", "adamv-moe"];

/// A column of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Metric {
    #[serde(rename = "accuracy")]
    Accuracy,
    #[serde(rename = "AP")]
    Ap,
    #[serde(rename = "AP50")]
    Ap50,
    #[serde(rename = "AP75")]
    Ap75,
    #[serde(rename = "APmask")]
    ApMask,
}

impl Metric {
    pub(crate) const ALL: [Self; 5] = [Self::Accuracy, Self::Ap, Self::Ap50, Self::Ap75, Self::ApMask];
    /// Those that the paper gives margins for.
    pub(crate) const MAIN: [Self; 3] = [Self::Accuracy, Self::Ap, Self::ApMask];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "Accuracy",
            Self::Ap => "AP",
            Self::Ap50 => "AP50",
            Self::Ap75 => "AP75",
            Self::ApMask => "APmask",
        }
    }

    /// Its name in files: gates, comparisons, claims.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            other => other.name(),
        }
    }

    /// Its gate, percentage points.
    pub(crate) fn tolerance(self, gates: &Gates) -> f64 {
        match self {
            Self::Accuracy => gates.accuracy,
            Self::Ap => gates.AP,
            Self::Ap50 => gates.AP50,
            Self::Ap75 => gates.AP75,
            Self::ApMask => gates.APmask,
        }
    }

    /// Its value in percent, or why there is none.
    pub(crate) fn of(self, record: &Record) -> Result<f64, &'static str> {
        let fraction = match (self, &record.metrics.classification, &record.metrics.detection) {
            (Self::Accuracy, Some(classification), _) => classification.top1,
            (Self::Ap, _, Some(detection)) => detection.bbox.AP,
            (Self::Ap50, _, Some(detection)) => detection.bbox.AP50,
            (Self::Ap75, _, Some(detection)) => detection.bbox.AP75,
            (Self::ApMask, _, Some(detection)) => detection.segm.AP,
            _ => return Err("not measured"),
        };
        // The COCO API says -1 where there was nothing to find.
        if fraction < 0.0 { Err("no ground truth") } else { Ok(100.0 * fraction) }
    }
}

/// A value, or why there is none.
pub(crate) type Measured = Result<Estimate, String>;

/// Cells of one run that differ only in their seed.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    /// Index of the run, and its name where there are several.
    pub run: usize,
    pub run_name: Option<&'a str>,
    pub id: &'a CellId,
    /// None when no cell of it has a record.
    pub protocol: Option<&'a str>,
    /// Whether an earlier run has the same cells with the same results: they count once where systems are ranked.
    pub repeats: bool,
    /// By seed.
    pub cells: Vec<&'a RunCell>,
}

impl<'a> Group<'a> {
    /// `taps`, or `taps (E16)` for a variant; with the run where there are several: `taps (E16, smoke)`.
    pub(crate) fn label(&self) -> String {
        let variant = Some(self.id.variant.as_str()).filter(|variant| *variant != CellId::BASE);
        match [variant, self.run_name].into_iter().flatten().collect::<Vec<_>>()[..] {
            [] => self.id.system.clone(),
            ref more => format!("{} ({})", self.id.system, more.join(", ")),
        }
    }

    /// Records of the cells that are done.
    pub(crate) fn done(&self) -> impl Iterator<Item = &'a Record> {
        self.cells.iter().filter(|cell| cell.state == CellState::Done).filter_map(|cell| cell.record.as_ref())
    }

    /// Percent, over the seeds that are done.
    pub(crate) fn metric(&self, metric: Metric) -> Measured {
        let values: Vec<_> = self.done().map(|record| metric.of(record)).collect();
        let good: Vec<f64> = values.iter().filter_map(|value| value.ok()).collect();
        let why = || values.iter().find_map(|value| value.err()).map_or_else(|| self.why_nothing(), str::to_owned);
        Estimate::of(&good).ok_or_else(why)
    }

    /// Activated parameters of a task, millions.
    pub(crate) fn activated(&self, task: &str) -> Measured {
        self.cost(task, |cost| Some(cost.params_activated as f64 * 1e-6))
    }

    /// Multiply-adds of an image of a task, millions.
    pub(crate) fn macs(&self, task: &str) -> Measured {
        self.cost(task, |cost| Some(cost.macs? as f64 * 1e-6))
    }

    fn cost(&self, task: &str, of: impl Fn(&TaskCost) -> Option<f64>) -> Measured {
        let of = |record: &Record| record.cost.iter().find(|cost| cost.task == task).and_then(&of);
        let values: Vec<f64> = self.done().filter_map(of).collect();
        let why = || if self.done().next().is_some() { "not recorded".to_owned() } else { self.why_nothing() };
        // Most systems cost the same with every seed: a deviation of zero says nothing.
        let constant = |estimate: Estimate| {
            // The mean of equal numbers may be one rounding off.
            let deviation = estimate.deviation.filter(|deviation| *deviation > 1e-9 * estimate.mean.abs());
            Estimate { deviation, ..estimate }
        };
        Estimate::of(&values).map(constant).ok_or_else(why)
    }

    /// Why a group without a finished cell has no value: `failed`, or `one failed, one unfinished`.
    pub(crate) fn why_nothing(&self) -> String {
        let of = |states: &[CellState]| self.cells.iter().filter(|cell| states.contains(&cell.state)).count();
        let kinds = [
            ("failed", of(&[CellState::Failed])),
            ("skipped", of(&[CellState::Skipped])),
            ("unfinished", of(&[CellState::Running, CellState::Waiting])),
        ];
        let present: Vec<_> = kinds.iter().filter(|(_, n)| *n > 0).collect();
        match present[..] {
            [(word, _)] => (*word).to_owned(),
            _ => present.iter().map(|(word, n)| format!("{n} {word}")).collect::<Vec<_>>().join(", "),
        }
    }
}

/// What a legend calls a cell's system and variant.
pub(crate) fn label(id: &CellId) -> String {
    if id.variant == CellId::BASE { id.system.clone() } else { format!("{} ({})", id.system, id.variant) }
}

/// All groups, in the order of the main table: backbone and protocol as they appear, then run, system, variant.
pub(crate) fn groups(results: &Results) -> Vec<Group<'_>> {
    let mut groups: Vec<Group> = Vec::new();
    // Cells with a record first: one without belongs to the group that it would have joined.
    for recorded in [true, false] {
        for (run, cells) in results.runs.iter().enumerate() {
            let run_name = (results.runs.len() > 1).then_some(cells.name.as_str());
            for cell in cells.cells.iter().filter(|cell| cell.record.is_some() == recorded) {
                let protocol = cell.record.as_ref().map(|record| record.protocol_key.as_str());
                let joins = |group: &&mut Group| {
                    group.run == run
                        && CellId { seed: cell.id.seed, ..group.id.clone() } == cell.id
                        && (protocol.is_none() || protocol == group.protocol)
                };
                match groups.iter_mut().find(joins) {
                    Some(group) => group.cells.push(cell),
                    None => {
                        groups.push(Group { run, run_name, id: &cell.id, protocol, repeats: false, cells: vec![cell] })
                    }
                }
            }
        }
    }
    for group in &mut groups {
        group.cells.sort_by_key(|cell| cell.id.seed);
    }
    let backbones = first_seen(results.cells().map(|cell| cell.id.backbone.as_str()));
    let protocols = first_seen(groups.iter().filter_map(|group| group.protocol));
    let system = |name: &str| SYSTEMS.iter().position(|known| *known == name).unwrap_or(SYSTEMS.len());
    groups.sort_by_cached_key(|group| {
        (
            backbones.iter().position(|name| *name == group.id.backbone),
            // A group without record comes last: None sorts first, so turned round.
            Reverse(group.protocol.map(|key| Reverse(protocols.iter().position(|other| *other == key)))),
            group.run,
            system(&group.id.system),
            group.id.system.clone(),
            group.id.variant != CellId::BASE,
            group.id.variant.clone(),
        )
    });
    let repeats: Vec<bool> = groups.iter().map(|group| is_repeat(group, &groups)).collect();
    groups.iter_mut().zip(repeats).for_each(|(group, repeats)| group.repeats = repeats);
    groups
}

/// Whether all finished cells of a group are in one of an earlier run too.
fn is_repeat(group: &Group, groups: &[Group]) -> bool {
    // Their keys differ where their suites do.
    let same = |a: &Record, b: &Record| {
        CellId { suite: b.cell.suite.clone(), ..a.cell.clone() } == b.cell && a.metrics == b.metrics && a.cost == b.cost
    };
    let has_all = |other: &Group| group.done().all(|ours| other.done().any(|theirs| same(ours, theirs)));
    group.done().next().is_some()
        && groups.iter().any(|other| other.run < group.run && other.protocol == group.protocol && has_all(other))
}

/// Distinct texts in the order of their first appearance.
pub(crate) fn first_seen<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for text in texts {
        if !seen.contains(&text) {
            seen.push(text);
        }
    }
    seen
}

/// The group that `group` is measured against: the reference system on the same backbone under the same protocol; of the same
/// run and variant if there is one, else of the base variant.
pub(crate) fn reference_of<'g, 'a>(
    groups: &'g [Group<'a>],
    group: &Group<'a>,
    system: &str,
) -> Result<&'g Group<'a>, &'static str> {
    if group.id.system == system && group.id.variant == CellId::BASE {
        return Err("reference");
    }
    let same_backbone =
        || groups.iter().filter(|other| other.id.system == system && other.id.backbone == group.id.backbone);
    let fits = |other: &&Group| {
        let variant = if group.id.system == system { CellId::BASE } else { &other.id.variant };
        let same_variant = other.id.variant == variant && (variant == group.id.variant || variant == CellId::BASE);
        same_variant && other.protocol.is_some() && other.protocol == group.protocol
    };
    let rank = |other: &&Group| (other.run != group.run, other.id.variant != group.id.variant);
    match same_backbone().filter(fits).min_by_key(rank) {
        Some(reference) => Ok(reference),
        None if same_backbone().any(|other| other.done().next().is_some()) => Err("another protocol"),
        None if same_backbone().next().is_some() => Err("reference not done"),
        None => Err("no reference"),
    }
}

/// How a cell ended, in a word: in a report nothing waits.
pub(crate) fn state_word(cell: &RunCell) -> &'static str {
    if cell.state == CellState::Waiting { "unfinished" } else { cell.state.name() }
}

/// `one cell is done`, `2 cells failed`: the states of cells, in words, those that occur.
pub(crate) fn states(results: &Results) -> Vec<String> {
    let of = |states: &[CellState]| results.cells().filter(|cell| states.contains(&cell.state)).count();
    let is = |n: usize, word: &str| format!("{} {} {word}", count(n, "cell"), if n == 1 { "is" } else { "are" });
    let (failed, skipped, waiting) =
        (of(&[CellState::Failed]), of(&[CellState::Skipped]), of(&[CellState::Running, CellState::Waiting]));
    let mut words = Vec::new();
    if failed > 0 {
        words.push(format!("{} failed", count(failed, "cell")));
    }
    if skipped > 0 {
        words.push(format!(
            "{} skipped",
            if skipped == 1 { "one cell was".into() } else { format!("{skipped} cells were") }
        ));
    }
    if waiting > 0 {
        words.push(is(waiting, "unfinished"));
    }
    words
}
