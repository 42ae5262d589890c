//! Which cells are looked at: of each system, backbone and variant the first seed that is done and has probes. Draws nothing.

use std::collections::BTreeSet;

use adamv_store::{CellId, CellState, Probes};

use crate::details::Link;
use crate::group::{Group, first_seen};
use crate::load::{Results, RunCell};

/// The system that the paper is about: it is shown, others are opened.
const SHOWN: &str = "adamv-moe";

/// Cells that differ in their seed, and the one among them that is looked at.
#[derive(Debug)]
pub(super) struct Looked<'a> {
    /// `taps (E16)`; with backbone, run and protocol where there are several.
    pub label: String,
    /// Number of its colour: that of its lines in the learning curves.
    pub style: usize,
    /// The first that is done, and has probes if any has.
    pub cell: &'a RunCell,
    /// All that are done, by seed.
    pub done: Vec<&'a RunCell>,
    pub has_experts: bool,
    pub folded: bool,
}

/// One of a cell's MoE layers, and which one in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layer {
    pub block: u32,
    pub name: &'static str,
}

impl Looked<'_> {
    pub(super) fn probes(&self) -> &Probes {
        &self.cell.probes
    }

    pub(super) fn has_probes(&self) -> bool {
        self.done.iter().any(|cell| cell.probes != Probes::default())
    }

    /// `adamv-moe, seed 0`.
    pub(super) fn with_seed(&self) -> String {
        format!("{}, seed {}", self.label, self.cell.id.seed)
    }

    /// Links to all cells that are done.
    pub(super) fn links(&self) -> Vec<Link> {
        self.done.iter().map(|cell| Link::to(cell)).collect()
    }

    /// Name of a class: a number where it has none.
    pub(super) fn class(&self, task: &str, number: u64) -> String {
        let named = self.probes().classes.iter().find(|class| class.task == task && class.number == number);
        named.map_or_else(|| number.to_string(), |class| class.name.clone())
    }

    /// How many experts its layers have, as far as its probes tell.
    pub(super) fn experts(&self) -> usize {
        let probes = self.probes();
        let used = probes.expert_use.iter().map(|row| row.expert);
        let alike = probes.similarities.iter().flat_map(|row| [row.expert_a, row.expert_b]);
        let layers = probes.routed_images.iter().flat_map(|image| &image.layers);
        let chosen = layers.flat_map(|layer| layer.first.iter().chain(&layer.second).copied());
        used.chain(alike).chain(chosen).max().map_or(0, |last| last as usize + 1)
    }
}

/// The first and the last of some MoE layers; one of them when there is one.
pub(super) fn ends(blocks: impl Iterator<Item = u32>) -> Vec<Layer> {
    let blocks: BTreeSet<u32> = blocks.collect();
    match (blocks.first(), blocks.last()) {
        (Some(&first), Some(&last)) if first != last => {
            vec![Layer { block: first, name: "first MoE layer" }, Layer { block: last, name: "last MoE layer" }]
        }
        (Some(&block), _) => vec![Layer { block, name: "MoE layer" }],
        _ => Vec::new(),
    }
}

impl Layer {
    /// `block 1 (first)`.
    pub(super) fn short(self) -> String {
        match self.name.split_once(' ').filter(|(word, _)| *word != "MoE") {
            Some((word, _)) => format!("block {} ({word})", self.block),
            None => format!("block {}", self.block),
        }
    }

    /// `first MoE layer (block 1)`.
    pub(super) fn text(self) -> String {
        format!("{} (block {})", self.name, self.block)
    }
}

/// Groups with a cell that is done, in their order.
pub(super) fn looked<'a>(results: &Results, groups: &[Group<'a>]) -> Vec<Looked<'a>> {
    let backbones = first_seen(groups.iter().map(|group| group.id.backbone.as_str()));
    let labels: Vec<String> = groups.iter().map(Group::label).collect();
    let styles = first_seen(labels.iter().map(String::as_str));
    let mut looked: Vec<Looked> = groups
        .iter()
        .zip(&labels)
        .filter_map(|(group, label)| {
            let is_done = |cell: &&RunCell| cell.state == CellState::Done && cell.record.is_some();
            let done: Vec<&RunCell> = group.cells.iter().copied().filter(is_done).collect();
            let cell = done.iter().find(|cell| cell.probes != Probes::default()).or(done.first())?;
            let mut full = label.clone();
            if backbones.len() > 1 {
                full.push_str(&format!(" on {}", group.id.backbone));
            }
            if results.runs.len() > 1 {
                full.push_str(&format!(", run {}", results.runs[group.run].name));
            }
            let costs = cell.record.iter().flat_map(|record| &record.cost);
            Some(Looked {
                label: full,
                style: styles.iter().position(|other| other == label).unwrap_or(0),
                cell,
                has_experts: costs.clone().any(|cost| cost.k.is_some())
                    || done.iter().any(|cell| tells_of_experts(&cell.probes)),
                folded: group.id.system != SHOWN || group.id.variant != CellId::BASE,
                done,
            })
        })
        .collect();
    tell_apart(&mut looked);
    // Where the paper's system is missing, the first one with something to see is shown.
    if looked.iter().all(|one| one.folded) && !looked.is_empty() {
        let first = looked.iter().position(|one| one.has_experts).unwrap_or(0);
        looked[first].folded = false;
    }
    looked
}

fn tells_of_experts(probes: &Probes) -> bool {
    let Probes { expert_use, similarities, routed_images, routing_changes, .. } = probes;
    !(expert_use.is_empty() && similarities.is_empty() && routed_images.is_empty() && routing_changes.is_empty())
}

/// Groups that differ in their protocol alone get its first letters.
fn tell_apart(looked: &mut [Looked]) {
    let labels: Vec<String> = looked.iter().map(|one| one.label.clone()).collect();
    for one in looked {
        if labels.iter().filter(|label| **label == one.label).count() > 1
            && let Some(record) = &one.cell.record
        {
            let key: String = record.protocol_key.chars().take(8).collect();
            one.label.push_str(&format!(", protocol {key}"));
        }
    }
}

/// Which systems have no experts; None when all have.
pub(super) fn dense(looked: &[Looked]) -> Option<String> {
    let names: Vec<&str> = looked.iter().filter(|one| !one.has_experts).map(|one| one.label.as_str()).collect();
    let verb = if names.len() == 1 { "has" } else { "have" };
    (!names.is_empty()).then(|| format!("{} {verb} no experts.", list(&names)))
}

/// Why systems that `has` says nothing of are missing, a line for each reason; `needs_experts` leaves out those that [`dense`]
/// names. `what` is what they could have recorded.
pub(super) fn absent(looked: &[Looked], needs_experts: bool, what: &str, has: impl Fn(&Looked) -> bool) -> Vec<String> {
    let missing = |one: &&Looked| !has(one);
    let dense = |one: &Looked| needs_experts && !one.has_experts;
    let some = |of: &dyn Fn(&Looked) -> bool| -> Vec<&str> {
        looked.iter().filter(missing).filter(|one| of(one)).map(|one| one.label.as_str()).collect()
    };
    let mut lines = Vec::new();
    let none = some(&|one| !dense(one) && !one.has_probes());
    if !none.is_empty() {
        lines.push(format!("{} recorded no probes.", list(&none)));
    }
    let other = some(&|one| !dense(one) && one.has_probes());
    if !other.is_empty() {
        lines.push(format!("{} recorded no {what}.", list(&other)));
    }
    lines
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_layers() {
        let blocks = |blocks: &[u32]| ends(blocks.iter().copied()).into_iter().map(Layer::text).collect::<Vec<_>>();
        assert_eq!(blocks(&[5, 1, 3]), ["first MoE layer (block 1)", "last MoE layer (block 5)"]);
        assert_eq!(blocks(&[2, 2]), ["MoE layer (block 2)"]);
        assert!(blocks(&[]).is_empty());
        assert_eq!([list(&["a"]), list(&["a", "b"]), list(&["a", "b", "c"])], ["a", "a and b", "a, b and c"]);
    }
}
