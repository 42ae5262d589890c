//! `status`: the cells of a run directory and how far each is. Reads only.

use adamv_store::{Cell, CellState, RunDir};
use serde::Serialize;

use crate::cli::StatusArgs;
use crate::exit::Failure;
use crate::text_table::TextTable;
use crate::{given, json};

#[derive(Debug, Serialize)]
struct Row<'a> {
    cell: String,
    system: &'a str,
    backbone: &'a str,
    variant: &'a str,
    seed: u64,
    state: &'static str,
    phase: Option<&'a str>,
    step: Option<u64>,
    steps: Option<u64>,
    error: Option<&'a str>,
}

/// Prints every cell with its state.
pub fn status(args: &StatusArgs) -> Result<(), Failure> {
    given::folder("DIR", &args.dir, "give the folder that `adamv-bench run --out` wrote")?;
    let cells = RunDir::open(&args.dir)?.cells()?;
    if args.json {
        return json::print(&cells.iter().map(row).collect::<Vec<_>>());
    }
    let mut table = TextTable::new(&["cell", "state", "progress"], 3);
    for row in cells.iter().map(row) {
        let progress = match (row.phase, row.step, row.steps, row.error) {
            (_, _, _, Some(error)) => error.lines().next().unwrap_or_default().to_string(),
            (Some(phase), Some(step), Some(steps), None) => format!("{phase} {step}/{steps}"),
            _ => String::new(),
        };
        table.row([row.cell, row.state.into(), progress]);
    }
    let count = |state| cells.iter().filter(|cell| cell.state == state).count();
    let counts: Vec<String> =
        [CellState::Done, CellState::Running, CellState::Failed, CellState::Skipped, CellState::Waiting]
            .into_iter()
            .map(|state| format!("{} {}", count(state), state.name()))
            .collect();
    json::line(&format!("{table}{}", counts.join(", ")))
}

fn row(cell: &Cell) -> Row<'_> {
    let name = cell.dir.path().file_name().unwrap_or_default();
    Row {
        cell: name.to_string_lossy().into_owned(),
        system: &cell.id.system,
        backbone: &cell.id.backbone,
        variant: &cell.id.variant,
        seed: cell.id.seed,
        state: cell.state.name(),
        phase: cell.progress.as_ref().map(|progress| progress.phase.as_str()),
        step: cell.progress.as_ref().map(|progress| progress.step),
        steps: cell.progress.as_ref().map(|progress| progress.steps),
        error: cell.record.as_ref().and_then(|record| record.error.as_deref()),
    }
}
