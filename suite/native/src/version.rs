//! Which libtorch is loaded, and whether it is the one this program was made for. tch checks nothing for the
//! libtorch of a Python wheel.

use crate::{NativeError, Result, ffi};
use std::ffi::CStr;
use std::path::{Path, PathBuf};

/// The libtorch that tch 0.24.0 is generated from; `build.rs` checks the same when compiling.
pub const REQUIRED_LIBTORCH: &str = "2.11.0";

/// The file of the loaded `libtorch_cpu.so`, as the dynamic loader found it.
///
/// # Errors
/// The dynamic loader does not know (a statically linked libtorch).
pub fn libtorch_path() -> Result<PathBuf> {
    const CALL: &str = "libtorch_path";
    let mut path = std::ptr::null_mut();
    // SAFETY: on success `path` is a text that the shim gives away.
    let path = unsafe {
        ffi::check(CALL, ffi::adamv_libtorch_path(&mut path))?;
        ffi::take_text(path)
    };
    path.map(PathBuf::from).ok_or(NativeError::Libtorch { call: CALL, message: "no path".into() })
}

/// The version of the loaded library without its build, such as `2.11.0`. Asks nothing about CUDA, so it may
/// come before [`load_cuda`](crate::load_cuda).
///
/// # Errors
/// As [`libtorch_path`].
pub fn libtorch_version() -> Result<String> {
    let full = libtorch_version_full()?;
    Ok(full.split('+').next().unwrap_or(&full).to_owned())
}

/// The version with the build, such as `2.11.0+cu130`, from the file that a wheel and a libtorch archive have
/// beside `lib/`; from the library's own build settings where there is none.
///
/// # Errors
/// As [`libtorch_path`]; neither source names a version.
pub fn libtorch_version_full() -> Result<String> {
    const CALL: &str = "libtorch_version";
    let path = libtorch_path()?;
    if let Some(version) = path.parent().and_then(Path::parent).and_then(version_in_files) {
        return Ok(version);
    }
    // The build settings include CUDA's, and libtorch keeps what it finds on first asking: so load CUDA before.
    // Its failure is reported to whoever loads CUDA for its own sake.
    let _ = crate::load_cuda();
    let mut text = std::ptr::null_mut();
    // SAFETY: on success `text` is a text that the shim gives away.
    let config = unsafe {
        ffi::check(CALL, ffi::adamv_build_config(&mut text))?;
        ffi::take_text(text)
    };
    config.as_deref().and_then(version_in_config).ok_or_else(|| NativeError::Libtorch {
        call: CALL,
        message: format!("{} names no version; run `make setup` to get one that does", path.display()),
    })
}

/// Fails unless the loaded libtorch and the headers of the shim are both [`REQUIRED_LIBTORCH`].
///
/// # Errors
/// Another version, named together with the required one and the mend.
pub fn check_version() -> Result<()> {
    for found in [libtorch_version()?, header_version()] {
        if found != REQUIRED_LIBTORCH {
            let path = libtorch_path()?;
            return Err(NativeError::Version { required: REQUIRED_LIBTORCH, found, path });
        }
    }
    Ok(())
}

/// The version of the headers that the shim was compiled with.
fn header_version() -> String {
    // SAFETY: a literal of the shim.
    unsafe { CStr::from_ptr(ffi::adamv_header_version()) }.to_string_lossy().into_owned()
}

/// `..., TORCH_VERSION=2.11.0, ...` in `at::show_config()`.
fn version_in_config(config: &str) -> Option<String> {
    let rest = config.split("TORCH_VERSION=").nth(1)?;
    let version: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    (!version.is_empty()).then_some(version)
}

/// `version.py` of a Python installation, or `build-version` of a libtorch archive.
fn version_in_files(root: &Path) -> Option<String> {
    let python = std::fs::read_to_string(root.join("version.py")).ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("__version__ = "))?;
        Some(line.trim().trim_matches(['\'', '"']).to_owned())
    });
    python.or_else(|| {
        let text = std::fs::read_to_string(root.join("build-version")).ok()?;
        Some(text.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_version_out_of_the_build_settings() {
        let text = "PyTorch built with:\n - Build settings: PERF=1, TORCH_VERSION=2.11.0, USE_CUDA=ON, ";
        assert_eq!(version_in_config(text).as_deref(), Some("2.11.0"));
        assert_eq!(version_in_config("PyTorch built with:"), None);
        assert_eq!(version_in_config("TORCH_VERSION=, x"), None);
    }
}
