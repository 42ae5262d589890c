//! Margins over the reference system: how far each system and variant is ahead of it, how sure that is, and what the paper reports.
//! Pairing and statistics are `paired`'s.

use adamv_store::CellId;
use serde::Serialize;

use crate::claims::{Published, System};
use crate::compare::{Noted, Row, Verdict};
use crate::csv::{Field, csv};
use crate::error::Result;
use crate::group::{Group, Metric, reference_of};
use crate::load::Results;
use crate::number::signed;
use crate::paired::{Difference, Pairing, judge_together, notes};
use crate::table::{Origin, Seed, seeds};

/// All margins over one system.
pub(crate) struct Margins<'g, 'a> {
    pub reference: String,
    pub groups: Vec<GroupMargins<'g, 'a>>,
    pub notes: Vec<String>,
}

/// The margins of one row of the main table.
pub(crate) struct GroupMargins<'g, 'a> {
    pub group: &'g Group<'a>,
    /// What they are over; none where there is nothing to hold the group against.
    pub over: Option<&'g Group<'a>>,
    /// By metric, in the order of [`Metric::ALL`].
    pub differences: Vec<Difference>,
}

impl GroupMargins<'_, '_> {
    pub(crate) fn of(&self, metric: Metric) -> Option<&Difference> {
        Metric::ALL.iter().position(|other| *other == metric).and_then(|at| self.differences.get(at))
    }
}

/// Margins of all groups but the reference itself, adjusted and judged together run by run, as `compare --reference` does.
///
/// # Errors
/// Those of a comparison.
pub(crate) fn margins<'g, 'a>(
    groups: &'g [Group<'a>],
    reference: &str,
    pairing: &Pairing<'a, '_>,
) -> Result<Margins<'g, 'a>> {
    let mut noted = Noted::default();
    let mut all = Vec::new();
    for group in groups.iter().filter(|group| !(group.id.system == reference && group.id.variant == CellId::BASE)) {
        let over = reference_of(groups, group, reference);
        let differences = pairing.differences(group, over, &mut noted)?;
        all.push(GroupMargins { group, over: over.ok(), differences });
    }
    for run in 0..pairing.results.runs.len() {
        let of_run = all.iter_mut().filter(|margins| margins.group.run == run);
        judge_together(of_run.flat_map(|margins| &mut margins.differences));
    }
    let notes = notes(noted, all.iter().flat_map(|margins| &margins.differences));
    Ok(Margins { reference: reference.to_owned(), groups: all, notes })
}

/// A margin as shown, or why there is none.
#[derive(Debug, Serialize)]
pub(crate) struct ShownMargin {
    pub text: String,
    pub interval: String,
    pub q: String,
    pub verdict: Option<Verdict>,
    pub missing: Option<String>,
    /// The number itself, for sorting.
    pub value: Option<f64>,
}

impl ShownMargin {
    pub(crate) fn new(difference: &Difference) -> Self {
        match difference {
            Ok(row) => {
                let shown = row.shown();
                Self {
                    text: signed(row.delta),
                    interval: shown.interval,
                    q: shown.q,
                    verdict: Some(row.verdict),
                    missing: None,
                    value: Some(row.delta),
                }
            }
            Err(why) => Self {
                text: "—".to_owned(),
                interval: "—".to_owned(),
                q: "—".to_owned(),
                verdict: None,
                missing: Some(why.clone()),
                value: None,
            },
        }
    }
}

/// The table of margins, a row a metric.
#[derive(Debug, Serialize)]
pub(crate) struct MarginTable {
    pub reference: String,
    pub variants: bool,
    pub runs: bool,
    /// Whether there is a published file to stand beside.
    pub published: bool,
    pub resamples: usize,
    pub rows: Vec<MarginRow>,
    pub notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct MarginRow {
    pub system: String,
    pub backbone: String,
    pub variant: String,
    pub run: String,
    /// What it is over, where that isn't the reference of the same run.
    pub over: Option<String>,
    pub seeds: Vec<Seed>,
    pub metric: &'static str,
    pub margin: ShownMargin,
    pub paper: String,
    pub origin: Origin,
}

/// As a table, with the papers' margins beside ours.
pub(crate) fn margin_table(
    results: &Results,
    margins: &Margins,
    published: &[Published],
    resamples: usize,
) -> MarginTable {
    let mut rows = Vec::new();
    for margins_of in &margins.groups {
        let GroupMargins { group, over, .. } = margins_of;
        for metric in Metric::MAIN {
            let Some(difference) = margins_of.of(metric) else { continue };
            let elsewhere = |over: &&&Group| over.run != group.run || over.id.variant != CellId::BASE;
            rows.push(MarginRow {
                system: group.id.system.clone(),
                backbone: group.id.backbone.clone(),
                variant: group.id.variant.clone(),
                run: results.runs[group.run].name.clone(),
                over: over.as_ref().filter(elsewhere).map(|over| over.label()),
                seeds: seeds(group),
                metric: metric.name(),
                margin: ShownMargin::new(difference),
                paper: paper(published, group.id, &margins.reference, metric),
                origin: Origin::new(&[Some(*group), *over].into_iter().flatten().collect::<Vec<_>>()),
            });
        }
    }
    let mut notes = margins.notes.clone();
    notes.extend(published.iter().filter_map(|paper| range(paper, &margins.reference)));
    MarginTable {
        reference: margins.reference.clone(),
        variants: margins.groups.iter().any(|margins| margins.group.id.variant != CellId::BASE),
        runs: results.runs.len() > 1,
        published: !published.is_empty(),
        resamples,
        rows,
        notes,
    }
}

fn system(name: &str, variant: &str) -> System {
    System { system: name.to_owned(), variant: variant.to_owned() }
}

/// The paper's margin, or that there is none: on other backbones than the paper's, or not known here.
fn paper(published: &[Published], id: &CellId, reference: &str, metric: Metric) -> String {
    let (ours, over) = (system(&id.system, &id.variant), system(reference, CellId::BASE));
    match published.iter().find_map(|paper| paper.margin(&ours, &over, &id.backbone, metric.key())) {
        Some(margin) => signed(margin),
        None if published.iter().any(|paper| paper.backbones().contains(&id.backbone.as_str())) => {
            "not known here".to_owned()
        }
        None => "not in the paper".to_owned(),
    }
}

/// How far apart a paper's own margins over the reference are, over its backbones.
fn range(paper: &Published, reference: &str) -> Option<String> {
    let over = system(reference, CellId::BASE);
    let first = &paper.margins.iter().find(|margin| margin.over == over)?.system;
    let backbones: Vec<&str> = paper.backbones();
    let parts: Vec<String> = Metric::MAIN
        .iter()
        .filter_map(|metric| {
            let found = backbones.iter().filter_map(|backbone| paper.margin(first, &over, backbone, metric.key()));
            let (low, high) = found.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), m| (a.min(m), b.max(m)));
            (low <= high).then(|| format!("{} {} to {}", metric.key(), signed(low), signed(high)))
        })
        .collect();
    let (last, rest) = parts.split_last()?;
    let all = if rest.is_empty() { last.clone() } else { format!("{} and {last}", rest.join(", ")) };
    Some(format!(
        "The paper has {} ({}), full-size data and schedules; there {first} is ahead of {over} by these points: {all}.",
        crate::number::count(backbones.len(), "backbone"),
        backbones.join(", ")
    ))
}

/// `tables/margins.csv`: all five metrics, full precision; `missing` says why a margin isn't there.
pub(crate) fn margins_csv(results: &Results, margins: &Margins, published: &[Published]) -> String {
    let header = [
        "run",
        "system",
        "backbone",
        "variant",
        "over",
        "over_variant",
        "over_run",
        "seeds",
        "metric",
        "images",
        "value_percent",
        "over_percent",
        "margin_points",
        "margin_std_points",
        "low_points",
        "high_points",
        "p",
        "q",
        "minimum_detectable_points",
        "tolerance_points",
        "verdict",
        "paper_points",
        "missing",
    ];
    let text = |text: &str| Field::Text(text.to_owned());
    let rows = margins.groups.iter().flat_map(|margins_of| {
        Metric::ALL.iter().zip(&margins_of.differences).map(move |(metric, difference)| {
            let GroupMargins { group, over, .. } = margins_of;
            let row = difference.as_ref().ok();
            let number = |of: fn(&Row) -> f64| row.map_or(Field::Empty, |row| Field::Number(of(row)));
            let (ours, than) = (system(&group.id.system, &group.id.variant), system(&margins.reference, CellId::BASE));
            let paper = published.iter().find_map(|p| p.margin(&ours, &than, &group.id.backbone, metric.key()));
            vec![
                text(&results.runs[group.run].name),
                text(&group.id.system),
                text(&group.id.backbone),
                text(&group.id.variant),
                text(&margins.reference),
                over.map_or(Field::Empty, |over| text(&over.id.variant)),
                over.map_or(Field::Empty, |over| text(&results.runs[over.run].name)),
                text(&row.map_or_else(String::new, |row| {
                    row.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
                })),
                text(metric.key()),
                row.map_or(Field::Empty, |row| Field::Count(row.images as u64)),
                number(|row| row.value),
                number(|row| row.baseline),
                number(|row| row.delta),
                row.and_then(|row| row.delta_deviation).map_or(Field::Empty, Field::Number),
                number(|row| row.low),
                number(|row| row.high),
                number(|row| row.p),
                number(|row| row.q),
                number(|row| row.minimum_detectable),
                number(|row| row.tolerance),
                row.map_or(Field::Empty, |row| text(&row.verdict.to_string())),
                paper.map_or(Field::Empty, Field::Number),
                text(difference.as_ref().err().map_or("", String::as_str)),
            ]
        })
    });
    csv(&header, rows)
}
