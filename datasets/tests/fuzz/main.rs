//! No input panics, hangs or takes memory out of proportion, whatever its bytes.
//!
//! `make test` runs a few thousand mutated cases of each kind. The whole of it:
//!
//!     ADAMV_FUZZ_CASES=100000 cargo test --release -p adamv-datasets --test fuzz -- --show-output
//!
//! Cases are a function of their number, so a case that fails fails again. What failed, and what the readers are known
//! to guard against, is kept in `tests/fuzz_corpus/` and runs first. A kind of input is a `harness::Kind`: seeds, a
//! reader, and how to mend checksums. Knows the crate by its public functions only.

mod harness;
mod memory;
mod mutate;
mod shards;

use std::fs;
use std::path::{Path, PathBuf};

use adamv_datasets::image::{Encoded, Rectangle, decode};
use adamv_datasets::{BatchSource, DetectionDataset, DetectionOptions, Pick, Split, check};
use serde_json::{Value, json};

use crate::harness::{Kind, fuzz, overwrite, turn};

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

#[test]
fn images() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("case");
    let mut files: Vec<PathBuf> = fs::read_dir(fixtures()).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e != "json"));
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/jpegs");
    let more = fs::read_dir(golden).unwrap().map(|e| e.unwrap().path());
    files.extend(more.filter(|f| f.extension().is_some_and(|e| e == "jpg")));
    files.sort();
    let run = |bytes: &[u8]| {
        overwrite(&path, bytes);
        let image = decode(&path);
        if let Ok(image) = &image {
            assert_eq!(image.rgb.len() as u64, u64::from(image.width) * u64::from(image.height) * 3);
        }
        // Crops, as training takes them: a case has the same ones each time.
        if let Ok(encoded) = Encoded::open(&path, bytes) {
            let (w, h) = (encoded.width(), encoded.height());
            for (x, y) in [(w / 3, h / 2), (w - 1, 0), (0, h - 1)] {
                let area = Rectangle { left: x, top: y, width: (w - x).div_ceil(2), height: (h - y).div_ceil(2) };
                if let Ok(part) = encoded.decode_part(area) {
                    assert_eq!((part.width, part.height), (area.width, area.height));
                }
            }
        }
        image.is_ok()
    };
    let seeds = files.iter().map(|f| fs::read(f).unwrap()).collect();
    fuzz(&Kind { name: "images", seeds, repair: repair_png, run: &run });
}

/// Writes the checksum of each chunk of a PNG anew (CRC-32, PNG specification, annex D).
fn repair_png(bytes: &mut [u8]) {
    if !bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return;
    }
    let mut at = 8;
    while let Some(length) = bytes.get(at..at + 4) {
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let (from, to) = (at + 4, at + 8 + length);
        let Some(chunk) = bytes.get(from..to) else { return };
        let crc = chunk.iter().fold(!0u32, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xEDB8_8320 } else { c >> 1 })
        });
        let Some(place) = bytes.get_mut(to..to + 4) else { return };
        place.copy_from_slice(&(!crc).to_be_bytes());
        at = to + 4;
    }
}

#[test]
fn coco_files() {
    let dir = tempfile::tempdir().unwrap();
    let (images, annotations) = (dir.path().join("train"), dir.path().join("annotations"));
    fs::create_dir(&images).unwrap();
    fs::create_dir(&annotations).unwrap();
    for name in ["rgb.png", "rgb.jpg", "exif6.png"] {
        fs::copy(fixtures().join(name), images.join(name)).unwrap();
    }
    let path = annotations.join("instances_train.json");
    let options = DetectionOptions { mask_size: 8, max_instances: 4, ..Default::default() };
    let run = |bytes: &[u8]| {
        overwrite(&path, bytes);
        let data = DetectionDataset::open(&images, &path, Split::Train, &options, 16);
        if let Ok(data) = &data {
            for index in 0..data.len().min(4) {
                let _ = data.eval_batch(&[index]);
                let picks = [0, 1].map(|epoch| Pick { index, epoch });
                let _ = data.train_batch(&picks, 7);
            }
        }
        // Slower, and mostly the same code.
        if bytes.len().is_multiple_of(4) {
            let report = check(dir.path()).unwrap();
            assert!(data.is_ok() || !report.problems.is_empty());
        }
        data.is_ok()
    };
    let seeds = seeds().iter().map(|file| file.to_string().into_bytes()).collect();
    fuzz(&Kind { name: "coco", seeds, repair: |_| (), run: &run });
}

fn seeds() -> Vec<Value> {
    let image =
        |id: u64, name: &str, size: [u32; 2]| json!({"id": id, "file_name": name, "width": size[0], "height": size[1]});
    let categories = json!([{"id": 1, "name": "cat"}, {"id": 90, "name": "toothbrush"}]);
    let mask = |id: u64, image: u64, crowd: u8, mask: Value| {
        json!({"id": id, "image_id": image, "category_id": 90, "iscrowd": crowd, "bbox": [5.0, 5.0, 10.5, 12],
               "area": 100.0, "segmentation": mask})
    };
    let polygon = json!([[5.0, 5.0, 15.0, 5.0, 15.0, 15.0, 5.0, 15.0], [1, 1, 3.5, 1, 3.5, 20]]);
    let runs = json!({"size": [24, 40], "counts": [100, 60, 800]});
    // pycocotools 2.0.11: encode of the same runs
    let compressed = json!({"size": [24, 40], "counts": "T3l1Pi0"});
    vec![
        json!({"images": [image(3, "rgb.png", [40, 24]), image(7, "rgb.jpg", [40, 24]), image(9, "exif6.png", [24, 40])],
               "categories": categories,
               "annotations": [mask(1, 3, 0, polygon.clone()), mask(2, 7, 1, runs.clone()), mask(3, 3, 0, runs.clone())]}),
        json!({"images": [image(3, "rgb.png", [40, 24])], "categories": categories,
               "annotations": [mask(1, 3, 0, compressed), mask(2, 3, 0, Value::Null)]}),
        json!({"images": [image(1, "rgb.png", [40, 24])], "categories": categories, "annotations": [mask(1, 1, 0, polygon)]}),
        json!({"images": [image(1, "rgb.png", [100_000, 100_000])], "categories": categories, "annotations": [mask(1, 1, 0, runs)]}),
    ]
}

#[test]
fn bombs_are_refused_before_memory_is_taken() {
    for (name, size) in [("bomb.png", "100000 x 100000"), ("bomb.jpg", "65535 x 65535")] {
        let _turn = turn();
        let (outcome, memory) = memory::peak(|| decode(&fixtures().join(name)));
        let message = outcome.unwrap_err().to_string();
        assert!(message.contains(size) && message.contains("limit"), "{message}");
        assert!(memory < 1 << 20, "{name}: {memory} bytes");
    }
}
