//! Judged claims as Markdown, as a part of the report and as CSV. Judges nothing.

use serde::Serialize;

use super::{Judged, JudgedClaims};
use crate::csv::{Field, csv};
use crate::error::Result;
use crate::markup::fill;

pub(super) fn markdown(claims: &JudgedClaims) -> Result<String> {
    fill("claims.md", claims)
}

/// Judged claims as the report's templates print them.
#[derive(Serialize)]
pub(crate) struct ClaimsPage<'a> {
    sentence: String,
    runs: &'a [String],
    published: &'a [String],
    claims: &'a [Judged],
}

impl<'a> ClaimsPage<'a> {
    pub(crate) fn new(judged: &'a JudgedClaims) -> Self {
        let JudgedClaims { runs, published, claims } = judged;
        Self { sentence: judged.sentence(), runs, published, claims }
    }
}

/// `tables/claims.csv`: a line per finding.
pub(crate) fn claims_csv(judged: &JudgedClaims) -> String {
    let header = ["claim", "says", "source", "verdict", "finding_verdict", "finding"];
    let text = |text: &str| Field::Text(text.to_owned());
    let rows = judged.claims.iter().flat_map(|claim| {
        claim.evidence.iter().map(move |evidence| {
            vec![
                text(&claim.id),
                text(&claim.says),
                text(&claim.source),
                text(&claim.verdict.to_string()),
                text(&evidence.verdict.to_string()),
                text(&evidence.finding),
            ]
        })
    });
    csv(&header, rows)
}
