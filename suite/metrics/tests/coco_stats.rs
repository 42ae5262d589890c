//! The twelve numbers against pycocotools: small random sets (`golden/make_coco_stats.py`) and the
//! results that the COCO API ships.

use std::path::{Path, PathBuf};

use adamv_metrics::coco::ERRORS;
use adamv_metrics::coco::read::detections_from_json;
use adamv_metrics::{
    CocoEvaluator, CocoStats, Detection, GroundTruth, Hotcoco, IouType, format_table, read_detections, validate,
};
use serde_json::Value;

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("golden/coco_stats.json")).unwrap()
}

#[test]
fn equal_to_pycocotools_on_random_sets() {
    let mut checked = 0;
    for case in cases() {
        let name = case["name"].as_str().unwrap();
        let gt = GroundTruth::from_json(case["gt"].to_string().as_bytes(), Path::new("gt.json")).unwrap();
        for (kind, expected) in case["stats"].as_object().unwrap() {
            let iou: IouType = kind.parse().unwrap();
            let detections = if case["dt"].as_array().unwrap().is_empty() {
                Vec::new()
            } else {
                let text = case["dt"].to_string();
                detections_from_json(text.as_bytes(), Path::new("dt.json"), &gt, iou).unwrap()
            };
            validate(&detections, &gt, iou).unwrap();
            let stats = Hotcoco.evaluate(&gt, &detections, iou).unwrap();
            let expected: Vec<f64> = serde_json::from_value(expected.clone()).unwrap();
            for ((key, got), want) in CocoStats::names().iter().zip(stats.values()).zip(&expected) {
                assert!((got - want).abs() <= 1e-12, "{name}, {kind}, {key}: {got} instead of {want}");
            }
            // What is written is what was read: a stored predictions file evaluates the same.
            if !detections.is_empty() {
                let text = serde_json::to_vec(&detections).unwrap();
                let again = detections_from_json(&text, Path::new("dt.json"), &gt, iou).unwrap();
                assert_eq!(again, detections);
                let direct: Vec<Detection> = serde_json::from_slice(&text).unwrap();
                assert_eq!(direct, detections);
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 15);
}

/// `../shared/real` beside the workspace, or where ADAMV_REAL_DATA says.
fn real_data() -> Option<PathBuf> {
    let folder = match std::env::var_os("ADAMV_REAL_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/real"),
    };
    folder.is_dir().then_some(folder)
}

#[test]
fn prints_the_coco_apis_table_for_its_own_results() {
    let Some(real) = real_data() else {
        println!("skipped: ../shared/real is not here");
        return;
    };
    let folder = real.join("cocoapi_val2014_100");
    let gt = GroundTruth::read(&folder.join("instances_val2014_100.json")).unwrap();
    assert_eq!((gt.image_ids().len(), gt.annotations()), (100, 839));
    // SOURCES.md there: what the COCO API prints.
    for (iou, expected) in [
        (IouType::Bbox, ".505 .697 .573 .586 .519 .501 .387 .594 .595 .640 .566 .564"),
        (IouType::Segm, ".320 .562 .299 .387 .310 .327 .268 .415 .417 .469 .377 .381"),
    ] {
        let file = folder.join(format!("instances_val2014_fake{iou}100_results.json"));
        let detections = read_detections(&file, &gt, iou).unwrap();
        assert_eq!(detections.len(), 734);
        let table = format_table(&Hotcoco.evaluate(&gt, &detections, iou).unwrap());
        let printed: Vec<&str> = table.lines().map(|line| line.rsplit("= 0").next().unwrap()).collect();
        assert_eq!(printed.join(" "), expected, "{iou}");
    }
}

#[test]
fn reads_the_other_real_instances() {
    let Some(real) = real_data() else {
        println!("skipped: ../shared/real is not here");
        return;
    };
    for entry in std::fs::read_dir(real.join("coco_cc/annotations")).unwrap() {
        let path = entry.unwrap().path();
        let gt = GroundTruth::read(&path).unwrap();
        for iou in [IouType::Bbox, IouType::Segm] {
            let stats = Hotcoco.evaluate(&gt, &[], iou).unwrap();
            assert_eq!(stats.ap, 0.0, "{}", path.display());
        }
    }
}

/// TIDE's errors against tidecv, the implementation of its authors (`golden/make_tide.py`).
#[test]
fn errors_are_tidecvs() {
    let golden: Vec<Value> = serde_json::from_str(include_str!("golden/tide.json")).unwrap();
    assert_eq!(golden.len(), 4);
    let mut costly = 0;
    for (number, case) in golden.iter().enumerate() {
        let gt = GroundTruth::from_json(case["gt"].to_string().as_bytes(), Path::new("gt.json")).unwrap();
        let detections =
            detections_from_json(case["dt"].to_string().as_bytes(), Path::new("dt.json"), &gt, IouType::Bbox).unwrap();
        let found = Hotcoco.diagnose(&gt, &detections, IouType::Bbox).unwrap();
        assert_eq!((found.stats, found.matches), Hotcoco.evaluate_matches(&gt, &detections, IouType::Bbox).unwrap());
        assert_eq!(found.errors.iter().map(|share| share.kind).collect::<Vec<_>>(), ERRORS);
        for share in found.errors {
            let want = case["errors"][share.kind].as_f64().unwrap();
            assert!((share.delta_ap50 - want).abs() < 1e-9, "set {number}: {share:?}, tidecv {want}");
            costly += usize::from(want > 0.0);
        }
    }
    assert!(costly >= 4 * ERRORS.len() - 2, "only {costly} errors cost anything");
}
