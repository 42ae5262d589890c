//! Walks the headers of a tar file and seeks over the contents. Knows tar and nothing of samples.
//!
//! The `tar` crate reads the fields of a header. The walk itself is ours: that crate reads a long name or a pax header
//! whole, however long it claims to be, and says neither which member is broken nor that the end is missing.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use tar::{EntryType, Header};

use crate::error::Error;

/// Everything in a tar file starts at a multiple of it.
const BLOCK: u64 = 512;
/// Headers are read this many bytes at a time: a pax header, its body, a header and a small label come at once.
const WINDOW: usize = 8192;
/// Longest name, and longest pax header, in bytes.
const MAX_HEADER: u64 = 1 << 16;
/// GNU tar pads to 10 KiB and more after the end of an archive; bytes other than zero this near are another archive.
const PADDING: u64 = 1 << 20;

const MEND_COPY: &str = "Copy the shard anew from its source, or remove it";

/// A member that is a file, or a link to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its path in the archive, without `.` and empty components.
    pub name: String,
    /// Where its bytes start in the shard.
    pub offset: u64,
    /// Their number.
    pub bytes: u64,
    /// A link has no bytes of its own.
    pub is_link: bool,
}

/// A position in a tar file.
pub(crate) struct Walk<'a> {
    file: &'a File,
    path: &'a Path,
    length: u64,
    next: u64,
    window: Vec<u8>,
    window_at: u64,
}

/// What extension headers say of the member that follows them.
#[derive(Default)]
struct Extensions {
    name: Option<Vec<u8>>,
    size: Option<u64>,
}

impl<'a> Walk<'a> {
    /// Stands before the first member. `path` is for messages.
    ///
    /// # Errors
    /// When the system does not tell the file's length, or it is 0.
    pub fn new(file: &'a File, path: &'a Path) -> Result<Self, Error> {
        let length = file.metadata().map_err(|e| Error::io(path, "read the shard", e))?.len();
        if length == 0 {
            return Err(Error::data(path, "the shard is empty (0 bytes)", MEND_COPY));
        }
        Ok(Walk { file, path, length, next: 0, window: Vec::new(), window_at: 0 })
    }

    /// The next file or link; `None` at the archive's end.
    ///
    /// # Errors
    /// [`Error::Data`] naming the member, or the byte, where the shard is truncated or damaged. There is nothing to be
    /// had after it.
    pub fn next_member(&mut self) -> Result<Option<Member>, Error> {
        let mut extensions = Extensions::default();
        loop {
            let at = self.next;
            let Some(block) = self.header(at)? else {
                return self.end(at).map(|()| None);
            };
            let header = Header::from_byte_slice(&block);
            let kind = header.entry_type();
            let is_extension = matches!(
                kind,
                EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader
            );
            let name = match (&extensions.name, is_extension) {
                (Some(name), false) => name.clone(),
                _ => header.path_bytes().into_owned(),
            };
            let stated = header
                .entry_size()
                .map_err(|e| self.damaged(format!("`{}`: its size cannot be read: {e}", shown(&name))))?;
            let bytes = extensions.size.filter(|_| !is_extension).unwrap_or(stated);
            let offset = at + BLOCK;
            let Some(end) = offset.checked_add(bytes).filter(|end| *end <= self.length) else {
                let what = format!("`{}` of {bytes} bytes reaches beyond its end; it is truncated", shown(&name));
                return Err(self.damaged(what));
            };
            self.next = end.next_multiple_of(BLOCK);
            match kind {
                EntryType::GNULongName => {
                    let mut long = self.extension(offset, bytes)?.to_vec();
                    long.truncate(long.iter().position(|&b| b == 0).unwrap_or(long.len()));
                    extensions.name = Some(long);
                }
                EntryType::XHeader => self.pax(offset, bytes, &mut extensions)?,
                EntryType::GNUSparse => return Err(self.sparse(&name)),
                EntryType::Regular | EntryType::Continuous | EntryType::Link | EntryType::Symlink
                    // Old archives end the names of folders so.
                    if !name.ends_with(b"/") =>
                {
                    let name = String::from_utf8(name).map_err(|e| {
                        let name = shown(e.as_bytes());
                        Error::data(self.path, format!("the name `{name}` is not valid UTF-8"), "Rename the member")
                    })?;
                    let is_link = matches!(kind, EntryType::Link | EntryType::Symlink);
                    return Ok(Some(Member { name: clean(&name), offset, bytes, is_link }));
                }
                EntryType::GNULongLink | EntryType::XGlobalHeader => {}
                _ => extensions = Extensions::default(),
            }
        }
    }

    /// The contents of a member of at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::Data`] for a longer one, [`Error::Io`].
    pub fn contents(&mut self, member: &Member, limit: u64) -> Result<&[u8], Error> {
        if member.bytes > limit {
            return Err(Error::data(
                &inside(self.path, &member.name),
                format!("{} bytes, where at most {limit} are expected", member.bytes),
                "Mend the member, then pack the shard again",
            ));
        }
        self.bytes(member.offset, member.bytes)
    }

    /// The header at a position, or `None` for the block of zeros that ends an archive.
    fn header(&mut self, at: u64) -> Result<Option<[u8; BLOCK as usize]>, Error> {
        if at >= self.length {
            return Err(self.damaged("it ends without the end-of-archive marker; it is truncated"));
        }
        if self.length - at < BLOCK {
            return Err(self.damaged(format!("it ends within the header at byte {at}; it is truncated")));
        }
        let mut block = [0; BLOCK as usize];
        block.copy_from_slice(self.bytes(at, BLOCK)?);
        if block.iter().all(|&b| b == 0) {
            return Ok(None);
        }
        let sum = block.iter().enumerate().map(|(i, &b)| u32::from(if (148..156).contains(&i) { b' ' } else { b }));
        let sum: u32 = sum.sum();
        if Header::from_byte_slice(&block).cksum().ok() != Some(sum) {
            if at == 0 && block.starts_with(&[0x1F, 0x8B]) {
                return Err(Error::data(self.path, "the shard is compressed with gzip", "Unpack it with gunzip"));
            }
            let what = if at == 0 {
                "it is not a tar file, or damaged: the checksum of its first header is wrong".to_string()
            } else {
                format!("the checksum of the header at byte {at} is wrong")
            };
            return Err(self.damaged(what));
        }
        Ok(Some(block))
    }

    /// What follows the end of an archive must be padding, or samples would be lost in silence.
    fn end(&mut self, at: u64) -> Result<(), Error> {
        let mut from = at;
        let until = self.length.min(at + PADDING);
        while from < until {
            let n = (until - from).min(WINDOW as u64);
            if self.bytes(from, n)?.iter().any(|&b| b != 0) {
                return Err(Error::data(
                    self.path,
                    format!("more bytes follow the end of the archive at byte {at}: archives joined with cat?"),
                    "Keep each archive in a file of its own, or join them with `tar --concatenate`",
                ));
            }
            from += n;
        }
        Ok(())
    }

    /// The body of an extension header.
    fn extension(&mut self, at: u64, bytes: u64) -> Result<&[u8], Error> {
        if bytes > MAX_HEADER {
            return Err(self.damaged(format!("the extension header at byte {at} claims {bytes} bytes")));
        }
        self.bytes(at, bytes)
    }

    /// Reads `LENGTH KEY=VALUE\n` records (POSIX.1-2001).
    fn pax(&mut self, at: u64, bytes: u64, extensions: &mut Extensions) -> Result<(), Error> {
        let body = self.extension(at, bytes)?;
        let mut rest = body;
        let mut is_sparse = false;
        while !rest.is_empty() && rest[0] != 0 {
            let Some((key, value, after)) = pax_record(rest) else {
                return Err(self.damaged(format!("the pax header at byte {at} is broken")));
            };
            match key {
                b"path" => extensions.name = Some(value.to_vec()),
                b"size" => match std::str::from_utf8(value).ok().and_then(|v| v.parse().ok()) {
                    Some(size) => extensions.size = Some(size),
                    None => return Err(self.damaged(format!("the pax header at byte {at} states no usable size"))),
                },
                _ => is_sparse |= key.starts_with(b"GNU.sparse."),
            }
            rest = after;
        }
        if is_sparse {
            let name = extensions.name.clone().unwrap_or_default();
            return Err(self.sparse(&name));
        }
        Ok(())
    }

    /// `n` bytes at a position; both within the file.
    fn bytes(&mut self, at: u64, n: u64) -> Result<&[u8], Error> {
        let n = n as usize;
        let held = at.checked_sub(self.window_at).and_then(|from| usize::try_from(from).ok());
        let from = match held.filter(|from| from.saturating_add(n) <= self.window.len()) {
            Some(from) => from,
            None => {
                let wanted = n.max(WINDOW).min((self.length - at) as usize);
                self.window.resize(wanted, 0);
                self.window_at = at;
                self.file.read_exact_at(&mut self.window, at).map_err(|e| Error::io(self.path, "read the shard", e))?;
                0
            }
        };
        Ok(&self.window[from..from + n])
    }

    fn damaged(&self, what: impl Into<String>) -> Error {
        Error::data(self.path, what, MEND_COPY)
    }

    fn sparse(&self, name: &[u8]) -> Error {
        Error::data(
            self.path,
            format!("`{}` is stored as a sparse file, which cannot be read in place", shown(name)),
            "Pack the shard again without --sparse",
        )
    }
}

/// Key, value and the rest after one record.
fn pax_record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().position(|&b| b == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&b| b == b'=')?;
    Some((&record[..equals], &record[equals + 1..], &bytes[length..]))
}

/// How messages name a member: `train-000003.tar: n01440764_10026.jpg`.
pub(crate) fn inside(shard: &Path, member: &str) -> std::path::PathBuf {
    let mut shown = shard.as_os_str().to_os_string();
    shown.push(": ");
    shown.push(member);
    shown.into()
}

/// A name without `.` and empty components, so that `./a.jpg` is `a.jpg`. `..` stays: nothing is ever written there.
pub(crate) fn clean(name: &str) -> String {
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    parts.join("/")
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use super::*;

    fn walk(path: &Path) -> Result<Vec<Member>, Error> {
        let file = File::open(path).unwrap();
        let mut walk = Walk::new(&file, path)?;
        std::iter::from_fn(|| walk.next_member().transpose()).collect()
    }

    fn fixtures() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/shards")
    }

    #[test]
    fn members_lie_where_pythons_tarfile_finds_them() {
        #[derive(serde::Deserialize)]
        struct Expected {
            members: BTreeMap<String, Vec<(String, u64, u64, bool)>>,
        }
        let text = std::fs::read(fixtures().join("expected.json")).unwrap();
        let expected: Expected = serde_json::from_slice(&text).unwrap();
        assert_eq!(expected.members.len(), 4);
        for (name, members) in expected.members {
            let found = walk(&fixtures().join(&name)).unwrap();
            let found: Vec<_> = found.into_iter().map(|m| (m.name, m.offset, m.bytes, m.is_link)).collect();
            assert_eq!(found, members, "{name}");
        }
    }

    #[test]
    fn a_shard_cut_anywhere_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cut.tar");
        for name in ["webdataset.tar", "gnu.tar"] {
            let whole = std::fs::read(fixtures().join(name)).unwrap();
            // Only zeros follow the last block that holds anything; the first of them ends the archive.
            let end = whole.iter().rposition(|&b| b != 0).unwrap().next_multiple_of(BLOCK as usize) + BLOCK as usize;
            for length in (0..whole.len()).step_by(97) {
                std::fs::write(&path, &whole[..length]).unwrap();
                let walked = walk(&path);
                assert_eq!(walked.is_ok(), length >= end, "{name} cut at {length} of {end}: {walked:?}");
            }
        }
    }

    #[test]
    fn huge_claims_neither_allocate_nor_panic() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("claims.tar");
        for kind in [EntryType::Regular, EntryType::GNULongName, EntryType::XHeader, EntryType::GNUSparse] {
            for size in [1 << 20, 1 << 40, u64::MAX - 1000, u64::MAX] {
                let mut header = Header::new_gnu();
                header.set_path("a.jpg").unwrap();
                header.set_entry_type(kind);
                header.set_size(size);
                header.set_cksum();
                std::fs::write(&path, header.as_bytes()).unwrap();
                // A file of holes has the room that is claimed, and takes none.
                for length in [4096, 1u64 << 41] {
                    File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
                    let walked = walk(&path);
                    let fits = kind == EntryType::Regular && size < length;
                    assert_eq!(walked.is_ok(), fits, "{kind:?} of {size} in {length}: {walked:?}");
                }
            }
        }
    }

    #[test]
    fn every_flipped_byte_of_a_header_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("flipped.tar");
        let whole = std::fs::read(fixtures().join("ustar.tar")).unwrap();
        for at in 0..BLOCK as usize {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x15;
            std::fs::write(&path, bytes).unwrap();
            let message = walk(&path).map(|_| ()).map_err(|e| e.to_string());
            // The blank after the checksum's digits carries nothing.
            assert!(message.as_ref().is_err_and(|m| m.contains("checksum")) || at == 155, "byte {at}: {message:?}");
        }
    }
}
