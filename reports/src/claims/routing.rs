//! Whether routing settles while a cell trains, and where first, from the changes that its probes saw.

use std::collections::BTreeMap;

use adamv_store::RoutingChange;

use super::Evidence;
use super::cells::by_cell;
use super::file::System;
use crate::compare::{Source, SourceCell};

/// Mean distance of the first and of the last third of the looks in a layer, and of all; mean over the tasks.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Settling {
    early: f64,
    late: f64,
    whole: f64,
}

pub(super) fn settles(system: &System, runs: &[Source]) -> Vec<Evidence> {
    let ask = |cell: &SourceCell| {
        let (shallow, deep) = ends(&cell.probes.routing_changes)?;
        let settled = |layer: Settling| layer.late < layer.early;
        let holds = settled(shallow) && settled(deep) && shallow.whole < deep.whole;
        let words = |layer: Settling| format!("{:.3} to {:.3}, mean {:.3}", layer.early, layer.late, layer.whole);
        Some((holds, format!("seed {}: {} and {}", cell.id.seed, words(shallow), words(deep))))
    };
    let finding = |words: &str| {
        format!(
            "distance between routing at successive looks, first to last third of the last phase, in the first and in the last \
             layer of experts (asked: falling in both, and a lower mean in the first): {words}"
        )
    };
    by_cell(system, runs, "routing looked at while it trained", ask, finding)
}

/// The first and the last layer of experts, in the phase that came last; None with fewer than three looks or one layer.
fn ends(changes: &[RoutingChange]) -> Option<(Settling, Settling)> {
    let phase = &changes.last()?.phase;
    let mut layers: BTreeMap<u32, BTreeMap<&str, Vec<f64>>> = BTreeMap::new();
    for row in changes.iter().filter(|row| row.phase == *phase) {
        layers.entry(row.layer).or_default().entry(&row.task).or_default().push(row.distance);
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let settling = |tasks: &BTreeMap<&str, Vec<f64>>| {
        let over_tasks = |of: &dyn Fn(&[f64]) -> f64| tasks.values().map(|d| of(d)).sum::<f64>() / tasks.len() as f64;
        let enough = tasks.values().all(|distances| distances.len() >= 3);
        enough.then(|| Settling {
            early: over_tasks(&|d| mean(&d[..d.len() / 3])),
            late: over_tasks(&|d| mean(&d[d.len() - d.len() / 3..])),
            whole: over_tasks(&mean),
        })
    };
    let (first, last) = (layers.first_key_value()?, layers.last_key_value()?);
    if first.0 == last.0 {
        return None;
    }
    Some((settling(first.1)?, settling(last.1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(phase: &str, layer: u32, task: &str, distances: &[f64]) -> Vec<RoutingChange> {
        let row = |(i, &distance): (usize, &f64)| RoutingChange {
            step: 10 * (i as u64 + 1),
            phase: phase.into(),
            task: task.into(),
            layer,
            distance,
        };
        distances.iter().enumerate().map(row).collect()
    }

    #[test]
    fn thirds_of_the_last_phase_by_hand() {
        let all = [
            changes("first-stage", 1, "classification", &[0.9; 6]),
            changes("joint", 1, "classification", &[0.6, 0.4, 0.3, 0.3, 0.1, 0.1]),
            changes("joint", 1, "detection", &[0.2, 0.2, 0.2, 0.2, 0.0, 0.2]),
            changes("joint", 2, "classification", &[1.0; 6]),
            changes("joint", 3, "classification", &[0.5, 0.5, 0.5, 0.5, 0.5, 0.7]),
        ];
        let (shallow, deep) = ends(&all.concat()).unwrap();
        // (0.5 + 0.2) / 2, (0.1 + 0.1) / 2, (1.8 / 6 + 1.0 / 6) / 2.
        let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(near(shallow.early, 0.35) && near(shallow.late, 0.1) && near(shallow.whole, 1.4 / 6.0), "{shallow:?}");
        assert!(near(deep.early, 0.5) && near(deep.late, 0.6), "{deep:?}");
    }

    #[test]
    fn few_looks_and_one_layer_say_nothing() {
        assert_eq!(ends(&[]), None);
        assert_eq!(ends(&changes("joint", 1, "detection", &[0.5; 9])), None);
        let short = [changes("joint", 1, "detection", &[0.5; 2]), changes("joint", 3, "detection", &[0.5; 9])];
        assert_eq!(ends(&short.concat()), None);
    }
}
