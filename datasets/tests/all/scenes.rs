//! The built-in data set: deterministic, clean, balanced, and its masks are its pixels.

use std::fs;
use std::path::Path;
use std::time::Instant;

use adamv_datasets::scenes::{Shape, Stock, detection_scene, make};
use adamv_datasets::{
    ClassificationDataset, ClassificationOptions, DetectionDataset, DetectionOptions, ScenesConfig, Split, check,
};

use crate::support::on_threads;

fn config() -> ScenesConfig {
    ScenesConfig { images: 48, ..Default::default() }
}

#[test]
fn both_readers_read_it_and_check_is_clean() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("scenes");
    let paths = make(&out, &config()).unwrap();
    assert!(!dir.path().join("scenes.partial").exists());
    let report = check(&out).unwrap();
    assert_eq!(report.problems, []);
    assert_eq!(report.images, 2 * (48 + 12));
    for (split, n) in [(Split::Train, 48), (Split::Val, 12)] {
        let options = ClassificationOptions::default();
        let data = ClassificationDataset::open(&paths.imagenet.root, split, &options, 64).unwrap();
        assert_eq!((data.len(), data.classes().len()), (n, 6));
        for label in 0..6 {
            assert_eq!((0..n).filter(|&i| data.label(i) == label).count(), n / 6);
        }
        let (images, annotations) = match split {
            Split::Train => (&paths.coco.train_images, &paths.coco.train_annotations),
            Split::Val => (&paths.coco.val_images, &paths.coco.val_annotations),
        };
        let data = DetectionDataset::open(images, annotations, split, &DetectionOptions::default(), 64).unwrap();
        assert_eq!(data.len(), n);
        assert_eq!(data.class_names(), ["circle", "cross", "ring", "square", "star", "triangle"]);
    }
}

#[test]
fn threads_do_not_change_a_byte() {
    let dir = tempfile::tempdir().unwrap();
    let fingerprint = |threads: usize| {
        let out = dir.path().join(threads.to_string());
        on_threads(threads, || make(&out, &config()).unwrap());
        check(&out).unwrap().fingerprint
    };
    assert_eq!(fingerprint(1), fingerprint(8));
}

#[test]
fn shapes_are_drawn_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("scenes");
    make(&out, &ScenesConfig { images: 24, size: 48, seed: 3, ..Default::default() }).unwrap();
    // Printed by the commit before there were garments, 09fd54f. Change VERSION when this must change.
    let before = "427fecf9f42f51b1b4fc94460a37d8f22727668942c35ec1d409aaba8efb9e1e";
    assert_eq!(check(&out).unwrap().fingerprint, before);
    let settings = fs::read_to_string(out.join("scenes.json")).unwrap();
    assert_eq!(settings, "{\"version\":1,\"images\":24,\"size\":48,\"seed\":3,\"sprites\":\"shapes\"}\n");
}

#[test]
fn it_is_made_once_and_never_over_something_else() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("scenes");
    make(&out, &config()).unwrap();
    let written = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    let image = out.join("detection/train/000000.png");
    let before = written(&image);
    make(&out, &config()).unwrap();
    assert_eq!(before, written(&image));
    let message = make(&out, &ScenesConfig { seed: 1, ..config() }).unwrap_err().to_string();
    assert!(message.contains("other settings") && message.contains("\"seed\":0"), "{message}");
    let message = make(dir.path(), &config()).unwrap_err().to_string();
    assert!(message.contains("not empty"), "{message}");
    // What an interrupted run left is replaced.
    let other = dir.path().join("other");
    fs::create_dir_all(dir.path().join("other.partial/classification/train/dog")).unwrap();
    make(&other, &config()).unwrap();
    assert!(!other.join("classification/train/dog").exists());
    assert_eq!(check(&out).unwrap().fingerprint, check(&other).unwrap().fingerprint);
}

#[test]
fn masks_are_the_visible_pixels() {
    let (config, mut objects, mut occluded) = (ScenesConfig::default(), 0, 0);
    for number in 0..200 {
        let scene = detection_scene(&config, Stock::Shapes, number);
        assert!(scene.objects.len() <= 6);
        let mut owner = vec![false; 64 * 64];
        for object in &scene.objects {
            objects += 1;
            assert!(object.mask.area() >= 12);
            for (taken, pixel) in owner.iter_mut().zip(object.mask.to_dense()) {
                assert!(!(*taken && pixel == 1), "masks of scene {number} overlap");
                *taken |= pixel == 1;
            }
            occluded += usize::from(colour_spread(&scene.image.rgb, &object.mask.to_dense()) > 0.06);
        }
    }
    assert!(objects > 400, "{objects} objects");
    // An object has one colour but for shade, noise and blended edges.
    assert!((occluded as f64) < 0.05 * f64::from(objects), "{occluded} of {objects} masks hold several colours");
}

/// Standard deviation of the ratio of red to the sum, over a mask's pixels away from its rim; shading does not change
/// it.
fn colour_spread(rgb: &[u8], mask: &[u8]) -> f64 {
    let mut values = Vec::new();
    for y in 1..63usize {
        for x in 1..63usize {
            let inner = (y - 1..=y + 1).all(|v| (x - 1..=x + 1).all(|u| mask[v * 64 + u] == 1));
            if inner {
                let p = &rgb[3 * (y * 64 + x)..][..3];
                let sum: f64 = p.iter().map(|&c| f64::from(c)).sum::<f64>().max(1.0);
                values.push(f64::from(p[0]) / sum);
            }
        }
    }
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len().max(1) as f64).sqrt()
}

#[test]
fn shapes_are_named_in_order() {
    let names: Vec<&str> = Shape::ALL.iter().map(|s| s.as_str()).collect();
    assert!(names.is_sorted());
}

#[test]
fn the_default_size_is_made_in_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let start = Instant::now();
    make(&dir.path().join("scenes"), &ScenesConfig::default()).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    println!("2,500 images a task in {seconds:.1} s");
    // Generous: other tests run beside this one.
    assert!(seconds < 60.0, "{seconds}");
}
