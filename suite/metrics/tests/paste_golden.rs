//! Mask pasting against torchvision, pixel by pixel (`golden/make_paste.py`).

use adamv_metrics::mask::{RleString, decode_rows};
use adamv_metrics::paste_mask;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    m: usize,
    /// M x M bytes in hexadecimal; a probability is byte / 255.
    mask: String,
    r#box: [f32; 4],
    height: u32,
    width: u32,
    counts: String,
}

#[test]
fn equals_torchvision_pixel_by_pixel() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("golden/paste.json")).unwrap();
    assert_eq!(cases.len(), 48);
    for (index, case) in cases.iter().enumerate() {
        let mask: Vec<f32> = (0..case.mask.len())
            .step_by(2)
            .map(|at| f32::from(u8::from_str_radix(&case.mask[at..at + 2], 16).unwrap()) / 255.0)
            .collect();
        let expected = RleString { size: [case.height, case.width], counts: case.counts.clone() };
        let rle = paste_mask(&mask, case.m, case.r#box, case.height, case.width).unwrap();
        let different = decode_rows(&rle)
            .unwrap()
            .iter()
            .zip(decode_rows(&expected).unwrap())
            .filter(|(got, want)| **got != *want)
            .count();
        assert_eq!(different, 0, "case {index}, box {:?}", case.r#box);
        assert_eq!(rle, expected, "case {index}");
    }
}
