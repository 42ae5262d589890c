//! MTL-ViT: one dense trunk that both tasks share, each with its own embedding and head (paper.md section 7).

use super::shared_trunk::{JOINT, SharedTrunk};
use super::{Entry, Phase};

const PHASES: &[Phase] = &[JOINT];

pub(super) const ENTRY: Entry = Entry {
    name: "mtl-vit",
    experts: None,
    adaptive: false,
    build: |config, classes, seed, device| SharedTrunk::boxed(config, classes, seed, device, PHASES),
};
