//! A COCO instances file, read and checked once. Owns hotcoco's index of it; it may not touch
//! detections.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hotcoco::{Annotation, COCO, Dataset, Segmentation};

use crate::coco::detection::IouType;
use crate::coco::error::{EntryProblem, EvalError};
use crate::coco::non_finite;
use crate::mask::check_cover;

/// What detections are compared with. Cheap to share between threads behind a reference.
pub struct GroundTruth {
    path: PathBuf,
    coco: Arc<COCO>,
    /// `[height, width]` of each image; 0 where the file gives none.
    sizes: HashMap<u64, [u32; 2]>,
    categories: HashSet<u64>,
    image_ids: Vec<u64>,
    /// The first annotation that cannot be compared by its box, and why.
    no_box: Option<Flaw>,
    /// The first annotation that cannot be compared by its mask, and why.
    no_mask: Option<Flaw>,
}

/// An annotation that some evaluations cannot use.
struct Flaw {
    index: usize,
    id: u64,
    problem: String,
}

impl GroundTruth {
    /// Reads an instances file.
    ///
    /// # Errors
    /// A file that cannot be read; broken JSON (with line and column); a file of another kind; no
    /// images or no categories; an id given twice; an annotation of an unknown image or category.
    /// Annotations without a usable box or mask are reported when an evaluation needs them.
    pub fn read(path: &Path) -> Result<Self, EvalError> {
        let text = std::fs::read(path).map_err(|source| EvalError::Read { path: path.to_owned(), source })?;
        Self::from_json(&text, path)
    }

    /// As [`GroundTruth::read`], from text in memory; `path` stands in error messages.
    ///
    /// # Errors
    /// As [`GroundTruth::read`], but for reading.
    pub fn from_json(text: &[u8], path: &Path) -> Result<Self, EvalError> {
        let shape = |message: String| EvalError::Shape { path: path.to_owned(), message };
        if text.trim_ascii_start().first() == Some(&b'[') {
            return Err(shape(
                "this is a list, as a results file is, not an instances file with `images`, `categories` \
                 and `annotations`; are --gt and --dt swapped?"
                    .to_owned(),
            ));
        }
        let mut dataset: Dataset = serde_json::from_slice(text).map_err(|error| parse_error(&error, text, path))?;
        for (list, is_empty) in [("images", dataset.images.is_empty()), ("categories", dataset.categories.is_empty())] {
            if is_empty {
                return Err(shape(format!(
                    "`{list}` is missing or empty, so there is nothing to evaluate on; give a COCO instances file"
                )));
            }
        }
        // hotcoco would name them too, but with a line on stderr.
        for category in &mut dataset.categories {
            if category.name.is_empty() {
                category.name = COCO::placeholder_cat_name(category.id);
            }
        }
        let ids = check_ids(&dataset, path)?;
        let flaw = |wrong: fn(&Annotation, &HashMap<u64, [u32; 2]>) -> Option<String>| {
            let annotations = dataset.annotations.iter().enumerate();
            annotations
                .filter_map(|(index, annotation)| {
                    Some(Flaw { index, id: annotation.id, problem: wrong(annotation, &ids.sizes)? })
                })
                .next()
        };
        let (no_box, no_mask) = (flaw(box_flaw), flaw(mask_flaw));
        let mut image_ids: Vec<u64> = ids.sizes.keys().copied().collect();
        image_ids.sort_unstable();
        Ok(Self {
            path: path.to_owned(),
            coco: Arc::new(COCO::from_dataset(dataset)),
            sizes: ids.sizes,
            categories: ids.categories,
            image_ids,
            no_box,
            no_mask,
        })
    }

    /// The file it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ids of the images, rising. An evaluation covers all of them, also those without annotations.
    pub fn image_ids(&self) -> &[u64] {
        &self.image_ids
    }

    /// The same, of these images only: an evaluation leaves the others out.
    pub fn only(mut self, image_ids: &HashSet<u64>) -> Self {
        self.image_ids.retain(|id| image_ids.contains(id));
        self
    }

    /// Number of annotations, crowds included.
    pub fn annotations(&self) -> usize {
        self.coco.dataset.annotations.len()
    }

    /// Whether the file declares this category.
    pub fn has_category(&self, category_id: u64) -> bool {
        self.categories.contains(&category_id)
    }

    /// `[height, width]` of an image in pixels, 0 where the file gives none; `None` for an unknown image.
    pub fn image_size(&self, image_id: u64) -> Option<[u32; 2]> {
        self.sizes.get(&image_id).copied()
    }

    /// As [`GroundTruth::image_size`], where a mask needs it.
    pub(super) fn mask_size(&self, image_id: u64) -> Result<[u32; 2], EntryProblem> {
        match self.image_size(image_id) {
            None => Err(EntryProblem::UnknownImage(image_id)),
            Some([0, _] | [_, 0]) => Err(EntryProblem::NoImageSize),
            Some(size) => Ok(size),
        }
    }

    /// Fails where an annotation has nothing to compare by `iou`.
    pub(super) fn supports(&self, iou: IouType) -> Result<(), EvalError> {
        let flaw = match iou {
            IouType::Bbox => &self.no_box,
            IouType::Segm => &self.no_mask,
        };
        match flaw {
            None => Ok(()),
            Some(flaw) => Err(EvalError::GroundTruth {
                path: self.path.clone(),
                list: "annotations",
                index: flaw.index,
                id: Some(flaw.id),
                problem: flaw.problem.clone(),
            }),
        }
    }

    pub(super) fn coco(&self) -> &Arc<COCO> {
        &self.coco
    }
}

/// A failure to parse as an error with line and column. Wrong types are told from broken JSON.
pub(super) fn parse_error(error: &serde_json::Error, text: &[u8], path: &Path) -> EvalError {
    let (line, column) = (error.line(), error.column());
    let full = error.to_string();
    let mut message = full.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&full).to_owned();
    if error.is_data() {
        return EvalError::Shape {
            path: path.to_owned(),
            message: format!(
                "line {line}, column {column}: {message}; compare with the COCO format, cocodataset.org/#format-data"
            ),
        };
    }
    if matches!(non_finite::quote(text), std::borrow::Cow::Owned(_)) {
        message.push_str(" (the file holds NaN, Infinity or a number too large, which JSON does not have)");
    }
    EvalError::Json { path: path.to_owned(), line, column, message }
}

struct Ids {
    sizes: HashMap<u64, [u32; 2]>,
    categories: HashSet<u64>,
}

/// Every id once, and every annotation of a known image and category.
fn check_ids(dataset: &Dataset, path: &Path) -> Result<Ids, EvalError> {
    let wrong = |list, index, id, problem: &str| EvalError::GroundTruth {
        path: path.to_owned(),
        list,
        index,
        id: Some(id),
        problem: problem.to_owned(),
    };
    const TWICE: &str = "this id was given before; make ids unique";

    let mut sizes = HashMap::with_capacity(dataset.images.len());
    for (index, image) in dataset.images.iter().enumerate() {
        if sizes.insert(image.id, [image.height, image.width]).is_some() {
            return Err(wrong("images", index, image.id, TWICE));
        }
    }
    let mut categories = HashSet::with_capacity(dataset.categories.len());
    for (index, category) in dataset.categories.iter().enumerate() {
        if !categories.insert(category.id) {
            return Err(wrong("categories", index, category.id, TWICE));
        }
    }
    let mut annotations = HashSet::with_capacity(dataset.annotations.len());
    for (index, annotation) in dataset.annotations.iter().enumerate() {
        let wrong = |problem: &str| wrong("annotations", index, annotation.id, problem);
        if !annotations.insert(annotation.id) {
            return Err(wrong("this id is missing or was given before; make ids unique"));
        }
        if !sizes.contains_key(&annotation.image_id) {
            return Err(wrong(&format!(
                "its image {} is not in `images`; add the image or drop the annotation",
                annotation.image_id
            )));
        }
        if !categories.contains(&annotation.category_id) {
            return Err(wrong(&format!(
                "its category {} is not in `categories`; declare it or drop the annotation",
                annotation.category_id
            )));
        }
    }
    Ok(Ids { sizes, categories })
}

fn box_flaw(annotation: &Annotation, _: &HashMap<u64, [u32; 2]>) -> Option<String> {
    match annotation.bbox {
        None => Some("it has no `bbox`; add one, or evaluate masks with --iou-type segm".to_owned()),
        Some([_, _, width, height]) if width < 0.0 || height < 0.0 => {
            Some(format!("its `bbox` is {width} wide and {height} high; write [x, y, width, height]"))
        }
        Some(_) => None,
    }
}

fn mask_flaw(annotation: &Annotation, sizes: &HashMap<u64, [u32; 2]>) -> Option<String> {
    let image_size = sizes.get(&annotation.image_id).copied().unwrap_or([0, 0]);
    let [height, width] = image_size;
    if height == 0 || width == 0 {
        return Some(format!(
            "its image {} has no `height` and `width`, which masks need; add both",
            annotation.image_id
        ));
    }
    let rle = |size: [u32; 2], problem: Result<(), String>| {
        if size != image_size {
            return Some(format!(
                "its mask is {} x {} (height x width) but its image {height} x {width}; encode the mask at the image's size",
                size[0], size[1]
            ));
        }
        Some(format!("its mask is broken: {}; encode it again", problem.err()?))
    };
    match annotation.segmentation.as_ref() {
        None => Some("it has no `segmentation`; add one, or evaluate boxes with --iou-type bbox".to_owned()),
        Some(Segmentation::CompressedRle { size, counts }) => {
            let runs = hotcoco::mask::rle_from_string(counts, size[0], size[1]);
            rle(
                *size,
                runs.map_err(|error| error.to_string())
                    .and_then(|runs| check_cover(&runs.counts, size[0], size[1]).map_err(|e| e.to_string())),
            )
        }
        Some(Segmentation::UncompressedRle { size, counts }) => {
            rle(*size, check_cover(counts, size[0], size[1]).map_err(|error| error.to_string()))
        }
        Some(other) => {
            let polygons = other.polygons().unwrap_or_default();
            if polygons.is_empty() {
                return Some("its `segmentation` is an empty list; give its mask or drop the annotation".to_owned());
            }
            let short = polygons.iter().find(|polygon| !is_polygon(polygon.len()))?;
            Some(format!(
                "a polygon of its `segmentation` has {} numbers; it needs x, y of at least three points",
                short.len()
            ))
        }
    }
}

/// Whether so many numbers are x, y of at least three points. The COCO API reads four as a box.
pub(super) fn is_polygon(numbers: usize) -> bool {
    numbers >= 6 && numbers.is_multiple_of(2)
}
