//! AdaMV-MoE: a router per task and experts of the MLP's size, of which each task uses as many as serve it (paper.md
//! sections 3 and 4). Trained on classification first, then on both tasks from the average of those weights (section 5).

use super::{Entry, SHARED_TRUNK};
use crate::config::MoeConfig;

pub(super) const ENTRY: Entry = Entry {
    name: "adamv-moe",
    experts: Some(|_| MoeConfig::default()),
    adaptive: true,
    two_stages: true,
    ..SHARED_TRUNK
};
