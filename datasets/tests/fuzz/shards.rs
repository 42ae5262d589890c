//! Damaged tar files, as shards of either task.

use std::fs;
use std::path::Path;

use adamv_datasets::{
    BatchSource, ClassificationDataset, ClassificationOptions, DetectionDataset, DetectionOptions, Split, check,
};

use crate::fixtures;
use crate::harness::{Kind, fuzz, overwrite};

const BLOCK: usize = 512;

#[test]
fn shards() {
    let dir = tempfile::tempdir().unwrap();
    let train = dir.path().join("train");
    fs::create_dir(&train).unwrap();
    let path = train.join("case.tar");
    let records = dir.path().join("records");
    fs::create_dir(&records).unwrap();
    fs::write(records.join("categories.json"), r#"[{"id": 1, "name": "cat"}]"#).unwrap();
    let scene = records.join("case.tar");
    let run = |bytes: &[u8]| {
        overwrite(&path, bytes);
        overwrite(&scene, bytes);
        let data = ClassificationDataset::open(dir.path(), Split::Train, &ClassificationOptions::default(), 8);
        if let Ok(data) = &data {
            let _ = data.eval_batch(&(0..data.len().min(4)).collect::<Vec<_>>());
        }
        let options = DetectionOptions { mask_size: 8, max_instances: 4, ..Default::default() };
        let scenes = DetectionDataset::open(&scene, &scene, Split::Train, &options, 16);
        if let Ok(scenes) = &scenes {
            let _ = scenes.eval_batch(&[0]);
        }
        // Slower, and mostly the same code.
        if bytes.len().is_multiple_of(5) {
            let report = check(dir.path()).unwrap();
            assert!(data.is_ok() || scenes.is_ok() || !report.problems.is_empty());
        }
        data.is_ok() || scenes.is_ok()
    };
    let mut seeds = vec![scenes()];
    for name in ["gnu", "pax", "ustar", "webdataset"] {
        seeds.push(fs::read(fixtures().join(format!("shards/{name}.tar"))).unwrap());
    }
    fuzz(&Kind { name: "shards", seeds, repair, run: &run });
}

/// A shard with its records.
fn scenes() -> Vec<u8> {
    let record = br#"{"image": {"id": 3, "file_name": "a.png", "width": 40, "height": 24}, "annotations": [{"id": 1,
        "image_id": 3, "category_id": 1, "bbox": [5, 5, 10, 10], "segmentation": [[5, 5, 15, 5, 15, 15, 5, 15]]}]}"#;
    let image = fs::read(fixtures().join("rgb.png")).unwrap();
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in [("a.png", image.as_slice()), ("a.json", record)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, Path::new(name), bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

/// Writes the checksum of each header anew, as far as the sizes lead from one to the next.
fn repair(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(block) = bytes.get_mut(at..at + BLOCK) {
        if block.iter().all(|&b| b == 0) {
            return;
        }
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&b| u32::from(b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let size = tar::Header::from_byte_slice(block).entry_size().unwrap_or(0);
        let Some(next) = usize::try_from(size).ok().and_then(|size| size.checked_next_multiple_of(BLOCK)) else {
            return;
        };
        at = at.saturating_add(BLOCK).saturating_add(next).min(bytes.len());
    }
}
