//! Collects the losses of recent steps on the device, brings them over in one transfer, and stops on one that isn't
//! finite.

use std::collections::BTreeMap;

use adamv_datasets::Task;
use adamv_store::History;
use tch::{Kind, Tensor};

use crate::error::EngineError;

/// Samples that a message names at the most.
const NAMED: usize = 16;

/// In the history: the sum of a task's loss terms. Other metrics of a task are no part of it.
const LOSS: &str = "loss";

/// Losses of one step.
struct Step {
    step: u64,
    learning_rate: f64,
    /// All values of the step, [terms] f32: one for each name.
    values: Tensor,
    /// Which samples each task's batch held.
    samples: Vec<(Task, Vec<usize>)>,
}

/// Losses since the last row of the history.
pub struct Guard {
    phase: &'static str,
    names: Vec<(Option<Task>, String)>,
    pending: Vec<Step>,
}

impl Guard {
    pub fn new(phase: &'static str) -> Self {
        Self { phase, names: Vec::new(), pending: Vec::new() }
    }

    /// Takes the losses of a step (scalars) without waiting for the device.
    pub fn push(
        &mut self,
        step: u64,
        learning_rate: f64,
        losses: &[(Option<Task>, String, Tensor)],
        samples: Vec<(Task, Vec<usize>)>,
    ) {
        self.names = losses.iter().map(|(task, name, _)| (*task, name.clone())).collect();
        let values: Vec<Tensor> =
            losses.iter().map(|(_, _, value)| value.detach().to_kind(Kind::Float).view([])).collect();
        self.pending.push(Step { step, learning_rate, values: Tensor::stack(&values, 0), samples });
    }

    /// Writes the mean of every pending term as one row at the last step, or says which one isn't finite. `name_of`
    /// names a sample. Returns the mean of the sum of the tasks' terms.
    pub fn flush(
        &mut self,
        history: &mut History,
        name_of: impl Fn(Task, usize) -> String,
    ) -> Result<f64, EngineError> {
        let Some(last) = self.pending.last() else { return Ok(0.0) };
        let (step, learning_rate) = (last.step, last.learning_rate);
        let stacked: Vec<&Tensor> = self.pending.iter().map(|s| &s.values).collect();
        let table = Tensor::stack(&stacked, 0).to_kind(Kind::Double).to_device(tch::Device::Cpu);
        let values = Vec::<f64>::try_from(table.view([-1]))?;
        let terms = self.names.len();
        for (row, at) in values.chunks(terms).zip(&self.pending) {
            if let Some(i) = row.iter().position(|v| !v.is_finite()) {
                return Err(self.not_finite(at, i, row[i], name_of));
            }
        }
        let count = self.pending.len() as f64;
        let mut totals: BTreeMap<Task, f64> = BTreeMap::new();
        for (i, (task, name)) in self.names.iter().enumerate() {
            let mean = values.iter().skip(i).step_by(terms).sum::<f64>() / count;
            if let Some(task) = task {
                *totals.entry(*task).or_default() += mean;
            }
            history.push(step + 1, self.phase, task.map_or("", |t| t.as_str()), name, mean);
        }
        for (task, total) in &totals {
            history.push(step + 1, self.phase, task.as_str(), LOSS, *total);
        }
        history.push(step + 1, self.phase, "", "learning_rate", learning_rate);
        self.pending.clear();
        Ok(totals.values().sum())
    }

    fn not_finite(&self, at: &Step, term: usize, value: f64, name_of: impl Fn(Task, usize) -> String) -> EngineError {
        let (task, name) = &self.names[term];
        // A bad gradient norm has no task of its own: then all samples of the step are named.
        let samples: Vec<String> = at
            .samples
            .iter()
            .filter(|(t, _)| task.is_none_or(|task| task == *t))
            .flat_map(|(t, indices)| indices.iter().map(|&i| name_of(*t, i)).collect::<Vec<_>>())
            .collect();
        let mut named = samples[..samples.len().min(NAMED)].join(", ");
        if samples.len() > NAMED {
            named = format!("{named} and {} more", samples.len() - NAMED);
        }
        EngineError::NotFinite {
            phase: self.phase.into(),
            step: at.step + 1,
            task: task.map_or("both tasks", |t| t.as_str()).into(),
            term: name.clone(),
            value,
            samples: named,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(a: f32, b: f32) -> Vec<(Option<Task>, String, Tensor)> {
        vec![
            (Some(Task::Classification), "cross_entropy".into(), Tensor::from(a)),
            (Some(Task::Detection), "mask".into(), Tensor::from(b)),
        ]
    }

    fn samples() -> Vec<(Task, Vec<usize>)> {
        vec![(Task::Classification, vec![7]), (Task::Detection, vec![3, 9])]
    }

    #[test]
    fn a_row_is_the_mean_since_the_last_one() {
        let (mut guard, mut history) = (Guard::new("joint"), History::default());
        guard.push(0, 0.1, &losses(1.0, 4.0), samples());
        guard.push(1, 0.2, &losses(3.0, 8.0), samples());
        let total = guard.flush(&mut history, |_, i| i.to_string()).unwrap();
        assert_eq!(total, 8.0);
        let rows: Vec<(u64, &str, f64)> = history.rows.iter().map(|r| (r.step, r.metric.as_str(), r.value)).collect();
        let terms = [(2, "cross_entropy", 2.0), (2, "mask", 6.0)];
        assert_eq!(rows[..2], terms);
        assert_eq!(rows[2..], [(2, "loss", 2.0), (2, "loss", 6.0), (2, "learning_rate", 0.2)]);
    }

    #[test]
    fn a_bad_loss_names_step_task_term_and_samples() {
        let (mut guard, mut history) = (Guard::new("joint"), History::default());
        guard.push(4, 0.1, &losses(1.0, 1.0), samples());
        guard.push(5, 0.1, &losses(1.0, f32::NAN), samples());
        let error = guard.flush(&mut history, |task, i| format!("{task}/{i}.jpg")).unwrap_err().to_string();
        for part in ["step 6", "joint", "detection.mask", "NaN", "detection/3.jpg, detection/9.jpg"] {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
        assert!(!error.contains("7.jpg") && history.rows.is_empty());
    }
}
