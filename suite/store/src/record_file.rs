//! `record.json`: the record of a cell as a file, and its JSON Schema. The only room that reads or writes records.

use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::atomic::write_bytes_atomic;
use crate::cell_dir::CellDir;
use crate::error::{Error, Result};
use crate::record::{Record, SCHEMA_VERSION};

const MEND: &str = "delete it and run the suite again: the cell is then made anew, the others are kept";

/// Writes `record.json` into the cell folder `dir` (made if missing), by atomic rename.
///
/// # Errors
/// [`Error::NotFinite`] names the field that is NaN or infinite (JSON has neither); the errors of writing.
pub fn write_record(dir: &Path, record: &Record) -> Result<()> {
    let path = CellDir::new(dir).record();
    let broken = |e: serde_json::Error| Error::Broken { path: path.clone(), detail: e.to_string(), mend: MEND };
    let value = serde_json::to_value(record).map_err(broken)?;
    if let Some(field) = not_finite(&value) {
        return Err(Error::NotFinite { path, field });
    }
    let mut bytes = serde_json::to_vec_pretty(record).map_err(broken)?;
    bytes.push(b'\n');
    write_bytes_atomic(&path, &bytes)
}

/// Reads the record of the cell folder `dir`; `None` when there is none: the cell has not ended.
///
/// # Errors
/// [`Error::Broken`] with line and column; [`Error::NewerSchema`] when a newer adamv-bench wrote it.
pub fn read_record(dir: &Path) -> Result<Option<Record>> {
    let path = CellDir::new(dir).record();
    match fs::read(&path) {
        Ok(bytes) => parse_record(&bytes, &path, MEND).map(Some),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read", &path, e)),
    }
}

/// A record from its JSON, which came from `path`; `mend` says what to do when it is broken.
///
/// # Errors
/// As [`read_record`].
pub(crate) fn parse_record(json: &[u8], path: &Path, mend: &'static str) -> Result<Record> {
    #[derive(Deserialize)]
    struct Version {
        schema_version: u32,
    }
    let broken = |e: serde_json::Error| Error::Broken { path: path.to_owned(), detail: e.to_string(), mend };
    let Version { schema_version: found } = serde_json::from_slice(json).map_err(broken)?;
    if found > SCHEMA_VERSION {
        return Err(Error::NewerSchema { path: path.to_owned(), found, ours: SCHEMA_VERSION });
    }
    serde_json::from_slice(json).map_err(broken)
}

/// The JSON Schema (draft 2020-12) of `record.json`.
pub fn schema() -> Value {
    schemars::schema_for!(Record).to_value()
}

/// The first field that is null although its type has no null: serde_json writes NaN and infinities as null.
fn not_finite(record: &Value) -> Option<String> {
    fn walk(value: &Value, path: &str) -> Option<String> {
        match value {
            Value::Null => Some(path.to_owned()),
            Value::Object(map) => map.iter().find_map(|(name, value)| walk(value, &format!("{path}.{name}"))),
            Value::Array(items) => items.iter().enumerate().find_map(|(i, item)| walk(item, &format!("{path}[{i}]"))),
            _ => None,
        }
    }
    ["metrics.classification", "metrics.detection", "timing"].into_iter().find_map(|path| {
        let part = path.split('.').try_fold(record, |value, name| value.get(name))?;
        if part.is_null() { None } else { walk(part, path) }
    })
}
