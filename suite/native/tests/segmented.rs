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
