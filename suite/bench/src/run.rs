//! `run`: a suite's cells, one after the other, each into its record. Knows nothing of training.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use adamv_engine::Context;
use adamv_store::{
    Metrics, Record, RunDir, SCHEMA_VERSION, Status, Timing, now_rfc3339, remove_progress, write_record,
};
use tch::Device;

use crate::cli::RunArgs;
use crate::exit::{Failure, NOTHING, OTHER};
use crate::matrix::{self, Only};
use crate::overrides::Override;
use crate::plan::{self, Job};
use crate::progress::Reporter;
use crate::suite_file::Suite;
use crate::text_table::TextTable;
use crate::{dry_run, json, preflight, torch};

/// Runs a suite; see the help of `run`.
pub fn run(args: &RunArgs) -> Result<(), Failure> {
    // ---- What to do. Every mistake of the user's is found here, before anything is written.
    let sets = Override::parse_all(&args.set)?;
    let only = Only::parse(&args.only)?;
    let suite = Suite::read(&args.suite)?;
    let cells = matrix::cells(&suite, &sets, &only)?;
    torch::start()?;
    let device = torch::device(&args.device.device)?;
    torch::threads(args.jobs)?;
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(&suite.file.name));
    let command: Vec<String> = std::env::args().skip(1).collect();
    let (_, jobs) = plan::plan(&suite.file.name, suite.file.gates, &out, command.clone(), cells.clone())?;
    if args.dry_run {
        return dry_run::print(&out, &jobs, device);
    }
    preflight::data(jobs.iter().filter(|job| !job.done()).map(|job| &job.config))?;
    preflight::unchanged(&jobs)?;

    // ---- The run directory is ours. Its state is read again, for another process may have changed it before the lock.
    let dir = RunDir::create(&out)?;
    let _lock = dir.lock()?;
    let (mut plan, mut jobs) = plan::plan(&suite.file.name, suite.file.gates, &out, command, cells)?;
    dir.write_plan(&plan)?;

    eprintln!("{}: {}", suite.file.name, suite.file.description.trim());

    // ---- The cells. Each record is written at once, so that a kill loses one cell at the most.
    let setting = Setting { out: &out, device };
    let mut failures = Vec::new();
    let count = jobs.len();
    for (index, job) in jobs.iter_mut().enumerate() {
        let label = format!("[{}/{count}] {}", index + 1, job.name());
        if job.done() {
            eprintln!("{label} is done already");
            continue;
        }
        let planned = &mut plan.cells[index];
        let (began, started_at) = (Instant::now(), now_rfc3339());
        let result = cell(&setting, &label, job);
        let record = match &result {
            Ok(record) => record.clone(),
            Err(failure) => failed(&setting, job, failure, &planned.cell_key, started_at),
        };
        // The plan first: it must never lack the key of a record that is there.
        planned.cell_key.clone_from(&record.cell_key);
        let written = dir.write_plan(&plan).and_then(|()| write_record(job.dir.path(), &record));
        let written = written.and_then(|()| remove_progress(job.dir.path()));
        // A disk too full for the record of a failure must not hide the failure itself.
        match result.map(|_| ()).and(written.map_err(Failure::from)) {
            Ok(()) => {
                eprintln!("{label} done in {:.0} s", began.elapsed().as_secs_f64());
                job.record = Some(record);
            }
            Err(failure) => {
                eprintln!("{label} failed: {failure}");
                failures.push(failure);
            }
        }
    }

    // ---- What came out.
    summary(&jobs)?;
    let measured = jobs.iter().filter(|job| job.done()).count();
    let shown = Shown(&out);
    if measured > 0 {
        json::line(&format!("next: adamv-bench report {shown} --out {shown}/report"))?;
    }
    let Some(first) = failures.first() else {
        return Ok(());
    };
    // Nothing measured has a code of its own, but for the more telling ones: a wrong configuration, a full disk.
    let code = if measured == 0 && first.code == OTHER { NOTHING } else { first.code };
    Err(Failure::new(code, format!("{} of {count} cells failed, the first with: {first}", failures.len())))
}

/// What the cells of a run share.
struct Setting<'a> {
    out: &'a Path,
    device: Device,
}

/// Runs one cell to its end.
fn cell(setting: &Setting, label: &str, job: &Job) -> Result<Record, Failure> {
    plan::write_config(job)?;
    remove(&job.dir.record())?;
    let data_dir = scenes_dir(setting.out, job);
    let context = Context {
        cell_dir: job.dir.path(),
        data_dir: &data_dir,
        device: setting.device,
        version: env!("CARGO_PKG_VERSION"),
        commit: env!("ADAMV_COMMIT"),
    };
    let mut reporter = Reporter::new(label.into(), job.dir.path().into());
    let result = adamv_engine::run_cell(&job.config, &context, &mut reporter);
    reporter.finish();
    Ok(result?)
}

/// Where the cell's scenes are made: cells with the same scenes share them.
fn scenes_dir(out: &Path, job: &Job) -> PathBuf {
    let data = out.join("data");
    match &job.config.data.scenes {
        Some(scenes) => data.join(format!("{}-{}x{}-s{}", scenes.sprites, scenes.images, scenes.size, scenes.seed)),
        None => data,
    }
}

/// The record of a cell that broke off.
fn failed(setting: &Setting, job: &Job, failure: &Failure, key: &str, started_at: String) -> Record {
    Record {
        schema_version: SCHEMA_VERSION,
        status: Status::Failed,
        error: Some(failure.message.clone()),
        cell: job.id.clone(),
        cell_key: key.into(),
        protocol_key: String::new(),
        config: job.resolved.clone(),
        protocol: serde_json::Value::Null,
        data: Vec::new(),
        metrics: Metrics::default(),
        cost: Vec::new(),
        timing: Timing::default(),
        peak_memory_bytes: 0,
        device_peak_memory_bytes: None,
        // A set-up too broken to be described has its reason in the error.
        environment: adamv_engine::describe_environment(
            &job.config.training,
            setting.device,
            env!("CARGO_PKG_VERSION"),
            env!("ADAMV_COMMIT"),
        )
        .unwrap_or_default(),
        started_at,
        finished_at: now_rfc3339(),
    }
}

fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(adamv_store::Error::io("remove", path, e).into()),
        _ => Ok(()),
    }
}

/// A table of what was measured, on stdout.
fn summary(jobs: &[Job]) -> Result<(), Failure> {
    let mut table = TextTable::new(&["cell", "state", "top-1", "AP", "AP50", "APmask", "train img/s"], 2);
    for job in jobs {
        let number = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.3}"));
        let record = job.record.as_ref().filter(|_| job.done());
        let classification = record.and_then(|record| record.metrics.classification.as_ref());
        let detection = record.and_then(|record| record.metrics.detection.as_ref());
        table.row([
            job.name(),
            if record.is_some() { "done" } else { "failed" }.into(),
            number(classification.map(|m| m.top1)),
            number(detection.map(|m| m.bbox.AP)),
            number(detection.map(|m| m.bbox.AP50)),
            number(detection.map(|m| m.segm.AP)),
            record.map_or("-".into(), |record| format!("{:.1}", record.timing.train_images_per_second)),
        ]);
    }
    json::line(table.to_string().trim_end())
}

/// A path as a shell takes it.
struct Shown<'a>(&'a PathBuf);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.0.display().to_string();
        if text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+".contains(c)) {
            return f.write_str(&text);
        }
        write!(f, "'{}'", text.replace('\'', r"'\''"))
    }
}
