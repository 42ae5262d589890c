//! Tables as parquet files. The only room that knows how polars reads and writes them; it may not know what a column means.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use polars::prelude::*;

use crate::atomic::write_bytes_atomic;
use crate::error::{Error, Result};

const MEND: &str = "delete it and run the suite again: the cell is then made anew";

/// Writes the columns as one parquet file, atomically. The same columns give the same bytes.
pub(crate) fn write(path: &Path, columns: Vec<Column>) -> Result<()> {
    let mut bytes = Vec::new();
    DataFrame::new_infer_height(columns)
        .and_then(|mut frame| ParquetWriter::new(&mut bytes).finish(&mut frame))
        .map_err(|e| Error::Table { path: path.to_owned(), detail: e.to_string() })?;
    write_bytes_atomic(path, &bytes)
}

/// Reads a parquet file whole and hands it to `rows`, whose errors (a column that is missing or of another type) name the file.
pub(crate) fn read<T>(path: &Path, rows: impl FnOnce(&DataFrame) -> PolarsResult<T>) -> Result<T> {
    read_or(path, MEND, rows)
}

/// [`read`], with another mend for a broken file.
pub(crate) fn read_or<T>(
    path: &Path,
    mend: &'static str,
    rows: impl FnOnce(&DataFrame) -> PolarsResult<T>,
) -> Result<T> {
    let file = File::open(path).map_err(|e| Error::io("read", path, e))?;
    ParquetReader::new(file).finish().and_then(|frame| rows(&frame)).map_err(|e| Error::Broken {
        path: path.to_owned(),
        detail: e.to_string(),
        mend,
    })
}

/// Writes columns of several parts one below the other, each row with the number of its part in front (`of`).
pub(crate) fn write_parts(path: &Path, parts: impl Iterator<Item = Vec<Column>>) -> Result<()> {
    let mut whole: Vec<Column> = Vec::new();
    for (number, part) in parts.enumerate() {
        let height = part.first().map_or(0, Column::len);
        let mut columns = vec![Column::new("of".into(), vec![number as u32; height])];
        columns.extend(part);
        if whole.is_empty() {
            whole = columns;
            continue;
        }
        for (all, more) in whole.iter_mut().zip(&columns) {
            all.append(more).map_err(|e| Error::Table { path: path.to_owned(), detail: e.to_string() })?;
        }
    }
    write(path, whole)
}

/// The parts of a table that [`write_parts`] wrote, by number.
pub(crate) fn sets_of<T>(
    frame: &DataFrame,
    rows: impl Fn(&DataFrame) -> PolarsResult<T>,
) -> PolarsResult<BTreeMap<u32, T>> {
    let mut sets = BTreeMap::new();
    if frame.width() == 0 {
        return Ok(sets);
    }
    let numbers: Vec<u32> = full(frame, "of")?.u32()?.iter().flatten().collect();
    let mut begin = 0;
    while begin < numbers.len() {
        let length = numbers[begin..].iter().take_while(|number| **number == numbers[begin]).count();
        let part = rows(&frame.slice(begin as i64, length))?;
        polars_ensure!(
            sets.insert(numbers[begin], part).is_none(),
            ComputeError: "the rows of {} are not together", numbers[begin]
        );
        begin += length;
    }
    Ok(sets)
}

/// A column of texts without nulls.
pub(crate) fn texts(frame: &DataFrame, name: &str) -> PolarsResult<Vec<String>> {
    let column = full(frame, name)?.str()?;
    Ok(column.iter().flatten().map(str::to_owned).collect())
}

/// A column of whole numbers without nulls.
pub(crate) fn u64s(frame: &DataFrame, name: &str) -> PolarsResult<Vec<u64>> {
    Ok(full(frame, name)?.u64()?.iter().flatten().collect())
}

/// A column without nulls.
pub(crate) fn full<'a>(frame: &'a DataFrame, name: &str) -> PolarsResult<&'a Column> {
    let column = frame.column(name)?;
    polars_ensure!(column.null_count() == 0, ComputeError: "column `{name}` has nulls");
    Ok(column)
}
