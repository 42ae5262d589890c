//! What can go wrong in a report. Every message says what is wrong, where, and how to mend it.

pub type Result<T> = std::result::Result<T, ReportError>;

#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A run directory cannot be read, or the report cannot be written.
    #[error(transparent)]
    Store(#[from] adamv_store::Error),

    #[error("no run directory was given: name at least one folder that `adamv-bench run --out` wrote")]
    NoRun,

    #[error(
        "{cell} and {baseline} of the baseline were not measured under the same protocol; they differ in {fields}: make both the same and run again, or give --across to compare them all the same"
    )]
    Protocol { cell: String, baseline: String, fields: String },

    #[error("the comparison cannot be made: {detail}")]
    Comparison { detail: String },

    #[error("the figure {name} cannot be drawn: {detail}; this is a defect of adamv-reports, please report it")]
    Figure { name: String, detail: String },

    #[error("the template {name} cannot be filled: {detail}; this is a defect of adamv-reports, please report it")]
    Template { name: String, detail: String },
}
