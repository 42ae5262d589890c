//! `data check`: reads every file of a data folder and lists what is broken. Changes nothing.
//!
//! What real collections trap a reader with, and what is decided for each. A *problem* must be mended: a run stops at it
//! (with `on_bad_sample: skip`, a problem of one image file's content is skipped and counted instead), and `data check`
//! fails. A *remark* is read as said and stops nothing.
//!
//! | trap | reading | `data check` |
//! |---|---|---|
//! | CMYK JPEG, greyscale, palette, alpha | converted to RGB, as Pillow does | nothing |
//! | PNG named `.JPEG` | the first bytes decide the format | nothing |
//! | EXIF orientation | turned upright before anything else; COCO's width and height mean the upright image | nothing |
//! | file cut off anywhere, zero bytes, another format | refused, never filled up with grey | problem of the file |
//! | whole JPEG whose header claims somewhat more rows than it holds | read, the rest filled up, as libjpeg does | nothing |
//! | decompression bomb | refused from the header, over [`image::MAX_PIXELS`] or more than its bytes can hold | problem of the file, or of the COCO record that admits the size |
//! | file without an image's extension in a class folder | not read | remark |
//! | class folder without images, class of `val/` unknown to `train/` | refused | problem of the folder |
//! | link inside the data folder | followed | nothing |
//! | link that leads out (file, class folder, any part of a `file_name`), link to nothing | not followed | problem of the link |
//! | `file_name` with a `..` part or absolute; `a..b.jpg` is a plain name | not opened | problem of the COCO file |
//! | `file_name` listed twice | read twice | remark |
//! | image missing, or not of its record's size | refused | problem of the image |
//! | image, annotation or category id twice | refused | problem of the COCO file |
//! | category ids with gaps | labels count from 0 by ascending id | nothing |
//! | image without annotations | a sample without ground truths | nothing |
//! | annotation of an unknown image or category | refused | problem of the COCO file |
//! | box of 1 pixel | kept, if `min_box` lets it | nothing |
//! | box without extent | left out | remark: real collections have some |
//! | box partly outside its image | clipped | remark from 1 pixel on |
//! | box wholly outside its image by over a pixel, or not four finite numbers | refused: it belongs to another image | problem of the COCO file |
//! | empty segmentation, polygon of fewer than three corners | left out | remark |
//! | RLE, compressed or not | read | nothing |
//! | RLE that does not decode or has another size than its image, odd polygon, endless outline | refused | problem of the COCO file |
//! | crowd | not trained on, ignored in evaluation | nothing |

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use crate::coco;
use crate::error::{Error, Finding, Problem, problem};
use crate::fingerprint::Fingerprint;
use crate::image;
use crate::imagenet;
use crate::layout::{self, Part};
use crate::place::Place;
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
    /// What must be mended, sorted by file: a run would stop at it. Clean means empty.
    pub problems: Vec<Problem>,
    /// What is read in a way worth knowing of, such as a box that training clips; sorted by file. No run stops at it.
    pub remarks: Vec<Problem>,
    /// BLAKE3 digest of the sorted relative names and contents of every file read, broken ones included.
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
/// (`annotations/instances_NAME.json` beside a folder NAME, perhaps under `images/`), shards (`.tar`) in their place, or
/// a folder with several of these.
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
            remarks: Vec::new(),
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

/// Decodes the whole of an image.
fn decode(place: &Place, bytes: &[u8]) -> Result<image::Image, Error> {
    image::Encoded::open(&place.path(), bytes)?.decode()
}

/// The end of a part's line: ` in 3 shards`, or nothing for folders.
fn in_shards(n: usize) -> String {
    if n == 0 { String::new() } else { format!(" in {}", shards::count(n)) }
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
            self.take(findings);
            let places: Vec<Place> = listing.samples.iter().map(|s| s.place(root)).collect();
            self.report.parts.push(format!(
                "imagenet: {}, {} classes, {} images{}",
                self.relative(&root.join(split.as_str())),
                listing.classes.len(),
                places.len(),
                in_shards(listing.shards)
            ));
            self.read_images(&places, |k, bytes| decode(&places[k], bytes).map(drop));
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
        // The digest first: a file that does not parse is read all the same.
        let parsed = coco::read(json).and_then(|(bytes, digest)| {
            self.digests.insert(self.relative(json), digest);
            coco::parse(json, &bytes)
        });
        let file = match parsed {
            Ok(file) => file,
            Err(error) => {
                self.report.problems.push(error.into_problem());
                return;
            }
        };
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
                self.take(findings);
                let (findings, found) = coco::findings(&file, json, &images);
                self.take(findings);
                // Images that are missing or lead elsewhere are among the findings; the rest can be read.
                let (records, places): (Vec<_>, Vec<Place>) =
                    file.images.iter().zip(found).filter_map(|(image, found)| Some((image, found?.0))).unzip();
                self.read_images(&places, |k, bytes| {
                    if !coco::possible_size(records[k]) {
                        // Already among the findings.
                        return Ok(());
                    }
                    coco::check_size(&places[k].path(), &decode(&places[k], bytes)?, records[k])
                });
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

    fn take(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            let list = if finding.fatal { &mut self.report.problems } else { &mut self.report.remarks };
            list.push(finding.problem);
        }
    }

    /// Reads images on all cores; `judge` gets each one's bytes.
    fn read_images(&mut self, places: &[Place], judge: impl Fn(usize, &[u8]) -> Result<(), Error> + Sync) {
        let read: Vec<(Option<String>, Option<Problem>)> = places
            .par_iter()
            .enumerate()
            .map(|(k, place)| {
                let bytes = match place.read() {
                    Ok(bytes) => bytes,
                    Err(error) => return (None, Some(error.into_problem())),
                };
                let digest = blake3::hash(&bytes).to_hex().to_string();
                (Some(digest), judge(k, &bytes).err().map(Error::into_problem))
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
        // Two files may list the same broken image.
        for list in [&mut self.report.problems, &mut self.report.remarks] {
            list.sort();
            list.dedup();
        }
        self.report
    }
}
