//! How a command ends: the exit codes, and one message with each. Nothing else in this crate picks a number.

use std::fmt;

/// Anything that has no code of its own.
pub const OTHER: u8 = 1;
/// Wrong arguments, a wrong suite, a wrong configuration.
pub const USAGE: u8 = 2;
/// Something is worse than in the baseline.
pub const REGRESSION: u8 = 3;
/// Nothing was measured, or nothing compared.
pub const NOTHING: u8 = 4;
/// The machine or the set-up: a device, a library, a full disk, a run directory in use.
pub const ENVIRONMENT: u8 = 5;

/// An exit code with the message that says what is wrong, where, and how to mend it.
#[derive(Debug)]
pub struct Failure {
    pub code: u8,
    pub message: String,
}

impl Failure {
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, message)
    }

    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(ENVIRONMENT, message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
