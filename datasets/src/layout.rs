//! Recognises the data sets that lie in a folder, for whoever is given nothing but the folder. Reads names, not content.

use std::fs;
use std::path::{Path, PathBuf};

use crate::coco;
use crate::error::Error;
use crate::scenes;
use crate::shards;
use crate::task::Split;

/// A data set within a folder.
pub(crate) enum Part {
    /// A folder with `train/<class>/` and `val/<class>/`, or with shards of the splits.
    Imagenet(PathBuf),
    /// An instances file and its folder of images or shards; or a folder of shards as both.
    Coco { json: PathBuf, images: PathBuf },
}

/// The data sets of a folder: built-in scenes, ImageNet folders (`train/<class>/`), COCO files
/// (`annotations/instances_NAME.json` beside a folder NAME, perhaps under `images/`), shards of either, or
/// those of the folders in it.
///
/// # Errors
/// When the folder is missing or nothing in it is recognised.
pub(crate) fn parts(dir: &Path) -> Result<Vec<Part>, Error> {
    if !dir.is_dir() {
        return Err(Error::missing(dir, "Give a folder that holds data"));
    }
    let mut parts = recognise(dir)?;
    if parts.is_empty() {
        for folder in folders(dir)? {
            parts.extend(recognise(&folder)?);
        }
    }
    if parts.is_empty() {
        return Err(Error::data(
            dir,
            "nothing in this folder is recognised as data",
            "Give a folder with train/<class>/ and val/<class>/, or with annotations/instances_NAME.json and a folder NAME of images, or shards (.tar) in their place",
        ));
    }
    Ok(parts)
}

/// The data sets that lie directly in a folder.
fn recognise(dir: &Path) -> Result<Vec<Part>, Error> {
    if dir.join(scenes::SETTINGS).is_file() {
        let mut parts = vec![Part::Imagenet(dir.join("classification"))];
        parts.extend(recognise(&dir.join("detection"))?);
        return Ok(parts);
    }
    let annotations = dir.join("annotations");
    if annotations.is_dir() {
        return coco_parts(dir, &annotations);
    }
    let inside = dir.canonicalize().map_err(|e| Error::io(dir, "read the folder", e))?;
    if dir.join(coco::CATEGORIES).is_file() && !shards::in_folder(dir, &inside)?.is_empty() {
        return Ok(vec![Part::Coco { json: dir.to_path_buf(), images: dir.to_path_buf() }]);
    }
    let mut holds_classes = false;
    for split in Split::ALL {
        let folder = dir.join(split.as_str());
        holds_classes |= folder.is_dir() && !folders(&folder)?.is_empty();
        holds_classes |= !shards::of_split(dir, split)?.is_empty();
    }
    Ok(if holds_classes { vec![Part::Imagenet(dir.to_path_buf())] } else { Vec::new() })
}

fn coco_parts(dir: &Path, annotations: &Path) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    for json in entries(annotations)? {
        let stem = json.file_stem().and_then(|s| s.to_str()).unwrap_or("");
        let is_json = json.extension().is_some_and(|e| e == "json");
        if let (true, Some(name)) = (is_json, stem.strip_prefix("instances_")) {
            let nested = dir.join("images").join(name);
            let images = if nested.is_dir() { nested } else { dir.join(name) };
            parts.push(Part::Coco { json, images });
        }
    }
    Ok(parts)
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let wrap = |e| Error::io(dir, "list the folder", e);
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(wrap)? {
        found.push(entry.map_err(wrap)?.path());
    }
    found.sort();
    Ok(found)
}

fn folders(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    Ok(entries(dir)?.into_iter().filter(|p| p.is_dir()).collect())
}
