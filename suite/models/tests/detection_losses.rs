//! What detection is trained on against numbers from the formulas (`golden/make_detection_losses.py`): which anchors and
//! RoIs are foreground, background or ignored, what is drawn of them, the cascade's moves, the masks' targets, and every loss
//! with its gradient.

use adamv_models::config::{DetectorConfig, InputConfig};
use adamv_models::detection::roi_align::{Levels, Rows};
use adamv_models::detection::roi_head::{self, RoiHead, Rois};
use adamv_models::detection::rpn::{self, Proposals, Rpn, RpnOutput};
use adamv_models::detection::sampling::{Candidates, Sample, balanced};
use adamv_models::detection::{Targets, mask_head};
use adamv_models::params::Params;
use adamv_models::vit::Mode;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

const SIZE: usize = 64;

fn golden(part: &str) -> Value {
    let all: Value =
        serde_json::from_str(include_str!("golden/detection_losses.json")).expect("the golden file is JSON");
    all[part].clone()
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

fn integers(value: &Value) -> Tensor {
    tensor(value).to_kind(Kind::Int64)
}

fn flags(value: &Value) -> Tensor {
    tensor(value).to_kind(Kind::Bool)
}

/// Zeros of this shape but for the values at `[place, value]`.
fn sparse(value: &Value, shape: &[i64]) -> Tensor {
    let mut flat = vec![0f32; shape.iter().product::<i64>() as usize];
    for pair in value.as_array().unwrap() {
        flat[pair[0].as_u64().unwrap() as usize] = pair[1].as_f64().unwrap() as f32;
    }
    Tensor::from_slice(&flat).view(shape)
}

/// Ground truth without masks.
fn targets(part: &Value) -> Targets {
    let (boxes, labels) = (tensor(&part["boxes"]), integers(&part["labels"]));
    let (b, g) = labels.size2().unwrap();
    Targets { boxes, labels, masks: Tensor::zeros([b, g, 4, 4], (Kind::Uint8, Device::Cpu)) }
}

/// What of each image is foreground (F), background (B) or neither (-), a letter a box.
fn letters(found: &Candidates) -> Vec<String> {
    let row = |t: &Tensor, i: i64| Vec::<bool>::try_from(t.get(i)).unwrap();
    (0..found.foreground.size()[0])
        .map(|i| {
            let both = row(&found.foreground, i).into_iter().zip(row(&found.background, i));
            both.map(|pair| match pair {
                (true, false) => 'F',
                (false, true) => 'B',
                (false, false) => '-',
                (true, true) => '!',
            })
            .collect()
        })
        .collect()
}

fn strings(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).unwrap()
}

#[track_caller]
fn assert_number(ours: &Tensor, theirs: &Value) {
    let (ours, theirs) = (ours.double_value(&[]), theirs.as_f64().unwrap());
    assert!((ours - theirs).abs() <= 2e-6 * theirs.abs().max(1e-3), "{ours} is not {theirs}");
}

#[track_caller]
fn assert_close(ours: &Tensor, theirs: &Tensor, within: f64) {
    assert_eq!(ours.size(), theirs.size());
    let most = (ours - theirs).abs().max().double_value(&[]);
    assert!(most <= within, "differs by {most}");
}

/// The loss of `x` and its gradient.
fn differentiated(x: &Tensor, loss: impl Fn(&Tensor) -> Tensor) -> (Tensor, Tensor) {
    let x = x.copy().set_requires_grad(true);
    let loss = loss(&x);
    loss.backward();
    (loss.detach(), x.grad())
}

fn rows(t: &Tensor, images: &[i64]) -> Tensor {
    t.index_select(0, &Tensor::from_slice(images))
}

// ---------------------------------------------------------------- the RPN

#[test]
fn anchors_are_foreground_background_or_ignored() {
    let g = golden("rpn");
    let found = rpn::label_anchors(&tensor(&g["anchors"]), &targets(&g));
    assert_eq!(letters(&found), strings(&g["sets"]));
    // Whose they are matters for the foreground alone.
    let whose = |t: &Tensor| t.masked_select(&found.foreground);
    assert_eq!(whose(&found.truth), whose(&integers(&g["truth"])));
}

#[test]
fn the_objectness_loss_is_the_mean_over_the_sample() {
    let g = golden("rpn");
    let s = &g["sample"];
    let sample = Sample { index: integers(&s["index"]), foreground: flags(&s["foreground"]), real: flags(&s["real"]) };
    let objectness = tensor(&g["objectness"]);
    let (loss, gradient) = differentiated(&objectness, |x| rpn::objectness_loss(x, &sample));
    assert_number(&loss, &g["objectness_loss"]);
    assert_close(&gradient, &sparse(&g["objectness_gradient"], &objectness.size()), 1e-7);
}

#[test]
fn the_rpns_box_loss_is_the_sum_of_the_levels_means() {
    let g = golden("rpn");
    let (anchors, all, code) = (tensor(&g["anchors"]), targets(&g), tensor(&g["code"]));
    let per_level: Vec<i64> = serde_json::from_value(g["per_level"].clone()).unwrap();
    for case in g["box_loss"].as_array().unwrap() {
        let images: Vec<i64> = serde_json::from_value(case["images"].clone()).unwrap();
        let of = |t: &Tensor| rows(t, &images);
        let some = Targets { boxes: of(&all.boxes), labels: of(&all.labels), masks: of(&all.masks) };
        let labels = rpn::label_anchors(&anchors, &some);
        let loss_of = |x: &Tensor| rpn::box_loss(x, &anchors, &per_level, &labels, &some);
        let (loss, gradient) = differentiated(&of(&code), loss_of);
        assert_number(&loss, &case["loss"]);
        if images.len() > 1 {
            assert_close(&gradient, &sparse(&case["gradient"], &code.size()), 1e-7);
        }
    }
}

#[test]
fn the_rpn_puts_its_losses_together() {
    let g = golden("rpn");
    // Levels of 8, 4 and 2 cells; a batch of every anchor, so that nothing is left to chance.
    let config = DetectorConfig {
        max_level: 5,
        channels: 4,
        anchor_scale: 2.0,
        rpn_batch: 2 * 252,
        ..DetectorConfig::default()
    };
    let input = InputConfig { image_size: SIZE, patch_size: 8, windows: 1 };
    let mut params = Params::new(0, Device::Cpu);
    let rpn = Rpn::new(params.root(), &input, &[8, 4, 2], &config, Device::Cpu);
    let output = RpnOutput { objectness: tensor(&g["objectness"]), code: tensor(&g["code"]) };
    let (objectness, code) = rpn.losses(&output, &targets(&g));
    assert_number(&objectness, &g["objectness_loss_of_all"]);
    assert_number(&code, &g["box_loss"][0]["loss"]);
}

// ---------------------------------------------------------------- sampling

/// `[B,N]` of which the boxes of `range` are set.
fn range(images: i64, boxes: i64, range: std::ops::Range<i64>) -> Tensor {
    let place = Tensor::arange(boxes, (Kind::Int64, Device::Cpu));
    place.ge(range.start).logical_and(&place.lt(range.end)).unsqueeze(0).expand([images, boxes], false).contiguous()
}

#[test]
fn as_many_are_drawn_as_torchvision_draws() {
    let g = golden("sampling");
    let lists = |v: &Value| -> Vec<Vec<i64>> { serde_json::from_value(v.clone()).unwrap() };
    let images = 50;
    for (case, drawn) in lists(&g["cases"]).into_iter().zip(lists(&g["drawn"])) {
        let [fg, bg, ignored, most, most_foreground] = case[..] else { panic!("{case:?}") };
        let boxes = fg + bg + ignored;
        // Foreground lies behind background, and what is ignored between them.
        let (foreground, background) = (range(images, boxes, bg + ignored..boxes), range(images, boxes, 0..bg));
        let sample = balanced(&foreground, &background, most as usize, most_foreground as usize);
        assert_eq!(sample.index.size(), [images, most.min(boxes)], "{case:?}");
        for i in 0..images {
            let index: Vec<i64> = Vec::try_from(sample.index.get(i)).unwrap();
            let flags = |t: &Tensor| Vec::<bool>::try_from(t.get(i)).unwrap();
            let (is_foreground, real) = (flags(&sample.foreground), flags(&sample.real));
            let count = |flags: &[bool]| flags.iter().filter(|&&f| f).count() as i64;
            assert_eq!([count(&is_foreground), count(&real) - count(&is_foreground)], drawn[..], "{case:?}");
            // Foreground first, then background, then what isn't filled; nothing twice, nothing from elsewhere.
            let (first, last) = (drawn[0] as usize, (drawn[0] + drawn[1]) as usize);
            assert!(is_foreground[..first].iter().all(|&f| f) && real[..last].iter().all(|&r| r), "{case:?}");
            assert!(index[..first].iter().all(|&i| i >= bg + ignored), "{case:?}: {index:?}");
            assert!(index[first..last].iter().all(|&i| i < bg), "{case:?}: {index:?}");
            let different: std::collections::BTreeSet<i64> = index[..last].iter().copied().collect();
            assert_eq!(different.len(), last, "{case:?}: {index:?}");
        }
    }
}

#[test]
fn every_pair_of_boxes_is_drawn_as_often() {
    // 9 foreground and 14 background boxes, 4 and 6 of which are drawn; 20,000 images.
    let (images, boxes) = (20_000, 25);
    let sample = balanced(&range(images, boxes, 0..9), &range(images, boxes, 11..25), 10, 4);
    let drawn = Tensor::zeros([images, boxes], (Kind::Float, Device::Cpu)).scatter_value(1, &sample.index, 1.0);
    // How often each two boxes were drawn together; on the diagonal, how often a box was.
    let together = drawn.tr().matmul(&drawn);
    for (set, n, k) in [(0..9, 9.0, 4.0), (11..25, 14.0, 6.0)] {
        for i in set.clone() {
            for j in set.clone() {
                let p: f64 = if i == j { k / n } else { k * (k - 1.0) / (n * (n - 1.0)) };
                let found = together.double_value(&[i, j]) / images as f64;
                let sigma = (p * (1.0 - p) / images as f64).sqrt();
                assert!((found - p).abs() < 6.0 * sigma, "boxes {i} and {j}: {found}, expected {p} +- {sigma}");
            }
        }
    }
    assert_eq!(together.narrow(0, 9, 2).sum(Kind::Float).double_value(&[]), 0.0, "two boxes are in neither set");
}

// ---------------------------------------------------------------- RoIs

#[test]
fn rois_are_foreground_or_background_by_the_stages_iou() {
    let g = golden("rois");
    let targets = targets(&g);
    let boxes = Tensor::cat(&[&tensor(&g["proposals"]), &targets.boxes], 1);
    let real = Tensor::cat(&[&flags(&g["proposal_real"]), &targets.real()], 1);
    for stage in 0..3 {
        let found = roi_head::label_rois(&boxes, &real, &targets, stage);
        assert_eq!(letters(&found), strings(&g["sets"][stage]), "stage {stage}");
        let whose = |t: &Tensor| t.masked_select(&found.foreground);
        assert_eq!(whose(&found.truth), whose(&integers(&g["truth"])), "stage {stage}");
    }
}

#[test]
fn the_sample_is_drawn_from_proposals_and_ground_truths() {
    let g = golden("rois");
    let targets = targets(&g);
    let proposals = Proposals { boxes: tensor(&g["proposals"]), real: flags(&g["proposal_real"]) };
    // As many slots as there are boxes: all of them are drawn, in a random order.
    let config = DetectorConfig { rois: 24, roi_foreground: 1.0, ..DetectorConfig::default() };
    let mut params = Params::new(0, Device::Cpu);
    let rois = RoiHead::new(params.root(), 5, SIZE, &config).sample(&proposals, &targets);
    let candidates = Tensor::cat(&[&proposals.boxes, &targets.boxes], 1);
    let truth = integers(&g["truth"]);
    let row = |t: &Tensor, i: usize, n: usize| -> Vec<f64> {
        Vec::try_from(t.get(i as i64).get(n as i64).to_kind(Kind::Double).view([-1])).unwrap()
    };
    let sorted = |mut list: Vec<Vec<f64>>| {
        list.sort_by(|a, b| a.partial_cmp(b).unwrap());
        list
    };
    for (i, sets) in strings(&g["sets"][0]).iter().enumerate() {
        let describe = |bbox: Vec<f64>, foreground: bool, truth: f64| {
            // Background is nobody's.
            [bbox, vec![f64::from(u8::from(foreground)), if foreground { truth } else { -1.0 }]].concat()
        };
        let expected = sets.chars().enumerate().filter(|(_, c)| *c != '-');
        let expected =
            expected.map(|(n, c)| describe(row(&candidates, i, n), c == 'F', row(&truth, i, n)[0])).collect();
        let drawn = (0..24).filter(|&n| row(&rois.real, i, n)[0] == 1.0);
        let drawn = drawn.map(|n| {
            describe(row(&rois.boxes, i, n), row(&rois.foreground, i, n)[0] == 1.0, row(&rois.truth, i, n)[0])
        });
        assert_eq!(sorted(drawn.collect()), sorted(expected), "image {i}");
    }
}

fn rois(value: &Value) -> Rois {
    Rois {
        boxes: tensor(&value["boxes"]),
        truth: integers(&value["truth"]),
        foreground: flags(&value["foreground"]),
        real: flags(&value["real"]),
    }
}

#[test]
fn class_and_box_losses_of_each_stage() {
    let (g, targets) = (golden("cascade"), targets(&golden("rois")));
    for (s, stage) in g["stages"].as_array().unwrap().iter().enumerate() {
        let rois = rois(&stage["rois"]);
        let (loss, gradient) = differentiated(&tensor(&stage["logits"]), |x| roi_head::class_loss(x, &rois, &targets));
        assert_number(&loss, &stage["class_loss"]);
        assert_close(&gradient, &tensor(&stage["class_gradient"]), 1e-7);
        let (loss, gradient) = differentiated(&tensor(&stage["code"]), |x| roi_head::box_loss(x, &rois, &targets, s));
        assert_number(&loss, &stage["box_loss"]);
        assert_close(&gradient, &tensor(&stage["box_gradient"]), 1e-6);
    }
}

#[test]
fn a_stage_moves_rois_and_assigns_them_anew() {
    let (g, targets) = (golden("cascade"), targets(&golden("rois")));
    for s in 0..2 {
        let (before, after) = (&g["stages"][s], rois(&g["stages"][s + 1]["rois"]));
        let code = tensor(&before["code"]).set_requires_grad(true);
        let moved = roi_head::next_rois(&rois(&before["rois"]), &code, &targets, s, SIZE as i64);
        assert_close(&moved.boxes, &after.boxes, 2e-5);
        assert!(!moved.boxes.requires_grad(), "a stage learns nothing from the next one's boxes");
        assert_eq!(moved.foreground, after.foreground, "stage {s}");
        assert_eq!(moved.real, after.real, "stage {s}");
        let whose = |t: &Tensor| t.masked_select(&after.foreground);
        assert_eq!(whose(&moved.truth), whose(&after.truth), "stage {s}");
    }
}

#[test]
fn a_cascades_losses_are_averaged_over_its_stages() {
    let (g, targets) = (golden("cascade"), targets(&golden("rois")));
    let biases = &g["biases"];
    for stages in 1..=3 {
        let config = DetectorConfig { stages, channels: 4, box_fc: 8, box_convs: 0, ..DetectorConfig::default() };
        let mut params = Params::new(0, Device::Cpu);
        let head = RoiHead::new(params.root(), 5, SIZE, &config);
        // A head that says the same of every RoI: its biases.
        tch::no_grad(|| {
            for (name, weight) in params.by_name() {
                let mut weight = weight.shallow_clone();
                let parts: Vec<&str> = name.split('.').collect();
                match parts[..] {
                    [stage, layer @ ("class" | "code"), "bias"] => {
                        weight.copy_(&tensor(&biases[layer][stage.parse::<usize>().unwrap()]));
                    }
                    [_, "class" | "code", "weight"] => drop(weight.zero_()),
                    _ => {}
                }
            }
        });
        let levels = Levels::new(&[8], 3, Device::Cpu);
        let features = Rows::new(&[Tensor::ones([3, 4, 8, 8], (Kind::Float, Device::Cpu))], &levels);
        let losses = head.losses(&features, &rois(&g["stages"][0]["rois"]), &targets, Mode::Train);
        assert_eq!(losses.len(), stages);
        for (s, (class, code)) in losses.iter().enumerate() {
            assert_number(&(class * stages as f64), &biases["losses"][s][0]);
            assert_number(&(code * stages as f64), &biases["losses"][s][1]);
        }
    }
}

// ---------------------------------------------------------------- masks

/// Zeros and ones, a digit each.
fn digits(value: &Value) -> Tensor {
    let flat: Vec<u8> = strings(value).iter().flat_map(|s| s.bytes().map(|b| b - b'0')).collect();
    Tensor::from_slice(&flat)
}

#[test]
fn mask_targets_are_the_rois_part_of_the_mask() {
    let g = golden("masks");
    let targets = Targets {
        boxes: tensor(&g["boxes"]),
        labels: Tensor::zeros([2, 2], (Kind::Int64, Device::Cpu)),
        masks: digits(&g["masks"]).view([2, 2, 20, 20]),
    };
    let ours = mask_head::crop(&tensor(&g["rois"]), &integers(&g["truth"]), &targets);
    let theirs = digits(&g["targets"]).view([2, 3, 28, 28]).to_kind(Kind::Float);
    assert_eq!(ours.size(), theirs.size());
    assert_eq!(ours.ne_tensor(&theirs).sum(Kind::Int64).int64_value(&[]), 0, "pixels differ");
}

#[test]
fn the_mask_loss_is_the_mean_over_the_foregrounds_pixels() {
    let g = golden("masks");
    let target = digits(&g["targets"]).view([2, 3, 28, 28]).to_kind(Kind::Float);
    let foreground = flags(&g["foreground"]);
    let (loss, gradient) = differentiated(&tensor(&g["logits"]), |x| mask_head::mask_loss(x, &target, &foreground));
    assert_number(&loss, &g["loss"]);
    let of_rows = gradient.sum_dim_intlist([3].as_slice(), false, Kind::Float);
    assert_close(&of_rows, &tensor(&g["gradient_of_rows"]), 1e-7);
}

#[test]
fn without_any_object_there_is_a_loss_of_the_background_alone() {
    let g = golden("rpn");
    let (anchors, mut targets) = (tensor(&g["anchors"]), targets(&g));
    targets.labels = targets.labels.full_like(-1);
    let labels = rpn::label_anchors(&anchors, &targets);
    assert!(letters(&labels).iter().all(|image| image.chars().all(|c| c == 'B')));
    let per_level: Vec<i64> = serde_json::from_value(g["per_level"].clone()).unwrap();
    let zero = rpn::box_loss(&tensor(&g["code"]), &anchors, &per_level, &labels, &targets);
    assert_eq!(zero.double_value(&[]), 0.0);
    let none = Tensor::zeros([2, 3], (Kind::Bool, Device::Cpu));
    let masks = golden("masks");
    let target = digits(&masks["targets"]).view([2, 3, 28, 28]).to_kind(Kind::Float);
    assert_eq!(mask_head::mask_loss(&tensor(&masks["logits"]), &target, &none).double_value(&[]), 0.0);
}
