//! Boxes and masks under scale, cut and flip: against torchvision (`golden/make_placements.py`), and as properties of
//! any placement: a box bounds its mask, and what is out of sight is dropped.

use std::path::Path;

use adamv_datasets::augment::detection::Placement;
use adamv_datasets::image::write_png;
use adamv_datasets::rng::{Rng, Stream};
use adamv_datasets::{BatchSource, DetectionDataset, DetectionOptions, Pick, Rle, Split};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;

use crate::support::{picture, write_annotations};

#[derive(Deserialize)]
struct Golden {
    discs: Vec<[i64; 3]>,
    placements: Vec<PlacementCase>,
    filter_discs: Vec<[i64; 3]>,
    filtered: Vec<FilterCase>,
}

#[derive(Deserialize)]
struct PlacementCase {
    scale: f64,
    offset: [u32; 2],
    extent: [u32; 2],
    mirrored: bool,
    boxes: Vec<[f64; 4]>,
    masks: Vec<Vec<String>>,
}

#[derive(Deserialize)]
struct FilterCase {
    scale: f32,
    min_box: f32,
    labels: Vec<i64>,
    boxes: Vec<[f32; 4]>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/placements.json")).unwrap()
}

/// The disc of `golden/make_placements.py` in an image of 40 x 30.
fn disc([cx, cy, radius]: [i64; 3]) -> Rle {
    let inside = |x: i64, y: i64| (2 * x + 1 - 2 * cx).pow(2) + (2 * y + 1 - 2 * cy).pow(2) <= (2 * radius).pow(2);
    let dense: Vec<u8> = (0..30).flat_map(|y| (0..40).map(move |x| u8::from(inside(x, y)))).collect();
    Rle::from_dense(&dense, 30, 40).unwrap()
}

#[test]
fn boxes_and_masks_are_torchvisions() {
    let golden = golden();
    for case in &golden.placements {
        let PlacementCase { scale, offset, extent, mirrored, .. } = *case;
        let placement = Placement { scale, offset, extent, mirrored };
        for (i, &circle) in golden.discs.iter().enumerate() {
            let mask = disc(circle);
            let found = placement.box_to_canvas(mask.bbox());
            let worst = found.iter().zip(case.boxes[i]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-4, "scale {scale}: {found:?}, want {:?}", case.boxes[i]);

            // A box as large as the canvas and as many cells as pixels: one cell a pixel, at its centre.
            let want: Vec<Vec<u8>> = case.masks[i].iter().map(|r| r.bytes().map(|b| b - b'0').collect()).collect();
            let n = extent[0].max(extent[1]) as usize;
            let mut cells = vec![0; n * n];
            placement.crop_mask(&mask, [0.0, 0.0, n as f64, n as f64], n, &mut cells);
            for y in 0..extent[1] as usize {
                for x in 0..extent[0] as usize {
                    let near = (y.saturating_sub(1)..=y + 1)
                        .flat_map(|v| (x.saturating_sub(1)..=x + 1).map(move |u| (u, v)))
                        .filter_map(|(u, v)| want.get(v)?.get(u));
                    let flat = near.into_iter().all(|&p| p == want[y][x]);
                    // torchvision takes the nearest pixel, we the bilinear value from one half up. At 1x and 2x these
                    // are the same: the nearest of four pixels weighs at least 9/16. Else they differ at the rim, by
                    // one pixel of the canvas or, where the scale is below 1, of the image.
                    if scale == 1.0 || scale == 2.0 || (flat && scale >= 0.5) {
                        assert_eq!(cells[y * n + x], want[y][x], "scale {scale}, disc {i}, pixel {x} {y}");
                    }
                }
            }
        }
    }
}

/// An image of 40 x 30 with one object a mask, each of a category of its own.
fn dataset(root: &Path, masks: &[Rle], options: &DetectionOptions) -> DetectionDataset {
    for folder in ["train", "annotations"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    write_png(&root.join("train/a.png"), &picture(40, 30)).unwrap();
    let annotation = |(i, mask): (usize, &Rle)| {
        json!({"id": i, "image_id": 1, "category_id": i, "bbox": mask.bbox(),
            "segmentation": {"size": mask.size, "counts": mask.to_compressed()}})
    };
    let file = json!({
        "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
        "categories": (0..masks.len()).map(|i| json!({"id": i, "name": i.to_string()})).collect::<Vec<_>>(),
        "annotations": masks.iter().enumerate().map(annotation).collect::<Vec<_>>(),
    });
    let path = write_annotations(root, &file);
    DetectionDataset::open(&root.join("train"), &path, Split::Train, options, 40).unwrap()
}

#[test]
fn jitter_and_filter_keep_what_torchvisions_keep() {
    let golden = golden();
    let masks: Vec<Rle> = golden.filter_discs.iter().map(|&d| disc(d)).collect();
    for case in golden.filtered {
        let dir = tempfile::tempdir().unwrap();
        let options = DetectionOptions {
            scale_jitter: [case.scale; 2],
            flip: false,
            min_box: case.min_box,
            max_instances: masks.len(),
            mask_size: 8,
            ..Default::default()
        };
        let data = dataset(dir.path(), &masks, &options);
        let batch = data.train_batch(&[Pick { index: 0, epoch: 0 }], 0).unwrap();
        let kept: Vec<i64> = batch.labels.into_iter().filter(|&l| l >= 0).collect();
        assert_eq!(kept, case.labels, "scale {}, min_box {}", case.scale, case.min_box);
        for (found, want) in batch.boxes.iter().zip(case.boxes.iter().flatten()) {
            assert!((found - want).abs() < 1e-4, "{found}, want {want}");
        }
    }
}

/// An object of a kind: one pixel, scattered pixels, or a polygon with the box of its corners, as COCO has it.
fn object(kind: u8, points: &[(f64, f64)], w: u32, h: u32) -> (Rle, [f64; 4]) {
    let at = |p: &(f64, f64)| (p.0 * f64::from(w), p.1 * f64::from(h));
    if kind < 2 {
        let mut dense = vec![0; (w * h) as usize];
        for p in points.iter().map(at).take(if kind == 0 { 1 } else { points.len() }) {
            dense[p.1 as usize * w as usize + p.0 as usize] = 1;
        }
        let mask = Rle::from_dense(&dense, h, w).unwrap();
        let bbox = mask.bbox();
        return (mask, bbox);
    }
    let corners: Vec<f64> = points.iter().map(at).flat_map(|(x, y)| [x, y]).collect();
    let range = |axis: usize| {
        let values = || corners.iter().skip(axis).step_by(2).copied();
        let from = values().fold(f64::INFINITY, f64::min);
        [from, values().fold(0.0, f64::max) - from]
    };
    let ([x, bw], [y, bh]) = (range(0), range(1));
    (Rle::from_polygons(&[corners], h, w).unwrap(), [x, y, bw, bh])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_box_bounds_its_mask(
        w in 1u32..60, h in 1u32..60, kind in 0u8..3, points in proptest::collection::vec((0.0f64..1.0, 0.0f64..1.0), 3..7),
        jitter in prop_oneof![Just(0.1f32), Just(2.5f32), 0.1f32..2.5], side in 8u32..64, seed: u64,
    ) {
        let (mask, bbox) = object(kind, &points, w, h);
        prop_assume!(mask.area() > 0 && bbox[2] > 0.0 && bbox[3] > 0.0);
        let options = DetectionOptions { scale_jitter: [jitter; 2], ..Default::default() };
        let placement = Placement::random(&mut Rng::new(seed, Stream::Augment, 0, 0), &options, w, h, side);
        let corners @ [x1, y1, x2, y2] = placement.box_to_canvas(bbox);
        let extent = placement.extent.map(f64::from);
        let dense = mask.to_dense();
        let set = |x: i64, y: i64| {
            x >= 0 && y >= 0 && x < i64::from(w) && y < i64::from(h) && dense[(y * i64::from(w) + x) as usize] == 1
        };

        // An edge lies where the annotation has it, or on the rim of what the canvas shows.
        let (a, b) = (placement.point_to_image(x1, y1), placement.point_to_image(x2, y2));
        let mirror = placement.mirrored;
        let (left, right) = if mirror { (b[0], a[0]) } else { (a[0], b[0]) };
        let (cut_left, cut_right) = if mirror { (x2, x1) } else { (x1, x2) };
        for (edge, annotated, canvas, rim) in [
            (left, bbox[0], cut_left, extent[0]), (right, bbox[0] + bbox[2], cut_right, extent[0]),
            (a[1], bbox[1], y1, extent[1]), (b[1], bbox[1] + bbox[3], y2, extent[1]),
        ] {
            let kept = (edge - annotated).abs() < 1e-6;
            prop_assert!(kept || canvas == 0.0 || canvas == rim, "edge at {} of {:?}", canvas, corners);
        }

        // Pixels of the canvas whose centre shows the object lie in the box. A polygon's pixels may reach past its
        // corners by less than one pixel of the image.
        let slack = 1e-6 + if kind == 2 { placement.scale } else { 0.0 };
        let mut in_box = false;
        for y in 0..placement.extent[1] { for x in 0..placement.extent[0] {
            let (x, y) = (f64::from(x) + 0.5, f64::from(y) + 0.5);
            let [u, v] = placement.point_to_image(x, y);
            if set(u.floor() as i64, v.floor() as i64) {
                prop_assert!(x > x1 - slack && x < x2 + slack && y > y1 - slack && y < y2 + slack,
                    "{} {} shows the object outside {:?}", x, y, corners);
                in_box |= x > x1 && x < x2 && y > y1 && y < y2;
            }
        }}

        // Kept exactly when a pixel of the mask reaches into the box.
        if x2 - x1 < 1e-3 || y2 - y1 < 1e-3 {
            return Ok(());
        }
        let m = 9;
        let mut target = vec![0u8; m * m];
        let kept = placement.crop_mask(&mask, corners, m, &mut target);
        let reaches = (0..i64::from(w)).flat_map(|x| (0..i64::from(h)).map(move |y| (x, y))).any(|(x, y)| {
            let (px, py) = (x as f64, y as f64);
            set(x, y) && px + 1.0 > left + 1e-5 && px < right - 1e-5 && py + 1.0 > a[1] + 1e-5 && py < b[1] - 1e-5
        });
        prop_assert!(kept || !in_box && !reaches, "the object is in sight but dropped");
        prop_assert!(!kept || reaches, "nothing of the object is in sight, but it is kept");

        // Each cell of the target says what its centre shows, but for the rim, where it is bilinear.
        for i in 0..m { for j in 0..m {
            let at = |k: usize, from: f64, to: f64| from + (k as f64 + 0.5) / m as f64 * (to - from);
            let [u, v] = placement.point_to_image(at(j, x1, x2), at(i, y1, y2));
            let (u, v) = (u.floor() as i64, v.floor() as i64);
            let around = (-1..=1).flat_map(|dx| (-1..=1).map(move |dy| (dx, dy)));
            let near = around.filter(|(dx, dy)| set(u + dx, v + dy)).count();
            let cell = target[i * m + j];
            prop_assert!(!kept || near > 0 || cell == 0, "cell {} {} is set far from the object", j, i);
            prop_assert!(!kept || near < 9 || cell == 1, "cell {} {} is not set inside the object", j, i);
        }}
    }
}

#[test]
fn an_object_out_of_sight_is_dropped() {
    // An L of one pixel's width: its box is cut to a part that holds nothing of it, but lies beside it.
    let mut dense = vec![0u8; 20 * 20];
    for k in 0..20 {
        dense[k * 20] = 1;
        dense[19 * 20 + k] = 1;
    }
    let mask = Rle::from_dense(&dense, 20, 20).unwrap();
    let placement = Placement { scale: 2.0, offset: [2, 0], extent: [20, 20], mirrored: false };
    let corners = placement.box_to_canvas(mask.bbox());
    assert_eq!(corners, [0.0, 0.0, 20.0, 20.0]);
    assert!(!placement.crop_mask(&mask, corners, 28, &mut [0; 28 * 28]));
    let shown = Placement { offset: [1, 0], ..placement };
    assert!(shown.crop_mask(&mask, shown.box_to_canvas(mask.bbox()), 28, &mut [0; 28 * 28]));
}
