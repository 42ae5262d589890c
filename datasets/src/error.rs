//! What can go wrong with data. Every message says where, what, and how to mend it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// One thing wrong in a data set: a file, what is wrong with it, how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// The file or folder.
    pub file: String,
    /// What is wrong, with the id or key it is about.
    pub what: String,
    /// What to do about it.
    pub mend: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}. {}", self.file, self.what, self.mend)
    }
}

/// Any error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused to read or write.
    #[error("{}: cannot {action}: {source}. {}", .path.display(), mend_io(.source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// A verb phrase: "read the image".
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A configuration value out of range, or keys that exclude each other.
    #[error("{key} is {value}: {mend}")]
    Config {
        /// Path of the key, such as `data.detection.max_instances`.
        key: String,
        /// The value found.
        value: String,
        /// The range allowed.
        mend: String,
    },
    /// A file or folder that cannot be used as it is.
    #[error("{0}")]
    Data(Problem),
    /// A folder that a configuration or a command names and that is not there.
    #[error("{0}")]
    Missing(Problem),
    /// JSON that does not parse, or not to the expected shape.
    #[error("{}: line {line}, column {column}: {what}. {mend}", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What the parser said.
        what: String,
        /// How to mend it.
        mend: &'static str,
    },
    /// The thread that prepares batches ended without finishing.
    #[error(
        "the loader's thread stopped before its last batch: {0}. This is a defect of the loader; please report it with the message above"
    )]
    Worker(String),
}

impl Error {
    pub(crate) fn io(path: &Path, action: &'static str, source: std::io::Error) -> Self {
        Error::Io { path: path.to_path_buf(), action, source }
    }

    pub(crate) fn data(path: &Path, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Error::Data(problem(path, what, mend))
    }

    pub(crate) fn missing(path: &Path, mend: impl Into<String>) -> Self {
        Error::Missing(problem(path, "there is no such folder", mend))
    }

    pub(crate) fn config(key: impl Into<String>, value: impl std::fmt::Debug, mend: impl Into<String>) -> Self {
        Error::Config { key: key.into(), value: format!("{value:?}"), mend: mend.into() }
    }

    pub(crate) fn json(path: &Path, source: &serde_json::Error, mend: &'static str) -> Self {
        // serde_json appends the position to its message; here it stands in front.
        let full = source.to_string();
        let what = full.split(" at line ").next().unwrap_or(&full).to_string();
        Error::Json { path: path.to_path_buf(), line: source.line(), column: source.column(), what, mend }
    }

    /// The same error as a row of `check`'s list.
    pub(crate) fn into_problem(self) -> Problem {
        match self {
            Error::Data(problem) | Error::Missing(problem) => problem,
            Error::Io { path, action, source } => {
                problem(&path, format!("cannot {action}: {source}"), mend_io(&source))
            }
            Error::Json { path, line, column, what, mend } => {
                problem(&path, format!("line {line}, column {column}: {what}"), mend)
            }
            other @ (Error::Config { .. } | Error::Worker(_)) => {
                problem(Path::new("-"), other.to_string(), "see the message")
            }
        }
    }
}

pub(crate) fn problem(path: &Path, what: impl Into<String>, mend: impl Into<String>) -> Problem {
    Problem { file: path.display().to_string(), what: what.into(), mend: mend.into() }
}

/// Something found while reading a data set. A fatal finding stops a run and is a problem in `check`; the others are its
/// remarks.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub fatal: bool,
    pub problem: Problem,
}

impl Finding {
    pub fn fatal(path: &Path, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Finding { fatal: true, problem: problem(path, what, mend) }
    }

    /// An error that does not end the reading of the rest.
    pub fn from_error(error: Error) -> Self {
        Finding { fatal: true, problem: error.into_problem() }
    }

    pub fn remark(path: &Path, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Finding { fatal: false, problem: problem(path, what, mend) }
    }
}

/// The first fatal finding as an error; it says how many more there are.
pub(crate) fn stop_at_fatal(findings: &[Finding]) -> Result<(), Error> {
    let mut fatal = findings.iter().filter(|f| f.fatal);
    let Some(first) = fatal.next() else {
        return Ok(());
    };
    let mut problem = first.problem.clone();
    let more = fatal.count();
    if more > 0 {
        problem.mend.push_str(&format!(" ({more} more like this: `adamv-bench data check` lists them)"));
    }
    Err(Error::Data(problem))
}

fn mend_io(source: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match source.kind() {
        ErrorKind::NotFound => "Check the path in the config",
        ErrorKind::PermissionDenied => "Give this user access to it",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "Free space on this disk or choose another output folder, then run again"
        }
        _ => "Check the disk and the path, then run again",
    }
}
