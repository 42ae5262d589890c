//! `doctor`: what this machine has, what is missing, and how to mend it. Changes nothing.

use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::thread;

use adamv_datasets::scenes::FashionMnist;
use adamv_native::{CudaLoad, REQUIRED_LIBTORCH};
use serde::Serialize;

use crate::cli::DoctorArgs;
use crate::exit::{ENVIRONMENT, Failure};
use crate::{json, torch};

#[derive(Debug, Serialize)]
struct Findings {
    version: &'static str,
    commit: &'static str,
    libtorch: Libtorch,
    cuda: Cuda,
    cpu_threads: usize,
    memory: Option<Memory>,
    disk: Option<Disk>,
    /// What stands in the way, each with its mend; empty when all is well.
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Libtorch {
    required: &'static str,
    version: Option<String>,
    path: Option<String>,
}

#[derive(Debug, Serialize)]
struct Cuda {
    /// `absent`, `loaded` or `broken`.
    library: &'static str,
    /// Usable devices with their memory in bytes.
    devices: Vec<Gpu>,
}

#[derive(Debug, Serialize)]
struct Gpu {
    name: String,
    total_bytes: Option<u64>,
    free_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Memory {
    total_bytes: u64,
    available_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Disk {
    path: String,
    free_bytes: u64,
}

/// Prints the findings; exit 5 when something stands in the way, or when the device asked for is not usable.
pub fn doctor(args: &DoctorArgs) -> Result<(), Failure> {
    let mut problems = Vec::new();
    let libtorch = Libtorch {
        required: REQUIRED_LIBTORCH,
        version: adamv_native::libtorch_version_full().ok(),
        path: adamv_native::libtorch_path().ok().map(|path| path.display().to_string()),
    };
    problems.extend(adamv_native::check_version().err().map(|e| e.to_string()));
    let cuda = cuda(&mut problems);
    if let Some(device) = &args.device {
        match torch::device(device) {
            Ok(_) => {}
            Err(failure) if failure.code == ENVIRONMENT => problems.push(failure.message),
            Err(failure) => return Err(failure),
        }
    }
    let findings = Findings {
        version: env!("CARGO_PKG_VERSION"),
        commit: env!("ADAMV_COMMIT"),
        libtorch,
        cuda,
        cpu_threads: thread::available_parallelism().map_or(1, NonZero::get),
        memory: fs::read_to_string("/proc/meminfo").ok().and_then(|text| memory(&text)),
        disk: disk(Path::new(".")),
        problems,
    };
    if args.json {
        json::print(&findings)?;
    } else {
        json::line(&text(&findings))?;
    }
    match findings.problems.as_slice() {
        [] => Ok(()),
        problems => Err(Failure::environment(problems.join("\nerror: "))),
    }
}

fn cuda(problems: &mut Vec<String>) -> Cuda {
    let library = match adamv_native::load_cuda() {
        Ok(CudaLoad::Absent) => "absent",
        Ok(CudaLoad::Loaded) => "loaded",
        Err(error) => {
            problems.push(error.to_string());
            "broken"
        }
    };
    let count = adamv_native::cuda_device_count().unwrap_or(0);
    let devices = (0..count).map(|index| {
        let memory = adamv_native::cuda_memory(index).ok();
        Gpu {
            name: format!("cuda:{index}"),
            total_bytes: memory.map(|memory| memory.total),
            free_bytes: memory.map(|memory| memory.free),
        }
    });
    Cuda { library, devices: devices.collect() }
}

/// The findings as lines of text.
fn text(findings: &Findings) -> String {
    const UNKNOWN: &str = "unknown";
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
    let known = |bytes: Option<u64>| bytes.map_or(UNKNOWN.into(), gib);
    let libtorch = &findings.libtorch;
    let mut lines = vec![
        format!("adamv-bench  {} ({})", findings.version, findings.commit),
        format!(
            "libtorch     {} at {} (needed: {})",
            libtorch.version.as_deref().unwrap_or(UNKNOWN),
            libtorch.path.as_deref().unwrap_or(UNKNOWN),
            libtorch.required
        ),
    ];
    lines.push(match (findings.cuda.library, findings.cuda.devices.as_slice()) {
        ("absent", _) => format!("CUDA         not in this libtorch; for a GPU: {}", torch::cuda_mend()),
        (library, []) => format!("CUDA         {library}, but no usable GPU; for a GPU: {}", torch::cuda_mend()),
        (library, _) => format!("CUDA         {library}"),
    });
    lines.extend(
        findings.cuda.devices.iter().map(|gpu| {
            format!("GPU          {}: {} free of {}", gpu.name, known(gpu.free_bytes), known(gpu.total_bytes))
        }),
    );
    lines.push(format!("threads      {} CPU threads", findings.cpu_threads));
    lines.push(findings.memory.as_ref().map_or_else(
        || format!("memory       {UNKNOWN}"),
        |memory| format!("memory       {} available of {}", gib(memory.available_bytes), gib(memory.total_bytes)),
    ));
    lines.push(findings.disk.as_ref().map_or_else(
        || format!("disk         {UNKNOWN}"),
        |disk| format!("disk         {} free in {}", gib(disk.free_bytes), disk.path),
    ));
    let garments = Path::new(FashionMnist::DEBIAN_FOLDER);
    let garments = if garments.is_dir() { "here" } else { "missing (apt-get install dataset-fashion-mnist)" };
    lines.push(format!(
        "data         scenes of shapes are built in; Fashion-MNIST for scenes of garments is {garments}; ImageNet and COCO are \
         named in a suite's `data`"
    ));
    lines.join("\n")
}

/// From the text of /proc/meminfo, which counts in KiB.
fn memory(text: &str) -> Option<Memory> {
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
    };
    Some(Memory { total_bytes: bytes("MemTotal")?, available_bytes: bytes("MemAvailable")? })
}

fn disk(path: &Path) -> Option<Disk> {
    let stat = rustix::fs::statvfs(path).ok()?;
    let shown = path.canonicalize().ok()?.display().to_string();
    Some(Disk { path: shown, free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_counts_in_kib() {
        let memory = memory("MemTotal:       16384 kB\nMemFree: 1 kB\nMemAvailable:    8192 kB\n").unwrap();
        assert_eq!((memory.total_bytes, memory.available_bytes), (16 << 20, 8 << 20));
    }
}
