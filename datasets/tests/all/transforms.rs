//! Crop, resize, flip and normalise against torchvision and Pillow: `golden/make_transforms.py`, `golden/make_crops.py`.

use adamv_datasets::augment::classification::{centre, eval, random_crop};
use adamv_datasets::augment::{mirror, resize, resize_box, write_normalised};
use adamv_datasets::image::{Rectangle, write_png};
use adamv_datasets::rng::{Rng, Stream};
use adamv_datasets::{BatchSource, ClassificationDataset, ClassificationOptions, Image, Pick, Split};
use proptest::prelude::*;
use serde::Deserialize;

use crate::support::picture;

#[derive(Deserialize)]
struct Golden {
    crop_and_resize: Vec<CropCase>,
    centre: Vec<CentreCase>,
    resize_box: Vec<BoxCase>,
    normalised: Vec<NormalisedCase>,
}

#[derive(Deserialize)]
struct CropCase {
    image: [u32; 2],
    crop: [u32; 4],
    side: u32,
    pixels: Vec<u8>,
}

#[derive(Deserialize)]
struct CentreCase {
    image: [u32; 2],
    share: Option<f64>,
    side: u32,
    pixels: Vec<u8>,
}

/// `golden/crops.json`.
#[derive(Deserialize)]
struct Crops {
    centres: Vec<CentreCase>,
    squashed: Vec<CentreCase>,
}

#[derive(Deserialize)]
struct BoxCase {
    image: [u32; 2],
    #[serde(rename = "box")]
    corners: [f64; 4],
    size: [u32; 2],
    pixels: Vec<u8>,
}

#[derive(Deserialize)]
struct NormalisedCase {
    image: [u32; 2],
    mirrored: bool,
    values: Vec<f32>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/transforms.json")).unwrap()
}

/// Both work in 8-bit fixed point, so a value may round the other way.
fn same_within(image: &Image, want: &[u8], levels: i32) {
    assert_eq!(image.rgb.len(), want.len());
    let worst = image.rgb.iter().zip(want).map(|(a, b)| (i32::from(*a) - i32::from(*b)).abs()).max();
    assert!(worst <= Some(levels), "differs by {worst:?}");
}

#[test]
fn crop_and_resize_is_torchvisions() {
    for case in golden().crop_and_resize {
        let [left, top, width, height] = case.crop;
        let area = Rectangle { left, top, width, height };
        let image = picture(case.image[0], case.image[1]);
        same_within(&resize(&image.cut(area), case.side, case.side), &case.pixels, 1);
    }
}

#[test]
fn centre_is_torchvisions_resize_and_crop() {
    for case in golden().centre {
        let image = picture(case.image[0], case.image[1]);
        same_within(&centre(&image, 0.875, case.side), &case.pixels, 1);
        same_within(&evaluated(&image, &ClassificationOptions::default(), case.side), &case.pixels, 1);
    }
}

/// The evaluation sample as bytes.
fn evaluated(image: &Image, options: &ClassificationOptions, side: u32) -> Image {
    let plane = (side * side) as usize;
    let mut canvas = vec![7.0; 3 * plane];
    eval(image, options, side as usize, &mut canvas);
    let byte = |at: usize, c: usize| (canvas[c * plane + at] * options.std[c] + options.mean[c]) * 255.0;
    let rgb = (0..plane).flat_map(|at| [0, 1, 2].map(|c| byte(at, c).round() as u8)).collect();
    Image { width: side, height: side, rgb }
}

#[test]
fn the_evaluation_crop_is_what_the_options_say() {
    let crops: Crops = serde_json::from_str(include_str!("../golden/crops.json")).unwrap();
    for case in crops.centres.iter().chain(&crops.squashed) {
        let options = ClassificationOptions { eval_crop: case.share, ..Default::default() };
        let image = picture(case.image[0], case.image[1]);
        same_within(&evaluated(&image, &options, case.side), &case.pixels, 1);
    }
    assert!(crops.centres.iter().all(|case| case.share.is_some()));
    assert!(crops.squashed.iter().all(|case| case.share.is_none()));
}

#[test]
fn mean_and_deviation_of_one_half_give_pixels_from_minus_1_to_1() {
    let dir = tempfile::tempdir().unwrap();
    let greys = [0, 51, 255].map(|v| (v, format!("{v:03}")));
    for (value, class) in &greys {
        for split in ["train", "val"] {
            let folder = dir.path().join(split).join(class);
            std::fs::create_dir_all(&folder).unwrap();
            let grey = Image { width: 8, height: 8, rgb: vec![*value; 3 * 8 * 8] };
            write_png(&folder.join("a.png"), &grey).unwrap();
        }
    }
    let options = ClassificationOptions { mean: [0.5; 3], std: [0.5; 3], ..Default::default() };
    let open = |split| ClassificationDataset::open(dir.path(), split, &options, 8).unwrap();
    let train = open(Split::Train).train_batch(&[0, 1, 2].map(|index| Pick { index, epoch: 0 }), 0).unwrap();
    let eval = open(Split::Val).eval_batch(&[0, 1, 2]).unwrap();
    for batch in [train, eval] {
        // 51 is a fifth of 255.
        for (sample, want) in batch.images.chunks(3 * 8 * 8).zip([-1.0, -0.6, 1.0_f32]) {
            assert!(sample.iter().all(|v| (v - want).abs() < 1e-6), "{}, want {want}", sample[0]);
        }
    }
}

#[test]
fn resize_box_is_pillows() {
    for case in golden().resize_box {
        let [x0, y0, x1, y1] = case.corners;
        let image = picture(case.image[0], case.image[1]);
        let out = resize_box(&image, [x0, y0, x1 - x0, y1 - y0], case.size[0], case.size[1]);
        same_within(&out, &case.pixels, 1);
    }
}

#[test]
fn flip_and_normalise_are_torchvisions() {
    let options = ClassificationOptions::default();
    for case in golden().normalised {
        let image = picture(case.image[0], case.image[1]);
        let side = 9;
        let mut canvas = vec![7.0; 3 * side * side];
        write_normalised(&image, case.mirrored, options.mean, options.std, side, &mut canvas);
        if case.mirrored {
            let (mut turned, mut again) = (image, vec![7.0; canvas.len()]);
            mirror(&mut turned);
            write_normalised(&turned, false, options.mean, options.std, side, &mut again);
            assert_eq!(canvas, again);
        }
        let (w, h) = (case.image[0] as usize, case.image[1] as usize);
        for c in 0..3 {
            for y in 0..side {
                for x in 0..side {
                    let want = if x < w && y < h { case.values[(c * h + y) * w + x] } else { 0.0 };
                    assert!((canvas[(c * side + y) * side + x] - want).abs() < 1e-5);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn a_random_crop_lies_inside_and_keeps_its_bounds(w in 1u32..400, h in 1u32..400, seed: u64) {
        let options = ClassificationOptions::default();
        let area = random_crop(&mut Rng::new(seed, Stream::Augment, 0, 0), w, h, &options);
        prop_assert!(area.width >= 1 && area.height >= 1);
        prop_assert!(area.left + area.width <= w && area.top + area.height <= h);
        // Rounding to whole pixels bends share and ratio of small crops.
        let share = f64::from(area.width * area.height) / f64::from(w * h);
        if w.min(h) > 100 && w.max(h) < 2 * w.min(h) {
            prop_assert!((0.075..=1.0).contains(&share), "share {}", share);
            let ratio = f64::from(area.width) / f64::from(area.height);
            prop_assert!((0.72..=1.39).contains(&ratio), "ratio {}", ratio);
        }
    }

    #[test]
    fn any_image_has_a_centre(w in 1u32..300, h in 1u32..300, share in 0.01..=1.0, side in 1u32..40) {
        let out = centre(&picture(w, h), share, side);
        prop_assert_eq!(out.rgb.len(), (3 * side * side) as usize);
    }
}

#[test]
fn very_long_images_cost_no_more_than_others() {
    for share in [0.01, 0.875, 1.0] {
        let out = centre(&picture(1, 30_000), share, 64);
        assert_eq!((out.width, out.height), (64, 64));
    }
}
