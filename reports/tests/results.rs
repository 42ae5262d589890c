//! What a report says of results: margins that are those of `compare`, the paper's beside them, ablations, figure 1 and claims; of stores
//! whose predictions are drawn with a skill that is known.

mod drawn;
mod fixture;

use std::path::{Path, PathBuf};

use adamv_reports::claims::{Claim, Claims, Margin, Published, System, Test};
use adamv_reports::compare::{CompareOptions, Question, compare};
use adamv_reports::{Metric, Report, ReportOptions, load, render};
use adamv_store::{CellId, Progress, Status};
use drawn::{Random, SKILL, classes, matches};
use fixture::{Fate, HOSTILE, done, ends, failed, predicted, store};
use serde_json::json;

const RESAMPLES: usize = 300;

/// A system or variant with its skill: of 1,000 images and 60 with objects.
struct Drawn<'a> {
    name: &'a str,
    skill: f64,
    seeds: u64,
}

fn system(name: &str) -> System {
    let (system, variant) = name.split_once('/').unwrap_or((name, "base"));
    System { system: system.into(), variant: variant.into() }
}

fn id(name: &str, backbone: &str, seed: u64) -> CellId {
    let System { system, variant } = system(name);
    CellId { suite: "smoke".into(), system, backbone: backbone.into(), variant, seed }
}

/// A run of these systems on a backbone, with more cells that aren't done.
fn run(dir: &Path, name: &str, backbone: &str, systems: &[Drawn], more: Vec<Fate>) -> PathBuf {
    let cells: Vec<(CellId, f64)> = systems
        .iter()
        .flat_map(|drawn| (0..drawn.seeds).map(move |seed| (id(drawn.name, backbone, seed), drawn.skill)))
        .collect();
    let record = |(id, skill): &(CellId, f64)| {
        let wobble = 0.004 * id.seed as f64;
        ends(done(id.clone(), 0.55 + 0.25 * skill + wobble, 0.5 * skill - wobble, 0.3 * skill))
    };
    let path = store(dir, name, cells.iter().map(record).chain(more).collect());
    for (number, (id, skill)) in cells.iter().enumerate() {
        let mut random = Random(number as u64 + 100);
        let found = (classes(1000, *skill, &mut random), matches(60, *skill, &mut random));
        predicted(&path, id, &found.0, &found.1);
    }
    path
}

const THREE: [Drawn; 3] = [
    Drawn { name: "mtl-vit", skill: SKILL, seeds: 2 },
    Drawn { name: "taps", skill: SKILL - 0.05, seeds: 2 },
    Drawn { name: "adamv-moe", skill: SKILL + 0.4, seeds: 2 },
];

/// The paper has two backbones here.
fn published() -> Published {
    let margin = |over: &str, backbone: &str, accuracy, ap| Margin {
        system: system("adamv-moe"),
        over: system(over),
        backbone: backbone.into(),
        accuracy: Some(accuracy),
        AP: Some(ap),
        APmask: None,
        source: "s".into(),
    };
    Published {
        name: "p".into(),
        title: "P".into(),
        data: "d".into(),
        margins: vec![
            margin("mtl-vit", "vit-small-star", 4.69, 2.69),
            margin("mtl-vit", "vit-small", 9.06, 0.73),
            margin("adamv-moe/without-aes", "vit-small-star", 0.95, 0.43),
        ],
        activated_parameters: Vec::new(),
    }
}

fn options() -> ReportOptions {
    ReportOptions { published: vec![published()], resamples: RESAMPLES, ..ReportOptions::default() }
}

fn report(runs: &[&Path], options: &ReportOptions) -> Report {
    render(&load(runs).unwrap(), options).unwrap()
}

/// Rows of a table whose fields have no comma, by the names of its header.
fn table(report: &Report, name: &str) -> Vec<std::collections::BTreeMap<String, String>> {
    let text = &report.tables.iter().find(|(other, _)| other == name).unwrap().1;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let row =
        |line: &str| header.iter().map(|name| (*name).to_owned()).zip(line.split(',').map(str::to_owned)).collect();
    lines.map(row).collect()
}

/// Lines of the Markdown that hold all of the words.
fn lines<'r>(report: &'r Report, words: &[&str]) -> Vec<&'r str> {
    report.markdown.lines().filter(|line| words.iter().all(|word| line.contains(word))).collect()
}

#[test]
fn margins_are_those_of_compare_against_the_reference() {
    let dir = tempfile::tempdir().unwrap();
    let path = run(dir.path(), "drawn", "vit-micro", &THREE, Vec::new());
    let report = report(&[&path], &options());
    let reference = Question::Reference { reference: "mtl-vit".into() };
    let wanted =
        compare(&path, &path, &CompareOptions { question: reference, resamples: RESAMPLES, ..Default::default() })
            .unwrap();
    let rows = table(&report, "margins");
    assert_eq!((rows.len(), wanted.rows.len()), (10, 10));
    for (row, wanted) in rows.iter().zip(&wanted.rows) {
        let number = |name: &str| row[name].parse::<f64>().unwrap();
        assert_eq!((row["system"].as_str(), row["metric"].as_str()), (wanted.system.as_str(), wanted.metric));
        for (name, wanted) in [
            ("value_percent", wanted.value),
            ("over_percent", wanted.baseline),
            ("margin_points", wanted.delta),
            ("low_points", wanted.low),
            ("high_points", wanted.high),
            ("q", wanted.q),
            ("tolerance_points", wanted.tolerance),
        ] {
            assert_eq!(number(name), wanted, "{name} of {row:?}");
        }
        assert_eq!(row["verdict"], wanted.verdict.to_string());
    }
    // The page shows what the table holds.
    let shown = wanted.rows[5].shown();
    let line = lines(&report, &["| adamv-moe | vit-micro | 0, 1 | Accuracy |"])[0];
    assert!(line.contains(&shown.interval.replace('[', "\\[").replace(']', "\\]")), "{line}\n{}", shown.interval);
    assert!(line.contains("**better**"), "{line}");
    assert!(report.html.contains("of 300 resamples") && report.markdown.contains("of 300 resamples"));
}

#[test]
fn the_papers_margin_stands_beside_ours_on_its_backbones_alone() {
    let dir = tempfile::tempdir().unwrap();
    let ours = |name: &str, backbone: &str| run(dir.path(), name, backbone, &THREE, Vec::new());
    let (small, micro) = (ours("small", "vit-small"), ours("micro", "vit-micro"));
    let report = report(&[&small, &micro], &options());
    let end = |system: &str, backbone: &str, metric: &str| {
        let start = format!("| {system} | {backbone} |");
        let rows = lines(&report, &[&start, &format!(" | {metric} |")]);
        assert_eq!(rows.len(), 1, "{start} {metric}");
        rows[0].trim_end_matches(" |").rsplit(" | ").next().unwrap().to_owned()
    };
    assert_eq!(end("adamv-moe", "vit-small", "Accuracy"), "+9.06");
    assert_eq!(end("adamv-moe", "vit-small", "AP"), "+0.73");
    assert_eq!(end("adamv-moe", "vit-small", "APmask"), "not known here");
    assert_eq!(end("taps", "vit-small", "Accuracy"), "not known here");
    assert_eq!(end("adamv-moe", "vit-micro", "Accuracy"), "not in the paper");
    // The range over the paper's backbones, by hand from `published`.
    assert!(report.markdown.contains("accuracy +4.69 to +9.06 and AP +0.73 to +2.69"), "{}", report.markdown);
    let rows = table(&report, "margins");
    let papers = |backbone: &str| {
        let of = |row: &&std::collections::BTreeMap<String, String>| {
            row["system"] == "adamv-moe" && row["backbone"] == backbone && row["metric"] == "accuracy"
        };
        rows.iter().find(of).unwrap()["paper_points"].clone()
    };
    assert_eq!((papers("vit-small").as_str(), papers("vit-micro").as_str()), ("9.06", ""));
    // Without a published file there is no such column.
    let without = ReportOptions { published: Vec::new(), notes: vec!["No file.".into()], ..options() };
    let without = crate::report(&[&small], &without);
    assert!(!without.markdown.contains("The paper's (points)") && without.markdown.contains("- No file."));
}

/// A summary that says who wins by the margins' verdicts: 0.4 of skill on a quarter of the images is 10 points, taps' 0.05 one.
#[test]
fn the_summary_says_who_wins_and_who_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let wins = report(&[&run(dir.path(), "wins", "vit-micro", &THREE, Vec::new())], &options());
    assert!(wins.markdown.contains("adamv-moe wins over mtl-vit in"), "{}", wins.markdown);
    assert!(wins.markdown.contains("It has the highest mean in accuracy, AP and APmask."), "{}", wins.markdown);
    let equal =
        [Drawn { name: "adamv-moe", skill: SKILL - 0.02, seeds: 2 }, Drawn { name: "mtl-vit", skill: SKILL, seeds: 2 }];
    let loses = report(&[&run(dir.path(), "loses", "vit-micro", &equal, Vec::new())], &options());
    assert!(loses.markdown.contains("adamv-moe does not win over mtl-vit"), "{}", loses.markdown);
    assert!(loses.markdown.contains("none of accuracy, AP and APmask"), "{}", loses.markdown);
    let alone = report(&[&run(dir.path(), "alone", "vit-micro", &THREE[..2], Vec::new())], &options());
    assert!(alone.markdown.contains("adamv-moe was not run here."), "{}", alone.markdown);
}

#[test]
fn what_is_not_done_is_named_in_every_table() {
    let dir = tempfile::tempdir().unwrap();
    let stopped = Progress { step: 120, steps: 400, phase: "joint".into() };
    let more = vec![
        failed(id("adamv-moe", "vit-micro", 2), "step 7: NaN"),
        Fate::Stops(id("mtl-moe", "vit-micro", 0), Some(stopped)),
        failed(id("stl", "vit-micro", 0), "no space"),
    ];
    let report = report(&[&run(dir.path(), "drawn", "vit-micro", &THREE, more)], &options());
    for words in [
        &["| adamv-moe | vit-micro | 0, 1, 2 (failed) | 0.47"][..],
        &["| mtl-moe | vit-micro | 0 (unfinished) | — (unfinished)"],
        &["| stl | vit-micro | 0 (failed) | — (failed)"],
        &["| stl | vit-micro | 0 (failed) | Accuracy | — (failed) | — | — | not compared |"],
        &["| mtl-moe | vit-micro | 0 (unfinished) | APmask | — (unfinished) |"],
    ] {
        assert_eq!(lines(&report, words).len(), 1, "{words:?} in\n{}", report.markdown);
    }
    assert!(report.html.contains("(failed)</td>") && report.html.contains("(unfinished)</td>"));
    let missing: Vec<String> = table(&report, "margins").iter().map(|row| row["missing"].clone()).collect();
    assert!(missing.contains(&"failed".into()) && missing.contains(&"unfinished".into()), "{missing:?}");
    // No reference: said, for each metric.
    let none = crate::report(&[&run(dir.path(), "none", "vit-micro", &THREE[1..2], Vec::new())], &options());
    assert_eq!(lines(&none, &["| taps |", "— (no reference)"]).len(), 3, "{}", none.markdown);
    // Records without stored predictions, as of older versions.
    let bare = store(
        dir.path(),
        "bare",
        vec![
            ends(done(id("mtl-vit", "vit-micro", 0), 0.5, 0.1, 0.1)),
            ends(done(id("taps", "vit-micro", 0), 0.5, 0.1, 0.1)),
        ],
    );
    let bare = crate::report(&[&bare], &options());
    assert_eq!(lines(&bare, &["| taps |", "— (no predictions of single images)"]).len(), 3, "{}", bare.markdown);
    assert!(bare.markdown.contains("record.json is deleted"), "the mend");
}

#[test]
fn numbers_lead_to_their_cells_and_seeds_stand_together() {
    let dir = tempfile::tempdir().unwrap();
    // The plan goes seed by seed: in the table of cells seeds of a system follow each other.
    let mut fates = Vec::new();
    for seed in 0..2 {
        for name in ["mtl-vit", "adamv-moe"] {
            fates.push(ends(done(id(name, "vit-micro", seed), 0.5, 0.25, 0.125)));
        }
    }
    let html = report(&[&store(dir.path(), "run", fates)], &options()).html;
    let main = html.split_once("id=\"results\"").unwrap().1.split_once("</table>").unwrap().0;
    let body = main.split_once("<tbody>").unwrap().1;
    let rows: Vec<&str> = body.split("<tr>").skip(1).collect();
    assert_eq!(rows.len(), 2);
    // The cells of adamv-moe are the second and the fourth of the plan.
    let adamv = rows[1];
    let from = "href=\"#cell-2\" title=\"from adamv-moe-vit-micro-s0, adamv-moe-vit-micro-s1\"";
    assert_eq!(adamv.matches(from).count(), 4 + 5, "every cost and metric: {adamv}");
    let cells = html.split_once("<section id=\"cells\"").unwrap().1.split_once("</table>").unwrap().0;
    let order: Vec<&str> = cells.split("<tr id=\"").skip(1).map(|row| row.split('"').next().unwrap()).collect();
    assert_eq!(order, ["cell-1", "cell-3", "cell-2", "cell-4"]);
    let own = cells.split_once("<tr id=\"cell-2\">").unwrap().1.split_once("</tr>").unwrap().0;
    for number in ["50.00", "25.00", "45.00", "22.50", "12.50"] {
        assert!(own.contains(&format!(">{number}</td>")), "{number} in {own}");
    }
}

#[test]
fn ablations_stand_in_the_papers_order_and_name_what_was_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let drawn = |name: &'static str, skill| Drawn { name, skill: SKILL + skill, seeds: 2 };
    let systems = [
        drawn("adamv-moe", 0.4),
        drawn("adamv-moe/without-aes", 0.0),
        drawn("mtl-vit", -0.2),
        drawn("adamv-moe/experts-16", 0.0),
        drawn("adamv-moe/experts-4", 0.0),
        drawn("adamv-moe/late", 0.0),
        drawn("adamv-moe/early", 0.0),
    ];
    let star = report(&[&run(dir.path(), "star", "vit-small-star", &systems, Vec::new())], &options());
    let rows = table(&star, "ablations");
    let of = |name: &str| -> Vec<String> {
        let rows = rows.iter().filter(|row| row["table"] == name && row["metric"] == "accuracy");
        rows.map(|row| format!("{}/{}: {}", row["system"], row["variant"], row["status"])).collect()
    };
    // `row` of table 3 holds a comma: its columns are looked at in the Markdown.
    let of_3: Vec<&str> = star
        .markdown
        .lines()
        .skip_while(|line| !line.starts_with("### Table 3"))
        .take_while(|line| !line.starts_with("### Table 4"))
        .filter(|line| line.starts_with("| ") && !line.starts_with("| -") && !line.starts_with("| Row"))
        .map(|line| line.split(" | ").nth(1).unwrap())
        .collect();
    assert_eq!(of_3, ["mtl-vit", "adamv-moe, shared-router", "adamv-moe, without-aes", "adamv-moe", "mtl-moe"]);
    assert_eq!(
        of("Table 4"),
        [
            "adamv-moe/experts-4: run",
            "adamv-moe/base: run",
            "adamv-moe/experts-16: run",
            "adamv-moe/experts-32: not run"
        ]
    );
    assert_eq!(
        of("Table 5"),
        ["adamv-moe/early: run", "adamv-moe/middle: not run", "adamv-moe/late: run", "adamv-moe/base: run"]
    );
    assert!(star.markdown.contains("| 1 expert, which is MTL-ViT | adamv-moe, experts-1 | not run |"));
    assert_eq!(lines(&star, &["| MTL-MoE (M3ViT) | mtl-moe | not run |"]).len(), 1);
    // The paper's margin over the row, on its backbone.
    let line = lines(&star, &["| adamv-moe, without-aes |"])[0];
    assert!(line.contains("the paper's: +0.95") && line.contains("the paper's: +0.43"), "{line}");
    // Differences are those of compare against the row: the base stands against itself nowhere.
    assert_eq!(lines(&star, &["| adamv-moe | 0, 1 |", "; "]).len(), 0, "{}", star.markdown);
    let line = lines(&star, &["| MTL-ViT, no experts |"])[0];
    assert!(line.contains("**better**"), "{line}");
    // Elsewhere the paper's numbers stand below.
    let micro = report(&[&run(dir.path(), "micro", "vit-micro", &systems, Vec::new())], &options());
    assert!(!lines(&micro, &["| adamv-moe, without-aes |"])[0].contains("the paper's"));
    let below = "on vit-small-star: adamv-moe is ahead by these points: over mtl-vit accuracy +4.69, AP +2.69; over adamv-moe (without-aes) accuracy +0.95, AP +0.43.";
    assert!(micro.markdown.contains(below), "{}", micro.markdown);
    // No variants, no tables.
    let none = report(&[&run(dir.path(), "none", "vit-micro", &THREE, Vec::new())], &options());
    assert!(!none.markdown.contains("Ablations") && !none.tables.iter().any(|(name, _)| name == "ablations"));
}

/// Budgets differ, and so do protocols: rows are in the order of their steps, and not held against each other.
#[test]
fn training_steps_are_ordered_by_their_number() {
    let dir = tempfile::tempdir().unwrap();
    let cell = |name: &str, steps: u64| {
        let mut record = done(id(name, "vit-micro", 0), 0.5, 0.1, 0.1);
        record.protocol_key = format!("{steps:016}");
        record.config = json!({"training": {"joint": {"steps": steps}}});
        ends(record)
    };
    let cells = vec![
        cell("adamv-moe", 500),
        cell("adamv-moe/steps-1000", 1000),
        cell("adamv-moe/steps-250", 250),
        cell("mtl-vit/steps-250", 250),
    ];
    let report = report(&[&store(dir.path(), "steps", cells)], &options());
    let rows: Vec<&str> = report.markdown.lines().filter(|line| line.contains(" steps | ")).collect();
    let starts: Vec<String> = rows.iter().map(|row| row.split(" | ").take(2).collect::<Vec<_>>().join(" | ")).collect();
    assert_eq!(
        starts,
        [
            "| 250 steps | adamv-moe, steps-250",
            "| 500 steps | adamv-moe",
            "| 1000 steps | adamv-moe, steps-1000",
            "| 250 steps | mtl-vit, steps-250",
            "| 500 steps | mtl-vit",
            "| 1000 steps | mtl-vit, steps-1000"
        ],
        "{}",
        report.markdown
    );
    assert!(rows[4].contains("| not run |") && rows[1].contains("| 50.00 |"), "{rows:?}");
    assert!(report.markdown.contains("Budgets differ on purpose"));
    // A summary of each protocol by its name.
    assert!(report.markdown.contains("**vit-micro, protocol 00000000 ("), "{}", report.markdown);
}

/// Positions of figure 1 by hand: of three systems the most accurate is highest, the one with the best AP furthest right, and four
/// times the MACs are twice the radius.
#[test]
fn figure_1_has_a_marker_per_system() {
    let dir = tempfile::tempdir().unwrap();
    let cell = |name: &str, top1, ap, macs| {
        let mut record = done(id(name, "vit-micro", 0), top1, ap, ap);
        record.cost.iter_mut().for_each(|cost| cost.macs = Some(macs));
        ends(record)
    };
    let cells = vec![
        cell("stl", 0.6, 0.3, 400_000_000),
        cell("mtl-vit", 0.7, 0.2, 100_000_000),
        cell("adamv-moe", 0.8, 0.1, 100_000_000),
        failed(id("taps", "vit-micro", 0), "no"),
    ];
    let report = report(&[&store(dir.path(), "run", cells)], &options());
    let (name, svg) = &report.figures[0];
    assert_eq!(name, "figure-1-1-vit-micro");
    let circles: Vec<[f64; 3]> = svg
        .split("<circle ")
        .skip(1)
        .map(|circle| {
            ["cx=\"", "cy=\"", "r=\""]
                .map(|name| circle.split_once(name).unwrap().1.split('"').next().unwrap().parse().unwrap())
        })
        .collect();
    let star: Vec<f64> = svg.split_once("points=\"").map_or(Vec::new(), |_| {
        let polygon = svg.split_once("<polygon ").unwrap().1.split_once("points=\"").unwrap().1;
        polygon.split('"').next().unwrap().split([' ', ',']).filter_map(|n| n.parse().ok()).collect()
    });
    assert_eq!((circles.len(), star.len()), (2, 20), "{svg}");
    let [stl, mtl] = [circles[0], circles[1]];
    let mean = |from: usize| star.iter().skip(from).step_by(2).sum::<f64>() / 10.0;
    let (x, y) = (mean(0), mean(1));
    assert!(y < mtl[1] && mtl[1] < stl[1], "accuracy goes up: {y} {circles:?}");
    assert!(x < mtl[0] && mtl[0] < stl[0], "AP goes right: {x} {circles:?}");
    // Linear axes: the middle of the three is in the middle.
    assert!(
        (mtl[0] - 0.5 * (x + stl[0])).abs() <= 2.0 && (mtl[1] - 0.5 * (y + stl[1])).abs() <= 2.0,
        "{x} {y} {circles:?}"
    );
    assert!((stl[2] / mtl[2] - 2.0).abs() < 0.15, "{circles:?}");
    for label in ["stl", "mtl-vit", "adamv-moe"] {
        assert_eq!(svg.matches(&format!("\n{label}\n")).count(), 1, "{label} in {svg}");
    }
    assert!(
        svg.contains("accuracy 80.00%, mean of AP and APmask 10.00%, 200 M MACs")
            && svg.contains("prefers-color-scheme:dark")
    );
    assert!(report.markdown.contains("200 to 800 M here") && report.html.contains(svg.as_str()));
}

#[test]
fn claims_are_judged_by_all_runs_together() {
    let dir = tempfile::tempdir().unwrap();
    let better = |than: &str| Test::Better {
        system: vec![system("adamv-moe")],
        than: vec![system(than)],
        metrics: vec![Metric::Accuracy],
    };
    let claim = |id: &str, test| Claim { id: id.into(), says: format!("={HOSTILE} {id}."), source: "t".into(), test };
    let claims = Claims { claims: vec![claim("won", better("mtl-vit")), claim("absent", better("mtl-moe"))] };
    let options = ReportOptions { claims: Some(claims), ..options() };
    let path = run(dir.path(), "drawn", "vit-micro", &THREE, Vec::new());
    let report = report(&[&path], &options);
    let counts = "1 supported, 0 contradicted, 0 undecided, 1 not run";
    assert!(report.html.contains(counts) && report.markdown.contains(counts), "{}", report.markdown);
    assert_eq!(report.html.matches("<details class=\"claim\">").count(), 2);
    assert!(report.html.contains("no run has both adamv-moe and mtl-moe"));
    assert!(!report.html.contains("<img") && !report.markdown.contains("<img"));
    let rows = table(&report, "claims");
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row["says"].starts_with("'=<img")), "{rows:?}");
    assert_eq!(rows[0]["verdict"], "supported");
}

#[test]
fn several_runs_share_their_reference_and_count_the_same_cells_once() {
    let dir = tempfile::tempdir().unwrap();
    let one = run(dir.path(), "one", "vit-micro", &THREE, Vec::new());
    // The same three again, in a folder of the same name: another suite's copy of the same cells.
    let two = run(&dir.path().join("again"), "one", "vit-micro", &THREE, Vec::new());
    let both = report(&[&one, &two], &options());
    assert!(
        both.markdown.contains("| adamv-moe | vit-micro | one | ")
            && both.markdown.contains("| adamv-moe | vit-micro | one 2 | ")
    );
    assert!(
        both.markdown.contains("count once here and in figure 1: mtl-vit (one 2), taps (one 2), adamv-moe (one 2).")
    );
    assert_eq!(both.markdown.matches("wins over").count(), 1, "{}", both.markdown);
    assert_eq!(both.figures[0].1.matches("<circle ").count(), 2, "{}", both.figures[0].1);
    // A run without the reference takes another's of the same protocol, and says so.
    let rest = run(dir.path(), "rest", "vit-micro", &[Drawn { name: "mtl-moe", skill: SKILL, seeds: 2 }], Vec::new());
    let borrowed = report(&[&one, &rest], &options());
    assert_eq!(lines(&borrowed, &["| mtl-moe |", "(over mtl-vit (one))"]).len(), 3, "{}", borrowed.markdown);
    let rows = table(&borrowed, "margins");
    let row = rows.iter().find(|row| row["system"] == "mtl-moe").unwrap();
    assert_eq!((row["run"].as_str(), row["over_run"].as_str()), ("rest", "one"));
}

#[test]
fn the_same_bytes_on_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let systems = [
        Drawn { name: "mtl-vit", skill: SKILL, seeds: 2 },
        Drawn { name: "adamv-moe", skill: SKILL, seeds: 2 },
        Drawn { name: "adamv-moe/without-aes", skill: SKILL, seeds: 2 },
    ];
    let path = run(dir.path(), "drawn", "vit-micro", &systems, Vec::new());
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| report(&[&path], &options()))
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn hostile_names_stay_text_in_margins_ablations_and_figures() {
    let dir = tempfile::tempdir().unwrap();
    let formula = "=HYPERLINK(1)";
    let cell = |name: &str, variant: &str| {
        let mut record = done(id(name, HOSTILE, 0), 0.5, 0.1, 0.1);
        record.cell.variant = variant.into();
        record
    };
    let mut cells = vec![
        cell("mtl-vit", "base"),
        cell(HOSTILE, "base"),
        cell(formula, formula),
        cell("adamv-moe", "without-aes"),
        cell("adamv-moe", &format!("steps-{HOSTILE}")),
        cell("adamv-moe", "base"),
    ];
    cells[3].status = Status::Failed;
    cells[3].error = Some(HOSTILE.into());
    let path = store(dir.path(), "hostile", cells.into_iter().map(ends).collect());
    let report = report(&[&path], &options());
    let figures = report.figures.iter().map(|(_, svg)| svg);
    let markdown: String = report.markdown.lines().filter(|line| !line.starts_with("    ")).collect();
    for text in [&report.html, &markdown].into_iter().chain(figures) {
        assert!(!text.contains("<img") && text.contains("&lt;img"), "{text}");
    }
    assert!(report.figures[0].0.starts_with("figure-1-1-"), "{}", report.figures[0].0);
    for (name, text) in &report.tables {
        let starts = |c: char| text.split(['\n', ',']).any(|field| field.starts_with(c) && field.len() > 1);
        assert!(!starts('=') && !starts('@') && !starts('+'), "{name}: {text}");
    }
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    for (above, line) in report.markdown.lines().zip(report.markdown.lines().skip(1)) {
        assert!(above.is_empty() || columns(above) == columns(line) || !line.starts_with('|'), "{above}\n{line}");
    }
}
