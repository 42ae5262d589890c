//! What the compared cells cost: activated parameters and multiply-adds of each task. Reads records only.

use adamv_store::{Record, TaskCost};
use serde::Serialize;

use super::pairs::Pair;

/// Cost of one task of a pair, mean over its seeds (experts are chosen seed by seed).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CostRow {
    pub system: String,
    pub backbone: String,
    pub variant: String,
    pub seeds: Vec<u64>,
    pub task: String,
    /// Activated parameters, head included.
    pub params_activated: f64,
    pub baseline_params_activated: f64,
    /// Multiply-adds of one image; none where a record lacks them.
    pub macs: Option<f64>,
    pub baseline_macs: Option<f64>,
}

impl CostRow {
    /// Whether parameters and multiply-adds are those of the baseline.
    pub fn unchanged(&self) -> bool {
        self.params_activated == self.baseline_params_activated && self.macs == self.baseline_macs
    }
}

pub(super) fn costs(pairs: &[Pair]) -> Vec<CostRow> {
    let mut rows = Vec::new();
    for pair in pairs {
        let ours: Vec<&Record> = pair.new.iter().filter_map(|cell| cell.done()).collect();
        let theirs: Vec<&Record> = pair.base.iter().filter_map(|cell| cell.done()).collect();
        for task in ours.first().map_or(&[][..], |record| &record.cost) {
            let of = |records: &[&Record], number: fn(&TaskCost) -> Option<u64>| {
                let values: Option<Vec<f64>> = records
                    .iter()
                    .map(|record| {
                        let cost = record.cost.iter().find(|cost| cost.task == task.task)?;
                        number(cost).map(|value| value as f64)
                    })
                    .collect();
                values
                    .filter(|values| !values.is_empty())
                    .map(|values| values.iter().sum::<f64>() / values.len() as f64)
            };
            let params = |records: &[&Record]| of(records, |cost| Some(cost.params_activated));
            let (Some(params_activated), Some(baseline_params_activated)) = (params(&ours), params(&theirs)) else {
                continue;
            };
            rows.push(CostRow {
                system: pair.system.to_owned(),
                backbone: pair.backbone.to_owned(),
                variant: pair.variant.to_owned(),
                seeds: pair.seeds.clone(),
                task: task.task.clone(),
                params_activated,
                baseline_params_activated,
                macs: of(&ours, |cost| cost.macs),
                baseline_macs: of(&theirs, |cost| cost.macs),
            });
        }
    }
    rows
}
