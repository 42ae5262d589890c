//! Every kind of file in `fixtures` reads as Pillow reads it, and broken ones are named.

use std::fs;

use adamv_datasets::image::{decode, write_png};
use serde_json::Value;

use crate::support::{fixtures, picture};

/// Largest difference of a channel: none, but for what zune-jpeg decodes, which rounds the inverse transform and the
/// upsampling of colour in its own way.
fn tolerance(name: &str) -> i64 {
    match name {
        "progressive.jpg" => 6,
        "cmyk.jpg" => 3,
        _ => 0,
    }
}

#[test]
fn reads_what_pillow_reads() {
    let text = fs::read_to_string(fixtures().join("expected.json")).unwrap();
    let expected: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(expected.len(), 16);
    for (name, want) in expected {
        let image = decode(&fixtures().join(&name)).unwrap();
        assert_eq!(want["size"], serde_json::json!([image.width, image.height]), "{name}");
        for sample in want["samples"].as_array().unwrap() {
            let s: Vec<i64> = sample.as_array().unwrap().iter().map(|v| v.as_i64().unwrap()).collect();
            let at = 3 * (s[1] as usize * image.width as usize + s[0] as usize);
            for c in 0..3 {
                let difference = (i64::from(image.rgb[at + c]) - s[2 + c]).abs();
                assert!(difference <= tolerance(&name), "{name} at {s:?} channel {c}: {}", image.rgb[at + c]);
            }
        }
    }
}

#[test]
fn broken_files_name_themselves() {
    let cases =
        [("truncated.jpg", "truncated"), ("empty.jpg", "0 bytes"), ("text.jpg", "neither"), ("absent.jpg", "path")];
    for (name, what) in cases {
        let message = decode(&fixtures().join(name)).unwrap_err().to_string();
        assert!(message.contains(name) && message.contains(what), "{message}");
    }
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["rgb.jpg", "progressive.jpg", "exif6.jpg", "cmyk.jpg", "rgb.png"] {
        let bytes = fs::read(fixtures().join(name)).unwrap();
        for length in 0..bytes.len() {
            let path = dir.path().join(name);
            fs::write(&path, &bytes[..length]).unwrap();
            assert!(decode(&path).is_err(), "{name} cut to {length} of {} bytes", bytes.len());
        }
    }
}

#[test]
fn damaged_bytes_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["rgb.jpg", "progressive.jpg", "exif6.jpg", "cmyk.jpg", "rgb.png", "palette.png"] {
        let bytes = fs::read(fixtures().join(name)).unwrap();
        for at in 2..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            let path = dir.path().join(name);
            fs::write(&path, damaged).unwrap();
            let _ = decode(&path);
        }
    }
}

#[test]
fn a_png_comes_back_as_written() {
    let path = tempfile::tempdir().unwrap().keep().join("x.png");
    let image = picture(33, 21);
    write_png(&path, &image).unwrap();
    assert_eq!(decode(&path).unwrap(), image);
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

#[test]
fn a_huge_image_is_refused_before_it_is_decoded() {
    // A PNG header that claims 60000 x 60000 pixels, with a right checksum (CRC-32 as in PNG).
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(60_000u32.to_be_bytes());
    chunk.extend(60_000u32.to_be_bytes());
    chunk.extend([8, 2, 0, 0, 0]);
    let crc = chunk.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xEDB8_8320 } else { c >> 1 })
    });
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    file.extend(13u32.to_be_bytes());
    file.extend(chunk);
    file.extend((!crc).to_be_bytes());
    file.extend([0, 0, 0, 0]);
    file.extend(b"IDAT");
    file.extend([0x35, 0xAF, 0x06, 0x1E]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("huge.png");
    fs::write(&path, file).unwrap();
    let message = decode(&path).unwrap_err().to_string();
    assert!(message.contains("60000 x 60000") && message.contains("limit"), "{message}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_names_the_path_and_the_mend() {
    // Every write to this device fails as on a full disk.
    let message = write_png("/dev/full".as_ref(), &picture(200, 200)).unwrap_err().to_string();
    assert!(message.contains("/dev/full") && message.contains("Free space"), "{message}");
}
