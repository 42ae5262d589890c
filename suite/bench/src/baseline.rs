//! `baseline`: a run becomes a stored baseline; what is stored is listed and shown. Where baselines lie is known here alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use adamv_reports::{bytes, run_command};
use adamv_store::{BASELINE_VERSION, Baseline, BaselineCell, CellState, Manifest, RunDir, cell_dir_name};
use serde::Serialize;

use crate::cli::{BaselineListArgs, BaselineShowArgs, BaselineStoreArgs};
use crate::exit::{Failure, NOTHING};
use crate::explain::unknown;
use crate::text_table::TextTable;
use crate::{given, json, task_version};

/// Below the current directory, which is the root of the repository as a rule.
const STORED: &str = "baselines/stored";

/// The folder of a baseline that was given by name or as a folder.
///
/// # Errors
/// Neither is there; the names that are.
pub fn locate(given: &str) -> Result<PathBuf, Failure> {
    let named = Path::new(STORED).join(given);
    if is_name(given) && Baseline::is_at(&named) {
        return Ok(named);
    }
    let path = Path::new(given);
    if path.is_dir() {
        return Ok(path.to_owned());
    }
    let stored = names()?;
    let known: Vec<&str> = stored.iter().map(String::as_str).collect();
    let what = match known.is_empty() {
        true => format!(
            "no baseline `{given}`: there is no folder of that name, and none is stored in {STORED} below the current directory; `adamv-bench baseline store` stores one"
        ),
        false => format!("{}, and no folder of that name", unknown("baseline", given, &known)),
    };
    Err(Failure::usage(what))
}

/// Stores the finished cells of a run.
pub fn store(args: &BaselineStoreArgs) -> Result<(), Failure> {
    given::folder("DIR", &args.dir, "give the folder that `adamv-bench run --out` wrote")?;
    if !is_name(&args.name) {
        let what = format!("--as {}: a name has letters, digits, `-`, `_` and `.`, for it is a folder's", args.name);
        return Err(Failure::usage(what));
    }
    let path = Path::new(STORED).join(&args.name);
    if path.exists() && !args.replace {
        let what = format!("--as {}: {} is there already; give --replace, or another name", args.name, path.display());
        return Err(Failure::usage(what));
    }
    let baseline = of_run(&args.dir)?;
    let dirty: Vec<&String> =
        baseline.manifest.commits.iter().filter(|c| c.ends_with("-dirty") || *c == "unknown").collect();
    if !dirty.is_empty() {
        eprintln!("warning: cells were made from source that no commit has ({dirty:?}): nobody can make them again");
    }
    let cells = baseline.manifest.cells;
    baseline.write(&path)?;
    json::line(&format!("{}: {cells} cells, {}", path.display(), size(&path)?))
}

/// A run's cells, all of which must be done.
fn of_run(dir: &Path) -> Result<Baseline, Failure> {
    let run = RunDir::open(dir)?;
    let plan = run.plan()?;
    let cells = run.cells()?;
    if let Some(open) = cells.iter().find(|cell| cell.state != CellState::Done) {
        let what = format!(
            "{}: {} is {}; a baseline is whole: run the suite again until `adamv-bench status` shows every cell done",
            dir.display(),
            cell_dir_name(&open.id),
            open.state.name()
        );
        return Err(Failure::new(NOTHING, what));
    }
    let mut stored = Vec::new();
    for cell in cells {
        let Some(record) = cell.record else { continue };
        let read = BaselineCell::of_run(&cell.dir, record)?;
        let metrics = &read.record.metrics;
        for (measured, there, file) in [
            (metrics.classification.is_some(), !read.classification.is_empty(), "classification.parquet"),
            (metrics.detection.is_some(), read.matches.is_some(), "matches.parquet"),
        ] {
            if measured && !there {
                let what = format!(
                    "{}: it has no predictions/{file}, or nothing in it (older versions had none); delete its record.json and run the suite again, which only evaluates",
                    cell.dir.path().display()
                );
                return Err(Failure::new(NOTHING, what));
            }
        }
        stored.push(read);
    }
    let Some(first) = stored.first() else {
        return Err(Failure::new(NOTHING, format!("{}: it has no cell to store", dir.display())));
    };
    let commits: BTreeSet<String> = stored.iter().map(|cell| cell.record.environment.commit.clone()).collect();
    let manifest = Manifest {
        baseline_version: BASELINE_VERSION,
        suite: plan.as_ref().map_or_else(|| first.record.cell.suite.clone(), |plan| plan.suite.clone()),
        command: plan.as_ref().map(|plan| run_command(&plan.command)).unwrap_or_default(),
        commits: commits.into_iter().collect(),
        gates: plan.map(|plan| plan.gates).unwrap_or_default(),
        cells: stored.len(),
    };
    Ok(Baseline { manifest, cells: stored })
}

#[derive(Serialize)]
struct Listed {
    name: String,
    bytes: u64,
    #[serde(flatten)]
    manifest: Manifest,
}

/// Lists what is stored.
pub fn list(args: &BaselineListArgs) -> Result<(), Failure> {
    let mut listed = Vec::new();
    for name in names()? {
        let path = Path::new(STORED).join(&name);
        listed.push(Listed { bytes: folder_bytes(&path)?, manifest: Baseline::read_manifest(&path)?, name });
    }
    if args.json {
        return json::print(&listed);
    }
    if listed.is_empty() {
        return json::line(&format!("none is stored in {STORED} below the current directory"));
    }
    let mut table = TextTable::new(&["name", "suite", "commit", "cells", "size"], 3);
    for Listed { name, bytes, manifest } in listed {
        table.row([name, manifest.suite, manifest.commits.join(", "), manifest.cells.to_string(), kib(bytes)]);
    }
    json::line(table.to_string().trim_end())
}

/// Shows one: where it came from, and the numbers of each cell.
pub fn show(args: &BaselineShowArgs) -> Result<(), Failure> {
    let Baseline { manifest, cells } = Baseline::read(&locate(&args.name)?)?;
    if args.json {
        #[derive(Serialize)]
        struct Shown<'a> {
            #[serde(flatten)]
            manifest: &'a Manifest,
            records: Vec<&'a adamv_store::Record>,
        }
        return json::print(&Shown { manifest: &manifest, records: cells.iter().map(|cell| &cell.record).collect() });
    }
    let mut table =
        TextTable::new(&["cell", "commit", "top-1", "AP", "AP50", "AP75", "APmask", "images", "detections"], 2);
    for cell in &cells {
        let metrics = &cell.record.metrics;
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
        let bbox = metrics.detection.as_ref().map(|detection| &detection.bbox);
        table.row([
            cell_dir_name(&cell.record.cell),
            cell.record.environment.commit.clone(),
            number(metrics.classification.as_ref().map(|c| c.top1)),
            number(bbox.map(|b| b.AP)),
            number(bbox.map(|b| b.AP50)),
            number(bbox.map(|b| b.AP75)),
            number(metrics.detection.as_ref().map(|d| d.segm.AP)),
            cell.classification.len().to_string(),
            cell.matches.as_ref().map_or(0, |matches| matches.detections.len()).to_string(),
        ]);
    }
    let versions: BTreeSet<u64> = cells.iter().filter_map(|cell| cell.record.task_version()).collect();
    let versions: Vec<String> = versions.iter().map(u64::to_string).collect();
    let outdated = task_version::outdated(&args.name, &manifest.suite, cells.iter().map(|cell| &cell.record));
    let outdated = outdated.map_or_else(String::new, |note| format!("note: {note}\n"));
    let gates: Vec<String> = manifest.gates.named().iter().map(|(name, points)| format!("{name} {points}")).collect();
    json::line(&format!(
        "suite {}, task version {}, made by: adamv-bench {}\n{outdated}gates, points: {}\n{}",
        manifest.suite,
        versions.join(", "),
        manifest.command.join(" "),
        gates.join(", "),
        table.to_string().trim_end()
    ))
}

/// Names of the stored baselines, sorted.
fn names() -> Result<Vec<String>, Failure> {
    let stored = Path::new(STORED);
    if !stored.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(stored).map_err(|e| adamv_store::Error::io("read the folder", stored, e))? {
        let entry = entry.map_err(|e| adamv_store::Error::io("read the folder", stored, e))?;
        if Baseline::is_at(&entry.path()) {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort();
    Ok(names)
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(['.', '-'])
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn folder_bytes(path: &Path) -> Result<u64, Failure> {
    let failed = |e| adamv_store::Error::io("read the folder", path, e);
    let mut bytes = 0;
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let about = entry.metadata().map_err(failed)?;
        bytes += if about.is_dir() { folder_bytes(&entry.path())? } else { about.len() };
    }
    Ok(bytes)
}

fn size(path: &Path) -> Result<String, Failure> {
    Ok(kib(folder_bytes(path)?))
}

fn kib(size: u64) -> String {
    if size < 1 << 20 { format!("{} KiB", size.div_ceil(1024)) } else { bytes(size) }
}
