//! `cost --published`: our counts beside those that papers and libraries publish, as a table in Markdown. docs/cost.md is what
//! it prints. Counts nothing itself.

use std::path::Path;

use adamv_datasets::Task;
use adamv_engine::task_costs;
use adamv_models::config::Classes;
use adamv_models::systems;
use adamv_store::TaskCost;
use serde::Deserialize;

use crate::cost::configured;
use crate::exit::Failure;
use crate::overrides::Override;
use crate::{json, yaml};

/// A file of published counts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishedCosts {
    /// What stands before the table, Markdown.
    introduction: String,
    models: Vec<PublishedCost>,
}

/// One model of one publication.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishedCost {
    name: String,
    source: String,
    /// Parameters, millions; none where nothing is published.
    params_millions: Option<f64>,
    /// Multiply-adds of one image, 10^9; none where nothing is published.
    macs_billions: Option<f64>,
    /// Configurations of ours to hold beside it.
    ours: Vec<Ours>,
    /// What explains the difference.
    remark: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ours {
    /// Which configuration this is.
    what: String,
    system: String,
    backbone: String,
    task: Task,
    #[serde(default)]
    part: Part,
    /// Experts that a token uses; what the system starts with where absent.
    k: Option<usize>,
    /// Changes by dotted path, as `--set` takes them.
    #[serde(default)]
    set: std::collections::BTreeMap<String, serde_yaml::Value>,
}

/// What of a model is counted.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Part {
    /// The backbone with the task's head.
    #[default]
    Whole,
    Backbone,
}

/// Prints the table of a file of published counts.
pub fn print(path: &Path, classes: Classes) -> Result<(), Failure> {
    let file: PublishedCosts = yaml::parse(path, &yaml::read(path)?)?;
    let mut text = format!("{}\n\n", file.introduction.trim_end());
    text.push_str("| model | published: params M | MACs G | ours | params M | MACs G | params, % | MACs, % |\n");
    text.push_str("| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |\n");
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
    for model in &file.models {
        for (i, ours) in model.ours.iter().enumerate() {
            let (params, macs) = counted(ours, classes)?;
            let off = |ours: f64, theirs: Option<f64>| {
                theirs.map_or_else(|| "-".to_owned(), |theirs| format!("{:+.1}", 100.0 * (ours / theirs - 1.0)))
            };
            let first = |text: String| if i == 0 { text } else { String::new() };
            text.push_str(&format!(
                "| {} | {} | {} | {} | {params:.2} | {macs:.2} | {} | {} |\n",
                first(model.name.clone()),
                first(number(model.params_millions)),
                first(number(model.macs_billions)),
                ours.what,
                off(params, model.params_millions),
                off(macs, model.macs_billions),
            ));
        }
    }
    text.push('\n');
    for model in &file.models {
        text.push_str(&format!("- **{}**: {} Source: {}.\n", model.name, model.remark.trim(), model.source));
    }
    json::line(text.trim_end())
}

/// Millions of parameters and billions of multiply-adds of one of our configurations.
fn counted(ours: &Ours, classes: Classes) -> Result<(f64, f64), Failure> {
    let sets: Vec<Override> =
        ours.set.iter().map(|(path, value)| Override { path: path.clone(), value: value.clone() }).collect();
    let (model, evaluation) = configured(&ours.system, &ours.backbone, &sets)?;
    let wrong = |what: String| Failure::usage(format!("{}: {what}", ours.what));
    let system = systems::sizes(&ours.system, &model, classes).map_err(|e| wrong(e.to_string()))?;
    if let Some(k) = ours.k {
        let experts = system.experts().ok_or_else(|| wrong(format!("k: {} has no experts", ours.system)))?;
        experts.set_k(ours.task, k).map_err(|e| wrong(e.to_string()))?;
    }
    let costs = task_costs(&*system, &model.inputs, evaluation.detections);
    let cost: &TaskCost = costs
        .iter()
        .find(|cost| cost.task == ours.task.as_str())
        .ok_or_else(|| wrong(format!("{} has no task {}", ours.system, ours.task)))?;
    let (params, macs) = match ours.part {
        Part::Whole => (cost.params_activated, cost.macs),
        Part::Backbone => (cost.params_activated_backbone, cost.macs_backbone),
    };
    Ok((params as f64 * 1e-6, macs.unwrap_or(0) as f64 * 1e-9))
}
