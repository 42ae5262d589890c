//! JPEG to RGB: plain baseline pictures through `baseline`, which can decode a part of one; all others through zune-jpeg,
//! strict about files that end early.

mod baseline;
mod colour;
mod header;
mod huffman;
mod idct;

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use self::header::Header;
use super::{Image, Rectangle, orientation, refuse_huge};

/// Largest side that the format can express.
const MAX_SIDE: usize = 65_535;

/// Something that plain baseline pictures don't have. Says nothing more: the general decoder finds the words.
#[derive(Debug)]
struct Odd;

/// A JPEG whose headers were read.
pub(super) struct Jpeg<'a> {
    bytes: &'a [u8],
    header: Header<'a>,
}

impl<'a> Jpeg<'a> {
    /// Reads the headers of a plain baseline picture; nothing for any other, which [`decode`] reads.
    ///
    /// # Errors
    /// When the file ends early or has more pixels than are allowed.
    pub fn baseline(bytes: &'a [u8]) -> Result<Option<Self>, String> {
        if !reaches_end(bytes) {
            return Err(TRUNCATED.to_string());
        }
        let Ok(header) = Header::read(bytes) else {
            return Ok(None);
        };
        refuse_huge(u64::from(header.width), u64::from(header.height))?;
        Ok(Some(Jpeg { bytes, header }))
    }

    /// Columns and rows as stored.
    pub fn size(&self) -> [u32; 2] {
        [self.header.width, self.header.height]
    }

    /// EXIF orientation, 1 to 8.
    pub fn orientation(&self) -> u8 {
        self.header.orientation
    }

    /// A rectangle of the picture as stored, which must lie inside it; the same pixels as cut from the whole. Damage
    /// below the rectangle goes unnoticed.
    pub fn decode(&self, area: Rectangle) -> Result<Image, String> {
        baseline::decode(&self.header, area).or_else(|Odd| {
            let (whole, _) = decode_any(self.bytes)?;
            if [whole.width, whole.height] != self.size() {
                return Err("broken JPEG: its headers contradict each other".to_string());
            }
            Ok(whole.cut(area))
        })
    }
}

const TRUNCATED: &str = "truncated JPEG: the end-of-image marker is missing";

/// Any JPEG as stored, and its EXIF orientation.
pub(super) fn decode(bytes: &[u8]) -> Result<(Image, u8), String> {
    if !reaches_end(bytes) {
        return Err(TRUNCATED.to_string());
    }
    decode_any(bytes)
}

fn decode_any(bytes: &[u8]) -> Result<(Image, u8), String> {
    decode_with(bytes, true).or_else(|what| {
        // Strict mode is wanted for damaged pixel data, which would else come out grey. It also refuses stray bytes
        // between headers, which every other decoder skips and which real collections hold.
        if what.contains("Extra bytes between headers") { decode_with(bytes, false) } else { Err(what) }
    })
}
fn decode_with(bytes: &[u8], strict: bool) -> Result<(Image, u8), String> {
    let options = DecoderOptions::default()
        .set_strict_mode(strict)
        .set_max_width(MAX_SIDE)
        .set_max_height(MAX_SIDE)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let broken = |e: zune_jpeg::errors::DecodeErrors| format!("broken JPEG: {e}");
    decoder.decode_headers().map_err(broken)?;
    let info = decoder.info().ok_or("broken JPEG: no header")?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    refuse_huge(u64::from(width), u64::from(height))?;
    let rgb = decoder.decode().map_err(broken)?;
    if rgb.len() as u64 != u64::from(width) * u64::from(height) * 3 {
        return Err("broken JPEG: an unusual number of channels".to_string());
    }
    let turn = info.exif_data.as_deref().map_or(1, orientation::from_exif);
    Ok((Image { width, height, rgb }, turn))
}

/// Whether the marker stream ends with an end-of-image marker. A decoder alone does not notice a file cut within its
/// last row of blocks. Thumbnails inside EXIF hold end markers too, so segments are skipped by their length.
fn reaches_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        // Inside entropy-coded data and between segments alike, the next marker is 0xFF and a byte that is neither
        // 0x00 (stuffing), 0xFF (fill) nor a restart marker.
        let Some(found) =
            bytes.get(at..).and_then(|rest| rest.windows(2).position(|w| w[0] == 0xFF && is_marker(w[1])))
        else {
            return false;
        };
        at += found + 2;
        if bytes[at - 1] == 0xD9 {
            return true;
        }
        let Some(length) = bytes.get(at..at + 2) else {
            return false;
        };
        at += usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
    }
}

fn is_marker(byte: u8) -> bool {
    !matches!(byte, 0x00 | 0x01 | 0xD0..=0xD8 | 0xFF)
}
