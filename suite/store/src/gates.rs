//! How large a difference matters: the tolerance of each metric, as a suite declares it. Holds numbers, judges nothing.

use serde::{Deserialize, Serialize};

/// Tolerance of each metric in percentage points: a smaller difference is called the same, however certain it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[allow(non_snake_case, reason = "the names of the COCO API")]
#[serde(default, deny_unknown_fields)]
pub struct Gates {
    /// Top-1 accuracy.
    pub accuracy: f64,
    /// Mean over IoU 0.50 to 0.95, of boxes.
    pub AP: f64,
    pub AP50: f64,
    pub AP75: f64,
    /// Mean over IoU 0.50 to 0.95, of masks.
    pub APmask: f64,
}

impl Default for Gates {
    fn default() -> Self {
        Self { accuracy: 1.0, AP: 0.5, AP50: 1.0, AP75: 1.0, APmask: 0.5 }
    }
}

impl Gates {
    /// Name and tolerance of each metric, in the order of the tables.
    pub fn named(&self) -> [(&'static str, f64); 5] {
        let Self { accuracy, AP, AP50, AP75, APmask } = *self;
        [("accuracy", accuracy), ("AP", AP), ("AP50", AP50), ("AP75", AP75), ("APmask", APmask)]
    }

    /// The first tolerance that is not a number of points from 0 to 100.
    pub fn wrong(&self) -> Option<(&'static str, f64)> {
        self.named().into_iter().find(|(_, points)| !(0.0..=100.0).contains(points))
    }
}
