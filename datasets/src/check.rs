//! `data check`: reads every file of a data folder and lists what is broken. Changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use crate::coco;
use crate::error::{Error, Finding, Problem, problem};
use crate::fingerprint::Fingerprint;
use crate::image;
use crate::imagenet;
use crate::place::Place;
use crate::scenes;
use crate::shards;
use crate::task::Split;

/// What a folder holds and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// One line a layout found, such as `coco: annotations/instances_val2017.json, 27 images, 174 annotations`.
    pub parts: Vec<String>,
    /// Image files read.
    pub images: usize,
    /// Annotations read.
    pub annotations: usize,
    /// What is broken, sorted by file. Clean means empty.
    pub problems: Vec<Problem>,
    /// BLAKE3 digest of the sorted relative names and contents of every file read.
    pub fingerprint: String,
}

/// A data set within a folder.
pub(crate) enum Part {
    /// A folder with `train/<class>/` and `val/<class>/`.
    Imagenet(PathBuf),
    /// An instances file and its folder of images; or a folder of shards as both.
    Coco { json: PathBuf, images: PathBuf },
}

/// What has been found so far.
struct Survey {
    root: PathBuf,
    report: CheckReport,
    /// Digest of each file by its name relative to the root.
    digests: BTreeMap<String, String>,
}

/// Reads all of a folder: built-in scenes, ImageNet folders (`train/<class>/`), COCO files
/// (`annotations/instances_NAME.json` beside a folder NAME, perhaps under `images/`), shards of either, or a folder with
/// several of these.
///
/// # Errors
/// When the folder is missing or nothing in it is recognised. Broken files are problems of the report, not errors.
pub fn check(dir: &Path) -> Result<CheckReport, Error> {
    let parts = parts(dir)?;
    let mut survey = Survey {
        root: dir.to_path_buf(),
        report: CheckReport {
            parts: Vec::new(),
            images: 0,
            annotations: 0,
            problems: Vec::new(),
            fingerprint: String::new(),
        },
        digests: BTreeMap::new(),
    };
    for part in parts {
        match part {
            Part::Imagenet(root) => survey.imagenet(&root)?,
            Part::Coco { json, images } => survey.coco(&json, &images),
        }
    }
    Ok(survey.finish())
}

/// The data sets in a folder, or in the folders in it.
///
/// # Errors
/// When the folder is missing or nothing in it is recognised.
pub(crate) fn parts(dir: &Path) -> Result<Vec<Part>, Error> {
    if !dir.is_dir() {
        return Err(Error::missing(dir, "Give a folder that holds data"));
    }
    let mut parts = recognise(dir)?;
    if parts.is_empty() {
        for folder in folders(dir)? {
            parts.extend(recognise(&folder)?);
        }
    }
    if parts.is_empty() {
        return Err(Error::data(
            dir,
            "nothing in this folder is recognised as data",
            "Give a folder with train/<class>/ and val/<class>/, or with annotations/instances_NAME.json and a folder NAME of images, or shards (.tar) in their place",
        ));
    }
    Ok(parts)
}

/// The data sets that lie directly in a folder.
fn recognise(dir: &Path) -> Result<Vec<Part>, Error> {
    if dir.join(scenes::SETTINGS).is_file() {
        let mut parts = vec![Part::Imagenet(dir.join("classification"))];
        parts.extend(recognise(&dir.join("detection"))?);
        return Ok(parts);
    }
    let annotations = dir.join("annotations");
    if annotations.is_dir() {
        return coco_parts(dir, &annotations);
    }
    let inside = dir.canonicalize().map_err(|e| Error::io(dir, "read the folder", e))?;
    if dir.join(coco::CATEGORIES).is_file() && !shards::in_folder(dir, &inside)?.is_empty() {
        return Ok(vec![Part::Coco { json: dir.to_path_buf(), images: dir.to_path_buf() }]);
    }
    let mut holds_classes = false;
    for split in Split::ALL {
        let folder = dir.join(split.as_str());
        holds_classes |= folder.is_dir() && !folders(&folder)?.is_empty();
        holds_classes |= !shards::of_split(dir, split)?.is_empty();
    }
    Ok(if holds_classes { vec![Part::Imagenet(dir.to_path_buf())] } else { Vec::new() })
}

fn coco_parts(dir: &Path, annotations: &Path) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    for json in entries(annotations)? {
        let stem = json.file_stem().and_then(|s| s.to_str()).unwrap_or("");
        let is_json = json.extension().is_some_and(|e| e == "json");
        if let (true, Some(name)) = (is_json, stem.strip_prefix("instances_")) {
            let nested = dir.join("images").join(name);
            let images = if nested.is_dir() { nested } else { dir.join(name) };
            parts.push(Part::Coco { json, images });
        }
    }
    Ok(parts)
}

/// The end of a part's line: ` in 3 shards`, or nothing for folders.
fn in_shards(n: usize) -> String {
    if n == 0 { String::new() } else { format!(" in {}", shards::count(n)) }
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let wrap = |e| Error::io(dir, "list the folder", e);
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(wrap)? {
        found.push(entry.map_err(wrap)?.path());
    }
    found.sort();
    Ok(found)
}

fn folders(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    Ok(entries(dir)?.into_iter().filter(|p| p.is_dir()).collect())
}

impl Survey {
    fn imagenet(&mut self, root: &Path) -> Result<(), Error> {
        let mut training_classes: Option<Vec<String>> = None;
        for split in Split::ALL {
            let (listing, findings) = match imagenet::list(root, split) {
                Ok(found) => found,
                Err(error) => {
                    self.report.problems.push(error.into_problem());
                    continue;
                }
            };
            self.note(findings);
            let places: Vec<Place> = listing.samples.iter().map(|s| s.place(root)).collect();
            self.report.parts.push(format!(
                "imagenet: {}, {} classes, {} images{}",
                self.relative(&root.join(split.as_str())),
                listing.classes.len(),
                places.len(),
                in_shards(listing.shards)
            ));
            self.read_images(&places, |_, _| Ok(()));
            // A folder's name tells the class of its files; a member's class must be told.
            for (place, sample) in places.iter().zip(&listing.samples).filter(|_| listing.shards > 0) {
                let name = format!("{}: label", self.relative(&place.path()));
                self.digests.insert(name, listing.classes[sample.label].clone());
            }
            if let Some(training) = &training_classes {
                for class in listing.classes.iter().filter(|c| !training.contains(c)) {
                    let folder = root.join(split.as_str());
                    self.report.problems.push(if listing.shards == 0 {
                        let mend = "Rename the folder, remove it, or add the class to train/";
                        problem(&folder.join(class), "this class has no training images", mend)
                    } else {
                        let mend = "Mend the labels, or add the class to the training shards";
                        problem(&folder, format!("the class `{class}` has no training images"), mend)
                    });
                }
            } else {
                training_classes = Some(listing.classes);
            }
        }
        Ok(())
    }

    fn coco(&mut self, json: &Path, images: &Path) {
        let (file, digest) = match coco::read(json) {
            Ok(read) => read,
            Err(error) => {
                self.report.problems.push(error.into_problem());
                return;
            }
        };
        self.digests.insert(self.relative(json), digest);
        self.report.annotations += file.annotations.len();
        if !images.exists() {
            self.coco_part(json, &file, 0);
            self.report.problems.push(problem(
                json,
                format!("its folder of images, {}, is missing", images.display()),
                "Put the images in a folder named like the file's ending",
            ));
            return;
        }
        match coco::Images::open(images) {
            Ok((images, findings)) => {
                self.coco_part(json, &file, images.shards);
                self.note(findings);
                let (findings, found) = coco::findings(&file, json, &images);
                self.note(findings);
                // Images that are missing are among the findings; the rest can be read.
                let (records, places): (Vec<_>, Vec<Place>) =
                    file.images.iter().zip(found).filter_map(|(image, found)| Some((image, found?.0))).unzip();
                self.read_images(&places, |k, image| coco::check_size(&places[k].path(), image, records[k]));
            }
            Err(error) => self.report.problems.push(error.into_problem()),
        }
    }

    fn coco_part(&mut self, json: &Path, file: &coco::File, shards: usize) {
        self.report.parts.push(format!(
            "coco: {}, {} images{}, {} annotations, {} categories",
            self.relative(json),
            file.images.len(),
            in_shards(shards),
            file.annotations.len(),
            file.categories.len()
        ));
    }

    fn note(&mut self, findings: Vec<Finding>) {
        let problems = findings.into_iter().map(|f| f.problem);
        self.report.problems.extend(problems);
    }

    /// Reads and decodes images in parallel; `judge` gets each decoded one.
    fn read_images(&mut self, places: &[Place], judge: impl Fn(usize, &image::Image) -> Result<(), Error> + Sync) {
        let read: Vec<(Option<String>, Option<Problem>)> = places
            .par_iter()
            .enumerate()
            .map(|(k, place)| {
                let bytes = match place.read() {
                    Ok(bytes) => bytes,
                    Err(error) => return (None, Some(error.into_problem())),
                };
                let digest = blake3::hash(&bytes).to_hex().to_string();
                let outcome = image::Encoded::open(&place.path(), &bytes)
                    .and_then(image::Encoded::decode)
                    .and_then(|image| judge(k, &image));
                (Some(digest), outcome.err().map(Error::into_problem))
            })
            .collect();
        self.report.images += places.len();
        for (place, (digest, problem)) in places.iter().zip(read) {
            if let Some(digest) = digest {
                self.digests.insert(self.relative(&place.path()), digest);
            }
            self.report.problems.extend(problem);
        }
    }

    fn relative(&self, path: &Path) -> String {
        let relative = path.strip_prefix(&self.root).unwrap_or(path);
        if relative == Path::new("") { ".".to_string() } else { relative.display().to_string() }
    }

    fn finish(mut self) -> CheckReport {
        let mut digest = Fingerprint::new("files");
        for (name, content) in &self.digests {
            digest.field(name.as_bytes());
            digest.field(content.as_bytes());
        }
        self.report.fingerprint = digest.finish();
        self.report.problems.sort();
        self.report.problems.dedup();
        self.report
    }
}
