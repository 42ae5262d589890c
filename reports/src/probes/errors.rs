//! Where detections fail (TIDE): what AP50 would gain if one kind of error were mended.

use adamv_store::DetectionError;

use super::bars::Bars;
use super::canvas::Canvas;
use super::looked::{Looked, absent};
use super::{Entry, Heading, Part, Table, Topic};
use crate::csv::{Field, csv};
use crate::curves::{Figure, plain};
use crate::number::{Estimate, count};

/// The kinds of error with what each is, in the order of the figures.
const KINDS: [(&str, &str); 8] = [
    ("Cls", "an object is found in its place (IoU at least 0.5), but named as another class"),
    ("Loc", "the class is right, but box or mask only touches the object (IoU 0.1 to 0.5)"),
    ("Both", "another class, and it only touches the object"),
    ("Dupe", "the object is found a second time"),
    ("Bkg", "there is no object (IoU below 0.1 with all of them)"),
    ("Miss", "an object that nothing found, not even as another class or out of place"),
    ("FP", "all false detections together"),
    ("FN", "all objects not found together"),
];
/// What is measured, with the titles.
const TYPES: [(&str, &str); 2] = [("bbox", "boxes"), ("segm", "masks")];

pub(super) fn topic(looked: &[Looked]) -> Topic {
    let has = |one: &Looked| one.done.iter().any(|cell| !cell.probes.errors.is_empty());
    let shown: Vec<&Looked> = looked.iter().filter(|one| has(one)).collect();
    let highest = shown.iter().flat_map(|one| KINDS.iter().flat_map(|kind| points(one, kind.0))).fold(0.0, f64::max);
    let mut parts = Vec::new();
    if !shown.is_empty() {
        let tables = TYPES.iter().map(|(iou, title)| table(&shown, iou, title)).collect();
        let notes = KINDS.iter().map(|(kind, what)| format!("{kind}: {what}.")).collect();
        parts.push(Part { tables, notes, ..Part::default() });
        parts.extend(shown.iter().enumerate().map(|(n, one)| Part {
            label: one.label.clone(),
            cells: one.links(),
            folded: one.folded,
            figures: vec![figure(one, highest, n + 1)],
            ..Part::default()
        }));
    }
    let lead = "Points of AP50 that a system would gain if one kind of error were mended (TIDE: Bolya et al., ECCV 2020), mean over \
                seeds. The gains don't add up: a mended error leaves others to matter more."
        .to_owned();
    let csv = (!shown.is_empty()).then(|| lines(&shown));
    Topic {
        id: "errors",
        title: "Where detections fail",
        lead,
        parts,
        absent: absent(looked, false, "kinds of errors", has),
        table: csv,
    }
}

fn rows<'a>(one: &'a Looked, iou: &str, kind: &str) -> Vec<&'a DetectionError> {
    let rows = one.done.iter().flat_map(|cell| &cell.probes.errors);
    rows.filter(|row| row.iou_type == iou && row.kind == kind).collect()
}

/// Points of AP50, over the seeds.
fn gain(one: &Looked, iou: &str, kind: &str) -> Option<Estimate> {
    Estimate::of(&rows(one, iou, kind).iter().map(|row| 100.0 * row.delta_ap50).collect::<Vec<_>>())
}

fn points(one: &Looked, kind: &str) -> Vec<f64> {
    TYPES.iter().filter_map(|(iou, _)| Some(gain(one, iou, kind)?.mean)).collect()
}

fn figure(one: &Looked, highest: f64, number: usize) -> Figure {
    let mut canvas = Canvas::default();
    let legend: Vec<(usize, String)> = TYPES.iter().map(|(_, title)| (*title).to_owned()).enumerate().collect();
    let top = canvas.legend([0.0, 4.0], &legend);
    let value = |iou: &str, kind: &str| gain(one, iou, kind).map(|estimate| estimate.mean);
    let bars = Bars {
        axis: "AP50 gained, points",
        of: "Kind of error that is mended",
        groups: KINDS.iter().map(|(kind, _)| (*kind).to_owned()).collect(),
        series: TYPES
            .iter()
            .enumerate()
            .map(|(n, (iou, _))| (n, KINDS.map(|(kind, _)| value(iou, kind)).into()))
            .collect(),
        format: |value| format!("{value:.0}").replace('-', "−"),
        top: highest.max(1.0),
        line: None,
    };
    let bottom = bars.draw(&mut canvas, top);
    let name = format!("errors-{number}-{}", plain(&one.label));
    let title = format!("Where the detections of {} fail", one.label);
    let told = KINDS.map(|(kind, _)| {
        let of = |iou: &str| value(iou, kind).map_or_else(|| "none".to_owned(), |value| format!("{value:.1}"));
        format!("{kind}: boxes {}, masks {}", of("bbox"), of("segm"))
    });
    let description = format!("Points of AP50 gained by mending a kind of error. {}.", told.join("; "));
    let seeds = one.done.iter().filter(|cell| !cell.probes.errors.is_empty()).count();
    let caption = format!("{}, mean of {}. All systems have the same scale.", one.label, count(seeds, "seed"));
    let svg = canvas.finish(&name, &title, &description, bottom);
    Figure { name, title, description, caption, svg }
}

fn table(shown: &[&Looked], iou: &str, title: &str) -> Table {
    let mut columns = vec![Heading::text("System")];
    columns.extend(KINDS.iter().map(|(kind, _)| Heading::number(kind, "points")));
    let rows = shown.iter().map(|one| {
        let mut row = vec![Entry::text(&one.label)];
        row.extend(KINDS.iter().map(|(kind, _)| match gain(one, iou, kind) {
            Some(estimate) => Entry::number(estimate.text(), estimate.mean),
            None => Entry::text("—"),
        }));
        row
    });
    Table { id: format!("errors-{iou}"), title: format!("AP50 gained, {title}"), rows: rows.collect(), columns }
}

fn lines(shown: &[&Looked]) -> String {
    let header = ["system", "seed", "iou_type", "kind", "delta_ap50_points", "count"];
    let mut rows = Vec::new();
    for one in shown {
        for cell in &one.done {
            rows.extend(cell.probes.errors.iter().map(|row| {
                vec![
                    Field::Text(one.label.clone()),
                    Field::Count(cell.id.seed),
                    Field::Text(row.iou_type.clone()),
                    Field::Text(row.kind.clone()),
                    Field::Number(100.0 * row.delta_ap50),
                    row.count.map_or(Field::Empty, Field::Count),
                ]
            }));
        }
    }
    csv(&header, rows)
}
