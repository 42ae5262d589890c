//! How routing settles while a system trains (paper, figure 6): how far the selections of the same images moved between two looks.

use std::collections::BTreeMap;

use super::looked::{Layer, Looked, absent, ends};
use super::patches::capital;
use super::{Part, Topic};
use crate::csv::{Field, csv};
use crate::curves::{Figure, plain};
use crate::error::Result;
use crate::figure::{Line, LineFigure, Panel, draw};
use crate::group::first_seen;
use crate::load::RunCell;
use crate::number::count;

pub(super) fn topic(looked: &[Looked]) -> Result<Topic> {
    let has = |one: &Looked| one.done.iter().any(|cell| !cell.probes.routing_changes.is_empty());
    let mut parts = Vec::new();
    for one in looked.iter().filter(|one| has(one)) {
        parts.push(Part {
            label: one.label.clone(),
            cells: one.links(),
            folded: one.folded,
            figures: vec![figure(one, parts.len() + 1)?],
            ..Part::default()
        });
    }
    let lead = "Hamming distance between the experts that the same images select at two looks one after the other, over the number \
                selected in both: 0 the same experts, 1 none in common. Mean over tokens and seeds."
        .to_owned();
    let table = (!parts.is_empty()).then(|| table(looked));
    Ok(Topic {
        id: "routing-changes",
        title: "How routing settles",
        lead,
        parts,
        absent: absent(looked, true, "routing at several steps", has),
        table,
    })
}

/// The phase that ends training: the joint one, where there are two.
fn last_phase<'a>(cells: &[&'a RunCell]) -> &'a str {
    let rows = cells.iter().flat_map(|cell| &cell.probes.routing_changes);
    first_seen(rows.map(|row| row.phase.as_str())).last().copied().unwrap_or_default()
}

/// Step and mean distance over the seeds that looked at it.
fn line(cells: &[&RunCell], phase: &str, task: &str, block: u32) -> Vec<(f64, f64)> {
    let mut steps: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    let rows = cells.iter().flat_map(|cell| &cell.probes.routing_changes);
    for row in rows.filter(|row| row.phase == phase && row.task == task && row.layer == block) {
        steps.entry(row.step).or_default().push(row.distance);
    }
    let mean = |(step, values): (u64, Vec<f64>)| Some((step as f64, adamv_metrics::mean(&values)?));
    steps.into_iter().filter_map(mean).filter(|point| point.1.is_finite()).collect()
}

fn figure(one: &Looked, number: usize) -> Result<Figure> {
    let cells = &one.done;
    let phase = last_phase(cells);
    let rows = || cells.iter().flat_map(|cell| &cell.probes.routing_changes).filter(|row| row.phase == phase);
    let tasks = first_seen(rows().map(|row| row.task.as_str()));
    let layers: Vec<Layer> = ends(rows().map(|row| row.layer));
    let (mut entries, mut lines, mut told) = (Vec::new(), Vec::new(), Vec::new());
    for task in tasks {
        for layer in &layers {
            let points = line(cells, phase, task, layer.block);
            if let (Some(first), Some(last)) = (points.first(), points.last()) {
                told.push(format!(
                    "{task}, {}: from {:.2} at step {} to {:.2} at step {}",
                    layer.text(),
                    first.1,
                    first.0,
                    last.1,
                    last.0
                ));
                lines.push(Line { entry: entries.len(), points });
                entries.push((format!("{task}, block {}", layer.block), entries.len()));
            }
        }
    }
    let seeds = cells.iter().filter(|cell| !cell.probes.routing_changes.is_empty()).count();
    let name = format!("routing-changes-{number}-{}", plain(&one.label));
    let title = format!("How routing settles, {}", one.label);
    let description = format!("Distance between successive selections against the step. {}.", told.join("; "));
    let layers: Vec<String> = layers.into_iter().map(Layer::text).collect();
    let caption = format!("{} phase, mean of {}: {}.", capital(phase), count(seeds, "seed"), layers.join(", "));
    let panels = vec![Panel { title: "Distance", lines, marks: vec![], axis: Some(0.1), format: two_decimals }];
    let svg = draw(&LineFigure { name: &name, title: &title, description: &description, entries, panels })?;
    Ok(Figure { name, title, description, caption, svg })
}

fn two_decimals(value: &f64) -> String {
    format!("{value:.2}")
}

fn table(looked: &[Looked]) -> String {
    let header = ["system", "seed", "phase", "step", "task", "layer", "distance"];
    let mut rows = Vec::new();
    for one in looked {
        for cell in &one.done {
            rows.extend(cell.probes.routing_changes.iter().map(|row| {
                vec![
                    Field::Text(one.label.clone()),
                    Field::Count(cell.id.seed),
                    Field::Text(row.phase.clone()),
                    Field::Count(row.step),
                    Field::Text(row.task.clone()),
                    Field::Count(row.layer.into()),
                    Field::Number(row.distance),
                ]
            }));
        }
    }
    csv(&header, rows)
}
