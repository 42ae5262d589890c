//! The built-in data set: scenes drawn on the spot, written in both layouts and read back by the same readers as real
//! data.
//!
//! A detection scene is a cluttered canvas with one to six objects that hide parts of each other; a classification
//! image shows one shape, or is an original image of Fashion-MNIST. `canvas` draws backgrounds, `shapes` knows outlines,
//! `idx`, `fashion_mnist` and `garment` read garments, `compose` places objects, `instances` is their file in COCO's
//! layout, this room writes files.
//!
//! Labels of classification follow the sorted names of the class folders, as in every ImageNet layout; categories of
//! detection are numbered from 1 in the order of [`class_names`]. For shapes the two orders are one; Fashion-MNIST's own
//! order, kept for detection, is not sorted.

mod canvas;
mod compose;
mod fashion_mnist;
mod garment;
mod idx;
mod instances;
mod shapes;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

pub use self::compose::{Scene, SceneObject, Stock, classification_image, detection_scene};
pub use self::fashion_mnist::{FashionMnist, Garments};
use self::instances::Instances;
pub use self::shapes::Shape;
use crate::config::{CocoPaths, ImagenetPaths, ScenesConfig, Sprites};
use crate::error::Error;
use crate::image::{write_grey_png, write_png};
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

/// Names of a data set's classes; a detection category's id is its position + 1.
pub fn class_names(sprites: Sprites) -> Vec<&'static str> {
    match sprites {
        Sprites::Shapes => Shape::ALL.iter().map(|shape| shape.as_str()).collect(),
        Sprites::FashionMnist => FashionMnist::CLASSES.to_vec(),
    }
}

/// What the configuration's sprites are made of.
enum Source {
    Shapes,
    FashionMnist(FashionMnist),
}

impl Source {
    fn open(config: &ScenesConfig) -> Result<Self, Error> {
        Ok(match config.sprites {
            Sprites::Shapes => Source::Shapes,
            Sprites::FashionMnist => Source::FashionMnist(FashionMnist::open(config.fashion_mnist.as_deref())?),
        })
    }

    fn stock(&self, split: Split) -> Stock<'_> {
        match self {
            Source::Shapes => Stock::Shapes,
            Source::FashionMnist(files) => Stock::Garments(files.split(split)),
        }
    }
}

/// Makes the data set in `out`, or finds it there already. Bytes depend on the configuration and, for Fashion-MNIST, on
/// what its files hold.
///
/// It is drawn in `<out>.partial` and renamed when complete, so a killed run leaves nothing that looks finished. Two
/// processes that make the same folder wait for each other.
///
/// # Errors
/// [`Error::Config`] for values out of range; [`Error::Data`] when `out` holds something else; [`Error::Io`] with the
/// path; those of [`FashionMnist::open`].
pub fn make(out: &Path, config: &ScenesConfig) -> Result<ScenesPaths, Error> {
    config.validate()?;
    let source = Source::open(config)?;
    let settings = settings_text(config, &source)?;
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
    draw_all(&partial, config, &source)?;
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

/// Everything that the data set's bytes depend on, so not the folder of the files that sprites are read from.
fn settings_text(config: &ScenesConfig, source: &Source) -> Result<String, Error> {
    #[derive(Serialize)]
    struct Settings<'a> {
        version: u32,
        images: usize,
        size: u32,
        seed: u64,
        sprites: Sprites,
        /// Digest of the files.
        #[serde(skip_serializing_if = "Option::is_none")]
        fashion_mnist: Option<&'a str>,
    }
    let ScenesConfig { images, size, seed, sprites, fashion_mnist: _ } = *config;
    let fashion_mnist = match source {
        Source::Shapes => None,
        Source::FashionMnist(files) => Some(files.digest()),
    };
    json_text(&Settings { version: VERSION, images, size, seed, sprites, fashion_mnist }, Path::new(SETTINGS))
}

fn json_text(value: &impl Serialize, path: &Path) -> Result<String, Error> {
    serde_json::to_string(value).map(|text| text + "\n").map_err(|e| Error::io(path, "write the JSON", e.into()))
}

/// Drawn images of a split for each task.
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

fn draw_all(folder: &Path, config: &ScenesConfig, source: &Source) -> Result<(), Error> {
    for split in Split::ALL {
        let classification = folder.join("classification").join(split.as_str());
        match source.stock(split) {
            Stock::Shapes => draw_classification(&classification, split, config)?,
            Stock::Garments(garments) => write_originals(&classification, garments)?,
        }
        draw_detection(&folder.join("detection"), split, config, source.stock(split))?;
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

/// Writes each image as it is, numbered as in its file. A class without images gets no folder.
fn write_originals(folder: &Path, garments: &Garments) -> Result<(), Error> {
    let folder_of = |index: usize| folder.join(FashionMnist::CLASSES[garments.label(index)]);
    for class in 0..FashionMnist::CLASSES.len() {
        if let Some(index) = (0..garments.count()).find(|&i| garments.label(i) == class) {
            make_folder(&folder_of(index))?;
        }
    }
    let side = idx::SIDE as u32;
    let write = |i: usize| write_grey_png(&folder_of(i).join(file_name(i)), side, side, garments.pixels(i));
    (0..garments.count()).into_par_iter().try_for_each(write)
}

fn file_name(index: usize) -> String {
    format!("{index:06}.png")
}

fn draw_detection(folder: &Path, split: Split, config: &ScenesConfig, stock: Stock) -> Result<(), Error> {
    let images = folder.join(split.as_str());
    make_folder(&images)?;
    let done: Vec<Result<Vec<SceneObject>, Error>> = (0..images_of(split, config))
        .into_par_iter()
        .map(|i| {
            let scene = detection_scene(config, stock, (first_of(split, config) + i) as u64);
            write_png(&images.join(file_name(i)), &scene.image)?;
            Ok(scene.objects)
        })
        .collect();
    let scenes: Vec<Vec<SceneObject>> = done.into_iter().collect::<Result<_, _>>()?;
    make_folder(&folder.join("annotations"))?;
    let path = folder.join(annotations_name(split));
    let text = json_text(&Instances::new(config, &scenes), &path)?;
    fs::write(&path, text).map_err(|e| Error::io(&path, "write the annotations", e))
}
