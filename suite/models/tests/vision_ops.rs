//! Boxes, anchors, box code, suppression and RoIAlign against torchvision's numbers (`golden/make_vision_ops.py`), and
//! each fast path against a plain one.

use adamv_models::detection::nms::{by_fixpoint, by_loop};
use adamv_models::detection::roi_align::{Levels, Rows};
use adamv_models::detection::{anchors, boxes};
use proptest::prelude::*;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/vision_ops.json")).expect("the golden file is JSON")
}

/// A nested list of numbers as a f32 tensor.
fn tensor(value: &Value) -> Tensor {
    fn flatten(value: &Value, depth: usize, shape: &mut Vec<i64>, flat: &mut Vec<f32>) {
        match value {
            Value::Array(list) => {
                if shape.len() == depth {
                    shape.push(list.len() as i64);
                }
                list.iter().for_each(|v| flatten(v, depth + 1, shape, flat));
            }
            number => flat.push(number.as_f64().expect("a number") as f32),
        }
    }
    let (mut shape, mut flat) = (vec![], vec![]);
    flatten(value, 0, &mut shape, &mut flat);
    Tensor::from_slice(&flat).view(shape.as_slice())
}

#[track_caller]
fn assert_close(ours: &Tensor, theirs: &Tensor, within: f64) {
    assert_eq!(ours.size(), theirs.size());
    let most = (ours - theirs).abs().max().double_value(&[]);
    assert!(most <= within, "differs by {most}");
}

#[test]
fn iou_equals_torchvision() {
    let g = &golden()["box_iou"];
    let (a, b) = (tensor(&g["a"]), tensor(&g["b"]));
    assert_close(&boxes::iou(&a, &b), &tensor(&g["iou"]), 1e-6);
}

#[test]
fn anchors_equal_torchvision() {
    let g = &golden()["anchors"];
    let ratios: Vec<f64> = serde_json::from_value(g["ratios"].clone()).unwrap();
    let ours = Tensor::cat(&[anchors::level(8, 8, 24.0, &ratios), anchors::level(4, 16, 48.0, &ratios)], 0);
    assert_close(&ours, &tensor(&g["anchors"]), 0.0);
}

#[test]
fn box_code_equals_torchvision() {
    let g = &golden()["box_coder"];
    let weights: [f64; 4] = serde_json::from_value(g["weights"].clone()).unwrap();
    let (references, proposals) = (tensor(&g["references"]), tensor(&g["proposals"]));
    assert_close(&boxes::encode(&references, &proposals, weights), &tensor(&g["encoded"]), 1e-4);
    // One of the deltas is beyond the clamp, so these numbers are large.
    let (ours, theirs) = (boxes::decode(&tensor(&g["deltas"]), &proposals, weights), tensor(&g["decoded"]));
    assert_close(&(ours / &theirs), &theirs.ones_like(), 1e-4);
    let back = boxes::decode(&tensor(&g["encoded"]), &proposals, weights);
    assert_close(&back, &tensor(&g["decoded_encoded"]), 1e-3);
}

/// Sorts by score, suppresses, and names the survivors by their place in the input, best first.
fn kept(nms: fn(&Tensor, &Tensor, f64) -> Tensor, boxes: &Tensor, scores: &Tensor, threshold: f64) -> Vec<i64> {
    let order = scores.argsort(0, true);
    let sorted = boxes.index_select(0, &order).unsqueeze(0);
    let keep = nms(&sorted, &Tensor::ones([1, order.size()[0]], (Kind::Bool, Device::Cpu)), threshold);
    Vec::try_from(order.masked_select(&keep.get(0))).unwrap()
}

#[test]
fn suppression_equals_torchvision() {
    let g = &golden()["nms"];
    let (boxes, scores) = (tensor(&g["boxes"]), tensor(&g["scores"]));
    for (key, threshold) in [("keep_0.5", 0.5), ("keep_0.7", 0.7)] {
        let expected: Vec<i64> = serde_json::from_value(g[key].clone()).unwrap();
        assert_eq!(kept(by_loop, &boxes, &scores, threshold), expected, "loop, {key}");
        assert_eq!(kept(by_fixpoint, &boxes, &scores, threshold), expected, "fixpoint, {key}");
    }
}

#[test]
fn roi_align_and_its_gradient_equal_torchvision() {
    let g = &golden()["roi_align"];
    let features = tensor(&g["features"]).set_requires_grad(true);
    let (rois, pooled) = (tensor(&g["rois"]), tensor(&g["pooled"]));
    let image: Vec<i64> = Vec::try_from(rois.select(1, 0).to_kind(Kind::Int64)).unwrap();
    // Ours wants as many RoIs for each image: every RoI is asked for in both, and read where it belongs.
    let boxes = rois.narrow(1, 1, 4).unsqueeze(0).expand([2, -1, -1], false).contiguous();
    let all = Rows::new(&[features.shallow_clone()], &Levels::new(&[8], 3, Device::Cpu)).align(&boxes, 7);
    let count = image.len() as i64;
    let rows: Vec<i64> = image.iter().enumerate().map(|(i, image)| image * count + i as i64).collect();
    let ours = all.index_select(0, &Tensor::from_slice(&rows));
    assert_close(&ours.detach(), &pooled, 1e-5);
    (ours.square().sum(Kind::Float) * 0.5).backward();
    assert_close(&features.grad(), &tensor(&g["gradient"]), 1e-4);
}

#[test]
fn roi_align_reads_the_level_that_fits() {
    // Level l of image b holds the number 10 b + l, so the feature says which map was read.
    let map = |l: i64| {
        let image = Tensor::from_slice(&[l as f32, 10.0 + l as f32]).view([2, 1, 1, 1]);
        image.expand([2, 1, 64 >> l, 64 >> l], false).contiguous()
    };
    let (pyramid, levels) = ([map(2), map(3), map(4)], Levels::new(&[16, 8, 4], 2, Device::Cpu));
    let rows = Rows::new(&pyramid, &levels);
    // Sides in pixels and their level by floor(4 + log2(side / 224)), within 2..4.
    for (side, level) in [(20.0, 2.0), (55.9, 2.0), (56.0, 2.0), (111.9, 2.0), (112.0, 3.0), (223.9, 3.0), (224.0, 4.0)]
    {
        let roi = Tensor::from_slice(&[0f32, 0.0, side, side]).view([1, 1, 4]).expand([2, 1, 4], false);
        let read = rows.align(&roi, 7);
        for image in 0..2 {
            // The bin of the corner lies within the map; farther ones may reach over its border, where zeros are read.
            let (read, expected) = (read.double_value(&[image, 0, 0, 0]), 10.0 * image as f64 + level);
            assert!((read - expected).abs() < 1e-4, "a side of {side} px in image {image} read {read}");
        }
    }
}

#[test]
fn a_box_that_is_not_a_number_reads_no_row_that_is_not_there() {
    let levels = Levels::new(&[16, 8, 4], 2, Device::Cpu);
    let pyramid = [16, 8, 4].map(|side| Tensor::ones([1, 1, side, side], (Kind::Float, Device::Cpu)));
    let roi = Tensor::full([1, 1, 4], f64::NAN, (Kind::Float, Device::Cpu));
    // That it returns is the point; the NaN must show.
    assert!(Rows::new(&pyramid, &levels).align(&roi, 7).double_value(&[0, 0, 0, 0]).is_nan());
}

fn any_boxes(count: usize) -> impl Strategy<Value = Vec<f32>> {
    // Whole and half pixels: ties and touching boxes happen.
    let edge = || (0u8..40).prop_map(|v| f32::from(v) / 2.0);
    prop::collection::vec((edge(), edge(), edge(), edge()), count)
        .prop_map(|list| list.into_iter().flat_map(|(x, y, w, h)| [x, y, x + w, y + h]).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn both_suppressions_agree(flat in any_boxes(24), real in prop::collection::vec(any::<bool>(), 24), threshold in 0.05f64..0.95) {
        let (boxes, real) = (Tensor::from_slice(&flat).view([2, 12, 4]), Tensor::from_slice(&real).view([2, 12]));
        prop_assert_eq!(by_loop(&boxes, &real, threshold), by_fixpoint(&boxes, &real, threshold));
    }

    #[test]
    fn suppression_keeps_no_covered_box_and_drops_no_other(flat in any_boxes(16), threshold in 0.05f64..0.95) {
        let boxes = Tensor::from_slice(&flat).view([1, 16, 4]);
        let real = Tensor::ones([1, 16], (Kind::Bool, Device::Cpu));
        let keep = by_loop(&boxes, &real, threshold);
        let iou = boxes::iou(&boxes, &boxes);
        for j in 0..16 {
            let covered = (0..j).any(|i| keep.int64_value(&[0, i]) == 1 && iou.double_value(&[0, i, j]) > threshold as f32 as f64);
            prop_assert_eq!(keep.int64_value(&[0, j]) == 0, covered, "box {}", j);
        }
    }

    #[test]
    fn roi_align_equals_a_plain_loop(flat in any_boxes(6), shift in -8f32..8.0) {
        let boxes = Tensor::from_slice(&flat).view([2, 3, 4]) + f64::from(shift);
        tch::manual_seed(1);
        let map = Tensor::rand([2, 2, 5, 5], (Kind::Float, Device::Cpu));
        let ours = Rows::new(&[map.shallow_clone()], &Levels::new(&[5], 2, Device::Cpu)).align(&boxes, 3);
        for b in 0..2 {
            for p in 0..3 {
                let edge = |i| boxes.double_value(&[b, p, i]) / 4.0 - 0.5;
                for c in 0..2 {
                    for y in 0..3 {
                        for x in 0..3 {
                            let expected = plain_bin(&map.get(b).get(c), [edge(0), edge(1), edge(2), edge(3)], y, x);
                            let found = ours.double_value(&[b * 3 + p, c, y, x]);
                            prop_assert!((expected - found).abs() < 1e-4, "{} {}", expected, found);
                        }
                    }
                }
            }
        }
    }
}

/// One bin of 3x3 over a 5x5 map, as torchvision's CPU kernel computes it, sample by sample.
fn plain_bin(map: &Tensor, [x1, y1, x2, y2]: [f64; 4], row: i64, column: i64) -> f64 {
    let at = |low: f64, high: f64, bin: i64, sample: i64| {
        low + (high - low) / 3.0 * (bin as f64 + (sample as f64 + 0.5) / 2.0)
    };
    let blend = |v: f64| {
        let v = v.max(0.0);
        let low = (v as i64).min(4);
        if low == 4 { (4, 4, 0.0) } else { (low, low + 1, v - low as f64) }
    };
    let mut sum = 0.0;
    for i in 0..2 {
        for j in 0..2 {
            let (y, x) = (at(y1, y2, row, i), at(x1, x2, column, j));
            if !(-1.0..=5.0).contains(&y) || !(-1.0..=5.0).contains(&x) {
                continue;
            }
            let ((yl, yh, dy), (xl, xh, dx)) = (blend(y), blend(x));
            let cell = |y: i64, x: i64| map.double_value(&[y, x]);
            sum += (1.0 - dy) * ((1.0 - dx) * cell(yl, xl) + dx * cell(yl, xh));
            sum += dy * ((1.0 - dx) * cell(yh, xl) + dx * cell(yh, xh));
        }
    }
    sum / 4.0
}
