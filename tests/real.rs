//! The suite for real photographs, and the COCO API's own numbers, where the real data is.

mod common;

use std::fs;
use std::path::Path;

use common::{adamv, folder, real_data};
use serde_json::Value;

/// `suite/suites/real.yaml` from `../../` of this crate.
fn suite() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../suites/real.yaml").display().to_string()
}

#[test]
fn the_real_suite_trains_every_system() {
    let Some(real) = real_data("suite/suites/real.yaml") else { return };
    let dir = folder();
    let at = |key: &str, path: &str| format!("data.{key}={}", real.join(path).display());
    let sets = [
        at("imagenet.root", "caltech101_mini"),
        at("coco.train_images", "coco_cc/train2017"),
        at("coco.train_annotations", "coco_cc/annotations/instances_train2017.json"),
        at("coco.val_images", "coco_cc/val2017"),
        at("coco.val_annotations", "coco_cc/annotations/instances_val2017.json"),
        "training.classification.steps=24".into(),
        "training.detection.steps=24".into(),
        "training.joint.steps=24".into(),
        "training.first_stage.steps=24".into(),
    ];
    let suite = suite();
    let mut arguments = vec!["run", suite.as_str(), "--out", "out"];
    arguments.extend(sets.iter().flat_map(|set| ["--set", set.as_str()]));
    adamv(dir.path(), &arguments).expect(0);
    for cell in ["stl", "mtl-vit", "large-dense", "taps", "mtl-moe", "adamv-moe"] {
        let record: Value = serde_json::from_slice(
            &fs::read(dir.path().join(format!("out/{cell}-vit-micro-s0")).join("record.json")).unwrap(),
        )
        .unwrap();
        assert_eq!(record["status"], "done", "{record}");
        assert_eq!(record["metrics"]["classification"]["images"], 240);
        assert_eq!(record["metrics"]["detection"]["images"], 27);
    }
    adamv(dir.path(), &["report", "out", "--out", "pages"]).expect(0);
    assert!(dir.path().join("pages/report.html").is_file());
}

/// The numbers that pycocotools prints for its own example results.
#[test]
fn eval_coco_agrees_with_the_coco_api() {
    let Some(real) = real_data("eval coco on the COCO API's own example") else { return };
    let dir = real.join("cocoapi_val2014_100");
    for (iou, name, wanted) in [
        ("bbox", "fakebbox100", [0.505, 0.697, 0.573, 0.586, 0.519, 0.501, 0.387, 0.594, 0.595, 0.640, 0.566, 0.564]),
        ("segm", "fakesegm100", [0.320, 0.562, 0.299, 0.387, 0.310, 0.327, 0.268, 0.415, 0.417, 0.469, 0.377, 0.381]),
    ] {
        let results = format!("instances_val2014_{name}_results.json");
        let arguments =
            ["eval", "coco", "--gt", "instances_val2014_100.json", "--dt", &results, "--iou-type", iou, "--json"];
        let found: Value = serde_json::from_str(&adamv(&dir, &arguments).expect(0).stdout).unwrap();
        let names = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"];
        for (name, wanted) in names.iter().zip(wanted) {
            let number = found["stats"][name].as_f64().unwrap();
            assert!((number - wanted).abs() < 0.0005, "{iou} {name}: {number}, wanted {wanted}");
        }
    }
}
