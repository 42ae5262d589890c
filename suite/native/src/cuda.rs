//! CUDA without linking CUDA: loading `libtorch_cuda.so` at start-up where it lies beside the loaded
//! `libtorch_cpu.so`, counting devices, and memory statistics through hooks that live in the CPU library.

use crate::{NativeError, Result, ffi, libtorch_path};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use tch::Device;

/// What [`load_cuda`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CudaLoad {
    /// This libtorch has no CUDA half.
    Absent,
    /// The CUDA half is loaded. Whether a usable device is there is another question: [`cuda_device_count`].
    Loaded,
}

/// Memory of one CUDA device, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CudaMemory {
    /// In tensors of this process now.
    pub allocated: u64,
    /// The most that was in tensors of this process since the start or [`reset_peak_memory`].
    pub peak: u64,
    /// Free on the device, all processes counted.
    pub free: u64,
    /// Size of the device.
    pub total: u64,
}

/// Loads `libtorch_cuda.so` when it lies beside the loaded `libtorch_cpu.so`. Call it first thing in `main`:
/// libtorch looks for its CUDA half once. About 0.1 s; later calls are free.
///
/// # Errors
/// The library is there but can't be loaded, or libtorch was asked about CUDA before.
pub fn load_cuda() -> Result<CudaLoad> {
    const CALL: &str = "load_cuda";
    let path = libtorch_path()?.with_file_name("libtorch_cuda.so");
    if !path.exists() {
        return Ok(CudaLoad::Absent);
    }
    let c_path = CString::new(path.as_os_str().as_bytes()).map_err(|_| NativeError::Argument {
        call: CALL,
        message: format!("{} contains a zero byte", path.display()),
    })?;
    let mut registered = false;
    // SAFETY: a text that ends in a zero, and a place to write a bool.
    let error = unsafe { ffi::take_text(ffi::adamv_load_cuda(c_path.as_ptr(), &mut registered)) };
    match (error, registered) {
        (Some(message), _) => Err(NativeError::CudaLoad { path, message }),
        (None, false) => Err(NativeError::CudaTooLate { path }),
        (None, true) => Ok(CudaLoad::Loaded),
    }
}

/// The number of usable CUDA devices, 0 where there is no CUDA.
///
/// # Errors
/// None known.
pub fn cuda_device_count() -> Result<usize> {
    let mut count = 0;
    // SAFETY: a place to write an integer.
    unsafe { ffi::check("cuda_device_count", ffi::adamv_cuda_devices(&mut count))? };
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Memory of CUDA device `index`.
///
/// # Errors
/// No CUDA, or no such device.
pub fn cuda_memory(index: usize) -> Result<CudaMemory> {
    const CALL: &str = "cuda_memory";
    let device = Device::Cuda(index);
    need_cuda(CALL, device)?;
    let device = ffi::device(CALL, device)?;
    let (mut allocated, mut peak, mut free, mut total) = (0, 0, 0, 0);
    // SAFETY: four places to write an integer.
    unsafe {
        ffi::check(CALL, ffi::adamv_cuda_memory(device, &mut allocated, &mut peak, &mut free, &mut total))?;
    }
    let bytes = |value: i64| u64::try_from(value).unwrap_or(0);
    Ok(CudaMemory { allocated: bytes(allocated), peak: bytes(peak), free: bytes(free), total: bytes(total) })
}

/// Makes [`CudaMemory::peak`] of device `index` start again from what is allocated now.
///
/// # Errors
/// No CUDA, or no such device.
pub fn reset_peak_memory(index: usize) -> Result<()> {
    const CALL: &str = "reset_peak_memory";
    let device = Device::Cuda(index);
    need_cuda(CALL, device)?;
    // SAFETY: a plain value.
    unsafe { ffi::check(CALL, ffi::adamv_reset_peak_memory(ffi::device(CALL, device)?)) }
}

/// Fails where a CUDA device is meant and there is none, with a message that says what to do.
pub(crate) fn need_cuda(call: &'static str, device: Device) -> Result<()> {
    if matches!(device, Device::Cuda(_)) && cuda_device_count()? == 0 {
        return Err(NativeError::NoCuda { call });
    }
    Ok(())
}
