//! Stored baselines: what is kept, that it is small, and that what an older version stored is read for ever.

mod fixture;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use adamv_store::{
    BASELINE_VERSION, Baseline, BaselineCell, ClassificationPrediction, DetectionMatches, Error, Gates, History,
    Manifest, MatchedDetection, ObjectCount, Probes,
};
use fixture::record;
use polars::prelude::*;

/// A cell whose every number follows from `system` and `seed`.
fn cell(system: &str, seed: u64) -> BaselineCell {
    let classification = (0..30u64).map(|image| ClassificationPrediction {
        image: format!("{}/{image}.png", image % 3),
        label: (image % 3) as u32,
        best: vec![(((image + seed) % 3) as u32, 0.625), ((image % 2) as u32, 0.25)],
    });
    let detection = |image: u64, category, score, bits| MatchedDetection {
        image,
        category,
        score,
        bbox_matched: bits,
        segm_matched: bits >> 1,
        bbox_ignored: 0,
        segm_ignored: 0,
    };
    let detections = vec![
        detection(2, 1, 0.9, 0b11_1111_1111),
        detection(5, 1, 0.8, 0),
        detection(5, 1, 0.7, 1 << seed),
        // Behind the last hit: no AP looks at it.
        detection(2, 1, 0.6, 0),
        detection(2, 7, 0.5004, 0b1),
    ];
    let objects =
        vec![ObjectCount { image: 2, category: 1, count: 2 }, ObjectCount { image: 2, category: 7, count: 1 }];
    let mut history = History::default();
    for step in 1..=100 {
        history.push(step, "joint", "detection", "mask", 1.0 / step as f64);
    }
    history.push(3, "joint", "classification", "k", 2.0);
    BaselineCell {
        record: record(system, seed),
        classification: classification.collect(),
        matches: Some(DetectionMatches { images: vec![2, 5, 9], objects, detections }),
        history,
        probes: Probes::default(),
    }
}

fn baseline() -> Baseline {
    let mut no_detection = cell("stl", 1);
    no_detection.matches = None;
    no_detection.record.metrics.detection = None;
    let cells = vec![cell("stl", 0), no_detection, cell("mtl-vit", 0)];
    let manifest = Manifest {
        baseline_version: BASELINE_VERSION,
        suite: "smoke".into(),
        command: ["run", "suite/suites/smoke.yaml"].map(str::to_owned).into(),
        commits: vec!["abc1234".into()],
        gates: Gates { AP: 0.25, ..Gates::default() },
        cells: cells.len(),
    };
    Baseline { manifest, cells }
}

#[test]
fn what_is_stored_is_the_brief_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b");
    baseline().write(&path).unwrap();
    assert!(Baseline::is_at(&path));
    let read = Baseline::read(&path).unwrap();
    assert_eq!(read, baseline().brief());
    // Briefer is no different.
    assert_eq!(read.clone().brief(), read);

    let (kept, given) = (&read.cells[2], cell("mtl-vit", 0));
    assert_eq!(kept.record, given.record);
    assert!(kept.classification.iter().all(|p| p.best.len() == 1));
    assert_eq!(kept.classification[4].best, [(1, 0.625)]);
    let matches = kept.matches.as_ref().unwrap();
    let scores: Vec<(u64, f32)> = matches.detections.iter().map(|d| (d.category, d.score)).collect();
    assert_eq!(scores, [(1, 0.9), (1, 0.8), (1, 0.7), (7, 0.5)]);
    assert_eq!((&matches.images[..], matches.objects.len()), (&[2, 5, 9][..], 2));
    let curve: Vec<u64> = kept.history.rows.iter().filter(|row| row.metric == "mask").map(|row| row.step).collect();
    assert_eq!((curve.len(), curve.last()), (20, Some(&100)));
    assert!(kept.history.rows.iter().any(|row| row.metric == "k"), "short curves stay whole");
    assert_eq!(read.cells[1].matches, None);
}

#[test]
fn the_same_baseline_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let [one, two] = ["1", "2"].map(|name| dir.path().join(name));
    baseline().write(&one).unwrap();
    baseline().write(&two).unwrap();
    for entry in fs::read_dir(&one).unwrap() {
        let name = entry.unwrap().file_name();
        assert_eq!(fs::read(one.join(&name)).unwrap(), fs::read(two.join(&name)).unwrap(), "{name:?}");
    }
}

/// Cells without any detection, and one without classes.
#[test]
fn cells_may_lack_a_task() {
    let dir = tempfile::tempdir().unwrap();
    let mut all = baseline();
    for cell in &mut all.cells {
        cell.matches = None;
        cell.history = History::default();
    }
    all.cells[0].classification.clear();
    all.clone().write(dir.path()).unwrap();
    assert_eq!(Baseline::read(dir.path()).unwrap(), all.brief());
}

/// `tests/baselines/v1` was written by `cargo test -p adamv-store --test baseline -- --ignored` when version 1 was new, and is never
/// written again: whatever the format becomes, it gives what it was made of.
#[test]
fn version_1_is_read_for_ever() {
    let read = Baseline::read(&frozen()).unwrap();
    let mut wanted = baseline().brief();
    wanted.manifest.baseline_version = 1;
    for cell in &mut wanted.cells {
        cell.record.schema_version = 1;
    }
    assert_eq!(read, wanted);
}

#[test]
#[ignore = "writes the frozen files of version 1, which are there"]
fn freeze_version_1() {
    assert_eq!(BASELINE_VERSION, 1);
    baseline().write(&frozen()).unwrap();
}

fn frozen() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/baselines/v1")
}

/// Records of the first release had no multiply-adds, and no K.
#[test]
fn records_of_an_older_version_are_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    baseline().write(dir.path()).unwrap();
    let path = dir.path().join("cells.parquet");
    let mut frame = ParquetReader::new(File::open(&path).unwrap()).finish().unwrap();
    let older: Vec<String> = frame
        .column("record")
        .unwrap()
        .str()
        .unwrap()
        .iter()
        .flatten()
        .map(|text| {
            let mut record: serde_json::Value = serde_json::from_str(text).unwrap();
            for cost in record["cost"].as_array_mut().unwrap() {
                for field in ["k", "macs", "macs_backbone", "flops"] {
                    assert!(cost.as_object_mut().unwrap().remove(field).is_some(), "{field}");
                }
            }
            record.to_string()
        })
        .collect();
    frame.with_column(Column::new("record".into(), older)).unwrap();
    ParquetWriter::new(File::create(&path).unwrap()).finish(&mut frame).unwrap();
    let read = Baseline::read(dir.path()).unwrap();
    let cost = &read.cells[0].record.cost[0];
    assert_eq!((cost.k, cost.macs, cost.flops), (None, None, None));
    assert_eq!(cost.params_activated, baseline().cells[0].record.cost[0].params_activated);
    assert_eq!(read.cells[0].matches, baseline().brief().cells[0].matches);
}

#[test]
fn broken_and_newer_baselines_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Baseline::read(dir.path()).unwrap_err(), Error::NotABaseline { .. }));
    baseline().write(dir.path()).unwrap();
    let manifest = dir.path().join("baseline.json");
    let text = fs::read_to_string(&manifest).unwrap();
    for (from, to, wanted) in [
        ("\"baseline_version\": 1", "\"baseline_version\": 99", "version 99"),
        ("\"cells\": 3", "\"cells\": 4", "3 cells, baseline.json says 4"),
        ("\"suite\"", "\"siute\"", "baseline.json is broken"),
    ] {
        assert!(text.contains(from), "{text}");
        fs::write(&manifest, text.replace(from, to)).unwrap();
        let error = Baseline::read(dir.path()).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    fs::write(&manifest, &text).unwrap();
    for name in ["cells", "images", "classification", "objects", "matches", "history"] {
        let path = dir.path().join(format!("{name}.parquet"));
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let error = Baseline::read(dir.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("{name}.parquet is broken")) && error.contains("take it from git"), "{error}");
        fs::write(&path, &whole).unwrap();
    }
    assert!(Baseline::read(dir.path()).is_ok());
}
