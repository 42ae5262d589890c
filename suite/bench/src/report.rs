//! `report`: arguments to the report crate and back.

use adamv_reports::{ReportOptions, load, render, write};

use crate::cli::ReportArgs;
use crate::exit::Failure;
use crate::{given, json};

/// Writes the pages of a run and prints the path of the first one to open.
pub fn report(args: &ReportArgs) -> Result<(), Failure> {
    given::folder("DIR", &args.dir, "give the folder that `adamv-bench run --out` wrote")?;
    let results = load(&[&args.dir])?;
    let page = write(&render(&results, &ReportOptions::default())?, &args.out)?;
    json::line(&page.display().to_string())
}
