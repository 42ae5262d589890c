//! Claims about single cells: a finding per run and backbone over its seeds, supported where it holds in each, contradicted where it
//! holds in none. Knows nothing of what is asked of a cell.

use super::file::System;
use super::inequality::not_run;
use super::{ClaimVerdict, Evidence};
use crate::compare::{Source, SourceCell};
use crate::group::first_seen;

/// What is found in a cell: whether it holds, and its numbers in words.
pub(super) type Found = (bool, String);

/// Asks every finished cell of a system; `finding` makes a sentence of the words of all seeds. `needs` says what a cell must have
/// for an answer.
pub(super) fn by_cell(
    system: &System,
    runs: &[Source],
    needs: &str,
    ask: impl Fn(&SourceCell) -> Option<Found>,
    finding: impl Fn(&str) -> String,
) -> Vec<Evidence> {
    let mut evidence = Vec::new();
    for run in runs {
        let cells = of_system(system, run);
        for backbone in first_seen(cells.iter().map(|cell| cell.id.backbone.as_str())) {
            let found: Vec<Found> =
                cells.iter().filter(|cell| cell.id.backbone == backbone).filter_map(|cell| ask(cell)).collect();
            let verdict = match found.iter().filter(|(holds, _)| *holds).count() {
                _ if found.is_empty() => continue,
                n if n == found.len() => ClaimVerdict::Supported,
                0 => ClaimVerdict::Contradicted,
                _ => ClaimVerdict::Undecided,
            };
            let words: Vec<&str> = found.iter().map(|(_, words)| words.as_str()).collect();
            let finding = format!("{system} on {backbone} ({}): {}", run.name, finding(&words.join(", ")));
            evidence.push(Evidence { verdict, finding });
        }
    }
    if evidence.is_empty() {
        evidence.push(not_run(format!("no run has {system} with {needs}")));
    }
    evidence
}

/// The finished cells of a system in a run.
pub(super) fn of_system<'a>(system: &System, run: &'a Source) -> Vec<&'a SourceCell> {
    let ours = |cell: &&SourceCell| {
        cell.done().is_some() && cell.id.system == system.system && cell.id.variant == system.variant
    };
    run.cells.iter().filter(ours).collect()
}
