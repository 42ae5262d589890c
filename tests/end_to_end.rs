//! A tiny suite from start to report, and what happens when something is in the way.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{TINY, adamv, bench, folder, with_suite};
use serde_json::Value;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))).unwrap()
}

/// Waits for a file, or panics after a minute.
fn wait_for(path: &Path, child: &mut Child) {
    let began = Instant::now();
    while !path.exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "{} does not appear", path.display());
        assert!(child.try_wait().unwrap().is_none(), "the run ended before {} appeared", path.display());
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn run_status_run_again_report_predict() {
    let dir = with_suite(TINY);
    let dir = dir.path();
    let first = adamv(dir, &["run", "suite.yaml", "--out", "out"]).expect(0);
    assert!(first.stdout.contains("next: adamv-bench report out --out out/report"), "{}", first.stdout);
    for cell in ["stl-vit-micro-s0", "mtl-vit-vit-micro-s0"] {
        assert!(first.stdout.contains(cell), "{}", first.stdout);
        let cell = dir.join("out").join(cell);
        let record = json(&cell.join("record.json"));
        assert_eq!(record["status"], "done");
        assert_eq!(record["config"]["training"]["joint"]["steps"], 6);
        assert!(record["metrics"]["classification"]["top1"].is_f64());
        assert!(record["metrics"]["detection"]["segm"]["AP"].is_f64());
        assert!(cell.join("history.parquet").is_file());
        assert!(cell.join("predictions/classification.parquet").is_file());
        assert!(cell.join("predictions/detection.json").is_file());
        assert!(cell.join("checkpoints/final.safetensors").is_file());
        assert!(!cell.join("progress.json").exists());
    }

    let status = adamv(dir, &["status", "out"]).expect(0).stdout;
    assert!(status.contains("2 done, 0 running, 0 failed"), "{status}");
    let rows: Value = serde_json::from_str(&adamv(dir, &["status", "out", "--json"]).expect(0).stdout).unwrap();
    assert!(rows.as_array().unwrap().len() == 2 && rows[0]["state"] == "done", "{rows}");

    let record = dir.join("out/stl-vit-micro-s0/record.json");
    let before = fs::read(&record).unwrap();
    let again = adamv(dir, &["run", "suite.yaml", "--out", "out"]).expect(0);
    assert_eq!(again.stderr.matches("is done already").count(), 2, "{}", again.stderr);
    assert_eq!(fs::read(&record).unwrap(), before);
    let plan = adamv(dir, &["run", "suite.yaml", "--out", "out", "--dry-run"]).expect(0);
    assert!(plan.stdout.contains("2 cells, 0 to run"), "{}", plan.stdout);

    // The same cell with another configuration is not overwritten.
    adamv(dir, &["run", "suite.yaml", "--out", "out", "--set", "training.joint.steps=7"])
        .expect(2)
        .says("training.joint.steps (6 there, 7 now)")
        .says("--out");

    adamv(dir, &["report", "out", "--out", "pages"]).expect(0);
    let page = fs::read_to_string(dir.join("pages/report.html")).unwrap();
    assert!(page.contains("mtl-vit") && !page.contains("src=\"http"));
    assert!(fs::read_to_string(dir.join("pages/report.md")).unwrap().contains("stl"));

    let images = "out/data/scenes-32x32-s0/detection/val";
    adamv(dir, &["predict", "--cell", "out/mtl-vit-vit-micro-s0", "--images", images, "--out", "predicted"]).expect(0);
    assert!(dir.join("predicted/classification.parquet").is_file());
    assert!(json(&dir.join("predicted/detection.json")).is_array());
    adamv(dir, &["predict", "--cell", "out/none", "--images", images, "--out", "p2"]).says("out/none");

    // Weights of one architecture into another: the file is named, and nothing is written.
    let weights = "out/stl-vit-micro-s0/checkpoints/final.safetensors";
    let outcome = adamv(
        dir,
        &["features", "--backbone", "vit-small", "--weights", weights, "--input", weights, "--out", "f.safetensors"],
    );
    assert_ne!(outcome.code, 0);
    let _ = outcome.says("final.safetensors");
    assert!(!dir.join("f.safetensors").exists());
}

#[test]
fn cells_of_an_earlier_choice_stay_in_the_plan() {
    let dir = with_suite(TINY);
    let dir = dir.path();
    adamv(dir, &["run", "suite.yaml", "--out", "out", "--only", "system=stl"]).expect(0);
    adamv(dir, &["run", "suite.yaml", "--out", "out", "--only", "system=mtl-vit"]).expect(0);
    let status = adamv(dir, &["status", "out"]).expect(0).stdout;
    assert!(status.contains("2 done"), "{status}");
    let other = TINY.replace("name: tiny", "name: other");
    fs::write(dir.join("other.yaml"), other).unwrap();
    adamv(dir, &["run", "other.yaml", "--out", "out"]).expect(2).says("holds a run of the suite `tiny`");
}

#[test]
fn one_process_a_run_directory() {
    let dir = with_suite(TINY);
    let dir = dir.path();
    let long = ["run", "suite.yaml", "--out", "out", "--set", "training.classification.steps=1000000"];
    let mut holder = bench(dir).args(long).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for(&dir.join("out/stl-vit-micro-s0/progress.json"), &mut holder);
    adamv(dir, &long).expect(5).says("in use by another adamv-bench").says(&holder.id().to_string());
    let status = adamv(dir, &["status", "out"]).expect(0).stdout;
    assert!(status.contains("1 running"), "{status}");
    holder.kill().unwrap();
    holder.wait().unwrap();
    let status = adamv(dir, &["status", "out"]).expect(0).stdout;
    assert!(status.contains("0 running") && status.contains("2 waiting"), "{status}");
}

#[test]
fn a_checkpoint_of_another_architecture_is_refused() {
    let dir = with_suite(TINY);
    let dir = dir.path();
    let long =
        ["run", "suite.yaml", "--out", "out", "--only", "system=mtl-vit", "--set", "training.joint.steps=1000000"];
    let mut child = bench(dir).args(long).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let checkpoints = dir.join("out/mtl-vit-vit-micro-s0/checkpoints");
    wait_for(&checkpoints, &mut child);
    while !fs::read_dir(&checkpoints)
        .unwrap()
        .flatten()
        .any(|e| e.file_name().to_string_lossy().ends_with(".safetensors"))
    {
        assert!(child.try_wait().unwrap().is_none());
        sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let outcome = adamv(dir, &[&long[..], &["--set", "model.backbone.width=64"]].concat()).expect(2);
    let _ = outcome.says("mtl-vit-vit-micro-s0").says("model.backbone.width");
    assert!(!dir.join("out/mtl-vit-vit-micro-s0/record.json").exists());
}

#[test]
fn a_broken_image_fails_its_cells_and_is_named() {
    let dir = folder();
    let dir = dir.path();
    adamv(dir, &["data", "make", "scenes", "--out", "d", "--images", "24", "--size", "32"]).expect(0);
    let class = dir.join("d/classification/train/circle");
    for entry in fs::read_dir(&class).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    }
    let files = "  imagenet: {root: d/classification}
  coco: {train_images: d/detection/train, train_annotations: d/detection/annotations/instances_train.json, val_images: d/detection/val, val_annotations: d/detection/annotations/instances_val.json}
";
    fs::write(dir.join("suite.yaml"), TINY.replace("  scenes: {images: 32, size: 32}\n", files)).unwrap();
    // Neither cell can train classification: nothing was measured.
    let outcome = adamv(dir, &["run", "suite.yaml", "--out", "out"]);
    assert!(outcome.code == 4 || outcome.code == 1, "{outcome:?}");
    let outcome = outcome.says("circle").says("2 of 2 cells failed");
    assert!(!outcome.stdout.contains("next:"), "{}", outcome.stdout);
    let record = json(&dir.join("out/stl-vit-micro-s0/record.json"));
    assert_eq!(record["status"], "failed");
    assert!(record["error"].as_str().unwrap().contains("circle"), "{record}");
    let status = adamv(dir, &["status", "out"]).expect(0).stdout;
    assert!(status.contains("2 failed"), "{status}");
    // With the choice to skip, the same command goes on and says how many it left out.
    let skip = ["run", "suite.yaml", "--out", "out2", "--set", "data.on_bad_sample=skip"];
    adamv(dir, &skip).expect(0);
    let record = json(&dir.join("out2/mtl-vit-vit-micro-s0/record.json"));
    assert!(record["data"][0]["skipped_samples"].as_u64().unwrap() > 0, "{}", record["data"]);
    // A class without images, and an annotation for no image, are found before anything is written.
    fs::rename(&class, dir.join("circle")).unwrap();
    fs::create_dir(&class).unwrap();
    let outcome = adamv(dir, &["run", "suite.yaml", "--out", "out3"]);
    assert_ne!(outcome.code, 0);
    let _ = outcome.says("circle");
    fs::remove_dir(&class).unwrap();
    fs::rename(dir.join("circle"), &class).unwrap();
    let annotations = dir.join("d/detection/annotations/instances_train.json");
    let mut truth = json(&annotations);
    truth["annotations"][0]["image_id"] = 999_999.into();
    fs::write(&annotations, truth.to_string()).unwrap();
    let outcome = adamv(dir, &["run", "suite.yaml", "--out", "out3"]);
    assert_ne!(outcome.code, 0);
    let _ = outcome.says("instances_train.json").says("999999");
    assert!(!dir.join("out3").exists());
}

#[test]
fn a_lying_safetensors_header_is_refused() {
    let dir = folder();
    let dir = dir.path();
    let header = br#"{"blocks.0.attn.qkv.weight":{"dtype":"F32","shape":[1000,1000],"data_offsets":[0,4000000]}}"#;
    let mut more_data = (header.len() as u64).to_le_bytes().to_vec();
    more_data.extend(header);
    let mut longer_header = (1u64 << 40).to_le_bytes().to_vec();
    longer_header.extend(b"{}");
    for (name, bytes) in
        [("data.safetensors", more_data), ("header.safetensors", longer_header), ("empty.safetensors", vec![])]
    {
        fs::write(dir.join(name), bytes).unwrap();
        for (weights, input) in [(name, "absent.safetensors"), ("absent.safetensors", name), (name, name)] {
            let arguments = [
                "features",
                "--backbone",
                "vit-micro",
                "--weights",
                weights,
                "--input",
                input,
                "--out",
                "o.safetensors",
            ];
            let outcome = adamv(dir, &arguments);
            assert!(outcome.code == 1 || outcome.code == 2, "{outcome:?}");
            let _ = outcome.says(".safetensors");
        }
    }
    assert!(!dir.join("o.safetensors").exists());
}

/// Needs the right to mount: elsewhere it says that it was skipped.
#[test]
fn a_full_disk_leaves_no_half_record() {
    let dir = with_suite(TINY);
    let disk = dir.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=600k", "tmpfs"])
        .arg(&disk)
        .stderr(Stdio::null())
        .status();
    if !mount.is_ok_and(|status| status.success()) {
        eprintln!("skipped: a run on a full disk (no right to mount a tmpfs)");
        return;
    }
    // Scenes of 32 images fit; two more cells' checkpoints do not.
    let outcome = adamv(dir.path(), &["run", "suite.yaml", "--out", "disk/out"]);
    let record = disk.join("out/stl-vit-micro-s0/record.json");
    let whole = !record.exists() || serde_json::from_slice::<Value>(&fs::read(&record).unwrap()).is_ok();
    let unmounted = Command::new("umount").arg(&disk).status().unwrap().success();
    assert!(unmounted);
    assert!(whole);
    let _ = outcome.expect(5).says("disk/out").says("space");
}
