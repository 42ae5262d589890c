//! The data of a cell: opened once, shared by training and evaluation.

use std::path::Path;
use std::sync::Arc;

use adamv_datasets::{
    ClassificationDataset, CocoPaths, DataConfig, DetectionDataset, ImagenetPaths, Split, Task, scenes,
};
use adamv_models::config::{Classes, InputsConfig};
use adamv_store::{DataSummary, write_bytes_atomic};
use serde::{Deserialize, Serialize};

use crate::config::CellConfig;
use crate::error::EngineError;

/// Training and validation data of both tasks.
pub struct CellData {
    pub classification: Pair<ClassificationDataset>,
    pub detection: Pair<DetectionDataset>,
}

/// The two splits of a data set.
pub struct Pair<D> {
    pub train: Arc<D>,
    pub val: Arc<D>,
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
        open(&config.data, &config.model.inputs, &imagenet, &coco)
    }

    pub fn classes(&self) -> Classes {
        Classes {
            classification: self.classification.train.classes().len(),
            detection: self.detection.train.class_names().len(),
        }
    }

    /// What records say of the data.
    pub fn summaries(&self) -> Result<Vec<DataSummary>, EngineError> {
        let (c, d) = (&self.classification, &self.detection);
        let classes = self.classes();
        Ok(vec![
            DataSummary {
                task: Task::Classification.to_string(),
                fingerprint: joined(&c.train.fingerprint(), &c.val.fingerprint()),
                train_images: c.train.len() as u64,
                val_images: c.val.len() as u64,
                classes: classes.classification as u64,
                skipped_samples: (c.train.skipped() + c.val.skipped()) as u64,
            },
            DataSummary {
                task: Task::Detection.to_string(),
                fingerprint: joined(&d.train.fingerprint(), &d.val.fingerprint()),
                train_images: d.train.len() as u64,
                val_images: d.val.len() as u64,
                classes: classes.detection as u64,
                skipped_samples: (d.train.skipped() + d.val.skipped()) as u64,
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

/// Opens both data sets.
pub fn open(
    data: &DataConfig,
    inputs: &InputsConfig,
    imagenet: &ImagenetPaths,
    coco: &CocoPaths,
) -> Result<CellData, EngineError> {
    let classes = |split| {
        let side = inputs.classification.image_size as u32;
        ClassificationDataset::open(&imagenet.root, split, &data.classification, side)
    };
    let train = classes(Split::Train)?;
    let val = classes(Split::Val)?.with_classes(train.classes())?;
    let scenes = |images: &Path, annotations: &Path, split| {
        let side = inputs.detection.image_size as u32;
        DetectionDataset::open(images, annotations, split, &data.detection, side)
    };
    let train_scenes = scenes(&coco.train_images, &coco.train_annotations, Split::Train)?;
    let val_scenes = scenes(&coco.val_images, &coco.val_annotations, Split::Val)?.same_categories_as(&train_scenes)?;
    let detection = Pair {
        train: Arc::new(train_scenes.on_bad_sample(data.on_bad_sample)),
        val: Arc::new(val_scenes.on_bad_sample(data.on_bad_sample)),
    };
    let classification = Pair {
        train: Arc::new(train.on_bad_sample(data.on_bad_sample)),
        val: Arc::new(val.on_bad_sample(data.on_bad_sample)),
    };
    Ok(CellData { classification, detection })
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
