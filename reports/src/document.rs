//! The report as a whole: what goes into the templates, and what comes out.

use serde::Serialize;

use crate::compare::{Comparison, Page, page};
use crate::curves::{Figure, curves};
use crate::details::{Details, cells_csv, details};
use crate::error::Result;
use crate::group::{first_seen, groups};
use crate::load::Results;
use crate::markup::fill;
use crate::probes::{Looks, looks};
use crate::table::{MainTable, main_table};
use crate::verdict::{Verdict, verdict};

/// What a user may choose.
#[derive(Debug, Clone)]
pub struct ReportOptions {
    /// In place of `AdaMV-Bench: SUITE`.
    pub title: Option<String>,
    /// The system that margins are taken over.
    pub reference: String,
    /// The run held against a baseline.
    pub comparison: Option<Comparison>,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self { title: None, reference: "mtl-vit".to_owned(), comparison: None }
    }
}

/// A finished report; [`crate::write`] makes files of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// One self-contained page.
    pub html: String,
    /// The same for a repository or a pull request; refers to `figures/`.
    pub markdown: String,
    /// Name without ending, CSV.
    pub tables: Vec<(String, String)>,
    /// Name without ending, SVG.
    pub figures: Vec<(String, String)>,
}

#[derive(Serialize)]
struct Document<'a> {
    title: String,
    verdict: Verdict,
    main: MainTable,
    details: Details,
    figures: Vec<Figure>,
    probes: Looks,
    comparison: Option<Page<'a>>,
}

/// Makes the report. A function of its arguments alone: the same store gives the same bytes.
///
/// # Errors
/// A defect of a figure or template.
pub fn render(results: &Results, options: &ReportOptions) -> Result<Report> {
    let groups = groups(results);
    let main = main_table(results, &groups, &options.reference);
    let mut tables = vec![("main".to_owned(), main.csv()), ("cells".to_owned(), cells_csv(results))];
    let verdict = verdict(results, &groups);
    let suites = first_seen(results.runs.iter().map(|run| run.suite.as_str())).join(", ");
    let title = options.title.clone().unwrap_or_else(|| match verdict.measured {
        true => format!("AdaMV-Bench: {suites}"),
        false => format!("AdaMV-Bench: {suites}: nothing was measured"),
    });
    let mut probes = looks(results, &groups)?;
    tables.append(&mut probes.tables);
    let document = Document {
        title,
        verdict,
        main,
        details: details(results),
        figures: curves(results, &groups)?,
        probes,
        comparison: options.comparison.as_ref().map(page),
    };
    Ok(Report {
        html: fill("report.html", &document)?,
        markdown: fill("report.md", &document)?,
        tables,
        figures: (document.figures.iter().chain(document.probes.figures()))
            .map(|figure| (figure.name.clone(), figure.svg.clone()))
            .collect(),
    })
}
