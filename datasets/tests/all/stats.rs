//! Counts of a folder, against those of pycocotools and Pillow on real collections: `golden/make_stats.py`.

use adamv_datasets::stats::{PartStats, Spread};
use adamv_datasets::{Stats, Task, stats};
use serde::Deserialize;
use serde_json::json;
use std::collections::HashMap;

use crate::real_data::real;
use crate::support::{coco, fixtures, imagenet, write_annotations};

#[derive(Deserialize)]
struct Detection {
    images: usize,
    total: usize,
    crowds: usize,
    images_without: usize,
    per_image: Numbers,
    small: usize,
    medium: usize,
    large: usize,
    classes: Vec<(String, usize, usize, usize)>,
    width: Numbers,
    height: Numbers,
}

#[derive(Deserialize)]
struct Classification {
    images: usize,
    classes: Vec<(String, usize)>,
    width: Numbers,
    height: Numbers,
}

#[derive(Deserialize)]
struct Numbers {
    min: u32,
    median: f64,
    mean: f64,
    max: u32,
}

fn same(found: Option<Spread>, want: &Numbers) {
    let found = found.unwrap();
    assert_eq!((found.min, found.median, found.max), (want.min, want.median, want.max));
    assert!((found.mean - want.mean).abs() < 1e-5);
}

fn part<'a>(stats: &'a Stats, ends: &str) -> &'a PartStats {
    stats.parts.iter().find(|p| p.source.ends_with(ends)).unwrap()
}

#[test]
fn real_counts_are_pycocotools_and_pillows() {
    let (Some(caltech), Some(coco)) = (real("caltech101_mini"), real("coco_cc")) else { return };
    let golden: HashMap<String, serde_json::Value> =
        serde_json::from_str(include_str!("../golden/stats.json")).unwrap();
    let (caltech, coco) = (stats(&caltech).unwrap(), stats(&coco).unwrap());
    assert_eq!((caltech.parts.len(), coco.parts.len()), (2, 2));
    for name in ["train2017", "val2017"] {
        let want: Detection = serde_json::from_value(golden[name].clone()).unwrap();
        let found = part(&coco, &format!("instances_{name}.json"));
        assert_eq!((found.task, found.images, found.unreadable), (Task::Detection, want.images, 0));
        let instances = found.instances.as_ref().unwrap();
        assert_eq!((instances.total, instances.crowds), (want.total, want.crowds));
        assert_eq!((instances.small, instances.medium, instances.large), (want.small, want.medium, want.large));
        assert_eq!(instances.images_without, want.images_without);
        same(instances.per_image, &want.per_image);
        let classes: Vec<_> = found.classes.iter().map(|c| (c.name.clone(), c.images, c.instances, c.crowds)).collect();
        assert_eq!(classes, want.classes);
        same(found.width, &want.width);
        same(found.height, &want.height);
    }
    for split in ["train", "val"] {
        let want: Classification = serde_json::from_value(golden[split].clone()).unwrap();
        let found = part(&caltech, split);
        assert_eq!((found.task, found.images, found.unreadable), (Task::Classification, want.images, 0));
        let classes: Vec<_> = found.classes.iter().map(|c| (c.name.clone(), c.images)).collect();
        assert_eq!(classes, want.classes);
        assert!(found.instances.is_none() && found.classes.iter().all(|c| c.instances == c.images));
        same(found.width, &want.width);
        same(found.height, &want.height);
    }
}

#[test]
fn a_folder_of_both_is_counted_and_its_broken_files_too() {
    let dir = tempfile::tempdir().unwrap();
    let (folders, files) = (dir.path().join("folders"), dir.path().join("files"));
    imagenet(&folders, &[("ant", 3), ("bee", 1)]);
    std::fs::copy(fixtures().join("text.jpg"), folders.join("train/ant/0.png")).unwrap();
    let mut annotations = coco(&files);
    let more = json!([
        {"id": 3, "image_id": 3, "category_id": 90, "bbox": [0.0, 0.0, 40.0, 30.0], "segmentation": []},
        {"id": 4, "image_id": 7, "category_id": 4, "bbox": [0.0, 0.0, 100.0, 100.0], "segmentation": []},
        {"id": 5, "image_id": 99, "category_id": 4, "bbox": [0.0, 0.0, 1.0, 1.0], "segmentation": []},
    ]);
    annotations["annotations"].as_array_mut().unwrap().extend(more.as_array().unwrap().iter().cloned());
    annotations["images"]
        .as_array_mut()
        .unwrap()
        .push(json!({"id": 8, "file_name": "../x.png", "width": 9, "height": 9}));
    write_annotations(&files, &annotations);

    let found = stats(dir.path()).unwrap();
    let sources: Vec<&str> = found.parts.iter().map(|p| p.source.as_str()).collect();
    assert_eq!(sources, ["files/annotations/instances_train.json", "folders/train", "folders/val"]);
    let train = part(&found, "folders/train");
    assert_eq!((train.images, train.unreadable, train.classes[0].images, train.classes[1].images), (4, 1, 3, 1));
    assert_eq!(train.width.map(|w| (w.min, w.median, w.max)), Some((20, 21.0, 22)));
    let boxes = part(&found, "train.json");
    let rows: Vec<_> = boxes.classes.iter().map(|c| (c.name.as_str(), c.images, c.instances, c.crowds)).collect();
    assert_eq!(rows, [("cat", 1, 1, 1), ("toothbrush", 1, 2, 0)]);
    let instances = boxes.instances.as_ref().unwrap();
    assert_eq!((instances.total, instances.crowds, instances.images_without), (3, 1, 1));
    assert_eq!((instances.small, instances.medium, instances.large), (1, 1, 1));
    assert_eq!((boxes.images, boxes.unreadable), (3, 1));

    let text = serde_json::to_value(&found).unwrap();
    assert_eq!(text["parts"][0]["instances"]["per_image"], json!({"min": 0, "median": 1.0, "mean": 1.0, "max": 2}));
    assert!(stats(&dir.path().join("gone")).unwrap_err().to_string().contains("no such folder"));
}
