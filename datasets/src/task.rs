//! The two tasks and the two splits, by the names that configs, records and parameter names use. No data lives here.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a batch trains. Detection and instance segmentation are one task: they share a batch, a router and a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// One label an image (ImageNet layout).
    Classification,
    /// Boxes and instance masks (COCO layout).
    Detection,
}

impl Task {
    /// Every task, in the order in which tables list them.
    pub const ALL: [Task; 2] = [Task::Classification, Task::Detection];

    /// The name in configs, records and checkpoints.
    pub fn as_str(self) -> &'static str {
        match self {
            Task::Classification => "classification",
            Task::Detection => "detection",
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Trained on, with augmentation.
    Train,
    /// Evaluated on, without.
    Val,
}

impl Split {
    /// Both splits.
    pub const ALL: [Split; 2] = [Split::Train, Split::Val];

    /// The name of its folder.
    pub fn as_str(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Val => "val",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
