//! The checks every detection passes before it is evaluated, whether it was read from a file or
//! made in memory. Sees detections and the ground truth; it may not touch files or JSON.

use rayon::prelude::*;

use crate::coco::detection::{Detection, IouType};
use crate::coco::error::{EntryProblem, EvalError};
use crate::coco::ground_truth::GroundTruth;
use crate::mask::RleString;

/// Checks detections in memory against the ground truth they will be evaluated on.
///
/// An empty list is fine: a model that has learnt nothing detects nothing.
///
/// # Errors
/// [`EvalError::Entry`] for the first detection with an unknown image or category, a score or box
/// that is not finite, a negative box, a mask that does not decode or has another size than its
/// image, or nothing to evaluate as `iou`; [`EvalError::GroundTruth`] where the ground truth lacks
/// boxes or masks that `iou` needs.
pub fn validate(detections: &[Detection], gt: &GroundTruth, iou: IouType) -> Result<(), EvalError> {
    check_all(detections, gt, iou, "detections")
}

/// [`validate`], with errors that name `place`.
pub(super) fn check_all(
    detections: &[Detection],
    gt: &GroundTruth,
    iou: IouType,
    place: &str,
) -> Result<(), EvalError> {
    gt.supports(iou)?;
    let boxed = detections.first().is_some_and(|first| first.bbox.is_some());
    let first_wrong = detections.par_iter().enumerate().find_map_first(|(index, detection)| {
        let problem = check(detection, gt, iou, boxed).err()?;
        Some((index, detection.image_id, problem))
    });
    match first_wrong {
        None => Ok(()),
        Some((index, image_id, problem)) => {
            Err(EvalError::Entry { place: place.to_owned(), index, image_id: Some(image_id), problem })
        }
    }
}

/// One detection; `boxed` says whether the first of its list has a box.
fn check(detection: &Detection, gt: &GroundTruth, iou: IouType, boxed: bool) -> Result<(), EntryProblem> {
    let image_id = detection.image_id;
    if gt.image_size(image_id).is_none() {
        return Err(EntryProblem::UnknownImage(image_id));
    }
    if !gt.has_category(detection.category_id) {
        return Err(EntryProblem::UnknownCategory(detection.category_id));
    }
    if !detection.score.is_finite() {
        return Err(EntryProblem::Score(detection.score.to_string()));
    }
    if let Some(bbox) = detection.bbox {
        check_box(bbox)?;
    } else if boxed {
        return Err(EntryProblem::MixedBoxes);
    }
    match &detection.segmentation {
        Some(mask) => check_mask(mask, image_id, gt)?,
        None if iou == IouType::Segm => {
            return Err(EntryProblem::Nothing { iou, mend: "use --iou-type bbox, or write masks" });
        }
        None if detection.bbox.is_none() => {
            return Err(EntryProblem::Nothing { iou, mend: "write a box for every detection" });
        }
        None => {}
    }
    Ok(())
}

fn check_box(bbox: [f64; 4]) -> Result<(), EntryProblem> {
    if let Some(at) = bbox.iter().position(|number| !number.is_finite()) {
        return Err(EntryProblem::BoxNumber { at, found: bbox[at].to_string() });
    }
    let [_, _, width, height] = bbox;
    if width < 0.0 || height < 0.0 {
        return Err(EntryProblem::BoxSize { width, height });
    }
    Ok(())
}

fn check_mask(mask: &RleString, image_id: u64, gt: &GroundTruth) -> Result<(), EntryProblem> {
    let [image_height, image_width] = gt.mask_size(image_id)?;
    let [height, width] = mask.size;
    if [height, width] != [image_height, image_width] {
        return Err(EntryProblem::MaskSize { height, width, image_id, image_height, image_width });
    }
    mask.runs()?;
    Ok(())
}
