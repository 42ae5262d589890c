//! Evaluation: predictions of the whole validation split, and what they are worth. Draws nothing, so the result does
//! not depend on the batch size beyond rounding.

use std::path::Path;
use std::sync::Arc;

use adamv_datasets::{DetectionBatch, DetectionDataset, Loader};
use adamv_metrics::{ClassPrediction, CocoEvaluator, Detection, GroundTruth, Hotcoco, IouType, accuracy, paste_mask};
use adamv_models::detection::Limits;
use adamv_models::systems::System;
use adamv_models::vit::Mode;
use adamv_native::autocast_bf16;
use adamv_store::{ClassificationMetrics, ClassificationPrediction, CocoStats, DetectionMetrics, Metrics};
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::batch;
use crate::config::{EvaluationConfig, Precision};
use crate::data::CellData;
use crate::error::EngineError;
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
}

/// Side of a predicted mask.
const MASK: usize = adamv_models::detection::mask_head::MASK as usize;

impl Evaluator<'_> {
    /// Evaluates both tasks.
    pub fn run(&self, data: &CellData, progress: &mut dyn Progress) -> Result<Evaluated, EngineError> {
        let classes = self.classify(data, progress)?;
        let top = accuracy(&classes)?;
        let detections = self.detect(&data.detection.val, progress)?;
        let detection = score(data.detection.val.annotations_path(), &detections)?;
        let classification = ClassificationMetrics { top1: top.top1, top5: top.top5, images: top.images as u64 };
        let metrics = Metrics { classification: Some(classification), detection: Some(detection) };
        let classes = classes
            .into_iter()
            .map(|p| ClassificationPrediction {
                image: p.image,
                label: p.label,
                best: p.classes.into_iter().zip(p.scores).collect(),
            })
            .collect();
        Ok(Evaluated { metrics, classes, detections })
    }

    /// The five best classes of every validation image.
    fn classify(&self, data: &CellData, progress: &mut dyn Progress) -> Result<Vec<ClassPrediction>, EngineError> {
        let val = &data.classification.val;
        progress.phase("evaluate classification", 0, val.len() as u64);
        let mut predictions = Vec::with_capacity(val.len());
        for batch in Loader::eval(Arc::clone(val), self.config.batch.classification, self.prefetch) {
            let batch = batch?;
            let (images, _) = batch::classification(&batch, self.device)?;
            for (best, &index) in self.best_classes(&images)?.into_iter().zip(&batch.indices) {
                let (classes, scores) = best.into_iter().unzip();
                let image = val.image_name(index).to_owned();
                predictions.push(ClassPrediction { image, label: val.label(index) as u32, classes, scores });
            }
            progress.step(predictions.len() as u64, "");
        }
        Ok(predictions)
    }

    /// Class and probability of the (up to) five best classes of each image [B,3,Y,X], best first.
    pub fn best_classes(&self, images: &Tensor) -> Result<Vec<Vec<(u32, f32)>>, EngineError> {
        let logits = self.autocast(|| tch::no_grad(|| self.system.classify(images, Mode::Evaluate).0))?;
        let probabilities = logits.softmax(-1, Kind::Float);
        let count = probabilities.size()[1].min(5);
        let (scores, classes) = probabilities.topk(count, 1, true, true);
        let scores = Vec::<f32>::try_from(scores.to_device(Device::Cpu).contiguous().view([-1]))?;
        let classes = Vec::<i64>::try_from(classes.to_device(Device::Cpu).contiguous().view([-1]))?;
        let pairs: Vec<(u32, f32)> = classes.into_iter().map(|c| c as u32).zip(scores).collect();
        Ok(pairs.chunks(count as usize).map(<[_]>::to_vec).collect())
    }

    /// Detections of every image, in the images' own pixels, as COCO results.
    fn detect(&self, val: &Arc<DetectionDataset>, progress: &mut dyn Progress) -> Result<Vec<Detection>, EngineError> {
        progress.phase("evaluate detection", 0, val.len() as u64);
        let (mut detections, mut done) = (Vec::new(), 0);
        for batch in Loader::eval(Arc::clone(val), self.config.batch.detection, self.prefetch) {
            let batch = batch?;
            detections.extend(self.detect_batch(&batch, val.category_ids())?);
            done += batch.indices.len() as u64;
            progress.step(done, "");
        }
        Ok(detections)
    }

    /// Detections of a batch, in the images' own pixels, as COCO results.
    pub fn detect_batch(&self, batch: &DetectionBatch, categories: &[u64]) -> Result<Vec<Detection>, EngineError> {
        let images = batch::images(&batch.images, batch.image_size, self.device)?;
        let limits = Limits { score: self.config.score_threshold, nms: self.config.nms, count: self.config.detections };
        let found = self.autocast(|| {
            tch::no_grad(|| {
                let (map, _) = self.system.feature_map(&images, Mode::Evaluate);
                self.system.detector().detect(&map, &limits)
            })
        })?;
        let flat: Vec<_> = found.iter().enumerate().flat_map(|(i, image)| image.iter().map(move |d| (i, d))).collect();
        let results: Result<Vec<Option<Detection>>, EngineError> = flat
            .into_par_iter()
            .map(|(i, d)| {
                let [height, width] = batch.sizes[i];
                let inside = |v: f32, most: u32| (v / batch.scales[i]).clamp(0.0, most as f32);
                let [x1, y1, x2, y2] = d.bbox;
                let (x1, y1, x2, y2) = (inside(x1, width), inside(y1, height), inside(x2, width), inside(y2, height));
                if x2 <= x1 || y2 <= y1 {
                    return Ok(None); // it lay in the padding
                }
                let mask = paste_mask(&d.mask, MASK, [x1, y1, x2, y2], height, width)?;
                Ok(Some(Detection {
                    image_id: batch.image_ids[i],
                    category_id: categories[d.label],
                    bbox: Some([x1, y1, x2 - x1, y2 - y1].map(f64::from)),
                    score: f64::from(d.score),
                    segmentation: Some(mask),
                }))
            })
            .collect();
        Ok(results?.into_iter().flatten().collect())
    }

    fn autocast<T>(&self, f: impl FnOnce() -> T) -> Result<T, EngineError> {
        Ok(autocast_bf16(self.device, self.precision == Precision::Bf16, f)?)
    }
}

/// AP of boxes and masks against the annotations of a validation split.
fn score(annotations: &Path, detections: &[Detection]) -> Result<DetectionMetrics, EngineError> {
    let truth = GroundTruth::read(annotations)?;
    let stats = |kind| -> Result<CocoStats, EngineError> {
        let [ap, ap50, ap75, aps, apm, apl, ar1, ar10, ar100, ars, arm, arl] =
            Hotcoco.evaluate(&truth, detections, kind)?.values();
        Ok(CocoStats {
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
        })
    };
    let images = truth.image_ids().len() as u64;
    Ok(DetectionMetrics { images, bbox: stats(IouType::Bbox)?, segm: stats(IouType::Segm)? })
}
