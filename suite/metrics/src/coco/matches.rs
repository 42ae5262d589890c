//! What COCO's matching found in each image: plain data. It may not touch hotcoco, boxes or masks.

use serde::{Deserialize, Serialize};

/// IoU thresholds 0.50:0.05:0.95; bit t of a mask is threshold 0.5 + 0.05 t.
pub const THRESHOLDS: usize = 10;

/// What COCO's matching found in each image, at area = all and 100 detections an image: enough for
/// AP of any resample of images, since matching never looks past one image.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Matches {
    /// Ids of the images evaluated, rising.
    pub images: Vec<u64>,
    /// Objects that count (no crowds, nothing ignored) of a category in an image; only where there
    /// are any. By category, then image, both rising.
    pub objects: Vec<ObjectCount>,
    /// By category (rising), then falling score; equal scores in the order of COCO's stable sort
    /// (images rising, then as matched).
    pub detections: Vec<MatchedDetection>,
}

/// How many objects of a category an image has.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ObjectCount {
    pub image_id: u64,
    pub category_id: u64,
    /// Objects that count: no crowds, nothing ignored.
    pub count: u32,
}

/// What became of one detection at the ten thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MatchedDetection {
    pub image_id: u64,
    pub category_id: u64,
    /// Confidence, finite; only the order counts.
    pub score: f64,
    /// Bit t: matched to an object or to a crowd at threshold t.
    pub matched: u16,
    /// Bit t: neither right nor wrong at threshold t, as what matched a crowd.
    pub ignored: u16,
}

impl MatchedDetection {
    /// Bit t: found an object that counts.
    pub(super) fn right(&self) -> u16 {
        self.matched & !self.ignored & ALL
    }

    /// Bit t: found nothing, and counts as wrong.
    pub(super) fn wrong(&self) -> u16 {
        !self.matched & !self.ignored & ALL
    }

    /// Whether COCO's sort leaves the two as they were, and a second copy of the image comes behind
    /// both: one category, image and score.
    pub(super) fn ties_with(&self, other: &Self) -> bool {
        self.category_id == other.category_id && self.image_id == other.image_id && self.score == other.score
    }
}

/// Every threshold.
const ALL: u16 = (1 << THRESHOLDS) - 1;
