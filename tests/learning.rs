//! A small cell learns: what no broken loss can fake. Its seeds and thresholds are its own; `smoke` says what systems reach.

mod common;

use std::fs;

use common::{adamv, with_suite};
use serde_json::Value;

/// One system on scenes of six shapes, with as many steps as half a minute on two cores allows.
const SUITE: &str = "\
name: learning
description: whether anything is learnt
task_version: 1
systems: [mtl-vit]
backbones: [vit-micro]
seeds: [0]
data:
  scenes: {images: 800, size: 64}
  classification: {crop_scale: [0.8, 1.0]}
  detection: {scale_jitter: [0.8, 1.25], max_instances: 8, mask_size: 28}
model:
  inputs:
    classification: {image_size: 32, patch_size: 8}
  detector: {box_convs: 1, mask_convs: 1, rois: 32, mask_rois: 8}
training:
  joint: {steps: 200, learning_rate: 2e-3, warmup: 20, batch: {classification: 64, detection: 8}}
evaluation:
  detections: 30
probes: {enabled: false}
";

#[test]
fn a_micro_cell_learns_both_tasks() {
    let dir = with_suite(SUITE);
    adamv(dir.path(), &["run", "suite.yaml", "--out", "out"]).expect(0);
    let record = fs::read(dir.path().join("out/mtl-vit-vit-micro-s0/record.json")).unwrap();
    let metrics = &serde_json::from_slice::<Value>(&record).unwrap()["metrics"];
    let accuracy = metrics["classification"]["top1"].as_f64().unwrap();
    let (boxes, masks) = (&metrics["detection"]["bbox"], &metrics["detection"]["segm"]);
    let of = |stats: &Value, name: &str| stats[name].as_f64().unwrap();
    let found = format!("accuracy {accuracy:.3}, AP50 {:.3}, of masks {:.3}", of(boxes, "AP50"), of(masks, "AP50"));
    println!("{found}");
    // Chance is 1 in 6 and an AP50 of 0. On two cores it was 0.405, 0.167 and 0.099. Without one loss, accuracy aside: without the
    // RPN's scores 0.030 and 0.018, its boxes 0.090 and 0.055, the classes of RoIs 0.013 and 0.020, its masks
    // 0.175 and 0.033. The box head's own boxes it can't tell in so few steps (0.147 and 0.086).
    assert!(accuracy >= 0.33, "{found}");
    assert!(of(boxes, "AP50") >= 0.12, "{found}");
    assert!(of(masks, "AP50") >= 0.07, "{found}");
}
