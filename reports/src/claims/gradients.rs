//! Whether the two tasks' gradients conflict less in one system than in another, from the cosines that its probes saw.

use std::collections::BTreeMap;

use adamv_metrics::{Component, mean, standard_deviation, t_interval};
use adamv_store::GradientPair;

use super::cells::of_system;
use super::file::System;
use super::inequality::not_run;
use super::{ClaimVerdict, Evidence};
use crate::compare::{Source, SourceCell};
use crate::group::first_seen;

/// A higher mean cosine is less conflict; seeds are paired.
pub(super) fn less_conflict(system: &System, than: &System, runs: &[Source]) -> Vec<Evidence> {
    let mut evidence = Vec::new();
    for run in runs {
        let (ours, theirs) = (of_system(system, run), of_system(than, run));
        for backbone in first_seen(ours.iter().map(|cell| cell.id.backbone.as_str())) {
            let of = |cells: &[&SourceCell]| -> BTreeMap<u64, f64> {
                let here = cells.iter().filter(|cell| cell.id.backbone == backbone);
                here.filter_map(|cell| Some((cell.id.seed, mean(&cosines(&cell.probes.gradients))?))).collect()
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

/// The cosine of the whole shared gradient in each step that was looked at, in their order; steps without a gradient of both
/// tasks are left out. Rows of a step stand together.
fn cosines(gradients: &[GradientPair]) -> Vec<f64> {
    let steps = gradients.chunk_by(|a, b| (a.step, &a.phase) == (b.step, &b.phase));
    let cosine = |rows: &[GradientPair]| {
        let sum = |of: fn(&GradientPair) -> f64| rows.iter().map(of).sum::<f64>();
        let [a, b] = [sum(|row| row.classification_norm.powi(2)), sum(|row| row.detection_norm.powi(2))];
        Some(sum(|row| row.dot) / (a.sqrt() * b.sqrt())).filter(|cosine| cosine.is_finite())
    };
    steps.filter_map(cosine).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cosine_is_that_of_all_weights_together() {
        let row = |step, dot, a, b| GradientPair {
            step,
            phase: "joint".into(),
            weight: "w".into(),
            dot,
            classification_norm: a,
            detection_norm: b,
        };
        // (3, 4) and (5, 12) long: (1 - 3) / (5 * 13); a step without a gradient; opposite ones.
        let rows = [row(1, 1.0, 3.0, 5.0), row(1, -3.0, 4.0, 12.0), row(2, 0.0, 0.0, 1.0), row(3, -2.0, 1.0, 2.0)];
        let found = cosines(&rows);
        assert_eq!(found.len(), 2);
        assert!((found[0] + 2.0 / 65.0).abs() < 1e-12 && (found[1] + 1.0).abs() < 1e-12, "{found:?}");
    }
}
