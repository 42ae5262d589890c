//! The main table, like the paper's table 1: a row per system, backbone and variant, over its seeds.

use adamv_store::CellState;
use serde::Serialize;

use crate::csv::{Field, csv};
use crate::group::{Group, Measured, Metric, reference_of};
use crate::load::Results;
use crate::verdict::{is_best, sets};

/// Tasks with their titles; OD and IS are one task, as in the paper.
const TASKS: [(&str, &str); 2] = [("classification", "CLS"), ("detection", "OD & IS")];

#[derive(Debug, Serialize)]
pub(crate) struct MainTable {
    pub reference: String,
    /// Whether any row is of a variant, or of a second run: those columns are there only then.
    pub variants: bool,
    pub runs: bool,
    /// What an image of each task costs, millions: activated parameters, then multiply-adds.
    pub costs: Vec<String>,
    pub metrics: Vec<&'static str>,
    pub margins: Vec<&'static str>,
    pub rows: Vec<MainRow>,
}

#[derive(Debug, Serialize)]
pub(crate) struct MainRow {
    pub system: String,
    pub backbone: String,
    pub variant: String,
    pub run: String,
    pub seeds: Vec<Seed>,
    pub costs: Vec<Shown>,
    pub metrics: Vec<Shown>,
    /// For the metrics named in [`MainTable::margins`].
    pub margins: Vec<Shown>,
}

/// A seed and the cell behind it.
#[derive(Debug, Serialize)]
pub(crate) struct Seed {
    pub seed: u64,
    pub anchor: String,
    pub done: bool,
}

/// A number as shown, or why there is none.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    pub text: String,
    pub missing: Option<String>,
    /// The number itself, for sorting.
    pub value: Option<f64>,
    pub deviation: Option<f64>,
    pub best: bool,
}

impl Shown {
    fn new(measured: Measured, signed: bool, best: bool) -> Self {
        match measured {
            Ok(e) => Self {
                text: if signed { e.signed() } else { e.text() },
                missing: None,
                value: Some(e.mean),
                deviation: e.deviation,
                best,
            },
            Err(why) => Self { text: "—".to_owned(), missing: Some(why), value: None, deviation: None, best: false },
        }
    }
}

pub(crate) fn main_table(results: &Results, groups: &[Group], reference: &str) -> MainTable {
    let sets = sets(groups);
    let rows = groups
        .iter()
        .map(|group| {
            let set = sets.iter().find(|set| set.iter().any(|other| std::ptr::eq(*other, group)));
            let best = |metric| set.is_some_and(|set| is_best(set, group, metric));
            let against = reference_of(groups, group, reference);
            MainRow {
                system: group.id.system.clone(),
                backbone: group.id.backbone.clone(),
                variant: group.id.variant.clone(),
                run: results.runs[group.run].name.clone(),
                seeds: group
                    .cells
                    .iter()
                    .map(|cell| Seed {
                        seed: cell.id.seed,
                        anchor: cell.anchor.clone(),
                        done: cell.state == CellState::Done,
                    })
                    .collect(),
                costs: (TASKS.iter().map(|(task, _)| group.activated(task)))
                    .chain(TASKS.iter().map(|(task, _)| group.macs(task)))
                    .map(|cost| Shown::new(cost, false, false))
                    .collect(),
                metrics: Metric::ALL.map(|metric| Shown::new(group.metric(metric), false, best(metric))).into(),
                margins: Metric::MAIN.map(|metric| Shown::new(group.margin(metric, against), true, false)).into(),
            }
        })
        .collect();
    MainTable {
        reference: reference.to_owned(),
        variants: groups.iter().any(|group| group.id.variant != adamv_store::CellId::BASE),
        runs: results.runs.len() > 1,
        costs: ["Params", "MACs"].iter().flat_map(|cost| TASKS.map(|(_, task)| format!("{cost} {task}"))).collect(),
        metrics: Metric::ALL.map(Metric::name).into(),
        margins: Metric::MAIN.map(Metric::name).into(),
        rows,
    }
}

impl MainTable {
    /// `tables/main.csv`: full precision; a missing value is empty, and `missing` says why.
    pub(crate) fn csv(&self) -> String {
        let mut header: Vec<String> =
            ["run", "system", "backbone", "variant", "seeds_done", "seeds_planned"].map(str::to_owned).into();
        let costs = ["params_activated", "macs"];
        let names: Vec<String> = costs
            .iter()
            .flat_map(|cost| TASKS.map(|(task, _)| format!("{cost}_{task}_millions")))
            .chain(self.metrics.iter().map(|name| format!("{name}_percent")))
            .chain(self.margins.iter().map(|name| format!("{name}_margin_points")))
            .collect();
        for name in &names {
            header.extend([name.clone(), format!("{name}_std")]);
        }
        header.push("missing".to_owned());
        let rows = self.rows.iter().map(|row| {
            let mut fields: Vec<Field> =
                [&row.run, &row.system, &row.backbone, &row.variant].map(|t| Field::Text(t.clone())).into();
            fields.push(Field::Count(row.seeds.iter().filter(|seed| seed.done).count() as u64));
            fields.push(Field::Count(row.seeds.len() as u64));
            let mut missing = Vec::new();
            for (name, shown) in names.iter().zip(row.costs.iter().chain(&row.metrics).chain(&row.margins)) {
                fields.extend([shown.value, shown.deviation].map(|v| v.map_or(Field::Empty, Field::Number)));
                missing.extend(shown.missing.as_ref().map(|why| format!("{name}: {why}")));
            }
            fields.push(Field::Text(missing.join("; ")));
            fields
        });
        csv(&header.iter().map(String::as_str).collect::<Vec<_>>(), rows)
    }
}
