//! A stored baseline: the finished cells of a run in a few small files that are kept under git. Everything that a paired
//! comparison needs is in it (each image's class and matched detections, costs, provenance), and the history in brief; weights,
//! masks and data are not.
//!
//! ```text
//! baseline.json            what it is: version, suite, command, gates, number of cells
//! cells.parquet            a row per cell: its record (JSON), and the numbers of its two sets of images
//! classification.parquet   a row per image and cell: best class and its score
//! images.parquet           a row per image of classification and set: name and label
//! matches.parquet          a row per detection and cell, in the order that AP needs
//! objects.parquet          a row per image, category and set: objects to find
//! history.parquet          a row per number, the history in brief
//! probes/                  looks inside the cells, a file a table as in a cell's own folder; absent where no cell has any
//! ```
//!
//! Cells share their images as a rule, so images, labels and objects are kept once per set and cells name the set.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use polars::prelude::*;
use serde::{Deserialize, Serialize};

use crate::atomic::write_bytes_atomic;
use crate::cell_dir::CellDir;
use crate::error::{Error, Result};
use crate::gates::Gates;
use crate::history::History;
use crate::matches::{
    DetectionMatches, MatchedDetection, ObjectCount, detection_columns, object_columns, read_detections, read_matches,
    read_objects,
};
use crate::predictions::{ClassificationPrediction, read_classification};
use crate::probes::{self, Probes};
use crate::record::{CellId, Record};
use crate::record_file::parse_record;
use crate::table;

/// Version of the format: raised whenever a file or column changes its meaning or goes away. Records have their own version,
/// and are read as records of that version are.
pub const BASELINE_VERSION: u32 = 1;

/// Scores are kept in thousandths: only their order counts, and that is the order of the rows.
const SCORE_STEPS: f32 = 1000.0;

const MEND: &str = "take it from git again, or store the run again with `adamv-bench baseline store`";

/// `baseline.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub baseline_version: u32,
    /// Name of the suite.
    pub suite: String,
    /// The arguments of the run, without the program and what only said where and how fast.
    pub command: Vec<String>,
    /// Commits of the source that made the cells.
    pub commits: Vec<String>,
    /// How large a difference matters, as the suite declared it.
    pub gates: Gates,
    pub cells: usize,
}

/// One finished cell.
#[derive(Debug, Clone, PartialEq)]
pub struct BaselineCell {
    pub record: Record,
    /// Empty where the cell has no classification.
    pub classification: Vec<ClassificationPrediction>,
    /// None where the cell has no detection.
    pub matches: Option<DetectionMatches>,
    pub history: History,
    pub probes: Probes,
}

impl BaselineCell {
    /// A finished cell as its folder has it; `record` is its record.
    ///
    /// # Errors
    /// A broken file, by name.
    pub fn of_run(dir: &CellDir, record: Record) -> Result<Self> {
        let (classes, history) = (dir.classification_predictions(), dir.history());
        Ok(Self {
            record,
            classification: if classes.is_file() { read_classification(&classes)? } else { Vec::new() },
            matches: read_matches(dir)?,
            history: if history.is_file() { History::read(&history)? } else { History::default() },
            probes: Probes::read(&dir.probes())?,
        })
    }
}

/// A baseline in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    pub manifest: Manifest,
    pub cells: Vec<BaselineCell>,
}

/// The files of a baseline.
struct Files<'a>(&'a Path);

impl Files<'_> {
    fn manifest(&self) -> PathBuf {
        self.0.join("baseline.json")
    }
    fn probes(&self) -> PathBuf {
        self.0.join("probes")
    }
    fn table(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.parquet"))
    }
}

impl Baseline {
    /// Whether a folder holds a baseline.
    pub fn is_at(path: &Path) -> bool {
        Files(path).manifest().is_file()
    }

    /// What is stored of it: curves thinned, scores rounded, one class an image, no detection that no AP looks at, pictures
    /// of the first seed of each system and variant.
    pub fn brief(mut self) -> Self {
        let ids: Vec<CellId> = self.cells.iter().map(|cell| cell.record.cell.clone()).collect();
        for cell in &mut self.cells {
            let id = &cell.record.cell;
            let first = ids
                .iter()
                .filter(|other| CellId { seed: id.seed, ..(*other).clone() } == *id)
                .map(|other| other.seed)
                .min();
            cell.probes = std::mem::take(&mut cell.probes).brief(first == Some(id.seed));
            for prediction in &mut cell.classification {
                prediction.best.truncate(1);
                prediction.best.iter_mut().for_each(|(_, score)| *score = rounded(*score));
            }
            if let Some(mut matches) = cell.matches.take().map(DetectionMatches::without_tail) {
                matches.detections.iter_mut().for_each(|detection| detection.score = rounded(detection.score));
                cell.matches = Some(matches);
            }
            cell.history = cell.history.brief();
        }
        self
    }

    /// Writes [`Baseline::brief`] of it into the folder (made if missing); the manifest comes last, so that a folder without one
    /// was not finished.
    ///
    /// # Errors
    /// The errors of writing.
    pub fn write(self, path: &Path) -> Result<()> {
        let Self { manifest, cells } = self.brief();
        let files = Files(path);
        match fs::remove_file(files.manifest()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Error::io("remove", &files.manifest(), e)),
            _ => {}
        }
        let mut image_sets: Vec<Vec<(&str, u32)>> = Vec::new();
        let mut object_sets: Vec<(&[u64], &[ObjectCount])> = Vec::new();
        let (mut records, mut image_set_of, mut object_set_of) = (Vec::new(), Vec::new(), Vec::new());
        for cell in &cells {
            let path = files.table("cells");
            let text = serde_json::to_string(&cell.record)
                .map_err(|e| Error::Table { path: path.clone(), detail: e.to_string() })?;
            records.push(text);
            let images = cell.classification.iter().map(|p| (p.image.as_str(), p.label)).collect();
            image_set_of.push(position(&mut image_sets, images));
            object_set_of
                .push(cell.matches.as_ref().map(|m| position(&mut object_sets, (&m.images[..], &m.objects[..]))));
        }
        table::write(
            &files.table("cells"),
            vec![
                Column::new("record".into(), records),
                Column::new("images".into(), image_set_of),
                Column::new("objects".into(), object_set_of),
            ],
        )?;
        table::write_parts(&files.table("images"), image_sets.iter().map(|images| image_columns(images)))?;
        table::write_parts(
            &files.table("classification"),
            cells.iter().map(|cell| class_columns(&cell.classification)),
        )?;
        let objects = object_sets.iter().map(|(images, objects)| object_columns(images, objects));
        table::write_parts(&files.table("objects"), objects)?;
        let none: [MatchedDetection; 0] = [];
        let matches = |cell: &BaselineCell| {
            detection_columns(cell.matches.as_ref().map_or(&none[..], |matches| &matches.detections))
        };
        table::write_parts(&files.table("matches"), cells.iter().map(matches))?;
        table::write_parts(&files.table("history"), cells.iter().map(|cell| cell.history.columns()))?;
        probes::write_all(&files.probes(), &cells.iter().map(|cell| &cell.probes).collect::<Vec<_>>())?;
        let mut bytes = serde_json::to_vec_pretty(&manifest)
            .map_err(|e| Error::Table { path: files.manifest(), detail: e.to_string() })?;
        bytes.push(b'\n');
        write_bytes_atomic(&files.manifest(), &bytes)
    }

    /// Reads a folder that [`Baseline::write`] wrote, of this version or an older one.
    ///
    /// # Errors
    /// [`Error::NotABaseline`], [`Error::NewerSchema`], [`Error::Broken`], by file.
    pub fn read(path: &Path) -> Result<Self> {
        let manifest = Self::read_manifest(path)?;
        let files = Files(path);
        let cells_path = files.table("cells");
        let broken = |detail: String| Error::Broken { path: cells_path.clone(), detail, mend: MEND };
        let (records, image_set_of, object_set_of) = read(&cells_path, |frame| {
            let sets =
                |name: &str| -> PolarsResult<Vec<Option<u32>>> { Ok(frame.column(name)?.u32()?.iter().collect()) };
            Ok((table::texts(frame, "record")?, sets("images")?, sets("objects")?))
        })?;
        if records.len() != manifest.cells {
            let detail = format!("it holds {} cells, baseline.json says {}", records.len(), manifest.cells);
            return Err(broken(detail));
        }
        let image_sets = read(&files.table("images"), read_images)?;
        let object_sets = read(&files.table("objects"), |frame| table::sets_of(frame, read_objects))?;
        let mut classes = read(&files.table("classification"), |frame| table::sets_of(frame, read_classes))?;
        let mut matches = read(&files.table("matches"), |frame| table::sets_of(frame, read_detections))?;
        let mut probes = probes::read_all(&files.probes(), MEND)?;
        let mut histories = read(&files.table("history"), |frame| table::sets_of(frame, History::from_frame))?;

        let mut cells = Vec::with_capacity(records.len());
        for (number, record) in records.iter().enumerate() {
            let cell = number as u32;
            let record = parse_record(record.as_bytes(), &cells_path, MEND)?;
            let none = Vec::new();
            let images = image_set_of[number].and_then(|set| image_sets.get(&set)).unwrap_or(&none);
            let best = classes.remove(&cell).unwrap_or_default();
            if images.len() != best.len() {
                return Err(broken(format!("cell {cell} has {} images and {} classes", images.len(), best.len())));
            }
            let classification = images
                .iter()
                .zip(best)
                .map(|((image, label), best)| ClassificationPrediction { image: image.clone(), label: *label, best })
                .collect();
            let matches = object_set_of[number].map(|set| {
                let (images, objects) = object_sets.get(&set).cloned().unwrap_or_default();
                DetectionMatches { images, objects, detections: matches.remove(&cell).unwrap_or_default() }
            });
            let history = histories.remove(&cell).unwrap_or_default();
            let probes = probes.remove(&cell).unwrap_or_default();
            cells.push(BaselineCell { record, classification, matches, history, probes });
        }
        Ok(Self { manifest, cells })
    }

    /// Reads `baseline.json` alone.
    ///
    /// # Errors
    /// As [`Baseline::read`].
    pub fn read_manifest(path: &Path) -> Result<Manifest> {
        #[derive(Deserialize)]
        struct Version {
            baseline_version: u32,
        }
        let file = Files(path).manifest();
        let bytes = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(Error::NotABaseline { path: path.to_owned() }),
            Err(e) => return Err(Error::io("read", &file, e)),
        };
        let broken = |e: serde_json::Error| Error::Broken { path: file.clone(), detail: e.to_string(), mend: MEND };
        let Version { baseline_version: found } = serde_json::from_slice(&bytes).map_err(broken)?;
        if found > BASELINE_VERSION {
            return Err(Error::NewerSchema { path: file, found, ours: BASELINE_VERSION });
        }
        serde_json::from_slice(&bytes).map_err(broken)
    }
}

fn rounded(score: f32) -> f32 {
    (score * SCORE_STEPS).round() / SCORE_STEPS
}

/// Index of `value` in `all`, which it joins if it is new.
fn position<T: PartialEq>(all: &mut Vec<T>, value: T) -> u32 {
    let at = all.iter().position(|other| *other == value).unwrap_or_else(|| {
        all.push(value);
        all.len() - 1
    });
    at as u32
}

fn image_columns(images: &[(&str, u32)]) -> Vec<Column> {
    vec![
        Column::new("image".into(), images.iter().map(|(image, _)| *image).collect::<Vec<_>>()),
        Column::new("label".into(), images.iter().map(|(_, label)| *label).collect::<Vec<_>>()),
    ]
}

fn read_images(frame: &DataFrame) -> PolarsResult<BTreeMap<u32, Vec<(String, u32)>>> {
    table::sets_of(frame, |part| {
        let labels = table::full(part, "label")?.u32()?;
        Ok(table::texts(part, "image")?.into_iter().zip(labels.iter().flatten()).collect())
    })
}

fn class_columns(predictions: &[ClassificationPrediction]) -> Vec<Column> {
    let best = || predictions.iter().map(|prediction| prediction.best.first());
    let class: Vec<Option<u32>> = best().map(|best| best.map(|(class, _)| *class)).collect();
    let score: Vec<Option<f32>> = best().map(|best| best.map(|(_, score)| *score)).collect();
    vec![Column::new("class".into(), class), Column::new("score".into(), score)]
}

fn read_classes(frame: &DataFrame) -> PolarsResult<Vec<Vec<(u32, f32)>>> {
    let (classes, scores) = (frame.column("class")?.u32()?, frame.column("score")?.f32()?);
    Ok(classes.iter().zip(scores.iter()).map(|(class, score)| class.zip(score).into_iter().collect()).collect())
}

fn read<T>(path: &Path, rows: impl FnOnce(&DataFrame) -> PolarsResult<T>) -> Result<T> {
    table::read_or(path, MEND, rows)
}
