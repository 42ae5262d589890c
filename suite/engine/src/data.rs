//! The data of a cell: opened once, shared by training and evaluation.

use std::path::Path;
use std::sync::Arc;

use adamv_datasets::{
    ClassificationDataset, CocoPaths, DataConfig, DetectionDataset, ImagenetPaths, Split, Task, scenes,
};
use adamv_models::config::Classes;
use adamv_store::{DataSummary, write_bytes_atomic};
use serde::{Deserialize, Serialize};

use crate::aes::stratified;
use crate::checkpoint::Skipped;
use crate::config::CellConfig;
use crate::error::EngineError;

/// Training and validation data of both tasks.
pub struct CellData {
    pub classification: Pair<ClassificationDataset>,
    pub detection: Pair<DetectionDataset>,
}

/// The two splits of a data set.
pub struct Pair<D> {
    /// What is trained on.
    pub train: Arc<D>,
    /// D_val of adaptive expert selection: training samples that are never trained on.
    pub held_out: Option<HeldOutData<D>>,
    pub val: Arc<D>,
    /// Of both splits, D_val included.
    fingerprint: String,
}

/// D_val, and the order in which evaluations read it.
pub struct HeldOutData<D> {
    pub data: Arc<D>,
    /// Indices of `data`, shuffled; stratified by class for classification.
    pub order: Vec<usize>,
}

impl CellData {
    /// Opens what the configuration names; scenes are made below `data_dir` when they aren't there yet.
    pub fn open(config: &CellConfig, data_dir: &Path) -> Result<Self, EngineError> {
        let (imagenet, coco) = match &config.data.scenes {
            Some(scenes) => {
                let made = scenes::make(data_dir, scenes)?;
                (made.imagenet, made.coco)
            }
            None => sources(&config.data)?,
        };
        open(config, &imagenet, &coco)
    }

    pub fn classes(&self) -> Classes {
        Classes {
            classification: self.classification.train.classes().len(),
            detection: self.detection.train.class_names().len(),
        }
    }

    /// Samples that could not be read so far, but for validation's, which are read after training.
    pub fn skipped(&self) -> Skipped {
        let (c, d) = (&self.classification, &self.detection);
        Skipped {
            classification: c.train.skipped_indices(),
            classification_held_out: c.held_out.as_ref().map(|held| held.data.skipped_indices()).unwrap_or_default(),
            detection: d.train.skipped_indices(),
            detection_held_out: d.held_out.as_ref().map(|held| held.data.skipped_indices()).unwrap_or_default(),
        }
    }

    /// Counts those of an earlier part of the run.
    pub fn restore_skipped(&self, skipped: &Skipped) {
        let (c, d) = (&self.classification, &self.detection);
        c.train.restore_skipped(&skipped.classification);
        d.train.restore_skipped(&skipped.detection);
        if let (Some(classes), Some(scenes)) = (&c.held_out, &d.held_out) {
            classes.data.restore_skipped(&skipped.classification_held_out);
            scenes.data.restore_skipped(&skipped.detection_held_out);
        }
    }

    /// What records say of the data.
    pub fn summaries(&self) -> Result<Vec<DataSummary>, EngineError> {
        let (c, d) = (&self.classification, &self.detection);
        let classes = self.classes();
        let held_out = |n: Option<usize>| n.unwrap_or(0);
        let (c_held, d_held) = (c.held_out.as_ref().map(|held| &held.data), d.held_out.as_ref().map(|held| &held.data));
        Ok(vec![
            DataSummary {
                task: Task::Classification.to_string(),
                fingerprint: c.fingerprint.clone(),
                train_images: (c.train.len() + held_out(c_held.map(|d| d.len()))) as u64,
                val_images: c.val.len() as u64,
                classes: classes.classification as u64,
                skipped_samples: (c.train.skipped() + c.val.skipped() + held_out(c_held.map(|d| d.skipped()))) as u64,
            },
            DataSummary {
                task: Task::Detection.to_string(),
                fingerprint: d.fingerprint.clone(),
                train_images: (d.train.len() + held_out(d_held.map(|d| d.len()))) as u64,
                val_images: d.val.len() as u64,
                classes: classes.detection as u64,
                skipped_samples: (d.train.skipped() + d.val.skipped() + held_out(d_held.map(|d| d.skipped()))) as u64,
            },
        ])
    }
}

/// The folders and files that a configuration without scenes names; both tasks need theirs.
pub fn sources(data: &DataConfig) -> Result<(ImagenetPaths, CocoPaths), EngineError> {
    let missing = |key: &str| EngineError::Config {
        key: key.into(),
        value: "nothing".into(),
        range: "where its data is (every system trains both tasks), or data.scenes for the built-in data".into(),
    };
    let imagenet = data.imagenet.clone().ok_or_else(|| missing("data.imagenet"))?;
    let coco = data.coco.clone().ok_or_else(|| missing("data.coco"))?;
    Ok((imagenet, coco))
}

/// Opens both data sets; where experts are selected adaptively, D_val is held out of their training splits.
pub fn open(config: &CellConfig, imagenet: &ImagenetPaths, coco: &CocoPaths) -> Result<CellData, EngineError> {
    let (data, inputs) = (&config.data, &config.model.inputs);
    let classes = |split| {
        let side = inputs.classification.image_size as u32;
        ClassificationDataset::open(&imagenet.root, split, &data.classification, side)
            .map(|opened| opened.on_bad_sample(data.on_bad_sample))
    };
    let train = classes(Split::Train)?;
    let val = classes(Split::Val)?.with_classes(train.classes())?;
    let scenes = |images: &Path, annotations: &Path, split| {
        let side = inputs.detection.image_size as u32;
        DetectionDataset::open(images, annotations, split, &data.detection, side)
            .map(|opened| opened.on_bad_sample(data.on_bad_sample))
    };
    let train_scenes = scenes(&coco.train_images, &coco.train_annotations, Split::Train)?;
    let val_scenes = scenes(&coco.val_images, &coco.val_annotations, Split::Val)?.same_categories_as(&train_scenes)?;

    let (val, val_scenes) = match config.evaluation.images {
        Some(images) => {
            let first = |count: usize| (0..count.min(images)).collect::<Vec<_>>();
            let (first_images, first_scenes) = (first(val.len()), first(val_scenes.len()));
            (val.split_off(&first_images).1, val_scenes.split_off(&first_scenes).1)
        }
        None => (val, val_scenes),
    };
    let (held_classes, held_scenes) =
        (held_out(config, Task::Classification, train.len())?, held_out(config, Task::Detection, train_scenes.len())?);
    let (classes, scenes) = (
        joined(&train.fingerprint(), &val.fingerprint()),
        joined(&train_scenes.fingerprint(), &val_scenes.fingerprint()),
    );
    let class_order = |data: &ClassificationDataset| {
        let labels: Vec<usize> = (0..data.len()).map(|index| data.label(index)).collect();
        stratified(&labels, config.seed)
    };
    // An image of several objects has no class of its own.
    let scene_order = |data: &DetectionDataset| stratified(&vec![0; data.len()], config.seed);
    Ok(CellData {
        classification: pair(classes, train, val, held_classes, ClassificationDataset::split_off, class_order),
        detection: pair(scenes, train_scenes, val_scenes, held_scenes, DetectionDataset::split_off, scene_order),
    })
}

/// Which of the training samples of a task are D_val; none without adaptive expert selection. An error when too few are
/// left to train on.
pub fn held_out(config: &CellConfig, task: Task, samples: usize) -> Result<Option<Vec<usize>>, EngineError> {
    let Some(aes) = config.training.aes.as_ref().filter(|aes| !aes.is_off()) else { return Ok(None) };
    let batch = config.training.joint.batch.of(task);
    Ok(Some(aes.hold_out(task, samples, batch, config.seed)?.validation))
}

/// The splits, with D_val (by index) parted from the training samples and read in `order`.
fn pair<D>(
    fingerprint: String,
    train: D,
    val: D,
    held_out: Option<Vec<usize>>,
    split_off: fn(D, &[usize]) -> (D, D),
    order: impl Fn(&D) -> Vec<usize>,
) -> Pair<D> {
    let (train, held_out) = match held_out {
        Some(indices) => {
            let (train, held_out) = split_off(train, &indices);
            let order = order(&held_out);
            (train, Some(HeldOutData { data: Arc::new(held_out), order }))
        }
        None => (train, None),
    };
    Pair { train: Arc::new(train), held_out, val: Arc::new(val), fingerprint }
}

/// One short fingerprint of both splits.
fn joined(train: &str, val: &str) -> String {
    adamv_store::cell_key(&serde_json::json!([train, val]))
}

/// The names of what a model tells apart, kept beside its weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassNames {
    /// By label.
    pub classification: Vec<String>,
    /// COCO category id and name, by label.
    pub detection: Vec<(u64, String)>,
}

impl ClassNames {
    pub fn of(data: &CellData) -> Self {
        let detection = &data.detection.train;
        let names = detection.class_names().iter().cloned();
        Self {
            classification: data.classification.train.classes().to_vec(),
            detection: detection.category_ids().iter().copied().zip(names).collect(),
        }
    }

    /// Writes `classes.json` in the folder of the weights.
    pub fn write(&self, folder: &Path) -> Result<(), EngineError> {
        let text = serde_json::to_vec_pretty(self).map_err(|e| Self::bad(folder, e.to_string()))?;
        Ok(write_bytes_atomic(&folder.join(Self::FILE), &text)?)
    }

    /// Reads it back.
    pub fn read(folder: &Path) -> Result<Self, EngineError> {
        let text = std::fs::read(folder.join(Self::FILE)).map_err(|e| Self::bad(folder, e.to_string()))?;
        serde_json::from_slice(&text).map_err(|e| Self::bad(folder, e.to_string()))
    }

    const FILE: &str = "classes.json";

    fn bad(folder: &Path, reason: String) -> EngineError {
        EngineError::File { path: folder.join(Self::FILE), reason, mend: "run the cell again" }
    }
}
