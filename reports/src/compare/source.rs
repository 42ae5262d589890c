//! What is compared: the cells of a run directory or of a stored baseline, with what is stored per image. Judges nothing.

use std::path::Path;

use adamv_store::{
    Baseline, BaselineCell, Cell, CellId, CellState, ClassificationPrediction, DetectionMatches, Gates, History,
    Probes, Record, RunDir, cell_dir_name,
};

use crate::error::Result;
use crate::load::Run;

/// Results that can be compared.
#[derive(Debug, Clone)]
pub struct Source {
    /// Name of the folder.
    pub name: String,
    /// How large a difference matters in its suite.
    pub gates: Gates,
    pub cells: Vec<SourceCell>,
}

/// One cell with what is stored of each image.
#[derive(Debug, Clone)]
pub struct SourceCell {
    pub id: CellId,
    pub state: CellState,
    /// Present when the cell is done, failed or skipped.
    pub record: Option<Record>,
    /// Empty where there is none.
    pub classification: Vec<ClassificationPrediction>,
    pub matches: Option<DetectionMatches>,
    /// Empty where there is none.
    pub history: History,
    pub probes: Probes,
}

impl Source {
    /// Reads a run directory or a stored baseline.
    ///
    /// # Errors
    /// A folder that is neither, or holds a broken file, by name.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
        if Baseline::is_at(path) {
            let Baseline { manifest, cells } = Baseline::read(path)?;
            let cells = cells.into_iter().map(SourceCell::from).collect();
            return Ok(Self { name, gates: manifest.gates, cells });
        }
        let run = RunDir::open(path)?;
        let gates = run.plan()?.map(|plan| plan.gates).unwrap_or_default();
        let mut cells = Vec::new();
        for Cell { id, dir, state, record, .. } in run.cells()? {
            cells.push(match record {
                Some(record) if state == CellState::Done => BaselineCell::of_run(&dir, record)?.into(),
                record => {
                    let (classification, history, probes) = (Vec::new(), History::default(), Probes::default());
                    SourceCell { id, state, record, classification, matches: None, history, probes }
                }
            });
        }
        Ok(Self { name, gates, cells })
    }
}

impl From<&Run> for Source {
    /// The run's cells in their order; of those that aren't done what there is to name them.
    fn from(run: &Run) -> Self {
        let cells = run.cells.iter().map(|cell| {
            let (id, state, record) = (cell.id.clone(), cell.state, cell.record.clone());
            if state != CellState::Done {
                let (classification, history, probes) = (Vec::new(), History::default(), Probes::default());
                return SourceCell { id, state, record, classification, matches: None, history, probes };
            }
            SourceCell {
                id,
                state,
                record,
                classification: cell.classification.clone(),
                matches: cell.matches.clone(),
                history: cell.history.clone(),
                // Nothing that is compared looks at them, and they hold pictures.
                probes: Probes::default(),
            }
        });
        Self { name: run.name.clone(), gates: run.gates, cells: cells.collect() }
    }
}

impl From<BaselineCell> for SourceCell {
    fn from(cell: BaselineCell) -> Self {
        let BaselineCell { record, classification, matches, history, probes } = cell;
        let (id, state) = (record.cell.clone(), record.status.into());
        Self { id, state, record: Some(record), classification, matches, history, probes }
    }
}

impl SourceCell {
    /// Its name in tables and messages: that of its folder in a run.
    pub fn name(&self) -> String {
        cell_dir_name(&self.id)
    }

    /// The record, when the cell is done.
    pub(crate) fn done(&self) -> Option<&Record> {
        self.record.as_ref().filter(|_| self.state == CellState::Done)
    }
}
