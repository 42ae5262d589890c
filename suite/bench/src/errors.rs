//! Which exit code the errors of the other crates have. Their messages already say what is wrong, where, and the mend.

use std::io::ErrorKind;

use adamv_datasets::Error as DataError;
use adamv_engine::EngineError;
use adamv_engine::aes::AesError;
use adamv_metrics::EvalError;
use adamv_models::ModelError;
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
            StoreError::NotARun { .. } | StoreError::NotABaseline { .. } | StoreError::DuplicateCell { .. } => USAGE,
            StoreError::Io { source, .. } => io_code(source.kind()),
            _ => OTHER,
        };
        Failure::new(code, error.to_string())
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let code = match error {
            EngineError::Store(error) => return error.into(),
            EngineError::Data(error) => return error.into(),
            EngineError::Evaluation(error) => return error.into(),
            EngineError::Config { .. }
            | EngineError::Aes(AesError::Config { .. })
            | EngineError::Model(ModelError::Config { .. } | ModelError::Unknown { .. }) => USAGE,
            _ => OTHER,
        };
        Failure::new(code, error.to_string())
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        let code = match &error {
            DataError::Config { .. } => USAGE,
            // Data that is named and not here: set-up.
            DataError::Missing(_) => ENVIRONMENT,
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
            EvalError::Read { source, .. } if source.kind() == ErrorKind::NotFound => ENVIRONMENT,
            _ => OTHER,
        };
        Failure::new(code, error.to_string())
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Store(error) => error.into(),
            error @ ReportError::Protocol { .. } => Failure::usage(error.to_string()),
            error => Failure::new(OTHER, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn code(error: impl Into<Failure>) -> u8 {
        error.into().code
    }

    #[test]
    fn every_kind_has_its_code() {
        let path = std::path::Path::new("x");
        let store = |kind: ErrorKind| StoreError::io("write", path, kind.into());
        let data = |kind: ErrorKind| DataError::Io { path: path.into(), action: "read", source: io::Error::from(kind) };
        let config = || (String::new(), String::new(), String::new());
        for (kind, stored, read) in [
            (ErrorKind::StorageFull, ENVIRONMENT, ENVIRONMENT),
            (ErrorKind::QuotaExceeded, ENVIRONMENT, ENVIRONMENT),
            (ErrorKind::NotFound, OTHER, ENVIRONMENT),
            (ErrorKind::PermissionDenied, OTHER, OTHER),
        ] {
            assert_eq!(code(store(kind)), stored, "{kind}");
            assert_eq!(code(EngineError::Store(store(kind))), stored, "{kind}");
            assert_eq!(code(data(kind)), read, "{kind}");
            assert_eq!(code(EngineError::Data(data(kind))), read, "{kind}");
        }
        let (key, value, range) = config();
        assert_eq!(code(EngineError::Config { key, value, range }), USAGE);
        let (key, value, range) = config();
        assert_eq!(code(EngineError::Model(ModelError::Config { key, value, range })), USAGE);
        let (name, known, _) = config();
        assert_eq!(code(EngineError::Model(ModelError::Unknown { what: "system", name, known })), USAGE);
        let (key, value, mend) = config();
        assert_eq!(code(EngineError::Data(DataError::Config { key, value, mend })), USAGE);
        assert_eq!(code(EngineError::Evaluation(EvalError::NoDetections { path: path.into() })), NOTHING);
        assert_eq!(code(EngineError::Panic(String::new())), OTHER);
    }
}
