//! Cell by cell: how it ended, what it took, what made it, and how to make it again.

use adamv_store::{CellState, Environment, Record};
use serde::Serialize;

use crate::csv::{Field, csv};
use crate::group::{Group, Metric, state_word};
use crate::load::{Results, RunCell};
use crate::number::{bytes, duration, fixed, rate};

/// A row of the cells table.
#[derive(Debug, Serialize)]
pub(crate) struct CellRow {
    pub name: String,
    pub anchor: String,
    pub run: String,
    pub seed: u64,
    /// `done`, `failed`, ...; `unfinished` for a waiting cell: in a report nothing waits.
    pub state: &'static str,
    pub planned: bool,
    /// In the order of [`Metric::ALL`], percent.
    pub metrics: Vec<Quantity>,
    pub steps: Quantity,
    pub train_time: Quantity,
    pub train_rate: Quantity,
    pub evaluate_rate: Quantity,
    pub waiting: Quantity,
    pub memory: Quantity,
    pub device_memory: Quantity,
    pub skipped: Quantity,
    pub command: String,
}

/// A text with the number to sort by; an em dash where there is none.
#[derive(Debug, Serialize)]
pub(crate) struct Quantity {
    pub text: String,
    pub value: Option<f64>,
}

impl Quantity {
    fn new(value: Option<f64>, text: impl Fn(f64) -> String) -> Self {
        Self { text: value.map_or_else(|| "—".to_owned(), text), value }
    }
}

/// A cell to be linked to.
#[derive(Debug, Serialize)]
pub(crate) struct Link {
    pub name: String,
    pub anchor: String,
}

impl Link {
    pub(crate) fn to(cell: &RunCell) -> Self {
        Self { name: cell.name.clone(), anchor: cell.anchor.clone() }
    }
}

/// The code and machine of some cells.
#[derive(Debug, Serialize)]
pub(crate) struct EnvironmentRow {
    pub version: String,
    pub commit: String,
    pub libtorch: String,
    pub machine: String,
    pub device: String,
    pub precision: String,
    pub deterministic: bool,
    pub cells: Vec<Link>,
}

/// The data of a task of some cells.
#[derive(Debug, Serialize)]
pub(crate) struct DataRow {
    pub task: String,
    pub fingerprint: String,
    pub train_images: u64,
    pub val_images: u64,
    pub classes: u64,
    pub cells: Vec<Link>,
}

/// The keys and times of a cell.
#[derive(Debug, Serialize)]
pub(crate) struct KeyRow {
    pub cell: Link,
    pub cell_key: String,
    pub protocol_key: String,
    /// Empty where the record doesn't say.
    pub task_version: String,
    pub started: String,
    pub finished: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Details {
    pub runs: bool,
    /// Whether any cell ran on a device with memory of its own.
    pub device: bool,
    pub metrics: Vec<&'static str>,
    /// In the order of the main table, so that the seeds of a row stand together.
    pub cells: Vec<CellRow>,
    pub environments: Vec<EnvironmentRow>,
    pub data: Vec<DataRow>,
    pub keys: Vec<KeyRow>,
}

pub(crate) fn details(results: &Results, groups: &[Group]) -> Details {
    let mut cells = Vec::new();
    for group in groups {
        cells.extend(group.cells.iter().map(|cell| cell_row(&results.runs[group.run].name, cell)));
    }
    Details {
        runs: results.runs.len() > 1,
        device: cells.iter().any(|cell| cell.device_memory.value.is_some()),
        metrics: Metric::ALL.map(Metric::name).into(),
        cells,
        environments: environments(results),
        data: data(results),
        keys: results.cells().filter_map(key_row).collect(),
    }
}

fn cell_row(run: &str, cell: &RunCell) -> CellRow {
    // Only a finished cell has times worth reading; of a failed one they are what it took until then.
    let record = cell.record.as_ref().filter(|_| cell.state != CellState::Skipped);
    let timing = record.map(|record| &record.timing);
    let positive = |value: Option<f64>| value.filter(|v| *v > 0.0);
    let train = positive(timing.map(|t| t.train_seconds));
    let share =
        positive(timing.map(|t| t.train_seconds)).zip(timing).map(|(train, t)| 100.0 * t.data_wait_seconds / train);
    let steps = timing.map(|t| t.steps).or(cell.progress.as_ref().map(|p| p.step));
    CellRow {
        name: cell.name.clone(),
        run: run.to_owned(),
        anchor: cell.anchor.clone(),
        seed: cell.id.seed,
        state: state_word(cell),
        planned: cell.planned,
        metrics: Metric::ALL.map(|metric| Quantity::new(measured(cell, metric), fixed)).into(),
        steps: Quantity::new(steps.map(|n| n as f64), |n| format!("{n:.0}")),
        train_time: Quantity::new(train, duration),
        train_rate: Quantity::new(positive(timing.map(|t| t.train_images_per_second)), rate),
        evaluate_rate: Quantity::new(positive(timing.map(|t| t.evaluate_images_per_second)), rate),
        waiting: Quantity::new(share, |percent| format!("{percent:.1}%")),
        memory: Quantity::new(positive(record.map(|r| r.peak_memory_bytes as f64)), |b| bytes(b as u64)),
        device_memory: Quantity::new(record.and_then(|r| r.device_peak_memory_bytes).map(|b| b as f64), |b| {
            bytes(b as u64)
        }),
        skipped: Quantity::new(record.map(|r| r.data.iter().map(|d| d.skipped_samples).sum::<u64>() as f64), |n| {
            format!("{n:.0}")
        }),
        command: cell.command.clone(),
    }
}

/// Percent; none where the cell isn't done or has no such number.
fn measured(cell: &RunCell, metric: Metric) -> Option<f64> {
    cell.record.as_ref().filter(|_| cell.state == CellState::Done).and_then(|record| metric.of(record).ok())
}

fn environments(results: &Results) -> Vec<EnvironmentRow> {
    let mut seen: Vec<(&Environment, Vec<Link>)> = Vec::new();
    for (cell, record) in results.cells().filter_map(|cell| Some((cell, cell.record.as_ref()?))) {
        match seen.iter_mut().find(|(environment, _)| *environment == &record.environment) {
            Some((_, cells)) => cells.push(Link::to(cell)),
            None => seen.push((&record.environment, vec![Link::to(cell)])),
        }
    }
    seen.into_iter()
        .map(|(e, cells)| EnvironmentRow {
            version: e.version.clone(),
            commit: e.commit.clone(),
            libtorch: e.libtorch.clone(),
            machine: format!("{}, {}, {} threads", e.cpu, e.os, e.threads),
            device: e.device.clone(),
            precision: e.precision.clone(),
            deterministic: e.deterministic,
            cells,
        })
        .collect()
}

fn data(results: &Results) -> Vec<DataRow> {
    let mut rows: Vec<DataRow> = Vec::new();
    for (cell, record) in results.cells().filter_map(|cell| Some((cell, cell.record.as_ref()?))) {
        for data in &record.data {
            let same = |row: &&mut DataRow| {
                (&row.task, &row.fingerprint, row.train_images, row.val_images, row.classes)
                    == (&data.task, &data.fingerprint, data.train_images, data.val_images, data.classes)
            };
            match rows.iter_mut().find(same) {
                Some(row) => row.cells.push(Link::to(cell)),
                None => rows.push(DataRow {
                    task: data.task.clone(),
                    fingerprint: data.fingerprint.clone(),
                    train_images: data.train_images,
                    val_images: data.val_images,
                    classes: data.classes,
                    cells: vec![Link::to(cell)],
                }),
            }
        }
    }
    rows
}

fn key_row(cell: &RunCell) -> Option<KeyRow> {
    let record = cell.record.as_ref()?;
    Some(KeyRow {
        cell: Link::to(cell),
        cell_key: record.cell_key.clone(),
        protocol_key: record.protocol_key.clone(),
        task_version: record.task_version().map_or_else(String::new, |version| version.to_string()),
        started: record.started_at.clone(),
        finished: record.finished_at.clone(),
    })
}

/// `tables/cells.csv`: one line a cell, plain units.
pub(crate) fn cells_csv(results: &Results) -> String {
    let header = [
        "run",
        "cell",
        "system",
        "backbone",
        "variant",
        "seed",
        "status",
        "error",
        "cell_key",
        "protocol_key",
        "task_version",
        "accuracy_percent",
        "AP_percent",
        "AP50_percent",
        "AP75_percent",
        "APmask_percent",
        "steps",
        "train_seconds",
        "evaluate_seconds",
        "data_wait_seconds",
        "train_images_per_second",
        "evaluate_images_per_second",
        "peak_memory_bytes",
        "device_peak_memory_bytes",
        "skipped_samples",
        "command",
    ];
    let rows = results.runs.iter().flat_map(|run| {
        run.cells.iter().map(|cell| {
            let text = |text: &str| Field::Text(text.to_owned());
            let record = cell.record.as_ref();
            let number =
                |of: fn(&adamv_store::Timing) -> f64| record.map_or(Field::Empty, |r| Field::Number(of(&r.timing)));
            let mut fields = vec![
                text(&run.name),
                text(&cell.name),
                text(&cell.id.system),
                text(&cell.id.backbone),
                text(&cell.id.variant),
                Field::Count(cell.id.seed),
                text(cell.state.name()),
                text(record.and_then(|r| r.error.as_deref()).unwrap_or_default()),
                text(record.map_or("", |r| &r.cell_key)),
                text(record.map_or("", |r| &r.protocol_key)),
                record.and_then(Record::task_version).map_or(Field::Empty, Field::Count),
            ];
            fields.extend(Metric::ALL.map(|metric| measured(cell, metric).map_or(Field::Empty, Field::Number)));
            fields.extend([
                record
                    .map(|r| r.timing.steps)
                    .or(cell.progress.as_ref().map(|p| p.step))
                    .map_or(Field::Empty, Field::Count),
                number(|t| t.train_seconds),
                number(|t| t.evaluate_seconds),
                number(|t| t.data_wait_seconds),
                number(|t| t.train_images_per_second),
                number(|t| t.evaluate_images_per_second),
                record.map_or(Field::Empty, |r| Field::Count(r.peak_memory_bytes)),
                record.and_then(|r| r.device_peak_memory_bytes).map_or(Field::Empty, Field::Count),
                record.map_or(Field::Empty, |r| Field::Count(r.data.iter().map(|d| d.skipped_samples).sum())),
                text(&cell.command),
            ]);
            fields
        })
    });
    csv(&header, rows)
}
