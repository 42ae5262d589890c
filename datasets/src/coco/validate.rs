//! Judges a parsed COCO file against itself and against its images. Decodes masks, not pixels.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rayon::prelude::*;

use super::images::Images;
use super::parse::{Annotation, File, Image, Segmentation};
use crate::error::Finding;
use crate::image::MAX_PIXELS;
use crate::mask::check_outline;
use crate::place::Place;

/// A box may overhang its image by this many pixels before it is worth a remark: annotation tools round.
const OVERHANG: f64 = 1.0;

/// Where an image lies, and its size in bytes; `None` where it is missing.
pub(crate) type Found = Option<(Place, u64)>;

/// Everything wrong with a file, in the file's order, and where each of its images lies.
pub(crate) fn findings(file: &File, path: &Path, images: &Images) -> (Vec<Finding>, Vec<Found>) {
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
    let looked_up: Vec<Result<_, Finding>> =
        file.images.par_iter().map(|image| images.find(image.id, &image.file_name, path)).collect();
    let mut places = Vec::with_capacity(looked_up.len());
    for result in looked_up {
        places.push(result.map_err(|finding| found.push(finding)).ok());
    }
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
    (found, places)
}

/// Whether an image may be as large as its record says.
pub(crate) fn possible_size(image: &Image) -> bool {
    (1..=MAX_PIXELS).contains(&(u64::from(image.height) * u64::from(image.width)))
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
