//! Probes made by hand, of which the right picture is known. No test lives here.
#![allow(dead_code, reason = "each test file is a program of its own and uses a part of this")]

use std::path::Path;

use adamv_reports::{Report, ReportOptions, Results, load, render};
use adamv_store::{
    ClassName, DetectionError, DetectionMatches, ExpertUse, FeatureSimilarity, GalleryImage, GradientPair, History,
    HistoryRow, MatchedDetection, ObjectCount, Outlined, PatchLayer, Place, Probes, RoutedImage, RoutingChange,
};

use crate::fixture::{done, ends, id, store};

/// `fixture/make_scene.py` made it.
pub const SCENE: &[u8] = include_bytes!("../fixture/scene.jpg");

/// Cells that are done, each with its probes.
pub fn results(cells: Vec<(&str, u64, Probes)>) -> Results {
    let dir = tempfile::tempdir().unwrap();
    let fates = cells.iter().map(|(system, seed, _)| ends(done(id(system, "base", *seed), 0.7, 0.2, 0.1))).collect();
    let mut results = load(&[&store(dir.path(), "run", fates)]).unwrap();
    for (cell, (system, seed, probes)) in results.runs[0].cells.iter_mut().zip(cells) {
        assert_eq!((cell.id.system.as_str(), cell.id.seed), (system, seed));
        cell.probes = probes;
    }
    results
}

pub fn report(results: &Results) -> Report {
    render(results, &ReportOptions::default()).unwrap()
}

/// The report of one cell of adamv-moe.
pub fn report_of(probes: Probes) -> Report {
    report(&results(vec![("adamv-moe", 0, probes)]))
}

/// The first figure whose name starts so.
pub fn figure<'a>(report: &'a Report, start: &str) -> &'a str {
    let found = report.figures.iter().find(|(name, _)| name.starts_with(start));
    found.map(|(_, svg)| svg.as_str()).unwrap_or_else(|| panic!("no figure {start}"))
}

pub fn table<'a>(report: &'a Report, name: &str) -> &'a str {
    &report.tables.iter().find(|(other, _)| other == name).unwrap().1
}

/// Elements with this tag and these letters in their attributes, without what is between `<` and `>`.
pub fn elements<'a>(svg: &'a str, tag: &str, has: &str) -> Vec<&'a str> {
    svg.split('<').filter(|one| one.starts_with(&format!("{tag} ")) && one.contains(has)).collect()
}

pub fn attribute<'a>(element: &'a str, name: &str) -> &'a str {
    element
        .split(&format!(" {name}=\""))
        .nth(1)
        .unwrap_or_else(|| panic!("no {name} in {element}"))
        .split('"')
        .next()
        .unwrap()
}

pub fn number(element: &str, name: &str) -> f64 {
    attribute(element, name).parse().unwrap()
}

/// The corners of a polyline.
pub fn points(element: &str) -> Vec<[f64; 2]> {
    let pair = |text: &str| {
        let (x, y) = text.split_once(',').unwrap();
        [x.parse().unwrap(), y.parse().unwrap()]
    };
    attribute(element, "points").split_whitespace().map(pair).collect()
}

pub fn routed(first: Vec<u32>, second: Vec<u32>, rows: u32, columns: u32) -> RoutedImage {
    let layer = |layer| PatchLayer { layer, first: first.clone(), second: second.clone() };
    RoutedImage {
        task: "detection".into(),
        image: "val/000007.jpg".into(),
        jpeg: SCENE.to_vec(),
        width: 67,
        height: 67,
        rows,
        columns,
        layers: vec![layer(1), layer(3), layer(5)],
    }
}

pub fn pair(step: u64, weight: &str, dot: f64, classification_norm: f64, detection_norm: f64) -> GradientPair {
    GradientPair { step, phase: "joint".into(), weight: weight.into(), dot, classification_norm, detection_norm }
}

pub fn used(task: &str, layer: u32, class: Option<u64>, pairs: &[u64]) -> Vec<ExpertUse> {
    let row = |(expert, pairs): (usize, &u64)| ExpertUse {
        task: task.into(),
        layer,
        class,
        expert: expert as u32,
        pairs: *pairs,
    };
    pairs.iter().enumerate().map(row).collect()
}

pub fn class(task: &str, number: u64, name: &str) -> ClassName {
    ClassName { task: task.into(), number, name: name.into() }
}

pub fn alike(task: &str, layer: u32, expert_a: u32, expert_b: u32, cosine: Option<f64>) -> FeatureSimilarity {
    FeatureSimilarity { task: task.into(), layer, expert_a, expert_b, cosine }
}

pub fn moved(step: u64, task: &str, layer: u32, distance: f64) -> RoutingChange {
    RoutingChange { step, phase: "joint".into(), task: task.into(), layer, distance }
}

/// A square from 10 to 30 with a hole from 15 to 20, and the disc as a diamond.
pub fn outlined(class: u64, score: Option<f64>) -> Outlined {
    let square = |from: u32, to: u32| vec![[from, from], [to, from], [to, to], [from, to]];
    match class {
        1 => Outlined { class, score, bbox: [10.0, 10.0, 30.0, 30.0], outlines: vec![square(10, 30), square(15, 20)] },
        _ => Outlined {
            class,
            score,
            bbox: [34.0, 22.0, 58.0, 46.0],
            outlines: vec![vec![[46, 22], [58, 34], [46, 46], [34, 34]]],
        },
    }
}

pub fn shown(place: Place, found: Vec<Outlined>, average_precision: f64) -> GalleryImage {
    GalleryImage {
        image: "val/000007.jpg".into(),
        place,
        average_precision,
        jpeg: SCENE.to_vec(),
        width: 67,
        height: 48,
        objects: vec![outlined(1, None), outlined(2, None)],
        found,
    }
}

pub fn matched(image: u64, category: u64, score: f32, bbox_matched: u16, segm_matched: u16) -> MatchedDetection {
    MatchedDetection { image, category, score, bbox_matched, segm_matched, bbox_ignored: 0, segm_ignored: 0 }
}

pub const ALL: u16 = 0b11_1111_1111;

/// Class 1: one of two objects found at every threshold. Class 2: boxes found up to IoU 0.70 (five thresholds), masks not at all.
/// Class 3: objects that nobody looks for. Class 4 has detections, but no objects.
pub fn matches() -> DetectionMatches {
    DetectionMatches {
        images: vec![7, 9],
        objects: vec![
            ObjectCount { image: 7, category: 1, count: 2 },
            ObjectCount { image: 9, category: 2, count: 1 },
            ObjectCount { image: 9, category: 3, count: 1 },
        ],
        detections: vec![matched(7, 1, 0.9, ALL, ALL), matched(9, 2, 0.8, 0b1_1111, 0), matched(9, 4, 0.7, 0, 0)],
    }
}

/// Rows of adaptive expert selection as the engine writes them: step, K, loss, best before, reason.
pub fn aes(history: &mut History, task: &str, rows: &[(u64, f64, f64, Option<f64>, f64)]) {
    for (step, k, loss, best, reason) in rows {
        history.push(*step, "joint", task, "aes_loss", *loss);
        if let Some(best) = best {
            history.push(*step, "joint", task, "aes_best", *best);
        }
        history.push(*step, "joint", task, "aes_k", *k);
        history.push(*step, "joint", task, "aes_reason", *reason);
    }
}

/// A number in 0 to 1 that looks random.
fn wobble(n: u64) -> f64 {
    ((n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64) / f64::from(1u32 << 24)
}

/// Probes with everything in them, as a run of six classes might have.
pub fn rich(seed: u64, experts: u32) -> Probes {
    let names = ["Disc", "Square", "Triangle", "Ring", "Cross", "Star"];
    let mut probes = Probes::default();
    for (n, name) in names.iter().enumerate() {
        probes.classes.push(class("classification", n as u64, name));
        probes.classes.push(class("detection", n as u64 + 1, name));
    }
    if experts > 0 {
        for (t, task) in ["classification", "detection"].into_iter().enumerate() {
            let t = t as u64;
            for layer in [1, 3, 5] {
                let pairs = |salt: u64| -> Vec<u64> {
                    (0..experts)
                        .map(|e| (1000.0 * wobble(salt * 97 + u64::from(e) * 13 + t * 7 + seed).powi(2)) as u64)
                        .collect()
                };
                probes.expert_use.extend(used(task, layer, None, &pairs(u64::from(layer))));
                if layer == 5 {
                    for c in 0..6 {
                        probes.expert_use.extend(used(task, layer, Some(c + t), &pairs(100 + c)));
                    }
                }
                for a in 0..experts {
                    for b in a..experts {
                        let value = wobble(u64::from(a * 31 + b * 17 + layer) + t) * 1.3 - 0.35;
                        let cosine = if a == b { Some(0.7 + 0.3 * value.abs()) } else { Some(value) };
                        probes.similarities.push(alike(task, layer, a, b, cosine.filter(|_| (a, b) != (2, 5))));
                    }
                }
                for step in (40..=400).step_by(40) {
                    let distance = 0.75 * (-(step as f64) / 130.0).exp() * (1.0 - 0.1 * f64::from(layer))
                        + 0.06 * wobble(step + t + seed);
                    probes.routing_changes.push(moved(step, task, layer, distance));
                }
            }
            let (rows, columns) = (12, 16);
            let choose = |salt: u64| -> Vec<u32> {
                (0..rows * columns)
                    .map(|n: u64| {
                        let (y, x) = (n / columns, n % columns);
                        let base = if x < 6 {
                            0
                        } else if y > 6 {
                            3
                        } else {
                            5
                        };
                        ((base + salt + u64::from(wobble(n + salt + t) > 0.8)) % u64::from(experts)) as u32
                    })
                    .collect()
            };
            for image in 0..2 {
                let mut one = routed(choose(image), choose(image + 2), rows as u32, columns as u32);
                one.task = task.into();
                one.height = 48;
                one.layers[2].first = choose(image + 4);
                probes.routed_images.push(one);
            }
        }
    }
    for step in (10..=400).step_by(10) {
        for weight in ["blocks.0.attention", "blocks.1.mlp"] {
            let cosine = (wobble(step + seed * 1000 + weight.len() as u64) + wobble(step * 3 + seed) - 1.0) * 0.6
                + 0.02 * f64::from(experts);
            probes.gradients.push(pair(step, weight, cosine * 6.0, 2.0, 3.0));
        }
    }
    for (iou, factor) in [("bbox", 1.0), ("segm", 1.3)] {
        for (n, kind) in ["Cls", "Loc", "Both", "Dupe", "Bkg", "Miss", "FP", "FN"].into_iter().enumerate() {
            probes.errors.push(DetectionError {
                iou_type: iou.into(),
                kind: kind.into(),
                delta_ap50: factor * 0.12 * wobble(n as u64 * 5 + seed),
                count: (n < 6).then_some(12 * n as u64),
            });
        }
    }
    let good = vec![outlined(1, Some(0.97)), outlined(2, Some(0.88))];
    let bad = vec![outlined(5, Some(0.61)), outlined(2, Some(0.41)), outlined(6, Some(0.33))];
    probes.gallery = vec![
        shown(Place::Best, good.clone(), 0.93),
        shown(Place::Best, good, 0.87),
        shown(Place::Worst, bad, 0.0),
        shown(Place::Worst, vec![], 0.0),
    ];
    probes
}

/// Six systems of three seeds, some with experts, and adaptive selection in one.
pub fn everything() -> Results {
    let mut cells = Vec::new();
    for system in ["stl", "mtl-vit", "taps", "mtl-moe", "adamv-moe"] {
        for seed in 0..3 {
            let mut probes = rich(
                seed,
                match system {
                    "mtl-moe" => 16,
                    "adamv-moe" => 8,
                    _ => 0,
                },
            );
            if system == "stl" {
                probes.gradients.clear();
            }
            cells.push((system, seed, probes));
        }
    }
    let mut results = results(cells);
    for cell in &mut results.runs[0].cells {
        cell.matches = Some(matches());
        // As the engine writes it, for the learning curves.
        let terms = cell.history.rows.iter().filter(|row| ["cross_entropy", "mask"].contains(&row.metric.as_str()));
        let losses: Vec<_> = terms.map(|row| HistoryRow { metric: "loss".into(), ..row.clone() }).collect();
        cell.history.rows.extend(losses);
        if cell.id.system == "adamv-moe" {
            let n = cell.id.seed as f64;
            aes(
                &mut cell.history,
                "classification",
                &[
                    (80, 2.0, 1.61, None, 0.0),
                    (160, 2.0, 1.32, Some(1.61), 1.0),
                    (240, 3.0, 1.35 + 0.01 * n, Some(1.32), 2.0),
                    (320, 3.0, 1.21, Some(1.32), 1.0),
                    (400, 3.0, 1.19, Some(1.21), 1.0),
                ],
            );
            aes(
                &mut cell.history,
                "detection",
                &[
                    (80, 2.0, 2.9, None, 0.0),
                    (160, 3.0, 2.95, Some(2.9), 2.0),
                    (240, 2.0, 2.93, Some(2.9), 3.0),
                    (320, 2.0, 2.7, Some(2.9), 4.0),
                    (400, 2.0, 2.6, Some(2.7), 4.0),
                ],
            );
        }
    }
    results
}

/// Where a report for eyes goes.
pub fn out(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("reports").join(name)
}
