//! What can go wrong in this crate. Every message says what, where, and how to mend it.

use std::path::PathBuf;

pub type Result<T> = std::result::Result<T, NativeError>;

#[derive(Debug, thiserror::Error)]
pub enum NativeError {
    /// libtorch, or a check of the shim in front of it, refused the arguments.
    #[error("{call}: libtorch refused: {message}")]
    Libtorch { call: &'static str, message: String },

    #[error("{call}: {message}")]
    Argument { call: &'static str, message: String },

    #[error(
        "{call}: CUDA is not usable: libtorch sees no CUDA device. Start with a libtorch {} that has \
         libtorch_cuda.so beside libtorch_cpu.so (LD_LIBRARY_PATH), on a machine where nvidia-smi lists a GPU; \
         or use --device cpu",
        crate::REQUIRED_LIBTORCH
    )]
    NoCuda { call: &'static str },

    #[error("{call}: device {device} is not supported; use cpu or cuda:N")]
    Device { call: &'static str, device: String },

    #[error(
        "{} lies beside the loaded libtorch but can't be loaded: {message}. Its companion libraries come with \
         `pip install torch=={}`; to run on the CPU, remove that file or start with a libtorch without it",
        path.display(),
        crate::REQUIRED_LIBTORCH
    )]
    CudaLoad { path: PathBuf, message: String },

    #[error(
        "libtorch was asked about CUDA before load_cuda() had loaded {}, and keeps its answer \"none\"; \
         call load_cuda() first thing in main",
        path.display()
    )]
    CudaTooLate { path: PathBuf },

    #[error(
        "libtorch {required} is needed, but the loaded one is libtorch {found} ({}). Unset LIBTORCH and \
         LD_LIBRARY_PATH and run `make setup`, or point them at a libtorch {required}",
        path.display()
    )]
    Version { required: &'static str, found: String, path: PathBuf },
}
