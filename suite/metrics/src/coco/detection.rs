//! One detection, and what it is compared by. Plain data; it may not touch files or checks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::mask::RleString;

/// What overlap is measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IouType {
    /// Boxes: AP of object detection.
    Bbox,
    /// Masks: AP of instance segmentation.
    Segm,
}

impl fmt::Display for IouType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IouType::Bbox => "bbox",
            IouType::Segm => "segm",
        })
    }
}

impl FromStr for IouType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "bbox" => Ok(IouType::Bbox),
            "segm" => Ok(IouType::Segm),
            other => Err(format!("unknown IoU type `{other}`; it is `bbox` or `segm`")),
        }
    }
}

/// One entry of a COCO results file; serialises to exactly that.
///
/// A box, a mask, or both. As in the COCO API, whether the *first* detection of a list has a box
/// decides what size a detection counts as in the small, medium and large ranges: the area of its
/// box where it has one, else the number of its mask's pixels. So leave the box out of a list made
/// for [`IouType::Segm`] to have masks counted by their own size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// The image, as the ground truth numbers it.
    pub image_id: u64,
    /// The category, as the ground truth numbers it (COCO's numbers have gaps).
    pub category_id: u64,
    /// `[x, y, width, height]` in pixels of the image; x and y of the upper left corner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bbox: Option<[f64; 4]>,
    /// Confidence; any finite number, only the order counts.
    pub score: f64,
    /// The mask, of its image's size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segmentation: Option<RleString>,
}
