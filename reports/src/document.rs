//! The report as a whole: what goes into the templates, and what comes out.

use std::cell::RefCell;

use serde::Serialize;

use crate::ablations::{Ablation, ablations, ablations_csv};
use crate::claims::{Claims, ClaimsPage, Published, claims_csv, judge_with};
use crate::compare::{ApCache, Comparison, Page, Source, page};
use crate::curves::{Figure, curves};
use crate::details::{Details, cells_csv, details};
use crate::error::{ReportError, Result};
use crate::group::{first_seen, groups};
use crate::load::Results;
use crate::margins::{MarginTable, margin_table, margins, margins_csv};
use crate::markup::fill;
use crate::paired::Pairing;
use crate::probes::{Looks, looks};
use crate::scatter::scatter;
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
    /// What papers report: it stands beside our margins.
    pub published: Vec<Published>,
    /// Claims to judge by the runs.
    pub claims: Option<Claims>,
    /// Resamples of the images for intervals of margins, ablations and claims; fewer than a comparison's, for a page holds many
    /// rows and is made often.
    pub resamples: usize,
    /// What the reader should know besides: they join the notes of the summary.
    pub notes: Vec<String>,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self {
            title: None,
            reference: "mtl-vit".to_owned(),
            comparison: None,
            published: Vec::new(),
            claims: None,
            resamples: 2000,
            notes: Vec::new(),
        }
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
    margins: MarginTable,
    ablations: Vec<&'a Ablation>,
    claims: Option<ClaimsPage<'a>>,
    details: Details,
    /// Accuracy against AP.
    scatter: Vec<Figure>,
    /// Learning curves.
    figures: Vec<Figure>,
    probes: Looks,
    comparison: Option<Page<'a>>,
}

/// Makes the report. A function of its arguments alone: the same store gives the same bytes.
///
/// # Errors
/// A defect of a figure or template, and those of a comparison, but for one that cannot be made: the report says so.
pub fn render(results: &Results, options: &ReportOptions) -> Result<Report> {
    let groups = groups(results);
    let sources: Vec<Source> = results.runs.iter().map(Source::from).collect();
    let cache = RefCell::new(ApCache::new(options.resamples));
    let mut more = options.notes.clone();

    // ---- What our cells say
    let main = main_table(results, &groups);
    let pairing = Pairing { results, sources: &sources, cache: &cache };
    let over = margins(&groups, &options.reference, &pairing)?;
    let variants = ablations(&groups, &options.published, &pairing)?;
    let judged = match &options.claims {
        None => None,
        Some(claims) => match judge_with(claims, &options.published, &sources, options.resamples, &cache) {
            Ok(judged) => Some(judged),
            Err(ReportError::Comparison { detail }) => {
                more.push(format!("The paper's claims were not judged: {detail}."));
                None
            }
            Err(error) => return Err(error),
        },
    };

    // ---- Tables and pages of it
    let verdict = verdict(results, &groups, &over, &more);
    let mut tables = vec![
        ("main".to_owned(), main.csv()),
        ("margins".to_owned(), margins_csv(results, &over, &options.published)),
        ("cells".to_owned(), cells_csv(results)),
    ];
    if !variants.is_empty() {
        tables.push(("ablations".to_owned(), ablations_csv(&variants)));
    }
    tables.extend(judged.as_ref().map(|judged| ("claims".to_owned(), claims_csv(judged))));
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
        margins: margin_table(results, &over, &options.published, options.resamples),
        ablations: variants.iter().map(|table| &table.shown).collect(),
        claims: judged.as_ref().map(ClaimsPage::new),
        details: details(results, &groups),
        scatter: scatter(&groups)?,
        figures: curves(results, &groups)?,
        probes,
        comparison: options.comparison.as_ref().map(page),
    };
    let (html, markdown) = (fill("report.html", &document)?, fill("report.md", &document)?);
    let figures = document.scatter.iter().chain(&document.figures).chain(document.probes.figures());
    let figures = figures.map(|figure| (figure.name.clone(), figure.svg.clone())).collect();
    Ok(Report { html, markdown, tables, figures })
}
