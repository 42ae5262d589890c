//! The folder of one cell: its name and what lies where in it. Touches no file.

use std::path::{Path, PathBuf};

use crate::record::CellId;

/// Longest name that is taken as it is; longer ones end in a hash (file systems allow 255 bytes).
const LONGEST: usize = 120;

/// The paths inside one cell's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellDir {
    path: PathBuf,
}

impl CellDir {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// The result ([`crate::Record`]).
    pub fn record(&self) -> PathBuf {
        self.path.join("record.json")
    }
    /// How far the cell is ([`crate::Progress`]).
    pub fn progress(&self) -> PathBuf {
        self.path.join("progress.json")
    }
    /// Losses, learning rates and the like against the step ([`crate::History`]).
    pub fn history(&self) -> PathBuf {
        self.path.join("history.parquet")
    }
    /// Folder of the predictions per image.
    pub fn predictions(&self) -> PathBuf {
        self.path.join("predictions")
    }
    /// Class scores per image ([`crate::ClassificationPrediction`]).
    pub fn classification_predictions(&self) -> PathBuf {
        self.predictions().join("classification.parquet")
    }
    /// COCO results: a list of `{image_id, category_id, bbox, score, segmentation}`.
    pub fn detection_predictions(&self) -> PathBuf {
        self.predictions().join("detection.json")
    }
    /// What COCO's matching made of each detection ([`crate::DetectionMatches`]).
    pub fn matches(&self) -> PathBuf {
        self.predictions().join("matches.parquet")
    }
    /// The objects that each image has to find (part of [`crate::DetectionMatches`]).
    pub fn objects(&self) -> PathBuf {
        self.predictions().join("objects.parquet")
    }
    /// Folder of the looks inside ([`crate::Probes`]).
    pub fn probes(&self) -> PathBuf {
        self.path.join("probes")
    }
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }
}

/// A readable folder name: `stl-vit-micro-s0`, with a variant `stl-vit-micro-E16-s0`. Always one plain path component of
/// letters, digits, `-`, `_` and `.`; where that loses something (another character, a very long name), a hash of the whole id
/// follows. [`crate::RunPlan::new`] keeps the names of one run apart.
pub fn cell_dir_name(cell: &CellId) -> String {
    let CellId { suite: _, system, backbone, variant, seed } = cell;
    let readable = if variant == CellId::BASE {
        format!("{system}-{backbone}-s{seed}")
    } else {
        format!("{system}-{backbone}-{variant}-s{seed}")
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if readable.len() <= LONGEST && readable.chars().all(plain) && !readable.starts_with(['.', '-']) {
        readable
    } else {
        hashed_dir_name(cell)
    }
}

/// [`cell_dir_name`] with the hash in any case.
pub(crate) fn hashed_dir_name(cell: &CellId) -> String {
    let CellId { suite, system, backbone, variant, seed } = cell;
    // NUL cannot be confused with a character of a name that means something.
    let id = [suite, system, backbone, variant, &seed.to_string()].map(String::as_str).join("\0");
    let hash = &blake3::hash(id.as_bytes()).to_hex()[..8];
    let safe: String = format!("{system}-{backbone}-{variant}-s{seed}")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' })
        .take(LONGEST)
        .collect();
    format!("{}-{hash}", safe.trim_start_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(system: &str, backbone: &str, variant: &str) -> CellId {
        CellId {
            suite: "smoke".into(),
            system: system.into(),
            backbone: backbone.into(),
            variant: variant.into(),
            seed: 0,
        }
    }

    #[test]
    fn plain_names_stay_readable() {
        assert_eq!(cell_dir_name(&id("stl", "vit-micro", "base")), "stl-vit-micro-s0");
        assert_eq!(cell_dir_name(&id("stl", "vit-micro", "E16")), "stl-vit-micro-E16-s0");
    }

    #[test]
    fn hostile_names_become_one_plain_component() {
        let long = "x".repeat(500);
        for name in
            ["../../etc", "a/b", "..", ".hidden", "<img src=x onerror=alert(1)>", "tab\tnul\0", "é", "-rf", &long]
        {
            let dir = cell_dir_name(&id(name, "b", "base"));
            assert!(dir.len() < 200 && !dir.starts_with(['.', '-']), "{dir}");
            assert!(dir.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')), "{dir}");
        }
        assert_ne!(cell_dir_name(&id("a/b", "c", "base")), cell_dir_name(&id("a:b", "c", "base")));
    }
}
