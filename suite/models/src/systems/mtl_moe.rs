//! MTL-MoE, which is M3ViT (Liang et al., NeurIPS 2022; paper.md section 7): a router per task, 4 of 16 experts, each a
//! quarter of the MLP so that a token costs what it costs in the dense layer. K never changes.
//!
//! It trains in two stages (**inferred**: AdaMV-MoE's table 3 has it 0.03 points from AdaMV-MoE without adaptive selection and 4
//! above MTL-ViT, which one stage cannot explain).

use super::{Entry, SHARED_TRUNK};
use crate::config::{BackboneConfig, ExpertInit, MoeConfig};

pub(super) const ENTRY: Entry = Entry { name: "mtl-moe", experts: Some(experts), two_stages: true, ..SHARED_TRUNK };

fn experts(backbone: &BackboneConfig) -> MoeConfig {
    MoeConfig {
        experts: 16,
        k: 4,
        // Its README trains with `--vmoe_noisy_std 0`.
        router_noise: 0.0,
        mlp: Some((backbone.mlp / 4).max(1)),
        // As its library, fastmoe, draws them.
        expert_init: ExpertInit::Independent,
        importance_weight: 0.01,
        load_weight: 0.01,
        ..MoeConfig::default()
    }
}
