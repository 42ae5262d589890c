//! Stores drawn at random, with a skill that is known. No test lives here.
#![allow(dead_code, reason = "each test file is a program of its own and uses a part of this")]

use adamv_reports::compare::{Source, SourceCell};
use adamv_store::{
    CellId, CellState, ClassificationPrediction, DetectionMatches, Gates, History, MatchedDetection, ObjectCount,
    Probes,
};

use crate::fixture::done;

pub const SKILL: f64 = 0.43;

/// SplitMix64: random enough for data, and the same everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Classes of `images` images. An image is as hard for every system: 60% are easy (0.98 right), 15% hard (0.05), and on the
/// others skill decides: 0.43 is an accuracy of 0.703, 0.08 more are two points more.
pub fn classes(images: usize, skill: f64, random: &mut Random) -> Vec<ClassificationPrediction> {
    let mut difficulty = Random(7);
    let class = |image: usize, right: bool| ClassificationPrediction {
        image: format!("{}/{image}.png", image % 10),
        label: (image % 10) as u32,
        best: vec![((image % 10 + usize::from(!right)) as u32, 0.5)],
    };
    (0..images)
        .map(|image| {
            let chance = match difficulty.unit() {
                hard if hard < 0.15 => 0.05,
                middle if middle < 0.4 => skill,
                _ => 0.98,
            };
            class(image, random.unit() < chance)
        })
        .collect()
}

/// Detections of `images` images with three objects each, of three categories: a share of the objects is found, at more or fewer
/// thresholds, and as many boxes are wrong.
pub fn matches(images: u64, skill: f64, random: &mut Random) -> DetectionMatches {
    let mut found = DetectionMatches { images: (1..=images).collect(), ..DetectionMatches::default() };
    for image in 1..=images {
        for category in 1..=3 {
            found.objects.push(ObjectCount { image, category, count: 1 });
            let (hit, tightness, score) = (random.unit() < skill, random.unit(), random.unit());
            let bits = |loose: f64| if hit { (1u16 << (1.0 + 9.0 * tightness * loose) as u16) - 1 } else { 0 };
            let score = if hit { score.sqrt() } else { score } as f32;
            let (bbox_matched, segm_matched) = (bits(1.0), bits(0.8));
            let detection = MatchedDetection {
                image,
                category,
                score,
                bbox_matched,
                segm_matched,
                bbox_ignored: 0,
                segm_ignored: 0,
            };
            found.detections.push(detection);
        }
    }
    found.detections.sort_by(|a, b| a.category.cmp(&b.category).then(b.score.total_cmp(&a.score)));
    found
}

pub fn cell(
    id: CellId,
    classification: Vec<ClassificationPrediction>,
    matches: Option<DetectionMatches>,
) -> SourceCell {
    let record = done(id.clone(), 0.7, 0.2, 0.1);
    // The same for all: whoever is compared was trained to the same bits, unless a test says otherwise.
    let mut history = History::default();
    history.push(10, "joint", "", "gradient_norm", 1.5);
    SourceCell {
        id,
        state: CellState::Done,
        record: Some(record),
        classification,
        matches,
        history,
        probes: Probes::default(),
    }
}

pub fn source(name: &str, cells: Vec<SourceCell>) -> Source {
    Source { name: name.to_owned(), gates: Gates::default(), cells }
}
