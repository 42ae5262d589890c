//! The built-in data set with garments of Fashion-MNIST: the images are the files' bytes, the scenes' masks their
//! pixels, and a broken file says so. Small sets are made here; those of the real one need its Debian package.

use std::fs;
use std::path::Path;

use adamv_datasets::scenes::{FashionMnist, SETTINGS, Scene, Stock, class_names, detection_scene, make};
use adamv_datasets::{
    ClassificationDataset, ClassificationOptions, DataConfig, DetectionDataset, DetectionOptions, Error, ScenesConfig,
    Split, Sprites, check, image,
};
use serde_json::{Value, json};

use crate::support::{fashion_mnist, gzip, idx, on_threads};

/// Class folders as the reader sorts them.
const SORTED: [&str; 10] =
    ["ankle-boot", "bag", "coat", "dress", "pullover", "sandal", "shirt", "sneaker", "t-shirt", "trouser"];

fn config(files: &Path) -> ScenesConfig {
    ScenesConfig {
        images: 24,
        sprites: Sprites::FashionMnist,
        fashion_mnist: Some(files.to_path_buf()),
        ..Default::default()
    }
}

/// A piece of cloth whose width and height tell its label, evenly bright.
fn cloth(label: u8) -> (u8, Vec<u8>) {
    let (width, height) = (10 + usize::from(label), 24 - usize::from(label));
    let inside = |at: usize| at % 28 < width && at / 28 < height;
    (label, (0..28 * 28).map(|at| if inside(at) { 255 } else { 0 }).collect())
}

/// Three garments a class with some pattern, in mixed order, and one a class for validation.
fn small_set(files: &Path) -> [Vec<(u8, Vec<u8>)>; 2] {
    let patterned = |i: usize| {
        let (label, mut pixels) = cloth((i * 7 % 10) as u8);
        for (at, pixel) in pixels.iter_mut().enumerate() {
            *pixel = pixel.saturating_sub((at * 13 % 97 + i) as u8);
        }
        (label, pixels)
    };
    let splits = [(0..30).map(patterned).collect(), (30..40).map(patterned).collect::<Vec<_>>()];
    fashion_mnist(files, [&splits[0], &splits[1]]);
    splits
}

/// The real one, where it is at hand.
fn real() -> Option<FashionMnist> {
    if Path::new(FashionMnist::DEBIAN_FOLDER).is_dir() {
        return Some(FashionMnist::open(None).unwrap());
    }
    println!("skipped: Fashion-MNIST (dataset-fashion-mnist is not installed)");
    None
}

#[test]
fn classification_is_the_images_of_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let splits = small_set(&dir.path().join("files"));
    let out = dir.path().join("scenes");
    let paths = make(&out, &config(&dir.path().join("files"))).unwrap();
    for (split, items) in Split::ALL.into_iter().zip(&splits) {
        let options = ClassificationOptions::default();
        let data = ClassificationDataset::open(&paths.imagenet.root, split, &options, 28).unwrap();
        assert_eq!(data.classes(), SORTED);
        assert_eq!(data.len(), items.len());
        for index in 0..data.len() {
            let name = data.image_name(index);
            let number: usize = name.rsplit('/').next().unwrap().strip_suffix(".png").unwrap().parse().unwrap();
            let (label, pixels) = &items[number];
            assert_eq!(SORTED[data.label(index)], FashionMnist::CLASSES[usize::from(*label)], "{name}");
            let read = image::decode(&paths.imagenet.root.join(name)).unwrap();
            assert_eq!((read.width, read.height), (28, 28));
            assert!(read.rgb.chunks_exact(3).zip(pixels).all(|(rgb, &grey)| rgb == [grey; 3]), "{name}");
        }
    }
}

#[test]
fn detection_is_scenes_of_the_splits_own_garments() {
    let dir = tempfile::tempdir().unwrap();
    let files = dir.path().join("files");
    fashion_mnist(&files, [&[cloth(3), cloth(8)], &[cloth(8)]]);
    let out = dir.path().join("scenes");
    let paths = make(&out, &config(&files)).unwrap();
    assert_eq!(class_names(Sprites::FashionMnist), FashionMnist::CLASSES);
    let report = check(&out).unwrap();
    assert_eq!(report.problems, []);
    assert_eq!(report.images, 2 + 1 + 24 + 6);
    for (split, images, annotations, scenes, labels) in [
        (Split::Train, &paths.coco.train_images, &paths.coco.train_annotations, 24, vec![3, 8]),
        (Split::Val, &paths.coco.val_images, &paths.coco.val_annotations, 6, vec![8]),
    ] {
        let data = DetectionDataset::open(images, annotations, split, &DetectionOptions::default(), 64).unwrap();
        assert_eq!((data.len(), data.class_names()), (scenes, &FashionMnist::CLASSES.map(String::from)[..]));
        let file: Value = serde_json::from_slice(&fs::read(annotations).unwrap()).unwrap();
        let mut seen: Vec<u64> =
            file["annotations"].as_array().unwrap().iter().map(|a| a["category_id"].as_u64().unwrap()).collect();
        seen.sort_unstable();
        seen.dedup();
        // An id is the label of the files and one.
        assert_eq!(seen, labels.iter().map(|label| label + 1).collect::<Vec<u64>>());
        assert_eq!(file["categories"][9], json!({"id": 10, "name": "ankle-boot", "supercategory": "garment"}));
    }
}

#[test]
fn what_the_files_hold_matters_and_not_where_they_lie() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, zipped) = (dir.path().join("plain"), dir.path().join("zipped"));
    small_set(&plain);
    fs::create_dir(&zipped).unwrap();
    for name in FashionMnist::FILES.concat() {
        let bytes = fs::read(plain.join(name)).unwrap();
        fs::write(zipped.join(format!("{name}.gz")), gzip(&bytes)).unwrap();
    }
    let out = dir.path().join("scenes");
    make(&out, &config(&plain)).unwrap();
    make(&out, &config(&zipped)).unwrap();
    let settings: Value = serde_json::from_slice(&fs::read(out.join(SETTINGS)).unwrap()).unwrap();
    let digest = FashionMnist::open(Some(&zipped)).unwrap().digest().to_string();
    assert_eq!(digest.len(), 64);
    assert_eq!(
        settings,
        json!({"version": 1, "images": 24, "size": 64, "seed": 0, "sprites": "fashion-mnist", "fashion_mnist": digest})
    );
    // One pixel of one image differs.
    let changed = plain.join("t10k-images-idx3-ubyte");
    let mut bytes = fs::read(&changed).unwrap();
    bytes[1000] ^= 1;
    fs::write(&changed, bytes).unwrap();
    let message = make(&out, &config(&plain)).unwrap_err().to_string();
    assert!(message.contains("other settings"), "{message}");
}

#[test]
fn threads_do_not_change_a_byte() {
    let dir = tempfile::tempdir().unwrap();
    let files = dir.path().join("files");
    small_set(&files);
    let fingerprint = |threads: usize| {
        let out = dir.path().join(threads.to_string());
        on_threads(threads, || make(&out, &config(&files)).unwrap());
        check(&out).unwrap().fingerprint
    };
    assert_eq!(fingerprint(1), fingerprint(8));
}

#[test]
fn keys_are_read_and_checked() {
    let data: DataConfig =
        serde_json::from_value(json!({"scenes": {"sprites": "fashion-mnist", "fashion_mnist": "/data/fm"}})).unwrap();
    data.validate().unwrap();
    let scenes = data.scenes.unwrap();
    assert_eq!(scenes.fashion_mnist.as_deref(), Some(Path::new("/data/fm")));
    let idle = ScenesConfig { sprites: Sprites::Shapes, ..scenes };
    let message = idle.validate().unwrap_err().to_string();
    assert!(message.contains("data.scenes.fashion_mnist") && message.contains("/data/fm"), "{message}");
    // Configurations of shapes read as they did, so that their cells' keys stay.
    let shapes = serde_json::to_value(ScenesConfig::default()).unwrap();
    assert_eq!(shapes, json!({"images": 2000, "size": 64, "seed": 0, "sprites": "shapes"}));
}

#[test]
fn missing_files_say_how_to_get_them() {
    let dir = tempfile::tempdir().unwrap();
    let files = dir.path().join("files");
    small_set(&files);
    fs::remove_file(files.join("train-labels-idx1-ubyte")).unwrap();
    fs::remove_file(files.join("t10k-images-idx3-ubyte")).unwrap();
    let out = dir.path().join("scenes");
    let error = make(&out, &config(&files)).unwrap_err();
    assert!(matches!(error, Error::Missing(_)));
    let message = error.to_string();
    let absent = "there is no train-labels-idx1-ubyte, no t10k-images-idx3-ubyte, plain or with .gz";
    for part in [
        files.to_str().unwrap(),
        absent,
        "`apt-get install dataset-fashion-mnist`",
        "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte",
        "`--fashion-mnist DIR`",
        "`data.scenes.fashion_mnist`",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert!(!out.exists() && !dir.path().join("scenes.partial").exists());
}

#[test]
fn broken_files_name_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let (images, labels) = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte");
    let pixels = vec![9; 3 * 784];
    let sound = idx(&[3, 28, 28], &pixels);
    let zipped = gzip(&sound);
    let with = |mut bytes: Vec<u8>, change: &dyn Fn(&mut Vec<u8>)| {
        change(&mut bytes);
        bytes
    };
    let cases = [
        (images, vec![], "truncated: 0 bytes, and the header of an IDX file of images has 16"),
        (images, sound[..10].to_vec(), "truncated: 10 bytes"),
        (images, idx(&[3], &[1, 2, 3]), "begins with 0x00000801, but an IDX file of images begins with 0x00000803"),
        (labels, sound.clone(), "begins with 0x00000803, but an IDX file of labels begins with 0x00000801"),
        (images, b"<html>not found</html>".to_vec(), "begins with 0x3c68746d"),
        (images, idx(&[3, 32, 28], &pixels), "its images have 32 x 28 pixels"),
        (images, idx(&[0, 28, 28], &[]), "its header announces 0 images"),
        (images, idx(&[u32::MAX, 28, 28], &pixels), "its header announces 4294967295 images"),
        (images, sound[..sound.len() - 1].to_vec(), "announces 3 images, 2352 bytes, and 2351 follow"),
        (images, with(sound.clone(), &|b| b.push(0)), "too long: its header announces 3 images, 2352 bytes"),
        (images, gzip(&sound[..sound.len() - 5]), "announces 3 images, 2352 bytes, and 2347 follow"),
        (images, gzip(&with(sound.clone(), &|b| b.push(0))), "too long"),
        (images, zipped[..zipped.len() - 9].to_vec(), "broken gzip"),
        (images, with(zipped.clone(), &|b| *b.iter_mut().nth_back(6).unwrap() ^= 1), "broken gzip"),
        (images, with(zipped.clone(), &|b| b.extend(b"more")), "broken gzip"),
        (images, zipped[..2].to_vec(), "broken gzip"),
        (labels, idx(&[2], &[1, 2]), "2 labels, but"),
        (labels, idx(&[3], &[1, 10, 2]), "label 1 (from 0) is 10"),
        (labels, idx(&[3], &[1, 2]), "truncated: its header announces 3 labels, 3 bytes, and 2 follow"),
    ];
    for (name, bytes, what) in cases {
        let item = (0, vec![9; 784]);
        fashion_mnist(dir.path(), [&[item.clone(), item.clone(), item.clone()], &[item]]);
        fs::write(dir.path().join(name), bytes).unwrap();
        let Err(error) = FashionMnist::open(Some(dir.path())) else { panic!("no error: {what}") };
        let message = error.to_string();
        assert!(matches!(error, Error::Data(_)), "{message}");
        assert!(message.contains(name) && message.contains(what), "{message}\nshould say: {what}");
    }
}

#[test]
fn every_pixel_shows_the_object_that_owns_it() {
    let dir = tempfile::tempdir().unwrap();
    let cloths: Vec<_> = (0..10).map(cloth).collect();
    fashion_mnist(dir.path(), [&cloths, &cloths]);
    let files = FashionMnist::open(Some(dir.path())).unwrap();
    let (mut owned, mut others, mut free, mut unclaimed) = (0, 0, 0, 0);
    for number in 0..200 {
        let scene = detection_scene(&config(dir.path()), Stock::Garments(files.split(Split::Train)), number);
        let owner = owners(&scene, 64);
        let colours: Vec<[f64; 3]> = (0..scene.objects.len()).map(|i| median_colour(&scene, &owner, i)).collect();
        for at in inner(64) {
            let around = [at - 65, at - 64, at - 63, at - 1, at + 1, at + 63, at + 64, at + 65];
            if around.iter().any(|&near| owner[near] != owner[at]) {
                continue;
            }
            let distance = |i: &usize| distance(pixel(&scene, at), colours[*i]);
            let nearest = (0..colours.len()).min_by(|a, b| distance(a).total_cmp(&distance(b)));
            match owner[at] {
                Some(i) => {
                    owned += 1;
                    others += usize::from(nearest != Some(i));
                }
                None => {
                    free += 1;
                    unclaimed += usize::from(nearest.is_some_and(|i| distance(&i) < 20.0));
                }
            }
        }
    }
    println!("{others} of {owned} owned pixels look like another object, {unclaimed} of {free} others like any");
    assert!(owned > 50_000 && others * 200 < owned, "{others} of {owned}");
    assert!(unclaimed * 200 < free, "{unclaimed} of {free}");
}

/// For each pixel, the object whose mask holds it; no two may, and each mask's box must be tight.
fn owners(scene: &Scene, side: usize) -> Vec<Option<usize>> {
    let mut owner = vec![None; side * side];
    for (i, object) in scene.objects.iter().enumerate() {
        let dense = object.mask.to_dense();
        let [mut x0, mut y0, mut x1, mut y1] = [side, side, 0, 0];
        for at in (0..owner.len()).filter(|&at| dense[at] == 1) {
            assert_eq!(owner[at].replace(i), None, "two masks hold pixel {at}");
            (x0, y0) = (x0.min(at % side), y0.min(at / side));
            (x1, y1) = (x1.max(at % side + 1), y1.max(at / side + 1));
        }
        assert_eq!(object.mask.bbox(), [x0, y0, x1 - x0, y1 - y0].map(|v| v as f64));
        assert!(object.mask.area() >= 12);
    }
    owner
}

/// Pixels that are not at the image's edge.
fn inner(side: usize) -> impl Iterator<Item = usize> {
    (0..side * side).filter(move |at| (1..side - 1).contains(&(at % side)) && (1..side - 1).contains(&(at / side)))
}

fn pixel(scene: &Scene, at: usize) -> [f64; 3] {
    std::array::from_fn(|c| f64::from(scene.image.rgb[3 * at + c]))
}

fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|c| (a[c] - b[c]).powi(2)).sum::<f64>().sqrt()
}

/// Median of each channel over an object's pixels.
fn median_colour(scene: &Scene, owner: &[Option<usize>], object: usize) -> [f64; 3] {
    std::array::from_fn(|c| {
        let mut values: Vec<u8> =
            (0..owner.len()).filter(|&at| owner[at] == Some(object)).map(|at| scene.image.rgb[3 * at + c]).collect();
        values.sort_unstable();
        f64::from(values[values.len() / 2])
    })
}

#[test]
fn the_real_files_are_read_as_numpy_reads_them() {
    let Some(files) = real() else { return };
    let golden: Value = serde_json::from_str(include_str!("../golden/fashion_mnist.json")).unwrap();
    for split in Split::ALL {
        let (garments, want) = (files.split(split), &golden[split.as_str()]);
        assert_eq!(garments.count(), want["count"]);
        let (mut per_class, mut label_checksum, mut pixel_checksum) = ([0; 10], 0, 0);
        for index in 0..garments.count() {
            per_class[garments.label(index)] += 1;
            let sum: usize = garments.pixels(index).iter().map(|&p| usize::from(p)).sum();
            label_checksum += garments.label(index) * (index + 1);
            pixel_checksum += sum * (index + 1);
        }
        assert_eq!(json!(per_class), want["per_class"]);
        assert_eq!(json!([label_checksum, pixel_checksum]), json!([want["label_checksum"], want["pixel_checksum"]]));
        for picked in want["picked"].as_array().unwrap() {
            let index = picked["index"].as_u64().unwrap() as usize;
            let pixels = garments.pixels(index);
            assert_eq!(garments.label(index), picked["label"]);
            assert_eq!(json!(pixels[14 * 28..15 * 28]), picked["row_14"]);
            assert_eq!(json!(pixels.iter().skip(9).step_by(28).collect::<Vec<_>>()), picked["column_9"]);
        }
    }
}

#[test]
fn scenes_of_real_garments_have_all_classes() {
    let Some(files) = real() else { return };
    let config = ScenesConfig { sprites: Sprites::FashionMnist, ..Default::default() };
    let mut seen = [0; 10];
    for number in 0..150 {
        let scene = detection_scene(&config, Stock::Garments(files.split(Split::Val)), number);
        assert!((1..=6).contains(&scene.objects.len()), "{} objects in scene {number}", scene.objects.len());
        owners(&scene, 64);
        for object in &scene.objects {
            seen[object.class] += 1;
        }
    }
    assert!(seen.iter().all(|&count| count > 15), "{seen:?}");
}
