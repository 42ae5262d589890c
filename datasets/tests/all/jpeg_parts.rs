//! Baseline JPEGs: pixel for pixel what libjpeg-turbo reads (`golden/make_jpegs.py`), whole or in part, whichever way up.

use std::fs;
use std::path::{Path, PathBuf};

use adamv_datasets::image::{Encoded, Rectangle, decode};
use proptest::prelude::*;

fn jpegs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/jpegs");
    let mut found: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    found.retain(|p| p.extension().is_some_and(|e| e == "jpg"));
    found.sort();
    assert_eq!(found.len(), 13);
    found
}

#[test]
fn pixels_are_libjpeg_turbos() {
    for path in jpegs() {
        let (ours, theirs) = (decode(&path).unwrap(), decode(&path.with_extension("png")).unwrap());
        assert_eq!((ours.width, ours.height), (theirs.width, theirs.height));
        let worst = ours.rgb.iter().zip(&theirs.rgb).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert_eq!(worst, 0, "{}", path.display());
    }
}

/// A JPEG with an EXIF orientation put in front of its other segments.
fn turned(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let exif: &[u8] =
        &[b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".as_slice(), &[orientation, 0, 0]].concat();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xFF, 0xE1], &length, exif, &jpeg[2..]].concat()
}

proptest! {
    #[test]
    fn a_part_is_cut_from_the_whole(
        which in 0usize..13, orientation in 1u8..=8, left in 0.0f64..1.0, top in 0.0f64..1.0, right in 0.0f64..1.0, bottom in 0.0f64..1.0,
    ) {
        let path = &jpegs()[which];
        let bytes = turned(&fs::read(path).unwrap(), orientation);
        let whole = Encoded::open(path, &bytes).unwrap().decode().unwrap();
        let source = Encoded::open(path, &bytes).unwrap();
        prop_assert_eq!((source.width(), source.height()), (whole.width, whole.height));
        let span = |a: f64, b: f64, size: u32| {
            let (a, b) = ((a.min(b) * f64::from(size)) as u32, (a.max(b) * f64::from(size)) as u32);
            (a, (b - a).max(1))
        };
        let ((left, width), (top, height)) = (span(left, right, whole.width), span(top, bottom, whole.height));
        let area = Rectangle { left, top, width, height };
        prop_assert_eq!(source.decode_part(area).unwrap(), whole.cut(area));
    }
}

#[test]
fn damage_is_found_when_the_whole_is_read() {
    let path = &jpegs()[2];
    let mut bytes = fs::read(path).unwrap();
    // A marker that has no place there, in the middle of the pixels.
    let middle = bytes.len() * 2 / 3;
    bytes[middle] = 0xFF;
    bytes[middle + 1] = 0xC4;
    let message = Encoded::open(path, &bytes).and_then(Encoded::decode).unwrap_err().to_string();
    assert!(message.contains(path.to_str().unwrap()) && message.contains("JPEG"), "{message}");
}
