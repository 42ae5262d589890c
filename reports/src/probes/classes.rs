//! AP of each class, of boxes and of masks: from the matches, without masks or data.

use std::collections::{BTreeMap, BTreeSet};

use adamv_metrics::ApResampler;
use adamv_store::{DetectionMatches, MatchedDetection};

use super::looked::{Looked, list};
use super::{Entry, Heading, Part, Table, Topic};
use crate::compare::of_kind;
use crate::csv::{Field, csv};
use crate::number::Estimate;

const DETECTION: &str = "detection";
/// More classes than that are opened to be seen.
const MOST_CLASSES: usize = 20;

/// What AP is of.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    title: &'static str,
    bits: fn(&MatchedDetection) -> (u16, u16),
}

const KINDS: [Kind; 2] = [
    Kind { name: "bbox", title: "AP of boxes by class", bits: |d| (d.bbox_matched, d.bbox_ignored) },
    Kind { name: "segm", title: "AP of masks by class", bits: |d| (d.segm_matched, d.segm_ignored) },
];

/// A system with AP of its classes, percent: for each kind, class and seed.
struct Measured<'a, 'r> {
    of: &'a Looked<'r>,
    aps: [BTreeMap<u64, Vec<f64>>; 2],
}

/// A class with the objects that the validation split has of it.
struct Class {
    number: u64,
    name: String,
    objects: u64,
}

pub(super) fn topic(looked: &[Looked]) -> Topic {
    let all: Vec<Measured> = looked.iter().filter(|of| matches(of).next().is_some()).map(measured).collect();
    let classes = classes(&all);
    let mut parts = Vec::new();
    if !classes.is_empty() {
        let tables = (0..KINDS.len()).map(|kind| shown(kind, &all, &classes)).collect();
        let folded = classes.len() > MOST_CLASSES;
        let label = if folded { format!("{} classes", classes.len()) } else { String::new() };
        parts.push(Part { label, folded, tables, ..Part::default() });
    }
    let missing: Vec<&str> =
        looked.iter().filter(|one| matches(one).next().is_none()).map(|one| one.label.as_str()).collect();
    let absent = match missing[..] {
        [] => Vec::new(),
        _ => vec![format!("{} stored no matched detections.", list(&missing))],
    };
    let table = (!parts.is_empty()).then(|| table(&all, &classes));
    let lead = "Percent, COCO's AP over IoU 0.50 to 0.95 of a class by itself, mean over seeds. A class without objects in the \
                validation split has no AP and counts for no mean."
        .to_owned();
    Topic { id: "classes", title: "Class by class", lead, parts, absent, table }
}

fn matches<'r>(one: &Looked<'r>) -> impl Iterator<Item = &'r DetectionMatches> {
    one.done.clone().into_iter().filter_map(|cell| cell.matches.as_ref())
}

fn measured<'a, 'r>(of: &'a Looked<'r>) -> Measured<'a, 'r> {
    let mut aps = [BTreeMap::<u64, Vec<f64>>::new(), BTreeMap::new()];
    for found in matches(of) {
        for (aps, kind) in aps.iter_mut().zip(KINDS) {
            let resampler = ApResampler::new(&of_kind(found, &found.images, kind.bits));
            for (class, precision) in resampler.by_category(&vec![1; found.images.len()]) {
                aps.entry(class).or_default().push(100.0 * precision.ap);
            }
        }
    }
    Measured { of, aps }
}

/// All classes that have a name or objects, by number.
fn classes(all: &[Measured]) -> Vec<Class> {
    let mut objects: BTreeMap<u64, u64> = BTreeMap::new();
    let mut numbers: BTreeSet<u64> = BTreeSet::new();
    for measured in all {
        let named = measured.of.probes().classes.iter().filter(|class| class.task == DETECTION);
        numbers.extend(named.map(|class| class.number));
        let mut own: BTreeMap<u64, u64> = BTreeMap::new();
        for object in matches(measured.of).next().iter().flat_map(|found| &found.objects) {
            *own.entry(object.category).or_default() += u64::from(object.count);
        }
        for (class, count) in own {
            numbers.insert(class);
            objects.entry(class).or_insert(count);
        }
    }
    let name = |number: u64| {
        let named = all.iter().flat_map(|measured| &measured.of.probes().classes);
        let class = named.into_iter().find(|class| class.task == DETECTION && class.number == number);
        class.map_or_else(|| number.to_string(), |class| class.name.clone())
    };
    let class = |number| Class { number, name: name(number), objects: objects.get(&number).copied().unwrap_or(0) };
    numbers.into_iter().map(class).collect()
}

fn shown(kind: usize, all: &[Measured], classes: &[Class]) -> Table {
    let mut columns = vec![Heading::text("Class"), Heading::number("Objects", "")];
    columns.extend(all.iter().map(|measured| Heading::number(&measured.of.label, "%")));
    let rows = classes.iter().map(|class| {
        let mut row = vec![Entry::text(&class.name), Entry::number(class.objects.to_string(), class.objects as f64)];
        row.extend(all.iter().map(|measured| {
            let values = measured.aps[kind].get(&class.number).map(Vec::as_slice).unwrap_or_default();
            match Estimate::of(values) {
                Some(estimate) => Entry::number(estimate.text(), estimate.mean),
                None => Entry::text("— no objects"),
            }
        }));
        row
    });
    Table {
        id: format!("classes-{}", KINDS[kind].name),
        title: KINDS[kind].title.to_owned(),
        rows: rows.collect(),
        columns,
    }
}

fn table(all: &[Measured], classes: &[Class]) -> String {
    let header = [
        "system",
        "class",
        "class_name",
        "objects",
        "seeds",
        "AP_percent",
        "AP_percent_std",
        "APmask_percent",
        "APmask_percent_std",
    ];
    let mut rows = Vec::new();
    for measured in all {
        rows.extend(classes.iter().map(|class| {
            let values = |kind: usize| measured.aps[kind].get(&class.number).map(Vec::as_slice).unwrap_or_default();
            let mut row = vec![
                Field::Text(measured.of.label.clone()),
                Field::Count(class.number),
                Field::Text(class.name.clone()),
                Field::Count(class.objects),
                Field::Count(values(0).len() as u64),
            ];
            for kind in 0..KINDS.len() {
                let estimate = Estimate::of(values(kind));
                row.push(estimate.map_or(Field::Empty, |e| Field::Number(e.mean)));
                row.push(estimate.and_then(|e| e.deviation).map_or(Field::Empty, Field::Number));
            }
            row
        }));
    }
    csv(&header, rows)
}
