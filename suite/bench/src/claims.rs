//! `claims`: the paper's claims and our runs to verdicts. Judges nothing.

use adamv_reports::claims::{ClaimVerdict, Claims, JudgedClaims, Published, judge_claims};

use adamv_store::Record;

use crate::cli::ClaimsArgs;
use crate::exit::{Failure, NOTHING};
use crate::{baseline, compare, given, json, task_version, yaml};

/// Judges the claims and prints each with its evidence.
pub fn claims(args: &ClaimsArgs) -> Result<(), Failure> {
    given::file("--claims", &args.claims, "run from the root of the repository, or name a file of claims")?;
    given::file(
        "--published",
        &args.published,
        "run from the root of the repository, or name a file of published results",
    )?;
    let claims: Claims = yaml::parse(&args.claims, &yaml::read(&args.claims)?)?;
    let published: Published = yaml::parse(&args.published, &yaml::read(&args.published)?)?;
    let mut runs = Vec::new();
    for name in &args.runs {
        let run = compare::open(&baseline::locate(name)?)?;
        let records: Vec<&Record> = run.cells.iter().filter_map(|cell| cell.record.as_ref()).collect();
        let suite = records.first().map_or("", |record| record.cell.suite.as_str());
        if let Some(note) = task_version::outdated(name, suite, records.iter().copied()) {
            eprintln!("note: {note}");
        }
        runs.push(run);
    }
    let judged = judge_claims(&claims, &[published], &runs, args.resamples as usize)?;
    if args.json {
        json::print(&judged)?;
    } else if args.markdown {
        json::line(judged.markdown()?.trim_end())?;
    } else {
        json::line(text(&judged).trim_end())?;
    }
    if judged.claims.iter().all(|claim| claim.verdict == ClaimVerdict::NotRun) {
        let what = "no claim could be judged: the runs have none of the cells that the claims are about";
        return Err(Failure::new(NOTHING, what));
    }
    Ok(())
}

/// What a terminal shows: a verdict and a claim a line, its evidence below.
fn text(judged: &JudgedClaims) -> String {
    let mut text = String::new();
    for claim in &judged.claims {
        text.push_str(&format!("{:<13} {} ({})\n", claim.verdict.to_string(), claim.says, claim.source));
        for evidence in &claim.evidence {
            text.push_str(&format!("              {}: {}\n", evidence.verdict, evidence.finding));
        }
    }
    text + &judged.sentence()
}
