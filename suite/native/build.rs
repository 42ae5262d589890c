//! Compiles the C++ shim against the libtorch that torch-sys found, checks that this libtorch has the one
//! version the workspace is made for, and hands the library folder on to the crates above.

use std::path::{Path, PathBuf};
use std::process::exit;

/// The libtorch that `tch = "=0.24.0"` is generated from. `src/version.rs` checks the same at run time.
const REQUIRED: &str = "2.11.0";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=cpp");
    for name in ["LIBTORCH", "LIBTORCH_INCLUDE", "LIBTORCH_CXX11_ABI"] {
        println!("cargo::rerun-if-env-changed={name}");
    }

    let Some(lib) = std::env::var_os("DEP_TCH_LIBTORCH_LIB").map(PathBuf::from) else {
        fail("torch-sys did not say where libtorch is; run `make setup`, or set LIBTORCH");
    };
    // torch-sys looks for headers under LIBTORCH_INCLUDE, else LIBTORCH; the shim must see the same ones.
    let root = ["LIBTORCH_INCLUDE", "LIBTORCH"]
        .iter()
        .find_map(std::env::var_os)
        .map(PathBuf::from)
        .or_else(|| lib.parent().map(Path::to_path_buf))
        .unwrap_or_default();
    let include = root.join("include");
    check_version(&root, &include);

    let abi = std::env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".into());
    cc::Build::new()
        .cpp(true)
        .pic(true)
        .std("c++17")
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        // libtorch's headers are not ours to warn about: -isystem, not -I.
        .flag(format!("-isystem{}", include.display()))
        .flag(format!("-isystem{}", include.join("torch/csrc/api/include").display()))
        .flag("-Wno-attributes")
        // As libtorch itself was compiled: without it some of its classes have fields for checking, and another layout.
        .define("NDEBUG", None)
        // at::parallel_for is compiled here; without OpenMP it would be a plain loop.
        .flag("-fopenmp")
        .files(["cpp/shim.cpp", "cpp/segmented_linear.cpp", "cpp/executed.cpp"])
        .compile("adamv_native");
    // The shim comes before these on the linker's line, so its symbols are found in them.
    println!("cargo::rustc-link-search=native={}", lib.display());
    for name in ["torch_cpu", "c10", "dl"] {
        println!("cargo::rustc-link-lib=dylib={name}");
    }
    match own_openmp(&lib) {
        // By its file name, for a second copy would have threads of its own.
        Some(name) => println!("cargo::rustc-link-lib=dylib:+verbatim={name}"),
        None => println!("cargo::rustc-link-lib=dylib=gomp"),
    }

    println!("cargo::metadata=libtorch_lib={}", lib.display());
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", lib.display());
}

/// The OpenMP library that libtorch brings along, such as `libgomp.so.1` or `libgomp-a34b3233.so.1`.
fn own_openmp(lib: &Path) -> Option<String> {
    let names = std::fs::read_dir(lib).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with("libgomp") && name.contains(".so")).min()
}

/// Ends the build with both versions and the mend when the headers are another libtorch's.
fn check_version(root: &Path, include: &Path) {
    let Some(found) = header_version(include).or_else(|| file_version(root)) else {
        fail(&format!(
            "{} is not a libtorch: it has no include/torch/headeronly/version.h, version.py or build-version. \
             Run `make setup` (it fetches libtorch {REQUIRED} into .libtorch), or point LIBTORCH at the folder \
             that holds include/ and lib/",
            root.display()
        ));
    };
    if found != REQUIRED {
        fail(&format!(
            "libtorch {REQUIRED} is needed, but {} is libtorch {found}. Unset LIBTORCH and run `make setup`, \
             or point LIBTORCH at a libtorch {REQUIRED}",
            root.display()
        ));
    }
}

/// Newer headers keep the version in `headeronly`, older ones in the C++ API folder.
fn header_version(include: &Path) -> Option<String> {
    let text = ["torch/headeronly/version.h", "torch/csrc/api/include/torch/version.h"]
        .iter()
        .find_map(|file| std::fs::read_to_string(include.join(file)).ok())?;
    let number = |name: &str| {
        let prefix = format!("#define TORCH_VERSION_{name} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&prefix))?;
        Some(line.trim().to_owned())
    };
    Some(format!("{}.{}.{}", number("MAJOR")?, number("MINOR")?, number("PATCH")?))
}

fn file_version(root: &Path) -> Option<String> {
    let python = std::fs::read_to_string(root.join("version.py")).ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("__version__ = "))?;
        Some(line.trim().trim_matches(['\'', '"']).to_owned())
    });
    let text = python.or_else(|| std::fs::read_to_string(root.join("build-version")).ok())?;
    // A wheel writes 2.11.0+cu130; what follows the plus sign is the build, not the version.
    text.trim().split('+').next().map(str::to_owned)
}

fn fail(message: &str) -> ! {
    println!("cargo::error={message}");
    eprintln!("error: {message}");
    exit(1)
}
