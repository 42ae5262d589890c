//! The two layouts on disk: what they read, and the message for each way in which they can be wrong.

use std::fs;
use std::path::Path;

use adamv_datasets::{
    ClassificationDataset, ClassificationOptions, CocoPaths, CutMixBox, DataConfig, DetectionDataset, DetectionOptions,
    ImagenetPaths, RandAugmentOptions, ScenesConfig, Split, check,
};
use serde_json::{Value, json};

use crate::support::{coco, imagenet, write_annotations};

fn open_classification(root: &Path, split: Split) -> Result<ClassificationDataset, adamv_datasets::Error> {
    ClassificationDataset::open(root, split, &ClassificationOptions::default(), 16)
}

fn open_detection(root: &Path, file: &Value) -> Result<DetectionDataset, adamv_datasets::Error> {
    let path = write_annotations(root, file);
    DetectionDataset::open(&root.join("train"), &path, Split::Train, &DetectionOptions::default(), 64)
}

#[test]
fn folders_become_sorted_classes() {
    let dir = tempfile::tempdir().unwrap();
    imagenet(dir.path(), &[("zebra", 2), ("ant", 3)]);
    fs::write(dir.path().join("train/.DS_Store"), "x").unwrap();
    fs::write(dir.path().join("train/ant/notes.txt"), "x").unwrap();
    let train = open_classification(dir.path(), Split::Train).unwrap();
    assert_eq!(train.classes(), ["ant", "zebra"]);
    let names: Vec<&str> = (0..train.len()).map(|i| train.image_name(i)).collect();
    assert_eq!(
        names,
        ["train/ant/0.png", "train/ant/1.png", "train/ant/2.png", "train/zebra/0.png", "train/zebra/1.png"]
    );
    assert_eq!((0..5).map(|i| train.label(i)).collect::<Vec<_>>(), [0, 0, 0, 1, 1]);
    let again = open_classification(dir.path(), Split::Train).unwrap();
    assert_eq!(train.fingerprint(), again.fingerprint());
    fs::write(dir.path().join("train/ant/0.png"), "shorter").unwrap();
    assert_ne!(train.fingerprint(), open_classification(dir.path(), Split::Train).unwrap().fingerprint());
}

#[test]
fn validation_uses_the_training_classes() {
    let dir = tempfile::tempdir().unwrap();
    imagenet(dir.path(), &[("ant", 1), ("bee", 1), ("cat", 1)]);
    fs::remove_dir_all(dir.path().join("val/ant")).unwrap();
    let train = open_classification(dir.path(), Split::Train).unwrap();
    let val = open_classification(dir.path(), Split::Val).unwrap().with_classes(train.classes()).unwrap();
    assert_eq!((val.len(), val.label(0), val.label(1)), (2, 1, 2));
    fs::rename(dir.path().join("val/bee"), dir.path().join("val/wasp")).unwrap();
    let val = open_classification(dir.path(), Split::Val).unwrap();
    let message = val.with_classes(train.classes()).unwrap_err().to_string();
    assert!(message.contains("wasp"), "{message}");
}

#[test]
fn wrong_folders_are_named_with_the_mend() {
    let dir = tempfile::tempdir().unwrap();
    let fails = |what: &[&str]| {
        let message = open_classification(dir.path(), Split::Train).unwrap_err().to_string();
        for part in what {
            assert!(message.contains(part), "`{part}` not in: {message}");
        }
    };
    fails(&["train", "no such folder", "data.imagenet.root"]);
    fs::create_dir(dir.path().join("train")).unwrap();
    fails(&["train", "no class folders"]);
    imagenet(dir.path(), &[("ant", 1)]);
    fs::create_dir(dir.path().join("train/empty_class")).unwrap();
    fails(&["empty_class", "no images", "remove the folder"]);
}

#[cfg(unix)]
#[test]
fn links_may_not_lead_out() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    imagenet(dir.path(), &[("ant", 2)]);
    imagenet(outside.path(), &[("bee", 1)]);
    std::os::unix::fs::symlink("0.png", dir.path().join("train/ant/inside.png")).unwrap();
    assert_eq!(open_classification(dir.path(), Split::Train).unwrap().len(), 3);
    let link = dir.path().join("train/ant/outside.png");
    std::os::unix::fs::symlink(outside.path().join("train/bee/0.png"), &link).unwrap();
    let message = open_classification(dir.path(), Split::Train).unwrap_err().to_string();
    assert!(message.contains("outside.png") && message.contains("leads out"), "{message}");
}

#[test]
fn coco_categories_with_gaps_become_labels() {
    let dir = tempfile::tempdir().unwrap();
    let file = coco(dir.path());
    let data = open_detection(dir.path(), &file).unwrap();
    assert_eq!(data.category_ids(), [4, 90]);
    assert_eq!(data.class_names(), ["cat", "toothbrush"]);
    // By image id, whatever the order in the file.
    assert_eq!((data.image_id(0), data.image_id(1), data.image_size(0)), (3, 7, (30, 40)));
    let first = data.fingerprint();
    let mut other = file.clone();
    other["annotations"][0]["category_id"] = json!(4);
    assert_ne!(first, open_detection(dir.path(), &other).unwrap().fingerprint());
}

#[test]
fn wrong_annotations_are_named_with_the_mend() {
    type Bend = fn(&mut Value);
    let cases: [(Bend, &[&str]); 17] = [
        (|f| f["annotations"][0]["image_id"] = json!(99), &["annotation 1", "image 99", "does not list"]),
        (|f| f["annotations"][0]["category_id"] = json!(5), &["annotation 1", "category 5"]),
        (|f| f["annotations"][1]["id"] = json!(1), &["annotation id 1 occurs twice"]),
        (|f| f["images"][1]["id"] = json!(7), &["image id 7 occurs twice"]),
        (|f| f["categories"][1]["id"] = json!(90), &["category id 90 occurs twice"]),
        (|f| f["images"][0]["file_name"] = json!("../b.png"), &["image 7", "`../b.png`", "without `..`"]),
        (|f| f["images"][0]["file_name"] = json!("/etc/passwd"), &["image 7", "/etc/passwd"]),
        (|f| f["images"][0]["file_name"] = json!("gone.png"), &["gone.png", "missing"]),
        (|f| f["annotations"][0]["bbox"] = json!([1.0, 2.0, 3.0]), &["annotation 1", "[1, 2, 3]", "four finite"]),
        (|f| f["annotations"][0]["bbox"] = json!([1.0, null, 3.0, 4.0]), &["annotation 1", "null"]),
        (|f| f["annotations"][0]["bbox"] = json!([40, 2, 3, 4]), &["annotation 1", "lies outside", "40 x 30"]),
        (|f| f["images"][0]["file_name"] = json!("."), &["image 7", "not a file"]),
        (|f| f["annotations"][1]["segmentation"]["counts"] = json!("! !"), &["annotation 2", "does not decode"]),
        (|f| f["annotations"][1]["segmentation"]["counts"] = json!([5, 5]), &["annotation 2", "sum to 10"]),
        (|f| f["annotations"][1]["segmentation"]["size"] = json!([40, 30]), &["annotation 2", "40 x 30", "30 x 40"]),
        (|f| f["annotations"][0]["segmentation"] = json!([[1.0, 2.0, 3.0]]), &["annotation 1", "pairs"]),
        (|f| f["images"][0]["width"] = json!(0), &["image 7", "0 x 30"]),
    ];
    for (bend, what) in cases {
        let dir = tempfile::tempdir().unwrap();
        let mut file = coco(dir.path());
        bend(&mut file);
        let message = open_detection(dir.path(), &file).unwrap_err().to_string();
        for part in what {
            assert!(message.contains(part), "`{part}` not in: {message}");
        }
    }
}

#[test]
fn broken_json_says_where() {
    let dir = tempfile::tempdir().unwrap();
    coco(dir.path());
    let path = dir.path().join("annotations/instances_train.json");
    let open =
        || DetectionDataset::open(&dir.path().join("train"), &path, Split::Train, &DetectionOptions::default(), 64);
    fs::write(&path, "{\"images\": [],\n \"annotations\": [}").unwrap();
    let message = open().unwrap_err().to_string();
    assert!(message.contains("instances_train.json: line 2, column 18"), "{message}");
    fs::write(&path, "{\"images\": []}").unwrap();
    let message = open().unwrap_err().to_string();
    assert!(message.contains("annotations") && message.contains("COCO instances file"), "{message}");
    fs::remove_file(&path).unwrap();
    assert!(open().unwrap_err().to_string().contains("instances_train.json"));
    fs::remove_dir_all(dir.path().join("train")).unwrap();
    assert!(open().unwrap_err().to_string().contains("data.coco.train_images"));
}

#[test]
fn odd_but_usable_annotations_are_reported_and_not_fatal() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = coco(dir.path());
    let more = json!([
        {"id": 3, "image_id": 7, "category_id": 4, "bbox": [4.0, 4.0, 0.0, 5.0], "segmentation": [[4.0, 4.0, 5.0, 4.0, 5.0, 9.0]]},
        {"id": 4, "image_id": 7, "category_id": 4, "bbox": [30.0, 4.0, 50.0, 5.0],
         "segmentation": [[30.0, 4.0, 80.0, 4.0, 80.0, 9.0, 30.0, 9.0]]},
        {"id": 5, "image_id": 7, "category_id": 4, "bbox": [4.0, 4.0, 5.0, 5.0], "segmentation": []},
    ]);
    file["annotations"].as_array_mut().unwrap().extend(more.as_array().unwrap().iter().cloned());
    open_detection(dir.path(), &file).unwrap();
    let report = check(dir.path()).unwrap();
    assert_eq!(report.problems, []);
    let what: Vec<&str> = report.remarks.iter().map(|p| p.what.as_str()).collect();
    assert_eq!(report.remarks.len(), 3, "{what:?}");
    assert!(what.iter().any(|w| w.contains("annotation 3") && w.contains("0 wide")));
    assert!(what.iter().any(|w| w.contains("annotation 4") && w.contains("reaches out")));
    assert!(what.iter().any(|w| w.contains("annotation 5") && w.contains("empty")));
    assert_eq!((report.images, report.annotations), (2, 5));
}

#[test]
fn check_lists_everything_broken_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (folders, files) = (dir.path().join("folders"), dir.path().join("files"));
    imagenet(&folders, &[("ant", 2), ("bee", 2)]);
    let mut annotations = coco(&files);
    annotations["annotations"][0]["image_id"] = json!(99);
    annotations["images"][0]["width"] = json!(41);
    write_annotations(&files, &annotations);
    assert_eq!(check(&folders).unwrap().problems, []);
    let clean = check(&folders).unwrap().fingerprint;
    let truncated = crate::support::fixtures().join("truncated.jpg");
    fs::copy(truncated, folders.join("train/ant/0.png")).unwrap();
    fs::create_dir(folders.join("train/zoo")).unwrap();
    fs::create_dir_all(folders.join("val/wasp")).unwrap();
    let report = check(dir.path()).unwrap();
    let all: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    for part in ["ant/0.png: truncated", "zoo: the class folder", "wasp: this class", "image 99", "b.png: 40 x 30"] {
        assert!(all.iter().any(|p| p.contains(part)), "`{part}` not in {all:#?}");
    }
    assert!(report.problems.is_sorted());
    assert_eq!(report.parts.len(), 3);
    assert_ne!(clean, check(&folders).unwrap().fingerprint);
    assert!(check(&dir.path().join("gone")).unwrap_err().to_string().contains("no such folder"));
    assert!(check(&folders.join("train/ant")).unwrap_err().to_string().contains("recognised"));
}

#[test]
fn configurations_out_of_range_name_the_key() {
    type Bend = fn(&mut DataConfig);
    fn ops(ops: usize, magnitude: u32) -> RandAugmentOptions {
        RandAugmentOptions { ops, magnitude }
    }
    let cases: [(Bend, &str, &str); 18] = [
        (|c| c.scenes = None, "data", "data.scenes"),
        (|c| c.imagenet = Some(ImagenetPaths { root: "x".into() }), "data", "keep either"),
        (|c| c.classification.crop_scale = [0.5, 0.2], "data.classification.crop_scale", "(0, 1]"),
        (|c| c.classification.crop_scale = [0.0, 1.0], "data.classification.crop_scale", "(0, 1]"),
        (|c| c.classification.randaugment = Some(ops(0, 9)), "data.classification.randaugment.ops", "from 1 to 16"),
        (
            |c| c.classification.randaugment = Some(ops(2, 31)),
            "data.classification.randaugment.magnitude",
            "from 0 to 30",
        ),
        (|c| c.classification.mixup = f32::NAN, "data.classification.mixup", "from 0 to 10"),
        (|c| c.classification.cutmix = -0.1, "data.classification.cutmix", "from 0 to 10"),
        (|c| c.classification.eval_crop = Some(0.0), "data.classification.eval_crop", "from 0.01 to 1"),
        (|c| c.classification.eval_crop = Some(-0.5), "data.classification.eval_crop", "from 0.01 to 1"),
        (|c| c.classification.eval_crop = Some(1.01), "data.classification.eval_crop", "from 0.01 to 1"),
        (|c| c.classification.eval_crop = Some(f64::NAN), "data.classification.eval_crop", "from 0.01 to 1"),
        (|c| c.detection.scale_jitter = [f32::NAN, 1.0], "data.detection.scale_jitter", "(0, 100]"),
        (|c| c.detection.max_instances = 0, "data.detection.max_instances", "from 1"),
        (|c| c.detection.std = [0.0; 3], "data.detection.std", "above 0"),
        (|c| c.detection.min_box = -1.0, "data.detection.min_box", "0 or more"),
        (|c| c.prefetch = 0, "data.prefetch", "from 1 to 64"),
        (|c| c.scenes = Some(ScenesConfig { size: 8, ..Default::default() }), "data.scenes.size", "from 32"),
    ];
    for (bend, key, range) in cases {
        let mut config = DataConfig { scenes: Some(ScenesConfig::default()), ..Default::default() };
        config.validate().unwrap();
        bend(&mut config);
        let message = config.validate().unwrap_err().to_string();
        assert!(message.starts_with(&format!("{key} is ")) && message.contains(range), "{message}");
    }
    let paths = CocoPaths {
        train_images: "a".into(),
        train_annotations: "b".into(),
        val_images: "c".into(),
        val_annotations: "d".into(),
    };
    DataConfig { coco: Some(paths), ..Default::default() }.validate().unwrap();
}

#[test]
fn configurations_round_trip_and_refuse_unknown_keys() {
    let config: DataConfig = serde_json::from_value(json!({"scenes": {"seed": 3}, "on_bad_sample": "skip"})).unwrap();
    assert_eq!(config.scenes.as_ref().unwrap().images, ScenesConfig::default().images);
    assert_eq!(config.prefetch, 4);
    assert_eq!(config.classification.randaugment, None);
    let on: DataConfig = serde_json::from_value(json!({"classification": {"randaugment": {"ops": 3}}})).unwrap();
    assert_eq!(on.classification.randaugment, Some(RandAugmentOptions { ops: 3, magnitude: 9 }));
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<DataConfig>(&text).unwrap(), config);
    // Absent is the default, null is no crop; both survive a record.
    assert_eq!(config.classification.eval_crop, Some(0.875));
    assert_eq!(config.classification.cutmix_box, CutMixBox::Area);
    let released = json!({"classification": {"eval_crop": null, "cutmix_box": "side"}});
    let released: DataConfig = serde_json::from_value(released).unwrap();
    assert_eq!((released.classification.eval_crop, released.classification.cutmix_box), (None, CutMixBox::Side));
    let text = serde_json::to_string(&released).unwrap();
    assert_eq!(serde_json::from_str::<DataConfig>(&text).unwrap(), released);
    let wrong = json!({"classification": {"cutmix_box": "wide"}});
    let message = serde_json::from_value::<DataConfig>(wrong).unwrap_err().to_string();
    assert!(message.contains("`wide`") && message.contains("`area` or `side`"), "{message}");
    assert!(serde_json::from_value::<DataConfig>(json!({"scnes": {}})).is_err());
}
