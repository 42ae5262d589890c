//! `cost`: what systems cost on backbones, from their configurations alone. Counts nothing itself: `adamv_models::cost` does.

use adamv_engine::{EvaluationConfig, task_costs};
use adamv_models::config::{BACKBONES, Classes, ModelConfig};
use adamv_models::systems::{self, SYSTEMS};
use adamv_store::TaskCost;
use serde::Serialize;

use crate::cli::CostArgs;
use crate::exit::Failure;
use crate::explain::unknown;
use crate::matrix::{plain, typed};
use crate::overrides::{Override, apply};
use crate::text_table::TextTable;
use crate::{given, json, published_cost, torch};

/// One task of one system on one backbone.
#[derive(Serialize)]
struct Row<'a> {
    system: &'a str,
    backbone: &'a str,
    #[serde(flatten)]
    cost: TaskCost,
}

/// Prints parameters, multiply-adds and FLOPs of each task.
pub fn cost(args: &CostArgs) -> Result<(), Failure> {
    let systems = chosen("--system", "system", &args.system, &SYSTEMS.map(|entry| entry.name))?;
    let backbones = chosen("--backbone", "backbone", &args.backbone, &BACKBONES)?;
    let sets = Override::parse_all(&args.set)?;
    torch::start()?;
    if let Some(path) = &args.published {
        given::file("--published", path, "run from the root of the repository, or name a file of published counts")?;
        return published_cost::print(path, args.classes);
    }
    let mut rows = Vec::new();
    for &backbone in &backbones {
        for &name in &systems {
            let (model, evaluation) = configured(name, backbone, &sets)?;
            let system = systems::sizes(name, &model, args.classes).map_err(|e| Failure::usage(e.to_string()))?;
            let tasks = || {
                task_costs(&*system, &model.inputs, evaluation.detections).into_iter().map(|cost| Row {
                    system: name,
                    backbone,
                    cost,
                })
            };
            match system.experts().filter(|_| !args.k.is_empty()) {
                None => rows.extend(tasks()),
                Some(experts) => {
                    for &k in &args.k {
                        for task in adamv_datasets::Task::ALL {
                            experts.set_k(task, k).map_err(|e| Failure::usage(format!("--k: {name}: {e}")))?;
                        }
                        rows.extend(tasks());
                    }
                }
            }
        }
    }
    if !args.k.is_empty() && rows.iter().all(|row| row.cost.k.is_none()) {
        return Err(Failure::usage(format!("--k: {} without experts; leave it out", systems.join(", "))));
    }
    if args.json {
        return json::print(&rows);
    }
    table(&rows, args.classes)
}

/// The names given, or all; an unknown one is an error that names the nearest.
fn chosen<'a>(flag: &str, what: &str, given: &'a [String], all: &[&'a str]) -> Result<Vec<&'a str>, Failure> {
    if given.is_empty() {
        return Ok(all.to_vec());
    }
    match given.iter().find(|name| !all.contains(&name.as_str())) {
        Some(name) => Err(Failure::usage(format!("{flag}: {}", unknown(what, name, all)))),
        None => Ok(given.iter().map(String::as_str).collect()),
    }
}

/// The preset of the backbone under the system's own changes and `--set`.
pub fn configured(system: &str, backbone: &str, sets: &[Override]) -> Result<(ModelConfig, EvaluationConfig), Failure> {
    let model = systems::preset(system, backbone).map_err(|e| Failure::usage(e.to_string()))?;
    let mut config = plain(&serde_json::json!({}))?;
    config["model"] = plain(&model)?;
    config["evaluation"] = plain(&EvaluationConfig::default())?;
    for set in sets {
        let counts = set.path.starts_with("model.") || set.path.starts_with("evaluation.");
        if !counts {
            return Err(Failure::usage(format!("--set {}: costs depend on model. and evaluation. alone", set.path)));
        }
        apply(&mut config, set).map_err(|what| Failure::usage(format!("--set {what}")))?;
    }
    let wrong = |part: &str, (path, what): (String, String)| Failure::usage(format!("--set {part}.{path}: {what}"));
    let evaluation: EvaluationConfig = typed(&config["evaluation"]).map_err(|e| wrong("evaluation", e))?;
    evaluation.validate()?;
    Ok((typed(&config["model"]).map_err(|e| wrong("model", e))?, evaluation))
}

/// For people: millions and billions, with their units.
fn table(rows: &[Row], classes: Classes) -> Result<(), Failure> {
    let header = [
        "system",
        "backbone",
        "task",
        "px",
        "K",
        "params M",
        "backbone M",
        "total M",
        "MACs G",
        "backbone G",
        "FLOPs G",
    ];
    let mut table = TextTable::new(&header, 3);
    for Row { system, backbone, cost } in rows {
        let millions = |count: u64| format!("{:.2}", count as f64 * 1e-6);
        let billions = |count: Option<u64>| count.map_or("-".into(), |count| format!("{:.3}", count as f64 * 1e-9));
        table.row([
            system.to_string(),
            backbone.to_string(),
            cost.task.clone(),
            cost.resolution.to_string(),
            cost.k.map_or("-".into(), |k| k.to_string()),
            millions(cost.params_activated),
            millions(cost.params_activated_backbone),
            millions(cost.params_total),
            billions(cost.macs),
            billions(cost.macs_backbone),
            billions(cost.flops),
        ]);
    }
    json::line(&format!(
        "{table}params: activated by one image of the task, head included; total: of the whole model. MACs: multiply-adds of one \
         image; FLOPs = 2 x MACs. {} classes to classify, {} to detect.",
        classes.classification, classes.detection
    ))
}
