//! What COCO's matching found in each image: enough for AP of any resample of the images. Plain data; it may not touch masks,
//! boxes or files.

use hotcoco::{COCOeval, EvalImg};

/// IoU thresholds 0.50:0.05:0.95; bit t of a mask of bits is threshold 0.5 + 0.05 t.
pub const THRESHOLDS: usize = 10;

/// Matches at area = all and at most 100 detections an image and category.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Matches {
    /// Ids of the images evaluated, rising.
    pub images: Vec<u64>,
    /// By image and category, where there are any.
    pub objects: Vec<ObjectCount>,
    /// By category, then falling score; equal scores in the order of COCO's stable sort: images rising, then as matched.
    pub detections: Vec<MatchedDetection>,
}

/// Objects that count (no crowd, nothing ignored) of a category in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectCount {
    pub image_id: u64,
    pub category_id: u64,
    pub count: u32,
}

/// A detection, and what it found at each threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MatchedDetection {
    pub image_id: u64,
    pub category_id: u64,
    pub score: f64,
    /// It found an object.
    pub matched: u16,
    /// It counts neither as right nor as wrong: what it found was a crowd.
    pub ignored: u16,
}

impl Matches {
    /// The matches of an evaluation that has run, over `images` (rising).
    pub(super) fn of(eval: &COCOeval, images: &[u64]) -> Self {
        // The first range is "all"; the widest number of detections is the one that AP is made of.
        let all = eval.params.area_ranges.first().map(|area| area.range);
        let cells = eval.eval_imgs().iter().flatten().filter(|cell| Some(cell.area_rng) == all);
        let mut cells: Vec<&EvalImg> = cells.collect();
        cells.sort_by_key(|cell| (cell.category_id, cell.image_id));
        let mut found = Self { images: images.to_vec(), ..Self::default() };
        for cell in cells {
            let count = cell.num_gt_in_denominator() as u32;
            if count > 0 {
                found.objects.push(ObjectCount { image_id: cell.image_id, category_id: cell.category_id, count });
            }
            for (d, &score) in cell.dt_scores.iter().enumerate() {
                let bits = |of: &dyn Fn(usize) -> bool| (0..THRESHOLDS).fold(0, |bits, t| bits | u16::from(of(t)) << t);
                let ignored = bits(&|t| cell.dt_ignore[(t, d)]);
                found.detections.push(MatchedDetection {
                    image_id: cell.image_id,
                    category_id: cell.category_id,
                    score,
                    matched: bits(&|t| cell.dt_matched[(t, d)]) & !ignored,
                    ignored,
                });
            }
        }
        // Stable, as COCO's mergesort: equal scores stay in the order of images.
        found.detections.sort_by(|a, b| a.category_id.cmp(&b.category_id).then(b.score.total_cmp(&a.score)));
        found.objects.sort_by_key(|objects| (objects.image_id, objects.category_id));
        found
    }
}
