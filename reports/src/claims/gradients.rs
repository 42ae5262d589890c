//! Whether the two tasks' gradients conflict less in one system than in another, from the cosines that its probes saw.

use std::collections::BTreeMap;

use adamv_metrics::{Component, mean, standard_deviation, t_interval};

use super::cells::of_system;
use super::file::System;
use super::inequality::not_run;
use super::{ClaimVerdict, Evidence};
use crate::compare::{Source, SourceCell};
use crate::group::first_seen;
use crate::probes::cosines;

/// A higher mean cosine is less conflict; seeds are paired.
pub(super) fn less_conflict(system: &System, than: &System, runs: &[Source]) -> Vec<Evidence> {
    let mut evidence = Vec::new();
    for run in runs {
        let (ours, theirs) = (of_system(system, run), of_system(than, run));
        for backbone in first_seen(ours.iter().map(|cell| cell.id.backbone.as_str())) {
            let of = |cells: &[&SourceCell]| -> BTreeMap<u64, f64> {
                let here = cells.iter().filter(|cell| cell.id.backbone == backbone);
                here.filter_map(|cell| Some((cell.id.seed, mean(&of_steps(cell))?))).collect()
            };
            let (ours, theirs) = (of(&ours), of(&theirs));
            let pairs: Vec<(f64, f64)> =
                ours.iter().filter_map(|(seed, value)| Some((*value, *theirs.get(seed)?))).collect();
            evidence.extend(judge(system, than, backbone, &run.name, &pairs));
        }
    }
    if evidence.is_empty() {
        evidence.push(not_run(format!("no run has the gradients of both {system} and {than} with the same seed")));
    }
    evidence
}

fn of_steps(cell: &SourceCell) -> Vec<f64> {
    cosines(&cell.probes.gradients).into_iter().map(|(_, cosine)| cosine).collect()
}

fn judge(system: &System, than: &System, backbone: &str, run: &str, pairs: &[(f64, f64)]) -> Option<Evidence> {
    let differences: Vec<f64> = pairs.iter().map(|(ours, theirs)| ours - theirs).collect();
    let delta = mean(&differences)?;
    let n = differences.len() as f64;
    // One seed has no spread, and judges nothing.
    let spread = standard_deviation(&differences).map(|d| Component { variance: d * d / n, degrees: n - 1.0 });
    let interval = spread.and_then(|spread| t_interval(delta, &[spread]));
    let verdict = match &interval {
        Some(interval) if interval.low > 0.0 => ClaimVerdict::Supported,
        Some(interval) if interval.high < 0.0 => ClaimVerdict::Contradicted,
        _ => ClaimVerdict::Undecided,
    };
    let bounds = interval.map(|i| format!(" [{:+.3}, {:+.3}]", i.low, i.high)).unwrap_or_default();
    let seeds = if pairs.len() == 1 { "one seed".to_owned() } else { format!("{} seeds", pairs.len()) };
    let mean_of = |of: fn(&(f64, f64)) -> f64| mean(&pairs.iter().map(of).collect::<Vec<_>>()).unwrap_or(f64::NAN);
    Some(Evidence {
        verdict,
        finding: format!(
            "mean cosine between the two tasks' gradients on what they share, {system} against {than} on {backbone} ({run}, \
             {seeds}): {:.3} against {:.3}, {delta:+.3}{bounds}",
            mean_of(|pair| pair.0),
            mean_of(|pair| pair.1)
        ),
    })
}
