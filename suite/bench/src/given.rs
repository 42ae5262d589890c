//! Paths given as arguments: what must be there is looked for before any work begins.

use std::path::Path;

use crate::exit::Failure;

/// `path`, the value of the argument `name`, is a file; `mend` says what to give instead.
pub fn file(name: &str, path: &Path, mend: &str) -> Result<(), Failure> {
    there(name, "file", path, path.is_file(), mend)
}

/// `path`, the value of the argument `name`, is a folder; `mend` says what to give instead.
pub fn folder(name: &str, path: &Path, mend: &str) -> Result<(), Failure> {
    there(name, "folder", path, path.is_dir(), mend)
}

fn there(name: &str, kind: &str, path: &Path, is_there: bool, mend: &str) -> Result<(), Failure> {
    if is_there {
        return Ok(());
    }
    Err(Failure::usage(format!("{name}: there is no {kind} `{}`; {mend}", path.display())))
}
