//! A run that is killed again and again ends with the bits of one that was not. A program of its own, so that no other test
//! runs beside it and changes how long things take.

mod common;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Instant;

use common::{TINY, adamv, bench, wait, with_suite};
use serde_json::Value;

/// Pseudo-random numbers from 0 to 1 (Knuth's MMIX generator).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Phases that were over and steps of the next one, as the last checkpoint has it; none before the first.
fn position(cell: &Path) -> Option<(u64, u64)> {
    let text = fs::read(cell.join("checkpoints/position.json")).ok()?;
    let position: Value = serde_json::from_slice(&text).unwrap();
    Some((position["phase"].as_u64().unwrap(), position["step"].as_u64().unwrap()))
}

/// Experts that each task was to use at the last checkpoint, once adaptive selection has decided anything.
fn experts(cell: &Path) -> Option<Vec<u64>> {
    let text = fs::read(cell.join("checkpoints/position.json")).ok()?;
    let position: Value = serde_json::from_slice(&text).unwrap();
    let decisions = position["aes"]["decisions"].as_array()?;
    let used: Vec<u64> = decisions.iter().rev().take(2).map(|decision| decision["k_after"].as_u64().unwrap()).collect();
    (!used.is_empty()).then_some(used)
}

/// Runs the only cell of `system` whole, and once more with `kills` kills, and compares what they leave. Returns
/// the experts in use at each kill.
fn same_bits(system: &str, kills: usize, more: &str) -> Vec<Option<Vec<u64>>> {
    let text = TINY.replace("steps: 6", "steps: 150").replace("scenes: {images: 32", "scenes: {images: 64");
    let text = text.replace("[stl, mtl-vit]", &format!("[{system}]")) + more;
    let dir = with_suite(&text);
    let dir = dir.path();
    let only = format!("system={system}");
    let arguments = |out| ["run", "suite.yaml", "--only", &only, "--out", out];
    // Of a command that does next to nothing. The shorter of two: the first may wait for the disk.
    let idle = || {
        let began = Instant::now();
        adamv(dir, &["cost", "--system", system, "--backbone", "vit-micro"]).expect(0);
        began.elapsed()
    };
    let start_up = idle().min(idle());
    let began = Instant::now();
    adamv(dir, &arguments("whole")).expect(0);
    let work = began.elapsed().saturating_sub(start_up);

    let mut random = Random(20_240_601);
    let name = format!("{system}-vit-micro-s0");
    let cell = dir.join("killed").join(&name);
    let (mut positions, mut used) = (vec![None], Vec::new());
    for kill in 0..kills {
        let before = position(&cell);
        let mut child =
            bench(dir).args(arguments("killed")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Every third kill may come before the run's first checkpoint, the others a few steps after one: ten kills
        // come nowhere near the end, however fast the machine is.
        if kill % 3 == 0 {
            sleep(start_up.mul_f64(0.6));
        } else {
            wait(&mut child, "another checkpoint", || position(&cell) > before);
        }
        sleep(work.mul_f64(random.next() / 60.0));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!cell.join("record.json").exists(), "the run ended before kill {kill}");
        positions.push(position(&cell));
        used.push(experts(&cell));
    }
    assert!(positions.is_sorted(), "training went back: {positions:?}");
    positions.dedup();
    assert!(positions.len() > kills / 2, "kills came after too few different checkpoints: {positions:?}");
    adamv(dir, &arguments("killed")).expect(0);
    let mut files =
        vec!["checkpoints/final.safetensors", "predictions/detection.json", "predictions/classification.parquet"];
    files.push("probes/errors.parquet");
    if system != "stl" {
        files.push("probes/gradients.parquet");
    }
    if system == "adamv-moe" {
        files.extend(["probes/routing_changes.parquet", "probes/expert_use.parquet", "probes/routed_images.parquet"]);
    }
    for file in files {
        let read = |out: &str| fs::read(dir.join(out).join(&name).join(file)).unwrap();
        assert!(read("whole") == read("killed"), "{system}: {file} differs after {kills} kills");
    }
    used
}

/// One after the other: two at once would change how long things take.
#[test]
fn killed_again_and_again_and_still_the_same_bits() {
    same_bits("stl", 10, "");
    same_bits("mtl-vit", 3, "");
    // In two stages, of which the first is so short that kills come in both.
    for system in ["large-dense", "taps", "mtl-moe"] {
        let short = format!("by_system: {{{system}: {{training.two_stages: true, training.first_stage.steps: 9}}}}\n");
        same_bits(system, 4, &short);
    }
    // Losses that rise, so that the number of experts changes; most of the time is spent where it can.
    let rising = "\
by_system:
  adamv-moe:
    {training.aes.every: 4, training.joint.learning_rate: 0.03, training.first_stage.steps: 4}
";
    let used = same_bits("adamv-moe", 12, rising);
    let mut changes: Vec<_> = used.iter().flatten().collect();
    changes.dedup();
    assert!(changes.len() > 1, "the number of experts didn't change between kills: {used:?}");
}
