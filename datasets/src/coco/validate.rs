//! Judges a parsed COCO file against itself and against its folder of images. Decodes masks, not pixels.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path};

use rayon::prelude::*;

use super::parse::{Annotation, File, Image, Segmentation};
use crate::error::{Error, Finding};
use crate::image::MAX_PIXELS;
use crate::imagenet::{leaves, link_out};
use crate::mask::check_outline;

/// A box may overhang its image by this many pixels before it is worth a remark: annotation tools round.
const OVERHANG: f64 = 1.0;

/// Everything wrong with a file, in the file's order, and the size in bytes of each image file: none where there is no
/// such file, or it lies outside its folder and may not be read.
///
/// # Errors
/// Only when the folder of images cannot be read.
pub(crate) fn findings(file: &File, path: &Path, images: &Path) -> Result<(Vec<Finding>, Vec<Option<u64>>), Error> {
    let inside = images.canonicalize().map_err(|e| Error::io(images, "read the folder of images", e))?;
    let mut found = Vec::new();
    if file.images.is_empty() {
        found.push(Finding::fatal(path, "it lists no images", "Give a file with images"));
    }
    if file.categories.is_empty() {
        found.push(Finding::fatal(path, "it lists no categories", "Give a file with categories"));
    }
    let mut categories = HashSet::new();
    for category in &file.categories {
        if !categories.insert(category.id) {
            found.push(Finding::fatal(
                path,
                format!("category id {} occurs twice", category.id),
                "Give each category an id of its own",
            ));
        }
    }
    let mut sizes = HashMap::new();
    let mut names = HashSet::new();
    for image in &file.images {
        if sizes.insert(image.id, image.size()).is_some() {
            found.push(Finding::fatal(
                path,
                format!("image id {} occurs twice", image.id),
                "Give each image an id of its own",
            ));
        }
        if !names.insert(image.file_name.as_str()) {
            found.push(Finding::remark(
                path,
                format!("image {}: file_name `{}` occurs twice", image.id, image.file_name),
                "Keep one of the two records",
            ));
        }
        if !possible_size(image) {
            found.push(Finding::fatal(
                path,
                format!("image {} is {} x {} pixels", image.id, image.width, image.height),
                format!("Mend width and height: 1 to {MAX_PIXELS} pixels in all"),
            ));
        }
    }
    let on_disk: Vec<Result<u64, Finding>> =
        file.images.par_iter().map(|image| find_image(image.id, &image.file_name, path, images, &inside)).collect();
    let bytes = on_disk.iter().map(|outcome| outcome.as_ref().ok().copied()).collect();
    found.extend(on_disk.into_iter().filter_map(Result::err));
    let mut ids = HashSet::new();
    for annotation in &file.annotations {
        if !ids.insert(annotation.id) {
            found.push(Finding::fatal(
                path,
                format!("annotation id {} occurs twice", annotation.id),
                "Give each annotation an id of its own",
            ));
        }
    }
    let judged: Vec<Vec<Finding>> = file
        .annotations
        .par_iter()
        .map(|a| judge(a, path, sizes.get(&a.image_id), categories.contains(&a.category_id)))
        .collect();
    found.extend(judged.into_iter().flatten());
    Ok((found, bytes))
}

/// Whether an image may be as large as its record says.
pub(crate) fn possible_size(image: &Image) -> bool {
    (1..=MAX_PIXELS).contains(&(u64::from(image.height) * u64::from(image.width)))
}

/// The size in bytes of an image file, if it is there and inside its folder.
pub(crate) fn find_image(id: u64, name: &str, path: &Path, images: &Path, inside: &Path) -> Result<u64, Finding> {
    let normal = |c: Component| matches!(c, Component::Normal(_) | Component::CurDir);
    if name.is_empty() || !Path::new(name).components().all(normal) {
        let what = format!("image {id}: file_name `{name}` leads out of the folder of images");
        return Err(Finding::fatal(path, what, "Give a name relative to that folder, without `..`"));
    }
    let file = images.join(name);
    // A link may stand anywhere in the name. Only links are resolved, which is slow on a network disk.
    let mut step = images.to_path_buf();
    let through_link = Path::new(name).components().any(|part| {
        step.push(part);
        step.symlink_metadata().is_ok_and(|m| m.is_symlink())
    });
    if through_link && leaves(&file, inside) {
        return Err(link_out(&file));
    }
    match std::fs::metadata(&file) {
        Ok(meta) if meta.is_file() => Ok(meta.len()),
        found => {
            let state = if found.is_ok() { "not a file" } else { "missing" };
            let what = format!("the image is {state} (image {id} of {})", path.display());
            Err(Finding::fatal(&file, what, "Restore it, or remove its record"))
        }
    }
}

/// What is wrong with one annotation, given its image's height and width.
fn judge(annotation: &Annotation, path: &Path, size: Option<&[u32; 2]>, known_category: bool) -> Vec<Finding> {
    let id = annotation.id;
    let mut found = Vec::new();
    if !known_category {
        found.push(Finding::fatal(
            path,
            format!("annotation {id} names category {}, which the file does not list", annotation.category_id),
            "Add the category or mend category_id",
        ));
    }
    let bbox = annotation.finite_box();
    if bbox.is_none() {
        let shown: Vec<String> =
            annotation.bbox.iter().map(|v| v.map_or("null".to_string(), |v| v.to_string())).collect();
        found.push(Finding::fatal(
            path,
            format!("annotation {id}: the box [{}] is not four finite numbers", shown.join(", ")),
            "Give bbox as [x, y, width, height]",
        ));
    }
    let Some(&[height, width]) = size else {
        found.push(Finding::fatal(
            path,
            format!("annotation {id} names image {}, which the file does not list", annotation.image_id),
            "Add the image, mend image_id, or remove the annotation",
        ));
        return found;
    };
    if let Some([x, y, w, h]) = bbox {
        let (right, bottom) = (f64::from(width), f64::from(height));
        let overhangs = x < -OVERHANG || y < -OVERHANG || x + w > right + OVERHANG || y + h > bottom + OVERHANG;
        if w <= 0.0 || h <= 0.0 {
            // Real collections hold some; they must not stop a run.
            found.push(Finding::remark(
                path,
                format!("annotation {id}: the box is {w} wide and {h} high; it is not trained on"),
                "Mend the box or remove the annotation",
            ));
        } else if overhangs && (x >= right || y >= bottom || x + w <= 0.0 || y + h <= 0.0) {
            found.push(Finding::fatal(
                path,
                format!("annotation {id}: the box [{x}, {y}, {w}, {h}] lies outside its image of {width} x {height}"),
                "Mend the box or image_id, or remove the annotation",
            ));
        } else if overhangs {
            found.push(Finding::remark(
                path,
                format!("annotation {id}: the box [{x}, {y}, {w}, {h}] reaches out of its image of {width} x {height}; training clips it"),
                "Mend the box",
            ));
        }
    }
    found.extend(judge_mask(annotation, path, height, width));
    found
}

fn judge_mask(annotation: &Annotation, path: &Path, height: u32, width: u32) -> Option<Finding> {
    let id = annotation.id;
    let empty = match &annotation.segmentation {
        Segmentation::Polygons(polygons) => {
            let odd = |p: &Vec<f64>| p.len() % 2 == 1 || p.iter().any(|v| !v.is_finite());
            if polygons.iter().any(odd) {
                return Some(Finding::fatal(
                    path,
                    format!("annotation {id}: a polygon is not pairs of finite numbers"),
                    "Give each polygon as [x0, y0, x1, y1, ...]",
                ));
            }
            if let Err(e) = check_outline(polygons, height, width) {
                return Some(Finding::fatal(path, format!("annotation {id}: {e}"), "Simplify the polygons"));
            }
            polygons.iter().all(|p| p.len() < 6)
        }
        Segmentation::Rle { size, counts } => match counts.decode(*size, height, width) {
            Ok(rle) => rle.area() == 0,
            Err(e) => {
                return Some(Finding::fatal(
                    path,
                    format!("annotation {id}: {e}"),
                    "Encode the mask again from its pixels, or remove the annotation",
                ));
            }
        },
    };
    empty.then(|| {
        Finding::remark(
            path,
            format!("annotation {id}: the segmentation is empty; it is not trained on"),
            "Give it a mask or remove the annotation",
        )
    })
}
