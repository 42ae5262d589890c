//! `report`: arguments to the report crate and back.

use adamv_reports::compare::{CompareOptions, Source, compare_sources};
use adamv_reports::{ReportOptions, load, render, write};

use crate::cli::ReportArgs;
use crate::exit::Failure;
use crate::{baseline, given, json};

/// Writes the pages of a run and prints the path of the first one to open.
pub fn report(args: &ReportArgs) -> Result<(), Failure> {
    given::folder("DIR", &args.dir, "give a folder that `adamv-bench run --out` or `baseline store` wrote")?;
    let results = load(&[&args.dir])?;
    let comparison = match &args.baseline {
        None => None,
        Some(name) => {
            let baseline = Source::open(&baseline::locate(name)?)?;
            let options = CompareOptions { across: args.across, ..CompareOptions::default() };
            Some(compare_sources(&Source::open(&args.dir)?, &baseline, &options)?)
        }
    };
    let page = write(&render(&results, &ReportOptions { comparison, ..ReportOptions::default() })?, &args.out)?;
    json::line(&page.display().to_string())
}
