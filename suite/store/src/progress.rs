//! `progress.json`: how far a cell is. Written while it runs, for `status`; nothing depends on it for correctness.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::atomic::write_bytes_atomic;
use crate::cell_dir::CellDir;
use crate::error::{Error, Result};

const MEND: &str = "delete it: it only says how far the cell is";

/// How far a cell is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps of the phase that are done.
    pub step: u64,
    /// Steps that the phase has.
    pub steps: u64,
    /// What it does, e.g. `train` or `evaluate`.
    pub phase: String,
}

/// Writes the progress of the cell folder `dir`, atomically. A write costs an fsync: once a second or so is enough.
///
/// # Errors
/// The errors of writing.
pub fn write_progress(dir: &Path, progress: &Progress) -> Result<()> {
    let path = CellDir::new(dir).progress();
    let bytes = serde_json::to_vec(progress).map_err(|e| Error::Broken {
        path: path.clone(),
        detail: e.to_string(),
        mend: MEND,
    })?;
    write_bytes_atomic(&path, &bytes)
}

/// Reads the progress of the cell folder `dir`; `None` when the cell has not started.
///
/// # Errors
/// [`Error::Broken`] names the file.
pub fn read_progress(dir: &Path) -> Result<Option<Progress>> {
    let path = CellDir::new(dir).progress();
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| Error::Broken {
            path,
            detail: e.to_string(),
            mend: MEND,
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read", &path, e)),
    }
}

/// Removes the progress of the cell folder `dir`, once its record is written.
///
/// # Errors
/// The errors of the file system; a missing file is none.
pub fn remove_progress(dir: &Path) -> Result<()> {
    let path = CellDir::new(dir).progress();
    match fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", &path, e)),
        _ => Ok(()),
    }
}
