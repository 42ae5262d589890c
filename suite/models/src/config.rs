//! What a model is: the backbone, the input of each task and the detector. Every default lives here, on its field.
//!
//! A suite file gives a part of [`ModelConfig`]; it is laid over the preset that the cell's backbone names.

use adamv_datasets::Task;
use serde::{Deserialize, Serialize};

use crate::error::ModelError;
pub use crate::moe::config::{ExpertInit, MoeConfig, MoeLayers, RouterSharing};
pub use crate::taps::{Frozen, TapsConfig, TapsSettings};

/// How the tokens of an image become one vector for classification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// Mean over all tokens after the last LayerNorm (the paper's choice).
    Mean,
    /// A class token of its own, as in the first ViT; detection has none, which has no place for it in a feature map.
    Token,
}

/// What a branch is left out for by one draw of stochastic depth. They differ where an image has more than one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DropPathPer {
    /// An image, with all its windows.
    Image,
    /// A window: the released code draws after it has split images (`moe_mtl/modeling/vmoe_mtl.py`, `get_drop_pattern`).
    Window,
}

/// The transformer that both tasks run through (paper.md section 2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackboneConfig {
    /// Number of blocks, L.
    pub depth: usize,
    /// Token width, D.
    pub width: usize,
    /// Attention heads, H; must divide the width.
    pub heads: usize,
    /// Hidden width of the MLP.
    pub mlp: usize,
    pub pool: Pool,
    /// Stochastic depth of the last block; block i has i/(L-1) of it.
    pub drop_path: f64,
    /// What stochastic depth leaves out together.
    pub drop_path_per: DropPathPer,
    /// Experts in place of some blocks' MLPs; null for dense blocks only, or for what the system has by default.
    pub moe: Option<MoeConfig>,
    /// Deltas of each task on the MLPs' weights; null for none, or for what the system has by default.
    pub taps: Option<TapsConfig>,
}

impl Default for BackboneConfig {
    fn default() -> Self {
        Self {
            depth: 12,
            width: 384,
            heads: 6,
            mlp: 1536,
            pool: Pool::Mean,
            drop_path: 0.0,
            drop_path_per: DropPathPer::Image,
            moe: None,
            taps: None,
        }
    }
}

/// The square input of one task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InputConfig {
    /// Side of the input in pixels.
    pub image_size: usize,
    /// Side of a patch in pixels; must divide the image size.
    pub patch_size: usize,
    /// Windows per side that attention never crosses: 1 is attention over the whole image, 2 is UViT's 2x2. Must divide the
    /// patches of a side.
    pub windows: usize,
}

impl Default for InputConfig {
    fn default() -> Self {
        Self { image_size: 224, patch_size: 16, windows: 1 }
    }
}

/// Each task has its own patch embedding and position embedding, so its own input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InputsConfig {
    pub classification: InputConfig,
    pub detection: InputConfig,
}

impl Default for InputsConfig {
    fn default() -> Self {
        Self {
            classification: InputConfig::default(),
            detection: InputConfig { image_size: 640, patch_size: 8, windows: 1 },
        }
    }
}

/// What follows every hidden convolution, fully connected layer and deconvolution of the detector, before its activation,
/// and every level of the pyramid. Where exactly: [`crate::detection::norm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NormKind {
    None,
    /// LayerNorm over the channels of each position.
    Layer,
    /// GroupNorm of 32 groups, or of the largest divisor of the channels below, two channels a group at least.
    Group,
    /// BatchNorm; its statistics depend on how a batch is cut over devices.
    Batch,
}

/// The (cascade) Mask R-CNN head (paper.md section 6).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DetectorConfig {
    /// Cascade stages, 1 to 3, at IoU 0.5, 0.6, 0.7; 1 is plain Mask R-CNN.
    pub stages: usize,
    /// Finest pyramid level; level l has stride 2^l pixels.
    pub min_level: usize,
    /// Coarsest pyramid level.
    pub max_level: usize,
    /// Channels of the pyramid and of the RoI heads' convolutions, C.
    pub channels: usize,
    /// The norm of its hidden layers.
    pub norm: NormKind,
    /// Width of the box head's fully connected layer.
    pub box_fc: usize,
    /// 3x3 convolutions of the box head.
    pub box_convs: usize,
    /// 3x3 convolutions of the mask head.
    pub mask_convs: usize,
    /// Side of an anchor of ratio 1 in units of its level's stride.
    pub anchor_scale: f64,
    /// Height over width of the anchors.
    pub anchor_ratios: Vec<f64>,
    /// Anchors per image that the RPN loss looks at, half of them foreground at the most.
    pub rpn_batch: usize,
    /// Proposals per level before non-maximum suppression.
    pub rpn_pre_nms: usize,
    /// Proposals per image after it, P.
    pub rpn_post_nms: usize,
    /// IoU over which the lower-scored proposal is suppressed.
    pub rpn_nms: f64,
    /// RoIs per image that the box loss looks at.
    pub rois: usize,
    /// Share of foreground among them, at the most.
    pub roi_foreground: f64,
    /// RoIs per image that the mask loss looks at.
    pub mask_rois: usize,
}

impl Default for DetectorConfig {
    fn default() -> Self {
        Self {
            stages: 3,
            min_level: 3,
            max_level: 7,
            channels: 256,
            norm: NormKind::Layer,
            box_fc: 1024,
            box_convs: 4,
            mask_convs: 4,
            anchor_scale: 3.0,
            anchor_ratios: vec![0.5, 1.0, 2.0],
            rpn_batch: 256,
            rpn_pre_nms: 2000,
            rpn_post_nms: 1000,
            rpn_nms: 0.7,
            rois: 512,
            roi_foreground: 0.25,
            mask_rois: 128,
        }
    }
}

/// Everything that shapes a model, but for the number of classes, which the data says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    pub backbone: BackboneConfig,
    pub inputs: InputsConfig,
    pub detector: DetectorConfig,
}

/// How many classes each task tells apart; detection has a background class besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classes {
    pub classification: usize,
    pub detection: usize,
}

/// Names of the backbones that have a preset, the paper's four first.
pub const BACKBONES: [&str; 6] = ["vit-small-star", "vit-small", "vit-base", "uvit-base", "vit-mini", "vit-micro"];

/// The preset of a backbone, or an error that lists the known names.
pub fn preset(backbone: &str) -> Result<ModelConfig, ModelError> {
    let trunk = |depth, width, heads, mlp| BackboneConfig { depth, width, heads, mlp, ..BackboneConfig::default() };
    let paper = |backbone| ModelConfig { backbone, ..ModelConfig::default() };
    let small = |backbone| {
        let input = InputConfig { image_size: 64, patch_size: 8, windows: 1 };
        ModelConfig {
            backbone,
            inputs: InputsConfig { classification: input.clone(), detection: input },
            detector: DetectorConfig {
                stages: 1,
                min_level: 2,
                max_level: 4,
                channels: 64,
                box_fc: 256,
                rpn_pre_nms: 500,
                rpn_post_nms: 100,
                rois: 64,
                mask_rois: 16,
                ..DetectorConfig::default()
            },
        }
    };
    Ok(match backbone {
        "vit-small-star" => paper(trunk(6, 384, 6, 1536)),
        "vit-small" => paper(trunk(12, 384, 6, 1536)),
        "vit-base" => paper(trunk(12, 768, 12, 3072)),
        "uvit-base" => {
            let mut uvit = paper(trunk(18, 384, 6, 1536));
            // The release has windows a task (`window_size_det`, `window_size_cls`); UViT's 2x2 are those of detection, and its
            // published cost at 224 px is that of attention over the whole image.
            uvit.inputs.detection.windows = 2;
            uvit
        }
        "vit-mini" => small(trunk(6, 192, 3, 768)),
        "vit-micro" => small(trunk(4, 96, 4, 384)),
        other => {
            return Err(ModelError::Unknown { what: "backbone", name: other.into(), known: BACKBONES.join(", ") });
        }
    })
}

impl InputsConfig {
    /// The input of one task.
    pub fn of(&self, task: Task) -> &InputConfig {
        match task {
            Task::Classification => &self.classification,
            Task::Detection => &self.detection,
        }
    }
}

/// Says which key has a value out of its range.
pub(crate) fn check(ok: bool, key: &str, value: impl ToString, range: impl ToString) -> Result<(), ModelError> {
    if ok {
        return Ok(());
    }
    Err(ModelError::Config { key: key.into(), value: value.to_string(), range: range.to_string() })
}

pub(crate) fn positive(key: &str, value: usize, most: usize) -> Result<(), ModelError> {
    check((1..=most).contains(&value), key, value, format!("a whole number from 1 to {most}"))
}

impl ModelConfig {
    /// Checks every value and every pair of values that must fit; the error names key, value and range.
    pub fn validate(&self) -> Result<(), ModelError> {
        self.validate_backbone()?;
        self.detector.validate(self.inputs.detection.patch_size)
    }

    /// As [`ModelConfig::validate`], for a backbone without a detector.
    pub fn validate_backbone(&self) -> Result<(), ModelError> {
        let b = &self.backbone;
        positive("model.backbone.depth", b.depth, 200)?;
        positive("model.backbone.width", b.width, 16_384)?;
        positive("model.backbone.heads", b.heads, 256)?;
        positive("model.backbone.mlp", b.mlp, 65_536)?;
        let divisor = format!("a divisor of width ({})", b.width);
        check(b.width.is_multiple_of(b.heads), "model.backbone.heads", b.heads, divisor)?;
        let rate = b.drop_path;
        check((0.0..1.0).contains(&rate), "model.backbone.drop_path", rate, "0 or more and less than 1")?;
        if let Some(moe) = &b.moe {
            moe.validate(b.depth)?;
        }
        if let Some(taps) = &b.taps {
            taps.validate()?;
        }
        check(
            self.inputs.classification.windows == 1 || b.pool == Pool::Mean,
            "model.backbone.pool",
            "token",
            "mean when model.inputs.classification.windows > 1 (a class token belongs to no window)",
        )?;
        for task in Task::ALL {
            let input = self.inputs.of(task);
            let key = |name: &str| format!("model.inputs.{task}.{name}");
            positive(&key("image_size"), input.image_size, 4096)?;
            positive(&key("patch_size"), input.patch_size, 256)?;
            positive(&key("windows"), input.windows, 64)?;
            let multiple = format!("a multiple of patch_size ({})", input.patch_size);
            let divides = input.image_size.is_multiple_of(input.patch_size);
            check(divides, &key("image_size"), input.image_size, multiple)?;
            let side = input.image_size / input.patch_size;
            let divisor = format!("a divisor of the {side} patches of a side");
            check(side.is_multiple_of(input.windows), &key("windows"), input.windows, divisor)?;
        }
        Ok(())
    }
}

impl DetectorConfig {
    fn validate(&self, patch: usize) -> Result<(), ModelError> {
        let key = |name: &str| format!("model.detector.{name}");
        check(
            patch.is_power_of_two(),
            "model.inputs.detection.patch_size",
            patch,
            "a power of two (the pyramid halves and doubles it)",
        )?;
        check((1..=3).contains(&self.stages), &key("stages"), self.stages, "1 to 3")?;
        let base = patch.trailing_zeros() as usize;
        let level = format!("{base}, the level of a patch of {patch} px");
        let finest = (1..=base).contains(&self.min_level);
        check(finest, &key("min_level"), self.min_level, format!("1 to {level}"))?;
        let coarsest = (base..=10).contains(&self.max_level);
        check(coarsest, &key("max_level"), self.max_level, format!("10 at the most and at least {level}"))?;
        for (name, value) in [
            ("channels", self.channels),
            ("box_fc", self.box_fc),
            ("rpn_batch", self.rpn_batch),
            ("rpn_pre_nms", self.rpn_pre_nms),
            ("rpn_post_nms", self.rpn_post_nms),
            ("rois", self.rois),
            ("mask_rois", self.mask_rois),
        ] {
            positive(&key(name), value, 100_000)?;
        }
        check(self.mask_rois <= self.rois, &key("mask_rois"), self.mask_rois, format!("at most rois ({})", self.rois))?;
        let scale = self.anchor_scale;
        check(scale > 0.0 && scale.is_finite(), &key("anchor_scale"), scale, "more than 0")?;
        let ratios = &self.anchor_ratios;
        let usable = !ratios.is_empty() && ratios.iter().all(|r| *r > 0.0 && r.is_finite());
        check(usable, &key("anchor_ratios"), format!("{ratios:?}"), "a list of one or more numbers over 0")?;
        check((0.0..=1.0).contains(&self.rpn_nms), &key("rpn_nms"), self.rpn_nms, "0 to 1")?;
        check((0.0..=1.0).contains(&self.roi_foreground), &key("roi_foreground"), self.roi_foreground, "0 to 1")
    }
}
