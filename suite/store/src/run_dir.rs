//! A run directory: its plan (`run.json`) and the state of each cell. Reads cells through `record_file` and `progress`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::atomic::write_bytes_atomic;
use crate::cell_dir::{CellDir, cell_dir_name, hashed_dir_name};
use crate::error::{Error, Result};
use crate::gates::Gates;
use crate::lock::{RunLock, is_locked, lock};
use crate::progress::{Progress, read_progress};
use crate::record::{CellId, Record, SCHEMA_VERSION, Status};
use crate::record_file::read_record;

const MEND: &str = "delete it and run the suite again: finished cells are kept";

/// What a run is going to do: written before its first cell starts, so that a cell that is still to come is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunPlan {
    /// Version of this file, as of the records.
    pub schema_version: u32,
    /// Name of the suite.
    pub suite: String,
    /// The arguments that the run was started with, without the program: `["run", "suite/suites/smoke.yaml", "--set", ...]`.
    pub command: Vec<String>,
    /// How large a difference matters in this suite; the default's where the suite or an older run says nothing.
    #[serde(default)]
    pub gates: Gates,
    /// All cells, in the order in which they run.
    pub cells: Vec<PlannedCell>,
}

/// One cell of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedCell {
    pub id: CellId,
    /// Name of its folder in the run directory: one plain path component.
    pub dir: String,
    pub cell_key: String,
}

impl RunPlan {
    /// Plans `cells` (id and cell key) with the default gates, each with a folder of its own: where two readable names are equal, also on a file
    /// system that ignores case, both get a hash.
    ///
    /// # Errors
    /// [`Error::DuplicateCell`] when two ids are equal.
    pub fn new(suite: &str, command: Vec<String>, cells: Vec<(CellId, String)>) -> Result<Self> {
        let mut ids = BTreeSet::new();
        let mut uses = BTreeMap::<String, usize>::new();
        for (id, _) in &cells {
            if !ids.insert(id) {
                return Err(Error::DuplicateCell { cell: cell_dir_name(id) });
            }
            *uses.entry(cell_dir_name(id).to_lowercase()).or_default() += 1;
        }
        let dir = |id: &CellId| {
            let name = cell_dir_name(id);
            if uses[&name.to_lowercase()] > 1 { hashed_dir_name(id) } else { name }
        };
        let cells =
            cells.iter().map(|(id, key)| PlannedCell { id: id.clone(), dir: dir(id), cell_key: key.clone() }).collect();
        Ok(Self { schema_version: SCHEMA_VERSION, suite: suite.to_owned(), command, gates: Gates::default(), cells })
    }
}

/// What a cell of a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CellState {
    Done,
    Failed,
    Skipped,
    /// It has progress and a process holds the run directory.
    Running,
    /// Not started, or stopped before its end; it runs, or goes on, with the next `run`.
    Waiting,
}

impl CellState {
    /// Its name in `status` and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Running => "running",
            Self::Waiting => "waiting",
        }
    }
}

/// A cell of a run directory and what is known of it.
#[derive(Debug, Clone)]
pub struct Cell {
    pub id: CellId,
    pub dir: CellDir,
    pub state: CellState,
    /// Its record, when `state` is done, failed or skipped. A record with another cell key than the plan's is of another
    /// config: it is not shown, and the cell waits.
    pub record: Option<Record>,
    /// How far it got, when it has no record.
    pub progress: Option<Progress>,
    /// Whether the plan names it. A cell with a record that the plan does not name is of an earlier run.
    pub planned: bool,
}

/// A run directory.
#[derive(Debug, Clone)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// The run directory at `path`, made if missing.
    ///
    /// # Errors
    /// The errors of the file system.
    pub fn create(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).map_err(|e| Error::io("make the folder", path, e))?;
        Ok(Self { path: path.to_owned() })
    }

    /// The run directory at `path`, which a run wrote.
    ///
    /// # Errors
    /// [`Error::NotARun`] when there is neither a plan nor a record.
    pub fn open(path: &Path) -> Result<Self> {
        let run = Self { path: path.to_owned() };
        if run.plan_path().is_file() || !run.folders_with_record()?.is_empty() {
            Ok(run)
        } else {
            Err(Error::NotARun { path: path.to_owned() })
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the directory for this process: see [`lock`].
    ///
    /// # Errors
    /// As [`lock`].
    pub fn lock(&self) -> Result<RunLock> {
        lock(&self.path)
    }

    /// The folder of a planned cell.
    pub fn cell_dir(&self, cell: &PlannedCell) -> CellDir {
        CellDir::new(self.path.join(&cell.dir))
    }

    /// Writes `run.json`, atomically.
    ///
    /// # Errors
    /// The errors of writing.
    pub fn write_plan(&self, plan: &RunPlan) -> Result<()> {
        let path = self.plan_path();
        let mut bytes = serde_json::to_vec_pretty(plan).map_err(|e| Error::Broken {
            path: path.clone(),
            detail: e.to_string(),
            mend: MEND,
        })?;
        bytes.push(b'\n');
        write_bytes_atomic(&path, &bytes)
    }

    /// Reads `run.json`; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::Broken`], [`Error::NewerSchema`].
    pub fn plan(&self) -> Result<Option<RunPlan>> {
        let path = self.plan_path();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("read", &path, e)),
        };
        let broken = |detail: String| Error::Broken { path: path.clone(), detail, mend: MEND };
        let plan: RunPlan = serde_json::from_slice(&bytes).map_err(|e| broken(e.to_string()))?;
        if plan.schema_version > SCHEMA_VERSION {
            return Err(Error::NewerSchema { path, found: plan.schema_version, ours: SCHEMA_VERSION });
        }
        match plan.cells.iter().find(|cell| !is_plain(&cell.dir)) {
            Some(cell) => Err(broken(format!("the cell folder {:?} is not a plain name", cell.dir))),
            None => Ok(Some(plan)),
        }
    }

    /// All cells: those of the plan in its order, then those with a record that the plan does not name, by folder name.
    ///
    /// # Errors
    /// A broken plan, record or progress file, by name.
    pub fn cells(&self) -> Result<Vec<Cell>> {
        let held = is_locked(&self.path);
        let plan = self.plan()?;
        let planned = plan.map_or_else(Vec::new, |plan| plan.cells);
        let mut cells = Vec::new();
        for planned in &planned {
            let dir = self.cell_dir(planned);
            let record = read_record(dir.path())?.filter(|record| record.cell_key == planned.cell_key);
            let progress = if record.is_some() { None } else { read_progress(dir.path())? };
            let state = match (&record, &progress) {
                (Some(record), _) => record.status.into(),
                (None, Some(_)) if held => CellState::Running,
                (None, _) => CellState::Waiting,
            };
            cells.push(Cell { id: planned.id.clone(), dir, state, record, progress, planned: true });
        }
        let named: BTreeSet<&str> = planned.iter().map(|cell| cell.dir.as_str()).collect();
        for name in self.folders_with_record()?.iter().filter(|name| !named.contains(name.as_str())) {
            let dir = CellDir::new(self.path.join(name));
            if let Some(record) = read_record(dir.path())? {
                let (id, state) = (record.cell.clone(), record.status.into());
                cells.push(Cell { id, dir, state, record: Some(record), progress: None, planned: false });
            }
        }
        Ok(cells)
    }

    fn plan_path(&self) -> PathBuf {
        self.path.join("run.json")
    }

    /// Names of the folders that hold a record, sorted.
    fn folders_with_record(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.path).map_err(|e| Error::io("read the folder", &self.path, e))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| Error::io("read the folder", &self.path, e))?;
            if CellDir::new(entry.path()).record().is_file() {
                names.extend(entry.file_name().into_string());
            }
        }
        names.sort();
        Ok(names)
    }
}

impl From<Status> for CellState {
    fn from(status: Status) -> Self {
        match status {
            Status::Done => Self::Done,
            Status::Failed => Self::Failed,
            Status::Skipped => Self::Skipped,
        }
    }
}

/// One normal path component: a plan may not lead out of its run directory.
fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name)
}
