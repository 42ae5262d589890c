//! `compare`: arguments to the comparison and its rows to a table, JSON or Markdown. Judges nothing.

use std::io::{IsTerminal, stdout};
use std::path::Path;

use adamv_models::systems::SYSTEMS;
use adamv_reports::ReportError;
use adamv_reports::compare::{CompareOptions, Comparison, Question, Row, Source, Verdict, compare_sources};
use adamv_store::{Gates, write_bytes_atomic};

use crate::baseline;
use crate::cli::CompareArgs;
use crate::exit::{Failure, NOTHING, REGRESSION};
use crate::explain::unknown;
use crate::text_table::TextTable;
use crate::{given, json};

/// Compares, prints, and ends with 3 where something got worse.
pub fn compare(args: &CompareArgs) -> Result<(), Failure> {
    given::folder("DIR", &args.dir, "give a folder that `adamv-bench run --out` or `baseline store` wrote")?;
    let question = match &args.reference {
        None => Question::Regression,
        Some(system) => Question::Reference { reference: known_system(system)? },
    };
    let run = open(&args.dir)?;
    let baseline = open(&baseline::locate(&args.baseline)?)?;
    let gates = gates(&args.gate, run.gates)?;
    let options =
        CompareOptions { question, across: args.across, gates: Some(gates), resamples: args.resamples as usize };
    let comparison = compare_sources(&run, &baseline, &options)?;
    if let Some(out) = &args.out {
        let document = json::text(&comparison)? + "\n";
        write_bytes_atomic(&out.join("comparison.json"), document.as_bytes())?;
        write_bytes_atomic(&out.join("comparison.md"), comparison.markdown()?.as_bytes())?;
    }
    if args.json {
        json::print(&comparison)?;
    } else if args.markdown {
        json::line(comparison.markdown()?.trim_end())?;
    } else {
        let colour = stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        json::line(&table(&comparison, colour))?;
    }
    outcome(&comparison)
}

/// A folder that holds no results at all has nothing to compare, as one whose cells aren't done.
pub fn open(path: &Path) -> Result<Source, Failure> {
    Source::open(path).map_err(|error| match error {
        ReportError::Store(adamv_store::Error::NotARun { .. }) => Failure::new(NOTHING, error.to_string()),
        error => error.into(),
    })
}

/// The exit code's message; nothing where all is fine.
fn outcome(comparison: &Comparison) -> Result<(), Failure> {
    if !comparison.measured() {
        let common = match &comparison.question {
            Question::Regression => "no finished cell in common".to_owned(),
            Question::Reference { reference } => {
                format!("no seed and backbone in common for which the latter has {reference}")
            }
        };
        let what = format!(
            "{} and the baseline {} have {common}: nothing was compared; `adamv-bench status` and `adamv-bench baseline show` list what each has",
            comparison.run, comparison.baseline
        );
        return Err(Failure::new(NOTHING, what));
    }
    if comparison.regressed() {
        let rows: Vec<String> =
            comparison.rows.iter().filter(|row| row.verdict == Verdict::Worse).map(described).collect();
        let cells =
            comparison.absent.iter().filter(|absent| absent.failed).map(|absent| format!("{} failed", absent.cell));
        let all: Vec<String> = rows.into_iter().chain(cells).collect();
        return Err(Failure::new(
            REGRESSION,
            format!("worse than the baseline {}: {}", comparison.baseline, all.join(", ")),
        ));
    }
    Ok(())
}

fn described(row: &Row) -> String {
    let shown = row.shown();
    format!(
        "{} of {} on {} (seed {}) by {} points",
        shown.metric,
        named(&row.system, &row.variant),
        shown.backbone,
        shown.seeds,
        shown.delta
    )
}

fn named(system: &str, variant: &str) -> String {
    if variant == adamv_store::CellId::BASE { system.to_owned() } else { format!("{system} ({variant})") }
}

fn known_system(name: &str) -> Result<String, Failure> {
    let known = SYSTEMS.map(|entry| entry.name);
    if known.contains(&name) {
        return Ok(name.to_owned());
    }
    Err(Failure::usage(format!("--reference: {}", unknown("system", name, &known))))
}

/// The suite's gates with those of the command line in their place.
fn gates(given: &[String], suite: Gates) -> Result<Gates, Failure> {
    let mut gates = suite;
    for text in given {
        let wrong = |what: String| Failure::usage(format!("--gate {text}: {what}"));
        let (name, points) =
            text.split_once('=').ok_or_else(|| wrong("give METRIC=POINTS, such as accuracy=1.5".into()))?;
        let points = points
            .parse::<f64>()
            .ok()
            .filter(|points| (0.0..=100.0).contains(points))
            .ok_or_else(|| wrong(format!("`{points}` is not a number of percentage points from 0 to 100")))?;
        let known = gates.named().map(|(name, _)| name);
        match name {
            "accuracy" => gates.accuracy = points,
            "AP" => gates.AP = points,
            "AP50" => gates.AP50 = points,
            "AP75" => gates.AP75 = points,
            "APmask" => gates.APmask = points,
            _ => return Err(wrong(unknown("metric", name, &known))),
        }
    }
    Ok(gates)
}

/// What a terminal shows.
fn table(comparison: &Comparison, colour: bool) -> String {
    let mut text = String::new();
    if !comparison.rows.is_empty() {
        let header =
            ["system", "backbone", "seed", "metric", "baseline", "now", "delta", "95% interval", "MDE", "q", "verdict"];
        let mut table = TextTable::new(&header, 4);
        for row in &comparison.rows {
            let shown = row.shown();
            table.row([
                named(&row.system, &row.variant),
                shown.backbone,
                shown.seeds,
                shown.metric,
                shown.baseline,
                shown.value,
                shown.delta,
                shown.interval,
                shown.minimum_detectable,
                shown.q,
                shown.verdict,
            ]);
        }
        let lines = table.to_string();
        let mut lines = lines.lines();
        text.push_str(lines.next().unwrap_or_default());
        text.push('\n');
        for (line, row) in lines.zip(&comparison.rows) {
            text.push_str(&coloured(line, row.verdict, colour));
            text.push('\n');
        }
        text.push_str("percent and percentage points; MDE: smallest difference found with 80% power; q: p adjusted for all rows\n\n");
    }
    if !comparison.over_seeds.is_empty() {
        let mut table = TextTable::new(&["system", "backbone", "seeds", "metric", "baseline", "now", "delta"], 4);
        for row in &comparison.over_seeds {
            let shown = row.shown();
            let name = named(&row.system, &row.variant);
            table.row([name, shown.backbone, shown.seeds, shown.metric, shown.baseline, shown.value, shown.delta]);
        }
        text.push_str(&format!("{table}mean ± standard deviation over seeds\n\n"));
    }
    let costs = comparison.shown_costs();
    if !costs.is_empty() {
        let mut table = TextTable::new(&["system", "backbone", "seed", "task", "activated parameters", "MACs"], 4);
        for cost in &costs {
            let shown = cost.shown();
            let name = named(&cost.system, &cost.variant);
            table.row([name, shown.backbone, shown.seeds, shown.task, shown.params, shown.macs]);
        }
        text.push_str(&format!("{table}\n"));
    }
    let unchanged = comparison.costs.len() - costs.len();
    if unchanged > 0 {
        text.push_str(&format!("cost: unchanged in {unchanged} of {} rows\n", comparison.costs.len()));
    }
    let alone = comparison.absent.iter().filter(|absent| absent.baseline_alone).count();
    for absent in comparison.absent.iter().filter(|absent| !absent.baseline_alone) {
        text.push_str(&format!("not compared: {}: {}\n", absent.cell, absent.why));
    }
    match alone {
        0 => {}
        1 => text.push_str("not compared: one cell of the baseline is not in this run\n"),
        _ => text.push_str(&format!("not compared: {alone} cells of the baseline are not in this run\n")),
    }
    for note in &comparison.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text + &comparison.sentence()
}

fn coloured(line: &str, verdict: Verdict, colour: bool) -> String {
    let code = match verdict {
        _ if !colour => return line.to_owned(),
        Verdict::Worse => "31",
        Verdict::Better => "32",
        Verdict::Undecided => "33",
        Verdict::Same => return line.to_owned(),
    };
    format!("\u{1b}[{code}m{line}\u{1b}[0m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_of_the_command_line_replace_the_suites() {
        let suite = Gates { accuracy: 3.0, ..Gates::default() };
        let given = |texts: &[&str]| gates(&texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>(), suite);
        let found = given(&["APmask=0.25", "AP50=2"]).unwrap();
        assert_eq!(found, Gates { APmask: 0.25, AP50: 2.0, ..suite });
        for (text, wanted) in [
            ("AP", "give METRIC=POINTS"),
            ("AP=x", "`x` is not a number"),
            ("AP=-1", "`-1` is not a number of percentage points from 0"),
            ("AP=NaN", "is not a number"),
            ("acuracy=1", "the nearest known metric is `accuracy`"),
        ] {
            let error = given(&[text]).unwrap_err();
            assert!(error.message.contains(wanted) && error.code == 2, "{}", error.message);
        }
    }

    #[test]
    fn colour_only_where_it_is_wanted() {
        assert_eq!(coloured("x", Verdict::Worse, false), "x");
        assert_eq!(coloured("x", Verdict::Worse, true), "\u{1b}[31mx\u{1b}[0m");
        assert_eq!(coloured("x", Verdict::Same, true), "x");
    }
}
