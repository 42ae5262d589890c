//! Which samples of a task each phase of training reads. Touches no data.

use adamv_datasets::Task;
use adamv_datasets::order::SampleStream;
use adamv_models::systems::Phase;

use crate::config::CellConfig;
use crate::train::schedule_of;

/// The batches of `task` in phase `index` of `phases`. A task has one stream in a cell: a phase goes on where those before it
/// left the task, so no sample comes with the same augmentation twice.
pub fn of_phase(config: &CellConfig, phases: &[Phase], index: usize, task: Task) -> SampleStream {
    let samples = |phase: &Phase| {
        let schedule = schedule_of(config, phase);
        u128::from(schedule.steps) * schedule.batch.of(task) as u128
    };
    let before = phases[..index].iter().filter(|phase| phase.tasks.contains(&task)).map(samples).sum();
    let schedule = schedule_of(config, &phases[index]);
    SampleStream::new(config.seed, schedule.batch.of(task), schedule.steps).after(before)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use adamv_datasets::Pick;
    use adamv_models::config::Classes;
    use adamv_models::systems::{self, SYSTEMS};
    use serde_json::json;

    use super::*;

    /// A cell whose phases have batches of different sizes, none of which divides the data.
    fn cell(system: &str, two_stages: bool) -> CellConfig {
        let schedule = |steps: u64, classification: usize, detection: usize| json!({ "steps": steps, "warmup": 0, "batch": { "classification": classification, "detection": detection } });
        serde_json::from_value(json!({
            "suite": "s", "task_version": 2, "system": system, "backbone": "vit-micro", "variant": "base", "seed": 7,
            "data": { "scenes": { "images": 24 } },
            "model": systems::preset(system, "vit-micro").unwrap(),
            "training": {
                "two_stages": two_stages,
                "first_stage": schedule(20, 5, 1),
                "joint": schedule(15, 4, 3),
                "classification": schedule(33, 4, 1),
                "detection": schedule(15, 1, 3),
            },
            "evaluation": {},
        }))
        .unwrap()
    }

    #[test]
    fn no_pick_comes_twice_and_none_is_left_out_of_an_epoch() {
        let samples = |task| if task == Task::Classification { 11 } else { 7 };
        for (system, two_stages) in SYSTEMS.iter().flat_map(|entry| [(entry.name, false), (entry.name, true)]) {
            let config = cell(system, two_stages);
            let classes = Classes { classification: 6, detection: 6 };
            let system = systems::sizes(system, &config.model, classes).unwrap();
            let phases = system.phases(two_stages);
            let mut seen: BTreeMap<Task, Vec<Pick>> = BTreeMap::new();
            for (index, phase) in phases.iter().enumerate() {
                for &task in phase.tasks {
                    let stream = of_phase(&config, phases, index, task);
                    seen.entry(task).or_default().extend(stream.batches(samples(task)).flatten());
                }
            }
            for task in Task::ALL {
                let (picks, n) = (&seen[&task], samples(task));
                let different: BTreeSet<(u64, usize)> = picks.iter().map(|pick| (pick.epoch, pick.index)).collect();
                assert_eq!(different.len(), picks.len(), "{}: a pick of {task} comes twice", config.system);
                for epoch in 0..=(picks.len() / n) as u64 {
                    let seen = picks.iter().filter(|pick| pick.epoch == epoch).count();
                    let wanted = n.min(picks.len() - epoch as usize * n);
                    assert_eq!(seen, wanted, "{}: {task} leaves out a pick of epoch {epoch}", config.system);
                }
                assert!(picks.len() > 4 * n, "{}: {task} has too few epochs to tell", config.system);
            }
        }
    }
}
