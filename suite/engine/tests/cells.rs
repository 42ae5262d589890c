//! Whole cells, tiny ones: exact resume, evaluation that doesn't depend on the batch, the guard, the average of the
//! weights, prediction, features.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use adamv_datasets::{DataConfig, ScenesConfig, Task};
use adamv_engine::aes::AesConfig;
use adamv_engine::{
    CellConfig, Context, EngineError, EvaluationConfig, FeaturesBackbone, FeaturesConfig, Precision, ProbesConfig,
    Progress, ScheduleConfig, TrainingConfig, features, predict, run_cell,
};
use adamv_models::config::{NormKind, Pool, TapsConfig, preset};
use adamv_models::weights;
use adamv_store::{CellDir, History, HistoryRow, Probes, Record, write_record};
use serde_json::json;
use tch::Device;

fn tiny(system: &str) -> CellConfig {
    let mut model = preset("vit-micro").unwrap();
    (model.backbone.depth, model.backbone.width, model.backbone.heads, model.backbone.mlp) = (2, 16, 2, 32);
    model.backbone.drop_path = 0.1;
    model.inputs.classification.image_size = 32;
    model.inputs.detection.image_size = 32;
    let detector = &mut model.detector;
    (detector.channels, detector.box_fc, detector.box_convs, detector.mask_convs) = (8, 16, 1, 1);
    (detector.rois, detector.mask_rois, detector.rpn_post_nms, detector.max_level) = (8, 4, 16, 3);
    let schedule = |steps| ScheduleConfig {
        steps,
        learning_rate: 1e-3,
        warmup: 2,
        batch: serde_json::from_value(json!({ "classification": 4, "detection": 2 })).unwrap(),
        ..ScheduleConfig::default()
    };
    let scenes: ScenesConfig = serde_json::from_value(json!({ "images": 24, "size": 32, "seed": 1 })).unwrap();
    let mut data = DataConfig { scenes: Some(scenes), ..DataConfig::default() };
    (data.detection.max_instances, data.detection.mask_size) = (6, 14);
    CellConfig {
        suite: "tiny".into(),
        task_version: 1,
        system: system.into(),
        backbone: "vit-micro".into(),
        variant: "base".into(),
        seed: 3,
        data,
        model,
        training: TrainingConfig {
            classification: schedule(7),
            detection: schedule(8),
            joint: schedule(9),
            first_stage: schedule(7),
            log_every: 2,
            checkpoint_every: 3,
            ..TrainingConfig::default()
        },
        evaluation: EvaluationConfig { score_threshold: 0.0, ..EvaluationConfig::default() },
        probes: ProbesConfig { every: 4, images: 3, pictures: 2, ..ProbesConfig::default() },
    }
}

fn two_stages(system: &str) -> CellConfig {
    let mut config = tiny(system);
    config.training.two_stages = true;
    config
}

/// AdaMV-MoE with an evaluation of AES every other step; it learns so fast that losses rise and K changes.
fn adaptive() -> CellConfig {
    let mut config = two_stages("adamv-moe");
    config.training.aes = Some(AesConfig { every: 2, ..AesConfig::default() });
    config.training.joint.learning_rate = 0.03;
    config
}

/// TAPS, whose scores cross the threshold while it trains.
fn adapting() -> CellConfig {
    let mut config = two_stages("taps");
    config.model.backbone.taps = Some(TapsConfig { indicator: Some(0.055), ..TapsConfig::default() });
    config
}

/// A detector whose norms have running statistics.
fn batch_normed() -> CellConfig {
    let mut config = two_stages("large-dense");
    config.model.detector.norm = NormKind::Batch;
    config
}

/// Training draws from the generator of the process: one cell at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs a cell in a folder of `root`; built-in data is shared by all of them.
fn run(root: &Path, name: &str, config: &CellConfig, progress: &mut dyn Progress) -> Result<Record, EngineError> {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let context = Context {
        cell_dir: &root.join(name),
        data_dir: &root.join("data"),
        device: Device::Cpu,
        version: "test",
        commit: "test",
    };
    run_cell(config, &context, progress)
}

fn final_weights(root: &Path, name: &str) -> Vec<u8> {
    std::fs::read(root.join(name).join("checkpoints/final.safetensors")).unwrap()
}

/// Stops the cell, as a kill would, the `countdown`-th time that it reports progress.
struct StopAfter(usize);

impl Progress for StopAfter {
    fn phase(&mut self, _: &str, _: u64, _: u64) {}
    fn note(&mut self, _: &str) {}
    fn step(&mut self, _: u64, _: &str) {
        self.0 -= 1;
        assert!(self.0 > 0, "stopped on purpose");
    }
}

#[test]
fn a_resumed_cell_equals_an_uninterrupted_one_bit_for_bit() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    for (mut config, precision, ema) in [
        (tiny("stl"), Precision::F32, 0.9),
        (tiny("mtl-vit"), Precision::Bf16, 0.0),
        (two_stages("mtl-moe"), Precision::F32, 0.9),
        (adaptive(), Precision::F32, 0.9),
        (adapting(), Precision::F32, 0.9),
        (batch_normed(), Precision::F32, 0.9),
    ] {
        let system = config.system.clone();
        (config.training.precision, config.training.ema_decay) = (precision, ema);
        let whole = format!("{system}-whole");
        let record = run(root, &whole, &config, &mut ()).unwrap();
        let name = format!("{system}-parts");
        // Each try comes a report farther than the last checkpoint allows it to be in one go.
        let mut stops = 0;
        let resumed = loop {
            match run(root, &name, &config, &mut StopAfter(2 + stops)) {
                Ok(record) => break record,
                Err(error) => assert!(error.to_string().contains("stopped on purpose"), "{error}"),
            }
            stops += 1;
        };
        assert!(stops >= 3, "it was stopped only {stops} times");
        assert!(final_weights(root, &whole) == final_weights(root, &name), "{system}: weights differ");
        assert_eq!(record.metrics, resumed.metrics);
        let history = |name: &str| {
            let mut rows = History::read(&CellDir::new(root.join(name)).history()).unwrap().rows;
            // Everything but time.
            rows.retain(|r| r.metric != "data_wait_share");
            rows
        };
        assert_eq!(history(&whole), history(&name), "{system}: histories differ");
        assert_eq!(record.timing.steps, resumed.timing.steps);
        assert!(probes(root, &whole) == probes(root, &name), "{system}: probes differ");
    }
}

/// Nothing is learnt at a rate of 0, so a batch's loss tells the batch.
#[test]
fn the_second_stage_reads_on_where_the_first_one_left_the_data() {
    let root = tempfile::tempdir().unwrap();
    let losses = |name: &str, two_stages: bool, steps: u64| -> Vec<f64> {
        let mut config = tiny("mtl-vit");
        config.model.backbone.drop_path = 0.0;
        let training = &mut config.training;
        (training.two_stages, training.ema_decay, training.log_every) = (two_stages, 0.0, 1);
        training.joint.steps = steps;
        for schedule in [&mut training.first_stage, &mut training.joint] {
            (schedule.learning_rate, schedule.warmup) = (0.0, 0);
        }
        run(root.path(), name, &config, &mut ()).unwrap();
        let rows = History::read(&CellDir::new(root.path().join(name)).history()).unwrap().rows;
        rows.into_iter().filter(|row| row.metric == "cross_entropy").map(|row| row.value).collect()
    };
    // 7 steps of the first stage and 9 of both tasks, beside 16 of both tasks.
    let (two, one) = (losses("two", true, 9), losses("one", false, 16));
    assert_eq!(two.len(), 16);
    assert_eq!(two, one);
    assert_ne!(two[..7], two[7..14]);
}

fn probes(root: &Path, name: &str) -> Probes {
    Probes::read(&CellDir::new(root.join(name)).probes()).unwrap()
}

/// Tag, step and value of every scalar in the only event file of a cell, in order. Of the fields that occur, all but those of scalars
/// are passed over.
fn events(root: &Path, name: &str) -> Vec<(String, u64, f32)> {
    let entries = std::fs::read_dir(root.join(name)).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = entries.filter(|path| path.to_string_lossy().contains("tfevents")).collect();
    let [file] = &files[..] else { panic!("{files:?}") };
    let bytes = std::fs::read(file).unwrap();
    let (mut rest, mut scalars) = (&bytes[..], Vec::new());
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        let event = fields(&rest[12..12 + length]);
        rest = &rest[16 + length..];
        let step = event.iter().find(|(field, _)| *field == 2).map_or(0, |(_, value)| varint(&mut &value[..]));
        for (_, summary) in event.iter().filter(|(field, _)| *field == 5) {
            for (_, value) in fields(summary) {
                let value = fields(&value);
                let tag = String::from_utf8(value[0].1.clone()).unwrap();
                scalars.push((tag, step, f32::from_le_bytes(value[1].1[..].try_into().unwrap())));
            }
        }
    }
    scalars
}

/// The fields of a protobuf message: number and content.
fn fields(mut message: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let before = message;
        let length = match key & 7 {
            0 => {
                let mut after = message;
                varint(&mut after);
                before.len() - after.len()
            }
            1 => 8,
            5 => 4,
            _ => varint(&mut message) as usize,
        };
        found.push((key >> 3, message[..length].to_vec()));
        message = &message[length..];
    }
    found
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return value;
        }
    }
}

#[test]
fn tensorboard_gets_the_history_and_the_scores() {
    let root = tempfile::tempdir().unwrap();
    let record = run(root.path(), "cell", &adaptive(), &mut ()).unwrap();
    let mut wanted = Vec::new();
    for row in History::read(&CellDir::new(root.path().join("cell")).history()).unwrap().rows {
        // Seven steps of the first stage come before those of the joint phase.
        let before = if row.phase == "joint" { 7 } else { 0 };
        let tag = if row.task.is_empty() { row.metric } else { format!("{}/{}", row.task, row.metric) };
        wanted.push((tag, before + row.step, row.value as f32));
    }
    let mut found = events(root.path(), "cell");
    let scores = found.split_off(wanted.len());
    assert_eq!(found, wanted);
    let names = ["accuracy", "AP", "AP50", "AP75", "APmask"].map(|name| format!("validation/{name}"));
    assert_eq!(scores.iter().map(|(tag, ..)| tag.clone()).collect::<Vec<_>>(), names);
    assert_eq!((scores[0].1, scores[0].2), (16, record.metrics.classification.unwrap().top1 as f32));
}

#[test]
fn looking_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let mut config = adaptive();
    let seen = run(root, "seen", &config, &mut ()).unwrap();
    config.probes.enabled = false;
    let unseen = run(root, "unseen", &config, &mut ()).unwrap();
    assert!(final_weights(root, "seen") == final_weights(root, "unseen"), "weights differ");
    assert_eq!((&seen.cell_key, &seen.metrics), (&unseen.cell_key, &unseen.metrics));
    assert_eq!(probes(root, "unseen"), Probes::default());
}

#[test]
fn a_cell_of_experts_is_looked_into() {
    let root = tempfile::tempdir().unwrap();
    let config = adaptive();
    let record = run(root.path(), "cell", &config, &mut ()).unwrap();
    let seen = probes(root.path(), "cell");

    // Routing: the first stage has 7 steps, the joint phase 9; every fourth and the last are looked at.
    let looks: BTreeSet<(&str, &str, u64)> =
        seen.routing_changes.iter().map(|row| (&*row.phase, &*row.task, row.step)).collect();
    let wanted = [
        ("first-stage", "classification", 4),
        ("first-stage", "classification", 7),
        ("joint", "classification", 4),
        ("joint", "classification", 8),
        ("joint", "classification", 9),
        ("joint", "detection", 4),
        ("joint", "detection", 8),
        ("joint", "detection", 9),
    ];
    assert_eq!(looks, BTreeSet::from(wanted));
    assert!(seen.routing_changes.iter().all(|row| row.layer == 1 && (0.0..=1.0).contains(&row.distance)));
    assert!(seen.routing_changes.iter().any(|row| row.distance > 0.0), "no token went elsewhere");

    // Gradients: with each row of the history of the joint phase, on what both tasks use, never on a router or an embedding.
    let steps: BTreeSet<u64> = seen.gradients.iter().map(|row| row.step).collect();
    assert_eq!(steps, BTreeSet::from([2, 3, 4, 6, 8, 9]));
    let own = |weight: &str| ["embed.", "head.", "detector.", "routers."].iter().any(|part| weight.contains(part));
    assert!(seen.gradients.iter().all(|row| row.phase == "joint" && !own(&row.weight)));
    let weights: BTreeSet<&str> = seen.gradients.iter().map(|row| &*row.weight).collect();
    assert!(
        ["norm.weight", "blocks.0.attn.qkv.weight", "blocks.1.moe.experts.fc1.weight"]
            .iter()
            .all(|w| weights.contains(w))
    );
    let bounded =
        |row: &adamv_store::GradientPair| row.dot.abs() <= 1.000_001 * row.classification_norm * row.detection_norm;
    assert!(seen.gradients.iter().all(bounded));
    assert!(seen.gradients.iter().all(|row| row.classification_norm > 0.0 && row.detection_norm > 0.0));

    // Every token of every validation image is sent to K experts.
    for (cost, data) in record.cost.iter().zip(&record.data) {
        let tokens = (32
            / if cost.task == "detection" { 8 } else { config.model.inputs.classification.patch_size as u64 })
        .pow(2);
        let rows = || seen.expert_use.iter().filter(|row| row.task == cost.task);
        let all: u64 = rows().filter(|row| row.class.is_none()).map(|row| row.pairs).sum();
        assert_eq!(all, data.val_images * tokens * cost.k.unwrap(), "{}", cost.task);
        let by_class: u64 = rows().filter(|row| row.class.is_some()).map(|row| row.pairs).sum();
        assert!(if cost.task == "detection" { by_class > 0 } else { by_class == all }, "{by_class} of {all}");
        assert_eq!(seen.similarities.iter().filter(|row| row.task == cost.task).count(), 8 * 8);
        assert_eq!(seen.routed_images.iter().filter(|image| image.task == cost.task).count(), 2);
        assert_eq!(seen.classes.iter().filter(|class| class.task == cost.task).count() as u64, data.classes);
    }
    assert_eq!(seen.gallery.len(), 4);
    assert!(seen.gallery.iter().all(|image| !image.objects.is_empty() && image.width == 32));
    assert_eq!(seen.errors.len(), 16);
}

#[test]
fn deltas_are_trained_after_the_weights_they_add_to() {
    let root = tempfile::tempdir().unwrap();
    let mut config = adapting();
    config.training.log_every = 1;
    // What the first stage of 7 steps leaves: the same cell, stopped at the second one's first report.
    let stopped = run(root.path(), "first", &config, &mut StopAfter(8)).unwrap_err();
    assert!(stopped.to_string().contains("stopped on purpose"), "{stopped}");
    let record = run(root.path(), "whole", &config, &mut ()).unwrap();
    let weights = |file: PathBuf| weights::read(&file).unwrap();
    let last = weights(root.path().join("whole/checkpoints/final.safetensors"));
    let first = std::fs::read_dir(root.path().join("first/checkpoints")).unwrap().map(|entry| entry.unwrap().path());
    let first: Vec<PathBuf> = first.filter(|path| path.to_string_lossy().contains("weights")).collect();
    let first = weights(first.into_iter().max().unwrap());
    for (name, weight) in &last {
        let moved = *weight != first[name];
        let frozen = name.starts_with("blocks.") && name.contains(".mlp.") && name.ends_with(".weight");
        assert_eq!(moved, !frozen, "{name}");
        if name.contains(".delta.") {
            assert_eq!(first[name].abs().max().double_value(&[]), 0.0, "{name} was trained in the first stage");
        }
    }
    // Penalty and scores are rows of the second stage; the shares follow from the scores.
    let rows = History::read(&CellDir::new(root.path().join("whole")).history()).unwrap().rows;
    let of = |task: Task, metric: &str| -> Vec<(u64, f64)> {
        let wanted = |r: &&HistoryRow| r.task == task.as_str() && r.metric == metric;
        assert!(rows.iter().filter(wanted).all(|r| r.phase == "joint"), "{metric}");
        rows.iter().filter(wanted).map(|r| (r.step, r.value)).collect()
    };
    for task in Task::ALL {
        let names = ["0.mlp.fc1", "0.mlp.fc2", "1.mlp.fc1", "1.mlp.fc2"];
        let scores = names.map(|name| of(task, &format!("indicator.{name}")));
        let shares = of(task, "adapted_share");
        let penalties = of(task, "indicator_penalty");
        assert_eq!(shares.len(), scores[0].len());
        for (i, (step, share)) in shares.iter().enumerate() {
            let now = scores.each_ref().map(|scores| scores[i].1);
            assert_eq!(*share, now.iter().filter(|s| **s as f32 >= 0.05).count() as f64 / 4.0, "{step}");
            let penalty = penalties.iter().find(|(at, _)| at == step).unwrap().1;
            assert!((penalty - 0.05 * now.iter().map(|s| s.abs()).sum::<f64>() / 4.0).abs() < 1e-8, "{step}");
        }
        assert_eq!(shares[0].1, 1.0);
        assert!(shares.last().unwrap().1 < 1.0, "no score of {task} fell below the threshold: {scores:?}");
    }
    let activated = |cost: usize| record.cost[cost].params_activated_backbone;
    assert!(activated(0) < record.cost[0].params_total && activated(1) < record.cost[1].params_total);
}

#[test]
fn as_many_images_are_evaluated_as_are_asked_for() {
    let root = tempfile::tempdir().unwrap();
    let mut config = tiny("mtl-vit");
    let whole = run(root.path(), "whole", &config, &mut ()).unwrap();
    config.evaluation.images = Some(2);
    let few = run(root.path(), "few", &config, &mut ()).unwrap();
    let images = |record: &Record| {
        let metrics = &record.metrics;
        (metrics.classification.as_ref().unwrap().images, metrics.detection.as_ref().unwrap().images)
    };
    assert_eq!((images(&whole), images(&few)), ((6, 6), (2, 2)));
    let detections = |name: &str| -> Vec<serde_json::Value> {
        let path = CellDir::new(root.path().join(name)).detection_predictions();
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let ids = |name: &str| detections(name).iter().map(|d| d["image_id"].as_u64().unwrap()).collect::<BTreeSet<_>>();
    assert_eq!(ids("few"), ids("whole").into_iter().take(2).collect());
    assert_ne!(whole.protocol_key, few.protocol_key, "they can't be compared");
}

#[test]
fn experts_are_selected_on_schedule_and_every_change_is_explained() {
    let root = tempfile::tempdir().unwrap();
    let config = adaptive();
    let record = run(root.path(), "cell", &config, &mut ()).unwrap();
    let rows = History::read(&CellDir::new(root.path().join("cell")).history()).unwrap().rows;
    for task in Task::ALL {
        let of = |phase: &str, metric: &str| -> Vec<(u64, f64)> {
            let wanted = |r: &&HistoryRow| r.phase == phase && r.task == task.as_str() && r.metric == metric;
            rows.iter().filter(wanted).map(|r| (r.step, r.value)).collect()
        };
        assert_eq!(of("first-stage", "aes_loss"), []);
        let evaluated: Vec<u64> = of("joint", "aes_loss").iter().map(|(step, _)| *step).collect();
        assert_eq!(evaluated, [2, 4, 6, 8]);
        let reasons = of("joint", "aes_reason");
        assert_eq!(reasons.iter().map(|(step, _)| *step).collect::<Vec<_>>(), evaluated);
        // A step's k is what its forward pass used, aes_k what the next one will.
        let used = of("joint", "k");
        assert!(used.iter().all(|(_, k)| (1.0..=8.0).contains(k)));
        let cost = record.cost.iter().find(|cost| cost.task == task.as_str()).unwrap();
        let decided = of("joint", "aes_k");
        assert_eq!(cost.k.unwrap() as f64, decided.last().unwrap().1);
        for (step, k) in &used {
            let before = decided.iter().rev().find(|(s, _)| s < step).map_or(2.0, |(_, k)| *k);
            assert_eq!(*k, before, "step {step}");
        }
        let entropies = of("joint", "router_entropy.1");
        assert!(!entropies.is_empty() && entropies.iter().all(|(_, e)| (0.0..=8f64.ln() + 1e-6).contains(e)));
        let load: f64 = (0..8).map(|e| of("joint", &format!("expert_load.1.{e}"))[0].1).sum();
        assert!((load - 1.0).abs() < 1e-6, "{load}");
    }
    let changed = |task: &str| rows.iter().any(|r| r.task == task && r.metric == "aes_reason" && r.value >= 2.0);
    assert!(changed("classification") || changed("detection"), "K never changed: the test shows nothing");
    assert_eq!(record.data[0].train_images, 24);
}

#[test]
fn what_experts_cannot_be_is_said_before_anything_is_trained() {
    type Bend = fn(&mut CellConfig);
    fn moe(config: &mut CellConfig, value: serde_json::Value) {
        config.model.backbone.moe = Some(serde_json::from_value(value).unwrap());
    }
    fn aes(config: &mut CellConfig) -> &mut AesConfig {
        config.training.aes.as_mut().unwrap()
    }
    let cases: [(Bend, [&str; 3]); 9] = [
        (|c| moe(c, json!({ "k": 9 })), ["model.backbone.moe.k", "9", "1 to experts (8)"]),
        (|c| moe(c, json!({ "experts": 0 })), ["model.backbone.moe.experts", "0", "1 to 1024"]),
        (|c| moe(c, json!({ "layers": [2] })), ["model.backbone.moe.layers", "[2]", "0 to 1"]),
        (|c| moe(c, json!({ "capacity_factor": 0.0 })), ["model.backbone.moe.capacity_factor", "0", "over 0"]),
        (|c| c.system = "mtl-vit".into(), ["training.aes", "a value", "null: mtl-vit has no experts"]),
        (|c| aes(c).every = 10, ["training.aes.every", "10", "1 to 9"]),
        (|c| aes(c).every = 0, ["training.aes.every", "0", "1 to 9"]),
        (|c| aes(c).validation_share = 1.5, ["training.aes.validation_share", "1.5", "less than 1"]),
        (
            |c| c.training.joint.batch.classification = 24,
            ["training.aes.validation_share", "0.01", "24 training samples"],
        ),
    ];
    for (bend, parts) in cases {
        let root = tempfile::tempdir().unwrap();
        let mut config = adaptive();
        bend(&mut config);
        let error = run(root.path(), "cell", &config, &mut ()).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
        assert!(!root.path().join("cell/checkpoints").exists(), "{error}");
    }
}

#[test]
fn the_seed_decides_the_result() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let config = tiny("mtl-vit");
    run(root, "a", &config, &mut ()).unwrap();
    run(root, "b", &config, &mut ()).unwrap();
    run(root, "c", &CellConfig { seed: 4, ..config }, &mut ()).unwrap();
    assert!(final_weights(root, "a") == final_weights(root, "b"));
    assert!(final_weights(root, "a") != final_weights(root, "c"));
}

#[test]
fn the_evaluation_batch_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let mut config = tiny("mtl-vit");
    let one = run(root, "large", &config, &mut ()).unwrap();
    config.evaluation.batch = serde_json::from_value(json!({ "classification": 5, "detection": 1 })).unwrap();
    let other = run(root, "small", &config, &mut ()).unwrap();
    assert!(final_weights(root, "large") == final_weights(root, "small"));
    assert_eq!(one.metrics.classification, other.metrics.classification);
    let keys = [one.protocol_key.clone(), other.protocol_key.clone()];
    let (one, other) = (one.metrics.detection.unwrap(), other.metrics.detection.unwrap());
    for (a, b) in [(one.bbox.AP, other.bbox.AP), (one.bbox.AR100, other.bbox.AR100), (one.segm.AP, other.segm.AP)] {
        assert!((a - b).abs() < 1e-6, "{a} and {b}");
    }
    let boxes = |name: &str| -> Vec<serde_json::Value> {
        let path = CellDir::new(root.join(name)).detection_predictions();
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let (large, small) = (boxes("large"), boxes("small"));
    assert!(!large.is_empty());
    assert_eq!(large.len(), small.len());
    for (a, b) in large.iter().zip(&small) {
        assert_eq!((&a["image_id"], &a["category_id"]), (&b["image_id"], &b["category_id"]));
        assert_same(a, b);
    }
    assert_eq!(keys[0], keys[1], "the protocol doesn't depend on the evaluation batch");
}

/// Score and box of two results are equal within rounding.
fn assert_same(a: &serde_json::Value, b: &serde_json::Value) {
    let number = |v: &serde_json::Value| v.as_f64().unwrap();
    assert!((number(&a["score"]) - number(&b["score"])).abs() < 1e-5);
    for i in 0..4 {
        assert!((number(&a["bbox"][i]) - number(&b["bbox"][i])).abs() < 1e-3, "{a} and {b}");
    }
}

#[test]
fn a_loss_that_is_not_finite_stops_the_cell_and_names_its_samples() {
    let root = tempfile::tempdir().unwrap();
    let mut config = tiny("mtl-vit");
    (config.training.joint.learning_rate, config.training.joint.warmup) = (1e30, 0);
    // Several steps run on weights that are not finite before anybody looks.
    (config.training.log_every, config.training.checkpoint_every) = (9, 9);
    let error = run(root.path(), "cell", &config, &mut ()).unwrap_err().to_string();
    for part in ["phase `joint`", "training.joint.learning_rate", ".png"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    assert!(!root.path().join("cell/checkpoints/final.safetensors").exists());
}

#[test]
fn a_checkpoint_of_another_configuration_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let mut config = tiny("mtl-vit");
    run(root.path(), "cell", &config, &mut StopAfter(4)).unwrap_err();
    config.model.backbone.depth = 1;
    let error = run(root.path(), "cell", &config, &mut ()).unwrap_err().to_string();
    assert!(error.contains("position.json") && error.contains("another configuration"), "{error}");
}

#[test]
fn every_term_is_in_the_history_and_the_rate_follows_its_schedule() {
    let root = tempfile::tempdir().unwrap();
    run(root.path(), "cell", &tiny("stl"), &mut ()).unwrap();
    let rows = History::read(&CellDir::new(root.path().join("cell")).history()).unwrap().rows;
    let of = |phase: &str, metric: &str| -> Vec<(u64, f64)> {
        rows.iter().filter(|r| r.phase == phase && r.metric == metric).map(|r| (r.step, r.value)).collect()
    };
    // Every 2 steps, at each checkpoint (3 steps), and at the end.
    let steps: Vec<u64> = of("classification", "cross_entropy").iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [2, 3, 4, 6, 7]);
    for term in ["rpn_objectness", "rpn_box", "class", "box", "mask", "gradient_norm"] {
        assert_eq!(of("detection", term).len(), 5, "{term}"); // 2, 3, 4, 6, 8
    }
    // A phase's first batch is left out, so that its first row covers one step here.
    let shares = of("classification", "data_wait_share");
    assert_eq!(shares.iter().map(|(step, _)| *step).collect::<Vec<_>>(), steps);
    assert!(shares.iter().all(|(_, share)| (0.0..=1.0).contains(share)), "{shares:?}");
    // Warm-up of 2 steps to 1e-3, then half a cosine over 5 steps: 1e-3 (1 + cos(pi t / 5)) / 2 at t = 0, .., 4.
    let rates = of("classification", "learning_rate");
    let cosine = |t: f64| 0.5e-3 * (1.0 + (std::f64::consts::PI * t / 5.0).cos());
    for ((_, rate), expected) in rates.iter().zip([1e-3, cosine(0.0), cosine(1.0), cosine(3.0), cosine(4.0)]) {
        assert!((rate - expected).abs() < 1e-12, "{rate} instead of {expected}");
    }
}

#[test]
fn predict_says_of_a_validation_image_what_evaluation_said() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let mut config = tiny("mtl-vit");
    config.model.detector.norm = NormKind::None;
    let mut record = run(root, "cell", &config, &mut ()).unwrap();
    write_record(&root.join("cell"), &record).unwrap();
    let images = root.join("data/detection/val");
    let summary = predict(&root.join("cell"), &images, &root.join("out"), None, Device::Cpu).unwrap();
    let read =
        |path: PathBuf| -> Vec<serde_json::Value> { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let ours = read(root.join("out/detection.json"));
    let evaluated = read(CellDir::new(root.join("cell")).detection_predictions());
    assert_eq!((summary.detections, ours.len()), (evaluated.len(), evaluated.len()));
    for (a, b) in ours.iter().zip(&evaluated) {
        assert_eq!(a["category_id"], b["category_id"]);
        assert_same(a, b);
    }
    // As task version 1 wrote it: no norm, and windows of the backbone.
    let model = &mut record.config["model"];
    assert_eq!(model["detector"].as_object_mut().unwrap().remove("norm"), Some("none".into()));
    for task in ["classification", "detection"] {
        assert_eq!(model["inputs"][task].as_object_mut().unwrap().remove("windows"), Some(1.into()));
    }
    model["backbone"]["windows"] = 1.into();
    write_record(&root.join("cell"), &record).unwrap();
    predict(&root.join("cell"), &images, &root.join("old"), None, Device::Cpu).unwrap();
    assert_eq!(ours, read(root.join("old/detection.json")));
    let empty = tempfile::tempdir().unwrap();
    let error = predict(&root.join("cell"), empty.path(), &root.join("none"), None, Device::Cpu).unwrap_err();
    assert!(error.to_string().contains("holds no image") && !root.join("none").exists(), "{error}");
}

fn small_backbone(depth: usize, pool: Pool) -> FeaturesConfig {
    FeaturesConfig { image_size: 32, patch_size: 8, depth, width: 48, heads: 3, mlp: 96, pool, moe: None }
}

#[test]
fn features_reads_timm_names_and_refuses_other_shapes() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden");
    let out = tempfile::tempdir().unwrap();
    for (file, pool) in [("vit_mean.safetensors", Pool::Mean), ("vit_token.safetensors", Pool::Token)] {
        let config =
            FeaturesConfig { image_size: 32, patch_size: 8, depth: 2, width: 48, heads: 3, mlp: 96, pool, moe: None };
        let (weights_file, written) = (golden.join(file), out.path().join(file));
        let run = |config: &FeaturesConfig, task| {
            let backbone = FeaturesBackbone::Yaml(config.clone());
            features(&backbone, task, &weights_file, &weights_file, &written, Device::Cpu)
        };
        for task in Task::ALL {
            run(&config, task).unwrap();
            let (ours, timm) = (weights::read(&written).unwrap(), weights::read(&weights_file).unwrap());
            for name in ["tokens", "pooled"] {
                let most = (&ours[name] - &timm[name]).abs().max().double_value(&[]);
                assert!(most < 1e-5, "{file}, {name}: {most}");
            }
        }
        let error = run(&FeaturesConfig { width: 24, ..config.clone() }, Task::Detection).unwrap_err();
        assert!(error.to_string().contains("another architecture"), "{error}");
        let error = run(&FeaturesConfig { heads: 7, ..config }, Task::Detection).unwrap_err();
        assert!(error.to_string().contains("model.backbone.heads: 7"), "{error}");
    }
}

#[test]
fn features_says_what_routers_decided() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden/moe.safetensors");
    let out = tempfile::tempdir().unwrap();
    let written = out.path().join("features.safetensors");
    let run = |moe: &str, task| {
        let config = FeaturesConfig { moe: serde_json::from_str(moe).unwrap(), ..small_backbone(3, Pool::Mean) };
        features(&FeaturesBackbone::Yaml(config), task, &golden, &golden, &written, Device::Cpu)
    };
    for task in Task::ALL {
        run(r#"{"layers": [1, 2], "experts": 4, "k": 2, "capacity_factor": null}"#, task).unwrap();
        let (ours, theirs) = (weights::read(&written).unwrap(), weights::read(&golden).unwrap());
        let layer = |i| ["router_probs", "selected", "importance_loss", "load_loss"].map(|name| format!("{name}.{i}"));
        let mut expected = [&layer(1)[..], &layer(2)[..], &["tokens".into(), "pooled".into()]].concat();
        expected.sort();
        assert_eq!(ours.keys().cloned().collect::<Vec<_>>(), expected);
        for (name, ours) in &ours {
            let theirs = &theirs[&format!("{task}.{name}")];
            assert_eq!((ours.kind(), ours.size()), (theirs.kind(), theirs.size()), "{name}");
            let most = (ours - theirs).abs().max().double_value(&[]);
            assert!(most < 1e-5, "{task}, {name}: {most}");
        }
    }
    let error = run(r#"{"layers": [3], "experts": 4, "k": 2}"#, Task::Detection).unwrap_err().to_string();
    assert!(error.contains("model.backbone.moe.layers: [3] is not possible"), "{error}");
    let error = run(r#"{"layers": [1, 2], "experts": 4, "k": 5}"#, Task::Detection).unwrap_err().to_string();
    assert!(error.contains("model.backbone.moe.k: 5 is not possible; give 1 to experts (4)"), "{error}");
}
