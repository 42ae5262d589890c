//! What is compared: the cells of a run directory or of a stored baseline, with what is stored per image. Judges nothing.

use std::path::Path;

use adamv_store::{
    Baseline, CellId, CellState, ClassificationPrediction, DetectionMatches, Gates, History, Record, RunDir,
    cell_dir_name, read_classification, read_matches,
};

use crate::error::Result;

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
            let cells = cells
                .into_iter()
                .map(|cell| SourceCell {
                    id: cell.record.cell.clone(),
                    state: cell.record.status.into(),
                    record: Some(cell.record),
                    classification: cell.classification,
                    matches: cell.matches,
                    history: cell.history,
                })
                .collect();
            return Ok(Self { name, gates: manifest.gates, cells });
        }
        let run = RunDir::open(path)?;
        let gates = run.plan()?.map(|plan| plan.gates).unwrap_or_default();
        let mut cells = Vec::new();
        for cell in run.cells()? {
            let mut read = SourceCell {
                id: cell.id,
                state: cell.state,
                record: cell.record,
                classification: Vec::new(),
                matches: None,
                history: History::default(),
            };
            if cell.state == CellState::Done {
                let (classes, history) = (cell.dir.classification_predictions(), cell.dir.history());
                if classes.is_file() {
                    read.classification = read_classification(&classes)?;
                }
                if history.is_file() {
                    read.history = History::read(&history)?;
                }
                read.matches = read_matches(&cell.dir)?;
            }
            cells.push(read);
        }
        Ok(Self { name, gates, cells })
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
