//! `predict`: what a finished cell says of a folder of images.

use std::path::{Path, PathBuf};

use adamv_datasets::augment::classification;
use adamv_datasets::augment::detection::Placement;
use adamv_datasets::image::{decode, png_bytes};
use adamv_datasets::{DataConfig, DetectionBatch, Task};
use adamv_metrics::Detection;
use adamv_models::config::{Classes, InputsConfig};
use adamv_models::systems;
use adamv_store::{CellDir, Status, TaskCost, read_record, write_bytes_atomic};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::json;
use tch::Device;

use crate::batch;
use crate::checkpoint::{self, Checkpoints};
use crate::config::CellConfig;
use crate::data::ClassNames;
use crate::drawing::Drawer;
use crate::error::{EngineError, guarded};
use crate::evaluate::Evaluator;
use crate::upgrade::upgrade;

/// What `predict` wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PredictSummary {
    pub images: usize,
    pub detections: usize,
}

/// How predictions are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DrawOptions {
    /// Detections of a lower score are left out of the drawings; the files hold them all.
    pub least_score: f64,
}

/// Classifies every JPEG and PNG of the folder `images` and detects in it. Writes to the folder `out`:
/// `classification.json` (the best classes of each image with their scores), `detection.json` (COCO results in the
/// images' own pixels) and `images.json` (which image and which category has which id). With `draw` also
/// `drawn/<file name>.png`: each image with what was found in it.
///
/// # Errors
/// A cell that isn't finished; an image that can't be read, which the error names: then nothing is written.
pub fn predict(
    cell_dir: &Path,
    images: &Path,
    out: &Path,
    draw: Option<DrawOptions>,
    device: Device,
) -> Result<PredictSummary, EngineError> {
    guarded(|| run(cell_dir, images, out, draw, device))
}

fn run(
    cell_dir: &Path,
    images: &Path,
    out: &Path,
    draw: Option<DrawOptions>,
    device: Device,
) -> Result<PredictSummary, EngineError> {
    let (config, cost, names) = finished(cell_dir)?;
    let classes = Classes { classification: names.classification.len(), detection: names.detection.len() };
    let system = systems::build(&config.system, &config.model, classes, config.seed, device)?;
    checkpoint::load(&Checkpoints::new(CellDir::new(cell_dir).checkpoints()).final_weights(), system.params())?;
    for (task, k) in Task::ALL.into_iter().filter_map(|task| Some((task, k_of(&cost, task)?))) {
        if let Some(experts) = system.experts() {
            experts.set_k(task, k)?;
        }
    }
    let evaluator = Evaluator {
        system: &*system,
        config: &config.evaluation,
        precision: config.training.precision,
        prefetch: config.data.prefetch,
        device,
    };
    let categories: Vec<u64> = names.detection.iter().map(|(id, _)| *id).collect();
    let files = files(images)?;
    let (mut predictions, mut detections, mut listed) = (Vec::new(), Vec::new(), Vec::new());
    let mut winners = Vec::new();
    for (i, path) in files.iter().enumerate() {
        let (pixels, mut batch) = inputs(path, i as u64 + 1, &config.data, &config.model.inputs)?;
        let side = config.model.inputs.of(Task::Classification).image_size;
        let best = evaluator.best_classes(&batch::images(pixels, side, device)?)?.0.remove(0);
        let image = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        listed.push(json!({ "id": i + 1, "file_name": image }));
        let class =
            |&(label, score): &(u32, f32)| json!({ "class": names.classification[label as usize], "score": score });
        winners.push(best[0]);
        predictions.push(json!({ "image": image, "best": best.iter().map(class).collect::<Vec<_>>() }));
        detections.extend(evaluator.detect_batch(&mut batch, &categories)?.0);
    }
    std::fs::create_dir_all(out).map_err(|e| adamv_store::Error::io("make the folder", out, e))?;
    let category = |(id, name): &(u64, String)| json!({ "id": id, "name": name });
    let categories: Vec<_> = names.detection.iter().map(category).collect();
    let index = json!({ "images": listed, "categories": categories });
    let documents =
        [("classification.json", json!(predictions)), ("detection.json", json!(detections)), ("images.json", index)];
    for (name, value) in documents {
        write_bytes_atomic(&out.join(name), value.to_string().as_bytes())?;
    }
    if let Some(options) = draw {
        draw_all(&files, &winners, &detections, &names, options, &out.join("drawn"))?;
    }
    Ok(PredictSummary { images: listed.len(), detections: detections.len() })
}

/// Draws each image into `folder`; `winners` are their best classes with scores. Images are read once more, so that not
/// all of them have to be kept.
fn draw_all(
    files: &[PathBuf],
    winners: &[(u32, f32)],
    detections: &[Detection],
    names: &ClassNames,
    options: DrawOptions,
    folder: &Path,
) -> Result<(), EngineError> {
    let drawer = Drawer { categories: &names.detection, least_score: options.least_score };
    let mut found: Vec<Vec<&Detection>> = vec![Vec::new(); files.len()];
    detections.iter().for_each(|d| found[d.image_id as usize - 1].push(d));
    files.par_iter().zip(winners).zip(found).try_for_each(|((file, &(label, score)), found)| {
        let best = (names.classification[label as usize].as_str(), score);
        let picture = drawer.draw(&decode(file)?, best, &found)?;
        // The whole name with its extension: `a.jpg` and `a.png` are two images.
        let mut name = file.file_name().unwrap_or_default().to_os_string();
        name.push(".png");
        let path = folder.join(name);
        let bytes = png_bytes(&picture).map_err(|e| adamv_store::Error::io("write", &path, e))?;
        Ok(write_bytes_atomic(&path, &bytes)?)
    })
}

/// Experts that a task's tokens used after training.
fn k_of(cost: &[TaskCost], task: Task) -> Option<usize> {
    cost.iter().find(|cost| cost.task == task.as_str())?.k.map(|k| k as usize)
}

/// Configuration, cost and class names of a cell that was trained to its end.
fn finished(cell_dir: &Path) -> Result<(CellConfig, Vec<TaskCost>, ClassNames), EngineError> {
    let bad = |reason: String| EngineError::File {
        path: cell_dir.into(),
        reason,
        mend: "give the folder of a finished cell, such as runs/smoke/mtl-vit-vit-micro-s0",
    };
    let mut record = read_record(cell_dir)?.ok_or_else(|| bad("it has no record.json".into()))?;
    if record.status != Status::Done {
        return Err(bad("its record says that it is not done".into()));
    }
    upgrade(&mut record.config);
    let config = serde_json::from_value(record.config).map_err(|e| bad(format!("record.json: config: {e}")))?;
    Ok((config, record.cost, ClassNames::read(&CellDir::new(cell_dir).checkpoints())?))
}

/// The images of a folder by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let bad = |reason: String| EngineError::File {
        path: folder.into(),
        reason,
        mend: "give a folder of .jpg, .jpeg or .png files",
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| bad(e.to_string()))? {
        let path = entry.map_err(|e| bad(e.to_string()))?.path();
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        if ["jpg", "jpeg", "png"].contains(&extension.as_str()) {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() { Err(bad("it holds no image".into())) } else { Ok(files) }
}

/// One image as both tasks see it in evaluation.
fn inputs(
    path: &Path,
    id: u64,
    data: &DataConfig,
    inputs: &InputsConfig,
) -> Result<(Vec<f32>, DetectionBatch), EngineError> {
    let image = decode(path)?;
    let side = inputs.classification.image_size;
    let mut pixels = vec![0.0; 3 * side * side];
    classification::eval(&image, &data.classification, side, &mut pixels);
    let side = inputs.detection.image_size;
    let placement = Placement::fit(image.width, image.height, side as u32);
    let mut canvas = vec![0.0; 3 * side * side];
    placement.draw(&image, &data.detection, side, &mut canvas);
    let batch = DetectionBatch {
        images: canvas,
        boxes: Vec::new(),
        labels: Vec::new(),
        masks: Vec::new(),
        indices: vec![0],
        image_ids: vec![id],
        scales: vec![placement.scale as f32],
        sizes: vec![[image.height, image.width]],
        image_size: side,
        max_instances: 0,
        mask_size: data.detection.mask_size,
    };
    Ok((pixels, batch))
}

#[cfg(test)]
mod tests {
    use adamv_datasets::image::write_png;
    use adamv_datasets::{BatchSource, ClassificationDataset, Image, Split};

    use super::*;

    #[test]
    fn an_image_is_classified_from_the_pixels_that_evaluation_sees() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("val/ant");
        std::fs::create_dir_all(&folder).unwrap();
        let rgb = (0..3 * 40 * 25).map(|i| (i * 37 % 251) as u8).collect();
        write_png(&folder.join("a.png"), &Image { width: 40, height: 25, rgb }).unwrap();
        let mut data = DataConfig::default();
        data.classification.mean = [0.5; 3];
        data.classification.std = [0.25; 3];
        let mut sizes = InputsConfig::default();
        (sizes.classification.image_size, sizes.detection.image_size) = (16, 16);
        for eval_crop in [None, Some(0.5)] {
            data.classification.eval_crop = eval_crop;
            let (pixels, _) = inputs(&folder.join("a.png"), 1, &data, &sizes).unwrap();
            let val = ClassificationDataset::open(dir.path(), Split::Val, &data.classification, 16).unwrap();
            assert_eq!(pixels, val.eval_batch(&[0]).unwrap().images, "{eval_crop:?}");
        }
    }
}
