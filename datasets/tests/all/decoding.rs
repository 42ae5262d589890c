//! Every kind of file in `fixtures` reads as Pillow reads it, and broken ones are named.

use std::fs;
use std::io::{Seek, SeekFrom, Write};

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

// Both change one file in place: thousands of new files take seconds on a slow disk.
#[test]
fn a_file_cut_anywhere_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["rgb.jpg", "progressive.jpg", "exif6.jpg", "cmyk.jpg", "rgb.png"] {
        let path = dir.path().join(name);
        let bytes = fs::read(fixtures().join(name)).unwrap();
        fs::write(&path, &bytes).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        for length in (0..bytes.len()).rev() {
            file.set_len(length as u64).unwrap();
            assert!(decode(&path).is_err(), "{name} cut to {length} of {} bytes", bytes.len());
        }
    }
}

#[test]
fn damaged_bytes_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["rgb.jpg", "progressive.jpg", "exif6.jpg", "cmyk.jpg", "rgb.png", "palette.png"] {
        let path = dir.path().join(name);
        let bytes = fs::read(fixtures().join(name)).unwrap();
        fs::write(&path, &bytes).unwrap();
        let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        let mut put = |at: usize, byte: u8| {
            file.seek(SeekFrom::Start(at as u64)).unwrap();
            file.write_all(&[byte]).unwrap();
        };
        for (at, &byte) in bytes.iter().enumerate().skip(2) {
            put(at, byte ^ 0x55);
            let _ = decode(&path);
            put(at, byte);
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
fn bombs_are_refused_by_their_headers() {
    for (name, size) in [("bomb.png", "100000 x 100000"), ("bomb.jpg", "65535 x 65535")] {
        let message = decode(&fixtures().join(name)).unwrap_err().to_string();
        assert!(message.contains(name) && message.contains(size) && message.contains("limit"), "{message}");
    }
    // Below the limit, and yet more than the file can hold: 12,000 x 12,000.
    let mut bytes = fs::read(fixtures().join("rgb.jpg")).unwrap();
    let frame = bytes.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    bytes[frame + 5..frame + 9].copy_from_slice(&[0x2E, 0xE0, 0x2E, 0xE0]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hollow.jpg");
    fs::write(&path, bytes).unwrap();
    let message = decode(&path).unwrap_err().to_string();
    assert!(message.contains("952 bytes cannot hold 12000 x 12000"), "{message}");
    // Nothing packs as densely as one colour, and it is read.
    let flat = adamv_datasets::Image { width: 3000, height: 2000, rgb: vec![7; 18_000_000] };
    write_png(&path, &flat).unwrap();
    assert_eq!(decode(&path).unwrap(), flat);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_names_the_path_and_the_mend() {
    // Every write to this device fails as on a full disk.
    let message = write_png("/dev/full".as_ref(), &picture(200, 200)).unwrap_err().to_string();
    assert!(message.contains("/dev/full") && message.contains("Free space"), "{message}");
}
