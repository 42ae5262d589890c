//! Detection and instance segmentation from COCO files: `records` and `parse` read the JSON, `images` finds what it
//! names, `validate` judges it, this room makes samples.

mod images;
mod parse;
pub(crate) mod raw;
mod records;
mod validate;

use std::path::{Path, PathBuf};

pub(crate) use self::images::Images;
pub(crate) use self::parse::{Annotation, Category, File, Image as ImageRecord, parse, read};
pub use self::records::instances_json;
pub(crate) use self::records::{CATEGORIES, utf8};
pub(crate) use self::validate::{findings, possible_size};
use crate::augment::detection::Placement;
use crate::batch::DetectionBatch;
use crate::config::{DetectionOptions, OnBadSample};
use crate::error::{Error, stop_at_fatal};
use crate::fingerprint::Fingerprint;
use crate::image;
use crate::loader::BatchSource;
use crate::mask::{MaskError, Rle};
use crate::order::Pick;
use crate::place::Place;
use crate::rng::{Rng, Stream};
use crate::samples::{self, Skipped};
use crate::task::Split;

/// One split of a COCO data set.
#[derive(Debug)]
pub struct DetectionDataset {
    annotations: PathBuf,
    options: DetectionOptions,
    image_size: usize,
    class_names: Vec<String>,
    category_ids: Vec<u64>,
    entries: Vec<Entry>,
    annotations_digest: String,
    on_bad_sample: OnBadSample,
    skipped: Skipped,
}

/// An image and its ground truths.
#[derive(Debug)]
struct Entry {
    record: ImageRecord,
    place: Place,
    bytes: u64,
    instances: Vec<Instance>,
}

/// One ground truth in original pixels.
#[derive(Debug)]
struct Instance {
    label: usize,
    /// `x y w h`.
    bbox: [f64; 4],
    shape: Shape,
}

/// A ground truth with its mask, in the image's own pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// From 0.
    pub label: usize,
    /// `x y w h`.
    pub bbox: [f64; 4],
    pub mask: Rle,
}

/// An instance's mask as its file gives it. Polygons are kept as such: they are smaller, and only a sample's are
/// rasterised.
#[derive(Debug)]
pub(crate) enum Shape {
    Polygons(Vec<Vec<f64>>),
    Rle(Rle),
}

impl Shape {
    pub fn to_rle(&self, height: u32, width: u32) -> Result<std::borrow::Cow<'_, Rle>, MaskError> {
        match self {
            Shape::Rle(rle) => Ok(std::borrow::Cow::Borrowed(rle)),
            Shape::Polygons(polygons) => Rle::from_polygons(polygons, height, width).map(std::borrow::Cow::Owned),
        }
    }
}

/// What a sample adds to its batch beside the tensors.
struct Meta {
    scale: f32,
}

/// The parts of a batch that one sample writes.
struct Slot<'a> {
    canvas: &'a mut [f32],
    boxes: &'a mut [f32],
    labels: &'a mut [i64],
    masks: &'a mut [u8],
}

impl DetectionDataset {
    /// Reads an instances file and checks it against its images, which must all be there. Images are ordered by id;
    /// labels number the categories from 0 by ascending id. Crowds stay in the file for evaluation and are not trained
    /// on.
    ///
    /// `images` is a folder of image files, a folder of shards (`.tar`), or one shard. In shards an image is the member
    /// of its `file_name`, else the only one of its key (the name without extension), with or without folders.
    /// `annotations` may be such a folder or shard too: [`instances_json`].
    ///
    /// # Errors
    /// [`Error::Json`] with line and column; [`Error::Data`] naming file and annotation for anything that contradicts
    /// itself: an unknown image or category, a repeated id, a box that is not four finite numbers or lies outside its
    /// image, a mask that does not decode, a file name that leads out of the folder, a missing image.
    pub fn open(
        images: &Path,
        annotations: &Path,
        split: Split,
        options: &DetectionOptions,
        image_size: u32,
    ) -> Result<Self, Error> {
        if !images.exists() {
            return Err(Error::missing(
                images,
                format!("Point data.coco.{split}_images at the folder or shards of the {split} images"),
            ));
        }
        let (bytes, digest) = read(annotations)?;
        let file = parse(annotations, &bytes)?;
        drop(bytes);
        let (images, found) = Images::open(images)?;
        stop_at_fatal(&found)?;
        let (found, places) = findings(&file, annotations, &images);
        stop_at_fatal(&found)?;
        let mut categories = file.categories;
        categories.sort_by_key(|c| c.id);
        let category_ids: Vec<u64> = categories.iter().map(|c| c.id).collect();
        let mut entries: Vec<Entry> = file
            .images
            .into_iter()
            .zip(places)
            // All are there: `findings` was clean.
            .filter_map(|(record, found)| found.map(|(place, bytes)| (record, place, bytes)))
            .map(|(record, place, bytes)| Entry { record, place, bytes, instances: Vec::new() })
            .collect();
        entries.sort_by_key(|e| e.record.id);
        for annotation in file.annotations {
            if annotation.is_crowd() {
                continue;
            }
            let at = entries.binary_search_by_key(&annotation.image_id, |e| e.record.id);
            let label = category_ids.binary_search(&annotation.category_id);
            // Both exist, and box and mask are sound: `findings` was clean.
            if let (Ok(at), Ok(label), Some(bbox)) = (at, label, annotation.finite_box()) {
                let [h, w] = entries[at].record.size();
                if let Ok(shape) = annotation.into_shape(h, w) {
                    entries[at].instances.push(Instance { label, bbox, shape });
                }
            }
        }
        Ok(DetectionDataset {
            annotations: annotations.to_path_buf(),
            options: options.clone(),
            image_size: image_size as usize,
            class_names: categories.into_iter().map(|c| c.name).collect(),
            category_ids,
            entries,
            annotations_digest: digest,
            on_bad_sample: OnBadSample::Stop,
            skipped: Skipped::default(),
        })
    }

    /// What to do with a file that cannot be read; stopping is the default.
    pub fn on_bad_sample(mut self, choice: OnBadSample) -> Self {
        self.on_bad_sample = choice;
        self
    }

    /// Numbers the labels by the training split's categories, so that both splits agree.
    ///
    /// # Errors
    /// When this split's categories (ids or names) are not the same as those.
    pub fn same_categories_as(self, training: &DetectionDataset) -> Result<Self, Error> {
        if self.category_ids != training.category_ids || self.class_names != training.class_names {
            return Err(Error::data(
                &self.annotations,
                format!("its categories differ from those of {}", training.annotations.display()),
                "Give both files the same list of categories, ids and names",
            ));
        }
        Ok(self)
    }

    /// Parts the samples at `indices` (ascending) from the others, which come first; both keep their order. Either part
    /// numbers its samples anew and skips broken ones within itself.
    pub fn split_off(self, indices: &[usize]) -> (Self, Self) {
        let (rest, taken) = samples::split_off(self.entries, indices);
        let with = |entries| DetectionDataset {
            annotations: self.annotations.clone(),
            options: self.options.clone(),
            image_size: self.image_size,
            class_names: self.class_names.clone(),
            category_ids: self.category_ids.clone(),
            entries,
            annotations_digest: self.annotations_digest.clone(),
            on_bad_sample: self.on_bad_sample,
            skipped: Skipped::default(),
        };
        (with(rest), with(taken))
    }

    /// Number of images, with or without annotations.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none: only a part that was split off can be empty.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Category names by label.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// COCO category ids by label, ascending.
    pub fn category_ids(&self) -> &[u64] {
        &self.category_ids
    }

    /// COCO id of an image.
    pub fn image_id(&self, index: usize) -> u64 {
        self.entries[index].record.id
    }

    /// File name of an image, relative to its folder.
    pub fn image_name(&self, index: usize) -> &str {
        &self.entries[index].record.file_name
    }

    /// Original height and width.
    pub fn image_size(&self, index: usize) -> (u32, u32) {
        let [h, w] = self.entries[index].record.size();
        (h, w)
    }

    /// The instances file, or the folder or shard that holds the records.
    pub fn annotations_path(&self) -> &Path {
        &self.annotations
    }

    /// The text of the instances file, which evaluation needs; put together where shards hold the records.
    ///
    /// # Errors
    /// As [`instances_json`].
    pub fn ground_truth_json(&self) -> Result<Vec<u8>, Error> {
        instances_json(&self.annotations)
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

    /// Digest of the annotation file's content and of image names and file sizes; reads no pixels.
    pub fn fingerprint(&self) -> String {
        let mut digest = Fingerprint::new("detection");
        digest.field(self.annotations_digest.as_bytes());
        for entry in &self.entries {
            digest.field(entry.record.file_name.as_bytes());
            digest.number(entry.bytes);
        }
        digest.finish()
    }

    /// The objects of an image, in the order of its file; no crowds.
    ///
    /// # Errors
    /// A mask that doesn't decode.
    pub fn objects(&self, index: usize) -> Result<Vec<Object>, Error> {
        let entry = &self.entries[index];
        let [height, width] = entry.record.size();
        let object = |instance: &Instance| {
            let mask = instance.shape.to_rle(height, width);
            let mask = mask.map_err(|e| Error::data(&self.annotations, e.to_string(), "Mend the mask"))?.into_owned();
            Ok(Object { label: instance.label, bbox: instance.bbox, mask })
        };
        entry.instances.iter().map(object).collect()
    }

    /// Where an image lies, and its size in bytes.
    pub(crate) fn place(&self, index: usize) -> (Place, u64) {
        let entry = &self.entries[index];
        (entry.place.clone(), entry.bytes)
    }

    /// Reads an image and checks it against the size that the file states.
    pub(crate) fn decode(&self, index: usize) -> Result<image::Image, Error> {
        let Entry { record, place, .. } = &self.entries[index];
        let image = image::decode_at(place)?;
        check_size(&place.path(), &image, record)?;
        Ok(image)
    }

    /// Draws the image and its ground truths.
    fn fill(&self, index: usize, placement: &Placement, image: &image::Image, slot: &mut Slot) -> Result<Meta, Error> {
        let options = &self.options;
        placement.draw(image, options, self.image_size, slot.canvas);
        slot.boxes.fill(0.0);
        slot.labels.fill(-1);
        slot.masks.fill(0);
        let cells = options.mask_size * options.mask_size;
        let mut g = 0;
        for instance in &self.entries[index].instances {
            if g == options.max_instances {
                break;
            }
            let canvas_box = placement.box_to_canvas(instance.bbox);
            let [x1, y1, x2, y2] = canvas_box;
            let smallest = (x2 - x1).min(y2 - y1);
            if smallest <= 0.0 || smallest < f64::from(options.min_box) {
                continue;
            }
            let mask = instance
                .shape
                .to_rle(image.height, image.width)
                .map_err(|e| Error::data(&self.annotations, e.to_string(), "Mend the mask"))?;
            let out = &mut slot.masks[g * cells..(g + 1) * cells];
            if !placement.crop_mask(&mask, canvas_box, options.mask_size, out) {
                continue;
            }
            for (to, from) in slot.boxes[4 * g..4 * g + 4].iter_mut().zip(canvas_box) {
                *to = from as f32;
            }
            slot.labels[g] = instance.label as i64;
            g += 1;
        }
        Ok(Meta { scale: placement.scale as f32 })
    }

    fn empty_batch(&self, n: usize) -> DetectionBatch {
        let (s, g, m) = (self.image_size, self.options.max_instances, self.options.mask_size);
        DetectionBatch {
            images: vec![0.0; n * 3 * s * s],
            boxes: vec![0.0; n * g * 4],
            labels: vec![-1; n * g],
            masks: vec![0; n * g * m * m],
            indices: Vec::with_capacity(n),
            image_ids: Vec::with_capacity(n),
            scales: Vec::with_capacity(n),
            sizes: Vec::with_capacity(n),
            image_size: s,
            max_instances: g,
            mask_size: m,
        }
    }

    fn record(&self, batch: &mut DetectionBatch, index: usize, meta: &Meta) {
        batch.indices.push(index);
        batch.image_ids.push(self.image_id(index));
        batch.scales.push(meta.scale);
        batch.sizes.push(self.entries[index].record.size());
    }
}

/// Splits a batch's buffers into one slot a sample.
fn slots(batch: &mut DetectionBatch) -> Vec<Slot<'_>> {
    let (s, g, m) = (batch.image_size, batch.max_instances, batch.mask_size);
    let images = batch.images.chunks_mut(3 * s * s);
    let boxes = batch.boxes.chunks_mut(4 * g);
    let labels = batch.labels.chunks_mut(g);
    let masks = batch.masks.chunks_mut(g * m * m);
    images
        .zip(boxes)
        .zip(labels.zip(masks))
        .map(|((canvas, boxes), (labels, masks))| Slot { canvas, boxes, labels, masks })
        .collect()
}

/// An image must be as large as its record says, or boxes and masks would lie elsewhere.
/// Both are upright: EXIF orientation is applied first.
pub(crate) fn check_size(path: &Path, image: &image::Image, record: &ImageRecord) -> Result<(), Error> {
    if [image.height, image.width] == record.size() {
        return Ok(());
    }
    Err(Error::data(
        path,
        format!(
            "{} x {} pixels, but image {} is {} x {} in its annotation file (width x height)",
            image.width, image.height, record.id, record.width, record.height
        ),
        "Restore the original image, or mend width and height in the annotation file",
    ))
}

impl BatchSource for DetectionDataset {
    type Batch = DetectionBatch;

    fn len(&self) -> usize {
        self.entries.len()
    }

    fn train_batch(&self, picks: &[Pick], seed: u64) -> Result<DetectionBatch, Error> {
        let mut batch = self.empty_batch(picks.len());
        let slots = slots(&mut batch);
        let side = self.image_size as u32;
        let used = samples::fill_train(picks, self.len(), self.on_bad_sample, &self.skipped, slots, |pick, slot| {
            let image = self.decode(pick.index)?;
            let mut rng = Rng::new(seed, Stream::Augment, pick.epoch, pick.index as u64);
            let placement = Placement::random(&mut rng, &self.options, image.width, image.height, side);
            self.fill(pick.index, &placement, &image, slot)
        })?;
        for (index, meta) in used {
            self.record(&mut batch, index, &meta);
        }
        Ok(batch)
    }

    fn eval_batch(&self, indices: &[usize]) -> Result<DetectionBatch, Error> {
        let mut batch = self.empty_batch(indices.len());
        let slots = slots(&mut batch);
        let side = self.image_size as u32;
        let kept = samples::fill_eval(indices, self.on_bad_sample, &self.skipped, slots, |index, slot| {
            let image = self.decode(index)?;
            let placement = Placement::fit(image.width, image.height, side);
            self.fill(index, &placement, &image, slot)
        })?;
        let (s, g, m) = (batch.image_size, batch.max_instances, batch.mask_size);
        samples::compact(&mut batch.images, 3 * s * s, &kept);
        samples::compact(&mut batch.boxes, 4 * g, &kept);
        samples::compact(&mut batch.labels, g, &kept);
        samples::compact(&mut batch.masks, g * m * m, &kept);
        for (&index, meta) in indices.iter().zip(&kept) {
            if let Some(meta) = meta {
                self.record(&mut batch, index, meta);
            }
        }
        Ok(batch)
    }

    fn batch_len(batch: &DetectionBatch) -> usize {
        batch.image_ids.len()
    }

    fn sample_name(&self, index: usize) -> String {
        self.image_name(index).to_string()
    }
}
