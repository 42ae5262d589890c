//! The contracts of the command line that need no training: help, located errors, exit codes, dry runs, JSON.

mod common;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{TINY, adamv, bench, folder, outcome, with_suite};
use serde_json::Value;

#[test]
fn help_and_version() {
    let dir = folder();
    let help = adamv(dir.path(), &["--help"]).expect(0);
    for command in ["doctor", "data", "run", "status", "eval", "predict", "features", "report", "schema"] {
        assert!(help.stdout.contains(&format!("  {command} ")), "{command} is not in\n{}", help.stdout);
    }
    for command in
        [&["run"][..], &["data", "make", "scenes"], &["data", "check"], &["eval", "coco"], &["features"], &["report"]]
    {
        adamv(dir.path(), &[command, &["--help"]].concat()).expect(0);
    }
    adamv(dir.path(), &["--version"]).expect(0);
}

#[test]
fn too_little_data_for_one_system_stops_all_before_any_trains() {
    let text = TINY.replace("[stl, mtl-vit]", "[stl, adamv-moe]").replace(
        "joint: {steps: 6, learning_rate: 1e-3, warmup: 2, batch: {classification: 4",
        "joint: {steps: 6, learning_rate: 1e-3, warmup: 2, batch: {classification: 32",
    ) + "by_system: {adamv-moe: {training.aes.every: 2}}\n";
    let dir = with_suite(&text);
    adamv(dir.path(), &["run", "suite.yaml", "--out", "out"])
        .expect(2)
        .says("training.aes.validation_share")
        .says("32 training samples of classification");
    assert!(!dir.path().join("out").exists());
    // Without it there is enough.
    let off = ["run", "suite.yaml", "--out", "out", "--dry-run", "--set", "training.aes.mode=off"];
    adamv(dir.path(), &off).expect(0);
}

#[test]
fn wrong_arguments_are_usage_errors() {
    let dir = with_suite(TINY);
    for arguments in [
        &[][..],
        &["trian"],
        &["run"],
        &["run", "suite.yaml", "--jobs", "0"],
        &["run", "absent.yaml"],
        &["run", "."],
        &["run", "suite.yaml", "--device", "tpu"],
        &["status", "."],
        &["status", "absent"],
        &["report", "absent", "--out", "x"],
        &["features", "--backbone", "vit-smal", "--weights", "w", "--input", "i", "--out", "o"],
        &["data", "make", "scenes", "--out", "x", "--images", "3"],
        &["features", "--backbone", "vit-small", "--weights", "absent", "--input", "absent", "--out", "o"],
        &["predict", "--cell", "absent", "--images", ".", "--out", "o"],
        &["predict", "--cell", ".", "--images", ".", "--out", "o"],
        &["eval", "coco", "--gt", "absent.json", "--dt", "absent.json", "--iou-type", "bbox"],
    ] {
        let outcome = adamv(dir.path(), arguments);
        assert_eq!(outcome.code, 2, "{arguments:?}: {}", outcome.stderr);
        assert!(!outcome.stderr.contains("panicked"), "{arguments:?}: {}", outcome.stderr);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "a usage error writes nothing");
}

#[test]
fn mistakes_in_a_suite_have_their_place() {
    for (from, to, wanted) in [
        ("systems:", "sistems:", "suite.yaml:4:1: unknown key `sistems`; the nearest known key is `systems`"),
        (
            "learning_rate",
            "learning_rat",
            "suite.yaml:17:30: unknown key `learning_rat`; the nearest known key is `learning_rate`",
        ),
        ("steps: 6", "steps: -6", "suite.yaml:17:27: `-6` is not possible here; give a whole number, 0 or more"),
        (
            "[stl, mtl-vit]",
            "[stl, mtl-vot]",
            "suite.yaml:4:16: unknown system `mtl-vot`; the nearest known system is `mtl-vit`",
        ),
        (
            "[vit-micro]",
            "[vit-macro]",
            "suite.yaml:5:13: unknown backbone `vit-macro`; the nearest known backbone is `vit-micro`",
        ),
        (
            "{image_size: 32, patch_size: 8}",
            "{image_size: 33, patch_size: 8}",
            "suite.yaml:13:22: model.inputs.classification.image_size: 33 is not possible; give a multiple of patch_size (8)",
        ),
        ("seeds: [0]", "seeds: [0", "suite.yaml:7:5"),
        ("width: 32", "width: wide", "suite.yaml:11:31: the text \"wide\" is not possible here; give a whole number"),
        ("task_version: 1\n", "", "the key `task_version` is missing"),
    ] {
        assert!(TINY.contains(from), "{from}");
        let dir = with_suite(&TINY.replacen(from, to, 1));
        adamv(dir.path(), &["run", "suite.yaml", "--out", "out"]).expect(2).says(wanted);
        assert!(!dir.path().join("out").exists());
    }
}

#[test]
fn an_alias_bomb_ends_quickly() {
    let mut bomb = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for i in 1..12 {
        bomb += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", "));
    }
    let dir = with_suite(&format!("{TINY}{bomb}"));
    let began = Instant::now();
    adamv(dir.path(), &["run", "suite.yaml"]).expect(2).says("suite.yaml:").says("aliases");
    // Generous: written out, it would take years. How many values are read is tested in the room that reads them.
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    fs::write(dir.path().join("suite.yaml"), vec![b'#'; 2 << 20]).unwrap();
    adamv(dir.path(), &["run", "suite.yaml"]).expect(2).says("more than the 1048576");
}

#[test]
fn set_and_only() {
    let dir = with_suite(TINY);
    let run = |arguments: &[&str]| adamv(dir.path(), &[&["run", "suite.yaml", "--dry-run"], arguments].concat());
    run(&["--set", "training.joint.step=3"]).expect(2).says("the nearest known path is `training.joint.steps`");
    run(&["--set", "training.joint.steps=-3"])
        .expect(2)
        .says("--set training.joint.steps")
        .says("`-3` is not possible here");
    run(&["--set", "training.joint.steps"]).expect(2).says("is not PATH=VALUE");
    run(&["--set", "system=stl"]).expect(2).says("--only");
    run(&["--only", "system=taps"]).expect(2).says("its values of system are: stl, mtl-vit");
    run(&["--only", "sytem=stl"]).expect(2).says("the nearest known key is `system`");
    let all = run(&[]).expect(0).stdout;
    assert!(all.contains("stl") && all.contains("mtl-vit") && all.contains("2 cells, 2 to run"), "{all}");
    for wanted in ["classification 6 + detection 6", "joint 6", "its steps", " on the CPU, and ", "MiB of disk"] {
        assert!(all.contains(wanted), "{wanted}: {all}");
    }
    let one = run(&["--only", "system=stl,seed=0", "--set", "training.classification.steps=11"]).expect(0).stdout;
    assert!(!one.contains("mtl-vit") && one.contains(" 11 ") && one.contains("1 cells, 1 to run"), "{one}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "a dry run writes nothing");
}

#[test]
fn a_missing_data_folder_is_found_before_anything_is_written() {
    let files = "  imagenet: {root: no/such/folder}\n";
    let dir = with_suite(&TINY.replace("  scenes: {images: 32, size: 32}\n", files));
    adamv(dir.path(), &["run", "suite.yaml", "--out", "out"])
        .expect(5)
        .says("no/such/folder")
        .says("--set data.imagenet.root=PATH");
    // A folder that is there, with nothing in it.
    fs::create_dir_all(dir.path().join("no/such/folder")).unwrap();
    let coco =
        "  coco: {train_images: no, train_annotations: suite.yaml, val_images: no, val_annotations: suite.yaml}\n";
    fs::write(
        dir.path().join("suite.yaml"),
        TINY.replace("  scenes: {images: 32, size: 32}\n", &format!("{files}{coco}")),
    )
    .unwrap();
    adamv(dir.path(), &["run", "suite.yaml", "--out", "out"]).expect(5).says("no/such/folder/train");
    assert!(!dir.path().join("out").exists());
}

#[test]
fn cuda_is_never_replaced_by_the_cpu() {
    let dir = with_suite(TINY);
    let doctor = adamv(dir.path(), &["doctor", "--json"]).expect(0);
    let found: serde_json::Value = serde_json::from_str(&doctor.stdout).expect("one JSON document and nothing else");
    assert_eq!(found["libtorch"]["version"].as_str().unwrap().split('+').next(), Some("2.11.0"));
    let count = found["cuda"]["devices"].as_array().unwrap().len();
    let absent = format!("cuda:{count}");
    adamv(dir.path(), &["doctor", "--device", &absent]).expect(5).says(&absent);
    let outcome = adamv(dir.path(), &["doctor", "--device", &absent, "--json"]).expect(5);
    let found: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(found["problems"].as_array().unwrap().len(), 1);
    adamv(dir.path(), &["run", "suite.yaml", "--out", "out", "--device", &absent]).expect(5);
    assert!(!dir.path().join("out").exists());
}

#[test]
fn schema_is_one_json_document() {
    let outcome = adamv(folder().path(), &["schema"]).expect(0);
    let schema: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert!(schema["properties"]["cell_key"].is_object());
    assert!(outcome.stderr.is_empty());
}

#[test]
fn data_is_made_checked_and_its_faults_are_named() {
    let dir = folder();
    let make = &["data", "make", "scenes", "--out", "scenes", "--images", "24", "--size", "32"];
    adamv(dir.path(), make).expect(0);
    adamv(dir.path(), make).expect(0);
    let clean = adamv(dir.path(), &["data", "check", "scenes", "--json"]).expect(0);
    let report: serde_json::Value = serde_json::from_str(&clean.stdout).unwrap();
    assert_eq!(report["problems"], serde_json::json!([]));
    // One image is cut off in the middle.
    let class = dir.path().join("scenes/classification/train/circle");
    let image = fs::read_dir(&class).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(&image).unwrap();
    fs::write(&image, &bytes[..bytes.len() / 2]).unwrap();
    let broken = adamv(dir.path(), &["data", "check", "scenes"]).expect(1);
    assert!(broken.stdout.contains(image.file_name().unwrap().to_str().unwrap()), "{}", broken.stdout);
    adamv(dir.path(), &["data", "check", "absent"]).expect(5).says("absent");
}

#[test]
fn eval_coco_prints_the_numbers_as_table_and_as_json() {
    let dir = folder();
    let truth = r#"{"images": [{"id": 1, "width": 20, "height": 20, "file_name": "a.png"}], "categories": [{"id": 3, "name": "x"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [2, 2, 10, 10], "area": 100, "iscrowd": 0,
        "segmentation": [[2, 2, 12, 2, 12, 12, 2, 12]]}]}"#;
    fs::write(dir.path().join("gt.json"), truth).unwrap();
    let arguments = ["eval", "coco", "--gt", "gt.json", "--dt", "dt.json", "--iou-type", "bbox"];
    let eval = |detections: &str, more: &[&str]| {
        fs::write(dir.path().join("dt.json"), detections).unwrap();
        adamv(dir.path(), &[&arguments[..], more].concat())
    };
    let perfect = r#"[{"image_id": 1, "category_id": 3, "bbox": [2, 2, 10, 10], "score": 0.5}]"#;
    let table = eval(perfect, &[]).expect(0).stdout;
    assert_eq!(table.lines().count(), 12, "{table}");
    assert!(
        table.starts_with(" Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 1.000"),
        "{table}"
    );
    let outcome = eval(perfect, &["--json"]).expect(0);
    let numbers: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(numbers["iou_type"], "bbox");
    assert!((numbers["stats"]["AP"].as_f64().unwrap() - 1.0).abs() < 1e-9, "{numbers}");
    assert_eq!(numbers["stats"].as_object().unwrap().len(), 12);
    eval("[]", &[]).expect(4).says("no detections");
    eval("[{", &[]).expect(1).says("broken JSON");
    eval(&perfect.replace("\"image_id\": 1", "\"image_id\": 9"), &[]).expect(1).says("unknown image id 9");
    eval(&perfect.replace(", \"score\": 0.5", ""), &[]).expect(1).says("`score` is missing");
    eval(&perfect.replace(", 10]", "]"), &[]).expect(1).says("`bbox` has 3 numbers");
    eval(&perfect.replace("0.5", "1e999"), &[]).expect(1).says("the score is too large");
    let with_mask = |mask: &str| perfect.replace("\"score\"", &format!("\"segmentation\": {mask}, \"score\""));
    eval(&with_mask(r#"{"size": [10, 20], "counts": [200]}"#), &[]).expect(1).says("10 x 20").says("is 20 x 20");
    eval(&with_mask(r#"{"size": [20, 20], "counts": "ooooo"}"#), &[]).expect(1).says("undecodable mask");
}

#[test]
fn a_closed_stdout_is_no_panic() {
    let dir = folder();
    for command in ["schema", "doctor"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = bench(dir.path()).arg(command).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        outcome(output).expect(1).says("stdout can't be written");
    }
}

#[test]
fn cost_needs_no_data_and_counts_every_system() {
    let dir = folder();
    let cost = |arguments: &[&str]| adamv(dir.path(), &[&["cost"], arguments].concat());
    let rows = |arguments: &[&str]| -> Vec<Value> {
        serde_json::from_str(&cost(&[arguments, &["--json"]].concat()).expect(0).stdout).unwrap()
    };
    let all = rows(&[]);
    assert_eq!(all.len(), 6 * 6 * 2);
    let keys: Vec<&str> = all[0].as_object().unwrap().keys().map(String::as_str).collect();
    let mut wanted = [
        "system",
        "backbone",
        "task",
        "resolution",
        "k",
        "params_activated",
        "params_activated_backbone",
        "params_total",
        "macs",
        "macs_backbone",
        "flops",
    ];
    wanted.sort_unstable();
    assert_eq!(keys, wanted);
    assert!(all.iter().all(|row| row["flops"].as_u64().unwrap() == 2 * row["macs"].as_u64().unwrap()));
    // timm's vit_small_patch16_224: 22,050,664 parameters, with the multiply-adds of models/tests/golden/make_cost.py.
    let small = ["--system", "mtl-vit", "--backbone", "vit-small", "--set", "model.backbone.pool=token"];
    let [small, _] = rows(&small).try_into().unwrap();
    assert_eq!(
        (&small["task"], &small["resolution"], &small["k"]),
        (&"classification".into(), &224.into(), &Value::Null)
    );
    assert_eq!((&small["params_activated"], &small["macs"]), (&22_050_664.into(), &4_598_882_304u64.into()));
    // Each of two more experts in half of 12 blocks: an MLP's parameters, and its multiply-adds for 196 tokens.
    let by_k = rows(&["--system", "adamv-moe", "--system", "mtl-vit", "--backbone", "vit-small", "--k", "1,3"]);
    assert_eq!(
        by_k.iter().map(|row| row["k"].as_u64()).collect::<Vec<_>>(),
        [Some(1), Some(1), Some(3), Some(3), None, None]
    );
    let more = |key: &str| by_k[2][key].as_u64().unwrap() - by_k[0][key].as_u64().unwrap();
    assert_eq!(more("params_activated"), 2 * 6 * (2 * 384 * 1536 + 384 + 1536));
    assert_eq!(more("macs"), 2 * 6 * 2 * 384 * 1536 * 196);
    assert_eq!(more("params_total"), 0);
    // Detections reach the mask head alone.
    let masks =
        |n: &str| rows(&["--system", "stl", "--backbone", "vit-micro", "--set", n])[1]["macs"].as_u64().unwrap();
    let one = masks("evaluation.detections=2") - masks("evaluation.detections=1");
    assert_eq!(masks("evaluation.detections=9") - masks("evaluation.detections=2"), 7 * one);

    cost(&["--system", "mtl-vitt"]).expect(2).says("--system").says("the nearest known system is `mtl-vit`");
    cost(&["--backbone", "vit-smal"]).expect(2).says("--backbone").says("the nearest known backbone is `vit-small`");
    cost(&["--system", "mtl-moe", "--k", "17"]).expect(2).says("--k: mtl-moe").says("1 to experts (16)");
    cost(&["--set", "training.joint.steps=3"]).expect(2).says("costs depend on model.");
    cost(&["--system", "stl", "--set", "model.backbone.moe.experts=3"]).expect(2).says("stl has no experts");
    for classes in ["10", "0,80", "1000,99999999999999999", "1000,-1"] {
        cost(&["--classes", classes]).expect(2).says("two whole numbers from 1 to 1000000");
    }
    for count in ["0", "10001", "18446744073709551615"] {
        let set = format!("evaluation.detections={count}");
        cost(&["--set", &set]).expect(2).says("evaluation.detections").says("1 to 10000");
    }
    cost(&["--system", "stl", "--system", "taps", "--k", "2"]).expect(2).says("--k: stl, taps without experts");
    assert_eq!(cost(&["--backbone", "vit-micro"]).expect(0).stdout.lines().count(), 1 + 12 + 1);
}

#[test]
fn the_page_of_published_costs_is_what_the_command_prints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let printed = adamv(&root, &["cost", "--published"]).expect(0).stdout;
    let page = fs::read_to_string(root.join("docs/cost.md")).unwrap();
    assert!(printed == page, "docs/cost.md: run `adamv-bench cost --published > docs/cost.md`");
    // UViT's published 6.9 G multiply-adds at 224 px are those of one window.
    assert!(
        page.contains("| UViT-B at 224 | 32.80 | 6.90 | uvit-base, global attention (one window) | 32.70 | 6.83 |"),
        "{page}"
    );
    adamv(&root, &["cost", "--published", "absent.yaml"]).expect(2).says("absent.yaml");
    adamv(&root, &["cost", "--published", "--json"]).expect(2).says("--json");
}

#[test]
fn results_of_an_older_task_version_say_so() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // A stored baseline beside a suite of its name whose version is higher than that of its results.
    let dir = folder();
    let stored = dir.path().join("baselines/stored/smoke");
    fs::create_dir_all(&stored).unwrap();
    for file in fs::read_dir(root.join("baselines/stored/smoke")).unwrap().map(Result::unwrap) {
        if file.path().is_file() {
            fs::copy(file.path(), stored.join(file.file_name())).unwrap();
        }
    }
    let version = |version: u64| {
        let suites = dir.path().join("suite/suites");
        fs::create_dir_all(&suites).unwrap();
        fs::write(suites.join("smoke.yaml"), format!("task_version: {version}\n")).unwrap();
        let shown = adamv(dir.path(), &["baseline", "show", "smoke"]).expect(0).stdout;
        adamv(dir.path(), &["report", "smoke", "--out", "page"]).expect(0);
        (shown, fs::read_to_string(dir.path().join("page/report.md")).unwrap())
    };
    let note = "they can't be compared";
    let (shown, page) = version(3);
    assert!(shown.contains("task version 2") && shown.contains(note) && page.contains(note), "{shown}");
    let (shown, page) = version(2);
    assert!(!shown.contains(note) && !page.contains(note), "{shown}");
}
