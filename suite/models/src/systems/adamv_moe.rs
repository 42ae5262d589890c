//! AdaMV-MoE: a router per task and experts of the MLP's size, of which each task uses as many as serve it (paper.md
//! sections 3 and 4). Trained on classification first, then on both tasks from the average of those weights (section 5).

use adamv_datasets::Task;

use super::shared_trunk::{JOINT, SharedTrunk};
use super::{Entry, Phase};
use crate::config::MoeConfig;

const PHASES: &[Phase] = &[Phase { name: "classification", tasks: &[Task::Classification] }, JOINT];

pub(super) const ENTRY: Entry = Entry {
    name: "adamv-moe",
    experts: Some(|_| MoeConfig::default()),
    adaptive: true,
    build: |config, classes, seed, device| SharedTrunk::boxed(config, classes, seed, device, PHASES),
};
