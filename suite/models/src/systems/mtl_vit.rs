//! MTL-ViT: one dense trunk that both tasks share, each with its own embedding and head (paper.md section 7).

use super::{Entry, SHARED_TRUNK};

pub(super) const ENTRY: Entry = Entry { name: "mtl-vit", ..SHARED_TRUNK };
