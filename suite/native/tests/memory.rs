//! A vector becomes a tensor without a copy, and is freed with the last tensor over it.

use adamv_native::tensor_from_vec;
use tch::{Kind, Tensor};

/// Resident memory of this process in pages.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_values_are_where_they_were() {
    let values = vec![1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0];
    let at = values.as_ptr();
    let tensor = tensor_from_vec(values, &[2, 3]).unwrap();
    assert_eq!(tensor.data_ptr().cast_const().cast::<f32>(), at);
    assert_eq!((tensor.size(), tensor.kind()), (vec![2, 3], Kind::Float));
    // A view keeps them alive.
    let row = tensor.get(1);
    drop(tensor);
    assert_eq!(Vec::<f32>::try_from(&row).unwrap(), [4.0, 5.0, 6.0]);
    assert_eq!(Vec::<i64>::try_from(&tensor_from_vec(vec![7i64, 8], &[2]).unwrap()).unwrap(), [7, 8]);
    assert_eq!(Vec::<u8>::try_from(&tensor_from_vec(vec![9u8], &[1, 1]).unwrap().view([1])).unwrap(), [9]);
    assert_eq!(tensor_from_vec(Vec::<f32>::new(), &[0, 3]).unwrap().size(), [0, 3]);
}

#[test]
fn gradients_flow_through_them() {
    let weight = Tensor::from(2.0f32).set_requires_grad(true);
    let loss = (tensor_from_vec(vec![3.0f32, 4.0], &[2]).unwrap() * &weight).sum(Kind::Float);
    loss.backward();
    assert_eq!(weight.grad().double_value(&[]), 7.0);
}

#[cfg(target_os = "linux")]
#[test]
fn memory_is_freed() {
    let make = || tensor_from_vec(vec![1.0f32; 4 << 20], &[4 << 20]).unwrap();
    drop(make());
    let before = resident();
    for _ in 0..50 {
        assert_eq!(make().double_value(&[17]), 1.0);
    }
    // 50 times 16 MiB would be 204,800 pages of 4 KiB.
    assert!(resident() < before + 20_000, "{} pages more", resident() - before);
}

#[test]
fn wrong_shapes_and_types_are_refused() {
    for shape in [&[2i64, 2][..], &[4], &[-1, 3], &[-3, -1], &[i64::MAX, 3], &[]] {
        let error = tensor_from_vec(vec![1.0f32, 2.0, 3.0], shape).unwrap_err().to_string();
        assert!(error.contains("doesn't hold 3 values"), "{error}");
    }
    assert!(tensor_from_vec(vec![1.0f64], &[1]).unwrap_err().to_string().contains("Double"));
}
