//! Checks the data of a run before the first byte is written, so that a missing folder, an empty class or a broken annotation
//! file costs no training. Reads lists and annotations, no pixels: `data check` does that.

use std::path::Path;

use adamv_engine::CellConfig;

use crate::exit::Failure;
use crate::plan::Job;

/// Checks the data of every cell, the same data once.
pub fn data<'a>(cells: impl Iterator<Item = &'a CellConfig>) -> Result<(), Failure> {
    for cell in distinct(cells) {
        absent(cell).into_iter().next().map_or(Ok(()), Err)?;
        adamv_engine::check_data(cell)?;
    }
    Ok(())
}

/// What [`data`] would refuse, each missing thing once; data that is there is only looked into where none is missing.
pub fn missing<'a>(cells: impl Iterator<Item = &'a CellConfig>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for cell in distinct(cells) {
        let mut found = absent(cell);
        if found.is_empty() {
            found.extend(adamv_engine::check_data(cell).err().map(Failure::from));
        }
        for failure in found {
            if !lines.contains(&failure.message) {
                lines.push(failure.message);
            }
        }
    }
    lines
}

/// One cell of each kind that asks the same of its data: which files, at what size, how much of it is held out.
fn distinct<'a>(cells: impl Iterator<Item = &'a CellConfig>) -> Vec<&'a CellConfig> {
    let asks = |cell: &CellConfig| {
        let training = &cell.training;
        (cell.data.clone(), cell.model.inputs.clone(), training.aes.clone(), training.joint.batch)
    };
    let mut kinds: Vec<&CellConfig> = Vec::new();
    for cell in cells {
        if kinds.iter().all(|other| asks(other) != asks(cell)) {
            kinds.push(cell);
        }
    }
    kinds
}

/// A finished cell is skipped only while its data is what it was measured on. Data that can't be opened any more says
/// nothing against its results.
pub fn unchanged(jobs: &[Job]) -> Result<(), Failure> {
    for job in jobs.iter().filter(|job| job.done()) {
        let Some(record) = &job.record else { continue };
        if let Ok(Some(key)) = adamv_engine::cell_key_of(&job.config)
            && key != record.cell_key
        {
            return Err(Failure::usage(format!(
                "{}: is finished, but its data has changed since; restore the data, give another --out, or delete that \
                 folder to measure the cell again",
                job.dir.path().display()
            )));
        }
    }
    Ok(())
}

/// A failure for every path that the configuration names and that isn't there.
fn absent(cell: &CellConfig) -> Vec<Failure> {
    let mut failures = Vec::new();
    if let Some(imagenet) = &cell.data.imagenet {
        failures.extend(there("data.imagenet.root", &imagenet.root, Path::is_dir).err());
    }
    if let Some(coco) = &cell.data.coco {
        for (key, path) in [
            ("data.coco.train_images", &coco.train_images),
            ("data.coco.train_annotations", &coco.train_annotations),
            ("data.coco.val_images", &coco.val_images),
            ("data.coco.val_annotations", &coco.val_annotations),
        ] {
            failures.extend(there(key, path, Path::exists).err());
        }
    }
    failures
}

fn there(key: &str, path: &Path, is: impl Fn(&Path) -> bool) -> Result<(), Failure> {
    if is(path) {
        return Ok(());
    }
    Err(Failure::environment(format!(
        "{key}: there is no `{}` (relative paths are relative to the current directory); put the data there, or name another \
         place in the suite or with --set {key}=PATH",
        path.display()
    )))
}
