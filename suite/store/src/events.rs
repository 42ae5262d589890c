//! A cell's history as TensorBoard reads it: an event file beside `history.parquet`, appended to while the cell runs. Only writes;
//! nothing of ours reads it.
//!
//! A file is a row of records: length (u64), its masked CRC32C, data, their masked CRC32C, all little-endian (TFRecord). Data is a
//! protobuf `Event` (tensorboard/compat/proto): 1 wall_time double, 2 step int64, 3 file_version string, 5 summary, 7 session_log. A
//! `Summary` has 1 value, each with 1 tag string and 2 simple_value float; a `SessionLog` has 1 status, 1 of which is START.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::history::HistoryRow;

const PREFIX: &str = "events.out.tfevents.";
const SUFFIX: &str = ".adamv-bench";
const FILE_VERSION: &str = "brain.Event:2";

/// Appends to the event file of a process that runs a cell.
#[derive(Debug)]
pub struct EventWriter {
    file: File,
    path: PathBuf,
}

impl EventWriter {
    /// Begins a file in the folder of a cell (made if missing) that has `steps` steps behind it; `now` in seconds since 1970. A new cell
    /// removes the files of an earlier one; a resumed cell makes TensorBoard forget what was written of later steps. The file's name has
    /// the second, or one more than the last file's: TensorBoard reads in the order of names, and clocks differ or are put back.
    ///
    /// # Errors
    /// The errors of the file system.
    pub fn open(cell: &Path, steps: u64, now: f64) -> Result<Self> {
        fs::create_dir_all(cell).map_err(|e| Error::io("make the folder", cell, e))?;
        let older = older(cell)?;
        if steps == 0 {
            for &seconds in &older {
                let path = cell.join(name(seconds));
                fs::remove_file(&path).map_err(|e| Error::io("remove", &path, e))?;
            }
        }
        let next = older.last().map_or(0, |last| last.saturating_add(1));
        let path = cell.join(name(next.max(now as u64)));
        let file = File::create_new(&path).map_err(|e| Error::io("make", &path, e))?;
        let mut writer = Self { file, path };
        writer.event(now, 0, |event| bytes(event, 3, FILE_VERSION.as_bytes()))?;
        // START: this step and all later ones are dropped. A new cell has one too, because TensorBoard without its fast reader takes the
        // first that it meets for no restart.
        writer.event(now, steps + 1, |event| bytes(event, 7, &[1 << 3, 1]))?;
        Ok(writer)
    }

    /// Rows of the history, measured at `now`; those of a phase count its own steps, `before` it were so many. Tags are `task/metric`,
    /// or the metric alone.
    ///
    /// # Errors
    /// The errors of writing.
    pub fn rows(&mut self, rows: &[HistoryRow], before: u64, now: f64) -> Result<()> {
        for rows in rows.chunk_by(|a, b| a.step == b.step) {
            let tag = |row: &HistoryRow| match row.task.as_str() {
                "" => row.metric.clone(),
                task => format!("{task}/{}", row.metric),
            };
            let values: Vec<(String, f64)> = rows.iter().map(|row| (tag(row), row.value)).collect();
            self.scalars(before + rows[0].step, &values, now)?;
        }
        Ok(())
    }

    /// Numbers by tag, after so many steps; f32 is all that TensorBoard keeps.
    ///
    /// # Errors
    /// The errors of writing.
    pub fn scalars(&mut self, step: u64, values: &[(String, f64)], now: f64) -> Result<()> {
        let mut summary = Vec::new();
        for (tag, value) in values {
            let mut field = Vec::new();
            bytes(&mut field, 1, tag.as_bytes());
            field.push(2 << 3 | 5);
            field.extend((*value as f32).to_le_bytes());
            bytes(&mut summary, 1, &field);
        }
        self.event(now, step, |event| bytes(event, 5, &summary))
    }

    /// Writes an event whole, so that a kill leaves at most its beginning, which TensorBoard passes over.
    fn event(&mut self, now: f64, step: u64, what: impl Fn(&mut Vec<u8>)) -> Result<()> {
        let mut event = vec![1 << 3 | 1];
        event.extend(now.to_le_bytes());
        // Protobuf leaves a zero out.
        if step > 0 {
            event.push(2 << 3);
            varint(&mut event, step);
        }
        what(&mut event);
        self.file.write_all(&record(&event)).map_err(|e| Error::io("write", &self.path, e))
    }
}

/// Ten digits, so that names and numbers have the same order.
fn name(seconds: u64) -> String {
    format!("{PREFIX}{seconds:010}{SUFFIX}")
}

/// The seconds in the names of our event files in the folder of a cell, rising.
fn older(cell: &Path) -> Result<Vec<u64>> {
    let failed = |e| Error::io("read the folder", cell, e);
    let mut all = Vec::new();
    for entry in fs::read_dir(cell).map_err(failed)? {
        let file = entry.map_err(failed)?.file_name();
        let digits = file.to_str().and_then(|file| file.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
        all.extend(digits.and_then(|digits| digits.parse().ok()).filter(|&seconds| file == *name(seconds)));
    }
    all.sort_unstable();
    Ok(all)
}

/// A field of bytes, which may be a text or a message.
fn bytes(message: &mut Vec<u8>, field: u8, value: &[u8]) {
    message.push(field << 3 | 2);
    varint(message, value.len() as u64);
    message.extend(value);
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), data, &masked(data)].concat()
}

/// TFRecord's mask: the sum of a text that holds its own sum says little.
fn masked(data: &[u8]) -> [u8; 4] {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::History;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// `tests/golden/make_events.py` made it with TensorBoard's own classes.
    #[test]
    fn the_bytes_are_tensorboards() {
        let dir = tempfile::tempdir().unwrap();
        let mut history = History::default();
        history.push(5, "joint", "classification", "cross_entropy", 0.1);
        history.push(5, "joint", "", "learning_rate", 0.0);
        history.push(300, "joint", "detection", "loss", f64::NAN);
        let mut writer = EventWriter::open(dir.path(), 250, 1_700_000_000.5).unwrap();
        writer.rows(&history.rows, 250, 1_700_000_001.25).unwrap();
        writer.scalars(600, &[("validation/AP".into(), 1.0 / 3.0)], 1_700_000_002.0).unwrap();
        let written = fs::read(dir.path().join("events.out.tfevents.1700000000.adamv-bench")).unwrap();
        assert!(written == include_bytes!("../tests/golden/events.tfevents"), "{written:x?}");
    }

    #[test]
    fn a_new_cell_starts_afresh_and_a_resumed_one_comes_after_all_files() {
        let dir = tempfile::tempdir().unwrap();
        let foreign = format!("{PREFIX}5.elsewhere");
        fs::write(dir.path().join(&foreign), "").unwrap();
        // In the same second, in a later one, and with a clock that was put back.
        for (steps, now) in [(0, 10.0), (7, 10.0), (9, 20.0), (12, 15.0)] {
            EventWriter::open(dir.path(), steps, now).unwrap();
        }
        let ours = |seconds: &[u64]| {
            let all = seconds.iter().map(|s| format!("{PREFIX}{s:010}{SUFFIX}"));
            all.chain([foreign.clone()]).collect::<Vec<_>>()
        };
        assert_eq!(names(dir.path()), ours(&[10, 11, 20, 21]));
        EventWriter::open(dir.path(), 0, 10.0).unwrap();
        assert_eq!(names(dir.path()), ours(&[22]));
    }
}
