//! What the end-to-end tests share: the binary, its outcome, a tiny suite. No test lives here.
#![allow(dead_code, reason = "each test file is a program of its own and uses a part of this")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A command that starts in an empty folder of its own.
pub fn bench(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_adamv-bench"));
    command.current_dir(dir);
    command
}

/// How a command ended.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the binary with these arguments.
pub fn adamv(dir: &Path, arguments: &[&str]) -> Outcome {
    outcome(bench(dir).args(arguments).output().expect("the binary starts"))
}

pub fn outcome(output: Output) -> Outcome {
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
    }
}

impl Outcome {
    /// The outcome, when its code is the wanted one.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The outcome, when stderr has this text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no `{text}` in stderr:\n{}", self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }
}

/// Waits until a running command has brought something about; panics after a minute, or when the command ends first.
#[track_caller]
pub fn wait(child: &mut Child, what: &str, mut there: impl FnMut() -> bool) {
    let began = Instant::now();
    while !there() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} does not appear");
        assert!(child.try_wait().unwrap().is_none(), "the command ended before {what} appeared");
        sleep(Duration::from_millis(2));
    }
}

pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

/// A suite of two cells with few and tiny steps, on scenes that take a moment to make.
pub const TINY: &str = "\
name: tiny
description: a few steps of both systems
task_version: 1
systems: [stl, mtl-vit]
backbones: [vit-micro]
seeds: [0]
data:
  scenes: {images: 32, size: 32}
  detection: {scale_jitter: [0.8, 1.25], max_instances: 8, mask_size: 28}
model:
  backbone: {depth: 2, width: 32, heads: 2, mlp: 64}
  inputs:
    classification: {image_size: 32, patch_size: 8}
    detection: {image_size: 32, patch_size: 8}
  detector: {channels: 16, box_fc: 32, box_convs: 1, mask_convs: 1, rpn_pre_nms: 50, rpn_post_nms: 20, rois: 16, mask_rois: 4}
training:
  classification: {steps: 6, learning_rate: 1e-3, warmup: 2, batch: {classification: 4}}
  detection: {steps: 6, learning_rate: 1e-3, warmup: 2, batch: {detection: 2}}
  joint: {steps: 6, learning_rate: 1e-3, warmup: 2, batch: {classification: 4, detection: 2}}
  first_stage: {steps: 6, learning_rate: 1e-3, warmup: 2, batch: {classification: 4}}
  log_every: 2
  checkpoint_every: 3
";

/// A folder with the suite as `suite.yaml`.
pub fn with_suite(text: &str) -> TempDir {
    let dir = folder();
    fs::write(dir.path().join("suite.yaml"), text).expect("the suite can be written");
    dir
}

/// The folder of real data: $ADAMV_REAL_DATA, or ../shared/real beside the repository; says that `what` is skipped when
/// there is none.
pub fn real_data(what: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/real");
    let path = std::env::var_os("ADAMV_REAL_DATA").map_or(beside, PathBuf::from);
    match path.canonicalize() {
        Ok(path) => Some(path),
        Err(_) => {
            eprintln!("skipped: {what} (../shared/real is not here, and ADAMV_REAL_DATA names no other place)");
            None
        }
    }
}
