//! How often each expert is used (paper, figure 4): by task, and by class in the last MoE layer.

use std::collections::BTreeMap;

use adamv_store::ExpertUse;

use super::bars::Bars;
use super::canvas::{Anchor, Canvas, WIDTH, shortened};
use super::colours::share_colour;
use super::heat::HeatMap;
use super::looked::{Layer, Looked, absent, ends};
use super::patches::capital;
use super::{Part, Topic};
use crate::csv::{Field, csv};
use crate::curves::{Figure, plain};
use crate::details::Link;
use crate::group::first_seen;

/// More classes than that are no figure: those that use an expert most are shown.
const MOST_CLASSES: usize = 60;
/// Letters of a class's name, the width of a wide one of 10 px, and the height of a row, px.
const LETTERS: usize = 24;
const LETTER: f64 = 6.2;
const ROW: f64 = 17.0;

pub(super) fn topic(looked: &[Looked]) -> Topic {
    let has = |one: &Looked| !one.probes().expert_use.is_empty();
    let parts: Vec<Part> = looked
        .iter()
        .filter(|one| has(one))
        .enumerate()
        .map(|(n, one)| Part {
            label: one.label.clone(),
            cells: vec![Link::to(one.cell)],
            folded: one.folded,
            figures: figures(one, n + 1),
            ..Part::default()
        })
        .collect();
    let lead = "Share of the pairs of a token and one of its experts, over the validation split. The dashed line is a router that uses \
                all experts alike. By class: an image of classification counts for its class, a patch of detection for the objects \
                that its middle lies in the box of."
        .to_owned();
    let table = (!parts.is_empty()).then(|| table(looked));
    Topic {
        id: "expert-use",
        title: "How often each expert is used",
        lead,
        parts,
        absent: absent(looked, true, "use of its experts", has),
        table,
    }
}

/// Shares of the experts of a task in a layer, by class; `None` is all tokens. Rows that no token belongs to are left out.
fn shares(rows: &[ExpertUse], task: &str, block: u32, experts: usize) -> BTreeMap<Option<u64>, Vec<f64>> {
    let mut pairs: BTreeMap<Option<u64>, Vec<u64>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.task == task && row.layer == block) {
        pairs.entry(row.class).or_insert_with(|| vec![0; experts])[row.expert as usize] += row.pairs;
    }
    let share = |pairs: Vec<u64>| {
        let all: u64 = pairs.iter().sum();
        (all > 0).then(|| pairs.into_iter().map(|pairs| pairs as f64 / all as f64).collect())
    };
    pairs.into_iter().filter_map(|(class, pairs)| Some((class, share(pairs)?))).collect()
}

fn figures(one: &Looked, number: usize) -> Vec<Figure> {
    let rows = &one.probes().expert_use;
    let tasks = first_seen(rows.iter().map(|row| row.task.as_str()));
    let experts = one.experts();
    let Some(&last) = ends(rows.iter().map(|row| row.layer)).last() else { return Vec::new() };
    let mut figures = vec![by_task(one, &tasks, last, experts, number)];
    for task in tasks {
        figures.extend(by_class(one, task, last, experts, number));
    }
    figures
}

fn by_task(one: &Looked, tasks: &[&str], layer: Layer, experts: usize, number: usize) -> Figure {
    let rows = &one.probes().expert_use;
    let mut series = Vec::new();
    let mut told = Vec::new();
    for (n, task) in tasks.iter().enumerate() {
        let shares = shares(rows, task, layer.block, experts).remove(&None).unwrap_or_default();
        let words: Vec<String> =
            shares.iter().enumerate().map(|(e, share)| format!("{e}: {}", percent(*share))).collect();
        told.push(format!("{task}: {}", words.join(", ")));
        series.push((n, (0..experts).map(|expert| shares.get(expert).copied()).collect()));
    }
    let mut canvas = Canvas::default();
    let legend: Vec<(usize, String)> = tasks.iter().map(|task| (*task).to_owned()).enumerate().collect();
    let top = canvas.legend([0.0, 4.0], &legend);
    let bars = Bars {
        axis: "Share of the pairs",
        of: "Expert",
        groups: (0..experts).map(|expert| expert.to_string()).collect(),
        series,
        format: percent,
        top: 0.01,
        line: Some(1.0 / experts.max(1) as f64),
    };
    let bottom = bars.draw(&mut canvas, top);
    let name = format!("expert-use-{number}-{}", plain(&one.label));
    let title = format!("How often each expert is used, {}", one.with_seed());
    let description = format!("Share of each expert in the {}, by task. {}.", layer.text(), told.join("; "));
    let caption = format!("By task, {}.", layer.text());
    let svg = canvas.finish(&name, &title, &description, bottom);
    Figure { name, title, description, caption, svg }
}

/// None where no class was counted.
fn by_class(one: &Looked, task: &str, layer: Layer, experts: usize, number: usize) -> Option<Figure> {
    let all = shares(&one.probes().expert_use, task, layer.block, experts);
    let mut classes: Vec<(u64, Vec<f64>)> =
        all.into_iter().filter_map(|(class, shares)| Some((class?, shares))).collect();
    let counted = classes.len();
    if counted == 0 {
        return None;
    }
    let most = |shares: &[f64]| shares.iter().copied().fold(0.0, f64::max);
    if counted > MOST_CLASSES {
        classes.sort_by(|a, b| most(&b.1).total_cmp(&most(&a.1)));
        classes.truncate(MOST_CLASSES);
        classes.sort_by_key(|(class, _)| *class);
    }
    let highest = classes.iter().map(|(_, shares)| most(shares)).fold(0.0, f64::max);
    let names: Vec<String> = classes.iter().map(|(class, _)| one.class(task, *class)).collect();
    let rows: Vec<String> = names.iter().map(|name| shortened(name, LETTERS)).collect();
    let longest = rows.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let left = longest as f64 * LETTER + 12.0;
    let width = ((WIDTH - left - 8.0) / experts.max(1) as f64).min(44.0);
    let map = HeatMap {
        title: "Expert",
        rows,
        columns: (0..experts).map(|expert| expert.to_string()).collect(),
        values: classes.iter().map(|(_, shares)| shares.iter().map(|share| Some(*share)).collect()).collect(),
        colour: &|share| share_colour(share / highest),
        text: (width >= 30.0).then_some(percent as fn(f64) -> String),
    };
    let mut canvas = Canvas::default();
    map.draw(&mut canvas, [left, 34.0], [width, ROW]);
    let bottom = 34.0 + classes.len() as f64 * ROW + 16.0;
    for step in 0..=10 {
        let (colour, opacity) = share_colour(f64::from(step) / 10.0);
        canvas.tile(colour, opacity, [left + 24.0 + f64::from(step) * 12.0, bottom], [12.0, 12.0]);
    }
    canvas.text([left, bottom + 10.0], Anchor::Start, "small", "0%");
    canvas.text([left + 162.0, bottom + 10.0], Anchor::Start, "small", &percent(highest));
    let name = format!("expert-use-{number}-{}-{}", plain(&one.label), plain(task));
    let title = format!("Use of the experts by class of {task}, {}", one.with_seed());
    let told: Vec<String> = classes
        .iter()
        .zip(&names)
        .map(|((_, shares), name)| {
            let first = (0..shares.len()).max_by(|a, b| shares[*a].total_cmp(&shares[*b]).then(b.cmp(a))).unwrap_or(0);
            format!("{name}: expert {first}, {}", percent(shares[first]))
        })
        .collect();
    let description =
        format!("Share of each expert in the {}, by class. Most used: {}.", layer.text(), told.join("; "));
    let left_out = if counted > classes.len() {
        format!(" {} of {counted} classes: those that use one expert most.", classes.len())
    } else {
        String::new()
    };
    let caption = format!("{}: by class, {}.{left_out}", capital(task), layer.text());
    let svg = canvas.finish(&name, &title, &description, bottom + 18.0);
    Some(Figure { name, title, description, caption, svg })
}

/// Every count with its share.
fn table(looked: &[Looked]) -> String {
    let header = ["system", "seed", "task", "layer", "class", "class_name", "expert", "pairs", "share"];
    let mut lines = Vec::new();
    for one in looked {
        let rows = &one.probes().expert_use;
        let mut sums: BTreeMap<(&str, u32, Option<u64>), u64> = BTreeMap::new();
        for row in rows {
            *sums.entry((&row.task, row.layer, row.class)).or_default() += row.pairs;
        }
        lines.extend(rows.iter().map(|row| {
            let all = sums.get(&(row.task.as_str(), row.layer, row.class)).copied().unwrap_or(0);
            let share = if all == 0 { Field::Empty } else { Field::Number(row.pairs as f64 / all as f64) };
            vec![
                Field::Text(one.label.clone()),
                Field::Count(one.cell.id.seed),
                Field::Text(row.task.clone()),
                Field::Count(row.layer.into()),
                row.class.map_or(Field::Empty, Field::Count),
                row.class.map_or(Field::Empty, |class| Field::Text(one.class(&row.task, class))),
                Field::Count(row.expert.into()),
                Field::Count(row.pairs),
                share,
            ]
        }));
    }
    csv(&header, lines)
}

fn percent(share: f64) -> String {
    format!("{:.0}%", 100.0 * share)
}
