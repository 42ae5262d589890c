//! Reading run directories: every cell with its record, its history and what is known of it when it has none.

use std::path::Path;

use adamv_store::{
    Baseline, CellId, CellState, ClassificationPrediction, DetectionMatches, Gates, History, Probes, Progress, Record,
    RunDir, cell_dir_name, read_classification, read_matches,
};

use crate::command::{reproduce, run_command};
use crate::error::{ReportError, Result};

/// What one or more run directories hold.
#[derive(Debug, Clone)]
pub struct Results {
    pub runs: Vec<Run>,
}

/// One run directory.
#[derive(Debug, Clone)]
pub struct Run {
    /// Name of its suite; of its first record's when it has no plan.
    pub suite: String,
    /// Name of the folder, with a number where another run has it too: it tells runs apart.
    pub name: String,
    /// How large a difference matters in its suite.
    pub gates: Gates,
    /// In the order of the plan.
    pub cells: Vec<RunCell>,
}

/// One cell of a run.
#[derive(Debug, Clone)]
pub struct RunCell {
    pub id: CellId,
    /// Name of its folder.
    pub name: String,
    /// `cell-1`, `cell-2`, ...: its id in the page, whatever its name.
    pub anchor: String,
    pub state: CellState,
    /// Present when the cell is done, failed or skipped.
    pub record: Option<Record>,
    /// How far an unfinished cell got.
    pub progress: Option<Progress>,
    /// Empty when the cell wrote none.
    pub history: History,
    /// The class of each image; empty when the cell has none.
    pub classification: Vec<ClassificationPrediction>,
    /// What COCO's matching made of its detections; None when it has none.
    pub matches: Option<DetectionMatches>,
    /// Empty when the cell has none.
    pub probes: Probes,
    /// Whether the run's present plan names it.
    pub planned: bool,
    /// The command that makes this cell again.
    pub command: String,
}

impl Results {
    /// All cells of all runs.
    pub fn cells(&self) -> impl Iterator<Item = &RunCell> {
        self.runs.iter().flat_map(|run| &run.cells)
    }
}

/// Reads run directories or stored baselines, in the order given.
///
/// # Errors
/// [`ReportError::NoRun`] for an empty list; a folder that is no run directory or holds a broken file, by name.
pub fn load(run_dirs: &[&Path]) -> Result<Results> {
    if run_dirs.is_empty() {
        return Err(ReportError::NoRun);
    }
    let mut runs = run_dirs.iter().map(|path| load_run(path)).collect::<Result<Vec<Run>>>()?;
    tell_apart(&mut runs);
    for (i, cell) in runs.iter_mut().flat_map(|run| &mut run.cells).enumerate() {
        cell.anchor = format!("cell-{}", i + 1);
    }
    Ok(Results { runs })
}

/// Runs of the same name become `NAME`, `NAME 2`, ...
fn tell_apart(runs: &mut [Run]) {
    for i in 1..runs.len() {
        let taken = |name: &str| runs[..i].iter().any(|run| run.name == name);
        if taken(&runs[i].name) {
            let free = (2..).map(|n| format!("{} {n}", runs[i].name)).find(|name| !taken(name));
            runs[i].name = free.unwrap_or_default();
        }
    }
}

fn load_run(path: &Path) -> Result<Run> {
    if Baseline::is_at(path) {
        return load_baseline(path);
    }
    let run = RunDir::open(path)?;
    let plan = run.plan()?;
    let base = plan.as_ref().map(|plan| run_command(&plan.command));
    let mut cells = Vec::new();
    for cell in run.cells()? {
        let history_path = cell.dir.history();
        let history = if history_path.is_file() { History::read(&history_path)? } else { History::default() };
        let classes = cell.dir.classification_predictions();
        let classification = if classes.is_file() { read_classification(&classes)? } else { Vec::new() };
        let (matches, probes) = (read_matches(&cell.dir)?, Probes::read(&cell.dir.probes())?);
        let command = reproduce(base.as_deref(), &cell.id);
        let name = cell.dir.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        cells.push(RunCell {
            id: cell.id,
            name,
            anchor: String::new(),
            state: cell.state,
            record: cell.record,
            progress: cell.progress,
            history,
            classification,
            matches,
            probes,
            planned: cell.planned,
            command,
        });
    }
    let gates = plan.as_ref().map(|plan| plan.gates).unwrap_or_default();
    let suite =
        plan.map(|plan| plan.suite).or_else(|| cells.first().map(|cell| cell.id.suite.clone())).unwrap_or_default();
    // `.` and `..` have no name of their own; the suite's will do.
    let name = path.file_name().map_or_else(|| suite.clone(), |name| name.to_string_lossy().into_owned());
    Ok(Run { suite, name, gates, cells })
}

fn load_baseline(path: &Path) -> Result<Run> {
    let Baseline { manifest, cells } = Baseline::read(path)?;
    let name = path.file_name().map_or_else(|| manifest.suite.clone(), |name| name.to_string_lossy().into_owned());
    let cells = cells
        .into_iter()
        .map(|cell| RunCell {
            id: cell.record.cell.clone(),
            name: cell_dir_name(&cell.record.cell),
            anchor: String::new(),
            state: cell.record.status.into(),
            command: reproduce(Some(&manifest.command), &cell.record.cell),
            record: Some(cell.record),
            progress: None,
            history: cell.history,
            classification: cell.classification,
            matches: cell.matches,
            probes: cell.probes,
            planned: true,
        })
        .collect();
    Ok(Run { suite: manifest.suite, name, gates: manifest.gates, cells })
}
