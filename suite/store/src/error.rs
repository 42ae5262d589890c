//! What can go wrong in the store. Every message says what is wrong, where, and how to mend it.

use std::io;
use std::path::{Path, PathBuf};

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "no space left while writing {}: free some space on that file system (or choose another folder with --out), then run the same command again; finished cells are kept",
        path.display()
    )]
    Full { path: PathBuf },

    #[error("cannot {action} {}: {source}; check that the path exists and that you may read and write it", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },

    #[error("{} is broken: {detail}; {mend}", path.display())]
    Broken { path: PathBuf, detail: String, mend: &'static str },

    #[error(
        "{} has schema version {found}, but this program knows versions up to {ours}: read it with a newer adamv-bench",
        path.display()
    )]
    NewerSchema { path: PathBuf, found: u32, ours: u32 },

    #[error(
        "the record for {} has a value that is not a finite number in `{field}`: a record holds finite numbers only; find out why the measurement failed, or record the cell as failed",
        path.display()
    )]
    NotFinite { path: PathBuf, field: String },

    #[error(
        "{} is in use by another adamv-bench (process {pid}): wait until it ends, or stop it with `kill {pid}`, or choose another folder with --out",
        path.display()
    )]
    Locked { path: PathBuf, pid: String },

    #[error("{} is not a run directory: it has neither run.json nor any cell with a record.json; give the folder that `adamv-bench run --out` wrote", path.display())]
    NotARun { path: PathBuf },

    #[error("{} is not a stored baseline: it has no baseline.json; give a folder that `adamv-bench baseline store` wrote", path.display())]
    NotABaseline { path: PathBuf },

    #[error("two cells of the plan are the same ({cell}): remove one of them from the suite")]
    DuplicateCell { cell: String },

    #[error("the table for {} cannot be made: {detail}; this is a defect of adamv-store, please report it", path.display())]
    Table { path: PathBuf, detail: String },
}

impl Error {
    /// An [`io::Error`] with its place; a full disk or an exhausted quota becomes [`Error::Full`].
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path: path.to_owned() },
            _ => Self::Io { action, path: path.to_owned(), source },
        }
    }
}
