//! The shape of `baselines/claims.yaml` and `baselines/published/*.yaml`. Reads no file.

use adamv_store::CellId;
use serde::{Deserialize, Deserializer};

use crate::group::{Metric, first_seen};

/// A file of claims.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    pub claims: Vec<Claim>,
}

/// One claim.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Short name.
    pub id: String,
    /// The claim in a sentence.
    pub says: String,
    /// Where the paper makes it.
    pub source: String,
    pub test: Test,
}

/// An inequality; what each means stands at the top of `baselines/claims.yaml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Test {
    Better { system: Vec<System>, than: Vec<System>, metrics: Vec<Metric> },
    Saturates { system: Vec<System>, at: System, metrics: Vec<Metric>, tolerance: f64 },
    ActivatesLess { system: System, task: String, than: String },
    Load { system: System, at_most: f64 },
    Preference { system: System, at_least: f64 },
    Settles { system: System },
    LessConflict { system: System, than: System },
    All { tests: Vec<Test> },
}

/// A system, or a variant of one: `adamv-moe`, `adamv-moe/without-aes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    pub system: String,
    pub variant: String,
}

impl<'de> Deserialize<'de> for System {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (system, variant) = text.split_once('/').unwrap_or((&text, CellId::BASE));
        Ok(Self { system: system.to_owned(), variant: variant.to_owned() })
    }
}

impl std::fmt::Display for System {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.system)?;
        if self.variant == CellId::BASE { Ok(()) } else { write!(f, " ({})", self.variant) }
    }
}

/// What a paper reports, as far as it is known.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    pub name: String,
    pub title: String,
    pub data: String,
    pub margins: Vec<Margin>,
    pub activated_parameters: Vec<ActivatedParameters>,
}

/// One system minus another, percentage points; none where the number is unknown.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case, reason = "the names of the COCO API")]
pub struct Margin {
    pub system: System,
    pub over: System,
    pub backbone: String,
    #[serde(deserialize_with = "known")]
    pub accuracy: Option<f64>,
    #[serde(deserialize_with = "known")]
    pub AP: Option<f64>,
    #[serde(deserialize_with = "known")]
    pub APmask: Option<f64>,
    pub source: String,
}

/// Millions of activated parameters of a task.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivatedParameters {
    pub system: System,
    pub backbone: String,
    pub task: String,
    #[serde(deserialize_with = "known")]
    pub millions: Option<f64>,
    pub source: String,
}

/// A number, or the word `unknown`.
fn known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Cell {
        Number(f64),
        Word(String),
    }
    match Cell::deserialize(deserializer)? {
        Cell::Number(number) => Ok(Some(number)),
        Cell::Word(word) if word == "unknown" => Ok(None),
        Cell::Word(word) => Err(serde::de::Error::custom(format!("`{word}` is neither a number nor `unknown`"))),
    }
}

impl Published {
    /// Published millions of activated parameters of a task, where they are known.
    pub(super) fn activated(&self, system: &System, backbone: &str, task: &str) -> Option<f64> {
        let fits = |a: &&ActivatedParameters| a.system == *system && a.backbone == backbone && a.task == task;
        self.activated_parameters.iter().find(fits)?.millions
    }

    /// The published margin of a metric, where it is known.
    pub(crate) fn margin(&self, system: &System, over: &System, backbone: &str, metric: &str) -> Option<f64> {
        let found = self.margins.iter().find(|m| m.system == *system && m.over == *over && m.backbone == backbone)?;
        match metric {
            "accuracy" => found.accuracy,
            "AP" => found.AP,
            "APmask" => found.APmask,
            _ => None,
        }
    }

    /// Backbones that it has margins of.
    pub(crate) fn backbones(&self) -> Vec<&str> {
        first_seen(self.margins.iter().map(|margin| margin.backbone.as_str()))
    }
}
