//! Reports of stores made by hand: what they say, that they say it again, and that nobody's name becomes markup.

mod fixture;

use std::fs;
use std::path::{Path, PathBuf};

use adamv_reports::{Report, ReportError, ReportOptions, load, render, write};
use fixture::{HOSTILE, done, hostile, id, mixed, seeds};

fn report_of(dirs: &[&Path]) -> Report {
    render(&load(dirs).unwrap(), &ReportOptions::default()).unwrap()
}

fn report(make: fn(&Path) -> PathBuf) -> Report {
    let dir = tempfile::tempdir().unwrap();
    report_of(&[&make(dir.path())])
}

fn table(report: &Report, name: &str) -> String {
    report.tables.iter().find(|(other, _)| other == name).unwrap().1.replace("\r\n", "\n")
}

#[test]
fn markdown_of_a_run_with_failed_and_unfinished_cells() {
    insta::assert_snapshot!(report(mixed).markdown);
}

#[test]
fn markdown_of_several_seeds_and_a_variant() {
    insta::assert_snapshot!(report(seeds).markdown);
}

#[test]
fn csv_of_several_seeds_and_a_variant() {
    insta::assert_snapshot!(table(&report(seeds), "main"));
}

/// Three times 2.700003 million: in floating point their mean is one rounding off, and is no deviation over seeds.
#[test]
fn costs_that_do_not_vary_have_no_deviation() {
    let dir = tempfile::tempdir().unwrap();
    let cells = (0..3).map(|seed| {
        let mut record = done(id("stl", "base", seed), 0.7, 0.2, 0.1);
        record.cost[0].params_activated = 2_700_003;
        fixture::ends(record)
    });
    let report = report_of(&[&fixture::store(dir.path(), "run", cells.collect())]);
    assert!(report.markdown.contains("| 2.70 |") && !report.markdown.contains("2.70 ±"), "{}", report.markdown);
}

#[test]
fn cells_csv_of_a_run_with_failed_and_unfinished_cells() {
    insta::assert_snapshot!(table(&report(mixed), "cells"));
}

/// The body of the page; style and script have tests of their own kind.
#[test]
fn html_of_a_run_with_failed_and_unfinished_cells() {
    let html = report(mixed).html;
    let body = html.split_once("<body>").unwrap().1.split_once("<script>").unwrap().0.to_owned();
    // The figures are long and made of coordinates; their text is looked at below.
    let mut text = String::new();
    let mut rest = body.as_str();
    while let Some((before, after)) = rest.split_once("<svg") {
        text.push_str(before);
        text.push_str("[figure]");
        rest = after.split_once("</svg>").unwrap().1;
    }
    text.push_str(rest);
    insta::assert_snapshot!(text);
}

#[test]
fn a_figure_per_task_with_title_description_and_legend() {
    let report = report(mixed);
    let names: Vec<&str> = report.figures.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["figure-1-1-vit-micro", "curves-1-classification-vit-micro", "curves-2-detection-vit-micro"]);
    for (name, svg) in &report.figures[1..] {
        assert!(svg.starts_with("<svg class=\"adamv\" role=\"img\"") && svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains(&format!("<title id=\"{name}-title\">Training loss of")));
        assert!(svg.contains("stl, seed 0: from") && svg.contains("at step 400"));
        assert!(svg.contains("Learning rate") && svg.contains("prefers-color-scheme:dark"));
        // The unfinished cell has a line as far as it got; the one that never started has none.
        assert!(svg.contains("mtl-moe") && svg.contains("at step 120") && !svg.contains("adamv-moe"));
        assert!(report.html.contains(svg.as_str()));
    }
}

#[test]
fn the_same_store_gives_the_same_files() {
    let dir = tempfile::tempdir().unwrap();
    let runs = [mixed(dir.path()), seeds(dir.path())];
    let runs: Vec<&Path> = runs.iter().map(PathBuf::as_path).collect();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    write(&report_of(&runs), &one).unwrap();
    write(&report_of(&runs), &two).unwrap();
    // Also over an older report.
    assert_eq!(write(&report_of(&runs), &two).unwrap(), two.join("report.html"));
    let mut compared = 0;
    for folder in ["", "tables", "figures"] {
        for entry in fs::read_dir(one.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let other = two.join(path.strip_prefix(&one).unwrap());
                assert_eq!(fs::read(&path).unwrap(), fs::read(&other).unwrap(), "{}", path.display());
                compared += 1;
            }
        }
        assert_eq!(fs::read_dir(one.join(folder)).unwrap().count(), fs::read_dir(two.join(folder)).unwrap().count());
    }
    // Two pages; main, margins and cells; figure 1 and a curve per task.
    assert_eq!(compared, 2 + 3 + 3);
}

#[test]
fn hostile_names_stay_text_in_every_format() {
    let report = report(hostile);
    let formats = [("html", &report.html), ("markdown", &report.markdown)];
    let figures = report.figures.iter().map(|(name, svg)| (name.as_str(), svg));
    for (format, text) in formats.into_iter().chain(figures) {
        // Indented code blocks of Markdown show what they hold; they are the commands and looked at below.
        let text: String = text.lines().filter(|line| !(format == "markdown" && line.starts_with("    "))).collect();
        assert!(!text.contains("<img"), "{format}");
        assert!(text.contains("&lt;img"), "{format}");
    }
    // One style, one script and the page's own end tags: nothing was closed early.
    for (tag, times) in [("<script", 1), ("</script>", 1), ("</body>", 1), ("<h1>", 1)] {
        assert_eq!(report.html.matches(tag).count(), times, "{tag}");
    }
    for (name, _) in &report.figures {
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{name}");
    }
    // Every row of a table has as many columns as the row above it.
    let columns = |line: &str| line.replace("\\\\", "").replace("\\|", "").matches('|').count();
    for (above, line) in report.markdown.lines().zip(report.markdown.lines().skip(1)) {
        assert!(above.is_empty() || columns(above) == columns(line) || !line.starts_with('|'), "{above}\n{line}");
    }
    assert!(!report.markdown.contains(" [x](javascript"));
    assert!(!report.markdown.contains('\u{1b}') && !report.markdown.contains("\n# x"));
    let code: Vec<&str> = report.markdown.lines().filter(|line| line.contains("<img")).collect();
    assert!(!code.is_empty() && code.iter().all(|line| line.starts_with("    adamv-bench run ")), "{code:?}");
    for (name, text) in &report.tables {
        assert!(text.contains(HOSTILE) && text.contains("\"'=HYPERLINK(\"\"http://x\"\")\""), "{name}");
        assert!(text.contains(",'@sum,"), "{name}");
    }
}

#[test]
fn the_page_is_self_contained_and_well_formed() {
    for make in [mixed, seeds, hostile] {
        let html = report(make).html;
        for outside in ["src=\"", "@import", "url(", "href=\"http", "<iframe", "fetch("] {
            assert!(!html.contains(outside), "{outside}");
        }
        // Ids are unique, and every link of the page has its target.
        let ids: Vec<&str> = html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), ids.len());
        for target in html.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(ids.contains(&target), "{target}");
        }
        for references in html.split("aria-labelledby=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(references.split(' ').all(|id| ids.contains(&id)), "{references}");
        }
        for tag in
            ["section", "table", "tr", "td", "th", "figure", "svg", "ul", "li", "dl", "div", "span", "p", "h2", "h3"]
        {
            let (open, close) = (
                html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count(),
                html.matches(&format!("</{tag}>")).count(),
            );
            assert_eq!(open, close, "{tag}");
        }
    }
}

#[test]
fn nothing_measured_is_said_in_the_title() {
    let dir = tempfile::tempdir().unwrap();
    let run =
        fixture::store(dir.path(), "none", vec![fixture::failed(id("stl", "base", 0), "data/train: no such folder")]);
    let report = report_of(&[&run]);
    assert!(report.html.contains("<title>AdaMV-Bench: smoke: nothing was measured</title>"));
    assert!(
        report
            .markdown
            .starts_with("# AdaMV-Bench: smoke: nothing was measured\n\nThe only cell is not done; one cell failed.\n")
    );
    assert!(report.markdown.contains("**Nothing was measured:**") && report.markdown.contains("no such folder"));
    assert!(report.markdown.contains("— (failed)"));
}

#[test]
fn other_protocols_are_not_compared() {
    let dir = tempfile::tempdir().unwrap();
    let mut other = done(id("stl", "base", 0), 0.9, 0.5, 0.5);
    other.protocol_key = "fedcba9876543210".into();
    let reference = done(id("mtl-vit", "base", 0), 0.5, 0.2, 0.2);
    let run = fixture::store(dir.path(), "two", vec![fixture::ends(other), fixture::ends(reference)]);
    let markdown = report_of(&[&run]).markdown;
    assert!(markdown.contains("— (another protocol)"), "{markdown}");
    assert!(markdown.contains("follow 2 protocols") && !markdown.contains("points above"), "{markdown}");
}

#[test]
fn two_runs_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (mixed(dir.path()), seeds(dir.path()));
    let report = report_of(&[&one, &two]);
    assert!(report.markdown.contains("| System | Backbone | Variant | Run |"));
    assert!(
        report.markdown.contains("| stl | vit-micro | base | mixed |")
            && report.markdown.contains("| stl | vit-micro | base | seeds |")
    );
}

#[test]
fn what_is_no_run_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(load(&[]), Err(ReportError::NoRun)));
    let error = load(&[dir.path()]).unwrap_err().to_string();
    assert!(error.contains("not a run directory"), "{error}");
    let run = mixed(dir.path());
    fs::write(run.join("stl-vit-micro-s0/history.parquet"), "broken").unwrap();
    let error = load(&[&run]).unwrap_err().to_string();
    assert!(error.contains("stl-vit-micro-s0/history.parquet"), "{error}");
}

/// For eyes: reports of all stores, left in the target folder, with the path printed.
#[test]
fn reports_to_look_at() {
    let dir = tempfile::tempdir().unwrap();
    for (name, make) in [("mixed", mixed as fn(&Path) -> PathBuf), ("seeds", seeds), ("hostile", hostile)] {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reports").join(name);
        let html = write(&report_of(&[&make(dir.path())]), &out).unwrap();
        println!("{}", html.display());
        assert!(html.is_file() && out.join("report.md").is_file() && out.join("tables/main.csv").is_file());
    }
}
