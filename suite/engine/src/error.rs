//! What can go wrong with a cell, in words that say how to mend it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// Errors of training, evaluating and loading a cell.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("{key}: {value} is not possible; give {range}")]
    Config { key: String, value: String, range: String },
    #[error(transparent)]
    Data(#[from] adamv_datasets::Error),
    #[error(transparent)]
    Aes(#[from] crate::aes::AesError),
    #[error(transparent)]
    Model(#[from] adamv_models::ModelError),
    #[error(transparent)]
    Native(#[from] adamv_native::NativeError),
    #[error(transparent)]
    Store(#[from] adamv_store::Error),
    #[error(transparent)]
    Evaluation(#[from] adamv_metrics::EvalError),
    #[error(transparent)]
    Accuracy(#[from] adamv_metrics::AccuracyError),
    #[error(transparent)]
    Mask(#[from] adamv_metrics::MaskError),
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    #[error(
        "training stopped at step {step} of phase `{phase}`: loss term {task}.{term} is {value}; its batch held {samples}; \
         look at these samples, or lower training.{phase}.learning_rate"
    )]
    NotFinite { phase: String, step: u64, task: String, term: String, value: f64, samples: String },
    #[error("{}: {reason}; {mend}", path.display())]
    Checkpoint { path: PathBuf, reason: String, mend: &'static str },
    #[error("{}: {reason}; {mend}", path.display())]
    File { path: PathBuf, reason: String, mend: &'static str },
    #[error("{0}; this is a defect of adamv-bench, please report it")]
    Internal(String),
    #[error("libtorch gave up: {0}; when it ran out of memory, make the batch or the model smaller")]
    Panic(String),
}

/// Runs `f`; what libtorch panics about comes back as an error.
pub fn guarded<T>(f: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(EngineError::Panic(text.unwrap_or("no message").into()))
    })
}
