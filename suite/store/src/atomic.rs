//! Atomic writing: a file is there whole or not at all. May not touch what a file means.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

/// Ends the name of a file that is still being written; such a file is never read.
const TEMPORARY: &str = ".adamv-tmp";

/// Writes `path` through `write`: a temporary file in the same folder, fsync, rename. Missing parent folders are made.
///
/// # Errors
/// Whatever `write` or the file system reports, with the path; [`Error::Full`] when the disk is full. The temporary file is
/// then gone and an older `path` is untouched.
pub fn write_atomic(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(|e| Error::io("make the folder", folder, e))?;
    let temporary = temporary_name(folder, path);
    write_and_rename(&temporary, path, folder, write).inspect_err(|_| {
        // The first error is the one to tell; when the file system refuses even this, the next `lock` sweeps it up.
        let _ = fs::remove_file(&temporary);
    })
}

/// [`write_atomic`] of bytes that are already there.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_bytes_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomic(path, |file| file.write_all(bytes))
}

fn write_and_rename(
    temporary: &Path,
    path: &Path,
    folder: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<()> {
    let mut file = File::create_new(temporary).map_err(|e| Error::io("write", path, e))?;
    write(&mut file).and_then(|()| file.sync_all()).map_err(|e| Error::io("write", path, e))?;
    drop(file);
    fs::rename(temporary, path).map_err(|e| Error::io("write", path, e))?;
    // The rename itself is durable once the folder is. Some file systems cannot sync a folder; the file is in place all the same.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// `.NAME.PID-N.adamv-tmp`: unique in this process, so that two threads never write the same one.
fn temporary_name(folder: &Path, path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or(OsStr::new("file")));
    name.push(format!(".{}-{}{TEMPORARY}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    folder.join(name)
}

/// Removes what killed writers left below `folder`. Only for the holder of the run's lock: nobody else writes there.
pub(crate) fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            sweep(&entry.path());
        } else if kind.is_file() && entry.file_name().as_encoded_bytes().ends_with(TEMPORARY.as_bytes()) {
            // A leftover that cannot be removed costs space, not correctness.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record.json");
        write_bytes_atomic(&path, b"old").unwrap();
        let error = write_atomic(&path, |file| {
            file.write_all(b"half of the ne")?;
            Err(io::Error::other("interrupted"))
        })
        .unwrap_err();
        assert!(error.to_string().contains("record.json") && error.to_string().contains("interrupted"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["record.json"]);
    }

    #[test]
    fn missing_folders_are_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/file");
        write_bytes_atomic(&path, b"x").unwrap();
        assert_eq!(fs::read(path).unwrap(), b"x");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_names_the_path_and_the_mend() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.parquet");
        let error =
            write_atomic(&path, |_| File::options().write(true).open("/dev/full")?.write_all(b"x")).unwrap_err();
        assert!(matches!(error, Error::Full { .. }));
        let message = error.to_string();
        assert!(message.contains("history.parquet") && message.contains("free some space"), "{message}");
        assert!(names(dir.path()).is_empty());
    }

    /// A real file system of 64 KiB. Needs the right to mount: elsewhere it says that it was skipped, and the test above stands.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_file_system_keeps_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(dir.path())
            .stderr(std::process::Stdio::null())
            .status();
        if !mount.is_ok_and(|s| s.success()) {
            eprintln!("skipped: no right to mount a tmpfs");
            return;
        }
        let path = dir.path().join("record.json");
        write_bytes_atomic(&path, b"old").unwrap();
        let error = write_bytes_atomic(&path, &vec![7; 1 << 20]);
        let (left, old) = (names(dir.path()), fs::read(&path));
        let unmounted = std::process::Command::new("umount").arg(dir.path()).status().unwrap().success();
        assert!(unmounted);
        assert!(matches!(error, Err(Error::Full { .. })), "{error:?}");
        assert_eq!(left, ["record.json"]);
        assert_eq!(old.unwrap(), b"old");
    }

    #[test]
    fn sweep_removes_only_temporaries() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("cell")).unwrap();
        fs::write(dir.path().join("cell/.record.json.1-0.adamv-tmp"), "half").unwrap();
        fs::write(dir.path().join("cell/record.json"), "{}").unwrap();
        sweep(dir.path());
        assert_eq!(names(&dir.path().join("cell")), ["record.json"]);
    }
}
