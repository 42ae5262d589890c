//! Evaluation: predictions of the whole validation split, and what they are worth. Draws nothing, so the result does
//! not depend on the batch size beyond rounding.

use std::collections::HashSet;
use std::sync::Arc;

use adamv_datasets::{DetectionBatch, DetectionDataset, Loader};
use adamv_metrics::{
    ClassPrediction, CocoEvaluator, Detection, GroundTruth, Hotcoco, IouType, Matches, accuracy, paste_mask,
};
use adamv_models::detection::Limits;
use adamv_models::detection::results::Detection as Found;
use adamv_models::systems::System;
use adamv_models::vit::{Intermediates, Mode};
use adamv_native::autocast_bf16;
use adamv_store::{
    ClassificationMetrics, ClassificationPrediction, CocoStats, DetectionMatches, DetectionMetrics, MatchedDetection,
    Metrics, ObjectCount, Probes,
};
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::batch;
use crate::config::{EvaluationConfig, Precision};
use crate::data::CellData;
use crate::error::EngineError;
use crate::probes::Look;
use crate::progress::Progress;

/// Runs a trained system over images.
pub struct Evaluator<'a> {
    pub system: &'a dyn System,
    pub config: &'a EvaluationConfig,
    pub precision: Precision,
    pub prefetch: usize,
    pub device: Device,
}

/// What evaluation of a cell gives.
pub struct Evaluated {
    pub metrics: Metrics,
    pub classes: Vec<ClassificationPrediction>,
    pub detections: Vec<Detection>,
    pub matches: DetectionMatches,
    /// None where nothing looked.
    pub probes: Option<Probes>,
}

/// Class and probability of the best classes of an image, best first.
pub type BestClasses = Vec<(u32, f32)>;

/// Side of a predicted mask.
const MASK: usize = adamv_models::detection::mask_head::MASK as usize;

impl Evaluator<'_> {
    /// Evaluates both tasks; `look` sees what is run.
    pub fn run(
        &self,
        data: &CellData,
        mut look: Option<Look>,
        progress: &mut dyn Progress,
    ) -> Result<Evaluated, EngineError> {
        let classes = self.classify(data, &mut look, progress)?;
        let top = accuracy(&classes)?;
        let val = &data.detection.val;
        let (detections, seen) = self.detect(val, &mut look, progress)?;
        let truth = GroundTruth::from_json(&val.ground_truth_json()?, val.annotations_path())?.only(&seen);
        let boxes = Hotcoco.diagnose(&truth, &detections, IouType::Bbox)?;
        let masks = Hotcoco.diagnose(&truth, &detections, IouType::Segm)?;
        let classification = ClassificationMetrics { top1: top.top1, top5: top.top5, images: top.images as u64 };
        let images = truth.image_ids().len() as u64;
        let detection = DetectionMetrics { images, bbox: stats(&boxes.stats), segm: stats(&masks.stats) };
        let metrics = Metrics { classification: Some(classification), detection: Some(detection) };
        let probes = look.map(|look| look.finish(&boxes, &masks, &detections)).transpose()?;
        let classes = classes
            .into_iter()
            .map(|p| ClassificationPrediction {
                image: p.image,
                label: p.label,
                best: p.classes.into_iter().zip(p.scores).collect(),
            })
            .collect();
        Ok(Evaluated { metrics, classes, detections, matches: together(boxes.matches, &masks.matches)?, probes })
    }

    /// The five best classes of every validation image.
    fn classify(
        &self,
        data: &CellData,
        look: &mut Option<Look>,
        progress: &mut dyn Progress,
    ) -> Result<Vec<ClassPrediction>, EngineError> {
        let val = &data.classification.val;
        progress.phase("evaluate classification", 0, val.len() as u64);
        let mut predictions = Vec::with_capacity(val.len());
        for batch in Loader::eval(Arc::clone(val), self.config.batch.classification, self.prefetch) {
            let mut batch = batch?;
            let kept = look.as_ref().map(|look| look.of_classification(&batch)).transpose()?;
            let (images, labels) = batch::classification(&mut batch, self.device)?;
            let (best, out) = self.best_classes(&images)?;
            if let Some((look, kept)) = look.as_mut().zip(kept) {
                look.classified(&labels, kept, &out)?;
            }
            for (best, &index) in best.into_iter().zip(&batch.indices) {
                let (classes, scores) = best.into_iter().unzip();
                let image = val.image_name(index).to_owned();
                predictions.push(ClassPrediction { image, label: val.label(index) as u32, classes, scores });
            }
            progress.step(predictions.len() as u64, "");
        }
        Ok(predictions)
    }

    /// The (up to) five best classes of each image `[B,3,Y,X]`, and what was computed on the way.
    pub fn best_classes(&self, images: &Tensor) -> Result<(Vec<BestClasses>, Intermediates), EngineError> {
        let (logits, out) = self.autocast(|| tch::no_grad(|| self.system.classify(images, Mode::Evaluate)))?;
        let probabilities = logits.softmax(-1, Kind::Float);
        let count = probabilities.size()[1].min(5);
        let (scores, classes) = probabilities.topk(count, 1, true, true);
        let scores = Vec::<f32>::try_from(scores.to_device(Device::Cpu).contiguous().view([-1]))?;
        let classes = Vec::<i64>::try_from(classes.to_device(Device::Cpu).contiguous().view([-1]))?;
        let pairs: Vec<(u32, f32)> = classes.into_iter().map(|c| c as u32).zip(scores).collect();
        Ok((pairs.chunks(count as usize).map(<[_]>::to_vec).collect(), out))
    }

    /// Detections of every image, in the images' own pixels, as COCO results; and which images were seen: with
    /// `on_bad_sample: skip` a broken one is not.
    fn detect(
        &self,
        val: &Arc<DetectionDataset>,
        look: &mut Option<Look>,
        progress: &mut dyn Progress,
    ) -> Result<(Vec<Detection>, HashSet<u64>), EngineError> {
        progress.phase("evaluate detection", 0, val.len() as u64);
        let (mut detections, mut seen) = (Vec::new(), HashSet::new());
        for batch in Loader::eval(Arc::clone(val), self.config.batch.detection, self.prefetch) {
            let mut batch = batch?;
            let kept = look.as_ref().map(|look| look.of_detection(&batch)).transpose()?;
            let (found, out) = self.detect_batch(&mut batch, val.category_ids())?;
            detections.extend(found);
            if let Some((look, kept)) = look.as_mut().zip(kept) {
                look.detected(&batch, kept, &out)?;
            }
            seen.extend(&batch.image_ids);
            progress.step(seen.len() as u64, "");
        }
        Ok((detections, seen))
    }

    /// Detections of a batch, in the images' own pixels, as COCO results, and what was computed on the way. Takes the pixels out
    /// of it.
    pub fn detect_batch(
        &self,
        batch: &mut DetectionBatch,
        categories: &[u64],
    ) -> Result<(Vec<Detection>, Intermediates), EngineError> {
        let images = batch::images(std::mem::take(&mut batch.images), batch.image_size, self.device)?;
        let limits = Limits { score: self.config.score_threshold, nms: self.config.nms, count: self.config.detections };
        let (found, out) = self.autocast(|| {
            tch::no_grad(|| {
                let (map, out) = self.system.feature_map(&images, Mode::Evaluate);
                (self.system.detector().detect(&map, &limits), out)
            })
        })?;
        let flat: Vec<_> = found.iter().enumerate().flat_map(|(i, image)| image.iter().map(move |d| (i, d))).collect();
        let results: Result<Vec<Option<Detection>>, EngineError> = flat
            .into_par_iter()
            .map(|(i, d)| to_image(d, batch.scales[i], batch.sizes[i], batch.image_ids[i], categories[d.label]))
            .collect();
        Ok((results?.into_iter().flatten().collect(), out))
    }

    fn autocast<T>(&self, f: impl FnOnce() -> T) -> Result<T, EngineError> {
        Ok(autocast_bf16(self.device, self.precision == Precision::Bf16, f)?)
    }
}

/// A detection in the image's own pixels: the canvas divided by `scale`, cut at the image's borders; size [Y, X]. `None`
/// for one that lies in the padding alone.
fn to_image(
    detection: &Found,
    scale: f32,
    [height, width]: [u32; 2],
    image_id: u64,
    category_id: u64,
) -> Result<Option<Detection>, EngineError> {
    let inside = |v: f32, most: u32| (v / scale).clamp(0.0, most as f32);
    let [x1, y1, x2, y2] = detection.bbox;
    let (x1, y1, x2, y2) = (inside(x1, width), inside(y1, height), inside(x2, width), inside(y2, height));
    if x2 <= x1 || y2 <= y1 {
        return Ok(None);
    }
    let mask = paste_mask(&detection.mask, MASK, [x1, y1, x2, y2], height, width)?;
    Ok(Some(Detection {
        image_id,
        category_id,
        bbox: Some([x1, y1, x2 - x1, y2 - y1].map(f64::from)),
        score: f64::from(detection.score),
        segmentation: Some(mask),
    }))
}

/// As records have it.
fn stats(stats: &adamv_metrics::CocoStats) -> CocoStats {
    let [ap, ap50, ap75, aps, apm, apl, ar1, ar10, ar100, ars, arm, arl] = stats.values();
    CocoStats {
        AP: ap,
        AP50: ap50,
        AP75: ap75,
        APs: aps,
        APm: apm,
        APl: apl,
        AR1: ar1,
        AR10: ar10,
        AR100: ar100,
        ARs: ars,
        ARm: arm,
        ARl: arl,
    }
}

/// Both kinds of matches of the same detections, row by row.
fn together(boxes: Matches, masks: &Matches) -> Result<DetectionMatches, EngineError> {
    let same = boxes.detections.len() == masks.detections.len()
        && boxes.detections.iter().zip(&masks.detections).all(|(a, b)| {
            (a.image_id, a.category_id, a.score.to_bits()) == (b.image_id, b.category_id, b.score.to_bits())
        });
    if !same {
        return Err(EngineError::Internal("boxes and masks of the same detections were ranked differently".into()));
    }
    let detections = boxes
        .detections
        .iter()
        .zip(&masks.detections)
        .map(|(a, b)| MatchedDetection {
            image: a.image_id,
            category: a.category_id,
            score: a.score as f32,
            bbox_matched: a.matched,
            segm_matched: b.matched,
            bbox_ignored: a.ignored,
            segm_ignored: b.ignored,
        })
        .collect();
    let objects = boxes
        .objects
        .iter()
        .map(|o| ObjectCount { image: o.image_id, category: o.category_id, count: o.count })
        .collect();
    Ok(DetectionMatches { images: boxes.images, objects, detections })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A canvas of 64 px that shows an image of 200 x 100 px: scale 0.32, the lower half is padding.
    fn mapped(bbox: [f32; 4]) -> Option<Detection> {
        let found = Found { bbox, label: 2, score: 0.5, mask: vec![1.0; MASK * MASK] };
        to_image(&found, 0.32, [100, 200], 7, 30).unwrap()
    }

    #[test]
    fn boxes_and_masks_come_back_to_the_images_own_pixels() {
        let found = mapped([8.0, 16.0, 24.0, 24.0]).unwrap();
        assert_eq!((found.image_id, found.category_id), (7, 30));
        // By hand: 8 / 0.32 = 25, 16 / 0.32 = 50, 24 / 0.32 = 75.
        for (found, expected) in found.bbox.unwrap().iter().zip([25.0, 50.0, 50.0, 25.0]) {
            assert!((found - expected).abs() < 1e-4, "{found} instead of {expected}");
        }
        // The mask fills its box but for the border that the 1-px padding of torchvision's pasting blends away.
        let mask = found.segmentation.unwrap();
        assert_eq!(mask.size, [100, 200]);
        let area = mask.area().unwrap() as f64;
        assert!((area - 50.0 * 25.0).abs() <= 2.0 * (50.0 + 25.0), "{area} pixels");
    }

    #[test]
    fn what_reaches_over_the_image_is_cut_and_padding_is_dropped() {
        let found = mapped([-4.0, 24.0, 70.0, 60.0]).unwrap();
        for (found, expected) in found.bbox.unwrap().iter().zip([0.0, 75.0, 200.0, 25.0]) {
            assert!((found - expected).abs() < 1e-4, "{found} instead of {expected}");
        }
        assert!(mapped([4.0, 40.0, 20.0, 60.0]).is_none());
    }
}
