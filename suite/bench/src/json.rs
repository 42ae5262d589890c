//! `--json`: exactly one document on stdout.

use std::io::{Write, stdout};

use serde::Serialize;

use crate::exit::{Failure, OTHER};

/// Prints the value as one JSON document.
pub fn print(value: &impl Serialize) -> Result<(), Failure> {
    line(&text(value)?)
}

/// The value as one JSON document.
pub fn text(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(|e| Failure::new(OTHER, format!("the result is not JSON: {e}")))
}

/// Prints text and a line's end; a reader that has gone away, such as `head`, is an error with a message and no panic.
pub fn line(text: &str) -> Result<(), Failure> {
    writeln!(stdout(), "{text}").map_err(|e| Failure::new(OTHER, format!("stdout can't be written: {e}")))
}
