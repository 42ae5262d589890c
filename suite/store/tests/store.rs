//! The store through its public interface: records, schema, run directories, locks.

mod fixture;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use adamv_store::{
    CellDir, CellId, CellState, Error, Metrics, Progress, Record, RunDir, RunPlan, Status, is_locked, lock,
    read_progress, read_record, remove_progress, schema, write_progress, write_record,
};
use fixture::{id, record};
use serde_json::{Value, json};

#[test]
fn record_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(read_record(dir.path()).unwrap(), None);
    let done = record("stl", 0);
    write_record(dir.path(), &done).unwrap();
    assert_eq!(read_record(dir.path()).unwrap(), Some(done));

    let failed = Record {
        status: Status::Failed,
        error: Some("step 7: loss is NaN".into()),
        metrics: Metrics::default(),
        device_peak_memory_bytes: Some(7),
        ..record("stl", 0)
    };
    write_record(dir.path(), &failed).unwrap();
    assert_eq!(read_record(dir.path()).unwrap(), Some(failed));
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["record.json"]);
}

#[test]
fn records_from_before_multiply_adds_were_counted_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut older = serde_json::to_value(record("stl", 0)).unwrap();
    for field in ["macs", "macs_backbone", "flops"] {
        assert!(older["cost"][0].as_object_mut().unwrap().remove(field).is_some(), "{field}");
    }
    fs::write(dir.path().join("record.json"), older.to_string()).unwrap();
    let cost = &read_record(dir.path()).unwrap().unwrap().cost[0];
    assert_eq!((cost.macs, cost.macs_backbone, cost.flops), (None, None, None));
    assert_eq!(cost.params_activated, record("stl", 0).cost[0].params_activated);
}

#[test]
fn a_number_that_is_not_finite_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut bad = record("stl", 0);
    if let Some(detection) = &mut bad.metrics.detection {
        detection.segm.AP75 = f64::NAN;
    }
    let error = write_record(dir.path(), &bad).unwrap_err().to_string();
    assert!(error.contains("metrics.detection.segm.AP75"), "{error}");
    let mut bad = record("stl", 0);
    bad.timing.train_images_per_second = f64::INFINITY;
    let error = write_record(dir.path(), &bad).unwrap_err().to_string();
    assert!(error.contains("timing.train_images_per_second"), "{error}");
    assert!(!dir.path().join("record.json").exists());
}

#[test]
fn broken_and_newer_records_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("record.json");
    write_record(dir.path(), &record("stl", 0)).unwrap();
    let text = fs::read_to_string(&path).unwrap();

    for broken in [&text[..text.len() / 2], "", "[]", &text.replace("\"top1\"", "\"top_1\"")] {
        fs::write(&path, broken).unwrap();
        let error = read_record(dir.path()).unwrap_err();
        assert!(matches!(error, Error::Broken { .. }), "{error:?}");
        let message = error.to_string();
        assert!(
            message.contains("record.json") && message.contains("line") && message.contains("delete it"),
            "{message}"
        );
    }

    fs::write(&path, r#"{"schema_version": 99, "everything": "else changed"}"#).unwrap();
    let message = read_record(dir.path()).unwrap_err().to_string();
    assert!(
        message.contains("99") && message.contains("up to 1") && message.contains("newer adamv-bench"),
        "{message}"
    );
}

/// Whether `value` has the structure that `schema` asks for. Knows the part of JSON Schema that schemars uses for records;
/// an unknown keyword fails the test, so that it cannot pass by not looking.
fn check(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let Some(rules) = schema.as_object() else { return Ok(()) };
    for (rule, argument) in rules {
        let ok = match rule.as_str() {
            "$schema" | "title" | "description" | "format" | "$defs" | "default" => true,
            "$ref" => {
                let name = argument.as_str().and_then(|r| r.strip_prefix("#/$defs/")).ok_or("a reference")?;
                check(root, &root["$defs"][name], value, at)?;
                true
            }
            "anyOf" | "oneOf" => {
                argument.as_array().unwrap().iter().any(|option| check(root, option, value, at).is_ok())
            }
            "const" => value == argument,
            "enum" => argument.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|v| v >= argument.as_f64().unwrap()),
            "required" => argument.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
            "properties" => {
                for (name, rule) in argument.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        check(root, rule, value, &format!("{at}.{name}"))?;
                    }
                }
                true
            }
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    check(root, argument, item, &format!("{at}[]"))?;
                }
                true
            }
            "type" => {
                let is = |name: &Value| match name.as_str() {
                    Some("object") => value.is_object(),
                    Some("array") => value.is_array(),
                    Some("string") => value.is_string(),
                    Some("integer") => value.is_u64(),
                    Some("number") => value.is_number(),
                    Some("boolean") => value.is_boolean(),
                    Some("null") => value.is_null(),
                    _ => false,
                };
                argument.as_array().map_or_else(|| is(argument), |options| options.iter().any(is))
            }
            unknown => return Err(format!("{at}: unknown keyword {unknown}")),
        };
        if !ok {
            return Err(format!("{at}: {rule} {argument} against {value}"));
        }
    }
    Ok(())
}

#[test]
fn the_schema_accepts_a_record_and_refuses_others() {
    let schema = schema();
    let good = serde_json::to_value(record("stl", 0)).unwrap();
    check(&schema, &schema, &good, "record").unwrap();

    for (pointer, value) in [
        ("/status", json!("finished")),
        ("/cell/seed", json!("0")),
        ("/cell/seed", json!(-1)),
        ("/metrics/classification/top1", Value::Null),
        ("/data/0", json!({})),
        ("/timing", Value::Null),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value.clone();
        assert!(check(&schema, &schema, &bad, "record").is_err(), "{pointer} = {value}");
    }
    // Every field carries a description.
    for (name, of) in schema["$defs"].as_object().unwrap().iter().chain([(&"Record".to_owned(), &schema)]) {
        for (field, rule) in of["properties"].as_object().into_iter().flatten() {
            assert!(rule["description"].is_string(), "{name}.{field} has no description");
        }
    }
}

fn plan() -> RunPlan {
    let cells = ["done", "failed", "running", "waiting", "stale"].map(|system| {
        let cell = record(system, 0);
        (cell.cell, cell.cell_key)
    });
    RunPlan::new("smoke", vec!["run".into(), "smoke".into()], cells.into()).unwrap()
}

#[test]
fn a_run_directory_lists_every_cell_with_its_state() {
    let dir = tempfile::tempdir().unwrap();
    let run = RunDir::create(&dir.path().join("out")).unwrap();
    assert!(matches!(RunDir::open(run.path()), Err(Error::NotARun { .. })));
    assert_eq!(run.plan().unwrap(), None);
    let plan = plan();
    run.write_plan(&plan).unwrap();
    assert_eq!(run.plan().unwrap(), Some(plan.clone()));

    let dir_of = |system: &str| run.cell_dir(plan.cells.iter().find(|c| c.id.system == system).unwrap());
    write_record(dir_of("done").path(), &record("done", 0)).unwrap();
    write_record(dir_of("failed").path(), &Record { status: Status::Failed, ..record("failed", 0) }).unwrap();
    write_record(dir_of("stale").path(), &Record { cell_key: "0".repeat(16), ..record("stale", 0) }).unwrap();
    let progress = Progress { step: 3, steps: 9, phase: "train".into() };
    write_progress(dir_of("running").path(), &progress).unwrap();
    write_record(&run.path().join("stl-vit-micro-s9"), &record("stl", 9)).unwrap();

    let states = |run: &RunDir| -> Vec<(String, CellState)> {
        run.cells().unwrap().into_iter().map(|cell| (cell.id.system, cell.state)).collect()
    };
    let expect = |running| {
        [
            ("done", CellState::Done),
            ("failed", CellState::Failed),
            ("running", running),
            ("waiting", CellState::Waiting),
            ("stale", CellState::Waiting),
            ("stl", CellState::Done),
        ]
        .map(|(system, state)| (system.to_owned(), state))
    };
    // Progress without a living holder is a stopped cell, not a running one.
    assert_eq!(states(&run), expect(CellState::Waiting));
    let held = run.lock().unwrap();
    assert_eq!(states(&run), expect(CellState::Running));
    drop(held);

    let cells = RunDir::open(run.path()).unwrap().cells().unwrap();
    assert_eq!(cells[2].progress, Some(progress));
    assert!(cells[4].record.is_none(), "a record of another config is not shown");
    assert_eq!((cells[0].planned, cells[5].planned), (true, false));
    remove_progress(dir_of("running").path()).unwrap();
    remove_progress(dir_of("running").path()).unwrap();
    assert_eq!(read_progress(dir_of("running").path()).unwrap(), None);
}

#[test]
fn folder_names_in_a_plan_are_distinct_and_stay_inside() {
    let cell = |system: &str, backbone: &str| {
        (CellId { system: system.into(), backbone: backbone.into(), ..id("", 0) }, "0".repeat(16))
    };
    let cells =
        vec![cell("stl", "vit-micro"), cell("stl-vit", "micro"), cell("STL", "vit-micro"), cell("taps", "vit-micro")];
    let plan = RunPlan::new("smoke", vec![], cells).unwrap();
    let mut names: Vec<String> = plan.cells.iter().map(|cell| cell.dir.to_lowercase()).collect();
    assert_eq!(names[3], "taps-vit-micro-s0");
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 4);

    let twice = RunPlan::new("smoke", vec![], vec![cell("stl", "vit-micro"), cell("stl", "vit-micro")]);
    assert!(twice.unwrap_err().to_string().contains("stl-vit-micro-s0"));

    let dir = tempfile::tempdir().unwrap();
    let run = RunDir::create(dir.path()).unwrap();
    for hostile in ["..", "../x", "/etc", "a/b", "", ".", "a/"] {
        let mut plan = plan.clone();
        plan.cells[0].dir = hostile.into();
        run.write_plan(&plan).unwrap();
        let error = run.cells().unwrap_err().to_string();
        assert!(error.contains("run.json") && error.contains("plain name"), "{hostile}: {error}");
    }
}

#[test]
fn a_second_lock_is_refused_with_the_pid() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!is_locked(dir.path()));
    let held = lock(dir.path()).unwrap();
    assert!(is_locked(dir.path()) && held.path().ends_with(".lock"));
    let message = lock(dir.path()).unwrap_err().to_string();
    assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
    assert!(message.contains("--out"), "{message}");
    drop(held);
    assert!(!is_locked(dir.path()));
    lock(dir.path()).unwrap();
}

#[test]
fn taking_the_lock_sweeps_half_written_files() {
    let dir = tempfile::tempdir().unwrap();
    let cell = CellDir::new(dir.path().join("stl-vit-micro-s0"));
    write_record(cell.path(), &record("stl", 0)).unwrap();
    let leftover = cell.path().join(".record.json.4711-0.adamv-tmp");
    fs::write(&leftover, "{").unwrap();
    lock(dir.path()).unwrap();
    assert!(!leftover.exists() && cell.record().exists());
}

/// A child of its own: this very test binary, told by the environment to hold the lock until it is killed.
#[test]
fn a_killed_holder_frees_the_lock() {
    const HOLD: &str = "ADAMV_STORE_TEST_HOLD";
    if let Ok(dir) = std::env::var(HOLD) {
        let _held = lock(Path::new(&dir)).unwrap();
        println!("\nheld");
        loop {
            std::thread::park();
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_holder_frees_the_lock", "--nocapture"])
        .env(HOLD, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "held"));
    let message = lock(dir.path()).unwrap_err().to_string();
    assert!(message.contains(&format!("process {}", child.id())), "{message}");
    child.kill().unwrap();
    child.wait().unwrap();
    lock(dir.path()).unwrap();
}
