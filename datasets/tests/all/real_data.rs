//! Small real collections, where they are at hand: the folder that ADAMV_REAL_DATA names, else ../shared/real beside
//! the workspace.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use adamv_datasets::order::{SampleStream, picks_for_step};
use adamv_datasets::{
    BatchSource, ClassificationDataset, ClassificationOptions, DetectionDataset, DetectionOptions, Loader, PackOptions,
    RandAugmentOptions, Rle, Split, check, pack,
};

use crate::support::on_threads;

pub fn real(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ADAMV_REAL_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/real"), PathBuf::from);
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: ../shared/real is not here");
    None
}

#[test]
fn real_collections_are_clean() {
    for (name, images, annotations) in [("coco_cc", 52, 352), ("caltech101_mini", 720, 0)] {
        let Some(folder) = real(name) else { return };
        let report = check(&folder).unwrap();
        assert_eq!(report.problems, [], "{name}");
        assert_eq!(report.remarks, [], "{name}");
        assert_eq!((report.images, report.annotations), (images, annotations), "{name}");
    }
}

#[test]
fn real_images_become_batches() {
    let (Some(caltech), Some(coco)) = (real("caltech101_mini"), real("coco_cc")) else { return };
    let options = ClassificationOptions::default();
    let train = Arc::new(ClassificationDataset::open(&caltech, Split::Train, &options, 224).unwrap());
    assert_eq!((train.len(), train.classes().len()), (480, 20));
    for batch in Loader::train(Arc::clone(&train), SampleStream::new(0, 16, 3), 2) {
        let batch = batch.unwrap();
        assert!(batch.images.iter().all(|v| v.abs() < 3.0));
    }
    let (images, annotations) = (coco.join("val2017"), coco.join("annotations/instances_val2017.json"));
    let val = DetectionDataset::open(&images, &annotations, Split::Val, &DetectionOptions::default(), 320).unwrap();
    assert_eq!((val.len(), val.category_ids().len(), val.category_ids()[79]), (27, 80, 90));
    let picks: Vec<_> = picks_for_step(val.len(), 27, 3, 0);
    let batch = val.train_batch(&picks, 3).unwrap();
    let kept = batch.labels.iter().filter(|&&l| l >= 0).count();
    assert!(kept > 40, "{kept} instances");
    for (g, label) in batch.labels.iter().enumerate() {
        let [x1, y1, x2, y2] = std::array::from_fn(|k| batch.boxes[4 * g + k]);
        if *label >= 0 {
            assert!(x2 - x1 >= 1.0 && y2 - y1 >= 1.0 && x2 <= 320.0 && y2 <= 320.0);
        } else {
            assert_eq!([x1, y1, x2, y2], [0.0; 4]);
        }
    }
}

#[test]
fn real_scenes_are_the_same_from_shards() {
    let Some(folder) = real("coco_cc") else { return };
    let out = tempfile::tempdir().unwrap();
    let packed = out.path().join("packed");
    let report = pack(&folder, &packed, &PackOptions { shard_bytes: 2 << 20 }).unwrap();
    assert!(report.images == 52 && report.shards > 2, "{report:?}");
    assert_eq!(check(&packed).unwrap().problems, []);
    let annotations = folder.join("annotations/instances_val2017.json");
    let batches = [folder.join("val2017"), packed.join("val2017")].map(|images| {
        let data =
            DetectionDataset::open(&images, &annotations, Split::Val, &DetectionOptions::default(), 320).unwrap();
        data.train_batch(&picks_for_step(data.len(), 8, 3, 0), 3).unwrap()
    });
    assert!(batches[0] == batches[1]);
}

#[test]
fn the_same_bytes_on_any_number_of_threads_and_after_a_resume() {
    let (Some(caltech), Some(coco)) = (real("caltech101_mini"), real("coco_cc")) else { return };
    let options = ClassificationOptions {
        randaugment: Some(RandAugmentOptions::default()),
        mixup: 0.2,
        cutmix: 1.0,
        ..ClassificationOptions::default()
    };
    let photos = Arc::new(ClassificationDataset::open(&caltech, Split::Train, &options, 96).unwrap());
    let (images, annotations) = (coco.join("train2017"), coco.join("annotations/instances_train2017.json"));
    let options = DetectionOptions { mask_size: 28, ..DetectionOptions::default() };
    let scenes = Arc::new(DetectionDataset::open(&images, &annotations, Split::Train, &options, 128).unwrap());
    // The loader's thread fills batches on the pool that is current where it was started: the global one. So pools of
    // other sizes are given the batches of single steps.
    let mut whole = Loader::train(Arc::clone(&photos), SampleStream::new(7, 32, 20), 3);
    let resumed = Loader::train(Arc::clone(&photos), SampleStream::new(7, 32, 20).skip(12), 1);
    let whole: Vec<_> = whole.by_ref().map(Result::unwrap).collect();
    assert!(resumed.map(Result::unwrap).eq(whole[12..].iter().cloned()));
    let mut mixed = 0;
    for (step, batch) in whole.iter().enumerate() {
        mixed += usize::from(batch.lambda < 1.0);
        let picks = picks_for_step(photos.len(), 32, 7, step as u64);
        for threads in [1, 8] {
            assert_eq!(on_threads(threads, || photos.train_batch(&picks, 7).unwrap()), *batch, "step {step}");
        }
    }
    assert!(mixed > 10, "{mixed}");
    let picks = picks_for_step(scenes.len(), 8, 7, 5);
    let batch = |threads| on_threads(threads, || scenes.train_batch(&picks, 7).unwrap());
    assert_eq!(batch(1), batch(8));
}

#[test]
fn areas_of_polygons_are_near_the_files() {
    let Some(folder) = real("cocoapi_val2014_100") else { return };
    let text = std::fs::read_to_string(folder.join("instances_val2014_100.json")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut checked = 0;
    for annotation in file["annotations"].as_array().unwrap() {
        let image = file["images"].as_array().unwrap().iter().find(|i| i["id"] == annotation["image_id"]).unwrap();
        let side = |key: &str| image[key].as_u64().unwrap() as u32;
        if annotation["iscrowd"] == 0 {
            let polygons: Vec<Vec<f64>> = serde_json::from_value(annotation["segmentation"].clone()).unwrap();
            let rle = Rle::from_polygons(&polygons, side("height"), side("width")).unwrap();
            let (area, want) = (rle.area() as f64, annotation["area"].as_f64().unwrap());
            assert!((area - want).abs() < 0.1 * want + 40.0, "{}: {area}, {want}", annotation["id"]);
            checked += 1;
        }
    }
    assert_eq!(checked, 830);
}
