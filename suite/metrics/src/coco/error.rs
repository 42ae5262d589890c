//! What can be wrong with COCO input. Every message says what, where and the mend; it may not touch
//! the input itself.

use std::path::PathBuf;

use crate::coco::detection::IouType;
use crate::mask::MaskError;

/// Why an evaluation cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    #[error("{}: cannot be read: {source}; check the path and its permissions", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}: line {line}, column {column}: broken JSON: {message}; the file may be cut off, write it again", path.display())]
    Json { path: PathBuf, line: usize, column: usize, message: String },
    #[error("{}: {message}", path.display())]
    Shape { path: PathBuf, message: String },
    #[error(
        "{}: no detections: the list is empty, nothing was evaluated; check that the run that wrote it \
         has made predictions", path.display()
    )]
    NoDetections { path: PathBuf },
    #[error("{place}: entry {index}{}: {problem}", of_image(.image_id))]
    Entry {
        /// The file's path, or `detections` for a list in memory.
        place: String,
        /// The entry's place in the list, from 0.
        index: usize,
        /// The entry's image, where it names one.
        image_id: Option<u64>,
        problem: EntryProblem,
    },
    #[error("{}: {list}[{index}]{}: {problem}", path.display(), with_id(.id))]
    GroundTruth {
        path: PathBuf,
        /// `images`, `categories` or `annotations`.
        list: &'static str,
        index: usize,
        id: Option<u64>,
        problem: String,
    },
    #[error("the COCO evaluation failed: {0}")]
    Evaluator(String),
}

fn of_image(image_id: &Option<u64>) -> String {
    image_id.map_or_else(String::new, |id| format!(" (image {id})"))
}

fn with_id(id: &Option<u64>) -> String {
    id.map_or_else(String::new, |id| format!(" (id {id})"))
}

/// What is wrong with one detection.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EntryProblem {
    #[error(
        "this is {found}, not an object; each entry is {{\"image_id\", \"category_id\", \"bbox\" or \"segmentation\", \"score\"}}"
    )]
    NotAnObject { found: String },
    #[error("`{key}` is missing; add it to every entry")]
    Missing { key: &'static str },
    #[error("`{key}` is {found}; it must be {expected}")]
    Type { key: &'static str, found: String, expected: &'static str },
    #[error("unknown image id {0}: the ground truth has no such image; check that --gt and --dt are of the same split")]
    UnknownImage(u64),
    #[error(
        "unknown category id {0}: the ground truth declares no such category; write COCO's category ids, not class indices"
    )]
    UnknownCategory(u64),
    #[error("the score is {0}, which has no place in an order; write a finite number, or leave the detection out")]
    Score(String),
    #[error("`bbox` has {0} numbers; it must have four: x, y, width, height")]
    BoxLength(usize),
    #[error("`bbox` number {at} is {found}; all four must be finite numbers")]
    BoxNumber { at: usize, found: String },
    #[error(
        "`bbox` is {width} wide and {height} high, which is negative; write [x, y, width, height], not two corners"
    )]
    BoxSize { width: f64, height: f64 },
    #[error(
        "the mask is {height} x {width} (height x width) but image {image_id} is {image_height} x {image_width}; \
         paste masks into the whole image at its original size"
    )]
    MaskSize { height: u32, width: u32, image_id: u64, image_height: u32, image_width: u32 },
    #[error("undecodable mask: {0}; encode it again, for example with pycocotools.mask.encode")]
    Mask(#[from] MaskError),
    #[error("polygon {polygon} has {numbers} numbers; a polygon is x, y, x, y, ... of at least three points")]
    Polygon { polygon: usize, numbers: usize },
    #[error("the segmentation is an empty list of polygons; leave the detection out, or give its mask")]
    NoPolygons,
    #[error("the image's height or width is missing in the ground truth, so a mask cannot be checked; add both there")]
    NoImageSize,
    #[error("there is no `{}` to evaluate as {iou}; {mend}", needed(.iou))]
    Nothing { iou: IouType, mend: &'static str },
    #[error("there is no `bbox`, but the first entry has one; give every entry a box or none")]
    MixedBoxes,
}

fn needed(iou: &IouType) -> &'static str {
    match iou {
        IouType::Bbox => "bbox` or `segmentation",
        IouType::Segm => "segmentation",
    }
}
