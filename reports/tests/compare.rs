//! Comparisons of stores made by hand or drawn at random: what is called worse when it is, and only then.

mod drawn;
mod fixture;

use adamv_reports::ReportError;
use adamv_reports::compare::{
    CompareOptions, Comparison, Question, Row, Source, SourceCell, Test, Verdict, compare_sources,
};
use adamv_store::{CellState, ClassificationPrediction, Gates};
use drawn::{Random, SKILL, cell, classes, matches, source};
use fixture::id;
use serde_json::json;

/// Three systems, each drawn for itself, on 1,000 images of classification and 400 of detection.
fn three() -> Source {
    let systems = ["stl", "mtl-vit", "adamv-moe"];
    let cells = systems.iter().zip(1..).map(|(system, seed)| {
        let random = &mut Random(seed);
        cell(id(system, "base", 0), classes(1000, SKILL, random), Some(matches(400, 0.6, random)))
    });
    source("three", cells.collect())
}

fn options() -> CompareOptions {
    CompareOptions { resamples: 1000, ..CompareOptions::default() }
}

fn reference(system: &str) -> CompareOptions {
    CompareOptions { question: Question::Reference { reference: system.into() }, ..options() }
}

fn compared(run: &Source, baseline: &Source) -> Comparison {
    compare_sources(run, baseline, &options()).unwrap()
}

fn with(comparison: &Comparison, verdict: Verdict) -> Vec<(String, &'static str)> {
    let rows = comparison.rows.iter().filter(|row| row.verdict == verdict);
    rows.map(|row| (row.system.clone(), row.metric)).collect()
}

#[test]
fn a_store_is_the_same_as_itself() {
    let comparison = compared(&three(), &three());
    assert_eq!(comparison.rows.len(), 15);
    for row in &comparison.rows {
        assert_eq!((row.verdict, row.delta, row.low, row.high, row.p), (Verdict::Same, 0.0, 0.0, 0.0, 1.0), "{row:?}");
        assert!(row.value > 5.0, "something was measured: {row:?}");
    }
    assert!(!comparison.regressed() && comparison.measured() && comparison.absent.is_empty());
}

/// One system's classes are wrong on 3% of the images: 30 of 1,000 that it had right. McNemar by hand: 2 x 0.5^30.
#[test]
fn three_percent_worse_is_the_only_row_that_is_worse() {
    let mut run = three();
    let right = |p: &&mut ClassificationPrediction| p.best[0].0 == p.label;
    run.cells[1].classification.iter_mut().filter(right).take(30).for_each(|p| p.best[0].0 = 99);
    let comparison = compared(&run, &three());
    assert_eq!(with(&comparison, Verdict::Worse), [("mtl-vit".to_owned(), "accuracy")]);
    assert_eq!(comparison.summary.same, 14);
    assert!(comparison.regressed());
    let row = comparison.rows.iter().find(|row| row.verdict == Verdict::Worse).unwrap();
    assert!((row.delta + 3.0).abs() < 1e-9 && row.test == Test::McNemar, "{row:?}");
    assert!((row.p / (2.0 * 0.5f64.powi(30)) - 1.0).abs() < 1e-9, "{row:?}");
}

/// One system's masks find nothing on 3% of the images: boxes are as they were, so only APmask is worse.
#[test]
fn masks_that_miss_on_three_percent_are_the_only_row_that_is_worse() {
    let mut run = three();
    let found = run.cells[2].matches.as_mut().unwrap();
    found.detections.iter_mut().filter(|d| d.image <= 12).for_each(|d| d.segm_matched = 0);
    let comparison = compared(&run, &three());
    assert_eq!(with(&comparison, Verdict::Worse), [("adamv-moe".to_owned(), "APmask")]);
    assert_eq!(comparison.summary.same, 14);
}

/// 200 pairs that differ by noise alone: both sides are drawn anew, with the same skill on the same images. Gates are 0, so
/// significance alone keeps the peace. Of 1,000 other pairs 43 had an alarm (4.3%).
#[test]
fn noise_is_called_better_or_worse_in_at_most_5_percent_of_comparisons() {
    let draw = |seed| {
        let random = &mut Random(seed);
        source("drawn", vec![cell(id("stl", "base", 0), classes(1000, SKILL, random), Some(matches(120, 0.6, random)))])
    };
    let none = Gates { accuracy: 0.0, AP: 0.0, AP50: 0.0, AP75: 0.0, APmask: 0.0 };
    let options = CompareOptions { gates: Some(none), ..options() };
    let alarms = (0..200).filter(|pair| {
        let comparison = compare_sources(&draw(2 * pair + 1), &draw(2 * pair + 2), &options).unwrap();
        assert_eq!(comparison.rows.len(), 5);
        comparison.summary.better + comparison.summary.worse > 0
    });
    let alarms = alarms.count();
    println!("false alarms: {alarms} of 200 comparisons");
    assert!(alarms <= 10, "{alarms} of 200");
    assert!(alarms > 0, "a test that never rejects has no power");
}

/// A true difference of 2 points on 10,000 images, a sixth of which only one side gets right: sqrt(0.16 / 10000) = 0.4 points is the
/// standard error, so 99.9% are to be found.
#[test]
fn two_points_on_ten_thousand_images_are_found() {
    let draw = |skill, seed| {
        source("drawn", vec![cell(id("stl", "base", 0), classes(10_000, skill, &mut Random(seed)), None)])
    };
    // The verdict is McNemar's; few resamples do for the interval, which isn't looked at.
    let options = CompareOptions { resamples: 100, ..options() };
    let found = (0..200).filter(|pair| {
        let comparison =
            compare_sources(&draw(SKILL + 0.08, 2 * pair + 1), &draw(SKILL, 2 * pair + 2), &options).unwrap();
        comparison.rows[0].verdict == Verdict::Better
    });
    let found = found.count();
    println!("found: {found} of 200");
    assert!(found >= 190, "{found} of 200");
}

#[test]
fn numbers_do_not_depend_on_threads() {
    let mut run = three();
    run.cells.iter_mut().zip(50..).for_each(|(cell, seed)| cell.matches = Some(matches(400, 0.6, &mut Random(seed))));
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| compared(&run, &three()))
    };
    let (one, three) = (with(1), with(3));
    assert!(one.rows.iter().any(|row| row.delta != 0.0));
    assert_eq!(one, three);
}

#[test]
fn another_protocol_is_refused_by_its_fields() {
    let mut run = three();
    let record = run.cells[0].record.as_mut().unwrap();
    record.protocol_key = "ffff".into();
    record.protocol = json!({"budget": {"joint": {"steps": 500}}});
    let error = compare_sources(&run, &three(), &options()).unwrap_err();
    assert!(matches!(error, ReportError::Protocol { .. }));
    let text = error.to_string();
    assert!(text.contains("stl-vit-micro-s0") && text.contains("budget (null in the baseline, {\"joint\""), "{text}");
    assert!(text.contains("--across"), "{text}");
    let across = CompareOptions { across: true, ..options() };
    assert_eq!(compare_sources(&run, &three(), &across).unwrap().summary.same, 15);
}

#[test]
fn cells_without_a_counterpart_are_told_and_failed_ones_count() {
    let mut run = three();
    run.cells[0].state = CellState::Failed;
    run.cells[0].record.as_mut().unwrap().error = Some("step 7: the loss is NaN\nmore".into());
    run.cells[1].id.variant = "E16".into();
    let comparison = compared(&run, &three());
    let absent: Vec<(&str, &str, bool)> =
        comparison.absent.iter().map(|a| (a.cell.as_str(), a.why.as_str(), a.failed)).collect();
    assert_eq!(
        absent,
        [
            ("stl-vit-micro-s0", "failed: step 7: the loss is NaN", true),
            ("mtl-vit-vit-micro-E16-s0", "not in the baseline", false),
            ("mtl-vit-vit-micro-s0", "not in this run", false),
        ]
    );
    assert!(comparison.regressed(), "a cell that was done and fails now is a regression");
    let nothing = compared(&source("empty", Vec::new()), &three());
    assert!(!nothing.measured() && !nothing.regressed());
}

/// The same cells trained otherwise, as on another machine: what another training gives is part of the interval, from the spread of
/// the baseline's seeds.
/// Spread by hand: accuracies 70, 72, 74 have variance 4 with 2 degrees, a difference of two trainings 8; 60 of 1,000 images changed
/// have 0.565. Satterthwaite's degrees are 8.565^2 / (8^2 / 2) = 2.29; scipy 1.x: t.ppf(0.975, 2.29) * sqrt(8.565) = 11.17.
#[test]
fn of_another_training_the_spread_over_seeds_counts() {
    let seeds = |norm: f64| {
        let cells = [0.70, 0.72, 0.74].iter().zip(0..).map(|(top1, seed)| {
            let mut cell = cell(id("stl", "base", seed), classes(1000, SKILL, &mut Random(seed)), None);
            let record = cell.record.as_mut().unwrap();
            record.metrics.classification.as_mut().unwrap().top1 = *top1;
            cell.history.rows[0].value = norm;
            cell
        });
        source("seeds", cells.collect())
    };
    let mut run = seeds(1.501);
    let right = |p: &&mut ClassificationPrediction| p.best[0].0 == p.label;
    run.cells[0].classification.iter_mut().filter(right).take(60).for_each(|p| p.best[0].0 = 99);
    let comparison = compared(&run, &seeds(1.5));
    let row = &comparison.rows[0];
    assert_eq!((row.test, row.verdict), (Test::ImagesAndTraining, Verdict::Undecided), "{row:?}");
    assert!((row.delta + 6.0).abs() < 1e-9 && (0.5 * (row.high - row.low) - 11.17).abs() < 0.1, "{row:?}");
    // A training that repeats itself to the bit: 6 points are 60 images.
    run.cells.iter_mut().for_each(|cell| cell.history.rows[0].value = 1.5);
    assert_eq!(compared(&run, &seeds(1.5)).rows[0].verdict, Verdict::Worse);
    // With one seed nothing says how much training varies, and a note does.
    let mut one = seeds(1.499);
    one.cells.truncate(1);
    let comparison = compared(&run, &one);
    assert!(comparison.notes.iter().any(|note| note.contains("one seed")), "{:?}", comparison.notes);
}

/// By hand: 10, 20 and 30 of 1,000 images lost in three seeds are -1, -2 and -3 points: mean -2, deviation 1.
#[test]
fn rows_of_single_seeds_are_drawn_together() {
    let make = |lost: [usize; 3]| {
        let cells = lost.iter().zip(0..).map(|(lost, seed)| {
            let mut predictions = classes(1000, SKILL, &mut Random(seed));
            predictions.iter_mut().filter(|p| p.best[0].0 == p.label).take(*lost).for_each(|p| p.best[0].0 = 99);
            cell(id("stl", "base", seed), predictions, None)
        });
        source("seeds", cells.collect())
    };
    let comparison = compared(&make([10, 20, 30]), &make([0, 0, 0]));
    assert_eq!((comparison.rows.len(), comparison.over_seeds.len()), (3, 1));
    let row = &comparison.over_seeds[0];
    assert_eq!((row.system.as_str(), row.metric, &row.seeds[..]), ("stl", "accuracy", &[0, 1, 2][..]));
    assert!((row.delta + 2.0).abs() < 1e-9 && (row.delta_deviation.unwrap() - 1.0).abs() < 1e-9, "{row:?}");
    assert!((row.value - row.baseline + 2.0).abs() < 1e-9, "{row:?}");
    assert!(compared(&three(), &three()).over_seeds.is_empty(), "one seed has nothing to draw together");
}

/// Over seeds the paired differences say how much training varies. By hand: differences 1, 2, 3 points on each of three seeds: mean 2,
/// deviation 1; the images add little.
#[test]
fn a_variant_is_held_against_a_reference_over_seeds() {
    let make = |system: &str, extra: [usize; 3]| -> Vec<SourceCell> {
        let cells = extra.iter().zip(0..).map(|(extra, seed)| {
            let mut predictions = classes(1000, SKILL, &mut Random(seed));
            predictions.iter_mut().filter(|p| p.best[0].0 != p.label).take(*extra).for_each(|p| p.best[0].0 = p.label);
            cell(id(system, "base", seed), predictions, None)
        });
        cells.collect()
    };
    let baseline = source("baseline", make("mtl-vit", [0, 0, 0]));
    let run = source("run", [make("mtl-vit", [5, 5, 5]), make("adamv-moe", [10, 20, 30])].concat());
    let comparison = compare_sources(&run, &baseline, &reference("mtl-vit")).unwrap();
    let rows: Vec<&Row> = comparison.rows.iter().collect();
    assert_eq!((rows.len(), rows[0].system.as_str(), &rows[0].seeds[..]), (1, "adamv-moe", &[0, 1, 2][..]));
    let row = rows[0];
    assert!((row.delta - 2.0).abs() < 1e-9 && (row.delta_deviation.unwrap() - 1.0).abs() < 1e-9, "{row:?}");
    assert_eq!(row.test, Test::ImagesAndTraining);
    // Standard error: sqrt(1 / 3 + images); about 60 images changed in one seed each: 60 x 33^2 / 1000^2 = 0.07, and some in two.
    assert!((0.577..0.7).contains(&row.standard_error), "{row:?}");
    assert!(!comparison.regressed(), "a finding is no regression");
    // A seed that the baseline lacks is told.
    let fewer = source("baseline", baseline.cells[..2].to_vec());
    let comparison = compare_sources(&run, &fewer, &reference("mtl-vit")).unwrap();
    assert_eq!((&comparison.rows[0].seeds[..], comparison.absent.len()), (&[0, 1][..], 1));
    assert!(comparison.absent[0].why.contains("no mtl-vit on vit-micro with seed 2"), "{:?}", comparison.absent);
}

#[test]
fn other_images_and_other_labels() {
    let mut run = three();
    run.cells[0].classification.truncate(900);
    let found = run.cells[0].matches.as_mut().unwrap();
    found.images.truncate(300);
    found.objects.retain(|objects| objects.image <= 300);
    let comparison = compared(&run, &three());
    let row = |metric| comparison.rows.iter().find(|row| row.system == "stl" && row.metric == metric).unwrap();
    assert_eq!((row("accuracy").images, row("AP").images), (900, 300));
    assert_eq!(row("AP").delta, 0.0);
    assert!(comparison.notes.iter().any(|note| note.contains("without 100 images")), "{:?}", comparison.notes);
    run.cells[0].classification[3].label = 77;
    let error = compare_sources(&run, &three(), &options()).unwrap_err().to_string();
    assert!(error.contains("3/3.png") && error.contains("label 77"), "{error}");
    // A cell of an older version has no matches: accuracy is compared, and the note says how to get the rest.
    let mut older = three();
    older.cells[0].matches = None;
    let comparison = compared(&three(), &older);
    assert_eq!(comparison.rows.len(), 11);
    assert!(comparison.notes.iter().any(|note| note.contains("delete") || note.contains("deleted")));
}

/// Data that the baseline has and the run has not is a loss, whatever the other rows say.
#[test]
fn what_vanishes_counts_as_failed() {
    let mut run = three();
    run.cells[0].matches = None;
    run.cells[1].classification.clear();
    let comparison = compared(&run, &three());
    let failed: Vec<(&str, &str)> =
        comparison.absent.iter().filter(|a| a.failed).map(|a| (a.cell.as_str(), a.why.as_str())).collect();
    assert_eq!(
        failed,
        [
            ("stl-vit-micro-s0", "it is done without matched detections, which the baseline has"),
            ("mtl-vit-vit-micro-s0", "it is done without classes of single images, which the baseline has"),
        ]
    );
    assert!(comparison.regressed() && comparison.summary.worse == 0);
    // The other way round the run has more, which is no loss.
    assert!(!compared(&three(), &run).regressed());
}

#[test]
fn images_with_other_objects_are_other_data() {
    let mut run = three();
    run.cells[0].matches.as_mut().unwrap().objects[7].count = 2;
    let error = compare_sources(&run, &three(), &options()).unwrap_err().to_string();
    assert!(error.contains("other objects in stl-vit-micro-s0"), "{error}");
}

/// AP of 400 images falls by half: no resample crosses 0, and among 300 rows the floor of 100 resamples would hide it.
#[test]
fn a_collapse_is_found_with_few_resamples_and_many_rows() {
    let many = |spoilt: bool| {
        let cells = (0..60).map(|seed| {
            let mut matches = matches(200, 0.6, &mut Random(seed));
            if spoilt && seed == 7 {
                matches.detections.iter_mut().filter(|d| d.image % 2 == 0).for_each(|d| d.segm_matched = 0);
            }
            cell(id("stl", "base", seed), classes(50, SKILL, &mut Random(seed)), Some(matches))
        });
        source("many", cells.collect())
    };
    let options = CompareOptions { resamples: 100, ..options() };
    let comparison = compare_sources(&many(true), &many(false), &options).unwrap();
    assert_eq!((comparison.rows.len(), comparison.summary.worse, comparison.summary.same), (300, 1, 299));
}

#[test]
fn markdown_of_a_comparison() {
    let mut run = three();
    let right = |p: &&mut ClassificationPrediction| p.best[0].0 == p.label;
    run.cells[1].classification.iter_mut().filter(right).take(30).for_each(|p| p.best[0].0 = 99);
    run.cells[2].record.as_mut().unwrap().cost[0].params_activated += 100_000;
    run.cells[0].state = CellState::Failed;
    run.cells[0].record.as_mut().unwrap().error = Some("<b>no | space</b> left".into());
    insta::assert_snapshot!(compared(&run, &three()).markdown().unwrap());
}
