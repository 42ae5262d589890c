//! The paper's claims held against our records: each is an inequality, and gets a verdict with its evidence.
//!
//! Architecture invariant: a claim is data (`baselines/claims.yaml`), what it needs is in the store, and a claim without evidence
//! is *not run*, never supported.

mod cells;
mod experts;
mod file;
mod gradients;
mod inequality;
mod routing;
mod text;

use std::cell::RefCell;

use serde::Serialize;

pub use file::{ActivatedParameters, Claim, Claims, Margin, Published, System, Test};

pub(crate) use text::{ClaimsPage, claims_csv};

use crate::compare::{ApCache, Source};
use crate::error::Result;

/// What our runs say of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClaimVerdict {
    Supported,
    Contradicted,
    /// It was run, and neither is sure.
    Undecided,
    NotRun,
}

impl std::fmt::Display for ClaimVerdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Supported => "supported",
            Self::Contradicted => "contradicted",
            Self::Undecided => "undecided",
            Self::NotRun => "not run",
        })
    }
}

impl ClaimVerdict {
    /// Of everything together: one contradiction contradicts, support must be whole.
    fn of_all(parts: impl IntoIterator<Item = Self>) -> Self {
        let parts: Vec<Self> = parts.into_iter().collect();
        let any = |verdict| parts.contains(&verdict);
        if any(Self::Contradicted) {
            Self::Contradicted
        } else if parts.iter().all(|part| *part == Self::NotRun) {
            Self::NotRun
        } else if parts.iter().all(|part| *part == Self::Supported) {
            Self::Supported
        } else {
            Self::Undecided
        }
    }
}

/// A claim with its verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    pub id: String,
    pub says: String,
    pub source: String,
    pub verdict: ClaimVerdict,
    /// What the verdict rests on, or what is missing.
    pub evidence: Vec<Evidence>,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evidence {
    pub verdict: ClaimVerdict,
    pub finding: String,
}

/// All claims with their verdicts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JudgedClaims {
    /// Names of the runs.
    pub runs: Vec<String>,
    /// Whose published numbers stand beside ours.
    pub published: Vec<String>,
    pub claims: Vec<Judged>,
}

impl JudgedClaims {
    /// How many have each verdict: `2 supported, 0 contradicted, 5 undecided, 7 not run`.
    pub fn sentence(&self) -> String {
        let all = [ClaimVerdict::Supported, ClaimVerdict::Contradicted, ClaimVerdict::Undecided, ClaimVerdict::NotRun];
        let count = |verdict| self.claims.iter().filter(|claim| claim.verdict == verdict).count();
        all.map(|verdict| format!("{} {verdict}", count(verdict))).join(", ")
    }

    /// As Markdown.
    ///
    /// # Errors
    /// A defect of the template.
    pub fn markdown(&self) -> Result<String> {
        text::markdown(self)
    }
}

/// Judges every claim by the runs. A claim is judged in each run that has what it needs; findings of several runs add up.
/// `published` margins stand beside ours. `resamples` of the images, as in a comparison.
///
/// # Errors
/// Those of a comparison.
pub fn judge_claims(
    claims: &Claims,
    published: &[Published],
    runs: &[Source],
    resamples: usize,
) -> Result<JudgedClaims> {
    judge_with(claims, published, runs, resamples, &RefCell::new(ApCache::new(resamples)))
}

/// [`judge_claims`] with resamples that others made of the same runs, as many.
pub(crate) fn judge_with<'a>(
    claims: &Claims,
    published: &'a [Published],
    runs: &'a [Source],
    resamples: usize,
    cache: &RefCell<ApCache<'a>>,
) -> Result<JudgedClaims> {
    let given = inequality::Given { published, runs, resamples, cache };
    let judged = claims.claims.iter().map(|claim| {
        let found = inequality::judge(&claim.test, &given)?;
        Ok(Judged {
            id: claim.id.clone(),
            says: claim.says.clone(),
            source: claim.source.clone(),
            verdict: ClaimVerdict::of_all(found.iter().map(|evidence| evidence.verdict)),
            evidence: found,
        })
    });
    Ok(JudgedClaims {
        runs: runs.iter().map(|run| run.name.clone()).collect(),
        published: published.iter().map(|p| format!("{}: {}", p.title, p.data)).collect(),
        claims: judged.collect::<Result<Vec<_>>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::ClaimVerdict::{self, Contradicted, NotRun, Supported, Undecided};

    #[test]
    fn support_must_be_whole_and_one_contradiction_is_enough() {
        for (parts, wanted) in [
            (&[][..], NotRun),
            (&[NotRun, NotRun], NotRun),
            (&[Supported, Supported], Supported),
            (&[Supported, NotRun], Undecided),
            (&[Supported, Undecided], Undecided),
            (&[Supported, Contradicted, Undecided], Contradicted),
        ] {
            assert_eq!(ClaimVerdict::of_all(parts.iter().copied()), wanted, "{parts:?}");
        }
    }
}
