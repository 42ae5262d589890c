//! What a training or evaluation step receives: plain vectors in the layout of the tensors made from them.

/// Images and labels.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassificationBatch {
    /// `[B, 3, Y, X]`, normalised.
    pub images: Vec<f32>,
    /// `[B]`, from 0.
    pub labels: Vec<i64>,
    /// `[B]`, positions in the data set.
    pub indices: Vec<usize>,
    /// Weight of a sample's own label; the rest is the label of its partner B - 1 - i. 1 when nothing was mixed.
    pub lambda: f32,
    /// Y = X in pixels.
    pub image_size: usize,
}

/// Images, boxes and masks, padded to G ground truths an image.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectionBatch {
    /// `[B, 3, S, S]`, normalised; 0 where the canvas is padded.
    pub images: Vec<f32>,
    /// `[B, G, 4]`, `x1 y1 x2 y2` in canvas pixels; 0 where padded.
    pub boxes: Vec<f32>,
    /// `[B, G]`, from 0; -1 where padded.
    pub labels: Vec<i64>,
    /// `[B, G, M, M]`, 0 or 1: the instance's mask cropped to its box and resampled to M x M.
    pub masks: Vec<u8>,
    /// `[B]`, positions in the data set.
    pub indices: Vec<usize>,
    /// `[B]`, COCO image ids.
    pub image_ids: Vec<u64>,
    /// `[B]`, canvas pixels per original pixel.
    pub scales: Vec<f32>,
    /// `[B]`, original height and width.
    pub sizes: Vec<[u32; 2]>,
    /// S in pixels.
    pub image_size: usize,
    /// G.
    pub max_instances: usize,
    /// M.
    pub mask_size: usize,
}
