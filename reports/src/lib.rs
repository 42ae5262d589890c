//! Reports: what a run directory says, as HTML, Markdown, CSV and SVG.
//!
//! ```text
//! run directories --load--> Results --group--> one row per system, backbone, variant and protocol
//!                                   \--curves-> figures         |            \--scatter-> figure 1
//!                                       paired, margins, ablations (by compare), claims
//!                                                table, verdict, details, probes
//!                                                               |
//!                                     html, markdown, csv <-- Document --write--> report.html, report.md, tables/, figures/
//! ```
//!
//! Architecture invariant: reads the store and nothing else; no torch, no data, no clock. The same store gives the same bytes.
//! Every name that comes from a record is text: it is escaped where the format is made (`html`, `markdown`, `csv`, plotters).

mod ablations;
pub mod claims;
mod command;
pub mod compare;
mod csv;
mod curves;
mod details;
mod document;
mod error;
mod figure;
mod group;
mod load;
mod margins;
mod markup;
mod number;
mod paired;
mod probes;
mod scatter;
mod table;
mod verdict;
mod write;

pub use command::run_command;
pub use document::{Report, ReportOptions, render};
pub use error::{ReportError, Result};
pub use group::Metric;
pub use load::{Results, Run, RunCell, load};
pub use number::{bytes, duration};
pub use write::write;
