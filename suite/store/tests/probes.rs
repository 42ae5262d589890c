//! Probes as files: what is written is read, of a cell and of a baseline's cells.

mod fixture;

use std::fs;

use adamv_store::{
    BASELINE_VERSION, Baseline, BaselineCell, ClassName, DetectionError, ExpertUse, FeatureSimilarity, GalleryImage,
    Gates, GradientPair, History, Manifest, Outlined, PatchLayer, Place, Probes, RoutedImage, RoutingChange,
};
use fixture::record;

/// A row or two of every table, with what can be odd in it.
fn probes() -> Probes {
    let task = || "detection".to_owned();
    let outlined = |score| Outlined {
        class: 30,
        score,
        bbox: [0.5, 1.25, 3.0, 4.0],
        outlines: vec![vec![[0, 0], [3, 0], [3, 2], [0, 2]], vec![]],
    };
    Probes {
        classes: vec![ClassName { task: task(), number: 30, name: "<img src=x onerror=alert(1)>".into() }],
        routing_changes: vec![RoutingChange {
            step: 50,
            phase: "joint".into(),
            task: task(),
            layer: 1,
            distance: 0.125,
        }],
        gradients: vec![GradientPair {
            step: 10,
            phase: "joint".into(),
            weight: "norm.weight".into(),
            dot: -0.1,
            classification_norm: 1.0 / 3.0,
            detection_norm: 2.0,
        }],
        expert_use: vec![
            ExpertUse { task: task(), layer: 3, class: None, expert: 0, pairs: 7 },
            ExpertUse { task: task(), layer: 3, class: Some(30), expert: 0, pairs: 0 },
        ],
        similarities: vec![
            FeatureSimilarity { task: task(), layer: 3, expert_a: 0, expert_b: 1, cosine: None },
            FeatureSimilarity { task: task(), layer: 3, expert_a: 1, expert_b: 0, cosine: Some(-0.5) },
        ],
        routed_images: vec![RoutedImage {
            task: task(),
            image: "a/b.png".into(),
            jpeg: vec![0xff, 0xd8, 0, 0xff, 0xd9],
            width: 32,
            height: 32,
            rows: 1,
            columns: 2,
            layers: vec![PatchLayer { layer: 1, first: vec![0, 3], second: vec![] }],
        }],
        gallery: vec![GalleryImage {
            image: "c.png".into(),
            place: Place::Worst,
            average_precision: 0.1,
            jpeg: vec![1, 2, 3],
            width: 3,
            height: 4,
            objects: vec![outlined(None)],
            found: vec![outlined(Some(0.1 + 0.2)), outlined(Some(0.25))],
        }],
        errors: vec![
            DetectionError { iou_type: "bbox".into(), kind: "Cls".into(), delta_ap50: 0.25, count: Some(12) },
            DetectionError { iou_type: "bbox".into(), kind: "FP".into(), delta_ap50: 0.5, count: None },
        ],
    }
}

#[test]
fn a_cells_probes_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("probes");
    assert_eq!(Probes::read(&folder).unwrap(), Probes::default());
    probes().write(&folder).unwrap();
    assert_eq!(Probes::read(&folder).unwrap(), probes());
    // What has no rows any more leaves no file behind.
    let fewer = Probes { gallery: vec![], ..probes() };
    fewer.write(&folder).unwrap();
    assert_eq!(Probes::read(&folder).unwrap(), fewer);
    assert!(!folder.join("gallery.parquet").exists());
}

#[test]
fn broken_tables_name_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let mut wrong = probes();
    wrong.routed_images[0].layers[0].first.push(1);
    wrong.write(dir.path()).unwrap();
    let error = Probes::read(dir.path()).unwrap_err().to_string();
    assert!(error.contains("routed_images.parquet") && error.contains("2 patches"), "{error}");
    fs::write(dir.path().join("routed_images.parquet"), b"PAR1").unwrap();
    let error = Probes::read(dir.path()).unwrap_err().to_string();
    assert!(error.contains("routed_images.parquet is broken"), "{error}");
}

/// Cells of a baseline keep their own, pictures those of a system's first seed; a cell may have none.
#[test]
fn a_baseline_keeps_the_probes_of_its_cells() {
    let cell = |system: &str, seed, probes| BaselineCell {
        record: record(system, seed),
        classification: Vec::new(),
        matches: None,
        history: History::default(),
        probes,
    };
    let cells = vec![
        cell("stl", 0, Probes::default()),
        cell("adamv-moe", 1, probes()),
        cell("adamv-moe", 0, probes()),
        cell("mtl-moe", 2, probes()),
    ];
    let manifest = Manifest {
        baseline_version: BASELINE_VERSION,
        suite: "smoke".into(),
        command: vec!["run".into()],
        commits: vec!["abc1234".into()],
        gates: Gates::default(),
        cells: cells.len(),
    };
    let dir = tempfile::tempdir().unwrap();
    Baseline { manifest: manifest.clone(), cells }.write(dir.path()).unwrap();
    let read = Baseline::read(dir.path()).unwrap();
    assert_eq!(read.cells[0].probes, Probes::default());
    assert_eq!(read.cells[1].probes, probes().brief(false));
    assert_eq!(read.cells[2].probes, probes().brief(true));
    assert_eq!(read.cells[3].probes, probes().brief(true));
    assert_eq!(read.cells[2].probes.gallery, probes().gallery);
    assert!(read.cells[1].probes.gallery.is_empty() && !read.cells[1].probes.expert_use.is_empty());

    // Stored again without any, nothing of them is left.
    let bare = vec![cell("stl", 0, Probes::default())];
    Baseline { manifest: Manifest { cells: 1, ..manifest }, cells: bare }.write(dir.path()).unwrap();
    assert_eq!(Baseline::read(dir.path()).unwrap().cells[0].probes, Probes::default());
}

/// A baseline keeps the cosine of all shared weights together, not that of each.
#[test]
fn stored_gradients_are_those_of_all_weights_together() {
    let row = |step, weight: &str, dot, a, b| GradientPair {
        step,
        phase: "joint".into(),
        weight: weight.into(),
        dot,
        classification_norm: a,
        detection_norm: b,
    };
    let seen = Probes {
        gradients: vec![row(10, "a", 1.0, 3.0, 5.0), row(10, "b", -3.0, 4.0, 12.0), row(20, "a", 0.5, 1.0, 1.0)],
        ..Probes::default()
    };
    let brief = seen.brief(true);
    assert_eq!(brief.gradients, [row(10, "*", -2.0, 5.0, 13.0), row(20, "*", 0.5, 1.0, 1.0)]);
    assert_eq!(brief.clone().brief(true), brief);
}
