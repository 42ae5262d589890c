//! A report as files, each written atomically. Knows no content.

use std::path::{Path, PathBuf};

use adamv_store::write_bytes_atomic;

use crate::document::Report;
use crate::error::Result;

/// Writes `report.html`, `report.md`, `tables/*.csv` and `figures/*.svg` into `out_dir` (made if missing); returns the path of
/// `report.html`, which comes last: when it is there, all of it is.
///
/// # Errors
/// The errors of writing, with the path.
pub fn write(report: &Report, out_dir: &Path) -> Result<PathBuf> {
    for (name, text) in &report.tables {
        write_bytes_atomic(&out_dir.join("tables").join(format!("{name}.csv")), text.as_bytes())?;
    }
    for (name, svg) in &report.figures {
        write_bytes_atomic(&out_dir.join("figures").join(format!("{name}.svg")), svg.as_bytes())?;
    }
    write_bytes_atomic(&out_dir.join("report.md"), report.markdown.as_bytes())?;
    let html = out_dir.join("report.html");
    write_bytes_atomic(&html, report.html.as_bytes())?;
    Ok(html)
}
