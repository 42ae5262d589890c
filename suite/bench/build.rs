//! Build script: the run path to libtorch, as for every crate that loads it (see `suite/native/rpath.rs`), and the git commit
//! that the binary is made from.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if let Ok(lib) = std::env::var("DEP_ADAMV_NATIVE_LIBTORCH_LIB") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{lib}");
    }
    println!("cargo::rustc-env=ADAMV_COMMIT={}", commit().unwrap_or_else(|| "unknown".into()));
}

/// The commit, with `-dirty` when tracked files differ from it; None outside a repository of our own.
fn commit() -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().ok()?;
    // A copy of the source inside somebody else's repository must not take that one's commit.
    if PathBuf::from(git(&root, &["rev-parse", "--show-toplevel"])?).canonicalize().ok()? != root {
        return None;
    }
    let commit = git(&root, &["rev-parse", "--short=12", "HEAD"])?;
    // Sources decide whether the tree is dirty; HEAD and its branch decide the commit.
    let branch = git(&root, &["symbolic-ref", "-q", "HEAD"]);
    for name in ["HEAD", "packed-refs"].into_iter().chain(branch.as_deref()) {
        let file = root.join(git(&root, &["rev-parse", "--git-path", name])?);
        if file.exists() {
            println!("cargo::rerun-if-changed={}", file.display());
        }
    }
    for folder in ["datasets", "suite", "reports", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(folder).display());
    }
    let dirty = !git(&root, &["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Some(if dirty { format!("{commit}-dirty") } else { commit })
}

/// What git prints, without the line's end; None when it fails or isn't there.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
}
