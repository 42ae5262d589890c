//! A question about CUDA before `load_cuda` settles the answer; that mistake must be named, not silently
//! turned into "no GPU". One test, in a process of its own.

use adamv_native::{CudaLoad, NativeError, cuda_device_count, libtorch_path, load_cuda};

#[test]
fn asking_before_loading_is_named() {
    assert_eq!(cuda_device_count().expect("a count"), 0);
    if libtorch_path().expect("a path").with_file_name("libtorch_cuda.so").exists() {
        let error = load_cuda().expect_err("too late");
        assert!(matches!(error, NativeError::CudaTooLate { .. }), "{error}");
    } else {
        assert_eq!(load_cuda().expect("nothing to load"), CudaLoad::Absent);
        println!("skipped: CUDA loaded too late (this libtorch has no libtorch_cuda.so)");
    }
}
