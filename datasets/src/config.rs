//! What a user may say about data, with every default. Reads no files.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::augment::randaugment::BINS;
use crate::error::Error;

/// Per-channel mean of ImageNet's training images, RGB in 0..1.
const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Per-channel standard deviation, as above.
const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];
/// Share of the shorter side that the usual evaluation crop keeps: 224 of 256.
const EVAL_CROP: f64 = 0.875;
/// Below it the crop of a small image holds less than a pixel.
const LEAST_EVAL_CROP: f64 = 0.01;
/// Beyond it Beta(alpha, alpha) is all but a constant.
const MAX_ALPHA: f32 = 10.0;

/// Where samples come from and how they are prepared. Either `scenes`, or `imagenet` and/or `coco`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Built-in data, made on the spot.
    pub scenes: Option<ScenesConfig>,
    /// Classification from folders.
    pub imagenet: Option<ImagenetPaths>,
    /// Detection and instance segmentation from COCO files.
    pub coco: Option<CocoPaths>,
    /// How classification images are prepared.
    pub classification: ClassificationOptions,
    /// How detection images are prepared.
    pub detection: DetectionOptions,
    /// What to do with a file that cannot be read during a run.
    pub on_bad_sample: OnBadSample,
    /// Batches prepared ahead of the training step, 1 to 64.
    pub prefetch: usize,
}

impl Default for DataConfig {
    fn default() -> Self {
        DataConfig {
            scenes: None,
            imagenet: None,
            coco: None,
            classification: ClassificationOptions::default(),
            detection: DetectionOptions::default(),
            on_bad_sample: OnBadSample::Stop,
            prefetch: 4,
        }
    }
}

/// The built-in data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScenesConfig {
    /// Training images for each task; a quarter as many are made for validation. With Fashion-MNIST it counts the
    /// scenes for detection; classification has the original images.
    pub images: usize,
    /// Side of the square images in pixels; Fashion-MNIST's original images keep their 28.
    pub size: u32,
    /// Everything drawn is a function of it.
    pub seed: u64,
    /// What is drawn.
    pub sprites: Sprites,
    /// Folder with the four files of Fashion-MNIST, for sprites of it; the Debian package's when absent. Only what the
    /// files hold matters to the data set, not where they lie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fashion_mnist: Option<PathBuf>,
}

impl Default for ScenesConfig {
    fn default() -> Self {
        ScenesConfig { images: 2000, size: 64, seed: 0, sprites: Sprites::Shapes, fashion_mnist: None }
    }
}

/// What the objects of a scene look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sprites {
    /// Six drawn shapes: circle, cross, ring, square, star, triangle.
    Shapes,
    /// The ten kinds of garment of Fashion-MNIST.
    FashionMnist,
}

impl fmt::Display for Sprites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Sprites::Shapes => "shapes",
            Sprites::FashionMnist => "fashion-mnist",
        })
    }
}

/// Folders in ImageNet's layout, or WebDataset shards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagenetPaths {
    /// Holds `train/<class>/` and `val/<class>/`; or `train/*.tar` and `val/*.tar`, or `*.tar` with `train` or `val` in
    /// their names.
    pub root: PathBuf,
}

/// Folders and files in COCO's layout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CocoPaths {
    /// Folder of the training images, or of their shards, or one shard.
    pub train_images: PathBuf,
    /// Instances JSON of the training images, or the shards if they hold the records.
    pub train_annotations: PathBuf,
    /// Folder of the validation images, or of their shards, or one shard.
    pub val_images: PathBuf,
    /// Instances JSON of the validation images, or the shards if they hold the records.
    pub val_annotations: PathBuf,
}

/// How a classification image becomes a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassificationOptions {
    /// Area of the random crop as a share of the image, from and to.
    pub crop_scale: [f32; 2],
    /// Width over height of the random crop, from and to.
    pub crop_ratio: [f32; 2],
    /// Mirror half of the training images.
    pub flip: bool,
    /// Random operations on training images; none where null.
    pub randaugment: Option<RandAugmentOptions>,
    /// Alpha of MixUp's Beta(alpha, alpha), 0 to 10; 0 is off. Where MixUp and CutMix are both on, half of the batches
    /// get either.
    pub mixup: f32,
    /// Alpha of CutMix's Beta(alpha, alpha), 0 to 10; 0 is off.
    pub cutmix: f32,
    /// What lambda says of the box that CutMix exchanges.
    pub cutmix_box: CutMixBox,
    /// Subtracted from each channel (RGB in 0..1). The released code has 0.5, and `std` 0.5, for pixels in -1..1:
    /// `value_range(-1,1)` in google-research `moe_mtl/dataloaders/jax_loader.py`, `get_imagenet`.
    pub mean: [f32; 3],
    /// Each channel is divided by it.
    pub std: [f32; 3],
    /// Share of the shorter side that the centre crop keeps in evaluation, 0.01 to 1: the image is resized, its aspect
    /// ratio kept, until its shorter side is `image_size / eval_crop`, and the centre is cut out.
    ///
    /// Null is no crop: the whole image is resized to `image_size` x `image_size`, its aspect ratio not kept. That is
    /// what the released code evaluates on: `decode|resize(224)` in `get_imagenet` as above, where `resize` of one
    /// number is to that number of rows and of columns (google-research/vmoe `vmoe/data/pp_ops.py`). Here as in
    /// training a pixel averages what it covers; the released code interpolates between the four nearest pixels.
    pub eval_crop: Option<f64>,
}

impl Default for ClassificationOptions {
    fn default() -> Self {
        ClassificationOptions {
            crop_scale: [0.08, 1.0],
            crop_ratio: [3.0 / 4.0, 4.0 / 3.0],
            flip: true,
            randaugment: None,
            mixup: 0.0,
            cutmix: 0.0,
            cutmix_box: CutMixBox::Area,
            mean: IMAGENET_MEAN,
            std: IMAGENET_STD,
            eval_crop: Some(EVAL_CROP),
        }
    }
}

/// How lambda sets the size of CutMix's box. Either way the box is cut off at the image's edges, and the label of a
/// sample weighs the share of its own pixels that it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CutMixBox {
    /// Its area is 1 - lambda of the image's, each side sqrt(1 - lambda) of the image's (Yun et al., ICCV 2019).
    Area,
    /// Each side is lambda of the image's, as in the released code: `get_random_bounding_box`, with lambda for its
    /// ratio, in google-research `moe_mtl/main/trainer_utils.py`.
    Side,
}

/// RandAugment's two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandAugmentOptions {
    /// Operations an image, 1 to 16.
    pub ops: usize,
    /// Strength of all of them, 0 to 30.
    pub magnitude: u32,
}

impl Default for RandAugmentOptions {
    fn default() -> Self {
        RandAugmentOptions { ops: 2, magnitude: 9 }
    }
}

/// How a detection image becomes a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DetectionOptions {
    /// Random scale relative to the scale at which the image just fits the canvas, from and to.
    pub scale_jitter: [f32; 2],
    /// Mirror half of the training images.
    pub flip: bool,
    /// Ground truths kept an image (G); more are dropped in file order.
    pub max_instances: usize,
    /// Side of the mask targets (M), cropped to their boxes.
    pub mask_size: usize,
    /// A box with a side below this, in canvas pixels after augmentation, is dropped.
    pub min_box: f32,
    /// Subtracted from each channel (RGB in 0..1).
    pub mean: [f32; 3],
    /// Each channel is divided by it.
    pub std: [f32; 3],
}

impl Default for DetectionOptions {
    fn default() -> Self {
        DetectionOptions {
            scale_jitter: [0.1, 2.5],
            flip: true,
            max_instances: 100,
            mask_size: 112,
            min_box: 1.0,
            mean: IMAGENET_MEAN,
            std: IMAGENET_STD,
        }
    }
}

/// What a run does with a sample that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnBadSample {
    /// End the run and name the file.
    #[default]
    Stop,
    /// Train on the next readable sample instead, leave it out of evaluation, count it.
    Skip,
}

impl DataConfig {
    /// Checks ranges and combinations; reads nothing from disk.
    ///
    /// # Errors
    /// [`Error::Config`] with the key, its value and the range.
    pub fn validate(&self) -> Result<(), Error> {
        match (&self.scenes, &self.imagenet, &self.coco) {
            (None, None, None) => {
                return Err(Error::config(
                    "data",
                    "without a source",
                    "give data.scenes, or data.imagenet and/or data.coco",
                ));
            }
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
                return Err(Error::config(
                    "data",
                    "scenes and files at once",
                    "keep either data.scenes or data.imagenet / data.coco",
                ));
            }
            _ => {}
        }
        if let Some(scenes) = &self.scenes {
            scenes.validate()?;
        }
        let c = &self.classification;
        range("data.classification.crop_scale", c.crop_scale, 0.0, 1.0, "two ordered numbers in (0, 1]")?;
        range("data.classification.crop_ratio", c.crop_ratio, 0.0, 100.0, "two ordered numbers in (0, 100]")?;
        if let Some(r) = c.randaugment {
            whole("data.classification.randaugment.ops", r.ops, 1, 16)?;
            whole("data.classification.randaugment.magnitude", r.magnitude as usize, 0, BINS as usize - 1)?;
        }
        for (key, alpha) in [("mixup", c.mixup), ("cutmix", c.cutmix)] {
            if !(0.0..=MAX_ALPHA).contains(&alpha) {
                return Err(Error::config(
                    format!("data.classification.{key}"),
                    alpha,
                    format!("must be from 0 to {MAX_ALPHA}"),
                ));
            }
        }
        normalisation("data.classification", c.mean, c.std)?;
        if let Some(share) = c.eval_crop.filter(|share| !(LEAST_EVAL_CROP..=1.0).contains(share)) {
            return Err(Error::config(
                "data.classification.eval_crop",
                share,
                format!("must be from {LEAST_EVAL_CROP} to 1, or null for no crop"),
            ));
        }
        let d = &self.detection;
        range("data.detection.scale_jitter", d.scale_jitter, 0.0, 100.0, "two ordered numbers in (0, 100]")?;
        whole("data.detection.max_instances", d.max_instances, 1, 10_000)?;
        whole("data.detection.mask_size", d.mask_size, 1, 1024)?;
        if !(d.min_box.is_finite() && d.min_box >= 0.0) {
            return Err(Error::config(
                "data.detection.min_box",
                d.min_box,
                "must be a finite number of pixels, 0 or more",
            ));
        }
        normalisation("data.detection", d.mean, d.std)?;
        whole("data.prefetch", self.prefetch, 1, 64)
    }
}

impl ScenesConfig {
    /// Checks ranges.
    ///
    /// # Errors
    /// [`Error::Config`] with the key, its value and the range.
    pub fn validate(&self) -> Result<(), Error> {
        // A quarter of the images is for validation, where each of the six shapes must occur.
        whole("data.scenes.images", self.images, 24, 1_000_000)?;
        whole("data.scenes.size", self.size as usize, 32, 1024)?;
        if let (Some(folder), Sprites::Shapes) = (&self.fashion_mnist, self.sprites) {
            return Err(Error::config(
                "data.scenes.fashion_mnist",
                folder,
                "shapes need no files; set data.scenes.sprites to fashion-mnist, or leave the folder out",
            ));
        }
        Ok(())
    }
}

pub(crate) fn whole(key: &str, value: usize, from: usize, to: usize) -> Result<(), Error> {
    if (from..=to).contains(&value) {
        return Ok(());
    }
    Err(Error::config(key, value, format!("must be from {from} to {to}")))
}

/// `above < value[0] <= value[1] <= to`; comparisons with NaN are false and so refused.
fn range(key: &str, value: [f32; 2], above: f32, to: f32, wanted: &str) -> Result<(), Error> {
    if value[0] > above && value[0] <= value[1] && value[1] <= to {
        return Ok(());
    }
    Err(Error::config(key, value, format!("must be {wanted}")))
}

fn normalisation(at: &str, mean: [f32; 3], std: [f32; 3]) -> Result<(), Error> {
    if !mean.iter().all(|m| m.is_finite()) {
        return Err(Error::config(format!("{at}.mean"), mean, "must be three finite numbers"));
    }
    if !std.iter().all(|s| s.is_finite() && *s > 0.0) {
        return Err(Error::config(format!("{at}.std"), std, "must be three numbers above 0"));
    }
    Ok(())
}
