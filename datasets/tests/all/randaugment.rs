//! RandAugment's operations and strengths against torchvision (`golden/make_augment.py`), and its place in a sample.

use std::collections::HashMap;

use adamv_datasets::augment::classification::{random_crop, train};
use adamv_datasets::augment::randaugment::{BINS, Operation, apply, draw};
use adamv_datasets::augment::{mirror, resize, write_normalised};
use adamv_datasets::image::{Encoded, write_png};
use adamv_datasets::rng::{Rng, Stream};
use adamv_datasets::{ClassificationOptions, Image, Pick, RandAugmentOptions};
use serde::Deserialize;

use crate::support::picture;

#[derive(Deserialize)]
struct Golden {
    operations: Vec<OperationCase>,
    spaces: Vec<Space>,
}

#[derive(Deserialize)]
struct OperationCase {
    operation: String,
    magnitude: f64,
    image: [u32; 2],
    tone: String,
    pixels: String,
}

#[derive(Deserialize)]
struct Space {
    image: [u32; 2],
    operations: Vec<Magnitudes>,
}

#[derive(Deserialize)]
struct Magnitudes {
    operation: String,
    signed: bool,
    magnitudes: Vec<f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/augment.json")).unwrap()
}

/// As in the script.
fn toned([width, height]: [u32; 2], tone: &str) -> Image {
    let mut image = picture(width, height);
    for (v, flat) in image.rgb.iter_mut().zip([10, 120, 200].into_iter().cycle()) {
        *v = match tone {
            "full" => *v,
            "dim" => *v / 3 + 40,
            "flat" => flat,
            other => panic!("{other}"),
        };
    }
    image
}

#[test]
fn operations_are_torchvisions_to_the_last_bit() {
    let cases = golden().operations;
    for operation in Operation::ALL {
        let name = format!("{operation:?}");
        let mut seen = 0;
        for case in cases.iter().filter(|c| c.operation == name) {
            let mut image = toned(case.image, &case.tone);
            operation.apply(&mut image, case.magnitude);
            let hex: String = image.rgb.iter().map(|v| format!("{v:02x}")).collect();
            assert_eq!([image.width, image.height], case.image);
            assert_eq!(hex, case.pixels, "{name} {} on {:?} {}", case.magnitude, case.image, case.tone);
            seen += 1;
        }
        assert!(seen >= 2, "{name}");
    }
}

#[test]
fn magnitudes_are_torchvisions() {
    for space in golden().spaces {
        let [width, height] = space.image;
        assert_eq!(space.operations.len(), Operation::ALL.len());
        for (operation, want) in Operation::ALL.into_iter().zip(space.operations) {
            assert_eq!((format!("{operation:?}"), operation.signed()), (want.operation, want.signed));
            let got: Vec<f64> = (0..BINS).map(|bin| operation.magnitude(bin, width, height)).collect();
            assert_eq!(got, want.magnitudes, "{operation:?}");
        }
    }
}

#[test]
fn operations_and_signs_are_drawn_evenly() {
    let mut rng = Rng::new(0, Stream::Augment, 0, 0);
    let mut counts: HashMap<(Operation, bool), usize> = HashMap::new();
    for _ in 0..28_000 {
        let (operation, magnitude) = draw(&mut rng, 9, 100, 50);
        assert_eq!(magnitude.abs(), operation.magnitude(9, 100, 50));
        *counts.entry((operation, magnitude < 0.0)).or_default() += 1;
    }
    // 2000 expected of each operation; a standard deviation is 43.
    for operation in Operation::ALL {
        let of = |negative| counts.get(&(operation, negative)).copied().unwrap_or(0);
        let spread = if operation.signed() { [1000, 1000] } else { [2000, 0] };
        for (got, want) in [of(false), of(true)].into_iter().zip(spread) {
            assert!(got.abs_diff(want) <= want / 10, "{operation:?}: {got} instead of {want}");
        }
    }
}

/// The file of a picture of 50 x 40.
fn file() -> Vec<u8> {
    let path = tempfile::NamedTempFile::new().unwrap();
    write_png(path.path(), &picture(50, 40)).unwrap();
    std::fs::read(path.path()).unwrap()
}

fn sample(file: &[u8], options: &ClassificationOptions, index: usize) -> Vec<f32> {
    let mut canvas = vec![0.0; 3 * 16 * 16];
    let image = Encoded::open("picture".as_ref(), file).unwrap();
    train(&image, options, 1, Pick { index, epoch: 2 }, 16, &mut canvas).unwrap();
    canvas
}

#[test]
fn a_sample_is_cropped_resized_flipped_augmented_and_normalised_in_this_order() {
    let chosen = RandAugmentOptions::default();
    let options = ClassificationOptions { randaugment: Some(chosen), ..Default::default() };
    let file = file();
    for index in 0..40 {
        let mut rng = Rng::new(1, Stream::Augment, 2, index as u64);
        let area = random_crop(&mut rng, 50, 40, &options);
        let mirrored = rng.coin();
        let mut image = resize(&picture(50, 40).cut(area), 16, 16);
        if mirrored {
            mirror(&mut image);
        }
        apply(&mut rng, chosen, &mut image);
        let mut canvas = vec![0.0; 3 * 16 * 16];
        write_normalised(&image, false, options.mean, options.std, 16, &mut canvas);
        assert_eq!(sample(&file, &options, index), canvas, "sample {index}");
    }
}

#[test]
fn crop_and_flip_are_the_same_with_it_and_without() {
    let plain = ClassificationOptions::default();
    let one = RandAugmentOptions { ops: 1, ..Default::default() };
    let augmented = ClassificationOptions { randaugment: Some(one), ..Default::default() };
    // One operation in fourteen is the identity: these samples show their crop and flip.
    let file = file();
    let same = (0..280).filter(|&i| sample(&file, &plain, i) == sample(&file, &augmented, i)).count();
    assert!((10..60).contains(&same), "{same} of 280");
}
