//! Boxes, masks and pixels of a detection sample stay together under scaling, cutting and flipping.

use std::path::Path;

use adamv_datasets::augment::detection::Placement;
use adamv_datasets::image::write_png;
use adamv_datasets::rng::{Rng, Stream};
use adamv_datasets::{BatchSource, DetectionBatch, DetectionDataset, DetectionOptions, Image, Pick, Rle, Split};
use proptest::prelude::*;
use serde_json::json;

use crate::support::{coco, write_annotations};

/// Black, with the pixels of a disc in white.
fn disc(width: u32, height: u32, cx: f64, cy: f64, radius: f64) -> (Image, Vec<u8>) {
    let mut mask = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let inside = (f64::from(x) + 0.5 - cx).hypot(f64::from(y) + 0.5 - cy) <= radius;
            mask.push(u8::from(inside));
        }
    }
    let rgb = mask.iter().flat_map(|&m| [m * 255; 3]).collect();
    (Image { width, height, rgb }, mask)
}

/// Values of the canvas back in 0..1.
fn options() -> DetectionOptions {
    DetectionOptions { mean: [0.0; 3], std: [1.0; 3], mask_size: 56, ..Default::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_box_bounds_the_pixels_and_the_mask_is_them(
        w in 20u32..90, h in 20u32..90, fx in 0.0f64..1.0, fy in 0.0f64..1.0, fr in 0.2f64..0.6, seed: u64,
    ) {
        let (side, options) = (48usize, options());
        let radius = fr * f64::from(w.min(h)) / 2.0;
        let (image, dense) = disc(w, h, fx * f64::from(w), fy * f64::from(h), radius);
        let mask = Rle::from_dense(&dense, h, w).unwrap();
        prop_assume!(mask.area() > 30);
        let placement = Placement::random(&mut Rng::new(seed, Stream::Augment, 0, 0), &options, w, h, side as u32);
        let mut canvas = vec![0.0; 3 * side * side];
        placement.draw(&image, &options, side, &mut canvas);
        let [x1, y1, x2, y2] = placement.box_to_canvas(mask.bbox());
        let extent = placement.extent.map(f64::from);
        prop_assert!(0.0 <= x1 && x1 <= x2 && x2 <= extent[0] && 0.0 <= y1 && y1 <= y2 && y2 <= extent[1]);

        // Pixels that are more disc than ground lie in the box.
        for y in 0..side { for x in 0..side {
            if canvas[y * side + x] > 0.5 {
                let (px, py) = (x as f64 + 0.5, y as f64 + 0.5);
                prop_assert!(px > x1 - 0.51 && px < x2 + 0.51 && py > y1 - 0.51 && py < y2 + 0.51,
                    "pixel {} {} outside {:?}", x, y, [x1, y1, x2, y2]);
            }
        }}

        // The mask target, read at each pixel's centre, says the same as the pixels, but for the rim.
        let m = options.mask_size;
        let mut target = vec![0u8; m * m];
        prop_assume!(x2 - x1 >= 6.0 && y2 - y1 >= 6.0);
        if !placement.crop_mask(&mask, [x1, y1, x2, y2], m, &mut target) {
            // Only the empty corner of the box is in view.
            return Ok(());
        }
        let (mut agree, mut all) = (0, 0);
        for y in y1.ceil() as usize..y2.floor() as usize { for x in x1.ceil() as usize..x2.floor() as usize {
            let j = ((x as f64 + 0.5 - x1) / (x2 - x1) * m as f64) as usize;
            let i = ((y as f64 + 0.5 - y1) / (y2 - y1) * m as f64) as usize;
            let white = canvas[y * side + x];
            if (white - 0.5).abs() > 0.3 {
                all += 1;
                agree += usize::from((target[i * m + j] == 1) == (white > 0.5));
            }
        }}
        prop_assert!(all == 0 || agree as f64 >= 0.95 * f64::from(all), "{} of {}", agree, all);
    }

    #[test]
    fn boxes_map_to_the_image_and_back(w in 1u32..2000, h in 1u32..2000, seed: u64) {
        let placement = Placement::random(&mut Rng::new(seed, Stream::Augment, 0, 0), &options(), w, h, 64);
        prop_assert!(placement.extent.iter().all(|&e| (1..=64).contains(&e)));
        let [x, y] = placement.point_to_image(3.0, 5.0);
        let [x1, y1, ..] = placement.box_to_canvas([x, y, 0.0, 0.0]);
        if placement.extent[0] > 3 { prop_assert!((x1 - 3.0).abs() < 1e-6); }
        if placement.extent[1] > 5 { prop_assert!((y1 - 5.0).abs() < 1e-6); }
    }
}

#[test]
fn evaluation_shows_the_whole_image_at_one_scale() {
    let placement = Placement::fit(640, 427, 320);
    assert_eq!((placement.scale, placement.offset, placement.mirrored), (0.5, [0, 0], false));
    assert_eq!(placement.extent, [320, 213]);
    assert_eq!(placement.box_to_canvas([600.0, 400.0, 40.0, 20.0]), [300.0, 200.0, 320.0, 210.0]);
}

fn open(root: &Path, options: &DetectionOptions) -> DetectionDataset {
    let path = root.join("annotations/instances_train.json");
    DetectionDataset::open(&root.join("train"), &path, Split::Train, options, 40).unwrap()
}

#[test]
fn a_batch_is_padded_and_counts_no_crowds() {
    let dir = tempfile::tempdir().unwrap();
    write_annotations(dir.path(), &coco(dir.path()));
    let options = DetectionOptions { max_instances: 3, mask_size: 4, ..options() };
    let batch = open(dir.path(), &options).eval_batch(&[0, 1]).unwrap();
    assert_eq!(batch.labels, [1, -1, -1, -1, -1, -1]);
    assert_eq!(batch.boxes[..4], [5.0, 5.0, 15.0, 15.0]);
    assert!(batch.boxes[4..].iter().all(|&b| b == 0.0));
    assert_eq!(batch.masks[..16], [1; 16]);
    assert!(batch.masks[16..].iter().all(|&m| m == 0));
    assert_eq!((batch.image_ids, batch.sizes, batch.scales), (vec![3, 7], vec![[30, 40]; 2], vec![1.0; 2]));
    // Rows 30 to 39 are padding.
    assert!(batch.images[30 * 40..40 * 40].iter().all(|&v| v == 0.0));
}

#[test]
fn instances_that_cannot_be_trained_on_are_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = coco(dir.path());
    let polygon = json!([[5.0, 5.0, 15.0, 5.0, 15.0, 15.0, 5.0, 15.0]]);
    file["annotations"] = json!([
        {"id": 1, "image_id": 3, "category_id": 4, "bbox": [5.0, 5.0, 0.0, 10.0], "segmentation": polygon},
        {"id": 2, "image_id": 3, "category_id": 4, "bbox": [5.0, 5.0, 0.5, 10.0], "segmentation": polygon},
        {"id": 3, "image_id": 3, "category_id": 4, "bbox": [5.0, 5.0, 10.0, 10.0], "segmentation": []},
        {"id": 4, "image_id": 3, "category_id": 4, "bbox": [30.0, 20.0, 5.0, 5.0], "segmentation": polygon},
        {"id": 5, "image_id": 3, "category_id": 90, "bbox": [10.0, 5.0, 100.0, 10.0], "segmentation": polygon},
    ]);
    write_annotations(dir.path(), &file);
    let batch = open(dir.path(), &DetectionOptions { max_instances: 5, ..options() }).eval_batch(&[0]).unwrap();
    assert_eq!(batch.labels, [1, -1, -1, -1, -1]);
    assert_eq!(batch.boxes[..4], [10.0, 5.0, 40.0, 15.0]);
}

#[test]
fn an_image_of_another_size_than_its_record_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    write_annotations(dir.path(), &coco(dir.path()));
    let (image, _) = disc(30, 40, 1.0, 1.0, 1.0);
    write_png(&dir.path().join("train/a.png"), &image).unwrap();
    let data = open(dir.path(), &options());
    let message = data.eval_batch(&[0]).unwrap_err().to_string();
    assert!(message.contains("a.png") && message.contains("30 x 40") && message.contains("40 x 30"), "{message}");
}

#[test]
fn training_samples_vary_with_epoch_and_seed_alone() {
    let dir = tempfile::tempdir().unwrap();
    write_annotations(dir.path(), &coco(dir.path()));
    let data = open(dir.path(), &options());
    let batch = |epoch, seed| -> DetectionBatch { data.train_batch(&[Pick { index: 0, epoch }], seed).unwrap() };
    assert_eq!(batch(0, 0), batch(0, 0));
    assert_ne!(batch(0, 0).images, batch(1, 0).images);
    assert_ne!(batch(0, 0).images, batch(0, 1).images);
}
