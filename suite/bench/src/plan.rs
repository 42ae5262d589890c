//! What a run would do: its cells, where each lies, and what is already there. Reads the run directory, writes nothing.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use adamv_engine::CellConfig;
use adamv_store::{
    CellDir, CellId, Difference, Gates, Record, RunDir, RunPlan, Status, cell_key, differences, read_record,
    write_bytes_atomic,
};
use serde_json::Value;

use crate::exit::{Failure, OTHER};

/// A cell that was chosen to run.
pub struct Job {
    pub id: CellId,
    pub config: CellConfig,
    /// `config` as records hold it.
    pub resolved: Value,
    pub dir: CellDir,
    /// The record that is there already, of this very configuration.
    pub record: Option<Record>,
}

impl Job {
    /// Name of the cell's folder.
    pub fn name(&self) -> String {
        self.dir.path().file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Finished in an earlier run.
    pub fn done(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.status == Status::Done)
    }
}

/// The run directory's plan with the chosen cells in it, and the cells.
///
/// # Errors
/// The directory holds another suite, or a cell of the same name with another configuration.
pub fn plan(
    suite: &str,
    gates: Gates,
    out: &Path,
    command: Vec<String>,
    cells: Vec<CellConfig>,
) -> Result<(RunPlan, Vec<Job>), Failure> {
    let earlier = match RunDir::open(out) {
        Ok(dir) => dir.plan()?,
        Err(adamv_store::Error::NotARun { .. }) => None,
        Err(_) if !out.exists() => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(plan) = earlier.as_ref().filter(|plan| plan.suite != suite) {
        return Err(Failure::usage(format!(
            "{}: holds a run of the suite `{}`, not of `{suite}`; give another --out",
            out.display(),
            plan.suite
        )));
    }
    let mut ids: Vec<(CellId, String)> = Vec::new();
    let mut resolved = Vec::new();
    for cell in &cells {
        let value = as_recorded(cell)?;
        // A cell's key covers its data, which is not read yet: until its record is there, the plan has the configuration's.
        ids.push((id(cell), cell_key(&value)));
        resolved.push(value);
    }
    // Cells of an earlier run with another --only stay in the plan: their results still count.
    let chosen = ids.len();
    for cell in earlier.into_iter().flat_map(|plan| plan.cells) {
        if ids.iter().all(|(id, _)| *id != cell.id) {
            ids.push((cell.id, cell.cell_key));
        }
    }
    let mut plan = RunPlan { gates, ..RunPlan::new(suite, command, ids)? };
    let mut jobs = Vec::new();
    for ((config, resolved), planned) in cells.into_iter().zip(resolved).zip(&mut plan.cells[..chosen]) {
        let dir = CellDir::new(out.join(&planned.dir));
        let record = read_record(dir.path())?;
        let there = match &record {
            Some(record) => Some(record.config.clone()),
            None => begun_config(&dir)?,
        };
        if let Some(there) = there {
            same_config(&dir, &there, &resolved)?;
        }
        if let Some(record) = &record {
            planned.cell_key.clone_from(&record.cell_key);
        }
        jobs.push(Job { id: planned.id.clone(), config, resolved, dir, record });
    }
    Ok((plan, jobs))
}

/// The coordinates of a cell.
fn id(cell: &CellConfig) -> CellId {
    CellId {
        suite: cell.suite.clone(),
        system: cell.system.clone(),
        backbone: cell.backbone.clone(),
        variant: cell.variant.clone(),
        seed: cell.seed,
    }
}

/// A configuration as it looks once it has been written to a record and read back.
fn as_recorded(cell: &CellConfig) -> Result<Value, Failure> {
    serde_json::to_value(cell)
        .and_then(|value| serde_json::from_str(&value.to_string()))
        .map_err(|e| Failure::new(OTHER, format!("a configuration can't be written as JSON: {e}")))
}

/// Where a cell that has begun keeps its configuration: its checkpoints fit no other one.
fn config_path(dir: &CellDir) -> PathBuf {
    dir.path().join("config.json")
}

/// Writes the configuration of a cell that begins.
pub fn write_config(job: &Job) -> Result<(), Failure> {
    let text = format!("{:#}\n", job.resolved);
    Ok(write_bytes_atomic(&config_path(&job.dir), text.as_bytes())?)
}

/// The configuration of a cell that has begun.
fn begun_config(dir: &CellDir) -> Result<Option<Value>, Failure> {
    let path = config_path(dir);
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            let folder = dir.path().display();
            Failure::new(OTHER, format!("{}: is broken: {e}; delete {folder} and run again", path.display()))
        }),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(adamv_store::Error::io("read", &path, e).into()),
    }
}

/// Refuses a cell folder that holds another configuration under the same name. How a cell is looked at changes no result.
fn same_config(dir: &CellDir, there: &Value, wanted: &Value) -> Result<(), Failure> {
    let looks = |difference: &Difference| difference.path.split('.').next() == Some("probes");
    let mut differing = differences(there, wanted);
    differing.retain(|difference| !looks(difference));
    if differing.is_empty() {
        return Ok(());
    }
    let differing: Vec<String> = differing
        .iter()
        .map(|Difference { path, first, second }| format!("{path} ({first} there, {second} now)"))
        .collect();
    Err(Failure::usage(format!(
        "{}: was made with another configuration; it differs in {}. Give another --out, or delete that folder",
        dir.path().display(),
        differing.join(", ")
    )))
}
