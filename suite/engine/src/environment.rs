//! What a record says of the machine and the libraries.

use std::fs;

use adamv_store::Environment;
use tch::Device;

use crate::config::{Precision, TrainingConfig};
use crate::error::EngineError;

/// The surroundings of this process.
pub fn describe(
    training: &TrainingConfig,
    device: Device,
    version: &str,
    commit: &str,
) -> Result<Environment, EngineError> {
    let precision = match training.precision {
        Precision::F32 => "f32",
        Precision::Bf16 => "bf16",
    };
    Ok(Environment {
        version: version.into(),
        commit: commit.into(),
        libtorch: adamv_native::libtorch_version()?,
        os: after(&read("/etc/os-release"), "PRETTY_NAME=").trim_matches('"').into(),
        cpu: after(&read("/proc/cpuinfo"), "model name\t: ").into(),
        threads: tch::get_num_threads() as u64,
        device: match device {
            Device::Cuda(index) => format!("cuda:{index}"),
            _ => "cpu".into(),
        },
        precision: precision.into(),
        deterministic: training.deterministic,
    })
}

/// Starts the peaks of memory anew, for cells that one process runs one after the other.
pub fn forget_peak_memory(device: Device) -> Result<(), EngineError> {
    // Where the system doesn't allow it, the peak stays that of the whole process.
    let _ = fs::write("/proc/self/clear_refs", "5");
    if let Device::Cuda(index) = device {
        adamv_native::reset_peak_memory(index)?;
    }
    Ok(())
}

/// Highest resident memory of this process since [`forget_peak_memory`], bytes; 0 where the system doesn't say.
pub fn peak_memory() -> u64 {
    let status = read("/proc/self/status");
    let kib = after(&status, "VmHWM:").trim().trim_end_matches(" kB").parse::<u64>();
    kib.unwrap_or(0) * 1024
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// What follows `key` on the first line that starts with it, or `unknown`.
fn after<'a>(text: &'a str, key: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("unknown")
}
