//! Event files as TensorBoard's own reader sees them (`ci/peers/read_events.py`). Skipped where no Python has TensorBoard: PEERS_PYTHON
//! names one, else it is `python3`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use adamv_store::{EventWriter, History};
use serde_json::{Value, json};

/// What TensorBoard shows of a folder; None when it isn't there.
fn shown(folder: &Path) -> Option<Value> {
    let python = std::env::var("PEERS_PYTHON").unwrap_or_else(|_| "python3".into());
    let there = Command::new(&python).args(["-c", "import tensorboard"]).output().is_ok_and(|out| out.status.success());
    if !there {
        println!("skipped: TensorBoard's reader ({python} has no tensorboard; PEERS_PYTHON names another)");
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ci/peers/read_events.py");
    let out = Command::new(python).arg(script).arg(folder).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    // Python's NaN is no JSON.
    Some(serde_json::from_str(&String::from_utf8_lossy(&out.stdout).replace("NaN", "\"NaN\"")).unwrap())
}

fn history(steps: &[u64], value: impl Fn(u64) -> f64) -> History {
    let mut history = History::default();
    for &step in steps {
        history.push(step, "joint", "detection", "expert_load.1.0", value(step));
        history.push(step, "joint", "", "learning_rate", f64::NAN);
    }
    history
}

/// A cell that is killed after step 50 and goes on from its checkpoint at step 30, 100 steps of another phase behind both.
#[test]
fn a_resumed_cell_shows_one_curve() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::open(dir.path(), 0, 100.0).unwrap();
    writer.rows(&history(&[10, 20, 30, 40, 50], |step| step as f64).rows, 100, 101.0).unwrap();
    // The kill came in the middle of an event, and the clock of the machine that goes on is behind.
    let file = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(&file).unwrap();
    OpenOptions::new().append(true).open(&file).unwrap().write_all(&bytes[..37]).unwrap();
    let mut writer = EventWriter::open(dir.path(), 130, 62.0).unwrap();
    writer.rows(&history(&[40, 50, 60], |step| 0.25 * step as f64).rows, 100, 103.0).unwrap();
    writer.scalars(160, &[("validation/AP".into(), 0.5)], 104.0).unwrap();
    let Some(shown) = shown(dir.path()) else { return };
    let curve = json!([[110, 10.0], [120, 20.0], [130, 30.0], [140, 10.0], [150, 12.5], [160, 15.0]]);
    assert_eq!(shown["detection/expert_load.1.0"], curve);
    assert_eq!(shown["validation/AP"], json!([[160, 0.5]]));
    assert!(shown["learning_rate"].as_array().unwrap().iter().all(|point| point[1] == "NaN"), "{shown}");
}
