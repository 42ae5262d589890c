//! AP of resamples against pycocotools on the resampled sets themselves (`golden/make_resampled_ap.py`)
//! and against a plain reference.

use std::path::Path;

use adamv_metrics::coco::read::detections_from_json;
use adamv_metrics::{
    ApResampler, AveragePrecision, CocoEvaluator, Detection, GroundTruth, Hotcoco, IouType, MatchedDetection, Matches,
    ObjectCount, THRESHOLDS,
};
use proptest::prelude::*;
use serde_json::Value;

fn ground_truth(case: &Value) -> GroundTruth {
    GroundTruth::from_json(case["gt"].to_string().as_bytes(), Path::new("gt.json")).unwrap()
}

fn detections(case: &Value, key: &str, gt: &GroundTruth, iou: IouType) -> Vec<Detection> {
    if case[key].as_array().unwrap().is_empty() {
        return Vec::new();
    }
    detections_from_json(case[key].to_string().as_bytes(), Path::new("dt.json"), gt, iou).unwrap()
}

fn numbers(precision: AveragePrecision) -> [f64; 3] {
    [precision.ap, precision.ap50, precision.ap75]
}

fn assert_close(got: AveragePrecision, want: [f64; 3], bound: f64, what: &str) {
    for (got, want) in numbers(got).into_iter().zip(want) {
        assert!((got - want).abs() <= bound, "{what}: {got} instead of {want}");
    }
}

#[test]
fn equal_to_pycocotools_on_resampled_sets() {
    let golden: Value = serde_json::from_str(include_str!("golden/resampled_ap.json")).unwrap();
    let gt = ground_truth(&golden);
    for iou in [IouType::Bbox, IouType::Segm] {
        let (_, matches) = Hotcoco.evaluate_matches(&gt, &detections(&golden, "dt", &gt, iou), iou).unwrap();
        let all = ApResampler::new(&matches);
        let resamples = golden["resamples"].as_array().unwrap();
        assert_eq!(resamples.len(), 50);
        for (at, resample) in resamples.iter().enumerate() {
            let mut weights = vec![0; matches.images.len()];
            for image in resample["drawn"].as_array().unwrap() {
                weights[image.as_u64().unwrap() as usize] += 1;
            }
            let want: [f64; 3] = serde_json::from_value(resample[iou.to_string()].clone()).unwrap();
            assert_close(all.average_precision(&weights), want, 1e-9, &format!("{iou}, resample {at}"));
            let got = all.by_category(&weights);
            let want = resample["categories"][iou.to_string()].as_object().unwrap();
            assert_eq!(got.len(), want.len(), "{iou}, resample {at}");
            assert!(got.is_sorted_by_key(|(category, _)| *category));
            for (category, got) in got {
                let want: [f64; 3] = serde_json::from_value(want[&category.to_string()].clone()).unwrap();
                assert_close(got, want, 1e-9, &format!("{iou}, resample {at}, category {category}"));
            }
        }
    }
}

#[test]
fn weights_of_one_give_the_evaluations_own_numbers() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("golden/coco_stats.json")).unwrap();
    for case in &cases {
        let gt = ground_truth(case);
        for kind in case["stats"].as_object().unwrap().keys() {
            let iou: IouType = kind.parse().unwrap();
            let detections = detections(case, "dt", &gt, iou);
            let (stats, matches) = Hotcoco.evaluate_matches(&gt, &detections, iou).unwrap();
            assert_eq!(stats, Hotcoco.evaluate(&gt, &detections, iou).unwrap());
            assert_eq!(matches.images, gt.image_ids());
            let got = ApResampler::new(&matches).average_precision(&vec![1; matches.images.len()]);
            assert_close(got, [stats.ap, stats.ap50, stats.ap75], 1e-12, case["name"].as_str().unwrap());
        }
    }
}

#[test]
fn matches_are_in_the_documented_order() {
    let golden: Value = serde_json::from_str(include_str!("golden/resampled_ap.json")).unwrap();
    let gt = ground_truth(&golden);
    let found = detections(&golden, "dt", &gt, IouType::Bbox);
    let (_, matches) = Hotcoco.evaluate_matches(&gt, &found, IouType::Bbox).unwrap();
    assert_eq!(matches.detections.len(), found.len());
    assert!(matches.images.is_sorted());
    assert!(matches.objects.is_sorted_by_key(|object| (object.category_id, object.image_id)));
    assert!(matches.detections.is_sorted_by(|one, next| {
        (one.category_id, -one.score, one.image_id) <= (next.category_id, -next.score, next.image_id)
    }));
    let annotations = golden["gt"]["annotations"].as_array().unwrap();
    let counted: u32 = matches.objects.iter().map(|object| object.count).sum();
    assert_eq!(counted as usize, annotations.iter().filter(|one| one["iscrowd"] == 0).count());
    // The set has what the comparison above is to cover.
    assert!((counted as usize) < annotations.len(), "crowds");
    assert!(matches.detections.iter().any(|one| one.ignored != 0), "detections of crowds");
    let ties = |one: &MatchedDetection, next: &MatchedDetection| {
        (one.category_id, one.image_id) == (next.category_id, next.image_id)
            && one.score == next.score
            && one.matched != next.matched
    };
    assert!(matches.detections.windows(2).filter(|pair| ties(&pair[0], &pair[1])).count() > 5, "ties within an image");
}

/// As pycocotools does it, detection by detection, on the resample written out.
fn plain_average_precision(matches: &Matches, weights: &[u32]) -> [f64; 3] {
    let mut categories: Vec<u64> = matches.objects.iter().map(|object| object.category_id).collect();
    categories.sort_unstable();
    categories.dedup();
    let (mut per_threshold, mut counted) = ([0.0; THRESHOLDS], 0.0);
    for category in categories {
        let (mut objects, mut found) = (0, Vec::<&MatchedDetection>::new());
        for (&image, &weight) in matches.images.iter().zip(weights) {
            for _ in 0..weight {
                let in_image = |category_id, image_id| category_id == category && image_id == image;
                let of_image = matches.objects.iter().filter(|one| in_image(one.category_id, one.image_id));
                objects += of_image.map(|one| one.count).sum::<u32>();
                found.extend(matches.detections.iter().filter(|one| in_image(one.category_id, one.image_id)));
            }
        }
        if objects == 0 {
            continue;
        }
        counted += 1.0;
        found.sort_by(|one, other| other.score.total_cmp(&one.score));
        for (threshold, sum) in per_threshold.iter_mut().enumerate() {
            let has = |mask: u16| mask >> threshold & 1 == 1;
            let (mut right, mut wrong) = (0.0, 0.0);
            let (mut recalls, mut precisions) = (Vec::new(), Vec::new());
            for one in &found {
                if !has(one.ignored) {
                    *if has(one.matched) { &mut right } else { &mut wrong } += 1.0;
                }
                recalls.push(right / f64::from(objects));
                precisions.push(right / (wrong + right + f64::EPSILON));
            }
            for at in (1..precisions.len()).rev() {
                precisions[at - 1] = f64::max(precisions[at - 1], precisions[at]);
            }
            let at_recall = |recall: f64| {
                let first = recalls.iter().position(|&reached| reached >= recall);
                first.map_or(0.0, |at| precisions[at])
            };
            *sum +=
                (0..=100).map(|at| at_recall(if at == 100 { 1.0 } else { f64::from(at) * 0.01 })).sum::<f64>() / 101.0;
        }
    }
    if counted == 0.0 {
        return [-1.0; 3];
    }
    [per_threshold.iter().sum::<f64>() / 10.0, per_threshold[0], per_threshold[5]].map(|sum| sum / counted)
}

/// A mask as matching makes it (right up to some threshold), or any.
fn mask() -> impl Strategy<Value = u16> {
    prop_oneof![3 => Just(0), 3 => (0u16..=10).prop_map(|bits| (1 << bits) - 1), 1 => 0u16..1024]
}

/// Any matches, and weights of their images.
fn matches_and_weights() -> impl Strategy<Value = (Matches, Vec<u32>)> {
    (1usize..8).prop_flat_map(|images| {
        let image = 0..images as u64;
        let object = (image.clone(), 1u64..4, prop_oneof![1u32..4, 1u32..90]);
        let ignored = prop_oneof![4 => Just(0), 1 => mask()];
        let detection = (image, 1u64..4, 0u32..12, mask(), ignored);
        let detections = proptest::collection::vec(detection, 0..70);
        let weights = proptest::collection::vec(0u32..4, images);
        (proptest::collection::vec(object, 0..12), detections, weights).prop_map(
            move |(objects, detections, weights)| {
                let id = |image: u64| 7 + 3 * image;
                let mut detections: Vec<_> = detections
                    .into_iter()
                    .map(|(image, category_id, score, matched, ignored)| {
                        let score = f64::from(score) / 10.0 - 0.3;
                        MatchedDetection { image_id: id(image), category_id, score, matched, ignored }
                    })
                    .collect();
                detections.sort_by(|one, other| {
                    let (category, image) =
                        (one.category_id.cmp(&other.category_id), one.image_id.cmp(&other.image_id));
                    category.then(other.score.total_cmp(&one.score)).then(image)
                });
                let objects = objects
                    .into_iter()
                    .map(|(image, category_id, count)| ObjectCount { image_id: id(image), category_id, count })
                    .collect();
                (Matches { images: (0..images as u64).map(id).collect(), objects, detections }, weights)
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn equals_the_plain_reference((matches, weights) in matches_and_weights()) {
        let got = ApResampler::new(&matches).average_precision(&weights);
        assert_close(got, plain_average_precision(&matches, &weights), 1e-12, "plain");
    }
}

#[test]
fn nothing_to_find_is_minus_one() {
    let nothing = AveragePrecision { ap: -1.0, ap50: -1.0, ap75: -1.0 };
    let object = ObjectCount { image_id: 1, category_id: 1, count: 1 };
    let detection = MatchedDetection { image_id: 1, category_id: 1, score: 0.5, matched: 1023, ignored: 0 };
    let matches = Matches { images: vec![1, 2], objects: vec![object], detections: vec![detection] };
    let resampler = ApResampler::new(&matches);
    assert_eq!(resampler.average_precision(&[0, 2]), nothing);
    assert_eq!(resampler.by_category(&[0, 2]), []);
    // Images beyond the list of weights are not drawn.
    assert_eq!(resampler.average_precision(&[]), nothing);
    assert_close(resampler.average_precision(&[3]), [1.0; 3], 1e-12, "found");
    assert_eq!(ApResampler::new(&Matches::default()).average_precision(&[1]), nothing);
}
