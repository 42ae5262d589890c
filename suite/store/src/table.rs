//! Tables as parquet files. The only room that knows how polars reads and writes them; it may not know what a column means.

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
