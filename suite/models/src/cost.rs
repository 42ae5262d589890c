//! What one image of a task costs in one forward pass, defined once. Sums what the layers say of themselves; each says it
//! beside its forward pass.
//!
//! *Activated parameters*: every parameter that the image can touch: shared weights, the task's embedding, router and head, K of
//! the E experts of each layer, the deltas that count. *MACs*: multiply-adds of convolutions, linear layers, both products of
//! attention, routers and K experts; box heads for every proposal, the mask head for every detection. Norms, activations, additions
//! and RoIAlign aren't counted. *FLOPs* = 2 x MACs.

use adamv_datasets::Task;

use crate::systems::{Part, System};

/// Counts, not millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Activated parameters, head included.
    pub params_activated: u64,
    /// Activated parameters of the backbone alone.
    pub params_activated_backbone: u64,
    /// All parameters of the model, activated or not.
    pub params_total: u64,
    /// Multiply-adds of an image, head included.
    pub macs: u64,
    /// Multiply-adds of the backbone alone.
    pub macs_backbone: u64,
}

impl Cost {
    /// What an image of `task` costs in `system` as it is now: with the K of its experts and the deltas that count. `detections`
    /// an image reach the mask head.
    pub fn of(system: &dyn System, task: Task, detections: usize) -> Self {
        let (params, macs) =
            (system.params_activated(task, Part::Backbone), system.macs(task, Part::Backbone, detections));
        Self {
            params_activated: params + system.params_activated(task, Part::Head),
            params_activated_backbone: params,
            params_total: system.params().count(|_| true),
            macs: macs + system.macs(task, Part::Head, detections),
            macs_backbone: macs,
        }
    }

    /// 2 x MACs, head included.
    pub fn flops(&self) -> u64 {
        2 * self.macs
    }
}
