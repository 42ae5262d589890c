//! Start-up of libtorch: version, CUDA, device, threads. Every command that computes goes through here first.

use std::num::NonZero;
use std::thread;

use tch::Device;

use crate::exit::{Failure, OTHER};

/// Checks the loaded libtorch and loads its CUDA half where there is one. Call before anything else of libtorch.
pub fn start() -> Result<(), Failure> {
    adamv_native::keep_freed_memory();
    adamv_native::check_version().map_err(|e| Failure::environment(e.to_string()))?;
    adamv_native::load_cuda().map_err(|e| Failure::environment(e.to_string()))?;
    // A cell that isn't deterministic allows TF32 itself; `features` must agree between devices.
    adamv_native::set_tf32(false).map_err(|e| Failure::environment(e.to_string()))
}

/// The device of that name, when it is usable; never another one.
pub fn device(name: &str) -> Result<Device, Failure> {
    let number = match name {
        "cpu" => return Ok(Device::Cpu),
        "cuda" => 0,
        _ => name
            .strip_prefix("cuda:")
            .and_then(|number| number.parse().ok())
            .ok_or_else(|| Failure::usage(format!("--device {name}: unknown device; give cpu, cuda or cuda:N")))?,
    };
    let count = adamv_native::cuda_device_count().map_err(|e| Failure::environment(e.to_string()))?;
    if number < count {
        return Ok(Device::Cuda(number));
    }
    if count > 0 {
        return Err(Failure::environment(format!(
            "--device {name}: there is no such GPU; usable are {}",
            (0..count).map(|n| format!("cuda:{n}")).collect::<Vec<_>>().join(", ")
        )));
    }
    Err(Failure::environment(format!("--device {name}: no usable GPU; {}", cuda_mend())))
}

/// What to do when CUDA is wanted and absent.
pub fn cuda_mend() -> String {
    format!(
        "check that `nvidia-smi` lists one, and start with a libtorch {} that has CUDA, for example LD_LIBRARY_PATH set to \
         the torch/lib folder of `pip install torch=={0}`; or give --device cpu",
        adamv_native::REQUIRED_LIBTORCH
    )
}

/// CPU threads of this process: what was asked for, or every core it may use.
pub fn threads(jobs: Option<u16>) -> Result<(), Failure> {
    let count = match jobs {
        Some(jobs) => usize::from(jobs),
        None => thread::available_parallelism().map_or(1, NonZero::get),
    };
    tch::set_num_threads(i32::try_from(count).unwrap_or(i32::MAX));
    rayon::ThreadPoolBuilder::new()
        .num_threads(count)
        .build_global()
        .map_err(|e| Failure::new(OTHER, format!("the thread pool can't be started: {e}; give a smaller --jobs")))
}
