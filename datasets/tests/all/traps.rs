//! A folder with everything that real collections trap a reader with, in both layouts: `check` finds each broken thing
//! once and says nothing of the sound ones. The decisions stand in `check.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use adamv_datasets::image::write_png;
use adamv_datasets::{BatchSource, DetectionDataset, DetectionOptions, Problem, Split, check};
use serde_json::{Value, json};

use crate::support::{fixtures, on_threads, picture, write_annotations};

/// End of a file's path and a part of what must be said of it.
type Found = (&'static str, &'static str);

const BROKEN: [Found; 44] = [
    ("folders/train/bee/truncated.jpg", "truncated JPEG"),
    ("folders/train/bee/cut.png", "truncated PNG"),
    ("folders/train/bee/empty.jpg", "0 bytes"),
    ("folders/train/bee/text.jpg", "neither a JPEG nor a PNG"),
    ("folders/train/bee/bomb.png", "100000 x 100000 pixels, over the limit"),
    ("folders/train/bee/bomb.jpg", "65535 x 65535 pixels, over the limit"),
    ("folders/train/bee/outside.png", "leads out of the data folder"),
    ("folders/train/bee/nothing.png", "a link to nothing"),
    ("folders/train/away", "leads out of the data folder"),
    ("folders/train/zoo", "holds no images"),
    ("folders/val/wasp", "no training images"),
    ("files/train/truncated.jpg", "truncated JPEG"),
    ("files/train/empty.jpg", "0 bytes"),
    ("files/train/text.jpg", "neither a JPEG nor a PNG"),
    ("instances_train.json", "image 14 is 100000 x 100000 pixels"),
    ("files/train/bomb.jpg", "65535 x 65535 pixels, over the limit"),
    ("instances_train.json", "image 16: file_name `../beside.png` leads out"),
    ("instances_train.json", "image 17: file_name `/etc/hostname` leads out"),
    ("files/train/outside.png", "leads out of the data folder"),
    ("files/train/linked/0.png", "leads out of the data folder"),
    ("files/train/gone.png", "missing (image 20"),
    ("files/train/small.png", "40 x 24 pixels, but image 21 is 41 x 24"),
    ("files/train/folder.png", "not a file (image 24"),
    ("instances_train.json", "image id 1 occurs twice"),
    ("instances_train.json", "category id 90 occurs twice"),
    ("instances_train.json", "annotation id 1 occurs twice"),
    ("instances_train.json", "annotation 10: the box [40, 5, 10, 10] lies outside"),
    ("instances_train.json", "annotation 11: the box [-20, 5, 10, 10] lies outside"),
    ("instances_train.json", "annotation 12: the box [1, 2, 3] is not four"),
    ("instances_train.json", "annotation 13 names image 99"),
    ("instances_train.json", "annotation 14 names category 5"),
    ("instances_train.json", "annotation 16: the RLE string does not decode"),
    ("instances_train.json", "annotation 17: the run lengths sum to 959"),
    ("instances_train.json", "annotation 18: the mask is 40 x 24"),
    ("instances_train.json", "annotation 19: a polygon is not pairs"),
    ("instances_train.json", "annotation 20: the polygons' outline"),
    ("instances_train.json", "annotation 21: the box [null, 2, 3, 4]"),
    ("instances_train.json", "image 25 is 0 x 24 pixels"),
    ("instances_cut.json", "EOF while parsing"),
    ("instances_empty.json", "lists no images"),
    ("instances_empty.json", "lists no categories"),
    ("instances_homeless.json", "its folder of images"),
    ("instances_shape.json", "missing field `categories`"),
    ("instances_deep.json", "EOF while parsing a list"),
];

const REMARKED: [Found; 6] = [
    ("folders/train/bee/notes.txt", "not an image by its extension"),
    ("instances_train.json", "image 23: file_name `rgb.jpg` occurs twice"),
    ("instances_train.json", "annotation 30: the box [30, 5, 20, 10] reaches out"),
    ("instances_train.json", "annotation 31: the box is 0 wide"),
    ("instances_train.json", "annotation 32: the segmentation is empty"),
    ("instances_train.json", "annotation 33: the segmentation is empty"),
];

fn copy(names: &[&str], to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in names {
        fs::copy(fixtures().join(name), to.join(name)).unwrap();
    }
}

fn link(to: &Path, at: PathBuf) {
    std::os::unix::fs::symlink(to, at).unwrap();
}

/// Sound, though they look odd.
const SOUND: [&str; 8] = [
    "cmyk.jpg",
    "png_named.JPEG",
    "grey.jpg",
    "exif6.jpg",
    "progressive.jpg",
    "grey_alpha.png",
    "palette.png",
    "rgb.png",
];
const DAMAGED: [&str; 5] = ["truncated.jpg", "empty.jpg", "text.jpg", "bomb.png", "bomb.jpg"];

fn folders(root: &Path, outside: &Path) {
    let (ant, bee) = (root.join("train/ant"), root.join("train/bee"));
    copy(&SOUND, &ant);
    link("rgb.png".as_ref(), ant.join("inside.png"));
    copy(&["rgb.jpg"], &bee);
    copy(&DAMAGED, &bee);
    let png = fs::read(fixtures().join("rgb.png")).unwrap();
    fs::write(bee.join("cut.png"), &png[..png.len() - 20]).unwrap();
    fs::write(bee.join("notes.txt"), "x").unwrap();
    link(&outside.join("0.png"), bee.join("outside.png"));
    link("nowhere.png".as_ref(), bee.join("nothing.png"));
    link(outside, root.join("train/away"));
    fs::create_dir(root.join("train/zoo")).unwrap();
    copy(&["rgb.png"], &root.join("val/ant"));
    copy(&["rgb.png"], &root.join("val/wasp"));
}

fn files(root: &Path, outside: &Path) {
    let images = root.join("train");
    copy(&SOUND, &images);
    copy(&["rgb.jpg"], &images);
    copy(&DAMAGED, &images);
    copy(&["rgb.png"], &images.join("sub"));
    for name in ["a..b.png", "small.png", "../beside.png"] {
        fs::copy(fixtures().join("rgb.png"), images.join(name)).unwrap();
    }
    fs::create_dir(images.join("folder.png")).unwrap();
    link("rgb.png".as_ref(), images.join("inside.png"));
    link(&outside.join("0.png"), images.join("outside.png"));
    link(outside, images.join("linked"));
    let image = |id: u64, name: &str, width: u64, height: u64| json!({"id": id, "file_name": name, "width": width, "height": height});
    let usual = |id: u64, name: &str| image(id, name, 40, 24);
    let polygon = || json!([[5.0, 5.0, 15.0, 5.0, 15.0, 15.0, 5.0, 15.0]]);
    let runs = |size: [u64; 2], counts: Value| json!({"size": size, "counts": counts});
    let instance = |id: u64, bbox: Value, mask: Value| json!({"id": id, "image_id": 1, "category_id": 4, "iscrowd": 0, "bbox": bbox, "segmentation": mask});
    let square = || json!([5.0, 5.0, 10.0, 10.0]);
    let mut crowd = instance(2, square(), runs([24, 40], json!([100, 60, 800])));
    crowd["iscrowd"] = json!(1);
    let mut stray = [instance(13, square(), polygon()), instance(14, square(), polygon())];
    stray[0]["image_id"] = json!(99);
    stray[1]["category_id"] = json!(5);
    let zigzag: Vec<f64> = (0..16_000).flat_map(|i| [f64::from(i % 2) * 1e6, f64::from(i)]).collect();
    let file = json!({
        "categories": [{"id": 90, "name": "toothbrush"}, {"id": 4, "name": "cat"}, {"id": 90, "name": "toothbrush"}],
        "images": [
            // Sound: no format, name or lack of annotations is a fault.
            usual(1, "cmyk.jpg"), usual(2, "png_named.JPEG"), usual(3, "grey.jpg"), image(4, "exif6.jpg", 24, 40),
            usual(5, "rgb.jpg"), usual(6, "a..b.png"), usual(7, "sub/rgb.png"), usual(8, "inside.png"),
            usual(11, "truncated.jpg"), usual(12, "empty.jpg"), usual(13, "text.jpg"),
            image(14, "bomb.png", 100_000, 100_000), usual(15, "bomb.jpg"), usual(16, "../beside.png"),
            usual(17, "/etc/hostname"), usual(18, "outside.png"), usual(19, "linked/0.png"), usual(20, "gone.png"),
            image(21, "small.png", 41, 24), usual(1, "palette.png"), usual(23, "rgb.jpg"), usual(24, "folder.png"),
            image(25, "rgb.png", 0, 24),
        ],
        "annotations": [
            // Sound: a polygon, a crowd, compressed runs (pycocotools 2.0.11, encode of the crowd's), one pixel, half a
            // pixel over the edge, half a pixel on it.
            instance(1, square(), polygon()), crowd, instance(3, square(), runs([24, 40], json!("T3l1Pi0"))),
            instance(4, json!([7, 7, 1, 1]), json!([[7, 7, 8, 7, 8, 8, 7, 8]])),
            instance(5, json!([30.0, 5.0, 10.5, 10.0]), polygon()), instance(6, json!([40.0, 5.0, 0.5, 3.0]), polygon()),
            instance(10, json!([40, 5, 10, 10]), polygon()), instance(11, json!([-20, 5, 10, 10]), polygon()),
            instance(12, json!([1, 2, 3]), polygon()), stray[0], stray[1], instance(1, square(), polygon()),
            instance(16, square(), runs([24, 40], json!("! !"))),
            instance(17, square(), runs([24, 40], json!([100, 60, 799]))),
            instance(18, square(), runs([40, 24], json!([100, 60, 800]))),
            instance(19, square(), json!([[1.0, 2.0, 3.0]])), instance(20, square(), json!([zigzag])),
            instance(21, json!([null, 2, 3, 4]), polygon()),
            instance(30, json!([30, 5, 20, 10]), polygon()), instance(31, json!([5, 5, 0, 10]), polygon()),
            instance(32, square(), json!([])), instance(33, square(), json!([[1.0, 2.0, 3.0, 4.0]])),
        ],
    });
    let annotations = root.join("annotations");
    fs::create_dir_all(&annotations).unwrap();
    let write = |name: &str, text: &str| fs::write(annotations.join(format!("instances_{name}.json")), text).unwrap();
    write("train", &file.to_string());
    write("cut", "{\"images\": [{\"id\": 1");
    write("shape", "{\"images\": [], \"annotations\": []}");
    write("empty", "{\"images\": [], \"annotations\": [], \"categories\": []}");
    fs::create_dir(root.join("empty")).unwrap();
    write("homeless", "{\"images\": [], \"annotations\": [], \"categories\": []}");
    write("deep", &format!("{{\"info\": {}", "[".repeat(100_000)));
}

/// The folder of traps, and a folder that lies outside it.
fn traps() -> (tempfile::TempDir, tempfile::TempDir) {
    let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_png(&outside.path().join("0.png"), &picture(40, 24)).unwrap();
    folders(&dir.path().join("folders"), outside.path());
    files(&dir.path().join("files"), outside.path());
    (dir, outside)
}

fn each_once(found: &[Problem], wanted: &[Found]) {
    for (file, what) in wanted {
        let hits = found.iter().filter(|p| p.file.ends_with(file) && p.what.contains(what)).count();
        assert_eq!(hits, 1, "{file}: {what}\n{found:#?}");
    }
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
    assert!(found.iter().all(|p| !p.mend.is_empty()));
}

#[test]
fn each_trap_is_found_once_in_one_pass() {
    let (dir, _outside) = traps();
    let report = check(dir.path()).unwrap();
    each_once(&report.problems, &BROKEN);
    each_once(&report.remarks, &REMARKED);
}

#[test]
fn what_only_looks_odd_is_read_rightly() {
    let dir = tempfile::tempdir().unwrap();
    copy(&["exif6.jpg", "cmyk.jpg", "rgb.png"], &dir.path().join("train"));
    fs::create_dir(dir.path().join("annotations")).unwrap();
    let image =
        |id: u64, name: &str, width: u64| json!({"id": id, "file_name": name, "width": width, "height": 64 - width});
    let instance = |id: u64, image: u64, bbox: [f64; 4], mask: Value| json!({"id": id, "image_id": image, "category_id": 90, "bbox": bbox, "segmentation": mask});
    let runs = |counts: Value| json!({"size": [24, 40], "counts": counts});
    let path = write_annotations(
        dir.path(),
        &json!({
            "categories": [{"id": 90, "name": "toothbrush"}, {"id": 4, "name": "cat"}],
            // Turned upright, the first is 24 wide.
            "images": [image(1, "exif6.jpg", 24), image(2, "cmyk.jpg", 40), image(3, "rgb.png", 40)],
            "annotations": [
                instance(1, 2, [7.0, 7.0, 1.0, 1.0], json!([[7, 7, 8, 7, 8, 8, 7, 8]])),
                instance(2, 2, [30.0, 20.0, 20.0, 20.0], json!([[30, 20, 50, 20, 50, 40, 30, 40]])),
                instance(3, 3, [4.0, 0.0, 3.0, 24.0], runs(json!([100, 60, 800]))),
                instance(4, 3, [4.0, 0.0, 3.0, 24.0], runs(json!("T3l1Pi0"))),
            ],
        }),
    );
    let options = DetectionOptions { max_instances: 2, mask_size: 6, ..Default::default() };
    let data = DetectionDataset::open(&dir.path().join("train"), &path, Split::Train, &options, 40).unwrap();
    let batch = data.eval_batch(&[0, 1, 2]).unwrap();
    assert_eq!(batch.sizes, [[40, 24], [24, 40], [24, 40]]);
    // No annotation, one pixel and a clipped box, two spellings of a mask; categories 4 and 90 are labels 0 and 1.
    assert_eq!(batch.labels, [-1, -1, 1, 1, 1, 1]);
    assert_eq!(batch.boxes[8..16], [7.0, 7.0, 8.0, 8.0, 30.0, 20.0, 40.0, 24.0]);
    assert!(batch.masks[72..108].contains(&1));
    assert_eq!(batch.masks[144..180], batch.masks[180..216]);
    assert!(batch.masks[144..180].contains(&1) && batch.masks[144..180].contains(&0));
}

/// Every file below a folder; links are not followed.
fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => walk(&entry.path(), found),
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
}

#[test]
fn the_fingerprint_knows_every_byte_and_no_threads() {
    let (dir, outside) = traps();
    let report = on_threads(1, || check(dir.path()).unwrap());
    assert_eq!(report, on_threads(8, || check(dir.path()).unwrap()));
    // What lies outside is not even read.
    fs::write(outside.path().join("0.png"), "x").unwrap();
    assert_eq!(report, check(dir.path()).unwrap());
    let mut all = Vec::new();
    walk(dir.path(), &mut all);
    // The rest is named by no layout: other extensions, and images that no annotation file lists.
    let unread = ["notes.txt", "beside.png", "train/grey_alpha.png", "train/progressive.jpg"];
    all.retain(|file| !unread.iter().any(|name| file.ends_with(name)));
    assert_eq!(all.len(), 38);
    for file in all {
        let bytes = fs::read(&file).unwrap();
        let mut other = bytes.clone();
        match other.last_mut() {
            Some(last) => *last ^= 1,
            None => other.push(0),
        }
        fs::write(&file, other).unwrap();
        assert_ne!(report.fingerprint, check(dir.path()).unwrap().fingerprint, "{}", file.display());
        fs::write(&file, bytes).unwrap();
    }
    assert_eq!(report.fingerprint, check(dir.path()).unwrap().fingerprint);
}
