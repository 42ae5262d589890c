//! The suite that docs/variants.md shows, taken from the document: it runs, and its variant has the experts it says.

mod common;

use std::fs;
use std::path::Path;

use common::{adamv, folder};
use serde_json::{Value, json};

/// The only block of this language in the document.
fn block(language: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let document = fs::read_to_string(root.join("docs/variants.md")).unwrap();
    let blocks: Vec<&str> = document.split(&format!("\n```{language}\n")).skip(1).collect();
    assert_eq!(blocks.len(), 1, "docs/variants.md has one block of {language}");
    blocks[0].split_once("\n```\n").expect("the block ends").0.to_string() + "\n"
}

#[test]
fn the_documents_suite_runs() {
    let dir = folder();
    let dir = dir.path();
    let smoke = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../suite/suites/smoke.yaml");
    let smoke = fs::read_to_string(smoke).unwrap();
    // K is chosen in these few steps too.
    let (every, often) = ("training.aes.every: 50", "training.aes.every: 2");
    assert!(smoke.contains(every));
    fs::write(dir.join("smoke.yaml"), smoke.replace(every, often)).unwrap();
    fs::write(dir.join("my-variant.yaml"), block("yaml")).unwrap();
    let mut arguments = vec!["run", "my-variant.yaml", "--out", "out"];
    // Few and small steps.
    for set in [
        "data.scenes.images=96",
        "data.scenes.size=32",
        "training.first_stage.steps=2",
        "training.first_stage.warmup=1",
        "training.first_stage.batch.classification=8",
        "training.joint.steps=4",
        "training.joint.warmup=1",
        "training.joint.batch.classification=8",
        "training.joint.batch.detection=2",
        "training.log_every=2",
        "training.checkpoint_every=4",
        "model.inputs.detection.image_size=32",
        "model.inputs.detection.patch_size=8",
    ] {
        arguments.extend(["--set", set]);
    }
    adamv(dir, &arguments).expect(0);
    let wanted = [
        ("mtl-vit-vit-micro-s0", Value::Null, Value::Null),
        ("adamv-moe-vit-micro-s0", json!(8), json!("every-second")),
        ("adamv-moe-vit-micro-late-16-s0", json!(16), json!("late")),
    ];
    for (cell, experts, layers) in &wanted {
        let record = fs::read(dir.join("out").join(cell).join("record.json")).unwrap_or_else(|e| panic!("{cell}: {e}"));
        let record: Value = serde_json::from_slice(&record).unwrap();
        assert_eq!(record["status"], "done", "{cell}");
        let moe = &record["config"]["model"]["backbone"]["moe"];
        assert_eq!((&moe["experts"], &moe["layers"]), (experts, layers), "{cell}: {moe}");
    }
    let cells =
        fs::read_dir(dir.join("out")).unwrap().filter(|e| e.as_ref().unwrap().path().join("record.json").is_file());
    assert_eq!(cells.count(), wanted.len(), "no other cell");
    adamv(dir, &["report", "out", "--out", "report"]).expect(0);
    let report = fs::read_to_string(dir.join("report/report.html")).unwrap();
    assert!(report.contains("late-16"), "the variant is in the report");
}
