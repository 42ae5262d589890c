//! What adaptive expert selection did: each task's K against the step, the validation loss that it followed, and why it moved.

use std::collections::BTreeMap;

use adamv_store::History;

use super::looked::{Looked, list};
use super::{Entry, Heading, Part, Table, Topic};
use crate::csv::{Field, csv};
use crate::curves::{Figure, is_training, loss_text, plain};
use crate::details::Link;
use crate::error::Result;
use crate::figure::{Line, LineFigure, Panel, draw};
use crate::group::first_seen;
use crate::load::RunCell;

/// What the numbers of `aes_reason` mean; the engine gives them, and none ever gets another meaning.
const REASONS: [&str; 9] = [
    "first evaluation, nothing to compare with",
    "loss fell below the best so far",
    "loss did not fall: one more expert",
    "no better with one more expert: one fewer again, for good",
    "K is fixed since an earlier roll-back",
    "loss did not fall, but every expert is selected",
    "would be rolled back, but one expert is the least",
    "loss did not fall, but patience is left",
    "loss did not fall at the last step: nothing left to train",
];
const IMPROVED: usize = 1;
const GROWN: usize = 2;
const ROLLED_BACK: usize = 3;
const FROZEN: usize = 4;
const WAITING: usize = 7;
/// A longer table shows what moved K or could not, and leaves out the rest.
const MOST_ROWS: usize = 24;

/// One evaluation of D_val.
#[derive(Debug, Clone, PartialEq)]
struct Decision {
    task: String,
    phase: String,
    step: u64,
    /// Steps of the phases before.
    before: u64,
    loss: f64,
    best: Option<f64>,
    k: f64,
    /// Whether K is another than at the evaluation before.
    moved: bool,
    reason: Option<usize>,
}

impl Decision {
    fn at(&self) -> f64 {
        (self.before + self.step) as f64
    }

    fn why(&self) -> &'static str {
        self.reason.and_then(|reason| REASONS.get(reason)).copied().unwrap_or("an unknown reason")
    }

    /// Whether a long table can do without it.
    fn is_plain(&self) -> bool {
        !self.moved && self.reason.is_some_and(|reason| [IMPROVED, FROZEN, WAITING].contains(&reason))
    }
}

pub(super) fn topic(looked: &[Looked]) -> Result<Topic> {
    let mut parts = Vec::new();
    let mut without = Vec::new();
    for one in looked {
        let cells: Vec<(&RunCell, Vec<Decision>)> = one
            .done
            .iter()
            .map(|cell| (*cell, decisions(&cell.history)))
            .filter(|(_, decisions)| !decisions.is_empty())
            .collect();
        match cells.first() {
            Some((cell, decisions)) => parts.push(part(one, cell, decisions, &cells, parts.len() + 1)?),
            None => without.push(one),
        }
    }
    let fixed: Vec<&str> = without.iter().filter(|one| one.has_experts).map(|one| one.label.as_str()).collect();
    let absent = match fixed[..] {
        [] => Vec::new(),
        _ => vec![format!("K is fixed in {}: no adaptive expert selection.", list(&fixed))],
    };
    let lead = "How many experts each task uses (K), and the loss on D_val that decides it. A dot marks where K moved."
        .to_owned();
    let table = (!parts.is_empty()).then(|| table(looked));
    Ok(Topic { id: "aes", title: "Adaptive expert selection", lead, parts, absent, table })
}

/// Phases that train, each with the steps before it and its last step.
fn phases(history: &History) -> Vec<(&str, u64, u64)> {
    let rows = || history.rows.iter().filter(|row| is_training(row));
    let mut before = 0;
    let mut phases = Vec::new();
    for phase in first_seen(rows().map(|row| row.phase.as_str())) {
        let last = rows().filter(|row| row.phase == phase).map(|row| row.step).max().unwrap_or(0);
        phases.push((phase, before, before + last));
        before += last;
    }
    phases
}

/// In order of task, phase and step. Of two rows for the same thing the later one counts.
fn decisions(history: &History) -> Vec<Decision> {
    let rows = history.rows.iter().filter(|row| row.metric.starts_with("aes_"));
    let mut all = Vec::new();
    for task in first_seen(rows.clone().map(|row| row.task.as_str())) {
        for (phase, before, _) in phases(history) {
            let mut steps: BTreeMap<u64, BTreeMap<&str, f64>> = BTreeMap::new();
            for row in rows.clone().filter(|row| row.task == task && row.phase == phase) {
                steps.entry(row.step).or_default().insert(&row.metric, row.value);
            }
            let mut k_before = None;
            for (step, values) in steps {
                let value = |metric: &str| values.get(metric).copied();
                let (Some(k), Some(loss)) = (value("aes_k"), value("aes_loss")) else { continue };
                let reason = value("aes_reason").map(|reason| reason as usize);
                // The first one has no other to compare with, but says whether it moved K.
                let moved = k_before.map_or(matches!(reason, Some(GROWN | ROLLED_BACK)), |before| before != k);
                k_before = Some(k);
                let (task, phase) = (task.to_owned(), phase.to_owned());
                all.push(Decision { task, phase, step, before, loss, best: value("aes_best"), k, moved, reason });
            }
        }
    }
    all
}

fn part(
    one: &Looked,
    cell: &RunCell,
    decisions: &[Decision],
    all: &[(&RunCell, Vec<Decision>)],
    number: usize,
) -> Result<Part> {
    let tasks = first_seen(decisions.iter().map(|decision| decision.task.as_str()));
    let ends = tasks.iter().map(|task| {
        let last = |decisions: &[Decision]| {
            decisions
                .iter()
                .rfind(|decision| decision.task == **task)
                .map_or("—".to_owned(), |d| format!("{:.0}", d.k))
        };
        format!("{task} {}", all.iter().map(|(_, decisions)| last(decisions)).collect::<Vec<_>>().join(", "))
    });
    let seeds: Vec<String> = all.iter().map(|(cell, _)| cell.id.seed.to_string()).collect();
    let note = format!(
        "K after training: {} ({} {}).",
        ends.collect::<Vec<_>>().join("; "),
        if seeds.len() == 1 { "seed" } else { "seeds" },
        seeds.join(", ")
    );
    Ok(Part {
        label: one.label.clone(),
        cells: vec![Link::to(cell)],
        folded: one.folded,
        figures: vec![figure(one, cell, decisions, &tasks, number)?],
        tables: vec![shown(one, decisions, number)],
        notes: vec![note],
    })
}

/// K as a staircase from the start of its phase to the end.
fn staircase(decisions: &[&Decision], start: f64, end: f64) -> Vec<(f64, f64)> {
    let Some(first) = decisions.first() else { return Vec::new() };
    let before = match first.reason {
        Some(GROWN) => first.k - 1.0,
        Some(ROLLED_BACK) => first.k + 1.0,
        _ => first.k,
    };
    let mut points = vec![(start, before)];
    let mut k = before;
    for decision in decisions {
        if decision.k != k {
            points.extend([(decision.at(), k), (decision.at(), decision.k)]);
            k = decision.k;
        }
    }
    points.push((end, k));
    points
}

fn figure(one: &Looked, cell: &RunCell, decisions: &[Decision], tasks: &[&str], number: usize) -> Result<Figure> {
    let phases = phases(&cell.history);
    let of = |task: &str, phase: &str| -> Vec<&Decision> {
        decisions.iter().filter(|decision| decision.task == task && decision.phase == phase).collect()
    };
    let mut k = Panel { title: "K", lines: vec![], marks: vec![], axis: Some(1.0), format: whole };
    let mut losses = Vec::new();
    let mut told = Vec::new();
    for (entry, task) in tasks.iter().enumerate() {
        let mut loss = Panel { title: "Loss", lines: vec![], marks: vec![], axis: None, format: loss_text };
        for (phase, start, end) in &phases {
            let decisions = of(task, phase);
            k.lines.push(Line { entry, points: staircase(&decisions, *start as f64, *end as f64) });
            let points = decisions.iter().map(|decision| (decision.at(), decision.loss));
            let points = points.filter(|point| point.1.is_finite()).collect();
            loss.lines.push(Line { entry, points });
            for decision in decisions.iter().filter(|decision| decision.moved) {
                k.marks.push((entry, (decision.at(), decision.k)));
                loss.marks.push((entry, (decision.at(), decision.loss)));
                told.push(format!("{task}: K {:.0} from step {:.0} on, {}", decision.k, decision.at(), decision.why()));
            }
        }
        losses.push(loss);
    }
    if told.is_empty() {
        told.push("K never moved".to_owned());
    }
    let last = phases.last().map_or(0, |phase| phase.2);
    let name = format!("aes-{number}-{}", plain(&one.label));
    let title = format!("K and the loss on D_val, {}, seed {}", one.label, cell.id.seed);
    let description = format!("K of each task over {last} steps. {}.", told.join("; "));
    let spans: Vec<String> = phases.iter().map(|(phase, start, end)| format!("{phase} {start} to {end}")).collect();
    let caption =
        format!("Seed {}. Upper: K; below: each task's loss on D_val. Steps: {}.", cell.id.seed, spans.join(", "));
    let entries = tasks.iter().enumerate().map(|(n, task)| ((*task).to_owned(), n)).collect();
    let panels = [k].into_iter().chain(losses).collect();
    let svg = draw(&LineFigure { name: &name, title: &title, description: &description, entries, panels })?;
    Ok(Figure { name, title, description, caption, svg })
}

/// A mark of the axis, where it is a number of experts.
fn whole(value: &f64) -> String {
    if (value - value.round()).abs() < 1e-9 { format!("{value:.0}") } else { String::new() }
}

fn shown(one: &Looked, decisions: &[Decision], number: usize) -> Table {
    let long = decisions.len() > MOST_ROWS;
    let rows: Vec<Vec<Entry>> = decisions
        .iter()
        .filter(|decision| !long || !decision.is_plain())
        .map(|decision| {
            vec![
                Entry::text(&decision.task),
                Entry::text(&decision.phase),
                Entry::number(decision.step.to_string(), decision.step as f64),
                Entry::number(format!("{:.4}", decision.loss), decision.loss),
                decision.best.map_or_else(|| Entry::text("—"), |best| Entry::number(format!("{best:.4}"), best)),
                Entry::number(format!("{:.0}", decision.k), decision.k),
                Entry::text(decision.why()),
            ]
        })
        .collect();
    let left_out = decisions.len() - rows.len();
    let title = match left_out {
        0 => format!("Every evaluation of D_val, {}", one.label),
        _ => format!(
            "Evaluations of D_val that moved K or could not, {} ({left_out} others in tables/aes.csv)",
            one.label
        ),
    };
    Table {
        id: format!("aes-table-{number}"),
        title,
        columns: vec![
            Heading::text("Task"),
            Heading::text("Phase"),
            Heading::number("Step", ""),
            Heading::number("Loss", ""),
            Heading::number("Best before", ""),
            Heading::number("K from here on", ""),
            Heading::text("Why"),
        ],
        rows,
    }
}

fn table(looked: &[Looked]) -> String {
    let header = ["system", "seed", "task", "phase", "step", "loss", "best_before", "k", "reason", "why"];
    let mut rows = Vec::new();
    for one in looked {
        for cell in &one.done {
            rows.extend(decisions(&cell.history).into_iter().map(|decision| {
                vec![
                    Field::Text(one.label.clone()),
                    Field::Count(cell.id.seed),
                    Field::Text(decision.task.clone()),
                    Field::Text(decision.phase.clone()),
                    Field::Count(decision.step),
                    Field::Number(decision.loss),
                    decision.best.map_or(Field::Empty, Field::Number),
                    Field::Number(decision.k),
                    decision.reason.map_or(Field::Empty, |reason| Field::Count(reason as u64)),
                    Field::Text(decision.why().to_owned()),
                ]
            }));
        }
    }
    csv(&header, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staircase_rises_where_k_moved() {
        let decision = |step, k, reason| Decision {
            task: "detection".into(),
            phase: "joint".into(),
            step,
            before: 100,
            loss: 1.0,
            best: None,
            k,
            moved: false,
            reason: Some(reason),
        };
        let all =
            [decision(10, 2.0, 0), decision(20, 3.0, GROWN), decision(30, 2.0, ROLLED_BACK), decision(40, 2.0, FROZEN)];
        let all: Vec<&Decision> = all.iter().collect();
        let stairs = [(100.0, 2.0), (120.0, 2.0), (120.0, 3.0), (130.0, 3.0), (130.0, 2.0), (150.0, 2.0)];
        assert_eq!(staircase(&all, 100.0, 150.0), stairs);
        assert_eq!(staircase(&all[1..2], 100.0, 150.0)[0], (100.0, 2.0));
        assert!(staircase(&[], 0.0, 1.0).is_empty());
    }
}
