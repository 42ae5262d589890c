//! `ci/nightly`: what it leaves, how it ends, and what it lets be. Most tests give it a stand-in for the binary that ends as they
//! say; one has the real one. Each works on a copy of the script in a folder of its own, which is the script's root.

mod common;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use adamv_store::{CellDir, read_classification, write_classification};
use common::{Outcome, TINY, adamv, folder, outcome};
use serde_json::Value;
use tempfile::TempDir;

/// Writes what the binary would and ends as the environment says. Its calls are kept, one a line.
const STAND_IN: &str = r##"#!/usr/bin/env bash
printf '%s\n' "$*" >>calls
out=
arguments=("$@")
for ((i = 0; i < $#; i++)); do
    [[ ${arguments[i]} != --out ]] || out=${arguments[i + 1]}
done
case $1 in
--version)
    echo "adamv-bench 0.0.0"
    exit "${VERSION_ENDS:-0}"
    ;;
run)
    echo "a line of the run"
    for ((i = 0; i < ${DONE:-2} + ${FAILED:-0}; i++)); do
        state=done
        ((i < ${DONE:-2})) || state=failed
        mkdir -p "$out/cell-s$i"
        printf '{\n  "schema_version": 1,\n  "status": "%s",\n  "error": null\n}\n' "$state" >"$out/cell-s$i/record.json"
    done
    exit "${RUN_ENDS:-0}"
    ;;
compare)
    ends=${COMPARE_ENDS:-0}
    ((ends == 0)) || echo "error: the comparison ends with $ends" >&2
    ((ends != 2)) || exit 2
    echo '{"rows": []}' >"$out/comparison.json"
    echo '# compared' >"$out/comparison.md"
    echo "a table of the comparison"
    exit "$ends"
    ;;
report)
    [[ " $* " != *" --baseline "* ]] || ((${REPORT_ENDS:-0} == 0)) || exit "$REPORT_ENDS"
    mkdir -p "$out"
    echo "a page" >"$out/report.html"
    ;;
baseline) ;;
*) exit 2 ;;
esac
"##;

/// A folder with the script in `ci`, the suite `tiny`, and the stand-in.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let dir = folder();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ci/nightly");
        fs::create_dir(dir.path().join("ci")).unwrap();
        fs::copy(script, dir.path().join("ci/nightly")).expect("ci/nightly is there");
        fs::write(dir.path().join("suite.yaml"), TINY).unwrap();
        let stand_in = dir.path().join("stand-in");
        fs::write(&stand_in, STAND_IN).unwrap();
        fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755)).unwrap();
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn at(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// The script with the stand-in. Bash is named, for a program that was written a moment ago may be busy.
    fn nightly(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("bash");
        command.args(["ci/nightly", "--suite", "suite.yaml"]).args(arguments).current_dir(self.path());
        command.env("ADAMV_BENCH", self.at("stand-in")).env_remove("GITHUB_STEP_SUMMARY");
        command
    }

    /// A nightly into `out`, with the stand-in ending as told.
    fn ends(&self, told: &[(&str, &str)]) -> Outcome {
        outcome(self.nightly(&["--out", "out"]).envs(told.iter().copied()).output().expect("bash starts"))
    }

    /// Names in `runs/nightly`, sorted, without the lock.
    fn dated(&self) -> Vec<String> {
        let entries = fs::read_dir(self.at("runs/nightly")).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != ".lock");
        names.sort();
        names
    }

    /// The three lines of `out/summary.txt`, which must name this code and the folder; the verdict.
    #[track_caller]
    fn verdict(&self, code: i32) -> String {
        let summary = self.read("out/summary.txt");
        let lines: Vec<&str> = summary.lines().collect();
        assert_eq!(lines.len(), 3, "{summary}");
        assert_eq!(lines[1], format!("exit code: {code}"));
        let place = lines[2].strip_prefix("where: ").expect("the third line says where");
        assert_eq!(Path::new(place).canonicalize().unwrap(), self.at("out").canonicalize().unwrap());
        lines[0].strip_prefix("verdict: ").expect("the first line is the verdict").to_owned()
    }
}

fn run(command: &mut Command) -> Outcome {
    outcome(command.output().expect("bash starts"))
}

#[test]
fn the_script_can_be_executed_and_explains_itself() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ci/nightly");
    assert_eq!(fs::metadata(&script).unwrap().permissions().mode() & 0o111, 0o111);
    let help = outcome(Command::new(&script).arg("--help").output().expect("it starts")).expect(0);
    for option in ["--suite", "--baseline", "--out", "--device", "--keep", "ADAMV_BENCH", "Exit codes"] {
        assert!(help.stdout.contains(option), "no {option} in:\n{}", help.stdout);
    }
}

#[test]
fn a_fine_night_leaves_everything() {
    let place = Place::new();
    let ended = run(&mut place.nightly(&["--out", "out", "--device", "cpu", "--", "--only", "seed=0"])).expect(0);
    assert!(place.verdict(0).starts_with("fine: 2 cells"));
    assert!(ended.stdout.contains("a table of the comparison"), "the terminal shows the table:\n{}", ended.stdout);
    assert_eq!(place.read("out/comparison.md"), "# compared\n");
    assert_eq!(place.read("out/comparison.json"), "{\"rows\": []}\n");
    assert!(place.at("out/report/report.html").is_file());
    assert!(place.at("out/run/cell-s0/record.json").is_file());
    let log = place.read("out/nightly.log");
    for line in ["a line of the run", "a table of the comparison", "verdict: fine"] {
        assert!(log.contains(line), "no `{line}` in:\n{log}");
    }
    // The baseline is the suite's name, and what stands behind -- goes to run alone.
    let calls = place.read("calls");
    let calls: Vec<&str> = calls.lines().collect();
    for call in [
        "run suite.yaml --out out/run --device cpu --only seed=0",
        "compare out/run --baseline tiny --out out",
        "report out/run --out out/report --baseline tiny",
    ] {
        assert!(calls.contains(&call), "no `{call}` in {calls:#?}");
    }
    assert!(place.dated().is_empty(), "--out chose another folder");
}

/// What the stand-in is told, the code, and words of the verdict.
type Case<'a> = (&'a [(&'a str, &'a str)], i32, &'a str);

#[test]
fn the_most_telling_code_is_the_last_word() {
    let cases: &[Case] = &[
        (&[("COMPARE_ENDS", "3")], 3, "regression"),
        (&[("COMPARE_ENDS", "4")], 4, "nothing was compared"),
        (&[("COMPARE_ENDS", "5")], 5, "environment"),
        (&[("COMPARE_ENDS", "2"), ("REPORT_ENDS", "2")], 2, "baseline"),
        // A run that failed in part, and the comparison of the rest.
        (&[("RUN_ENDS", "1"), ("FAILED", "1")], 1, "2 of 3 cells"),
        (&[("RUN_ENDS", "5"), ("FAILED", "1")], 5, "run ended with 5"),
        (&[("RUN_ENDS", "1"), ("FAILED", "1"), ("COMPARE_ENDS", "3")], 3, "run ended with 1; compare ended with 3"),
        (&[("RUN_ENDS", "5"), ("FAILED", "1"), ("COMPARE_ENDS", "3")], 3, "regression"),
        (&[("RUN_ENDS", "5"), ("FAILED", "1"), ("COMPARE_ENDS", "4")], 5, "environment"),
        // Killed: a code that the program has not.
        (&[("RUN_ENDS", "137")], 1, "run ended with 137"),
        (&[("REPORT_ENDS", "1")], 1, "report ended with 1"),
        (&[("REPORT_ENDS", "1"), ("COMPARE_ENDS", "3")], 3, "regression"),
    ];
    for (told, code, words) in cases {
        let place = Place::new();
        place.ends(told).expect(*code);
        let verdict = place.verdict(*code);
        assert!(verdict.contains(words), "{told:?}: no `{words}` in `{verdict}`");
        for file in ["comparison.md", "comparison.json", "nightly.log", "report/report.html"] {
            let file = place.at("out").join(file);
            assert!(fs::metadata(&file).is_ok_and(|m| m.len() > 0), "{told:?}: no {}", file.display());
        }
        let json = place.read("out/comparison.json");
        serde_json::from_str::<Value>(&json).unwrap_or_else(|e| panic!("{told:?}: {e} in {json}"));
    }
}

#[test]
fn nothing_measured_is_4_unless_the_reason_is_known() {
    let cases: &[Case] = &[
        (&[], 4, "nothing was measured"),
        (&[("RUN_ENDS", "1")], 4, "nothing was measured"),
        (&[("RUN_ENDS", "1"), ("FAILED", "2")], 4, "nothing was measured"),
        (&[("RUN_ENDS", "4"), ("FAILED", "2"), ("COMPARE_ENDS", "4")], 4, "nothing was measured"),
        (&[("RUN_ENDS", "5")], 5, "nothing was measured"),
        (&[("RUN_ENDS", "2")], 2, "nothing was measured"),
        // The loader found no libtorch.
        (&[("RUN_ENDS", "127")], 5, "nothing was measured"),
    ];
    for (told, code, words) in cases {
        let place = Place::new();
        let told: Vec<(&str, &str)> = told.iter().copied().chain([("DONE", "0")]).collect();
        place.ends(&told).expect(*code);
        let verdict = place.verdict(*code);
        assert!(verdict.contains(words), "{told:?}: no `{words}` in `{verdict}`");
        assert!(place.read("out/comparison.md").len() > 1, "{told:?}");
        serde_json::from_str::<Value>(&place.read("out/comparison.json")).unwrap();
    }
}

#[test]
fn a_set_up_that_fails_is_5() {
    // A binary that isn't there, and one that doesn't start.
    let place = Place::new();
    run(place.nightly(&["--out", "out"]).env("ADAMV_BENCH", "missing")).expect(5);
    assert!(place.verdict(5).contains("missing is not a program"));
    let place = Place::new();
    place.ends(&[("VERSION_ENDS", "127")]).expect(5);
    assert!(place.verdict(5).contains("doesn't start"));
    assert!(!place.at("out/run").exists());
    // A build that fails: make's own code would say something else.
    let place = Place::new();
    fs::write(place.at("Makefile"), "build:\n\t@echo built nothing; exit 3\n").unwrap();
    run(place.nightly(&["--out", "out"]).env_remove("ADAMV_BENCH")).expect(5);
    assert!(place.verdict(5).contains("make build"));
    assert!(place.read("out/nightly.log").contains("built nothing"));
}

#[test]
fn wrong_arguments_are_2_and_write_nothing() {
    let place = Place::new();
    fs::create_dir(place.at("full")).unwrap();
    fs::write(place.at("full/file"), "of somebody").unwrap();
    for (arguments, words) in [
        (&["--bogus"][..], "--bogus"),
        (&["--keep", "0"], "--keep 0"),
        (&["--keep"], "--keep needs a value"),
        (&["--suite", "missing.yaml"], "missing.yaml"),
        (&["--out", "full"], "full is not empty"),
    ] {
        run(&mut place.nightly(arguments)).expect(2).says(words);
    }
    assert!(!place.at("runs").exists() && !place.at("calls").exists());
    assert_eq!(place.read("full/file"), "of somebody");
}

#[test]
fn a_second_nightly_leaves_the_first_alone() {
    let place = Place::new();
    fs::create_dir_all(place.at("runs/nightly")).unwrap();
    let held = File::create(place.at("runs/nightly/.lock")).unwrap();
    held.lock().unwrap();
    run(&mut place.nightly(&[])).expect(5).says("another nightly is running");
    assert!(place.dated().is_empty() && !place.at("calls").exists());
    drop(held);
    run(&mut place.nightly(&[])).expect(0);
    assert_eq!(place.dated().len(), 1);
}

#[test]
fn only_the_last_dated_folders_are_kept() {
    let place = Place::new();
    for name in ["2020-01-01", "2020-01-02", "2020-01-02-2", "2020-01-02-10", "of-mine", "2020-01-03.kept"] {
        fs::create_dir_all(place.at("runs/nightly").join(name)).unwrap();
    }
    // A folder that was named isn't one of them, and nothing is removed for it.
    run(&mut place.nightly(&["--out", "out", "--keep", "1"])).expect(0);
    assert_eq!(place.dated().len(), 6);
    run(&mut place.nightly(&["--keep", "3"])).expect(0);
    let mut left = place.dated();
    left.retain(|name| name.starts_with("2020") || name == "of-mine");
    assert_eq!(left, ["2020-01-02-10", "2020-01-02-2", "2020-01-03.kept", "of-mine"]);
    assert_eq!(place.dated().len(), 5);
    // Another one of the day has a folder of its own, and its cells are measured again.
    run(&mut place.nightly(&["--keep", "3"])).expect(0);
    let mut new = place.dated();
    new.retain(|name| !name.starts_with("2020") && name != "of-mine");
    assert_eq!(new.len(), 2, "{new:?}");
    assert_eq!(place.read("calls").lines().filter(|call| call.starts_with("run ")).count(), 3);
    for name in new {
        assert!(place.at("runs/nightly").join(name).join("run/cell-s1/record.json").is_file());
    }
}

#[test]
fn github_shows_the_comparison() {
    let place = Place::new();
    fs::write(place.at("page"), "before\n").unwrap();
    let page = place.at("page");
    place.ends(&[("GITHUB_STEP_SUMMARY", page.to_str().unwrap()), ("COMPARE_ENDS", "3")]).expect(3);
    let page = place.read("page");
    assert!(page.starts_with("before\n") && page.contains("# compared") && page.contains("regression"), "{page}");
}

#[test]
fn the_real_binary_against_its_own_baseline() {
    let place = Place::new();
    fs::write(place.at("suite.yaml"), TINY.replace("images: 32,", "images: 96,")).unwrap();
    // One thread: so small a training only waits for more of them.
    adamv(place.path(), &["run", "suite.yaml", "--out", "first", "--jobs", "1"]).expect(0);
    adamv(place.path(), &["baseline", "store", "first", "--as", "tiny"]).expect(0);
    let real = env!("CARGO_BIN_EXE_adamv-bench");
    let ended = run(place.nightly(&["--out", "out", "--", "--jobs", "1"]).env("ADAMV_BENCH", real)).expect(0);
    assert!(place.verdict(0).starts_with("fine: 2 cells"), "{}", ended.stdout);
    assert!(place.read("out/comparison.md").contains("mtl-vit"));
    let comparison: Value = serde_json::from_str(&place.read("out/comparison.json")).unwrap();
    assert!(comparison.is_object());
    assert!(place.read("out/report/report.html").contains("mtl-vit"));
    // A baseline in which one system had every image right: what the night measures is worse, and is all that is.
    let cell = CellDir::new(place.at("first/stl-vit-micro-s0"));
    let mut classes = read_classification(&cell.classification_predictions()).unwrap();
    classes.iter_mut().for_each(|image| image.best[0].0 = image.label);
    write_classification(&cell.classification_predictions(), &classes).unwrap();
    adamv(place.path(), &["baseline", "store", "first", "--as", "tiny", "--replace"]).expect(0);
    let only = ["--out", "worse", "--", "--jobs", "1"];
    run(place.nightly(&only).env("ADAMV_BENCH", real)).expect(3);
    let comparison = place.read("worse/comparison.md");
    let worse: Vec<&str> = comparison.lines().filter(|line| line.contains("**worse**")).collect();
    assert!(worse.len() == 1 && worse[0].starts_with("| stl |") && worse[0].contains("accuracy"), "{comparison}");
    assert!(place.read("worse/report/report.html").contains("Comparison: run against the baseline tiny"));
    // A baseline that nobody stored: an error, but the run and its report are there.
    let only = ["--out", "other", "--baseline", "nobody's", "--", "--jobs", "1", "--only", "system=mtl-vit"];
    run(place.nightly(&only).env("ADAMV_BENCH", real)).expect(2);
    assert!(place.at("other/run/mtl-vit-vit-micro-s0/record.json").is_file());
    assert!(place.at("other/report/report.html").is_file());
}
