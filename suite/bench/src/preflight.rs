//! Checks the data of a run before the first byte is written, so that a missing folder, an empty class or a broken annotation
//! file costs no training. Reads lists and annotations, no pixels: `data check` does that.

use std::path::Path;

use adamv_engine::CellConfig;

use crate::exit::Failure;
use crate::plan::Job;

/// Checks the data of every cell, the same data once.
pub fn data<'a>(cells: impl Iterator<Item = &'a CellConfig>) -> Result<(), Failure> {
    let mut seen: Vec<&CellConfig> = Vec::new();
    for cell in cells {
        // What is asked of data: which files, at what size, how much of it is held out.
        let asks = |cell: &CellConfig| {
            let training = &cell.training;
            (cell.data.clone(), cell.model.inputs.clone(), training.aes.clone(), training.joint.batch)
        };
        if seen.iter().all(|other| asks(other) != asks(cell)) {
            paths(cell)?;
            adamv_engine::check_data(cell)?;
            seen.push(cell);
        }
    }
    Ok(())
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

/// Every path that the configuration names is there.
fn paths(cell: &CellConfig) -> Result<(), Failure> {
    if let Some(imagenet) = &cell.data.imagenet {
        there("data.imagenet.root", &imagenet.root, Path::is_dir)?;
    }
    if let Some(coco) = &cell.data.coco {
        there("data.coco.train_images", &coco.train_images, Path::exists)?;
        there("data.coco.train_annotations", &coco.train_annotations, Path::exists)?;
        there("data.coco.val_images", &coco.val_images, Path::exists)?;
        there("data.coco.val_annotations", &coco.val_annotations, Path::exists)?;
    }
    Ok(())
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
