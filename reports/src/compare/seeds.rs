//! Rows of single seeds drawn together: how a system did over its seeds, on both sides, and the paired difference. Judges nothing.

use serde::Serialize;

use super::rows::Row;
use crate::number::Estimate;

/// One metric of a system over its seeds, in percent and percentage points; deviations are sample standard deviations over seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeedsRow {
    pub system: String,
    pub backbone: String,
    pub variant: String,
    pub metric: &'static str,
    pub seeds: Vec<u64>,
    pub baseline: f64,
    pub baseline_deviation: Option<f64>,
    pub value: f64,
    pub value_deviation: Option<f64>,
    /// Mean of the differences seed by seed.
    pub delta: f64,
    pub delta_deviation: Option<f64>,
}

/// A row per system, backbone, variant and metric that has several seeds, each in a row of its own.
pub(super) fn over_seeds(rows: &[Row]) -> Vec<SeedsRow> {
    let mut groups: Vec<Vec<&Row>> = Vec::new();
    for row in rows.iter().filter(|row| row.seeds.len() == 1) {
        let key = |row: &Row| (row.system.clone(), row.backbone.clone(), row.variant.clone(), row.metric);
        match groups.iter_mut().find(|group| key(group[0]) == key(row)) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    let together = |group: &Vec<&Row>| {
        let of = |number: fn(&Row) -> f64| Estimate::of(&group.iter().map(|row| number(row)).collect::<Vec<_>>());
        let (baseline, value, delta) = (of(|row| row.baseline)?, of(|row| row.value)?, of(|row| row.delta)?);
        let first = group[0];
        Some(SeedsRow {
            system: first.system.clone(),
            backbone: first.backbone.clone(),
            variant: first.variant.clone(),
            metric: first.metric,
            seeds: group.iter().flat_map(|row| row.seeds.clone()).collect(),
            baseline: baseline.mean,
            baseline_deviation: baseline.deviation,
            value: value.mean,
            value_deviation: value.deviation,
            delta: delta.mean,
            delta_deviation: delta.deviation,
        })
    };
    groups.iter().filter(|group| group.len() > 1).filter_map(together).collect()
}
