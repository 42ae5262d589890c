//! The main table, like the paper's table 1: a row per system, backbone and variant, over its seeds.

use adamv_store::CellState;
use serde::Serialize;

use crate::csv::{Field, csv};
use crate::group::{Group, Measured, Metric, state_word};
use crate::load::Results;
use crate::verdict::{is_best, sets};

/// Tasks with their titles; OD and IS are one task, as in the paper.
pub(crate) const TASKS: [(&str, &str); 2] = [("classification", "CLS"), ("detection", "OD & IS")];

#[derive(Debug, Serialize)]
pub(crate) struct MainTable {
    /// Whether any row is of a variant, or of a second run: those columns are there only then.
    pub variants: bool,
    pub runs: bool,
    /// What an image of each task costs, millions: activated parameters, then multiply-adds.
    pub costs: Vec<String>,
    pub metrics: Vec<&'static str>,
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
    pub origin: Origin,
}

/// A seed and the cell behind it.
#[derive(Debug, Serialize)]
pub(crate) struct Seed {
    pub seed: u64,
    pub anchor: String,
    pub done: bool,
    /// How the cell ended.
    pub state: &'static str,
}

pub(crate) fn seeds(group: &Group) -> Vec<Seed> {
    let seed = |cell: &&crate::load::RunCell| Seed {
        seed: cell.id.seed,
        anchor: cell.anchor.clone(),
        done: cell.state == CellState::Done,
        state: state_word(cell),
    };
    group.cells.iter().map(seed).collect()
}

/// The cells that numbers come from.
#[derive(Debug, Serialize)]
pub(crate) struct Origin {
    /// The first of them; the others follow it in the table of cells.
    pub anchor: String,
    /// Their names.
    pub cells: String,
}

impl Origin {
    /// Of the finished cells of some groups; of all of them where none is finished.
    pub(crate) fn new(groups: &[&Group]) -> Self {
        let of = |all: bool| {
            let cells = groups.iter().flat_map(|group| &group.cells);
            cells.filter(move |cell| all || cell.state == CellState::Done)
        };
        let all = of(false).next().is_none();
        Self {
            anchor: of(all).next().map_or_else(String::new, |cell| cell.anchor.clone()),
            cells: of(all).map(|cell| cell.name.as_str()).collect::<Vec<_>>().join(", "),
        }
    }
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
    pub(crate) fn new(measured: Measured, best: bool) -> Self {
        match measured {
            Ok(e) => Self { text: e.text(), missing: None, value: Some(e.mean), deviation: e.deviation, best },
            Err(why) => Self { text: "—".to_owned(), missing: Some(why), value: None, deviation: None, best: false },
        }
    }
}

/// Activated parameters and multiply-adds of an image of each task.
pub(crate) fn costs(group: &Group) -> Vec<Shown> {
    (TASKS.iter().map(|(task, _)| group.activated(task)))
        .chain(TASKS.iter().map(|(task, _)| group.macs(task)))
        .map(|cost| Shown::new(cost, false))
        .collect()
}

pub(crate) fn main_table(results: &Results, groups: &[Group]) -> MainTable {
    let sets = sets(groups);
    let rows = groups
        .iter()
        .map(|group| {
            let key = |group: &Group| (group.id.backbone.clone(), group.protocol.map(str::to_owned));
            let set = sets.iter().find(|set| key(set[0]) == key(group));
            let best = |metric| set.is_some_and(|set| is_best(set, group, metric));
            MainRow {
                system: group.id.system.clone(),
                backbone: group.id.backbone.clone(),
                variant: group.id.variant.clone(),
                run: results.runs[group.run].name.clone(),
                seeds: seeds(group),
                costs: costs(group),
                metrics: Metric::ALL.map(|metric| Shown::new(group.metric(metric), best(metric))).into(),
                origin: Origin::new(&[group]),
            }
        })
        .collect();
    MainTable {
        variants: groups.iter().any(|group| group.id.variant != adamv_store::CellId::BASE),
        runs: results.runs.len() > 1,
        costs: ["Params", "MACs"].iter().flat_map(|cost| TASKS.map(|(_, task)| format!("{cost} {task}"))).collect(),
        metrics: Metric::ALL.map(Metric::name).into(),
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
            for (name, shown) in names.iter().zip(row.costs.iter().chain(&row.metrics)) {
                fields.extend([shown.value, shown.deviation].map(|v| v.map_or(Field::Empty, Field::Number)));
                missing.extend(shown.missing.as_ref().map(|why| format!("{name}: {why}")));
            }
            fields.push(Field::Text(missing.join("; ")));
            fields
        });
        csv(&header.iter().map(String::as_str).collect::<Vec<_>>(), rows)
    }
}
