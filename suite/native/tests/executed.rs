//! Multiply-adds of operations against numbers by hand. The count is the whole process's, so these tests take turns.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use adamv_native::{executed_macs, segmented_linear};
use tch::{Device, Kind, Tensor};

static TURN: Mutex<()> = Mutex::new(());

fn random(size: &[i64]) -> Tensor {
    Tensor::randn(size, (Kind::Float, Device::Cpu))
}

fn counted<T>(body: impl FnOnce() -> T) -> u64 {
    executed_macs(body).expect("every operation can be read").1
}

#[test]
fn each_operation_counts_once_with_the_operations_inside_it() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let map = random(&[2, 3, 9, 9]);
    let none = None::<&Tensor>;
    let (q, k) = (random(&[2, 4, 5, 8]), random(&[2, 4, 7, 8]));
    type Operation<'a> = Box<dyn Fn() -> Tensor + 'a>;
    let cases: [(&str, u64, Operation); 9] = [
        ("linear", 2 * 7 * 3 * 5, Box::new(|| random(&[2, 7, 3]).linear(&random(&[5, 3]), Some(&random(&[5]))))),
        ("mm", 7 * 3 * 5, Box::new(|| random(&[7, 3]).mm(&random(&[3, 5])))),
        ("matmul", 2 * 7 * 3 * 5, Box::new(|| random(&[2, 7, 3]).matmul(&random(&[2, 3, 5])))),
        ("addmm", 7 * 3 * 5, Box::new(|| random(&[5]).addmm(&random(&[7, 3]), &random(&[3, 5])))),
        (
            "baddbmm",
            2 * 7 * 3 * 5,
            Box::new(|| random(&[2, 7, 5]).baddbmm(&random(&[2, 7, 3]), &random(&[2, 3, 5]), 1, 1)),
        ),
        // 9 cells, padded by 1, every other one: 5 a side.
        ("conv2d", 2 * 25 * 4 * 3 * 9, Box::new(|| map.conv2d(&random(&[4, 3, 3, 3]), none, 2, 1, 1, 1))),
        ("up", 2 * 81 * 3 * 4 * 4, Box::new(|| map.conv_transpose2d(&random(&[3, 4, 2, 2]), none, 2, 0, 0, 1, 1))),
        // 2 images, 4 heads, 5 queries, 7 keys, 8 wide, two products.
        (
            "attention",
            2 * 2 * 4 * 5 * 7 * 8,
            Box::new(|| Tensor::scaled_dot_product_attention(&q, &k, &k, none, 0.0, false, None, false)),
        ),
        ("others", 0, Box::new(|| (&map + &map).gelu("none").softmax(-1, Kind::Float).sum(Kind::Float))),
    ];
    for (name, macs, run) in &cases {
        assert_eq!(counted(run), *macs, "{name}");
    }
}

#[test]
fn other_threads_count_too() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let before = tch::get_num_threads();
    tch::set_num_threads(4);
    // 12 even segments on 4 threads: side by side.
    let (rows, weight, bias) = (random(&[96, 24]), random(&[12, 40, 24]), random(&[12, 40]));
    let macs = counted(|| segmented_linear(&rows, &[8; 12], &weight, &bias).expect("it fits"));
    tch::set_num_threads(before);
    assert_eq!(macs, 96 * 24 * 40);
}

#[test]
fn a_count_ends_with_its_body() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let product = || random(&[7, 3]).mm(&random(&[3, 5]));
    let panicked = catch_unwind(AssertUnwindSafe(|| executed_macs(|| panic!("on purpose"))));
    assert!(panicked.is_err());
    // A watch left behind would count everything twice.
    assert_eq!(counted(product), 7 * 3 * 5);
    let _uncounted = product();
    assert_eq!(counted(|| ()), 0);
}

#[test]
fn what_cannot_be_counted_is_an_error_and_spoils_no_later_count() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (map, weight) = (random(&[1, 3, 9, 9]), random(&[4, 3, 3, 3]));
    let same = || map.conv2d_padding(&weight, None::<&Tensor>, [1, 1], "same", [1, 1], 1);
    let error = executed_macs(same).expect_err("padding by name").to_string();
    assert!(error.contains("count multiply-adds") && error.contains("aren't counted"), "{error}");
    assert_eq!(counted(|| random(&[7, 3]).mm(&random(&[3, 5]))), 7 * 3 * 5);
}
