//! TAPS (Wallingford et al., CVPR 2022; paper.md section 7): MTL-ViT, in which each task adds a delta of its own to those weights
//! of the MLPs where it's worth it. The first stage trains the weights on classification, the second the deltas.

use super::{Entry, SHARED_TRUNK};

pub(super) const ENTRY: Entry = Entry { name: "taps", adapts: true, two_stages: true, ..SHARED_TRUNK };
