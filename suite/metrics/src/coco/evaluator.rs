//! The trait behind which COCO evaluation happens, and hotcoco as its one implementation. Sees
//! checked ground truth and detections; it may not touch files.

use hotcoco::{Annotation, COCOeval, Segmentation};

use crate::coco::check::validate;
use crate::coco::detection::{Detection, IouType};
use crate::coco::error::EvalError;
use crate::coco::ground_truth::GroundTruth;
use crate::coco::matches::{MatchedDetection, Matches, ObjectCount, THRESHOLDS};
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

    /// As [`CocoEvaluator::evaluate`], and what the matching found in each image. Costs another
    /// matching, so it isn't what `evaluate` is made from.
    ///
    /// # Errors
    /// Those of [`CocoEvaluator::evaluate`].
    fn evaluate_matches(
        &self,
        gt: &GroundTruth,
        detections: &[Detection],
        iou: IouType,
    ) -> Result<(CocoStats, Matches), EvalError>;

    /// As [`CocoEvaluator::evaluate_matches`], and where AP50 is lost. Costs a matching across
    /// categories.
    ///
    /// # Errors
    /// Those of [`CocoEvaluator::evaluate`].
    fn diagnose(&self, gt: &GroundTruth, detections: &[Detection], iou: IouType) -> Result<Diagnosis, EvalError>;
}

/// What an evaluation gives, and why it isn't better.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnosis {
    pub stats: CocoStats,
    pub matches: Matches,
    /// In the order of [`ERRORS`].
    pub errors: Vec<ErrorShare>,
}

/// What AP50 loses to one kind of error (TIDE: Bolya et al., ECCV 2020), with objects found at IoU 0.5
/// and background below 0.1.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorShare {
    /// One of [`ERRORS`].
    pub kind: &'static str,
    /// AP50 with every error of this kind mended, less AP50: 0 to 1.
    pub delta_ap50: f64,
    /// Detections; objects for `Miss`. None for the two sums, which have none of their own.
    pub count: Option<u64>,
}

/// TIDE's kinds of errors: another class, a poor box, both, found twice, nothing there, not found; then
/// all that is wrongly found, and all that isn't found.
pub const ERRORS: [&str; 8] = ["Cls", "Loc", "Both", "Dupe", "Bkg", "Miss", "FP", "FN"];

const FOUND_IOU: f64 = 0.5;
const BACKGROUND_IOU: f64 = 0.1;

/// hotcoco, equal to pycocotools bit for bit (`tests/coco_stats.rs`).
#[derive(Debug, Clone, Copy, Default)]
pub struct Hotcoco;

impl CocoEvaluator for Hotcoco {
    fn evaluate(&self, gt: &GroundTruth, detections: &[Detection], iou: IouType) -> Result<CocoStats, EvalError> {
        Ok(run(gt, detections, iou)?.0)
    }

    fn evaluate_matches(
        &self,
        gt: &GroundTruth,
        detections: &[Detection],
        iou: IouType,
    ) -> Result<(CocoStats, Matches), EvalError> {
        let (stats, eval) = run(gt, detections, iou)?;
        Ok((stats, matches(gt, &eval)?))
    }

    fn diagnose(&self, gt: &GroundTruth, detections: &[Detection], iou: IouType) -> Result<Diagnosis, EvalError> {
        let (stats, eval) = run(gt, detections, iou)?;
        let tide =
            eval.tide_errors(FOUND_IOU, BACKGROUND_IOU).map_err(|error| EvalError::Evaluator(error.to_string()))?;
        let share = |kind: &'static str| {
            let delta = tide.delta_ap.get(kind).copied();
            let delta_ap50 = delta.ok_or_else(|| EvalError::Evaluator(format!("hotcoco gave no error {kind}")))?;
            Ok(ErrorShare { kind, delta_ap50, count: tide.counts.get(kind).copied() })
        };
        let errors = ERRORS.into_iter().map(share).collect::<Result<_, EvalError>>()?;
        Ok(Diagnosis { stats, matches: matches(gt, &eval)?, errors })
    }
}

/// The numbers, and the evaluation they come from.
fn run(gt: &GroundTruth, detections: &[Detection], iou: IouType) -> Result<(CocoStats, COCOeval), EvalError> {
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

/// What the evaluation found in each image at area = all, in the order of [`Matches`].
fn matches(gt: &GroundTruth, eval: &COCOeval) -> Result<Matches, EvalError> {
    let (thresholds, areas) = (eval.params.iou_thrs.len(), eval.params.area_ranges.len());
    if thresholds != THRESHOLDS || areas == 0 {
        return Err(EvalError::Evaluator(format!(
            "hotcoco has {thresholds} IoU thresholds and {areas} ranges of area, not {THRESHOLDS} and at least one"
        )));
    }
    let everything = eval.params.all_area_range();
    let mut cells: Vec<_> = eval.eval_imgs().iter().flatten().filter(|cell| cell.area_rng == everything).collect();
    cells.sort_by_key(|cell| (cell.category_id, cell.image_id));

    let (mut objects, mut found) = (Vec::new(), Vec::new());
    for cell in cells {
        let (image_id, category_id) = (cell.image_id, cell.category_id);
        let count = cell.num_gt_in_denominator() as u32;
        if count > 0 {
            objects.push(ObjectCount { image_id, category_id, count });
        }
        for (at, &score) in cell.dt_scores.iter().enumerate() {
            let (mut matched, mut ignored) = (0, 0);
            for threshold in 0..THRESHOLDS {
                matched |= u16::from(cell.dt_matched[(threshold, at)]) << threshold;
                ignored |= u16::from(cell.dt_ignore[(threshold, at)]) << threshold;
            }
            found.push(MatchedDetection { image_id, category_id, score, matched, ignored });
        }
    }
    // Stable, as COCO's; scores were checked to be finite, and 0 equals -0 as it does there.
    found.sort_by(|one, other| {
        let by_score = other.score.partial_cmp(&one.score).unwrap_or(std::cmp::Ordering::Equal);
        one.category_id.cmp(&other.category_id).then(by_score)
    });
    Ok(Matches { images: gt.image_ids().to_vec(), objects, detections: found })
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
