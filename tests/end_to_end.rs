//! A tiny suite from start to report, and what happens when something is in the way.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use adamv_datasets::Image;
use adamv_datasets::image::decode;
use common::{Outcome, TINY, adamv, bench, folder, wait, with_suite};
use safetensors::SafeTensors;
use serde_json::Value;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))).unwrap()
}

/// Paths of a folder; none when it is not there.
fn paths(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

/// A suite on the files that `data make scenes --out d` wrote.
fn on_files() -> String {
    let files = "  imagenet: {root: d/classification}
  coco: {train_images: d/detection/train, train_annotations: d/detection/annotations/instances_train.json, val_images: d/detection/val, val_annotations: d/detection/annotations/instances_val.json}
";
    TINY.replace("  scenes: {images: 32, size: 32}\n", files)
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

    // Looked at otherwise, or made before there were probes, it is the same cell.
    let other = ["run", "suite.yaml", "--out", "out", "--set", "probes.every=3"];
    let again = adamv(dir, &other).expect(0);
    assert_eq!(again.stderr.matches("is done already").count(), 2, "{}", again.stderr);
    let text = String::from_utf8(before.clone()).unwrap();
    let mut older: Value = serde_json::from_str(&text).unwrap();
    assert!(older["config"].as_object_mut().unwrap().remove("probes").is_some());
    fs::write(&record, older.to_string()).unwrap();
    let again = adamv(dir, &other).expect(0);
    assert_eq!(again.stderr.matches("is done already").count(), 2, "{}", again.stderr);
    fs::write(&record, before).unwrap();

    // The same cell with another configuration is not overwritten.
    adamv(dir, &["run", "suite.yaml", "--out", "out", "--set", "training.joint.steps=7"])
        .expect(2)
        .says("training.joint.steps (6 there, 7 now)")
        .says("--out");

    adamv(dir, &["report", "out", "--out", "pages"]).expect(0);
    let page = fs::read_to_string(dir.join("pages/report.html")).unwrap();
    assert!(page.contains("mtl-vit") && !page.contains("src=\"http"));
    assert!(fs::read_to_string(dir.join("pages/report.md")).unwrap().contains("stl"));

    let images = "out/data/shapes-32x32-s0/detection/val";
    adamv(dir, &["predict", "--cell", "out/mtl-vit-vit-micro-s0", "--images", images, "--out", "predicted"]).expect(0);
    assert!(dir.join("predicted/classification.json").is_file());
    assert!(json(&dir.join("predicted/detection.json")).is_array());
    let predict =
        |cell: &str, images: &str| adamv(dir, &["predict", "--cell", cell, "--images", images, "--out", "p2"]);
    predict("out/none", images).expect(2).says("out/none");
    predict("out/mtl-vit-vit-micro-s0", "absent").expect(2).says("absent");

    // Drawings: a name each, the image's own pixels where nothing was found, and none when an image is broken.
    let photos = dir.join("photos");
    fs::create_dir(&photos).unwrap();
    let mut scenes: Vec<_> = fs::read_dir(dir.join(images)).unwrap().map(|e| e.unwrap().path()).collect();
    scenes.sort();
    fs::copy(&scenes[0], photos.join("a.png")).unwrap();
    fs::copy(&scenes[1], photos.join("a.jpg")).unwrap();
    let draw = |out: &str, score: &str| {
        let cell = "out/mtl-vit-vit-micro-s0";
        let all = ["predict", "--cell", cell, "--images", "photos", "--out", out, "--draw", "--draw-score", score];
        adamv(dir, &all)
    };
    draw("p3", "1").expect(0);
    let (png, jpg) =
        (decode(&dir.join("p3/drawn/a.png.png")).unwrap(), decode(&dir.join("p3/drawn/a.jpg.png")).unwrap());
    for (drawn, scene) in [(png, &scenes[0]), (jpg, &scenes[1])] {
        let scene = decode(scene).unwrap();
        assert_eq!((drawn.width, drawn.height), (12 * scene.width, 12 * scene.height));
        // The last row, which lies below the name of the class.
        let last = |image: &Image| image.rgb[image.rgb.len() - 3 * image.width as usize..].to_vec();
        let wide: Vec<u8> = last(&scene).chunks_exact(3).flat_map(|pixel| pixel.repeat(12)).collect();
        assert_eq!(last(&drawn), wide);
    }
    fs::write(photos.join("b.png"), b"no image").unwrap();
    draw("p4", "0.3").expect(1).says("b.png");
    assert!(!dir.join("p4").exists());
    draw("p4", "30").expect(2).says("--draw-score");

    // Weights of one architecture into another: the file is named, and nothing is written.
    let weights = "out/stl-vit-micro-s0/checkpoints/final.safetensors";
    adamv(
        dir,
        &["features", "--backbone", "vit-small", "--weights", weights, "--input", weights, "--out", "f.safetensors"],
    )
    .expect(1)
    .says("final.safetensors");
    assert!(!dir.join("f.safetensors").exists());
}

#[test]
fn a_dry_run_names_each_missing_thing_once_and_writes_nothing() {
    let absent = "  imagenet: {root: no/a}
  coco: {train_images: no/b, train_annotations: no/c.json, val_images: no/d, val_annotations: no/e.json}
";
    // Cells that ask different things of the same data.
    let apart = "by_system: {mtl-vit: {training.joint.batch.classification: 3}}\n";
    let dir = with_suite(&(TINY.replace("  scenes: {images: 32, size: 32}\n", absent) + apart));
    let plan = adamv(dir.path(), &["run", "suite.yaml", "--out", "out", "--dry-run"]).expect(0).stdout;
    assert!(plan.contains("2 cells, 2 to run"), "{plan}");
    let missing: Vec<&str> = plan.lines().filter(|line| line.starts_with("missing: ")).collect();
    assert_eq!(missing.len(), 5, "{plan}");
    for (line, path) in missing.iter().zip(["no/a", "no/b", "no/c.json", "no/d", "no/e.json"]) {
        assert!(line.contains(&format!("`{path}`")) && line.contains("--set data."), "{line}");
    }
    assert!(!dir.path().join("out").exists());
    adamv(dir.path(), &["run", "suite.yaml", "--out", "out"]).expect(5).says("no/a");
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
    let progress = dir.join("out/stl-vit-micro-s0/progress.json");
    wait(&mut holder, "progress.json", || progress.exists());
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
    wait(&mut child, "a checkpoint", || paths(&checkpoints).iter().any(|path| path.ends_with("position.json")));
    child.kill().unwrap();
    child.wait().unwrap();
    adamv(dir, &[&long[..], &["--set", "model.backbone.width=64"]].concat())
        .expect(2)
        .says("mtl-vit-vit-micro-s0")
        .says("model.backbone.width");
    assert!(!dir.join("out/mtl-vit-vit-micro-s0/record.json").exists());
}

#[test]
fn a_broken_image_fails_its_cells_and_is_named() {
    let dir = folder();
    let dir = dir.path();
    adamv(dir, &["data", "make", "scenes", "--out", "d", "--images", "24", "--size", "32"]).expect(0);
    let class = dir.join("d/classification/train/circle");
    for path in paths(&class) {
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    }
    fs::write(dir.join("suite.yaml"), on_files()).unwrap();
    // Neither cell can train classification: nothing was measured.
    let outcome = adamv(dir, &["run", "suite.yaml", "--out", "out"]).expect(4);
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
    adamv(dir, &["run", "suite.yaml", "--out", "out3"]).expect(1).says("circle");
    fs::remove_dir(&class).unwrap();
    fs::rename(dir.join("circle"), &class).unwrap();
    let annotations = dir.join("d/detection/annotations/instances_train.json");
    let mut truth = json(&annotations);
    truth["annotations"][0]["image_id"] = 999_999.into();
    fs::write(&annotations, truth.to_string()).unwrap();
    adamv(dir, &["run", "suite.yaml", "--out", "out3"]).expect(1).says("instances_train.json").says("999999");
    assert!(!dir.join("out3").exists());
}

#[test]
fn a_finished_cell_on_changed_data_is_refused() {
    let dir = with_suite(&on_files());
    let dir = dir.path();
    adamv(dir, &["data", "make", "scenes", "--out", "d", "--images", "24", "--size", "32"]).expect(0);
    let run = ["run", "suite.yaml", "--out", "out", "--only", "system=stl"];
    adamv(dir, &run).expect(0);
    adamv(dir, &run).expect(0).says("is done already");
    let image = paths(&dir.join("d/classification/train/circle")).remove(0);
    fs::rename(&image, dir.join("image.png")).unwrap();
    adamv(dir, &run).expect(2).says("out/stl-vit-micro-s0").says("its data has changed").says("--out");
    fs::rename(dir.join("image.png"), &image).unwrap();
    adamv(dir, &run).expect(0).says("is done already");
    // Data that is gone says nothing against results that are there.
    fs::rename(dir.join("d"), dir.join("elsewhere")).unwrap();
    adamv(dir, &run).expect(0).says("is done already");
}

/// A file of weights, images and what timm computes of them, made by `make_timm_vit.py` beside it.
fn golden(pool: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../models/tests/golden/vit_{pool}.safetensors"))
}

/// `features` of the golden files' backbone, to `out.safetensors`.
fn features(dir: &Path, pool: &str, weights: &Path, input: &Path) -> Outcome {
    let yaml = format!("{{image_size: 32, patch_size: 8, depth: 2, width: 48, heads: 3, mlp: 96, pool: {pool}}}\n");
    fs::write(dir.join("backbone.yaml"), yaml).unwrap();
    let (weights, input) = (weights.to_str().unwrap(), input.to_str().unwrap());
    let arguments = ["--backbone", "backbone.yaml", "--weights", weights, "--input", input, "--out", "out.safetensors"];
    adamv(dir, &[&["features"], &arguments[..]].concat())
}

#[test]
fn features_equal_timm() {
    for pool in ["mean", "token"] {
        let dir = folder();
        let file = golden(pool);
        features(dir.path(), pool, &file, &file).expect(0);
        let (wanted, found) = (fs::read(file).unwrap(), fs::read(dir.path().join("out.safetensors")).unwrap());
        let (wanted, found) = (SafeTensors::deserialize(&wanted).unwrap(), SafeTensors::deserialize(&found).unwrap());
        for name in ["tokens", "pooled"] {
            let (wanted, found) = (wanted.tensor(name).unwrap(), found.tensor(name).unwrap());
            assert_eq!((wanted.dtype(), wanted.shape()), (found.dtype(), found.shape()), "{pool} {name}");
            let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap());
            for (a, b) in wanted.data().chunks(4).map(number).zip(found.data().chunks(4).map(number)) {
                assert!((a - b).abs() < 1e-5, "{pool} {name}: {b}, wanted {a}");
            }
        }
    }
}

#[test]
fn a_lying_safetensors_header_is_refused() {
    let dir = folder();
    let dir = dir.path();
    let header = br#"{"images":{"dtype":"F32","shape":[1000,1000],"data_offsets":[0,4000000]}}"#;
    let mut more_data = (header.len() as u64).to_le_bytes().to_vec();
    more_data.extend(header);
    let mut longer_header = (1u64 << 40).to_le_bytes().to_vec();
    longer_header.extend(b"{}");
    let good = golden("mean");
    for (name, bytes) in
        [("data.safetensors", more_data), ("header.safetensors", longer_header), ("empty.safetensors", vec![])]
    {
        fs::write(dir.join(name), bytes).unwrap();
        features(dir, "mean", Path::new(name), &good).expect(1).says(name);
        features(dir, "mean", &good, Path::new(name)).expect(1).says(name);
    }
    assert!(!dir.join("out.safetensors").exists());
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
    outcome.expect(5).says("disk/out").says("space");
}
