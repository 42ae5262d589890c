//! How alike the features are that two experts get (paper, figure 5): all alike means that representations have collapsed.

use adamv_store::FeatureSimilarity;

use super::canvas::{Anchor, Canvas, WIDTH};
use super::colours::signed_colour;
use super::heat::HeatMap;
use super::looked::{Layer, Looked, absent, ends};
use super::patches::capital;
use super::{Part, Topic};
use crate::csv::{Field, csv};
use crate::curves::{Figure, plain};
use crate::details::Link;
use crate::group::first_seen;

/// Side of a map, px, and the place for the numbers of its rows.
const SIDE: f64 = 240.0;
const ROWS: f64 = 22.0;
/// From one map to the map beside or below it.
const ACROSS: f64 = WIDTH - ROWS - SIDE;
const DOWN: f64 = SIDE + 56.0;
/// More experts than that leave no place for numbers in the boxes.
const NUMBERED: usize = 8;

pub(super) fn topic(looked: &[Looked]) -> Topic {
    let has = |one: &Looked| !one.probes().similarities.is_empty();
    let parts: Vec<Part> = looked
        .iter()
        .filter(|one| has(one))
        .enumerate()
        .map(|(n, one)| Part {
            label: one.label.clone(),
            cells: vec![Link::to(one.cell)],
            folded: one.folded,
            figures: vec![figure(one, n + 1)],
            ..Part::default()
        })
        .collect();
    let lead = "Mean cosine of the features of tokens whose first choice is one expert with those of another, and within an expert on \
                the diagonal. High everywhere: the router sees tokens as alike (representation collapse). Crossed out: no pair of \
                such tokens."
        .to_owned();
    let table = (!parts.is_empty()).then(|| table(looked));
    Topic {
        id: "similarities",
        title: "How alike the experts' tokens are",
        lead,
        parts,
        absent: absent(looked, true, "features by expert", has),
        table,
    }
}

/// `[E][E]`; a pair that was recorded one way round holds for both.
fn matrix(rows: &[FeatureSimilarity], task: &str, block: u32, experts: usize) -> Vec<Vec<Option<f64>>> {
    let mut matrix = vec![vec![None; experts]; experts];
    for row in rows.iter().filter(|row| row.task == task && row.layer == block) {
        let (a, b) = (row.expert_a as usize, row.expert_b as usize);
        matrix[a][b] = row.cosine;
        matrix[b][a] = row.cosine;
    }
    matrix
}

fn figure(one: &Looked, number: usize) -> Figure {
    let rows = &one.probes().similarities;
    let tasks = first_seen(rows.iter().map(|row| row.task.as_str()));
    let layers = ends(rows.iter().map(|row| row.layer));
    let experts = one.experts();
    let cell = SIDE / experts.max(1) as f64;
    let mut canvas = Canvas::default();
    let mut told = Vec::new();
    for (down, task) in tasks.iter().enumerate() {
        for (across, layer) in layers.iter().enumerate() {
            let values = matrix(rows, task, layer.block, experts);
            let corner = [ROWS + across as f64 * ACROSS, 34.0 + down as f64 * DOWN];
            let numbers = || (0..experts).map(|expert| expert.to_string()).collect();
            let title = format!("{}, {}", capital(task), layer.short());
            told.push(in_words(task, *layer, &values));
            let text = (experts <= NUMBERED).then_some(short as fn(f64) -> String);
            let map =
                HeatMap { title: &title, rows: numbers(), columns: numbers(), values, colour: &signed_colour, text };
            map.draw(&mut canvas, corner, [cell, cell]);
        }
    }
    let y = 34.0 + tasks.len() as f64 * DOWN - 40.0;
    canvas.text([ROWS, y + 10.0], Anchor::Start, "small", "−1");
    for step in -10..=10 {
        let (colour, opacity) = signed_colour(f64::from(step) / 10.0);
        canvas.tile(colour, opacity, [ROWS + 128.0 + f64::from(step) * 10.0, y], [10.0, 12.0]);
    }
    canvas.text([ROWS + 133.0, y + 25.0], Anchor::Middle, "small", "0");
    canvas.text([ROWS + 244.0, y + 10.0], Anchor::Start, "small", "1");
    let name = format!("similarities-{number}-{}", plain(&one.label));
    let title = format!("How alike the experts' tokens are, {}", one.with_seed());
    let description = format!("Cosine of the features of two experts' tokens, {experts} experts. {}", told.join(" "));
    let caption = "Rows and columns are experts; the maps of a task lie beside each other.".to_owned();
    let svg = canvas.finish(&name, &title, &description, y + 32.0);
    Figure { name, title, description, caption, svg }
}

fn in_words(task: &str, layer: Layer, values: &[Vec<Option<f64>>]) -> String {
    let (mut within, mut between) = (Vec::new(), Vec::new());
    for (a, row) in values.iter().enumerate() {
        for (b, value) in row.iter().enumerate().skip(a) {
            if let Some(value) = value {
                if a == b { &mut within } else { &mut between }.push(*value);
            }
        }
    }
    let mean =
        |values: &[f64]| adamv_metrics::mean(values).map_or_else(|| "none".to_owned(), |mean| format!("{mean:.2}"));
    format!("{task}, {}: mean within an expert {}, between two {}.", layer.text(), mean(&within), mean(&between))
}

/// `.83`, `−.12`, `1.0`: what fits into a box.
fn short(value: f64) -> String {
    let digits = format!("{:.2}", value.abs());
    let sign = if value < 0.0 && digits != "0.00" { "−" } else { "" };
    match digits.strip_prefix('0') {
        Some(digits) => format!("{sign}{digits}"),
        None => format!("{sign}{:.1}", value.abs()),
    }
}

fn table(looked: &[Looked]) -> String {
    let header = ["system", "seed", "task", "layer", "expert_a", "expert_b", "cosine"];
    let rows = looked.iter().flat_map(|one| {
        one.probes().similarities.iter().map(|row| {
            vec![
                Field::Text(one.label.clone()),
                Field::Count(one.cell.id.seed),
                Field::Text(row.task.clone()),
                Field::Count(row.layer.into()),
                Field::Count(row.expert_a.into()),
                Field::Count(row.expert_b.into()),
                row.cosine.map_or(Field::Empty, Field::Number),
            ]
        })
    });
    csv(&header, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fit_into_a_box() {
        assert_eq!(
            [0.834, -0.12, 1.0, -0.998, -0.001, 0.0, -1.0].map(short),
            [".83", "−.12", "1.0", "−1.0", ".00", ".00", "−1.0"]
        );
    }
}
