//! Which exit code the errors of the other crates have. Their messages already say what is wrong, where, and the mend.

use std::io::ErrorKind;

use adamv_datasets::Error as DataError;
use adamv_engine::EngineError;
use adamv_metrics::EvalError;
use adamv_reports::ReportError;
use adamv_store::Error as StoreError;

use crate::exit::{ENVIRONMENT, Failure, NOTHING, OTHER, USAGE};

/// The code of an input or output error: a full or read-only disk is the environment's.
fn io_code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem => ENVIRONMENT,
        _ => OTHER,
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Full { .. } | StoreError::Locked { .. } | StoreError::NewerSchema { .. } => ENVIRONMENT,
            StoreError::NotARun { .. } | StoreError::DuplicateCell { .. } => USAGE,
            // Only a folder that was named on the command line is expected to be there.
            StoreError::Io { source, .. } if source.kind() == ErrorKind::NotFound => USAGE,
            StoreError::Io { source, .. } => io_code(source.kind()),
            _ => OTHER,
        };
        Failure::new(code, error.to_string())
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Store(error) => error.into(),
            EngineError::Data(error) => error.into(),
            EngineError::Evaluation(error) => error.into(),
            error => Failure::new(error.exit_code(), error.to_string()),
        }
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        let code = match &error {
            DataError::Config { .. } => USAGE,
            // Data that a configuration names and that is not here: set-up.
            DataError::Io { source, .. } if source.kind() == ErrorKind::NotFound => ENVIRONMENT,
            DataError::Io { source, .. } => io_code(source.kind()),
            _ => OTHER,
        };
        Failure::new(code, error.to_string())
    }
}

impl From<EvalError> for Failure {
    fn from(error: EvalError) -> Self {
        let code = match &error {
            EvalError::NoDetections { .. } => NOTHING,
            EvalError::Read { source, .. } if source.kind() == ErrorKind::NotFound => USAGE,
            _ => OTHER,
        };
        Failure::new(code, error.to_string())
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Store(error) => error.into(),
            error => Failure::new(OTHER, error.to_string()),
        }
    }
}
