//! A run that is killed again and again ends with the bits of one that was not. A program of its own, so that no other test
//! runs beside it and changes how long things take.

mod common;

use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Instant;

use common::{TINY, adamv, bench, with_suite};

/// Pseudo-random numbers from 0 to 1 (Knuth's MMIX generator).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[test]
fn killed_ten_times_and_still_the_same_bits() {
    const KILLS: usize = 10;
    let text = TINY.replace("steps: 6", "steps: 60").replace("scenes: {images: 32", "scenes: {images: 64");
    let dir = with_suite(&text);
    let dir = dir.path();
    let arguments = |out| ["run", "suite.yaml", "--only", "system=stl", "--out", out];
    let began = Instant::now();
    adamv(dir, &[&arguments("whole")[..], &["--dry-run"]].concat()).expect(0);
    let start_up = began.elapsed();
    let began = Instant::now();
    adamv(dir, &arguments("whole")).expect(0);
    let work = began.elapsed().saturating_sub(start_up);

    let mut random = Random(20_240_601);
    let record = dir.join("killed/stl-vit-micro-s0/record.json");
    for kill in 0..KILLS {
        let mut child =
            bench(dir).args(arguments("killed")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // On average a twentieth of the work each time, so that ten kills do not reach the end.
        sleep(start_up.mul_f64(0.8) + work.mul_f64(random.next() / 10.0));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!record.exists(), "the run ended before kill {kill}");
    }
    let checkpoints = dir.join("killed/stl-vit-micro-s0/checkpoints");
    assert!(fs::read_dir(checkpoints).unwrap().count() > 0, "no kill came after a checkpoint");
    adamv(dir, &arguments("killed")).expect(0);
    for file in ["checkpoints/final.safetensors", "predictions/detection.json"] {
        let read = |out: &str| fs::read(dir.join(out).join("stl-vit-micro-s0").join(file)).unwrap();
        assert!(read("whole") == read("killed"), "{file} differs after {KILLS} kills");
    }
}
