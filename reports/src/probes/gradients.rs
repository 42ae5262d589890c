//! Whether the tasks pull the weights they share the same way (paper, figure 7): the cosine between their gradients.

use std::collections::BTreeMap;

use adamv_metrics::mean;
use adamv_store::GradientPair;

use super::canvas::{Anchor, Canvas, WIDTH, shortened};
use super::looked::{Looked, absent};
use super::{Entry, Heading, Part, Table, Topic};
use crate::csv::{Field, csv};
use crate::curves::Figure;
use crate::number::count;

/// Bins of the histogram.
const BINS: usize = 40;
/// How far from 0 the axis may end: gradients of many weights are nearly orthogonal, and -1 to 1 would show two bars.
const REACHES: [f64; 5] = [0.05, 0.1, 0.2, 0.5, 1.0];
/// Place for the names, px, and the height of a system's bars.
const LEFT: f64 = 132.0;
const HEIGHT: f64 = 54.0;
const APART: f64 = 14.0;

/// The measured steps of a system: seed, step, cosine.
struct Measured<'a, 'r> {
    of: &'a Looked<'r>,
    steps: Vec<(u64, u64, f64)>,
}

pub(super) fn topic(looked: &[Looked]) -> Topic {
    let all: Vec<Measured> = looked
        .iter()
        .map(|of| {
            let of_cell = |cell: &&crate::load::RunCell| {
                let seed = cell.id.seed;
                cosines(&cell.probes.gradients).into_iter().map(move |(step, cosine)| (seed, step, cosine))
            };
            Measured { of, steps: of.done.iter().flat_map(of_cell).collect() }
        })
        .filter(|measured| !measured.steps.is_empty())
        .collect();
    let has = |one: &Looked| all.iter().any(|measured| std::ptr::eq(measured.of, one));
    let absent = absent(looked, false, "step in which both tasks move a weight that they share", has);
    let lead = "Cosine between the gradient of the classification loss and that of the detection loss on all weights that both tasks \
                share and train, step by step: 1 both pull the same way, 0 they don't touch, below 0 they pull against each other."
        .to_owned();
    let mut parts = Vec::new();
    if !all.is_empty() {
        parts.push(Part { figures: vec![figure(&all)], tables: vec![summary(&all)], ..Part::default() });
    }
    let table = (!all.is_empty()).then(|| table(&all));
    Topic { id: "gradients", title: "The tasks' gradients", lead, parts, absent, table }
}

/// Step and cosine over all weights of it; a step in which a task's gradient is 0 has none.
pub(crate) fn cosines(rows: &[GradientPair]) -> Vec<(u64, f64)> {
    let mut sums: BTreeMap<(&str, u64), [f64; 3]> = BTreeMap::new();
    for row in rows {
        let sum = sums.entry((&row.phase, row.step)).or_default();
        let products = [row.dot, row.classification_norm.powi(2), row.detection_norm.powi(2)];
        sum.iter_mut().zip(products).for_each(|(sum, product)| *sum += product);
    }
    let cosine = |((_, step), [dot, classification, detection]): ((&str, u64), [f64; 3])| {
        let cosine = dot / (classification * detection).sqrt();
        // Rounding leaves gradients that are equal a little over 1.
        cosine.is_finite().then(|| (step, cosine.clamp(-1.0, 1.0)))
    };
    sums.into_iter().filter_map(cosine).collect()
}

/// The nearest end of the axis that leaves no cosine out.
fn reach(all: &[Measured]) -> f64 {
    let farthest = all.iter().flat_map(|measured| &measured.steps).map(|step| step.2.abs()).fold(0.0, f64::max);
    REACHES.into_iter().find(|reach| farthest <= *reach).unwrap_or(1.0)
}

/// Shares of the steps in each bin between `-reach` and `reach`, which belongs to the last one.
fn histogram(steps: &[(u64, u64, f64)], reach: f64) -> Vec<f64> {
    let mut bins = vec![0.0; BINS];
    for (_, _, cosine) in steps {
        let bin = ((cosine / reach + 1.0) / 2.0 * BINS as f64).floor() as usize;
        bins[bin.min(BINS - 1)] += 1.0 / steps.len() as f64;
    }
    bins
}

fn mean_of(steps: &[(u64, u64, f64)]) -> f64 {
    mean(&steps.iter().map(|step| step.2).collect::<Vec<_>>()).unwrap_or(0.0)
}

fn negative(steps: &[(u64, u64, f64)]) -> f64 {
    steps.iter().filter(|step| step.2 < 0.0).count() as f64 / steps.len().max(1) as f64
}

fn figure(all: &[Measured]) -> Figure {
    let mut canvas = Canvas::default();
    let reach = reach(all);
    let histograms: Vec<Vec<f64>> = all.iter().map(|measured| histogram(&measured.steps, reach)).collect();
    let highest = histograms.iter().flatten().copied().fold(0.0, f64::max);
    let x = |cosine: f64| LEFT + (cosine / reach + 1.0) / 2.0 * (WIDTH - LEFT - 10.0);
    let edge = |bin: usize| x(reach * (2.0 * bin as f64 / BINS as f64 - 1.0));
    let bottom = 8.0 + all.len() as f64 * (HEIGHT + APART);
    for mark in [-1.0, -0.5, 0.0, 0.5, 1.0].map(|part| part * reach) {
        canvas.rule([x(mark), 8.0], [x(mark), bottom]);
        let text = format!("{mark}").replace('-', "−");
        canvas.text([x(mark), bottom + 15.0], Anchor::Middle, "small", &text);
    }
    let mut told = Vec::new();
    for (n, (measured, bins)) in all.iter().zip(&histograms).enumerate() {
        let base = 8.0 + n as f64 * (HEIGHT + APART) + HEIGHT + APART / 2.0;
        canvas.rule([LEFT, base], [WIDTH - 10.0, base]);
        canvas.text([0.0, base - HEIGHT / 2.0], Anchor::Start, "", &shortened(&measured.of.label, 18));
        let most = bins.iter().copied().fold(0.0, f64::max);
        canvas.text(
            [0.0, base - HEIGHT / 2.0 + 15.0],
            Anchor::Start,
            "small",
            &format!("highest bar {:.0}%", 100.0 * most),
        );
        for (bin, share) in bins.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            let (from, to) = (edge(bin), edge(bin + 1));
            let height = HEIGHT * share / highest;
            canvas.bar(measured.of.style, [from, base - height], [to - from - 0.5, height]);
        }
        let mean = mean_of(&measured.steps);
        let at = super::canvas::at;
        canvas.raw(format_args!(
            "<path class=\"mark mean\" stroke-width=\"2\" d=\"M{} {}v{}\"/>",
            at(x(mean)),
            at(base - HEIGHT),
            at(HEIGHT)
        ));
        told.push(format!(
            "{}: mean {}, {:.0}% negative, {}",
            measured.of.label,
            three_decimals(mean),
            100.0 * negative(&measured.steps),
            count(measured.steps.len(), "step")
        ));
    }
    canvas.text([x(0.0), bottom + 31.0], Anchor::Middle, "small", "Cosine between the gradients");
    let name = "gradients-1".to_owned();
    let title = "Cosine between the tasks' gradients".to_owned();
    let description = format!("Distribution over the measured steps of all seeds. {}.", told.join("; "));
    let caption = "Share of the measured steps by cosine, all seeds together; the upright line is the mean. All systems have the same \
                   scale of heights."
        .to_owned();
    let svg = canvas.finish(&name, &title, &description, bottom + 38.0);
    Figure { name, title, description, caption, svg }
}

fn summary(all: &[Measured]) -> Table {
    let rows = all.iter().map(|measured| {
        let (mean, negative, steps) = (mean_of(&measured.steps), negative(&measured.steps), measured.steps.len());
        vec![
            Entry::text(&measured.of.label),
            Entry::number(three_decimals(mean), mean),
            Entry::number(format!("{:.1}", 100.0 * negative), 100.0 * negative),
            Entry::number(steps.to_string(), steps as f64),
            Entry::number(measured.of.done.len().to_string(), measured.of.done.len() as f64),
        ]
    });
    Table {
        id: "gradients-table".to_owned(),
        title: "Mean cosine, and how often it is negative".to_owned(),
        columns: vec![
            Heading::text("System"),
            Heading::number("Mean cosine", ""),
            Heading::number("Negative", "%"),
            Heading::number("Steps measured", ""),
            Heading::number("Seeds", ""),
        ],
        rows: rows.collect(),
    }
}

/// With the typographic minus, and never `−0.000`.
fn three_decimals(value: f64) -> String {
    let text = format!("{value:.3}");
    if text == "-0.000" { "0.000".to_owned() } else { text.replace('-', "−") }
}

fn table(all: &[Measured]) -> String {
    let rows = all.iter().flat_map(|measured| {
        measured.steps.iter().map(|(seed, step, cosine)| {
            vec![
                Field::Text(measured.of.label.clone()),
                Field::Count(*seed),
                Field::Count(*step),
                Field::Number(*cosine),
            ]
        })
    });
    csv(&["system", "seed", "step", "cosine"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cosine_is_that_of_all_weights_together() {
        let row = |step, dot, a, b| GradientPair {
            step,
            phase: "joint".into(),
            weight: "w".into(),
            dot,
            classification_norm: a,
            detection_norm: b,
        };
        // (3, 4) and (5, 12) long: (1 - 3) / (5 * 13); a step without a gradient; opposite ones.
        let rows = [row(1, 1.0, 3.0, 5.0), row(1, -3.0, 4.0, 12.0), row(2, 0.0, 0.0, 1.0), row(3, -2.0, 1.0, 2.0)];
        let found: Vec<f64> = cosines(&rows).into_iter().map(|(_, cosine)| cosine).collect();
        assert_eq!(found.len(), 2);
        assert!((found[0] + 2.0 / 65.0).abs() < 1e-12 && (found[1] + 1.0).abs() < 1e-12, "{found:?}");
    }
}
