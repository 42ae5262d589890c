//! `run --dry-run`: the cells of a run, what each costs, the time and disk it will take, and what is missing. Writes nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use adamv_engine::{CellConfig, CellPlan, MeasuredSpeed, Speed};
use adamv_reports::{bytes, duration};
use adamv_store::Status;
use tch::Device;

use crate::exit::Failure;
use crate::plan::Job;
use crate::text_table::{TextTable, grouped};
use crate::{json, preflight};

/// No cell begins to be measured after this long.
const MEASURING: Duration = Duration::from_secs(20);

/// A cell with what it would do.
struct Planned<'a> {
    job: &'a Job,
    plan: CellPlan,
    /// None where measuring failed, and for what is done.
    speed: Option<(Speed, Basis)>,
}

/// What a time rests on.
#[derive(Clone, Copy)]
enum Basis {
    /// Steps of the cell itself.
    OwnSteps,
    /// Steps of the cell with fewer or smaller images.
    SmallerSteps,
    /// Steps of another cell.
    OtherCell,
}

impl Basis {
    fn text(self) -> &'static str {
        match self {
            Self::OwnSteps => "its steps",
            Self::SmallerSteps => "smaller steps",
            Self::OtherCell => "another cell",
        }
    }
}

/// Prints the table.
pub fn print(out: &Path, jobs: &[Job], device: Device) -> Result<(), Failure> {
    let mut planned = Vec::new();
    for job in jobs {
        planned.push(Planned { job, plan: adamv_engine::plan(&job.config)?, speed: None });
    }
    measure(&mut planned, device);
    let header = [
        "system",
        "backbone",
        "variant",
        "seed",
        "state",
        "phases and steps",
        "parameters",
        "activated M",
        "GFLOPs",
        "time",
        "by",
        "disk",
    ];
    let mut table = TextTable::new(&header, 6);
    for cell in &planned {
        table.row(row(cell));
    }
    let to_run: Vec<&Planned> = planned.iter().filter(|cell| !cell.job.done()).collect();
    json::line(&format!(
        "{table}activated M: millions of parameters that one image touches, and GFLOPs of its forward pass (2 x MACs), classification + \
         detection. time: training, selection of experts and evaluation, by multiply-adds from a few measured steps on this device; \
         loading of data isn't in it. disk: when done (while training)."
    ))?;
    json::line(&format!(
        "{} cells, {} to run, into {}{}",
        jobs.len(),
        to_run.len(),
        out.display(),
        total(&to_run, device)
    ))?;
    let missing = preflight::missing(to_run.iter().map(|cell| &cell.job.config));
    missing.iter().try_for_each(|line| json::line(&format!("missing: {line}")))
}

/// Gives each cell that is to run a speed: its own, measured cheapest first while there is time, or that of the most expensive
/// measured one, of its own system if possible.
fn measure(planned: &mut [Planned], device: Device) {
    let work = |cell: &Planned| cell.plan.costs.iter().filter_map(|cost| cost.macs).sum::<u64>();
    let mut order: Vec<usize> = (0..planned.len()).filter(|&i| !planned[i].job.done()).collect();
    order.sort_by_key(|&i| work(&planned[i]));
    let began = Instant::now();
    let mut measured: Vec<(usize, MeasuredSpeed)> = Vec::new();
    for i in order {
        let config = &planned[i].job.config;
        let same = measured.iter().find(|(other, _)| alike(&planned[*other].job.config) == alike(config));
        let found = match same {
            Some((_, found)) => Some(*found),
            None if began.elapsed() > MEASURING => None,
            None => match adamv_engine::measure(config, device) {
                Ok(found) => {
                    measured.push((i, found));
                    Some(found)
                }
                Err(error) => {
                    eprintln!("{}: a step couldn't be measured: {error}", planned[i].job.name());
                    None
                }
            },
        };
        let system = |i: usize| planned[i].job.id.system.as_str();
        let other = || {
            let own = measured.iter().rev().find(|(other, _)| system(*other) == system(i));
            own.or(measured.last()).map(|(_, found)| (found.speed, Basis::OtherCell))
        };
        let basis = |own_steps| if own_steps { Basis::OwnSteps } else { Basis::SmallerSteps };
        planned[i].speed = found.map(|found| (found.speed, basis(found.own_steps))).or_else(other);
    }
}

/// What a step's time depends on.
fn alike(config: &CellConfig) -> impl PartialEq {
    let training = &config.training;
    (config.system.clone(), config.model.clone(), training.joint.batch, training.precision, config.evaluation.clone())
}

fn row(cell: &Planned) -> [String; 12] {
    let Planned { job, plan, speed } = cell;
    let phases: Vec<String> = plan.phases.iter().map(|phase| format!("{} {}", phase.name, phase.steps)).collect();
    let state = match &job.record {
        Some(record) if record.status == Status::Done => "done",
        Some(_) => "failed, runs again",
        None if job.dir.progress().exists() => "goes on",
        None => "to run",
    };
    let of_tasks = |number: &dyn Fn(&adamv_store::TaskCost) -> f64, digits: usize| {
        plan.costs.iter().map(|cost| format!("{:.digits$}", number(cost))).collect::<Vec<_>>().join(" + ")
    };
    [
        job.id.system.clone(),
        job.id.backbone.clone(),
        job.id.variant.clone(),
        job.id.seed.to_string(),
        state.into(),
        phases.join(" + "),
        grouped(plan.costs.first().map_or(0, |cost| cost.params_total)),
        of_tasks(&|cost| cost.params_activated as f64 * 1e-6, 2),
        of_tasks(&|cost| cost.flops.unwrap_or(0) as f64 * 1e-9, 2),
        speed.as_ref().map_or("-".into(), |(speed, _)| duration(plan.work.seconds(speed))),
        speed.as_ref().map_or("-", |(_, basis)| basis.text()).into(),
        format!("{} ({})", bytes(plan.work.final_bytes as u64), bytes(plan.work.peak_bytes as u64)),
    ]
}

/// What all of it takes: cells run one after the other, and leave their results behind.
fn total(to_run: &[&Planned], device: Device) -> String {
    let seconds: f64 = to_run.iter().filter_map(|cell| Some(cell.plan.work.seconds(&cell.speed?.0))).sum();
    let left: f64 = to_run.iter().map(|cell| cell.plan.work.final_bytes).sum();
    let extra = to_run.iter().map(|cell| cell.plan.work.peak_bytes - cell.plan.work.final_bytes).fold(0.0, f64::max);
    if to_run.is_empty() {
        return String::new();
    }
    let unknown =
        if to_run.iter().any(|cell| cell.speed.is_none()) { ", what couldn't be measured not included" } else { "" };
    let device = match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "the CPU".into(),
    };
    format!(": about {} on {device}{unknown}, and {} of disk", duration(seconds), bytes((left + extra) as u64))
}
