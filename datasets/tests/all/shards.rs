//! WebDataset shards: what is read, what is refused, and that packing changes no batch.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use adamv_datasets::order::{SampleStream, picks_for_step};
use adamv_datasets::{
    BatchSource, ClassificationDataset, ClassificationOptions, DetectionDataset, DetectionOptions, Error, Loader,
    PackOptions, ScenesConfig, Split, check, pack, scenes,
};
use serde_json::{Value, json};

use crate::support::{coco, fixtures, imagenet, on_threads, write_annotations};

fn open(root: &Path, split: Split) -> Result<ClassificationDataset, Error> {
    ClassificationDataset::open(root, split, &ClassificationOptions::default(), 12)
}

fn detect(images: &Path, annotations: &Path) -> Result<DetectionDataset, Error> {
    DetectionDataset::open(images, annotations, Split::Train, &DetectionOptions::default(), 48)
}

fn png() -> Vec<u8> {
    fs::read(fixtures().join("rgb.png")).unwrap()
}

/// Writes a shard with these members.
fn shard(path: &Path, members: &[(&str, &[u8])]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut tar = tar::Builder::new(fs::File::create(path).unwrap());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        // Set by hand: the writer would refuse `..`.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, *bytes).unwrap();
    }
    tar.finish().unwrap();
}

fn names(data: &ClassificationDataset) -> Vec<&str> {
    (0..data.len()).map(|i| data.image_name(i)).collect()
}

fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn small_shards() -> PackOptions {
    PackOptions { shard_bytes: 3000 }
}

#[test]
fn shards_of_other_writers_are_read() {
    let long = format!("{}/{}.png", "a".repeat(60), "b".repeat(60));
    for (name, members) in [
        ("webdataset.tar", ["n01/first.png", "n01/second.png"]),
        ("pax.tar", ["zürich.png", &long]),
        ("ustar.tar", ["first.png", &long]),
        ("gnu.tar", [&long, "first.png"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("train")).unwrap();
        fs::copy(fixtures().join("shards").join(name), dir.path().join("train/a.tar")).unwrap();
        let data = open(dir.path(), Split::Train).unwrap();
        assert_eq!(data.classes(), ["0", "1"]);
        assert_eq!(names(&data), members.map(|m| format!("train/a.tar/{m}")), "{name}");
        let batch = data.eval_batch(&[0, 1]).unwrap();
        // The picture's red is the label; mean and deviation are ImageNet's.
        for (i, label) in batch.labels.iter().enumerate() {
            let red = (*label as f32 / 255.0 - 0.485) / 0.229;
            assert!((batch.images[i * 3 * 144] - red).abs() < 1e-4, "{name}");
        }
    }
}

#[test]
fn classification_from_shards_is_what_folders_give() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    imagenet(dir.path(), &[("zebra", 5), ("ant", 6), ("v1.0", 2)]);
    // Two files of one key, a dot in a name, an extension that lies, a class without validation images.
    fs::copy(fixtures().join("rgb.jpg"), dir.path().join("train/ant/0.jpg")).unwrap();
    fs::copy(fixtures().join("rgb.jpg"), dir.path().join("train/ant/a.b.JPEG")).unwrap();
    fs::copy(fixtures().join("png_named.JPEG"), dir.path().join("train/ant/c.JPEG")).unwrap();
    fs::remove_dir_all(dir.path().join("val/ant")).unwrap();
    let report = pack(dir.path(), &out.path().join("packed"), &small_shards()).unwrap();
    let packed = out.path().join("packed");
    assert_eq!((report.images, report.parts.len()), (18, 2));
    assert!(report.shards > 3, "{report:?}");
    let sizes: u64 =
        files(&packed).iter().filter(|f| f.extension().unwrap() == "tar").map(|f| f.metadata().unwrap().len()).sum();
    assert_eq!(report.bytes, sizes);
    let train = [open(dir.path(), Split::Train).unwrap(), open(&packed, Split::Train).unwrap()];
    assert_eq!(train[0].classes(), train[1].classes());
    let shown = names(&train[1]);
    assert_eq!(shown[..2], ["train/train-000000.tar/ant/0.jpg", "train/train-000000.tar/ant/0_1.png"]);
    assert!(shown.iter().any(|n| n.ends_with("/ant/a_b.jpg")) && shown.iter().any(|n| n.ends_with("/ant/c.png")));
    let picks: Vec<_> = (0..4).flat_map(|step| picks_for_step(train[0].len(), 8, 3, step)).collect();
    let batch = |i: usize, threads| on_threads(threads, || train[i].train_batch(&picks, 3).unwrap());
    assert!(batch(0, 2) == batch(1, 1));
    assert!(batch(1, 1) == batch(1, 8));
    let val = [dir.path(), &packed].map(|root| {
        let val = open(root, Split::Val).unwrap().with_classes(train[0].classes()).unwrap();
        val.eval_batch(&[0, 1]).unwrap()
    });
    assert!(val[0] == val[1]);
    // Shards can be packed again, into one.
    let again = out.path().join("again");
    assert_eq!(pack(&packed, &again, &PackOptions::default()).unwrap().shards, 2);
    assert!(open(&again, Split::Train).unwrap().train_batch(&picks, 3).unwrap() == batch(0, 2));
}

#[test]
fn scenes_from_shards_are_what_folders_give() {
    let dir = tempfile::tempdir().unwrap();
    let config = ScenesConfig { images: 24, size: 32, ..Default::default() };
    let (made, packed) = (dir.path().join("made"), dir.path().join("packed"));
    let paths = scenes::make(&made, &config).unwrap();
    pack(&made, &packed, &PackOptions { shard_bytes: 20_000 }).unwrap();
    let detection = packed.join("detection");
    let annotations = detection.join("annotations/instances_train.json");
    let data = [
        detect(&paths.coco.train_images, &paths.coco.train_annotations).unwrap(),
        detect(&detection.join("train"), &annotations).unwrap(),
    ];
    assert_eq!(data[0].fingerprint(), data[1].fingerprint());
    let batches = data.map(|data| {
        let data = Arc::new(data);
        let train: Vec<_> =
            Loader::train(Arc::clone(&data), SampleStream::new(5, 7, 6), 2).map(Result::unwrap).collect();
        let eval: Vec<_> = Loader::eval(data, 7, 2).map(Result::unwrap).collect();
        (train, eval)
    });
    assert!(batches[0] == batches[1]);
    // The shards hold the records too.
    let alone = detect(&detection.join("train"), &detection.join("train")).unwrap();
    let picks = picks_for_step(24, 24, 5, 0);
    let beside = detect(&detection.join("train"), &annotations).unwrap();
    assert!(alone.train_batch(&picks, 5).unwrap() == beside.train_batch(&picks, 5).unwrap());
    let json = |text: &[u8]| serde_json::from_slice::<Value>(text).unwrap();
    let (whole, joined) = (json(&fs::read(&annotations).unwrap()), json(&alone.ground_truth_json().unwrap()));
    assert_eq!(
        [&whole["images"], &whole["annotations"], &whole["categories"]],
        [&joined["images"], &joined["annotations"], &joined["categories"]]
    );
    let report = check(&packed).unwrap();
    assert_eq!(report.problems, []);
    assert_eq!((report.images, report.annotations), (60, check(&made).unwrap().annotations));
    assert_eq!(report.parts.len(), 4);
    assert!(report.parts.iter().all(|p| p.contains(" shard")), "{:?}", report.parts);
    // Each record is beside its image.
    let first = fs::File::open(detection.join("train/train-000000.tar")).unwrap();
    let mut tar = tar::Archive::new(first);
    let mut entries = tar.entries().unwrap().map(Result::unwrap);
    assert_eq!(entries.next().unwrap().path().unwrap().to_str(), Some("000000.png"));
    let record: Value = serde_json::from_reader(entries.next().unwrap()).unwrap();
    assert_eq!(record["image"]["file_name"], "000000.png");
    assert!(
        record["annotations"].as_array().unwrap().iter().all(|a| a["image_id"] == 1 && a["segmentation"].is_object())
    );
}

#[test]
fn shards_with_records_need_no_instances_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = coco(dir.path());
    let annotations = write_annotations(dir.path(), &file);
    let packed = dir.path().join("packed");
    pack(dir.path(), &packed, &PackOptions { shard_bytes: 1 }).unwrap();
    let whole = check(&packed).unwrap();
    fs::remove_dir_all(packed.join("annotations")).unwrap();
    let train = packed.join("train");
    for (root, name) in [(&packed, "train"), (&train, ".")] {
        let report = check(root).unwrap();
        assert_eq!((report.images, report.annotations, &report.problems), (2, 2, &whole.problems));
        assert_eq!(report.parts, [format!("coco: {name}, 2 images in 2 shards, 2 annotations, 2 categories")]);
    }
    let again = dir.path().join("again");
    pack(&packed, &again, &PackOptions { shard_bytes: 1 }).unwrap();
    let one = again.join("train/train-000001.tar");
    assert_eq!(fs::read(&one).unwrap(), fs::read(train.join("train-000001.tar")).unwrap());
    // One shard with its own records.
    let data = detect(&one, &one).unwrap();
    assert_eq!((data.len(), data.image_name(0)), (1, "b.png"));
    let message = |path: &Path| detect(&train, path).map(|_| ()).unwrap_err().to_string();
    shard(&one, &[("b.json", b"{\"image\": {\"id\": 7}, \"annotations\": []}")]);
    assert!(
        message(&one).contains("train-000001.tar: b.json: line 1, column 19: missing field `file_name`"),
        "{}",
        message(&one)
    );
    fs::remove_file(again.join("train/categories.json")).unwrap();
    assert!(message(&one).contains("categories.json: cannot read"), "{}", message(&one));
    assert!(message(&dir.path().join("train")).contains("without shards"));
    assert!(detect(&train, &annotations).is_ok());
}

#[test]
fn packing_is_deterministic_and_leaves_nothing_half_done() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    imagenet(&data, &[("ant", 5), ("bee", 3)]);
    pack(&data, &out, &small_shards()).unwrap();
    let refused = |out: &Path| pack(&data, out, &small_shards()).unwrap_err().to_string();
    assert!(refused(&out).contains("not an empty folder"));
    // A folder that an interrupted run left is not touched.
    let left = dir.path().join("next.partial");
    fs::create_dir(&left).unwrap();
    assert!(refused(&dir.path().join("next")).contains("next.partial"));
    fs::remove_dir(&left).unwrap();
    fs::create_dir(dir.path().join("next")).unwrap();
    pack(&data, &dir.path().join("next"), &small_shards()).unwrap();
    assert_eq!(files(&out).len(), files(&dir.path().join("next")).len());
    for file in files(&out) {
        let other = dir.path().join("next").join(file.strip_prefix(&out).unwrap());
        assert!(fs::read(&file).unwrap() == fs::read(other).unwrap(), "{}", file.display());
    }
    // What cannot be read later is not packed, and what was written goes.
    fs::write(data.join("train/bee/1.png"), "text").unwrap();
    let message = refused(&dir.path().join("broken"));
    assert!(message.contains("bee/1.png") && message.contains("data check"), "{message}");
    let there: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(there.len(), 3, "{there:?}");
}

#[test]
fn labels_are_lines_of_the_class_list_or_speak_for_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let (root, png) = (dir.path(), png());
    let members: [(&str, &[u8]); 8] = [
        ("a.png", &png),
        ("a.cls", b"10\n"),
        ("b.png", &png),
        ("b.json", br#"{"label": 2, "more": [1]}"#),
        ("README", b"x"),
        ("c.cls", b"2"),
        ("c.txt", b"a caption"),
        ("c.PNG", &png),
    ];
    shard(&root.join("set-train-0.tar"), &members);
    shard(&root.join("set-validation-0.tar"), &members[..2]);
    shard(&root.join("set-test-0.tar"), &members[..1]);
    let train = open(root, Split::Train).unwrap();
    // Numbers in their order, not as text.
    assert_eq!(train.classes(), ["2", "10"]);
    assert_eq!([0, 1, 2].map(|i| train.label(i)), [1, 0, 0]);
    let val = open(root, Split::Val).unwrap().with_classes(train.classes()).unwrap();
    assert_eq!((val.len(), val.label(0), val.image_name(0)), (1, 1, "set-validation-0.tar/a.png"));
    let message = || open(root, Split::Train).unwrap_err().to_string();
    let classes: Vec<String> = (0..11).map(|i| format!("class {i}\r\n")).collect();
    fs::write(root.join("classes.txt"), classes.concat()).unwrap();
    let named = open(root, Split::Train).unwrap();
    assert_eq!((named.classes().len(), named.classes()[10].as_str(), named.label(0)), (11, "class 10", 10));
    assert_ne!(named.fingerprint(), train.fingerprint());
    shard(&root.join("set-train-1.tar"), &[("d.png", &png), ("d.cls", b"class 7")]);
    assert_eq!(open(root, Split::Train).unwrap().label(3), 7);
    let notes = check(root).unwrap().remarks;
    assert!(notes.len() == 1 && notes[0].what.contains("8 of its 11 classes"), "{notes:?}");
    fs::write(root.join("classes.txt"), classes[..10].concat()).unwrap();
    assert!(message().contains("set-train-0.tar: a.png: its label `10` is not among the 10"), "{}", message());
    fs::write(root.join("classes.txt"), "a\n\nb\n").unwrap();
    assert!(message().contains("classes.txt: line 2 is empty"), "{}", message());
    fs::write(root.join("classes.txt"), "a\nb\na\n").unwrap();
    assert!(message().contains("line 1 and line 3"), "{}", message());
    fs::remove_file(root.join("classes.txt")).unwrap();
    shard(&root.join("trainval.tar"), &members);
    assert!(message().contains("both `train` and `val`"), "{}", message());
}

#[test]
fn wrong_shards_are_named_with_the_mend() {
    let png = png();
    let sample: [(&str, &[u8]); 2] = [("a.png", &png), ("a.cls", b"0")];
    type Case<'a> = (&'a [(&'a str, &'a [u8])], &'a [&'a str]);
    let cases: [Case; 10] = [
        (&[sample[0], sample[1], ("b.png", &png)], &["x.tar: b: no label", ".cls", ".json"]),
        (&[sample[0], sample[1], ("b.cls", b"1")], &["x.tar: b: a label without an image"]),
        (&[sample[0], sample[1], sample[0]], &["x.tar: a.png: the key `a` has more than one image"]),
        (&[sample[0], sample[1], ("a.jpg", &png)], &["x.tar: a.jpg", "more than one image"]),
        (&[sample[0], sample[1], sample[1]], &["x.tar: a.cls", "more than one cls"]),
        (&[sample[0], ("a.cls", b"")], &["x.tar: a.cls: `` is no label"]),
        (&[sample[0], ("a.cls", b"-1")], &["x.tar: a.cls: `-1` is no label", "from 0"]),
        (&[sample[0], ("a.json", b"{\"label\": }")], &["x.tar: a.json: line 1, column 11"]),
        (&[("b.jpg", &png), ("c.JPEG", &png)], &["none of its 2 samples has a label", "n01440764.tar", "unpack"]),
        (&[("README", b"x")], &["x.tar: the shard holds no samples"]),
    ];
    for (members, what) in cases {
        let dir = tempfile::tempdir().unwrap();
        shard(&dir.path().join("train/x.tar"), members);
        let message = open(dir.path(), Split::Train).unwrap_err().to_string();
        for part in what {
            assert!(message.contains(part), "`{part}` not in: {message}");
        }
        assert!(!message.contains("more like this"), "{message}");
    }
}

#[test]
fn damaged_shards_are_named_and_the_rest_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let (path, png) = (dir.path().join("train/x.tar"), png());
    shard(&path, &[("a.png", &png), ("a.cls", b"0"), ("../b.png", &png), ("../b.cls", b"1")]);
    let whole = fs::read(&path).unwrap();
    // Nothing is ever unpacked, so such a name does no harm.
    let data = open(dir.path(), Split::Train).unwrap();
    assert_eq!((names(&data)[1], data.eval_batch(&[0, 1]).unwrap().labels), ("train/x.tar/../b.png", vec![0, 1]));
    let joined = [whole.clone(), whole.clone()].concat();
    let mut compressed = vec![0x1F, 0x8B, 8, 0];
    compressed.extend([7; 1020]);
    let cases: [(&[u8], &str); 6] = [
        (&whole[..whole.len() - 1024], "without the end-of-archive marker"),
        (&whole[..whole.len() - 1536], "`../b.cls` of 1 bytes reaches beyond its end"),
        (&[7; 2000], "not a tar file"),
        (&[], "empty (0 bytes)"),
        (&compressed, "gunzip"),
        (&joined, "archives joined with cat"),
    ];
    for (bytes, what) in cases {
        fs::write(&path, bytes).unwrap();
        let message = open(dir.path(), Split::Train).unwrap_err().to_string();
        assert!(message.contains("train/x.tar: ") && message.contains(what), "`{what}` not in: {message}");
    }
    // In `check`, damage of one shard does not hide that of another, nor the samples before it.
    fs::write(&path, &whole[..whole.len() - 1536]).unwrap();
    let truncated = fs::read(fixtures().join("truncated.jpg")).unwrap();
    shard(&dir.path().join("train/y.tar"), &[("c.jpg", &truncated), ("c.cls", b"2"), ("d.jpg", b""), ("d.cls", b"2")]);
    shard(&dir.path().join("val/y.tar"), &[("c.png", &png), ("c.cls", b"2")]);
    let report = check(dir.path()).unwrap();
    let all: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert_eq!(all.len(), 3, "{all:#?}");
    for (problem, part) in
        all.iter().zip(["x.tar: `../b.cls`", "y.tar: c.jpg: truncated", "y.tar: d.jpg: the file is empty"])
    {
        assert!(problem.contains(part), "`{part}` not in {problem}");
    }
    assert_eq!(
        report.parts,
        ["imagenet: train, 2 classes, 3 images in 2 shards", "imagenet: val, 1 classes, 1 images in 1 shard"]
    );
    shard(&dir.path().join("val/y.tar"), &[("c.png", &png), ("c.cls", b"9")]);
    let problems = check(dir.path()).unwrap().problems;
    assert!(problems.iter().any(|p| p.file.ends_with("val") && p.what.contains("`9` has no training")), "{problems:?}");
    shard(&dir.path().join("val/y.tar"), &[("c.png", &png), ("c.cls", b"2")]);
    // A label is data, like a pixel.
    shard(&dir.path().join("train/y.tar"), &[("c.jpg", &truncated), ("c.cls", b"0"), ("d.jpg", b""), ("d.cls", b"2")]);
    assert_ne!(check(dir.path()).unwrap().fingerprint, report.fingerprint);
}

#[cfg(unix)]
#[test]
fn a_linked_member_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train/x.tar");
    shard(&path, &[("a.png", &png()), ("a.cls", b"0")]);
    let mut tar = tar::Builder::new(fs::File::options().append(true).open(&path).unwrap());
    fs::File::options().write(true).open(&path).unwrap().set_len(path.metadata().unwrap().len() - 1024).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Link);
    header.set_size(0);
    tar.append_link(&mut header, "b.png", "a.png").unwrap();
    tar.finish().unwrap();
    let message = open(dir.path(), Split::Train).unwrap_err().to_string();
    assert!(message.contains("x.tar: b.png: a link") && message.contains("--hard-dereference"), "{message}");
}

#[test]
fn class_folders_win_over_archives_beside_them() {
    let dir = tempfile::tempdir().unwrap();
    imagenet(dir.path(), &[("n01440764", 2)]);
    shard(&dir.path().join("train/n01440764.tar"), &[("a.png", &png())]);
    assert_eq!(open(dir.path(), Split::Train).unwrap().len(), 2);
}

#[test]
fn more_shards_than_may_stay_open_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let png = png();
    for i in 0..600 {
        shard(&dir.path().join(format!("train/{i:03}.tar")), &[("a.png", &png), ("a.cls", b"0")]);
    }
    let data = open(dir.path(), Split::Train).unwrap();
    let batch = data.eval_batch(&[0, 599]).unwrap();
    assert!(batch.images[..3 * 144] == batch.images[3 * 144..]);
}

#[test]
fn detection_finds_its_images_among_the_members() {
    let dir = tempfile::tempdir().unwrap();
    let (root, tar) = (dir.path(), dir.path().join("shards/0.tar"));
    let mut file = coco(root);
    let annotations = write_annotations(root, &file);
    let [a, b] = ["a.png", "b.png"].map(|name| fs::read(root.join("train").join(name)).unwrap());
    let folder = detect(&root.join("train"), &annotations).unwrap().eval_batch(&[0, 1]).unwrap();
    let same = |images: &Path| assert!(detect(images, &annotations).unwrap().eval_batch(&[0, 1]).unwrap() == folder);
    let fails = |what: &[&str]| {
        let message = detect(&root.join("shards"), &annotations).unwrap_err().to_string();
        for part in what {
            assert!(message.contains(part), "`{part}` not in: {message}");
        }
    };
    // By name; by key below folders; one shard alone; beside a plain file.
    shard(&tar, &[("b.png", &b), ("a.png", &a), ("a.json", b"{}")]);
    same(&root.join("shards"));
    shard(&tar, &[("x/b.jpg", &b), ("./a.png", &a)]);
    same(&tar);
    shard(&tar, &[("b.png", &b)]);
    fs::copy(root.join("train/a.png"), root.join("shards/a.png")).unwrap();
    same(&root.join("shards"));
    fs::remove_file(root.join("shards/a.png")).unwrap();
    fails(&["`a.png` is not in its 1 shard", "image 3"]);
    shard(&tar, &[("b.png", &b), ("x/a.png", &a), ("y/a.png", &a)]);
    fails(&["several members could be `a.png`", "image 3"]);
    shard(&tar, &[("b.png", &b), ("a.png", &a), ("a.png", &a)]);
    fails(&["0.tar: a.png", "also in"]);
    fs::write(&tar, [7; 600]).unwrap();
    fails(&["0.tar: it is not a tar file"]);
    fs::remove_dir_all(root.join("shards")).unwrap();
    fails(&["data.coco.train_images", "shards"]);
    // Two images that would have one key cannot be packed.
    fs::rename(root.join("train/b.png"), root.join("train/a.jpg")).unwrap();
    file["images"][0]["file_name"] = json!("a.jpg");
    write_annotations(root, &file);
    let message = pack(root, &root.join("out"), &PackOptions::default()).unwrap_err().to_string();
    assert!(message.contains("`a.png` and `a.jpg` would both be packed as `a`"), "{message}");
}
