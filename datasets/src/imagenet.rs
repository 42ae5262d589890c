//! Classification from folders, `root/train/<class>/*.jpg`, or from shards. Lists files when opened, reads pixels when
//! asked.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::augment::classification as augment;
use crate::augment::mix;
use crate::batch::ClassificationBatch;
use crate::config::{ClassificationOptions, OnBadSample};
use crate::error::{Error, Finding, stop_at_fatal};
use crate::fingerprint::Fingerprint;
use crate::image;
use crate::loader::BatchSource;
use crate::order::Pick;
use crate::place::{Place, Shard};
use crate::samples::{self, Skipped};
use crate::shards;
use crate::task::Split;

/// Extensions that are read, in lower case. The content decides how.
pub(crate) const EXTENSIONS: [&str; 3] = ["jpg", "jpeg", "png"];

/// One split of an ImageNet-like folder.
#[derive(Debug)]
pub struct ClassificationDataset {
    root: PathBuf,
    options: ClassificationOptions,
    image_size: usize,
    classes: Vec<String>,
    samples: Vec<Sample>,
    on_bad_sample: OnBadSample,
    skipped: Skipped,
}

#[derive(Debug)]
pub(crate) struct Sample {
    /// Path relative to the root, with `/`; in a shard, the shard's path and then the member's name.
    pub name: String,
    pub label: usize,
    pub bytes: u64,
    /// The shard it lies in, and where.
    pub shard: Option<(Arc<Shard>, u64)>,
}

impl Sample {
    pub fn place(&self, root: &Path) -> Place {
        let Some((shard, offset)) = &self.shard else {
            return Place::File(root.join(&self.name));
        };
        let name = self.member_name(root).to_string();
        Place::Member { shard: Arc::clone(shard), name, offset: *offset, bytes: self.bytes }
    }

    /// The name without what comes before it: the shard's path, or the split.
    fn member_name(&self, root: &Path) -> &str {
        let shard = self.shard.as_ref().map(|(shard, _)| shard.path());
        let within = match shard.map(|path| path.strip_prefix(root).unwrap_or(path)) {
            Some(relative) => relative.as_os_str().len() + 1,
            None => self.name.find('/').map_or(0, |slash| slash + 1),
        };
        self.name.get(within..).unwrap_or(&self.name)
    }
}

/// What a split's folder holds.
pub(crate) struct Listing {
    pub classes: Vec<String>,
    pub samples: Vec<Sample>,
    /// Number of shards; 0 for folders.
    pub shards: usize,
}

impl ClassificationDataset {
    /// Lists `root/<split>/<class>/`: classes and files sorted by name. Samples are `image_size` x `image_size`.
    ///
    /// Where there are no class folders, WebDataset shards are read: `root/<split>/*.tar`, or `root/*.tar` with the
    /// split in the name. A sample is an image and a `.cls` member (or a `.json` member with `label`) of one key, its
    /// label a line of `root/classes.txt`, counted from 0. Without that file the labels that occur are the classes.
    ///
    /// # Errors
    /// A missing folder, no class folder, a class without images, a link that leads out of the root; a damaged shard, a
    /// key without image or label.
    pub fn open(root: &Path, split: Split, options: &ClassificationOptions, image_size: u32) -> Result<Self, Error> {
        let (listing, findings) = list(root, split)?;
        stop_at_fatal(&findings)?;
        Ok(ClassificationDataset {
            root: root.to_path_buf(),
            options: options.clone(),
            image_size: image_size as usize,
            classes: listing.classes,
            samples: listing.samples,
            on_bad_sample: OnBadSample::Stop,
            skipped: Skipped::default(),
        })
    }

    /// What to do with a file that cannot be read; stopping is the default.
    pub fn on_bad_sample(mut self, choice: OnBadSample) -> Self {
        self.on_bad_sample = choice;
        self
    }

    /// Numbers the labels by another class list, such as the training split's. Classes absent here stay without images.
    ///
    /// # Errors
    /// A class of this split that the list lacks.
    pub fn with_classes(mut self, classes: &[String]) -> Result<Self, Error> {
        let mut number = Vec::with_capacity(self.classes.len());
        for class in &self.classes {
            let Some(label) = classes.iter().position(|c| c == class) else {
                return Err(Error::data(
                    &self.root,
                    format!("the class `{class}` has no counterpart among the training classes"),
                    "Rename it, remove it, or add the class to train/",
                ));
            };
            number.push(label);
        }
        for sample in &mut self.samples {
            sample.label = number[sample.label];
        }
        self.classes = classes.to_vec();
        Ok(self)
    }

    /// Parts the samples at `indices` (ascending) from the others, which come first; both keep their order. Either part
    /// numbers its samples anew and skips broken ones within itself.
    pub fn split_off(self, indices: &[usize]) -> (Self, Self) {
        let (rest, taken) = samples::split_off(self.samples, indices);
        let with = |samples| ClassificationDataset {
            root: self.root.clone(),
            options: self.options.clone(),
            image_size: self.image_size,
            classes: self.classes.clone(),
            samples,
            on_bad_sample: self.on_bad_sample,
            skipped: Skipped::default(),
        };
        (with(rest), with(taken))
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there are none: only a part that was split off can be empty.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Class names; a label is a position in this list.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Path relative to the root: the image's id in predictions.
    pub fn image_name(&self, index: usize) -> &str {
        &self.samples[index].name
    }

    /// Class of an image, from 0.
    pub fn label(&self, index: usize) -> usize {
        self.samples[index].label
    }

    /// Distinct samples that could not be read so far.
    pub fn skipped(&self) -> usize {
        self.skipped.count()
    }

    /// Their names.
    pub fn skipped_samples(&self) -> Vec<String> {
        self.skipped.names(|i| self.image_name(i).to_string())
    }

    /// Their indices, ascending: what a checkpoint keeps, so that a resumed run counts them too.
    pub fn skipped_indices(&self) -> Vec<usize> {
        self.skipped.indices()
    }

    /// Counts samples that an earlier part of the run could not read; indices that are out of range are left out.
    pub fn restore_skipped(&self, indices: &[usize]) {
        self.skipped.restore(indices, self.len());
    }

    /// Digest of class list, file names and file sizes; reads no pixels.
    pub fn fingerprint(&self) -> String {
        let mut digest = Fingerprint::new("classification");
        digest.number(self.classes.len() as u64);
        for class in &self.classes {
            digest.field(class.as_bytes());
        }
        for sample in &self.samples {
            digest.field(sample.name.as_bytes());
            digest.number(sample.label as u64);
            digest.number(sample.bytes);
        }
        digest.finish()
    }

    /// Where an image lies, and its size in bytes.
    pub(crate) fn place(&self, index: usize) -> (Place, u64) {
        let sample = &self.samples[index];
        (sample.place(&self.root), sample.bytes)
    }

    /// Name of an image within its split, or its shard.
    pub(crate) fn member_name(&self, index: usize) -> &str {
        self.samples[index].member_name(&self.root)
    }

    /// Reads an image.
    pub(crate) fn decode(&self, index: usize) -> Result<image::Image, Error> {
        image::decode_at(&self.place(index).0)
    }

    fn empty_batch(&self, samples: usize) -> ClassificationBatch {
        ClassificationBatch {
            images: vec![0.0; samples * self.sample_len()],
            labels: Vec::with_capacity(samples),
            indices: Vec::with_capacity(samples),
            lambda: 1.0,
            image_size: self.image_size,
        }
    }

    fn sample_len(&self) -> usize {
        3 * self.image_size * self.image_size
    }
}

impl BatchSource for ClassificationDataset {
    type Batch = ClassificationBatch;

    fn len(&self) -> usize {
        self.samples.len()
    }

    fn train_batch(&self, picks: &[Pick], seed: u64) -> Result<ClassificationBatch, Error> {
        let mut batch = self.empty_batch(picks.len());
        let slots = batch.images.chunks_mut(self.sample_len()).collect();
        let used = samples::fill_train(picks, self.len(), self.on_bad_sample, &self.skipped, slots, |pick, canvas| {
            let (place, _) = self.place(pick.index);
            let (path, bytes) = (place.path(), place.read()?);
            augment::train(&image::Encoded::open(&path, &bytes)?, &self.options, seed, pick, self.image_size, canvas)
        })?;
        for (index, ()) in used {
            batch.labels.push(self.samples[index].label as i64);
            batch.indices.push(index);
        }
        mix::apply(&mut batch, &self.options, seed, picks);
        Ok(batch)
    }

    fn eval_batch(&self, indices: &[usize]) -> Result<ClassificationBatch, Error> {
        let mut batch = self.empty_batch(indices.len());
        let slots = batch.images.chunks_mut(self.sample_len()).collect();
        let kept = samples::fill_eval(indices, self.on_bad_sample, &self.skipped, slots, |index, canvas| {
            let image = self.decode(index)?;
            augment::eval(&image, &self.options, self.image_size, canvas);
            Ok(())
        })?;
        samples::compact(&mut batch.images, self.sample_len(), &kept);
        for (&index, kept) in indices.iter().zip(&kept) {
            if kept.is_some() {
                batch.labels.push(self.samples[index].label as i64);
                batch.indices.push(index);
            }
        }
        Ok(batch)
    }

    fn batch_len(batch: &ClassificationBatch) -> usize {
        batch.labels.len()
    }

    fn sample_name(&self, index: usize) -> String {
        self.image_name(index).to_string()
    }
}

/// The splits that are there, as folders or as shards.
///
/// # Errors
/// When the root cannot be read.
pub(crate) fn splits(root: &Path) -> Result<Vec<Split>, Error> {
    let mut found = Vec::new();
    for split in Split::ALL {
        if root.join(split.as_str()).is_dir() || !shards::of_split(root, split)?.is_empty() {
            found.push(split);
        }
    }
    Ok(found)
}

/// Lists a split's folder, collecting what is wrong with it.
///
/// # Errors
/// Only when the folder itself cannot be read.
pub(crate) fn list(root: &Path, split: Split) -> Result<(Listing, Vec<Finding>), Error> {
    let folder = root.join(split.as_str());
    let shards = shards::of_split(root, split)?;
    if !folder.is_dir() && shards.is_empty() {
        return Err(Error::missing(
            &folder,
            "Point data.imagenet.root at a folder that holds train/<class>/ and val/<class>/, or shards (.tar)",
        ));
    }
    let inside = root.canonicalize().map_err(|e| Error::io(root, "read the folder", e))?;
    let mut findings = Vec::new();
    let mut listing = Listing { classes: Vec::new(), samples: Vec::new(), shards: 0 };
    if leaves(&folder, &inside) {
        findings.push(link_out(&folder));
        return Ok((listing, findings));
    }
    if !shards.is_empty() {
        return shards::list(root, split, &shards);
    }
    for class in sorted_entries(&folder, &inside, &mut findings)? {
        let path = folder.join(&class);
        if !path.is_dir() {
            continue;
        }
        let label = listing.classes.len();
        let before = listing.samples.len();
        for file in sorted_entries(&path, &inside, &mut findings)? {
            let image = path.join(&file);
            let Ok(meta) = fs::metadata(&image) else {
                findings.push(Finding::fatal(
                    &image,
                    "a link to nothing",
                    "Remove the link or restore what it points to",
                ));
                continue;
            };
            if !has_image_extension(&image) || !meta.is_file() {
                findings.push(Finding::remark(
                    &image,
                    "not an image by its extension (jpg, jpeg, png), so it is not read",
                    "Convert it, or move it out of the class folder",
                ));
                continue;
            }
            let name = format!("{split}/{class}/{file}");
            listing.samples.push(Sample { name, label, bytes: meta.len(), shard: None });
        }
        if listing.samples.len() == before {
            findings.push(Finding::fatal(
                &path,
                "the class folder holds no images",
                "Add images to it or remove the folder",
            ));
        }
        listing.classes.push(class);
    }
    if listing.classes.is_empty() && findings.is_empty() {
        findings.push(Finding::fatal(
            &folder,
            "it holds no class folders and no shards",
            "Put the images of each class in a folder named after it",
        ));
    }
    Ok((listing, findings))
}

pub(crate) fn has_image_extension(path: &Path) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| EXTENSIONS.contains(&e.to_ascii_lowercase().as_str()))
}

/// Names in a folder in byte order, without hidden ones; links that lead out of `inside` become findings.
fn sorted_entries(folder: &Path, inside: &Path, findings: &mut Vec<Finding>) -> Result<Vec<String>, Error> {
    let wrap = |e| Error::io(folder, "list the folder", e);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(wrap)? {
        let entry = entry.map_err(wrap)?;
        let path = entry.path();
        let Some(name) = entry.file_name().to_str().map(str::to_string) else {
            findings.push(Finding::fatal(&path, "the name is not valid UTF-8", "Rename it"));
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        // Only links are resolved: resolving a million plain files would take minutes on a network disk.
        if entry.file_type().map_err(wrap)?.is_symlink() && leaves(&path, inside) {
            findings.push(link_out(&path));
            continue;
        }
        names.push(name);
    }
    names.sort_unstable();
    Ok(names)
}

/// Whether a path resolves to somewhere outside a folder. A dangling link does not; it is reported when it is read.
pub(crate) fn leaves(path: &Path, inside: &Path) -> bool {
    path.canonicalize().is_ok_and(|real| !real.starts_with(inside))
}

pub(crate) fn link_out(path: &Path) -> Finding {
    Finding::fatal(
        path,
        "a link that leads out of the data folder",
        "Copy what it points to into the data folder, or point the config at the real folder",
    )
}
