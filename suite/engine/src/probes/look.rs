//! What is looked at while a cell is evaluated, from the batches that evaluation runs anyway.

use std::collections::BTreeSet;

use adamv_datasets::{BatchSource, ClassificationBatch, DetectionBatch, Task};
use adamv_metrics::{Detection, Diagnosis};
use adamv_models::systems::System;
use adamv_models::vit::Intermediates;
use adamv_store::{ClassName, DetectionError, Probes};
use tch::Tensor;

use super::config::spread;
use super::experts::ExpertProbe;
use super::gallery::{gallery, rank};
use super::picture::{Normalisation, Picture, picture};
use crate::config::CellConfig;
use crate::data::{CellData, ClassNames};
use crate::error::EngineError;

/// The probes of a cell's evaluation.
pub struct Look<'a> {
    data: &'a CellData,
    names: ClassNames,
    normalisation: [Normalisation; Task::ALL.len()],
    /// Images of each task, by index, whose routing is kept as a picture.
    kept: [BTreeSet<usize>; Task::ALL.len()],
    pictures: usize,
    experts: Option<ExpertProbe<'a>>,
}

/// Pictures of a batch that are kept: position in the batch, name, what the model saw.
pub type Kept = Vec<(usize, String, Picture)>;

impl<'a> Look<'a> {
    /// Of a cell of this configuration; none when its probes are off.
    pub fn new(config: &CellConfig, system: &'a dyn System, data: &'a CellData) -> Option<Self> {
        let probes = Some(&config.probes).filter(|probes| probes.enabled)?;
        let names = ClassNames::of(data);
        let classes = [
            (Task::Classification, (0..names.classification.len() as u64).collect()),
            (Task::Detection, names.detection.iter().map(|(number, _)| *number).collect()),
        ];
        let (c, d) = (&config.data.classification, &config.data.detection);
        let kept = |len: usize| spread(len, probes.pictures).into_iter().collect();
        Some(Self {
            data,
            names,
            normalisation: [Normalisation { mean: c.mean, std: c.std }, Normalisation { mean: d.mean, std: d.std }],
            kept: [kept(data.classification.val.len()), kept(data.detection.val.len())],
            pictures: probes.pictures,
            experts: system.experts().map(|experts| ExpertProbe::new(experts, classes.into())),
        })
    }

    /// The pictures to keep of a batch whose pixels are still there.
    pub fn of_classification(&self, batch: &ClassificationBatch) -> Result<Kept, EngineError> {
        let name = |index: usize| self.data.classification.val.sample_name(index);
        self.of_batch(Task::Classification, &batch.images, batch.image_size, &batch.indices, name)
    }

    /// The pictures to keep of a batch whose pixels are still there.
    pub fn of_detection(&self, batch: &DetectionBatch) -> Result<Kept, EngineError> {
        let name = |index: usize| self.data.detection.val.sample_name(index);
        self.of_batch(Task::Detection, &batch.images, batch.image_size, &batch.indices, name)
    }

    fn of_batch(
        &self,
        task: Task,
        canvases: &[f32],
        side: usize,
        indices: &[usize],
        name: impl Fn(usize) -> String,
    ) -> Result<Kept, EngineError> {
        if self.experts.is_none() {
            return Ok(Vec::new());
        }
        let mut pictures = Vec::new();
        for (b, (canvas, &index)) in canvases.chunks(3 * side * side).zip(indices).enumerate() {
            if self.kept[task as usize].contains(&index) {
                let picture = picture(canvas, side, [side, side], self.normalisation[task as usize])?;
                pictures.push((b, name(index), picture));
            }
        }
        Ok(pictures)
    }

    /// A batch of classification that was run; `labels` `[B]` int64.
    pub fn classified(&mut self, labels: &Tensor, kept: Kept, out: &Intermediates) -> Result<(), EngineError> {
        let Some(experts) = &mut self.experts else { return Ok(()) };
        experts.classified(labels, out);
        keep(experts, Task::Classification, kept, out)
    }

    /// A batch of detection that was run.
    pub fn detected(&mut self, batch: &DetectionBatch, kept: Kept, out: &Intermediates) -> Result<(), EngineError> {
        let Some(experts) = &mut self.experts else { return Ok(()) };
        experts.detected(batch, out);
        keep(experts, Task::Detection, kept, out)
    }

    /// Everything that was seen; `boxes` and `masks` is what became of the `detections`.
    pub fn finish(self, boxes: &Diagnosis, masks: &Diagnosis, detections: &[Detection]) -> Result<Probes, EngineError> {
        let ranked = rank(&boxes.matches, &masks.matches, self.pictures);
        let normalisation = self.normalisation[Task::Detection as usize];
        let gallery = gallery(&ranked, &self.data.detection.val, detections, normalisation)?;
        let seen = self.experts.map(ExpertProbe::finish).transpose()?.unwrap_or_default();
        let errors = |iou_type: &str, diagnosis: &Diagnosis| {
            let error = |share: &adamv_metrics::ErrorShare| DetectionError {
                iou_type: iou_type.to_owned(),
                kind: share.kind.to_owned(),
                delta_ap50: share.delta_ap50,
                count: share.count,
            };
            diagnosis.errors.iter().map(error).collect::<Vec<_>>()
        };
        let class = |task: Task, number: u64, name: String| ClassName { task: task.to_string(), number, name };
        let classified = self.names.classification.into_iter().zip(0..);
        let classified = classified.map(|(name, number)| class(Task::Classification, number, name));
        let detected = self.names.detection.into_iter().map(|(number, name)| class(Task::Detection, number, name));
        Ok(Probes {
            classes: classified.chain(detected).collect(),
            expert_use: seen.uses,
            similarities: seen.similarities,
            routed_images: seen.routed,
            gallery,
            errors: [errors("bbox", boxes), errors("segm", masks)].concat(),
            ..Probes::default()
        })
    }
}

fn keep(experts: &mut ExpertProbe, task: Task, kept: Kept, out: &Intermediates) -> Result<(), EngineError> {
    for (b, name, picture) in kept {
        experts.keep(task, &name, picture, b, out)?;
    }
    Ok(())
}
