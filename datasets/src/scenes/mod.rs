//! The built-in data set: scenes drawn on the spot, written in both layouts and read back by the same readers as real
//! data.
//!
//! A detection scene is a cluttered canvas with one to six objects that hide parts of each other; a classification
//! image shows one object. `canvas` draws backgrounds, `shapes` knows outlines, `compose` places objects, this room
//! writes files.

mod canvas;
mod compose;
mod shapes;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

pub use self::compose::{Scene, SceneObject, classification_image, detection_scene};
pub use self::shapes::Shape;
use crate::config::{CocoPaths, ImagenetPaths, ScenesConfig};
use crate::error::Error;
use crate::image::write_png;
use crate::task::Split;

/// Raised when the same configuration would draw other pixels.
pub const VERSION: u32 = 1;

/// The settings file; it marks a complete data set.
pub const SETTINGS: &str = "scenes.json";

/// Where the two layouts lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenesPaths {
    /// The classification half.
    pub imagenet: ImagenetPaths,
    /// The detection half.
    pub coco: CocoPaths,
}

impl ScenesPaths {
    /// The paths within a folder made by [`make`].
    pub fn within(out: &Path) -> Self {
        let detection = out.join("detection");
        let annotations = |split: Split| detection.join(annotations_name(split));
        ScenesPaths {
            imagenet: ImagenetPaths { root: out.join("classification") },
            coco: CocoPaths {
                train_images: detection.join("train"),
                train_annotations: annotations(Split::Train),
                val_images: detection.join("val"),
                val_annotations: annotations(Split::Val),
            },
        }
    }
}

/// Makes the data set in `out`, or finds it there already. Bytes depend on the configuration alone.
///
/// It is drawn in `<out>.partial` and renamed when complete, so a killed run leaves nothing that looks finished. Two
/// processes that make the same folder wait for each other.
///
/// # Errors
/// [`Error::Config`] for values out of range; [`Error::Data`] when `out` holds something else; [`Error::Io`] with the
/// path.
pub fn make(out: &Path, config: &ScenesConfig) -> Result<ScenesPaths, Error> {
    config.validate()?;
    let settings = settings_text(config)?;
    if is_made(out, &settings)? {
        return Ok(ScenesPaths::within(out));
    }
    let partial = partial_folder(out)?;
    fs::create_dir_all(&partial).map_err(|e| Error::io(&partial, "make the folder", e))?;
    let lock = File::open(&partial)
        .and_then(|folder| folder.lock().map(|()| folder))
        .map_err(|e| Error::io(&partial, "lock the folder", e))?;
    // Another process may have finished while this one waited for the lock.
    if is_made(out, &settings)? {
        return Ok(ScenesPaths::within(out));
    }
    clear(&partial)?;
    draw_all(&partial, config)?;
    let path = partial.join(SETTINGS);
    fs::write(&path, &settings).map_err(|e| Error::io(&path, "write the settings", e))?;
    // Renaming onto an empty folder is allowed, and `out` is either empty or absent.
    fs::rename(&partial, out).map_err(|e| Error::io(out, "move the finished data set", e))?;
    drop(lock);
    Ok(ScenesPaths::within(out))
}

/// Whether `out` holds this very data set; an error if it holds anything else.
fn is_made(out: &Path, settings: &str) -> Result<bool, Error> {
    let path = out.join(SETTINGS);
    match fs::read_to_string(&path) {
        Ok(found) if found == settings => return Ok(true),
        Ok(found) => {
            return Err(Error::data(
                &path,
                format!("scenes made with other settings are here: {}", found.trim().replace('\n', " ")),
                "Choose another folder, or delete this one",
            ));
        }
        Err(_) => {}
    }
    let Ok(mut entries) = fs::read_dir(out) else {
        return Ok(false);
    };
    if entries.next().is_some() {
        return Err(Error::data(out, "the folder is not empty and holds no scenes", "Choose another folder"));
    }
    Ok(false)
}

/// Where `out` is made before it is complete.
pub(crate) fn partial_folder(out: &Path) -> Result<PathBuf, Error> {
    let Some(name) = out.file_name() else {
        return Err(Error::data(out, "not a folder that can be made", "Choose a folder with a name"));
    };
    let mut partial = name.to_os_string();
    partial.push(".partial");
    Ok(out.with_file_name(partial))
}

/// Removes what a killed run left.
fn clear(partial: &Path) -> Result<(), Error> {
    for name in ["classification", "detection", SETTINGS] {
        let path = partial.join(name);
        let removed = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else if path.exists() {
            fs::remove_file(&path)
        } else {
            Ok(())
        };
        removed.map_err(|e| Error::io(&path, "remove what an interrupted run left", e))?;
    }
    Ok(())
}

fn settings_text(config: &ScenesConfig) -> Result<String, Error> {
    #[derive(Serialize)]
    struct Settings<'a> {
        version: u32,
        #[serde(flatten)]
        config: &'a ScenesConfig,
    }
    let settings = Settings { version: VERSION, config };
    json_text(&settings, Path::new(SETTINGS))
}

fn json_text(value: &impl Serialize, path: &Path) -> Result<String, Error> {
    serde_json::to_string(value).map(|text| text + "\n").map_err(|e| Error::io(path, "write the JSON", e.into()))
}

/// Images of a split for each task.
fn images_of(split: Split, config: &ScenesConfig) -> usize {
    match split {
        Split::Train => config.images,
        Split::Val => config.images / 4,
    }
}

/// Images of the two splits are numbered through, so no image occurs in both.
fn first_of(split: Split, config: &ScenesConfig) -> usize {
    match split {
        Split::Train => 0,
        Split::Val => config.images,
    }
}

fn annotations_name(split: Split) -> String {
    format!("annotations/instances_{split}.json")
}

fn draw_all(folder: &Path, config: &ScenesConfig) -> Result<(), Error> {
    for split in Split::ALL {
        draw_classification(&folder.join("classification").join(split.as_str()), split, config)?;
        draw_detection(&folder.join("detection"), split, config)?;
    }
    Ok(())
}

pub(crate) fn make_folder(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|e| Error::io(path, "make the folder", e))
}

fn draw_classification(folder: &Path, split: Split, config: &ScenesConfig) -> Result<(), Error> {
    for shape in Shape::ALL {
        make_folder(&folder.join(shape.as_str()))?;
    }
    let done: Vec<Result<(), Error>> = (0..images_of(split, config))
        .into_par_iter()
        .map(|i| {
            // Classes take turns, so their numbers differ by one at most.
            let shape = Shape::ALL[i % Shape::ALL.len()];
            let image = classification_image(config, (first_of(split, config) + i) as u64, shape);
            write_png(&folder.join(shape.as_str()).join(file_name(i)), &image)
        })
        .collect();
    done.into_iter().collect()
}

fn file_name(index: usize) -> String {
    format!("{index:06}.png")
}

#[derive(Serialize)]
struct CocoFile {
    info: CocoInfo,
    images: Vec<CocoImage>,
    annotations: Vec<CocoAnnotation>,
    categories: Vec<CocoCategory>,
}

#[derive(Serialize)]
struct CocoInfo {
    description: &'static str,
    version: String,
}

#[derive(Serialize)]
struct CocoImage {
    id: u64,
    file_name: String,
    height: u32,
    width: u32,
}

#[derive(Serialize)]
struct CocoAnnotation {
    id: u64,
    image_id: u64,
    category_id: u64,
    bbox: [f64; 4],
    area: u64,
    iscrowd: u8,
    segmentation: CocoRle,
}

#[derive(Serialize)]
struct CocoRle {
    size: [u32; 2],
    counts: String,
}

#[derive(Serialize)]
struct CocoCategory {
    id: u64,
    name: &'static str,
    supercategory: &'static str,
}

fn draw_detection(folder: &Path, split: Split, config: &ScenesConfig) -> Result<(), Error> {
    let images = folder.join(split.as_str());
    make_folder(&images)?;
    let done: Vec<Result<Vec<SceneObject>, Error>> = (0..images_of(split, config))
        .into_par_iter()
        .map(|i| {
            let scene = detection_scene(config, (first_of(split, config) + i) as u64);
            write_png(&images.join(file_name(i)), &scene.image)?;
            Ok(scene.objects)
        })
        .collect();
    let mut file = CocoFile {
        info: CocoInfo { description: "drawn scenes", version: VERSION.to_string() },
        images: Vec::new(),
        annotations: Vec::new(),
        categories: Shape::ALL
            .iter()
            .map(|s| CocoCategory { id: *s as u64 + 1, name: s.as_str(), supercategory: "shape" })
            .collect(),
    };
    for (i, objects) in done.into_iter().enumerate() {
        let image_id = i as u64 + 1;
        file.images.push(CocoImage { id: image_id, file_name: file_name(i), height: config.size, width: config.size });
        for object in objects? {
            file.annotations.push(CocoAnnotation {
                id: file.annotations.len() as u64 + 1,
                image_id,
                category_id: object.shape as u64 + 1,
                bbox: object.mask.bbox(),
                area: object.mask.area(),
                iscrowd: 0,
                segmentation: CocoRle { size: object.mask.size, counts: object.mask.to_compressed() },
            });
        }
    }
    make_folder(&folder.join("annotations"))?;
    let path = folder.join(annotations_name(split));
    let text = json_text(&file, &path)?;
    fs::write(&path, text).map_err(|e| Error::io(&path, "write the annotations", e))
}
