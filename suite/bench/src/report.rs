//! `report`: arguments to the report crate and back.

use std::path::{Path, PathBuf};

use adamv_reports::claims::{Claims, Published};
use adamv_reports::compare::{CompareOptions, Source, compare_sources};
use adamv_reports::{ReportOptions, load, render, write};
use serde::de::DeserializeOwned;

use crate::cli::{CLAIMS, PUBLISHED, ReportArgs};
use crate::exit::Failure;
use crate::{baseline, given, json, task_version, yaml};

/// Writes the pages of some runs and prints the path of the first one to open.
pub fn report(args: &ReportArgs) -> Result<(), Failure> {
    let runs = runs(&args.runs)?;
    if let ([_, _, ..], Some(name)) = (&runs[..], &args.baseline) {
        return Err(Failure::usage(format!(
            "--baseline {name}: {} runs were given, and one is held against a baseline; give one, or leave --baseline out",
            runs.len()
        )));
    }
    let mut options = ReportOptions::default();
    options.published = file::<Published>(
        "--published",
        args.published.as_deref(),
        PUBLISHED,
        "so no margin of the paper stands beside ours",
        &mut options.notes,
    )?
    .into_iter()
    .collect();
    options.claims = file::<Claims>(
        "--claims",
        args.claims.as_deref(),
        CLAIMS,
        "so the paper's claims are not judged",
        &mut options.notes,
    )?;
    let results = load(&runs.iter().map(PathBuf::as_path).collect::<Vec<_>>())?;
    for run in &results.runs {
        let records = run.cells.iter().filter_map(|cell| cell.record.as_ref());
        options.notes.extend(task_version::outdated(&run.name, &run.suite, records));
    }
    if let Some(name) = &args.baseline {
        let baseline = Source::open(&baseline::locate(name)?)?;
        let compare = CompareOptions { across: args.across, ..CompareOptions::default() };
        options.comparison = Some(compare_sources(&Source::open(&runs[0])?, &baseline, &compare)?);
    }
    let page = write(&render(&results, &options)?, &args.out)?;
    json::line(&page.display().to_string())
}

/// The folders of the runs, each once: a run that is counted twice would count its seeds twice.
fn runs(given: &[String]) -> Result<Vec<PathBuf>, Failure> {
    let mut runs: Vec<PathBuf> = Vec::new();
    for name in given {
        let path = baseline::locate(name)?;
        let same = |other: &PathBuf| other.canonicalize().ok() == path.canonicalize().ok();
        if runs.iter().any(same) {
            return Err(Failure::usage(format!("{name}: this run was given twice; name each once")));
        }
        runs.push(path);
    }
    Ok(runs)
}

/// A file that was named, or the one below the current directory; where that isn't there, a note says what is `lost`.
fn file<T: DeserializeOwned>(
    name: &str,
    named: Option<&Path>,
    usual: &str,
    lost: &str,
    notes: &mut Vec<String>,
) -> Result<Option<T>, Failure> {
    let path = match named {
        Some(path) => {
            given::file(name, path, "name another file, or leave it out")?;
            path
        }
        None if Path::new(usual).is_file() => Path::new(usual),
        None => {
            notes.push(format!("There is no {usual} below the folder that the report was made in, {lost}."));
            return Ok(None);
        }
    };
    yaml::parse(path, &yaml::read(path)?).map(Some)
}
