//! A linear layer for each segment equals a linear layer on each segment, and refuses what doesn't fit.

use adamv_native::segmented_linear;
use tch::{Device, Kind, Tensor};

fn random(size: &[i64]) -> Tensor {
    Tensor::randn(size, (Kind::Double, Device::Cpu)).set_requires_grad(true)
}

#[test]
fn values_and_gradients_are_those_of_linear_layers() {
    let (rows, weight, bias) = (random(&[7, 3]), random(&[4, 5, 3]), random(&[4, 5]));
    let lengths = [2, 0, 4, 1];
    let parts: Vec<Tensor> = rows
        .split_with_sizes(lengths, 0)
        .iter()
        .enumerate()
        .map(|(e, part)| part.linear(&weight.get(e as i64), Some(bias.get(e as i64))))
        .collect();
    let expected = Tensor::cat(&parts, 0);
    let ours = segmented_linear(&rows, &lengths, &weight, &bias).expect("it fits");
    assert_eq!(ours, expected);
    // A loss whose gradient is not contiguous.
    let gradients = |out: Tensor| {
        let loss =
            (out.transpose(0, 1).contiguous().square() * Tensor::arange(7, (Kind::Double, Device::Cpu))).sum(None);
        Tensor::run_backward(&[loss], &[&rows, &weight, &bias], false, false)
    };
    for (ours, expected) in gradients(ours).iter().zip(gradients(expected)) {
        assert!((ours - expected).abs().max().double_value(&[]) < 1e-12);
    }
    let frozen = segmented_linear(&rows.detach(), &lengths, &weight, &bias).expect("it fits").sum(None);
    let gradient = Tensor::run_backward(&[frozen], &[&bias], false, false).remove(0);
    assert_eq!(Vec::<f64>::try_from(gradient.select(1, 0)).expect("four numbers"), [2.0, 0.0, 4.0, 1.0]);
}

#[test]
fn segments_side_by_side_give_what_one_after_the_other_gives() {
    let before = tch::get_num_threads();
    // Even, ragged with empty ones, and one that is most of the rows.
    for lengths in [vec![8; 12], vec![3, 0, 17, 1, 9, 0, 5, 12, 2, 30, 7, 4], vec![1, 60, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]]
    {
        let total: i64 = lengths.iter().sum();
        let (rows, weight, bias) = (random(&[total, 24]), random(&[12, 40, 24]), random(&[12, 40]));
        let all = |threads: i32| {
            tch::set_num_threads(threads);
            let out = segmented_linear(&rows, &lengths, &weight, &bias).expect("it fits");
            let loss = out.square().sum(None);
            let mut all = Tensor::run_backward(&[loss], &[&rows, &weight, &bias], false, false);
            all.push(out.detach());
            all
        };
        let (one, four, again) = (all(1), all(4), all(4));
        for ((one, four), again) in one.iter().zip(&four).zip(&again) {
            assert!((one - four).abs().max().double_value(&[]) < 1e-11, "{lengths:?}");
            assert_eq!(four, again, "who takes a segment must change no bit: {lengths:?}");
        }
    }
    tch::set_num_threads(before);
}

#[test]
fn what_does_not_fit_is_an_error() {
    let (rows, weight, bias) = (random(&[7, 3]), random(&[2, 5, 3]), random(&[2, 5]));
    let call = |lengths: &[i64], weight: &Tensor, bias: &Tensor| {
        segmented_linear(&rows, lengths, weight, bias).expect_err("it does not fit").to_string()
    };
    assert!(call(&[3, 3], &weight, &bias).contains("the segments have 6 rows, but there are 7"));
    assert!(call(&[8, -1], &weight, &bias).contains("a segment of -1 rows"));
    assert!(call(&[7], &weight, &bias).contains("weight has shape [2, 5, 3], not [1, out, 3]"));
    assert!(call(&[3, 4], &weight, &weight).contains("not 2, 3 and 2"));
    assert!(call(&[3, 4], &weight, &bias.to_kind(Kind::Float)).contains("all must be one dtype"));
}
