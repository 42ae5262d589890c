//! The report in a real browser: pages that the binary makes, looked at and used by `ci/browser/check.mjs`. What is checked stands there; here
//! is what it is checked on. Needs node, the packages of `ci/browser/setup.sh` and Chromium.

mod common;
#[path = "../reports/tests/fixture/mod.rs"]
mod fixture;

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{adamv, folder, outcome};
use serde_json::Value;

/// How `check.mjs` ends when the machine lacks what it needs.
const MISSING: i32 = 5;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The page of a store, in the folder `NAME` below `dir`.
#[track_caller]
fn page(dir: &Path, name: &str, store: &Path, more: &[&str]) -> PathBuf {
    let mut arguments = vec!["report", store.to_str().unwrap(), "--out", name];
    arguments.extend(more);
    adamv(dir, &arguments).expect(0);
    dir.join(name).join("report.html")
}

/// Holds pages to every check, and shows the lines of the checks; or says why they can't be looked at here.
#[track_caller]
fn check(pages: &[PathBuf], more: &[&str]) {
    let mut node = Command::new("node");
    node.arg(root().join("ci/browser/check.mjs")).args(more).args(pages.iter().map(AsRef::<OsStr>::as_ref));
    let ended = match node.output() {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            eprintln!("skipped: the report in a browser (node is not installed)");
            return;
        }
        ended => outcome(ended.expect("node starts")),
    };
    if ended.code == MISSING {
        eprintln!("skipped: the report in a browser ({})", ended.stderr.trim());
        return;
    }
    let lines: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let failed: Vec<String> = lines.iter().filter(|line| line["ok"] != true).map(|line| format!("{line:#}")).collect();
    assert!(failed.is_empty() && ended.code == 0, "{}\n{}", failed.join("\n"), ended.stderr);
    // The last check of every page was come to.
    let whole = lines.iter().filter(|line| line["check"] == "silence").count();
    assert_eq!(whole, pages.len(), "{}", ended.stdout);
    print!("{}", ended.stdout);
}

#[test]
fn pages_of_stored_baselines() {
    let dir = folder();
    let stored = root().join("baselines/stored");
    let smoke = stored.join("smoke");
    check(
        &[
            page(dir.path(), "mini", &stored.join("mini"), &[]),
            page(dir.path(), "smoke", &smoke, &["--baseline", smoke.to_str().unwrap()]),
        ],
        &[],
    );
}

#[test]
fn pages_with_failed_unfinished_and_missing_cells() {
    let dir = folder();
    let (mixed, seeds) = (fixture::mixed(dir.path()), fixture::seeds(dir.path()));
    check(&[page(dir.path(), "mixed-page", &mixed, &[]), page(dir.path(), "seeds-page", &seeds, &[])], &[]);
}

#[test]
fn a_page_of_hostile_names() {
    let dir = folder();
    let store = fixture::hostile(dir.path());
    check(&[page(dir.path(), "page", &store, &[])], &["--hostile", fixture::HOSTILE]);
}
