//! Reads IDX files, the format of MNIST and Fashion-MNIST, plain or gzipped. Knows bytes and counts, no classes.
//!
//! The format (<http://yann.lecun.com/exdb/mnist/>), all numbers big-endian and of 32 bits: two zero bytes, the type of
//! the data (8: unsigned bytes), the number of dimensions, the size of each, the data row by row.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::error::Error;

/// Rows and columns of an image.
pub(super) const SIDE: usize = 28;
/// Most items in a file: far more than the 60,000 of the real one, and below 1 GiB.
const MOST_ITEMS: usize = 1_000_000;
const MEND: &str = "Copy the file anew from its source (apt-get install --reinstall dataset-fashion-mnist, or \
                    https://github.com/zalandoresearch/fashion-mnist)";

/// What a file holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `[N, Y, X]`, 28 x 28 pixels each.
    Images,
    /// `[N]`.
    Labels,
}

impl Kind {
    /// First four bytes: unsigned bytes in three dimensions or in one.
    fn magic(self) -> u32 {
        match self {
            Kind::Images => 0x0803,
            Kind::Labels => 0x0801,
        }
    }

    fn header_len(self) -> usize {
        match self {
            Kind::Images => 16,
            Kind::Labels => 8,
        }
    }

    /// Bytes of an item.
    pub fn item_len(self) -> usize {
        match self {
            Kind::Images => SIDE * SIDE,
            Kind::Labels => 1,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Images => "images",
            Kind::Labels => "labels",
        }
    }
}

/// The data of a file, without its header. Whether it is gzipped is read from its first bytes.
///
/// # Errors
/// [`Error::Io`] when the system refuses; [`Error::Data`] for gzip that breaks off or does not decode, another magic
/// number, images of another size, no items or more than a million, fewer or more bytes than the header announces.
pub(super) fn read(path: &Path, kind: Kind) -> Result<Vec<u8>, Error> {
    let wrap = |e| Error::io(path, "read the file", e);
    let mut file = File::open(path).map_err(wrap)?;
    let mut first = Vec::new();
    file.by_ref().take(2).read_to_end(&mut first).map_err(wrap)?;
    let whole = first.as_slice().chain(BufReader::new(file));
    // What is wrong with the content is the file's fault; only a plain file's reader can fail by the system's.
    match first.as_slice() {
        [0x1F, 0x8B] => parse(MultiGzDecoder::new(whole), kind).map_err(|fault| match fault {
            Fault::Content(what) => Error::data(path, what, MEND),
            Fault::Read(e) => Error::data(path, format!("broken gzip: {e}"), MEND),
        }),
        _ => parse(whole, kind).map_err(|fault| match fault {
            Fault::Content(what) => Error::data(path, what, MEND),
            Fault::Read(e) => wrap(e),
        }),
    }
}

enum Fault {
    Content(String),
    Read(std::io::Error),
}

fn parse(mut source: impl Read, kind: Kind) -> Result<Vec<u8>, Fault> {
    let wrong = |what: String| Err(Fault::Content(what));
    let mut header = Vec::new();
    source.by_ref().take(kind.header_len() as u64).read_to_end(&mut header).map_err(Fault::Read)?;
    let words: Vec<u32> = header.chunks_exact(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]])).collect();
    if let Some(&magic) = words.first()
        && magic != kind.magic()
    {
        return wrong(format!(
            "it begins with 0x{magic:08x}, but an IDX file of {} begins with 0x{:08x}",
            kind.name(),
            kind.magic()
        ));
    }
    if header.len() < kind.header_len() {
        return wrong(format!(
            "truncated: {} bytes, and the header of an IDX file of {} has {}",
            header.len(),
            kind.name(),
            kind.header_len()
        ));
    }
    if let [_, _, rows, columns] = words[..]
        && (rows as usize, columns as usize) != (SIDE, SIDE)
    {
        return wrong(format!("its images have {rows} x {columns} pixels, but those of Fashion-MNIST have 28 x 28"));
    }
    let count = words[1] as usize;
    if !(1..=MOST_ITEMS).contains(&count) {
        return wrong(format!("its header announces {count} {}; from 1 to {MOST_ITEMS} can be read", kind.name()));
    }
    let wanted = count * kind.item_len();
    let mut data = Vec::new();
    source.take(wanted as u64 + 1).read_to_end(&mut data).map_err(Fault::Read)?;
    let announced = format!("its header announces {count} {}, {wanted} bytes", kind.name());
    if data.len() < wanted {
        return wrong(format!("truncated: {announced}, and {} follow", data.len()));
    }
    if data.len() > wanted {
        return wrong(format!("too long: {announced}, and more follow"));
    }
    Ok(data)
}
