//! Pictures, folders and files that tests build on.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use adamv_datasets::Image;
use adamv_datasets::image::write_png;
use adamv_datasets::scenes::FashionMnist;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The pattern of `golden/picture.py`.
pub fn picture(width: u32, height: u32) -> Image {
    let mut rgb = Vec::new();
    for y in 0..height {
        for x in 0..width {
            for c in 0..3 {
                rgb.push(((x * 7 + y * 3 + c * 50 + (x * y) % 31 * 4) % 256) as u8);
            }
        }
    }
    Image { width, height, rgb }
}

/// An ImageNet-like folder with `counts` images in each class of train/ and one image a class in val/.
pub fn imagenet(root: &Path, counts: &[(&str, usize)]) {
    for (class, count) in counts {
        for (split, n) in [("train", *count), ("val", 1)] {
            let folder = root.join(split).join(class);
            fs::create_dir_all(&folder).unwrap();
            for i in 0..n {
                let path = folder.join(format!("{i}.png"));
                write_png(&path, &picture(20 + i as u32, 16)).unwrap();
            }
        }
    }
}

/// Two images of 40 x 30 in `root/train` and a sound instances file for them, to be bent by the test.
pub fn coco(root: &Path) -> Value {
    fs::create_dir_all(root.join("train")).unwrap();
    fs::create_dir_all(root.join("annotations")).unwrap();
    for name in ["a.png", "b.png"] {
        write_png(&root.join("train").join(name), &picture(40, 30)).unwrap();
    }
    json!({
        "images": [
            {"id": 7, "file_name": "b.png", "width": 40, "height": 30},
            {"id": 3, "file_name": "a.png", "width": 40, "height": 30},
        ],
        "categories": [{"id": 90, "name": "toothbrush"}, {"id": 4, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 3, "category_id": 90, "iscrowd": 0, "area": 100.0, "bbox": [5.0, 5.0, 10.0, 10.0],
             "segmentation": [[5.0, 5.0, 15.0, 5.0, 15.0, 15.0, 5.0, 15.0]]},
            {"id": 2, "image_id": 3, "category_id": 4, "iscrowd": 1, "area": 60.0, "bbox": [0.0, 0.0, 2.0, 30.0],
             "segmentation": {"size": [30, 40], "counts": [0, 60, 1140]}},
        ],
    })
}

pub fn write_annotations(root: &Path, file: &Value) -> PathBuf {
    let path = root.join("annotations/instances_train.json");
    fs::write(&path, file.to_string()).unwrap();
    path
}

/// An IDX file of bytes.
pub fn idx(dimensions: &[u32], data: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dimensions.len() as u8];
    file.extend(dimensions.iter().flat_map(|d| d.to_be_bytes()));
    file.extend(data);
    file
}

/// The four files of a small Fashion-MNIST, from the label and the 28 x 28 pixels of each image of train and of val.
pub fn fashion_mnist(folder: &Path, splits: [&[(u8, Vec<u8>)]; 2]) {
    fs::create_dir_all(folder).unwrap();
    for (items, names) in splits.iter().zip(FashionMnist::FILES) {
        let count = items.len() as u32;
        let labels: Vec<u8> = items.iter().map(|(label, _)| *label).collect();
        let pixels: Vec<u8> = items.iter().flat_map(|(_, pixels)| pixels.clone()).collect();
        fs::write(folder.join(names[0]), idx(&[count, 28, 28], &pixels)).unwrap();
        fs::write(folder.join(names[1]), idx(&[count], &labels)).unwrap();
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Runs on a pool of its own with a number of threads.
pub fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}
