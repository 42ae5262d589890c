//! How tasks use experts, from the shares of token-expert pairs that a cell's history ends with. The rows are those of the engine:
//! `expert_load.LAYER.EXPERT` of each task.

use std::collections::BTreeMap;

use super::Evidence;
use super::cells::by_cell;
use super::file::System;
use crate::compare::{Source, SourceCell};

/// Shares by layer and task at the last step that has them, each summing to 1.
type Loads = BTreeMap<u64, BTreeMap<String, Vec<f64>>>;

fn loads(cell: &SourceCell) -> Loads {
    let mut last: BTreeMap<(u64, String, usize), f64> = BTreeMap::new();
    for row in &cell.history.rows {
        let mut parts = row.metric.split('.');
        let (Some("expert_load"), Some(layer), Some(expert)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        if let (Ok(layer), Ok(expert)) = (layer.parse(), expert.parse()) {
            // Rows are in the order of measurement.
            last.insert((layer, row.task.clone(), expert), row.value);
        }
    }
    let mut loads = Loads::new();
    for ((layer, task, _), share) in last {
        loads.entry(layer).or_default().entry(task).or_default().push(share);
    }
    loads
}

/// The largest share of an expert over both tasks, in units of the uniform share.
fn imbalance(loads: &Loads) -> Option<f64> {
    let largest = loads.values().filter_map(|tasks| {
        let experts = tasks.values().map(Vec::len).min()?;
        let mean = |expert: usize| tasks.values().map(|shares| shares[expert]).sum::<f64>() / tasks.len() as f64;
        (0..experts).map(mean).reduce(f64::max).map(|share| share * experts as f64)
    });
    largest.reduce(f64::max)
}

/// Half the sum of the differences between two tasks' shares, mean over the layers; none unless there are two tasks.
fn distance(loads: &Loads) -> Option<f64> {
    let distances: Option<Vec<f64>> = loads
        .values()
        .map(|tasks| {
            let mut tasks = tasks.values();
            let (Some(a), Some(b), None) = (tasks.next(), tasks.next(), tasks.next()) else { return None };
            Some(0.5 * a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>())
        })
        .collect();
    let distances = distances.filter(|distances| !distances.is_empty())?;
    Some(distances.iter().sum::<f64>() / distances.len() as f64)
}

const NEEDS: &str = "the shares of its experts";

pub(super) fn load(system: &System, at_most: f64, runs: &[Source]) -> Vec<Evidence> {
    let ask = |cell: &SourceCell| imbalance(&loads(cell)).map(|value| (value <= at_most, format!("{value:.2}")));
    by_cell(system, runs, NEEDS, ask, |values| {
        format!(
            "the largest share of an expert over both tasks is {values} of the uniform one (at most {at_most} asked)"
        )
    })
}

pub(super) fn preference(system: &System, at_least: f64, runs: &[Source]) -> Vec<Evidence> {
    let ask = |cell: &SourceCell| distance(&loads(cell)).map(|value| (value >= at_least, format!("{value:.2}")));
    by_cell(system, runs, NEEDS, ask, |values| {
        format!("the distance between the tasks' shares is {values} (at least {at_least} asked)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two layers of four experts. By hand: layer 1, classification [.4 .3 .2 .1], detection [.1 .2 .3 .4]: mean .25 each, distance
    /// (.3 + .1 + .1 + .3) / 2 = .4. Layer 3: both [.7 .1 .1 .1]: 4 x .7 = 2.8, distance 0.
    fn example() -> Loads {
        let tasks = |a: [f64; 4], b: [f64; 4]| {
            BTreeMap::from([("classification".to_owned(), a.to_vec()), ("detection".to_owned(), b.to_vec())])
        };
        let skewed = [0.7, 0.1, 0.1, 0.1];
        Loads::from([(1, tasks([0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4])), (3, tasks(skewed, skewed))])
    }

    #[test]
    fn shares_by_hand() {
        assert!((imbalance(&example()).unwrap() - 2.8).abs() < 1e-12);
        assert!((distance(&example()).unwrap() - 0.2).abs() < 1e-12);
        assert_eq!((imbalance(&Loads::new()), distance(&Loads::new())), (None, None));
        let mut one = example();
        one.values_mut().for_each(|tasks| drop(tasks.remove("detection")));
        assert_eq!(distance(&one), None, "one task prefers nothing");
    }
}
