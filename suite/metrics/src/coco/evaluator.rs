//! The trait behind which COCO evaluation happens, and hotcoco as its one implementation. Sees
//! checked ground truth and detections; it may not touch files.

use hotcoco::{Annotation, COCOeval, Segmentation};

use crate::coco::check::validate;
use crate::coco::detection::{Detection, IouType};
use crate::coco::error::EvalError;
use crate::coco::ground_truth::GroundTruth;
use crate::coco::matches::Matches;
use crate::coco::stats::CocoStats;

/// Computes the COCO API's twelve numbers.
pub trait CocoEvaluator {
    /// Evaluates `detections` on every image of `gt`. Detections are checked first
    /// ([`validate`]); none at all gives the zeros (and -1 where nothing is there to find) that
    /// pycocotools gives.
    ///
    /// # Errors
    /// Those of [`validate`]; [`EvalError::Evaluator`] where the implementation fails.
    fn evaluate(&self, gt: &GroundTruth, detections: &[Detection], iou: IouType) -> Result<CocoStats, EvalError>;

    /// As [`CocoEvaluator::evaluate`], and what was matched in each image.
    ///
    /// # Errors
    /// As [`CocoEvaluator::evaluate`].
    fn evaluate_matches(
        &self,
        gt: &GroundTruth,
        detections: &[Detection],
        iou: IouType,
    ) -> Result<(CocoStats, Matches), EvalError>;
}

/// hotcoco, equal to pycocotools bit for bit (`tests/coco_stats.rs`).
#[derive(Debug, Clone, Copy, Default)]
pub struct Hotcoco;

impl CocoEvaluator for Hotcoco {
    fn evaluate(&self, gt: &GroundTruth, detections: &[Detection], iou: IouType) -> Result<CocoStats, EvalError> {
        Ok(evaluated(gt, detections, iou)?.0)
    }

    fn evaluate_matches(
        &self,
        gt: &GroundTruth,
        detections: &[Detection],
        iou: IouType,
    ) -> Result<(CocoStats, Matches), EvalError> {
        let (stats, eval) = evaluated(gt, detections, iou)?;
        Ok((stats, Matches::of(&eval, gt.image_ids())))
    }
}

/// Runs hotcoco on checked detections.
fn evaluated(gt: &GroundTruth, detections: &[Detection], iou: IouType) -> Result<(CocoStats, COCOeval), EvalError> {
    validate(detections, gt, iou)?;
    let failed = |error: hotcoco::Error| EvalError::Evaluator(error.to_string());

    let annotations = detections.iter().map(annotation).collect();
    let results = gt.coco().load_res_anns(annotations).map_err(failed)?;
    let kind = match iou {
        IouType::Bbox => hotcoco::IouType::Bbox,
        IouType::Segm => hotcoco::IouType::Segm,
    };
    let mut eval = COCOeval::new(gt.coco().clone(), results, kind);
    eval.params.img_ids = gt.image_ids().to_vec();
    eval.evaluate().map_err(failed)?;
    eval.accumulate();
    // Computes the numbers; `summarize` would print them as well.
    eval.summarize_lines();

    let stats = eval.stats().unwrap_or_default();
    let values = stats
        .try_into()
        .map_err(|_| EvalError::Evaluator(format!("hotcoco gave {} numbers, not twelve", stats.len())))?;
    Ok((CocoStats::from_values(values), eval))
}

fn annotation(detection: &Detection) -> Annotation {
    Annotation {
        image_id: detection.image_id,
        category_id: detection.category_id,
        bbox: detection.bbox,
        score: Some(detection.score),
        segmentation: detection
            .segmentation
            .as_ref()
            .map(|mask| Segmentation::CompressedRle { size: mask.size, counts: mask.counts.clone() }),
        ..Annotation::default()
    }
}
