//! Where a sample's bytes lie: in a file of its own, or in a shard. Reads them and knows nothing of what they hold.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::Error;
use crate::shards::inside;

/// Most bytes that are read as one image. An image of the most pixels allowed needs less, even uncompressed.
const MAX_BYTES: u64 = 1 << 30;

/// Shards that are kept open at a time, all data sets together. Systems often allow a process no more than 1024 files.
const MAX_OPEN: usize = 512;

static OPEN: AtomicUsize = AtomicUsize::new(0);

/// A tar file, shared by the samples in it. It stays open, so that reading a sample is one call; only beyond
/// [`MAX_OPEN`] shards it is opened for each sample.
#[derive(Debug)]
pub(crate) struct Shard {
    path: PathBuf,
    kept: Option<File>,
}

impl Shard {
    pub fn new(path: PathBuf, file: File) -> Self {
        let room = OPEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < MAX_OPEN).then_some(n + 1));
        Shard { path, kept: room.is_ok().then_some(file) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match &self.kept {
            Some(file) => file.read_exact_at(buffer, offset),
            None => File::open(&self.path)?.read_exact_at(buffer, offset),
        }
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        if self.kept.is_some() {
            OPEN.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A file, or a range of a shard.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    File(PathBuf),
    Member { shard: Arc<Shard>, name: String, offset: u64, bytes: u64 },
}

impl Place {
    /// All of its bytes. May be called from many threads at once.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Data`], naming file or shard and member.
    pub fn read(&self) -> Result<Vec<u8>, Error> {
        match self {
            Place::File(path) => fs::read(path).map_err(|e| Error::io(path, "read the image", e)),
            Place::Member { bytes, .. } if *bytes > MAX_BYTES => Err(Error::data(
                &self.path(),
                format!("{bytes} bytes are too many for an image"),
                format!("Replace it by an image of at most {MAX_BYTES} bytes"),
            )),
            Place::Member { shard, offset, bytes, .. } => {
                let mut buffer = vec![0; *bytes as usize];
                shard.read_at(&mut buffer, *offset).map_err(|e| Error::io(&self.path(), "read the image", e))?;
                Ok(buffer)
            }
        }
    }

    /// Its first bytes, at most `limit`.
    ///
    /// # Errors
    /// As [`Place::read`].
    pub fn read_head(&self, limit: u64) -> Result<Vec<u8>, Error> {
        match self {
            Place::File(path) => {
                let mut head = Vec::new();
                let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut head));
                read.map(|_| head).map_err(|e| Error::io(path, "read the image", e))
            }
            Place::Member { shard, name, offset, bytes } => {
                let bytes = limit.min(*bytes);
                Place::Member { shard: Arc::clone(shard), name: name.clone(), offset: *offset, bytes }.read()
            }
        }
    }

    /// How messages name it: the file's path, or `SHARD: MEMBER`.
    pub fn path(&self) -> PathBuf {
        match self {
            Place::File(path) => path.clone(),
            Place::Member { shard, name, .. } => inside(shard.path(), name),
        }
    }
}
