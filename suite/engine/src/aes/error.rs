//! What can be wrong with adaptive expert selection: its configuration, or the loss it is given.

use adamv_datasets::Task;

/// Errors of adaptive expert selection.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AesError {
    #[error("{key}: {value} is not possible; give {range}")]
    Config { key: &'static str, value: String, range: String },
    #[error(
        "the validation loss of {task} at step {step} is {loss}: k can't be chosen by it; \
         lower the learning rate, or switch it off with training.aes.mode: off"
    )]
    NotFinite { task: Task, step: u64, loss: f64 },
}

/// Says which key has a value out of its range.
pub(super) fn check(ok: bool, key: &'static str, value: impl ToString, range: impl ToString) -> Result<(), AesError> {
    if ok {
        return Ok(());
    }
    Err(AesError::Config { key, value: value.to_string(), range: range.to_string() })
}
