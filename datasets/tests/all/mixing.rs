//! MixUp and CutMix against timm and torchvision (`golden/make_augment.py`), CutMix with the released code's box against
//! NumPy (`golden/make_crops.py`), and both as part of a batch.

use std::sync::Arc;

use adamv_datasets::augment::mix::Mix;
use adamv_datasets::image::Rectangle;
use adamv_datasets::order::{SampleStream, picks_for_step};
use adamv_datasets::{BatchSource, ClassificationDataset, ClassificationOptions, CutMixBox, Loader, Pick, Split};
use serde::Deserialize;

use crate::support::{imagenet, on_threads};

#[derive(Deserialize)]
struct Golden {
    mixes: Vec<MixCase>,
    boxes: Vec<BoxCase>,
}

#[derive(Deserialize)]
struct MixCase {
    samples: usize,
    side: usize,
    cut: bool,
    lambda: f64,
    centre: [u32; 2],
    corrected: f64,
    images: Vec<f32>,
    targets: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct BoxCase {
    side: u32,
    lambda: f64,
    centre: [u32; 2],
    #[serde(rename = "box")]
    corners: [u32; 4],
    corrected: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/augment.json")).unwrap()
}

/// As in the script.
fn pattern(samples: usize, side: usize) -> Vec<f32> {
    (0..samples * 3 * side * side).map(|i| ((i * 37) % 101) as f32 / 32.0 - 1.5).collect()
}

#[test]
fn mixed_images_and_label_weights_are_timms() {
    for case in golden().mixes {
        let mix = match case.cut {
            false => Mix::MixUp { lambda: case.lambda as f32 },
            true => Mix::cutmix(CutMixBox::Area, case.lambda, case.centre, case.side as u32),
        };
        assert_eq!(mix.lambda(), case.corrected as f32);
        let mut images = pattern(case.samples, case.side);
        mix.apply(&mut images, case.side);
        // The middle of an odd batch is mixed with itself there, within rounding the same.
        let worst = images.iter().zip(&case.images).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= if case.cut { 0.0 } else { 2e-7 }, "differs by {worst}");
        for (i, row) in case.targets.iter().enumerate() {
            let mut want = vec![0.0; case.samples];
            want[i] += mix.lambda();
            want[case.samples - 1 - i] += 1.0 - mix.lambda();
            // timm smooths by 0 where not asked.
            assert!(row.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-6), "{row:?} {want:?}");
        }
    }
}

#[test]
fn cut_rectangles_and_their_lambda_are_torchvisions() {
    for case in golden().boxes {
        let [left, top, right, bottom] = case.corners;
        let cut = Rectangle { left, top, width: right - left, height: bottom - top };
        let want = Mix::CutMix { cut, lambda: case.corrected as f32 };
        assert_eq!(Mix::cutmix(CutMixBox::Area, case.lambda, case.centre, case.side), want, "lambda {}", case.lambda);
    }
}

/// `golden/crops.json`.
#[derive(Deserialize)]
struct Released {
    boxes: Vec<ReleasedBox>,
    mixes: Vec<ReleasedMix>,
}

#[derive(Deserialize)]
struct ReleasedBox {
    side: u32,
    lambda: f64,
    centre: [u32; 2],
    #[serde(rename = "box")]
    corners: Option<[u32; 4]>,
    own: f64,
}

#[derive(Deserialize)]
struct ReleasedMix {
    samples: usize,
    side: usize,
    lambda: f64,
    centre: [u32; 2],
    images: Vec<f32>,
    targets: Vec<Vec<f32>>,
}

#[test]
fn a_box_by_its_side_is_the_released_codes() {
    let released: Released = serde_json::from_str(include_str!("../golden/crops.json")).unwrap();
    for case in released.boxes {
        let mix = Mix::cutmix(CutMixBox::Side, case.lambda, case.centre, case.side);
        let Mix::CutMix { cut, lambda } = mix else { panic!("{mix:?}") };
        let corners = [cut.left, cut.top, cut.left + cut.width, cut.top + cut.height];
        assert_eq!((cut.width * cut.height > 0).then_some(corners), case.corners, "lambda {}", case.lambda);
        assert!((f64::from(lambda) - case.own).abs() < 1e-6, "{lambda}, want {}", case.own);
    }
    for case in released.mixes {
        let mix = Mix::cutmix(CutMixBox::Side, case.lambda, case.centre, case.side as u32);
        let mut images = pattern(case.samples, case.side);
        mix.apply(&mut images, case.side);
        assert_eq!(images, case.images);
        for (i, row) in case.targets.iter().enumerate() {
            let mut want = vec![0.0; case.samples];
            want[i] += mix.lambda();
            want[case.samples - 1 - i] += 1.0 - mix.lambda();
            assert!(row.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-6), "{row:?} {want:?}");
        }
    }
}

fn options(mixup: f32, cutmix: f32) -> ClassificationOptions {
    ClassificationOptions { mixup, cutmix, ..Default::default() }
}

#[test]
fn the_kind_is_even_where_both_are_on_and_the_key_decides() {
    let draw = |options: &ClassificationOptions, index, epoch| Mix::draw(options, 5, Pick { index, epoch }, 32);
    let is_cut = |mix: Option<Mix>| matches!(mix, Some(Mix::CutMix { .. }));
    let both = options(0.8, 1.0);
    let cuts = (0..2000).filter(|&i| is_cut(draw(&both, i, 0))).count();
    assert!((900..1100).contains(&cuts), "{cuts} of 2000");
    for i in 0..50 {
        assert!(matches!(draw(&options(0.8, 0.0), i, 0), Some(Mix::MixUp { .. })));
        assert!(is_cut(draw(&options(0.0, 1.0), i, 0)));
        assert_eq!(draw(&options(0.0, 0.0), i, 0), None);
        assert_eq!(draw(&both, i, 3), draw(&both, i, 3));
        assert_ne!(draw(&both, i, 3), draw(&both, i, 4));
        assert_ne!(draw(&both, i, 3), draw(&both, i + 1, 3));
        assert_ne!(draw(&both, i, 3), Mix::draw(&both, 6, Pick { index: i, epoch: 3 }, 32));
    }
}

#[test]
fn lambda_has_the_distribution_asked_for() {
    const N: usize = 4000;
    let mean_and_variance = |options: ClassificationOptions| {
        let lambda = |index| f64::from(Mix::draw(&options, 7, Pick { index, epoch: 0 }, 224).unwrap().lambda());
        let drawn: Vec<f64> = (0..N).map(lambda).collect();
        let mean = drawn.iter().sum::<f64>() / N as f64;
        (mean, drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / N as f64)
    };
    let (mean, variance) = mean_and_variance(options(0.8, 0.0));
    assert!((mean - 0.5).abs() < 0.02 && (variance * 4.0 * 2.6 - 1.0).abs() < 0.05, "{mean} {variance}");
    // A side of share r about a uniform centre is r - r^2 / 4 long after clipping, on average; for alpha = 1 the area
    // r^2 is uniform, so that the mean of the clipped area is 1/2 - 1/5 + 1/48.
    let (mean, _) = mean_and_variance(options(0.0, 1.0));
    assert!((mean - (1.0 - 0.3208)).abs() < 0.02, "{mean}");
    // With a box by its side r is uniform: 1/3 - 1/8 + 1/80.
    let (mean, _) = mean_and_variance(ClassificationOptions { cutmix_box: CutMixBox::Side, ..options(0.0, 1.0) });
    assert!((mean - (1.0 - 0.2208)).abs() < 0.02, "{mean}");
}

fn open(mixup: f32, cutmix: f32) -> (tempfile::TempDir, Arc<ClassificationDataset>) {
    let dir = tempfile::tempdir().unwrap();
    imagenet(dir.path(), &[("ant", 4), ("bee", 3)]);
    let data = ClassificationDataset::open(dir.path(), Split::Train, &options(mixup, cutmix), 12).unwrap();
    (dir, Arc::new(data))
}

#[test]
fn a_training_batch_is_the_plain_one_mixed_and_says_its_lambda() {
    let (_plain_dir, plain) = open(0.0, 0.0);
    for (mixup, cutmix) in [(0.8, 0.0), (0.0, 1.0)] {
        let (_dir, mixed) = open(mixup, cutmix);
        for step in 0..6 {
            let picks = picks_for_step(7, 5, 1, step);
            let (before, after) = (plain.train_batch(&picks, 1).unwrap(), mixed.train_batch(&picks, 1).unwrap());
            assert_eq!(before.lambda, 1.0);
            assert!((0.0..=1.0).contains(&after.lambda));
            assert_eq!((&before.labels, &before.indices), (&after.labels, &after.indices));
            let mut images = before.images.clone();
            let mix = Mix::draw(&options(mixup, cutmix), 1, picks[0], 12).unwrap();
            mix.apply(&mut images, 12);
            assert_eq!((images, mix.lambda()), (after.images.clone(), after.lambda));
            // Lambda is the share of a sample that is its own, pixel by pixel or by area.
            let len = 3 * 12 * 12;
            let (own, partner) = (&before.images[..len], &before.images[4 * len..]);
            let kept = after.images[..len].iter().zip(own.iter().zip(partner)).filter(|(v, (a, _))| v == a).count();
            if cutmix > 0.0 {
                // A pixel of the partner may have the same value by chance.
                assert!(kept as f32 / len as f32 >= after.lambda - 1e-6);
            } else {
                let want = own.iter().zip(partner).map(|(a, b)| a * after.lambda + b * (1.0 - after.lambda));
                assert!(after.images[..len].iter().zip(want).all(|(v, w)| (v - w).abs() < 1e-6));
            }
        }
        // Nothing is mixed in evaluation.
        let (a, b) = (plain.eval_batch(&[0, 1, 5]).unwrap(), mixed.eval_batch(&[0, 1, 5]).unwrap());
        assert_eq!(a, b);
        assert_eq!(b.lambda, 1.0);
    }
}

#[test]
fn a_batch_of_one_is_mixed_with_itself() {
    let ((_a, plain), (_b, mixed)) = (open(0.0, 0.0), open(0.8, 1.0));
    for index in 0..7 {
        let pick = [Pick { index, epoch: 0 }];
        assert_eq!(plain.train_batch(&pick, 1).unwrap().images, mixed.train_batch(&pick, 1).unwrap().images);
    }
}

#[test]
fn mixing_depends_neither_on_threads_nor_on_where_a_run_resumed() {
    let (_dir, data) = open(0.8, 1.0);
    let picks = picks_for_step(7, 64, 1, 3);
    let batch = |threads| on_threads(threads, || data.train_batch(&picks, 1).unwrap());
    assert_eq!(batch(1), batch(8));
    let loaded = |from| {
        Loader::train(Arc::clone(&data), SampleStream::new(5, 3, 10).skip(from), 2)
            .collect::<Result<Vec<_>, _>>()
            .unwrap()
    };
    let whole = loaded(0);
    assert_eq!(whole[6..], loaded(6)[..]);
    assert!(whole.windows(2).any(|w| w[0].lambda != w[1].lambda));
}
