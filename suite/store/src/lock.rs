//! One process a run directory: an advisory lock of the operating system on `<out>/.lock`, so that it goes with its holder,
//! also when that is killed.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::atomic::sweep;
use crate::error::{Error, Result};

/// [`is_locked`] holds a shared lock for a moment; a new holder waits that long before it gives up.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(30);

/// The right to write into a run directory, until it is dropped.
#[derive(Debug)]
pub struct RunLock {
    file: File,
    path: PathBuf,
}

impl RunLock {
    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // The pid is for people only: one that stays behind does no harm. Closing the file releases the lock.
        let _ = self.file.set_len(0);
    }
}

/// Takes the run directory `dir` (made if missing) for this process, and removes the half-written files of killed ones.
///
/// # Errors
/// [`Error::Locked`] with the holder's pid when another holds it (another lock of this process counts); the errors of the file
/// system.
pub fn lock(dir: &Path) -> Result<RunLock> {
    fs::create_dir_all(dir).map_err(|e| Error::io("make the folder", dir, e))?;
    let path = lock_path(dir);
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|e| Error::io("open", &path, e))?;
    for attempt in 1.. {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if attempt < TRIES => thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let known = file.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
                let pid = if known { pid.trim().to_owned() } else { "unknown".to_owned() };
                return Err(Error::Locked { path: dir.to_owned(), pid });
            }
            Err(TryLockError::Error(e)) => return Err(Error::io("lock", &path, e)),
        }
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(|e| Error::io("write", &path, e))?;
    sweep(dir);
    Ok(RunLock { file, path })
}

/// Whether a process holds the run directory `dir` now. Changes nothing; a folder without lock file is free.
pub fn is_locked(dir: &Path) -> bool {
    File::open(lock_path(dir)).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn lock_path(dir: &Path) -> PathBuf {
    dir.join(".lock")
}
