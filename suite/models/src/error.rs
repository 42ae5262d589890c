//! What can go wrong in this crate, in words that say how to mend it.

use std::path::PathBuf;

/// Errors of building, loading and running a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("{key}: {value} is not possible; give {range}")]
    Config { key: String, value: String, range: String },
    #[error("unknown {what} `{name}`; known are: {known}")]
    Unknown { what: &'static str, name: String, known: String },
    #[error("{}: {reason}; {mend}", path.display())]
    Weights { path: PathBuf, reason: String, mend: &'static str },
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    #[error(transparent)]
    Native(#[from] adamv_native::NativeError),
}
