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
use crate::layout::{self, Part};
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

/// What has been found so far.
struct Survey {
    root: PathBuf,
    report: CheckReport,
    /// Digest of each file by its name relative to the root.
    digests: BTreeMap<String, String>,
}

/// Reads all of a folder: built-in scenes, ImageNet folders (`train/<class>/`), COCO files
/// (`annotations/instances_NAME.json` beside a folder NAME, perhaps under `images/`), or a folder with several of
/// these.
///
/// # Errors
/// When the folder is missing or nothing in it is recognised. Broken files are problems of the report, not errors.
pub fn check(dir: &Path) -> Result<CheckReport, Error> {
    let parts = layout::parts(dir)?;
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
            let files: Vec<PathBuf> = listing.samples.iter().map(|s| root.join(&s.name)).collect();
            self.report.parts.push(format!(
                "imagenet: {}, {} classes, {} images",
                self.relative(&root.join(split.as_str())),
                listing.classes.len(),
                files.len()
            ));
            self.read_images(&files, |_, _| Ok(()));
            if let Some(training) = &training_classes {
                for class in listing.classes.iter().filter(|c| !training.contains(c)) {
                    self.report.problems.push(problem(
                        &root.join(split.as_str()).join(class),
                        "this class has no training images",
                        "Rename the folder, remove it, or add the class to train/",
                    ));
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
        self.report.parts.push(format!(
            "coco: {}, {} images, {} annotations, {} categories",
            self.relative(json),
            file.images.len(),
            file.annotations.len(),
            file.categories.len()
        ));
        if !images.is_dir() {
            self.report.problems.push(problem(
                json,
                format!("its folder of images, {}, is missing", images.display()),
                "Put the images in a folder named like the file's ending",
            ));
            return;
        }
        match coco::findings(&file, json, images) {
            Ok((findings, sizes)) => {
                self.note(findings);
                // Files that are missing or lead elsewhere are among the findings; the rest can be read.
                let there: Vec<usize> = (0..sizes.len())
                    .filter(|&i| images.join(&file.images[i].file_name).is_file())
                    .filter(|&i| !file.images[i].file_name.contains(".."))
                    .collect();
                let paths: Vec<PathBuf> = there.iter().map(|&i| images.join(&file.images[i].file_name)).collect();
                self.read_images(&paths, |k, image| coco::check_size(&paths[k], image, &file.images[there[k]]));
            }
            Err(error) => self.report.problems.push(error.into_problem()),
        }
    }

    fn note(&mut self, findings: Vec<Finding>) {
        let problems = findings.into_iter().map(|f| f.problem);
        self.report.problems.extend(problems);
    }

    /// Reads and decodes images in parallel; `judge` gets each decoded one.
    fn read_images(&mut self, files: &[PathBuf], judge: impl Fn(usize, &image::Image) -> Result<(), Error> + Sync) {
        let read: Vec<(Option<String>, Option<Problem>)> = files
            .par_iter()
            .enumerate()
            .map(|(k, path)| {
                let bytes = match fs::read(path) {
                    Ok(bytes) => bytes,
                    Err(e) => {
                        let problem = Error::io(path, "read the image", e).into_problem();
                        return (None, Some(problem));
                    }
                };
                let digest = blake3::hash(&bytes).to_hex().to_string();
                let outcome = image::Encoded::open(path, &bytes)
                    .and_then(image::Encoded::decode)
                    .and_then(|image| judge(k, &image));
                (Some(digest), outcome.err().map(Error::into_problem))
            })
            .collect();
        self.report.images += files.len();
        for (path, (digest, problem)) in files.iter().zip(read) {
            if let Some(digest) = digest {
                self.digests.insert(self.relative(path), digest);
            }
            self.report.problems.extend(problem);
        }
    }

    fn relative(&self, path: &Path) -> String {
        let relative = path.strip_prefix(&self.root).unwrap_or(path);
        relative.display().to_string()
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
