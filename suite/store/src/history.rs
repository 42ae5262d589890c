//! `history.parquet`: what was measured during training, in long format, one number a row.

use std::collections::BTreeMap;
use std::path::Path;

use polars::prelude::*;

use crate::error::Result;
use crate::table;

/// Steps of a curve in brief.
const CURVE: usize = 20;

/// One number at one step.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryRow {
    /// Optimizer steps of the phase that were done when it was measured.
    pub step: u64,
    /// Which phase of the cell, e.g. `joint`; a training phase counts its own steps.
    pub phase: String,
    /// `classification`, `detection`, or empty for what belongs to no task.
    pub task: String,
    /// E.g. `cross_entropy`, `rpn_box`, `learning_rate`, `gradient_norm`.
    pub metric: String,
    /// In the metric's own unit; NaN is allowed.
    pub value: f64,
}

/// The history of a cell, in the order of measurement.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    pub rows: Vec<HistoryRow>,
}

impl History {
    pub fn push(&mut self, step: u64, phase: &str, task: &str, metric: &str, value: f64) {
        self.rows.push(HistoryRow { step, phase: phase.into(), task: task.into(), metric: metric.into(), value });
    }

    /// Writes columns step (u64), phase, task, metric (text), value (f64), atomically.
    ///
    /// # Errors
    /// The errors of writing.
    pub fn write(&self, path: &Path) -> Result<()> {
        table::write(path, self.columns())
    }

    /// Of each curve (phase, task, metric) at most 20 steps, evenly spaced, the last one among them; values rounded to f32. Brief of
    /// brief is no different, so equal briefs mean equal trainings, as far as the history shows.
    #[must_use]
    pub fn brief(&self) -> Self {
        let key = |row: &HistoryRow| (row.phase.clone(), row.task.clone(), row.metric.clone());
        let mut lengths: BTreeMap<_, usize> = BTreeMap::new();
        self.rows.iter().for_each(|row| *lengths.entry(key(row)).or_default() += 1);
        let mut seen: BTreeMap<_, usize> = BTreeMap::new();
        let kept = self.rows.iter().filter(|row| {
            let length = lengths[&key(row)];
            let at = seen.entry(key(row)).or_default();
            *at += 1;
            // Row `at` of `length` (counted from 1) is kept when it opens a new twentieth, counted from the end.
            length <= CURVE || (*at * CURVE) / length > ((*at - 1) * CURVE) / length
        });
        Self { rows: kept.map(|row| HistoryRow { value: f64::from(row.value as f32), ..row.clone() }).collect() }
    }

    pub(crate) fn columns(&self) -> Vec<Column> {
        let text = |name: &str, of: fn(&HistoryRow) -> &String| {
            Column::new(name.into(), self.rows.iter().map(|row| of(row).as_str()).collect::<Vec<_>>())
        };
        vec![
            Column::new("step".into(), self.rows.iter().map(|row| row.step).collect::<Vec<_>>()),
            text("phase", |row| &row.phase),
            text("task", |row| &row.task),
            text("metric", |row| &row.metric),
            Column::new("value".into(), self.rows.iter().map(|row| row.value).collect::<Vec<_>>()),
        ]
    }

    /// Reads what [`History::write`] wrote.
    ///
    /// # Errors
    /// A missing or broken file, by name.
    pub fn read(path: &Path) -> Result<Self> {
        table::read(path, Self::from_frame)
    }

    pub(crate) fn from_frame(frame: &DataFrame) -> PolarsResult<Self> {
        let phases = table::texts(frame, "phase")?;
        let tasks = table::texts(frame, "task")?;
        let metrics = table::texts(frame, "metric")?;
        let rows = table::u64s(frame, "step")?
            .into_iter()
            .zip(phases)
            .zip(tasks)
            .zip(metrics)
            .zip(table::full(frame, "value")?.f64()?.iter().flatten())
            .map(|((((step, phase), task), metric), value)| HistoryRow { step, phase, task, metric, value })
            .collect();
        Ok(Self { rows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use std::fs;

    fn history() -> History {
        let mut history = History::default();
        for step in 0..50 {
            history.push(step, "train", "classification", "loss", 1.0 / (step as f64 + 3.0));
            history.push(step, "train", "détection", "loss.rpn \"box\"", if step == 7 { f64::NAN } else { -0.0 });
        }
        history.push(u64::MAX, "evaluate", "all", "lr", f64::INFINITY);
        history
    }

    #[test]
    fn round_trip_to_the_bit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.parquet");
        for history in [history(), History::default()] {
            history.write(&path).unwrap();
            let read = History::read(&path).unwrap();
            assert_eq!(read.rows.len(), history.rows.len());
            for (a, b) in read.rows.iter().zip(&history.rows) {
                assert_eq!((a.step, &a.phase, &a.task, &a.metric), (b.step, &b.phase, &b.task, &b.metric));
                assert_eq!(a.value.to_bits(), b.value.to_bits());
            }
        }
    }

    #[test]
    fn the_same_rows_give_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("1"), dir.path().join("2"));
        history().write(&one).unwrap();
        history().write(&two).unwrap();
        assert_eq!(fs::read(one).unwrap(), fs::read(two).unwrap());
    }

    #[test]
    fn a_broken_file_names_itself() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.parquet");
        history().write(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        for bytes in [&whole[..whole.len() / 2], b"not parquet at all", b""] {
            fs::write(&path, bytes).unwrap();
            let error = History::read(&path).unwrap_err();
            assert!(matches!(error, Error::Broken { .. }), "{error:?}");
            assert!(error.to_string().contains("history.parquet"), "{error}");
        }
        table::write(&path, vec![Column::new("step".into(), [1u64])]).unwrap();
        assert!(History::read(&path).unwrap_err().to_string().contains("phase"));
    }
}
