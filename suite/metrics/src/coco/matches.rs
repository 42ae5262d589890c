//! What COCO's matching found in each image: plain data, and what of it AP needs. It may not touch
//! hotcoco, boxes or masks.

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

impl Matches {
    /// The same without the detections that no AP depends on, whatever the resample; often a small
    /// part of the list.
    ///
    /// Dropped are
    /// - those ignored at every threshold: they are neither right nor wrong;
    /// - in each category, those behind the last that finds an object at any threshold. AP reads
    ///   precision only where a recall is reached first, which is at a right detection, and takes
    ///   the best from there on. Behind the last right one precision only falls, so what follows is
    ///   read nowhere. A resample removes and repeats detections but keeps their order. Only in one
    ///   place does a repeat put a detection ahead of one that preceded it: of detections of one
    ///   image with the same score, all come once for each copy of the image. So those that tie
    ///   with the last right one stay.
    #[must_use]
    pub fn only_what_counts(mut self) -> Self {
        let mut keep = vec![false; self.detections.len()];
        // From the end: the last right detection of the category at hand, if passed already.
        let mut last_right: Option<MatchedDetection> = None;
        // Where the run of ties at hand ends, and whether it holds a right detection.
        let mut end = self.detections.len();
        while end > 0 {
            let last = self.detections[end - 1];
            let start = self.detections[..end].iter().rposition(|one| !one.ties_with(&last)).map_or(0, |at| at + 1);
            if last_right.is_some_and(|right| right.category_id != last.category_id) {
                last_right = None;
            }
            let run = &self.detections[start..end];
            last_right = last_right.or_else(|| run.iter().rfind(|one| one.right() != 0).copied());
            if last_right.is_some() {
                for (keep, one) in keep[start..end].iter_mut().zip(run) {
                    *keep = one.right() | one.wrong() != 0;
                }
            }
            end = start;
        }
        let mut keep = keep.into_iter();
        self.detections.retain(|_| keep.next().unwrap_or(true));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detection(image_id: u64, category_id: u64, score: f64, matched: u16, ignored: u16) -> MatchedDetection {
        MatchedDetection { image_id, category_id, score, matched, ignored }
    }

    #[test]
    fn drops_the_tail_of_each_category_and_what_is_ignored_everywhere() {
        let detections = vec![
            detection(1, 1, 0.9, 0, 0),
            detection(2, 1, 0.8, ALL, ALL),
            detection(2, 1, 0.7, 1, 0),
            detection(1, 1, 0.6, ALL, ALL),
            detection(1, 1, 0.5, 0, 0),
            detection(1, 2, 0.9, 0, 0),
            detection(3, 3, 0.4, 3, 1),
            detection(3, 3, 0.3, 0, 0),
        ];
        let kept = Matches { images: vec![1, 2, 3], objects: vec![], detections: detections.clone() };
        let kept = kept.only_what_counts().detections;
        assert_eq!(kept, [detections[0], detections[2], detections[6]]);
    }

    #[test]
    fn keeps_what_ties_with_the_last_right_one() {
        // A second copy of image 1 puts its right detection behind the first copy's wrong one.
        let detections = vec![
            detection(1, 1, 0.5, 1, 0),
            detection(1, 1, 0.5, 0, 0),
            detection(2, 1, 0.5, 0, 0),
            detection(1, 1, 0.4, 0, 0),
        ];
        let kept = Matches { images: vec![1, 2], objects: vec![], detections: detections.clone() };
        assert_eq!(kept.only_what_counts().detections, detections[..2]);
    }
}
