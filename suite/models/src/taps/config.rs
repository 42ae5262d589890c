//! What TAPS is set to: one of two published settings, each value of which can be changed.

use serde::{Deserialize, Serialize};

use crate::config::check;
use crate::error::ModelError;

/// Whose values stand where the configuration says nothing (paper.md section 7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TapsSettings {
    /// The baseline as AdaMV-MoE's authors ran it.
    #[default]
    AdamvMoe,
    /// TAPS as it was published, in the MLPs.
    Original,
}

/// What a stage of both tasks leaves as the first stage made it. Training from the start without a first stage freezes
/// nothing: there is nothing to keep yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Frozen {
    Nothing,
    /// The weights that have deltas; their biases, attention and norms train on.
    AdaptedWeights,
    /// All that the tasks share.
    Shared,
}

/// Deltas of the MLPs' weights, one a task and layer. Null is the settings' own value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TapsConfig {
    pub settings: TapsSettings,
    /// The scores' first value; adamv-moe: 1, original: 0.15.
    pub indicator: Option<f64>,
    /// A delta counts from this score on; adamv-moe: 0.05, original: 0.1.
    pub threshold: Option<f64>,
    /// Weight of the mean of a task's absolute scores in its loss; adamv-moe: 0.1 / 2, original: 1.
    pub penalty: Option<f64>,
    /// Epochs of a task's own data before its penalty sets in; adamv-moe: 0, original: 2.
    pub penalty_after_epochs: Option<f64>,
    /// adamv-moe: adapted-weights, original: shared.
    pub frozen: Option<Frozen>,
}

/// [`TapsConfig`] with every value in its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Taps {
    pub indicator: f64,
    pub threshold: f64,
    pub penalty: f64,
    pub penalty_after_epochs: f64,
    pub frozen: Frozen,
}

impl TapsSettings {
    fn values(self) -> Taps {
        match self {
            // The released layer (`moe_mtl/modeling/modules.py`) has threshold and first score, and stops the gradient of the
            // weight, not of its bias. The released penalty (`vmoe_mtl.py`) is, for each block, 0.1 x the sum of its 4 scores, 2
            // layers' for 2 tasks, / L / 4: 0.025 / L for each score. Ours is a mean of 2 L scores for each task, so 0.05.
            Self::AdamvMoe => Taps {
                indicator: 1.0,
                threshold: 0.05,
                penalty: 0.1 / 2.0,
                penalty_after_epochs: 0.0,
                frozen: Frozen::AdaptedWeights,
            },
            // The original code's defaults: lambda x the sum of the scores / 52, about the number of ResNet-50's convolutions, each
            // of which has a score (`train_sequential.py`): a mean.
            Self::Original => Taps {
                indicator: 0.15,
                threshold: 0.1,
                penalty: 1.0,
                penalty_after_epochs: 2.0,
                frozen: Frozen::Shared,
            },
        }
    }
}

impl TapsConfig {
    /// The settings' values with what the configuration changes.
    pub fn values(&self) -> Taps {
        let own = self.settings.values();
        Taps {
            indicator: self.indicator.unwrap_or(own.indicator),
            threshold: self.threshold.unwrap_or(own.threshold),
            penalty: self.penalty.unwrap_or(own.penalty),
            penalty_after_epochs: self.penalty_after_epochs.unwrap_or(own.penalty_after_epochs),
            frozen: self.frozen.unwrap_or(own.frozen),
        }
    }

    /// Checks every value; the error names key, value and range.
    pub(crate) fn validate(&self) -> Result<(), ModelError> {
        let Taps { indicator, threshold, penalty, penalty_after_epochs, frozen: _ } = self.values();
        let key = |name: &str| format!("model.backbone.taps.{name}");
        for (name, value) in [("indicator", indicator), ("threshold", threshold)] {
            check(value.is_finite(), &key(name), value, "a finite number")?;
        }
        for (name, value) in [("penalty", penalty), ("penalty_after_epochs", penalty_after_epochs)] {
            check(value.is_finite() && value >= 0.0, &key(name), value, "0 or more")?;
        }
        Ok(())
    }
}
