//! Baselines, comparisons and claims through the binary: a tiny run, its stored self, and what their exit codes say. Its classes and
//! matches are put in the place of those of six steps, which say nothing.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use adamv_store::{
    CellDir, ClassificationPrediction, DetectionMatches, MatchedDetection, ObjectCount, read_classification,
    read_matches, write_classification, write_matches,
};
use common::{TINY, adamv, bench, folder, outcome, with_suite};
use serde_json::Value;
use tempfile::TempDir;

const CELLS: [&str; 2] = ["stl-vit-micro-s0", "mtl-vit-vit-micro-s0"];

/// A run of two cells in `out`, stored as `tiny`: trained once, and copied for each test.
fn stored() -> TempDir {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    let copy = folder();
    let from = MADE.get_or_init(make).path();
    let status = Command::new("cp").arg("-r").arg(from.join(".")).arg(copy.path()).status();
    assert!(status.expect("cp starts").success());
    copy
}

fn make() -> TempDir {
    let dir = with_suite(&TINY.replace("seeds:", "gates: {accuracy: 1.5}\nseeds:"));
    adamv(dir.path(), &["run", "suite.yaml", "--out", "out"]).expect(0);
    for name in CELLS {
        let cell = CellDir::new(dir.path().join("out").join(name));
        // What evaluation stored is what COCO's numbers were made of.
        let matches = read_matches(&cell).unwrap().unwrap();
        assert_eq!(matches.images.len(), 8, "the validation images of TINY");
        assert!(!matches.objects.is_empty());
        fill(&cell);
    }
    let stored = adamv(dir.path(), &["baseline", "store", "out", "--as", "tiny"]).expect(0);
    assert!(stored.stdout.contains("baselines/stored/tiny: 2 cells, "), "{}", stored.stdout);
    dir
}

fn fill(cell: &CellDir) {
    write_classification(&cell.classification_predictions(), &classes()).unwrap();
    write_matches(cell, &detections()).unwrap();
}

/// 1,000 images, of which 700 are right.
fn classes() -> Vec<ClassificationPrediction> {
    let right = |image: u32| u32::from(image >= 700);
    let prediction =
        |image| ClassificationPrediction { image: format!("{image}"), label: 0, best: vec![(right(image), 0.5)] };
    (0..1000).map(prediction).collect()
}

/// 300 images with an object each, every second one of the first 200 found: what ranks behind the last is not stored.
fn detections() -> DetectionMatches {
    let detection = |image: u64| {
        let bits = if image <= 200 && image.is_multiple_of(2) { 0b11111 } else { 0 };
        let score = 1.0 - image as f32 / 1000.0;
        MatchedDetection {
            image,
            category: 1,
            score,
            bbox_matched: bits,
            segm_matched: bits,
            bbox_ignored: 0,
            segm_ignored: 0,
        }
    };
    DetectionMatches {
        images: (1..=300).collect(),
        objects: (1..=300).map(|image| ObjectCount { image, category: 1, count: 1 }).collect(),
        detections: (1..=300).map(detection).collect(),
    }
}

/// Wrong on 3% of the images of one cell.
fn spoil(dir: &Path) {
    let path = CellDir::new(dir.join("out").join(CELLS[1])).classification_predictions();
    let mut predictions = read_classification(&path).unwrap();
    predictions.iter_mut().take(30).for_each(|p| p.best[0].0 = 1);
    write_classification(&path, &predictions).unwrap();
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("one JSON document: {e}\n{text}"))
}

#[test]
fn a_run_against_its_stored_self_and_a_spoilt_one() {
    let dir = stored();
    let dir = dir.path();
    let same = adamv(dir, &["compare", "out", "--baseline", "tiny"]).expect(0);
    assert!(same.stdout.contains("10 rows same") && !same.stdout.contains('\u{1b}'), "{}", same.stdout);
    // A stored baseline is compared as a run is, and reported as one.
    let document =
        json(&adamv(dir, &["compare", "baselines/stored/tiny", "--baseline", "tiny", "--json"]).expect(0).stdout);
    assert_eq!((document["question"].as_str(), &document["summary"]["same"]), (Some("regression"), &Value::from(10)));
    assert_eq!(document["gates"]["accuracy"], 1.5, "the suite's gates");
    adamv(dir, &["report", "baselines/stored/tiny", "--out", "pages", "--baseline", "tiny"]).expect(0);
    let page = fs::read_to_string(dir.join("pages/report.html")).unwrap();
    assert!(page.contains("Comparison: tiny against the baseline tiny"));

    spoil(dir);
    let worse = adamv(dir, &["compare", "out", "--baseline", "tiny", "--out", "files"]).expect(3);
    let worse = worse.says("accuracy of mtl-vit on vit-micro (seed 0) by \u{2212}3.00 points");
    let lines: Vec<&str> = worse.stdout.lines().filter(|line| line.ends_with(" worse")).collect();
    assert!(lines.len() == 1 && lines[0].starts_with("mtl-vit") && lines[0].contains("accuracy"), "{}", worse.stdout);
    let document = json(&fs::read_to_string(dir.join("files/comparison.json")).unwrap());
    let verdicts: Vec<&str> =
        document["rows"].as_array().unwrap().iter().filter_map(|r| r["verdict"].as_str()).collect();
    assert_eq!((verdicts.len(), verdicts.iter().filter(|v| **v == "worse").count()), (10, 1));
    assert!(fs::read_to_string(dir.join("files/comparison.md")).unwrap().contains("| **worse** |"));
    // Three points are inside a wider gate.
    adamv(dir, &["compare", "out", "--baseline", "tiny", "--gate", "accuracy=5"]).expect(0);
    // Against one system's stored results, which is a finding and no regression.
    let finding = adamv(dir, &["compare", "out", "--baseline", "tiny", "--reference", "stl", "--markdown"]).expect(0);
    assert!(finding.stdout.contains("# out against stl of the baseline tiny"), "{}", finding.stdout);
    assert_eq!(finding.stdout.matches("| **worse** |").count(), 1, "{}", finding.stdout);
}

/// A report takes runs and stored baselines by name or folder, each once; the paper's file is used where it is, and missed where it isn't.
#[test]
fn a_report_of_several_stores() {
    let dir = stored();
    let dir = dir.path();
    let read = |path: &str| fs::read_to_string(dir.join(path)).unwrap();
    adamv(dir, &["report", "out", "tiny", "--out", "pages"]).expect(0);
    let page = read("pages/report.html");
    assert!(page.contains("<td>out</td>") && page.contains("<td>tiny</td>"), "{page}");
    let notes = read("pages/report.md");
    for file in ["published/adamv-moe-iccv2023.yaml", "claims.yaml"] {
        assert!(notes.contains(&format!("There is no baselines/{file} below the folder")), "{file} in\n{notes}");
    }
    assert!(!page.contains("id=\"claims\""));
    // Margins are those of `compare`, which takes as many resamples here.
    let arguments = ["compare", "out", "--baseline", "out", "--reference", "mtl-vit", "--resamples", "2000", "--json"];
    let wanted = json(&adamv(dir, &arguments).expect(0).stdout);
    let rows = wanted["rows"].as_array().unwrap();
    let margins = read("pages/tables/margins.csv");
    for (line, row) in margins.lines().skip(1).zip(rows) {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!((fields[0], fields[1], fields[8]), ("out", "stl", row["metric"].as_str().unwrap()));
        assert_eq!(fields[14].parse::<f64>().unwrap(), row["low"].as_f64().unwrap(), "{line}");
        assert_eq!(fields[20], row["verdict"].as_str().unwrap());
    }
    assert_eq!((rows.len(), margins.lines().count()), (5, 1 + 2 * 5));

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let [claims, published] =
        ["claims.yaml", "published/adamv-moe-iccv2023.yaml"].map(|name| root.join("baselines").join(name));
    let [claims, published] = [claims.to_str().unwrap(), published.to_str().unwrap()];
    adamv(dir, &["report", "out", "--out", "pages", "--claims", claims, "--published", published]).expect(0);
    let page = read("pages/report.html");
    assert!(
        page.contains("id=\"claims\"") && page.contains("not in the paper") && !page.contains("There is no"),
        "{page}"
    );

    let two = ["report", "out", "tiny", "--out", "never", "--baseline", "tiny"];
    adamv(dir, &two).expect(2).says("--baseline tiny: 2 runs were given, and one is held against a baseline");
    adamv(dir, &["report", "tiny", "baselines/stored/tiny", "--out", "never"]).expect(2).says("given twice");
    adamv(dir, &["report", "tine", "--out", "never"]).expect(2).says("tiny");
    adamv(dir, &["report", "out", "--out", "never", "--claims", "absent"])
        .expect(2)
        .says("--claims: there is no file `absent`");
    assert!(!dir.join("never").exists(), "a usage error writes nothing");
}

#[test]
fn nothing_to_compare_is_an_exit_code_of_its_own() {
    let dir = stored();
    let dir = dir.path();
    fs::create_dir(dir.join("empty")).unwrap();
    adamv(dir, &["compare", "empty", "--baseline", "tiny"]).expect(4).says("empty");
    adamv(dir, &["compare", "out", "--baseline", "empty"]).expect(4).says("empty");
    // Cells that nobody stored.
    for name in CELLS {
        fs::remove_file(dir.join("out").join(name).join("record.json")).unwrap();
    }
    adamv(dir, &["compare", "out", "--baseline", "tiny"]).expect(4).says("nothing was compared");
    adamv(dir, &["baseline", "store", "out", "--as", "more"]).expect(4).says("every cell done");
    adamv(dir, &["claims", "out", "--claims", &claims(), "--published", &published()]).expect(4).says("no claim");
}

#[test]
fn another_protocol_is_refused() {
    let dir = stored();
    let dir = dir.path();
    adamv(
        dir,
        &["run", "suite.yaml", "--out", "longer", "--only", "system=mtl-vit", "--set", "training.joint.steps=7"],
    )
    .expect(0);
    adamv(dir, &["compare", "longer", "--baseline", "tiny"])
        .expect(2)
        .says("budget.joint.steps (6 in the baseline, 7 here)")
        .says("--across");
    fill(&CellDir::new(dir.join("longer").join(CELLS[1])));
    let across = adamv(dir, &["compare", "longer", "--baseline", "tiny", "--across"]).expect(0);
    assert!(across.stdout.contains("one cell of the baseline is not in this run"), "{}", across.stdout);
}

#[test]
fn baselines_are_listed_shown_and_not_overwritten() {
    let dir = stored();
    let dir = dir.path();
    let listed = json(&adamv(dir, &["baseline", "list", "--json"]).expect(0).stdout);
    assert_eq!((&listed[0]["name"], &listed[0]["cells"]), (&Value::from("tiny"), &Value::from(2)));
    assert_eq!(listed[0]["command"], serde_json::json!(["run", "suite.yaml"]), "not where it was written");
    assert!(adamv(dir, &["baseline", "list"]).expect(0).stdout.contains("tiny"));
    let shown = adamv(dir, &["baseline", "show", "tiny"]).expect(0).stdout;
    assert!(shown.contains("adamv-bench run suite.yaml") && shown.contains(CELLS[1]), "{shown}");
    let shown = json(&adamv(dir, &["baseline", "show", "tiny", "--json"]).expect(0).stdout);
    assert_eq!(shown["records"][0]["cell"]["system"], "stl");

    adamv(dir, &["baseline", "store", "out", "--as", "tiny"]).expect(2).says("--replace");
    adamv(dir, &["baseline", "store", "out", "--as", "tiny", "--replace"]).expect(0);
    adamv(dir, &["baseline", "store", "out", "--as", "../up"]).expect(2).says("a name has letters");
    adamv(dir, &["baseline", "show", "tinny"]).expect(2).says("the nearest known baseline is `tiny`");
    adamv(dir, &["compare", "out", "--baseline", "tiny", "--reference", "mtl-vut"]).expect(2).says("mtl-vit");
    let nowhere = folder();
    adamv(nowhere.path(), &["baseline", "show", "tiny"]).expect(2).says("baseline store");
    assert!(adamv(nowhere.path(), &["baseline", "list"]).expect(0).stdout.contains("none is stored"));
}

/// Colour is for terminals, and NO_COLOR is heard; `script` makes a terminal where it is installed.
#[test]
fn colour_on_a_terminal_unless_no_color() {
    let dir = stored();
    spoil(dir.path());
    let on_terminal = |no_color: &str| {
        let command = format!("{} compare out --baseline tiny --resamples 100", env!("CARGO_BIN_EXE_adamv-bench"));
        let mut script = Command::new("script");
        script.current_dir(dir.path()).args(["-qec", &command, "/dev/null"]).env("NO_COLOR", no_color);
        script.output().map(outcome)
    };
    let Ok(coloured) = on_terminal("") else {
        eprintln!("skipped: colour on a terminal (the program `script` is not here)");
        return;
    };
    assert!(coloured.expect(3).stdout.contains("\u{1b}[31mmtl-vit"));
    assert!(!on_terminal("1").unwrap().stdout.contains("\u{1b}[31m"));
}

fn root(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path).display().to_string()
}

fn claims() -> String {
    root("baselines/claims.yaml")
}

fn published() -> String {
    root("baselines/published/adamv-moe-iccv2023.yaml")
}

/// What the project ships: the stored baselines compare with themselves, and the paper's claims are judged by them.
#[test]
fn the_stored_baselines_of_the_project() {
    let at = Path::new(&root("")).to_owned();
    for (name, cells, most) in [("smoke", 18, 1 << 20), ("mini", 18, 8 << 20), ("ablation-router", 15, 1 << 20)] {
        let folder = format!("baselines/stored/{name}");
        let arguments = ["compare", &folder, "--baseline", name, "--resamples", "100", "--json"];
        let document = json(&outcome(bench(&at).args(arguments).output().unwrap()).expect(0).stdout);
        assert_eq!(document["summary"]["same"], 5 * cells, "{name}");
        let bytes_of = |folder: PathBuf| -> u64 {
            fs::read_dir(folder).into_iter().flatten().map(|e| e.unwrap().metadata().unwrap().len()).sum()
        };
        let bytes = bytes_of(at.join(&folder)) + bytes_of(at.join(&folder).join("probes"));
        assert!(bytes < most, "{name} has {bytes} bytes");
    }
    let judged = json(&adamv(&at, &["claims", "mini", "--resamples", "100", "--json"]).expect(0).stdout);
    let of = |id: &str| judged["claims"].as_array().unwrap().iter().find(|claim| claim["id"] == id).unwrap().clone();
    for id in ["beats-mtl-vit", "load-is-balanced", "routing-settles", "less-gradient-conflict"] {
        assert_ne!(of(id)["verdict"], "not-run", "{id}");
    }
    assert_eq!(of("early-is-worst")["verdict"], "not-run");
}
