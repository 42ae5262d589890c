//! The loaded library says where and what it is, and CUDA is either there or refused by name.

use adamv_native::{
    CudaLoad, NativeError, REQUIRED_LIBTORCH, check_version, cuda_device_count, cuda_memory, libtorch_path,
    libtorch_version, libtorch_version_full, load_cuda, reset_peak_memory,
};

/// One test, for the order matters: the version may be asked before `load_cuda`, as `main` does, and
/// `load_cuda` is the first question about CUDA in this process.
#[test]
fn the_library_says_what_it_is_and_cuda_is_there_or_refused() {
    let path = libtorch_path().expect("a path");
    assert_eq!(path.file_name().and_then(|name| name.to_str()), Some("libtorch_cpu.so"));
    assert!(path.exists(), "{}", path.display());
    assert_eq!(libtorch_version().expect("a version"), REQUIRED_LIBTORCH);
    assert!(libtorch_version_full().expect("a version").starts_with(REQUIRED_LIBTORCH));
    check_version().expect("the version of the workspace");

    let beside = libtorch_path().expect("a path").with_file_name("libtorch_cuda.so").exists();
    let load = load_cuda().expect("load_cuda");
    assert_eq!(load, if beside { CudaLoad::Loaded } else { CudaLoad::Absent });
    assert_eq!(load_cuda().expect("a second time"), load);

    let count = cuda_device_count().expect("a count");
    if count == 0 {
        let error = cuda_memory(0).expect_err("no CUDA");
        assert!(matches!(error, NativeError::NoCuda { call: "cuda_memory" }), "{error}");
        assert!(error.to_string().contains("--device cpu"), "{error}");
        assert!(reset_peak_memory(0).is_err());
        println!("skipped: CUDA memory statistics (no CUDA device)");
        return;
    }
    let device = tch::Device::Cuda(0);
    let before = cuda_memory(0).expect("statistics");
    let block = tch::Tensor::zeros([1 << 20], (tch::Kind::Float, device));
    let with = cuda_memory(0).expect("statistics");
    assert_eq!(with.allocated, before.allocated + (4 << 20));
    assert!(with.peak >= with.allocated && with.total >= with.free && with.total > 0);
    drop(block);
    assert!(cuda_memory(0).expect("statistics").peak >= with.allocated);
    reset_peak_memory(0).expect("reset");
    assert_eq!(cuda_memory(0).expect("statistics").peak, before.allocated);
    assert!(cuda_memory(count).is_err(), "device {count} does not exist");
}
