//! Build script of every crate whose binaries or tests load libtorch: writes the library folder that
//! torch-sys found into the run path, so that they start without LD_LIBRARY_PATH.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if let Ok(lib) = std::env::var("DEP_ADAMV_NATIVE_LIBTORCH_LIB") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{lib}");
    }
}
