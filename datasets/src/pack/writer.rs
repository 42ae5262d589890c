//! Writes shards: cuts a list of samples by size and writes the tar files side by side. Knows no layouts.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;

use rayon::prelude::*;
use tar::{Builder, Header};

use crate::error::Error;
use crate::image;
use crate::place::Place;

/// An image to pack.
pub(super) struct Sample {
    /// Its members' name without extension.
    pub key: String,
    pub place: Place,
    pub bytes: u64,
}

/// Writes `folder/NAME-000000.tar` and so on: image i as `KEY.jpg` or `KEY.png` and `side(i)` as `KEY.EXTENSION`. Gives
/// the shards' sizes in bytes.
pub(super) fn write(
    folder: &Path,
    name: &str,
    samples: &[Sample],
    extension: &str,
    side: impl Fn(usize) -> Vec<u8> + Sync,
    shard_bytes: u64,
) -> Result<Vec<u64>, Error> {
    let written: Vec<Result<u64, Error>> = cut(samples, shard_bytes)
        .into_par_iter()
        .enumerate()
        .map(|(n, range)| {
            let path = folder.join(format!("{name}-{n:06}.tar"));
            let wrap = |e| Error::io(&path, "write the shard", e);
            let mut shard = Shard::new(File::create(&path).map_err(wrap)?);
            for i in range {
                let Sample { key, place, .. } = &samples[i];
                let bytes = place.read()?;
                let Some(image) = image::extension(&bytes) else {
                    return Err(Error::data(
                        &place.path(),
                        "neither a JPEG nor a PNG by its first bytes",
                        "Restore or remove it; `adamv-bench data check` lists all such files",
                    ));
                };
                shard.append(&format!("{key}.{image}"), &bytes).map_err(wrap)?;
                shard.append(&format!("{key}.{extension}"), &side(i)).map_err(wrap)?;
            }
            shard.finish().map_err(wrap)
        })
        .collect();
    written.into_iter().collect()
}

/// Ranges of samples whose images take up to `most` bytes, at least one sample each.
fn cut(samples: &[Sample], most: u64) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut from, mut bytes) = (0, 0u64);
    for (i, sample) in samples.iter().enumerate() {
        if i > from && bytes.saturating_add(sample.bytes) > most {
            ranges.push(from..i);
            (from, bytes) = (i, 0);
        }
        bytes = bytes.saturating_add(sample.bytes);
    }
    if from < samples.len() {
        ranges.push(from..samples.len());
    }
    ranges
}

/// A tar file in which nothing depends on who writes it, or when.
struct Shard(Builder<BufWriter<File>>);

impl Shard {
    fn new(file: File) -> Self {
        Shard(Builder::new(BufWriter::with_capacity(1 << 20, file)))
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        self.0.append_data(&mut header, name, bytes)
    }

    /// Ends the archive and gives its size. Waits for the disk, which may still find that it is full.
    fn finish(self) -> std::io::Result<u64> {
        let mut writer = self.0.into_inner()?;
        writer.flush()?;
        writer.get_ref().sync_all()?;
        Ok(writer.get_ref().metadata()?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sized(bytes: u64) -> Sample {
        Sample { key: "k".into(), place: Place::File("x".into()), bytes }
    }

    #[test]
    fn shards_are_cut_before_they_exceed_the_limit() {
        let samples: Vec<Sample> = [4, 4, 2, 11, 1, 9, u64::MAX].map(sized).into();
        assert_eq!(cut(&samples, 10), [0..3, 3..4, 4..6, 6..7]);
        assert_eq!(cut(&samples, 0).len(), 7);
        assert_eq!(cut(&[], 10), []);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_noticed() {
        let mut shard = Shard::new(File::create("/dev/full").unwrap());
        shard.append("a.jpg", b"x").unwrap();
        let error = shard.finish().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }
}
