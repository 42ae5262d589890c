//! The paper's ablations, where a run has their variants: tables 3 (routers and adaptive expert selection), 4 (experts), 5 (blocks with
//! experts) and appendix A2 (training steps). A table is of one run and backbone, in the paper's order; what it lacks is named.

use adamv_store::CellId;
use serde::Serialize;

use crate::claims::{Published, System};
use crate::compare::{Noted, Row};
use crate::csv::{Field, csv};
use crate::error::Result;
use crate::group::{Group, Metric, first_seen};
use crate::margins::ShownMargin;
use crate::number::signed;
use crate::paired::{Difference, Pairing, judge_together, notes};
use crate::table::{Origin, Seed, Shown, costs, seeds};

/// The system whose variants they are.
const SUBJECT: &str = "adamv-moe";
/// What the paper's tables 3 and 4 were trained with.
const PAPERS: &str = "vit-small-star";

#[derive(Debug, Serialize)]
pub(crate) struct Ablation {
    /// Part of ids.
    pub name: String,
    pub title: String,
    /// Titles of costs and metrics.
    pub costs: Vec<String>,
    pub metrics: Vec<&'static str>,
    /// Whether rows are held against the subject; not where budgets differ on purpose.
    pub margins: bool,
    pub subject: &'static str,
    pub rows: Vec<AblationRow>,
    pub notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct AblationRow {
    /// What it is, in the paper's words.
    pub what: String,
    pub system: String,
    pub variant: String,
    /// False where the run has no such cell; there is nothing else then.
    pub run: bool,
    pub seeds: Vec<Seed>,
    pub costs: Vec<Shown>,
    /// By [`Metric::ALL`].
    pub metrics: Vec<MetricCell>,
    pub origin: Origin,
}

#[derive(Debug, Serialize)]
pub(crate) struct MetricCell {
    pub shown: Shown,
    /// The subject minus this row, of [`Metric::MAIN`]; none for the subject itself.
    pub margin: Option<RowMargin>,
}

#[derive(Debug, Serialize)]
pub(crate) struct RowMargin {
    pub shown: ShownMargin,
    /// The paper's, where it is of this backbone.
    pub paper: Option<String>,
    pub paper_points: Option<f64>,
}

/// A table and what its CSV needs.
pub(crate) struct Table {
    pub shown: Ablation,
    run: String,
    backbone: String,
    /// By row and [`Metric::ALL`], none for what the paper has no margins of; empty where nothing is held against a row.
    differences: Vec<Vec<Option<Difference>>>,
}

/// A row that the paper has.
struct Wanted {
    what: String,
    system: String,
    variant: String,
}

fn wanted(what: impl Into<String>, system: &str, variant: &str) -> Wanted {
    Wanted { what: what.into(), system: system.to_owned(), variant: variant.to_owned() }
}

/// One of the paper's tables.
struct Kind {
    name: &'static str,
    title: &'static str,
    margins: bool,
    /// Its rows, of the groups of one run and backbone; none where no group is of it.
    rows: fn(&[&Group]) -> Option<Vec<Wanted>>,
}

const KINDS: [Kind; 4] = [
    Kind {
        name: "table-3",
        title: "Table 3: a router for each task, adaptive expert selection",
        margins: true,
        rows: routers,
    },
    Kind { name: "table-4", title: "Table 4: number of experts", margins: true, rows: experts },
    Kind { name: "table-5", title: "Table 5: blocks with experts", margins: true, rows: positions },
    Kind { name: "a2", title: "Appendix A2: training steps", margins: false, rows: steps },
];

fn has(groups: &[&Group], variants: &[&str]) -> bool {
    groups.iter().any(|group| group.id.system == SUBJECT && variants.contains(&group.id.variant.as_str()))
}

fn routers(groups: &[&Group]) -> Option<Vec<Wanted>> {
    has(groups, &["shared-router", "without-aes"]).then(|| {
        vec![
            wanted("MTL-ViT, no experts", "mtl-vit", CellId::BASE),
            wanted("one router for both tasks, fixed K", SUBJECT, "shared-router"),
            wanted("a router per task, fixed K", SUBJECT, "without-aes"),
            wanted("a router per task, K by AES (AdaMV-MoE)", SUBJECT, CellId::BASE),
            wanted("MTL-MoE (M3ViT)", "mtl-moe", CellId::BASE),
        ]
    })
}

fn experts(groups: &[&Group]) -> Option<Vec<Wanted>> {
    const VARIANT: &str = "experts-";
    let ours = groups.iter().filter(|group| group.id.system == SUBJECT);
    let mut found: Vec<u64> = ours.filter_map(|group| group.id.variant.strip_prefix(VARIANT)?.parse().ok()).collect();
    if found.is_empty() {
        return None;
    }
    // The paper's 8 are the base's.
    let base = number(groups, CellId::BASE, "/model/backbone/moe/experts").unwrap_or(8);
    found.extend([1, 4, 16, 32, base]);
    found.sort_unstable();
    found.dedup();
    let row = |count: u64| match count {
        1 => wanted("1 expert, which is MTL-ViT", SUBJECT, "experts-1"),
        _ if count == base => wanted(format!("{count} experts (AdaMV-MoE)"), SUBJECT, CellId::BASE),
        _ => wanted(format!("{count} experts"), SUBJECT, &format!("{VARIANT}{count}")),
    };
    Some(found.into_iter().map(row).collect())
}

fn positions(groups: &[&Group]) -> Option<Vec<Wanted>> {
    has(groups, &["early", "middle", "late"]).then(|| {
        vec![
            wanted("the first half of the blocks", SUBJECT, "early"),
            wanted("the middle half", SUBJECT, "middle"),
            wanted("the last half", SUBJECT, "late"),
            wanted("every second block (AdaMV-MoE)", SUBJECT, CellId::BASE),
        ]
    })
}

/// Which lengths the paper has isn't known here: the rows are the run's.
fn steps(groups: &[&Group]) -> Option<Vec<Wanted>> {
    let is_steps = |variant: &str| variant.starts_with("steps-");
    if !groups.iter().any(|group| is_steps(&group.id.variant)) {
        return None;
    }
    let of = |variant: &str| number(groups, variant, "/training/joint/steps");
    let variants = first_seen(groups.iter().map(|group| group.id.variant.as_str()));
    let mut variants: Vec<&str> =
        variants.into_iter().filter(|variant| is_steps(variant) || *variant == CellId::BASE).collect();
    // The base's length is known from a record of it only; without one it comes last.
    variants.sort_by_key(|variant| (of(variant).unwrap_or(u64::MAX), *variant == CellId::BASE, variant.to_string()));
    let systems = first_seen(groups.iter().filter(|g| is_steps(&g.id.variant)).map(|g| g.id.system.as_str()));
    let row = |system: &str, variant: &str| {
        let what = of(variant).map_or_else(|| variant.to_owned(), |steps| format!("{steps} steps"));
        wanted(what, system, variant)
    };
    Some(systems.iter().flat_map(|system| variants.iter().map(move |variant| row(system, variant))).collect())
}

/// A number of the configuration of a variant's cells, of any system that has it.
fn number(groups: &[&Group], variant: &str, pointer: &str) -> Option<u64> {
    let records = groups.iter().filter(|group| group.id.variant == variant).flat_map(|group| group.done());
    records.filter_map(|record| record.config.pointer(pointer).and_then(|value| value.as_u64())).next()
}

/// The tables that the runs have cells of.
///
/// # Errors
/// Those of a comparison.
pub(crate) fn ablations(groups: &[Group], published: &[Published], pairing: &Pairing) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    for (number, run) in pairing.results.runs.iter().enumerate() {
        let of_run: Vec<&Group> = groups.iter().filter(|group| group.run == number).collect();
        for backbone in first_seen(of_run.iter().map(|group| group.id.backbone.as_str())) {
            let own: Vec<&Group> = of_run.iter().copied().filter(|group| group.id.backbone == backbone).collect();
            for kind in &KINDS {
                let Some(rows) = (kind.rows)(&own) else { continue };
                let name = format!("ablation-{}-{}", tables.len() + 1, kind.name);
                let title = if pairing.results.runs.len() > 1 {
                    format!("{} ({backbone}, {})", kind.title, run.name)
                } else {
                    format!("{} ({backbone})", kind.title)
                };
                let (shown, differences) = table(kind, [name, title], rows, &own, published, pairing)?;
                tables.push(Table { shown, run: run.name.clone(), backbone: backbone.to_owned(), differences });
            }
        }
    }
    Ok(tables)
}

fn table(
    kind: &Kind,
    [name, title]: [String; 2],
    rows: Vec<Wanted>,
    own: &[&Group],
    published: &[Published],
    pairing: &Pairing,
) -> Result<(Ablation, Vec<Vec<Option<Difference>>>)> {
    let group_of = |wanted: &Wanted| {
        let fits = |group: &&Group| group.id.system == wanted.system && group.id.variant == wanted.variant;
        own.iter().copied().find(fits)
    };
    let subject = group_of(&wanted("", SUBJECT, CellId::BASE));
    let mut noted = Noted::default();
    let mut differences = Vec::new();
    for row in &rows {
        let group = group_of(row).filter(|group| kind.margins && !subject.is_some_and(|s| std::ptr::eq(s, *group)));
        differences.push(match (group, subject) {
            (None, _) => Vec::new(),
            (Some(_), None) => main_alone(Metric::ALL.map(|_| Err(format!("{SUBJECT} was not run"))).into()),
            (Some(group), Some(subject)) => {
                let same = subject.protocol.is_some() && subject.protocol == group.protocol;
                let unfinished = subject.done().next().is_none() || group.done().next().is_none();
                let than = if same || unfinished { Ok(group) } else { Err("another protocol") };
                main_alone(pairing.differences(subject, than, &mut noted)?)
            }
        });
    }
    judge_together(differences.iter_mut().flatten().flatten());
    let backbone = own.first().map_or("", |group| group.id.backbone.as_str());
    let shown = rows.iter().zip(&differences).map(|(wanted, differences)| {
        let group = group_of(wanted);
        let margin = |metric, difference: &Difference| {
            let paper_points = papers(published, wanted, backbone, metric);
            RowMargin { shown: ShownMargin::new(difference), paper: paper_points.map(signed), paper_points }
        };
        let cell = |group: &Group, at: usize, metric: Metric| MetricCell {
            shown: Shown::new(group.metric(metric), false),
            margin: differences.get(at).and_then(Option::as_ref).map(|difference| margin(metric, difference)),
        };
        AblationRow {
            what: wanted.what.clone(),
            system: wanted.system.clone(),
            variant: wanted.variant.clone(),
            run: group.is_some(),
            seeds: group.map(seeds).unwrap_or_default(),
            costs: group.map(|group| costs(group).into_iter().take(2).collect()).unwrap_or_default(),
            metrics: group
                .map(|group| Metric::ALL.into_iter().enumerate().map(|(at, metric)| cell(group, at, metric)).collect())
                .unwrap_or_default(),
            origin: Origin::new(&group.into_iter().collect::<Vec<_>>()),
        }
    });
    let shown: Vec<AblationRow> = shown.collect();
    let mut notes = notes(noted, differences.iter().flatten().flatten());
    if kind.margins && backbone != PAPERS {
        notes.extend(elsewhere(kind, &rows, published));
    }
    if !kind.margins {
        notes.push(
            "Budgets differ on purpose, so rows of other lengths aren't held against each other; the paper's lengths and numbers aren't known here."
                .to_owned(),
        );
    }
    let ablation = Ablation {
        name,
        title,
        costs: crate::table::TASKS.map(|(_, task)| format!("Params {task}")).into(),
        metrics: Metric::ALL.map(Metric::name).into(),
        margins: kind.margins,
        subject: SUBJECT,
        rows: shown,
        notes,
    };
    Ok((ablation, differences))
}

/// Differences of the metrics that the paper gives margins for; the others aren't adjusted for either.
fn main_alone(all: Vec<Difference>) -> Vec<Option<Difference>> {
    let keep = |(metric, difference): (Metric, Difference)| Metric::MAIN.contains(&metric).then_some(difference);
    Metric::ALL.into_iter().zip(all).map(keep).collect()
}

/// The paper's margin of the subject over a row.
fn papers(published: &[Published], row: &Wanted, backbone: &str, metric: Metric) -> Option<f64> {
    let subject = System { system: SUBJECT.to_owned(), variant: CellId::BASE.to_owned() };
    let over = System { system: row.system.clone(), variant: row.variant.clone() };
    published.iter().find_map(|paper| paper.margin(&subject, &over, backbone, metric.key()))
}

/// What the paper's own table says, on its backbone; none where nothing of it is known.
fn elsewhere(kind: &Kind, rows: &[Wanted], published: &[Published]) -> Option<String> {
    let over = |row: &Wanted| {
        let of =
            |metric: &Metric| Some(format!("{} {}", metric.key(), signed(papers(published, row, PAPERS, *metric)?)));
        let margins: Vec<String> = Metric::MAIN.iter().filter_map(of).collect();
        let name = System { system: row.system.clone(), variant: row.variant.clone() };
        (!margins.is_empty()).then(|| format!("over {name} {}", margins.join(", ")))
    };
    let known: Vec<String> = rows.iter().filter_map(over).collect();
    let title = kind.title.split(':').next().unwrap_or_default().to_lowercase();
    (!known.is_empty())
        .then(|| format!("The paper, {title}, on {PAPERS}: {SUBJECT} is ahead by these points: {}.", known.join("; ")))
}

/// `tables/ablations.csv`: a line per row and metric; margins are of the subject over the row, where it is held against it.
pub(crate) fn ablations_csv(tables: &[Table]) -> String {
    let header = [
        "run",
        "table",
        "backbone",
        "row",
        "system",
        "variant",
        "status",
        "seeds_done",
        "metric",
        "value_percent",
        "value_std",
        "margin_points",
        "low_points",
        "high_points",
        "q",
        "verdict",
        "paper_points",
        "missing",
    ];
    let text = |text: &str| Field::Text(text.to_owned());
    let mut rows = Vec::new();
    for table in tables {
        for (row, differences) in table.shown.rows.iter().zip(&table.differences) {
            for (at, metric) in Metric::ALL.iter().enumerate() {
                let cell = row.metrics.get(at);
                let shown = cell.map(|cell| &cell.shown);
                let difference = differences.get(at).and_then(Option::as_ref);
                let paired = difference.and_then(|difference| difference.as_ref().ok());
                let number = |of: fn(&Row) -> f64| paired.map_or(Field::Empty, |row| Field::Number(of(row)));
                let why = |shown: &Shown| shown.missing.clone();
                let missing = shown.and_then(why).or_else(|| difference.and_then(|d| d.as_ref().err().cloned()));
                let paper = cell.and_then(|cell| cell.margin.as_ref()).and_then(|margin| margin.paper_points);
                rows.push(vec![
                    text(&table.run),
                    text(table.shown.title.split(':').next().unwrap_or_default()),
                    text(&table.backbone),
                    text(&row.what),
                    text(&row.system),
                    text(&row.variant),
                    text(if row.run { "run" } else { "not run" }),
                    Field::Count(row.seeds.iter().filter(|seed| seed.done).count() as u64),
                    text(metric.key()),
                    shown.and_then(|shown| shown.value).map_or(Field::Empty, Field::Number),
                    shown.and_then(|shown| shown.deviation).map_or(Field::Empty, Field::Number),
                    number(|row| row.delta),
                    number(|row| row.low),
                    number(|row| row.high),
                    number(|row| row.q),
                    paired.map_or(Field::Empty, |row| text(&row.verdict.to_string())),
                    paper.map_or(Field::Empty, Field::Number),
                    missing.map_or(Field::Empty, Field::Text),
                ]);
            }
        }
    }
    csv(&header, rows)
}
