//! `data pack`: writes a data folder as WebDataset shards, which the readers take in its place. Copies the images' bytes
//! and decodes nothing; `writer` knows tar, this room knows the layouts.

mod writer;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use self::writer::Sample;
use crate::coco::raw::{elements, member};
use crate::coco::{CATEGORIES, DetectionDataset, instances_json, utf8};
use crate::config::{ClassificationOptions, DetectionOptions};
use crate::error::Error;
use crate::imagenet::ClassificationDataset;
use crate::layout::{self, Part};
use crate::scenes::{make_folder, partial_folder};
use crate::shards::{self, CLASSES, key_of};
use crate::task::Split;

/// How shards are cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackOptions {
    /// A shard ends before its images exceed this many bytes; it holds one at least.
    pub shard_bytes: u64,
}

impl Default for PackOptions {
    fn default() -> Self {
        PackOptions { shard_bytes: 256 << 20 }
    }
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackReport {
    /// One line a folder of shards, such as `classification/train: 480 images in 2 shards`.
    pub parts: Vec<String>,
    /// Images packed.
    pub images: usize,
    /// Shards written.
    pub shards: usize,
    /// Their size together.
    pub bytes: u64,
}

/// Writes every data set that [`check`](crate::check()) recognises in `dir` as shards, in the data's own order, each in
/// its own place below `out`:
///
/// - classification: `SPLIT/SPLIT-000000.tar` with `KEY.jpg` (or `.png`, as the content is) and `KEY.cls`, and
///   `classes.txt`, whose lines the labels count from 0;
/// - detection: `NAME/NAME-000000.tar` with `KEY.jpg` and `KEY.json` (`{"image": .., "annotations": [..]}`, the records
///   as they are), `NAME/categories.json`, and a copy of `annotations/instances_NAME.json`.
///
/// The same data gives the same bytes. It is written in `<out>.partial` and renamed when complete; a run that fails
/// removes what it wrote.
///
/// # Errors
/// Whatever stops the data sets from opening; an image that is neither JPEG nor PNG; [`Error::Data`] when `out` is not
/// empty; [`Error::Io`] naming the file, such as when the disk is full.
pub fn pack(dir: &Path, out: &Path, options: &PackOptions) -> Result<PackReport, Error> {
    let parts = layout::parts(dir)?;
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) || out.is_file() {
        return Err(Error::data(out, "it is there and not an empty folder", "Choose another folder, or delete it"));
    }
    let partial = partial_folder(out)?;
    if let Some(parent) = partial.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_folder(parent)?;
    }
    // Fails when it is there, so that no two runs write into it and nothing of another's is removed.
    fs::create_dir(&partial).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => Error::data(
            &partial,
            "another run writes here, or an interrupted one left this folder",
            "Delete it if nothing is being packed, then run again",
        ),
        _ => Error::io(&partial, "make the folder", e),
    })?;
    let packed = pack_parts(dir, &partial, &parts, options).and_then(|report| {
        fs::rename(&partial, out).map(|()| report).map_err(|e| Error::io(out, "move the shards", e))
    });
    if packed.is_err() {
        // The error that counts is the first one.
        let _ = fs::remove_dir_all(&partial);
    }
    packed
}

fn pack_parts(dir: &Path, partial: &Path, parts: &[Part], options: &PackOptions) -> Result<PackReport, Error> {
    let mut packing = Packing { partial, options, report: PackReport::default() };
    let below = |path: &Path| path.strip_prefix(dir).unwrap_or(Path::new("")).to_path_buf();
    for part in parts {
        match part {
            Part::Imagenet(root) => packing.classification(root, &below(root))?,
            Part::Coco { json, images } => {
                // `base/annotations/instances_NAME.json`, or the folder of shards `base/NAME`.
                let base = if json.is_dir() { json.parent() } else { json.parent().and_then(Path::parent) };
                packing.detection(json, images, &below(base.unwrap_or(dir)))?;
            }
        }
    }
    Ok(packing.report)
}

struct Packing<'a> {
    partial: &'a Path,
    options: &'a PackOptions,
    report: PackReport,
}

impl Packing<'_> {
    /// Packs the splits that are there; labels are the training split's.
    fn classification(&mut self, root: &Path, below: &Path) -> Result<(), Error> {
        let mut classes: Option<Vec<String>> = None;
        for split in Split::ALL {
            let data = match ClassificationDataset::open(root, split, &ClassificationOptions::default(), 1) {
                Err(Error::Missing(_)) => continue,
                opened => opened?,
            };
            let data = match &classes {
                Some(classes) => data.with_classes(classes)?,
                None => {
                    self.write_classes(&below.join(CLASSES), data.classes())?;
                    classes = Some(data.classes().to_vec());
                    data
                }
            };
            let mut keys = HashSet::new();
            let samples: Vec<Sample> = (0..data.len())
                .map(|i| {
                    let name = data.member_name(i);
                    let key = key_of(name);
                    // `1.jpg` and `1.png` of one class have the same key.
                    let mut unique = key.clone();
                    let mut n = 1;
                    while !keys.insert(unique.clone()) {
                        unique = format!("{key}_{n}");
                        n += 1;
                    }
                    let (place, bytes) = data.place(i);
                    Sample { key: unique, place, bytes }
                })
                .collect();
            let label = |i: usize| data.label(i).to_string().into_bytes();
            self.write(&below.join(split.as_str()), split.as_str(), &samples, "cls", label)?;
        }
        Ok(())
    }

    fn write_classes(&self, below: &Path, classes: &[String]) -> Result<(), Error> {
        let path = self.partial.join(below);
        if let Some(class) = classes.iter().find(|class| class.contains(['\n', '\r'])) {
            return Err(Error::data(&path, format!("the class {class:?} has a line break"), "Rename its folder"));
        }
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        fs::write(&path, classes.join("\n") + "\n").map_err(|e| Error::io(&path, "write the class names", e))
    }

    /// Packs the images that a file lists.
    fn detection(&mut self, json: &Path, images: &Path, below: &Path) -> Result<(), Error> {
        let text = instances_json(json)?;
        let data = DetectionDataset::open(images, json, Split::Train, &DetectionOptions::default(), 1)?;
        let mut keys = HashMap::new();
        let mut samples = Vec::with_capacity(data.len());
        for i in 0..data.len() {
            let name = data.image_name(i);
            let key = key_of(name);
            if let Some(other) = keys.insert(key.clone(), name) {
                let what = format!("`{other}` and `{name}` would both be packed as `{key}`");
                return Err(Error::data(json, what, "Rename one of the two"));
            }
            let (place, bytes) = data.place(i);
            samples.push(Sample { key, place, bytes });
        }
        let records = Records::parse(utf8(&text, json)?, json)?;
        let stem = json.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        let name = stem.strip_prefix("instances_").unwrap_or(&stem);
        self.write(&below.join(name), name, &samples, "json", |i| records.of(data.image_id(i)))?;
        let list = self.partial.join(below).join(name).join(CATEGORIES);
        fs::write(&list, records.categories).map_err(|e| Error::io(&list, "write the categories", e))?;
        let folder = self.partial.join(below).join("annotations");
        make_folder(&folder)?;
        let copy = folder.join(format!("instances_{name}.json"));
        fs::write(&copy, &text).map_err(|e| Error::io(&copy, "write the annotations", e))
    }

    /// Writes a folder of shards; `side(i)` is the member beside image i.
    fn write(
        &mut self,
        below: &Path,
        name: &str,
        samples: &[Sample],
        extension: &str,
        side: impl Fn(usize) -> Vec<u8> + Sync,
    ) -> Result<(), Error> {
        let folder: PathBuf = self.partial.join(below);
        make_folder(&folder)?;
        let written = writer::write(&folder, name, samples, extension, side, self.options.shard_bytes)?;
        let shards = shards::count(written.len());
        self.report.parts.push(format!("{}: {} images in {shards}", below.display(), samples.len()));
        self.report.images += samples.len();
        self.report.shards += written.len();
        self.report.bytes += written.iter().sum::<u64>();
        Ok(())
    }
}

/// The records of an instances file, each as it is written there.
struct Records<'a> {
    /// An image's record and its annotations, by id.
    images: HashMap<u64, (&'a str, Vec<&'a str>)>,
    categories: &'a str,
}

impl<'a> Records<'a> {
    fn parse(text: &'a str, path: &Path) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Image {
            id: u64,
        }
        #[derive(Deserialize)]
        struct Annotation {
            image_id: u64,
        }
        let wrap = |e: serde_json::Error| Error::json(path, &e, "It must be a COCO instances file");
        let list = |key| member(text, key).unwrap_or("[]");
        let mut images = HashMap::new();
        for record in elements(list("images")) {
            let image: Image = serde_json::from_str(record).map_err(wrap)?;
            images.insert(image.id, (record, Vec::new()));
        }
        for record in elements(list("annotations")) {
            let annotation: Annotation = serde_json::from_str(record).map_err(wrap)?;
            if let Some((_, annotations)) = images.get_mut(&annotation.image_id) {
                annotations.push(record);
            }
        }
        Ok(Records { images, categories: list("categories") })
    }

    /// The JSON beside an image.
    fn of(&self, id: u64) -> Vec<u8> {
        let (image, annotations) = self.images.get(&id).map_or(("null", &[][..]), |(image, all)| (image, all));
        format!("{{\"image\": {image}, \"annotations\": [{}]}}\n", annotations.join(", ")).into_bytes()
    }
}
