//! `probes/`: looks inside a cell, beside what it scored. Each table is a file of its own and may be absent: an older version wrote
//! the cell, it has no experts, or its configuration asked for none. Knows columns; what is measured how is the engine's business.
//!
//! ```text
//! classes.parquet          names of the classes of both tasks
//! routing_changes.parquet  how far routing moved between two looks during training        figure 6
//! gradients.parquet        the two tasks' gradients on the weights they share             figure 7
//! expert_use.parquet       token-expert pairs by task, layer, expert and class            figure 4
//! similarities.parquet     how alike the tokens of two experts are                        figure 5
//! routed_images.parquet    a few images with the experts of each patch                    figure 3
//! gallery.parquet          the best and the worst detected images
//! errors.parquet           what AP loses to each kind of error (TIDE)
//! ```

mod images;
mod numbers;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use polars::prelude::{Column, DataFrame, PolarsResult};

pub use images::{GalleryImage, Outlined, PatchLayer, Place, RoutedImage};
pub use numbers::{ClassName, DetectionError, ExpertUse, FeatureSimilarity, GradientPair, RoutingChange};

use crate::error::{Error, Result};
use crate::table;

/// In place of a weight's name: all weights that both tasks use.
const ALL_WEIGHTS: &str = "*";

/// Everything that is known of the inside of a cell.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Probes {
    pub classes: Vec<ClassName>,
    pub routing_changes: Vec<RoutingChange>,
    pub gradients: Vec<GradientPair>,
    pub expert_use: Vec<ExpertUse>,
    pub similarities: Vec<FeatureSimilarity>,
    pub routed_images: Vec<RoutedImage>,
    pub gallery: Vec<GalleryImage>,
    pub errors: Vec<DetectionError>,
}

/// Rows of a table of their own.
pub(crate) trait Rows: Sized {
    /// Name of the file, without ending.
    const NAME: &'static str;

    fn columns(rows: &[Self]) -> Vec<Column>;

    fn from_frame(frame: &DataFrame) -> PolarsResult<Vec<Self>>;
}

impl Probes {
    /// Reads what there is in a folder of probes; all of it is empty when there is no such folder.
    ///
    /// # Errors
    /// A broken file, by name.
    pub fn read(folder: &Path) -> Result<Self> {
        Ok(Self {
            classes: read(folder)?,
            routing_changes: read(folder)?,
            gradients: read(folder)?,
            expert_use: read(folder)?,
            similarities: read(folder)?,
            routed_images: read(folder)?,
            gallery: read(folder)?,
            errors: read(folder)?,
        })
    }

    /// What is stored of it in a baseline: the gradients of a step on all shared weights together (`*`), rounded to f32; pictures only
    /// if asked for.
    #[must_use]
    pub fn brief(mut self, pictures: bool) -> Self {
        let mut whole: Vec<GradientPair> = Vec::new();
        for pair in std::mem::take(&mut self.gradients) {
            match whole.last_mut().filter(|last| (last.step, &last.phase) == (pair.step, &pair.phase)) {
                Some(last) => {
                    last.dot += pair.dot;
                    last.classification_norm = last.classification_norm.hypot(pair.classification_norm);
                    last.detection_norm = last.detection_norm.hypot(pair.detection_norm);
                }
                None => whole.push(GradientPair { weight: ALL_WEIGHTS.to_owned(), ..pair }),
            }
        }
        for pair in &mut whole {
            for value in [&mut pair.dot, &mut pair.classification_norm, &mut pair.detection_norm] {
                *value = f64::from(*value as f32);
            }
        }
        self.gradients = whole;
        if !pictures {
            self.routed_images.clear();
            self.gallery.clear();
        }
        self
    }

    /// Writes every table that has rows and removes the files of those that have none, atomically each.
    ///
    /// # Errors
    /// The errors of writing.
    pub fn write(&self, folder: &Path) -> Result<()> {
        write(folder, &self.classes)?;
        write(folder, &self.routing_changes)?;
        write(folder, &self.gradients)?;
        write(folder, &self.expert_use)?;
        write(folder, &self.similarities)?;
        write(folder, &self.routed_images)?;
        write(folder, &self.gallery)?;
        write(folder, &self.errors)
    }
}

/// Writes the probes of several cells as one file a table, by number of the cell.
pub(crate) fn write_all(folder: &Path, cells: &[&Probes]) -> Result<()> {
    parts(folder, cells, |probes| &probes.classes)?;
    parts(folder, cells, |probes| &probes.routing_changes)?;
    parts(folder, cells, |probes| &probes.gradients)?;
    parts(folder, cells, |probes| &probes.expert_use)?;
    parts(folder, cells, |probes| &probes.similarities)?;
    parts(folder, cells, |probes| &probes.routed_images)?;
    parts(folder, cells, |probes| &probes.gallery)?;
    parts(folder, cells, |probes| &probes.errors)
}

/// Reads what [`write_all`] wrote, by number of the cell; a broken file has the `mend`.
pub(crate) fn read_all(folder: &Path, mend: &'static str) -> Result<BTreeMap<u32, Probes>> {
    let mut all: BTreeMap<u32, Probes> = BTreeMap::new();
    each(folder, mend, |cell, rows| all.entry(cell).or_default().classes = rows)?;
    each(folder, mend, |cell, rows| all.entry(cell).or_default().routing_changes = rows)?;
    each(folder, mend, |cell, rows| all.entry(cell).or_default().gradients = rows)?;
    each(folder, mend, |cell, rows| all.entry(cell).or_default().expert_use = rows)?;
    each(folder, mend, |cell, rows| all.entry(cell).or_default().similarities = rows)?;
    each(folder, mend, |cell, rows| all.entry(cell).or_default().routed_images = rows)?;
    each(folder, mend, |cell, rows| all.entry(cell).or_default().gallery = rows)?;
    each(folder, mend, |cell, rows| all.entry(cell).or_default().errors = rows)?;
    Ok(all)
}

fn parts<R: Rows>(folder: &Path, cells: &[&Probes], of: impl Fn(&Probes) -> &Vec<R>) -> Result<()> {
    let path = path::<R>(folder);
    if cells.iter().all(|probes| of(probes).is_empty()) {
        return remove(&path);
    }
    table::write_parts(&path, cells.iter().map(|probes| R::columns(of(probes))))
}

fn each<R: Rows>(folder: &Path, mend: &'static str, mut take: impl FnMut(u32, Vec<R>)) -> Result<()> {
    let path = path::<R>(folder);
    if path.is_file() {
        let cells = table::read_or(&path, mend, |frame| table::sets_of(frame, R::from_frame))?;
        cells.into_iter().for_each(|(cell, rows)| take(cell, rows));
    }
    Ok(())
}

/// The path of a table in a folder of probes.
fn path<R: Rows>(folder: &Path) -> PathBuf {
    folder.join(format!("{}.parquet", R::NAME))
}

fn read<R: Rows>(folder: &Path) -> Result<Vec<R>> {
    let path = path::<R>(folder);
    if path.is_file() { table::read(&path, R::from_frame) } else { Ok(Vec::new()) }
}

fn write<R: Rows>(folder: &Path, rows: &[R]) -> Result<()> {
    let path = path::<R>(folder);
    if !rows.is_empty() {
        return table::write(&path, R::columns(rows));
    }
    remove(&path)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, e)),
        _ => Ok(()),
    }
}
