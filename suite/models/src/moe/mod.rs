//! Mixture of experts: router -> dispatch -> experts -> combine (paper.md section 3). Knows tokens, not images, but for
//! the groups that a capacity counts over.
//!
//! Axes: B images, N tokens of an image, T tokens of a batch, D width, M hidden width of an expert, E experts, K selected
//! experts. A *pair* is a token and one of its choices; the pairs of a batch are `[T·K]`, token by token, best choice
//! first.

pub mod capacity;
pub mod config;
pub mod dispatch;
pub mod experts;
pub mod layer;
pub mod losses;
pub mod router;
pub mod selection;

use adamv_datasets::Task;

pub use layer::{MoeLayer, Routing};
pub use selection::ExpertSelection;

/// Whose tokens run through a trunk, and how many experts each may use; dense blocks ask for neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    pub task: Task,
    /// K, at most E.
    pub k: usize,
}

impl Route {
    /// The route through a trunk without experts.
    pub fn dense(task: Task) -> Self {
        Self { task, k: 0 }
    }
}
