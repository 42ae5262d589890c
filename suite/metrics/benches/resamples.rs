//! AP of a resample of the images from stored matches, beside evaluating the resampled set anew with hotcoco. Both give the same
//! numbers, which is checked; the two take turns.
//!
//!     cargo bench --workspace --bench resamples

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use adamv_metrics::{ApResampler, CocoEvaluator, Detection, GroundTruth, Hotcoco, IouType, bootstrap, summarize};
use serde_json::{Value, json};

const IMAGES: usize = 750;
const CLASSES: u64 = 6;
const ROUNDS: usize = 5;
/// Calls timed together; one is too short.
const CALLS: u32 = 200;

/// SplitMix64, as fractions.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn class(&mut self) -> u64 {
        (CLASSES as f64 * self.unit()) as u64 + 1
    }

    fn place(&mut self) -> [f64; 4] {
        let (w, h) = (8.0 + 20.0 * self.unit(), 8.0 + 20.0 * self.unit());
        [(64.0 - w) * self.unit(), (64.0 - h) * self.unit(), w, h]
    }
}

/// An image's objects, and the detections of two models: category, box, score.
struct Image {
    objects: Vec<(u64, [f64; 4])>,
    found: [Vec<(u64, [f64; 4], f64)>; 2],
}

/// As many objects and detections as the suite `smoke` has: about 3.5 objects and 20 detections an image of 64 px.
fn images() -> Vec<Image> {
    let random = &mut Random(1);
    let image = |_| {
        let objects: Vec<_> =
            (0..1 + (6.0 * random.unit()) as usize).map(|_| (random.class(), random.place())).collect();
        let found = [0, 1].map(|_| {
            let mut found: Vec<_> = Vec::new();
            for (class, [x, y, w, h]) in &objects {
                let mut shift = |by: f64| by * 0.4 * (random.unit() - 0.5);
                let moved = [x + shift(*w), y + shift(*h), *w, *h];
                found.push((*class, moved, random.unit().sqrt()));
            }
            while found.len() < 20 {
                found.push((random.class(), random.place(), random.unit().powi(2)));
            }
            found
        });
        Image { objects, found }
    };
    (0..IMAGES).map(image).collect()
}

/// The images drawn, each under an id of its own: ground truth, and the detections of one model.
fn resampled(images: &[Image], drawn: &[usize], model: usize) -> (GroundTruth, Vec<Detection>) {
    let (mut annotations, mut detections) = (Vec::<Value>::new(), Vec::new());
    for (id, &image) in drawn.iter().enumerate() {
        for (class, bbox) in &images[image].objects {
            annotations.push(json!({
                "id": annotations.len() + 1, "image_id": id, "category_id": class, "bbox": bbox,
                "area": bbox[2] * bbox[3], "iscrowd": 0
            }));
        }
        detections.extend(images[image].found[model].iter().map(|(class, bbox, score)| Detection {
            image_id: id as u64,
            category_id: *class,
            bbox: Some(*bbox),
            score: *score,
            segmentation: None,
        }));
    }
    let listed: Vec<Value> = (0..drawn.len()).map(|id| json!({"id": id, "width": 64, "height": 64})).collect();
    let categories: Vec<Value> = (1..=CLASSES).map(|id| json!({"id": id, "name": id.to_string()})).collect();
    let text = json!({"images": listed, "annotations": annotations, "categories": categories}).to_string();
    let truth = GroundTruth::from_json(text.as_bytes(), Path::new("bench.json")).expect("the set is well formed");
    (truth, detections)
}

fn main() {
    let images = images();
    let all: Vec<usize> = (0..IMAGES).collect();
    let resamplers = [0, 1].map(|model| {
        let (truth, detections) = resampled(&images, &all, model);
        let (_, matches) = Hotcoco.evaluate_matches(&truth, &detections, IouType::Bbox).expect("it evaluates");
        ApResampler::new(&matches)
    });
    let mut random = Random(2);
    let mut ratios = Vec::new();
    println!("round   anew, ms  from matches, ms  ratio");
    for round in 1..=ROUNDS {
        let mut drawn: Vec<usize> = (0..IMAGES).map(|_| (IMAGES as f64 * random.unit()) as usize).collect();
        // Copies of an image lie together, as its weight has them.
        drawn.sort_unstable();
        let mut weights = vec![0u32; IMAGES];
        drawn.iter().for_each(|&image| weights[image] += 1);
        // Making the set isn't timed.
        let (truth, detections) = resampled(&images, &drawn, 0);
        let began = Instant::now();
        let anew = Hotcoco.evaluate(&truth, &detections, IouType::Bbox).expect("it evaluates");
        let slow = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let mut ours = 0.0;
        for _ in 0..CALLS {
            ours = resamplers[0].average_precision(black_box(&weights)).ap;
        }
        let fast = began.elapsed().as_secs_f64() / f64::from(CALLS);
        assert!((ours - anew.ap).abs() < 1e-9, "{ours} from matches, {} anew", anew.ap);
        ratios.push(slow / fast);
        println!("{round:<6}  {:>8.2}  {:>16.4}  {:>5.0}", 1e3 * slow, 1e3 * fast, slow / fast);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.0}", ratios[ROUNDS / 2]);
    let began = Instant::now();
    let differences = bootstrap(IMAGES, 10_000, 0, 1, |weights, out| {
        let [a, b] = [0, 1].map(|model| resamplers[model].average_precision(weights).ap);
        out[0] = a - b;
    });
    let took = began.elapsed().as_secs_f64();
    let summary = summarize(&differences[0]).expect("there are differences");
    let threads = rayon::current_num_threads();
    println!(
        "10,000 resamples of a pair on {threads} threads: {took:.2} s, standard error {:.4}",
        summary.standard_error
    );
}
