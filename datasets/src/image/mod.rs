//! Pixels from files. Knows formats and nothing of labels, boxes or augmentation.
//!
//! The format is read from the first bytes, not from the extension: ImageNet holds a PNG named `.JPEG`, and CMYK JPEGs.

mod jpeg;
mod orientation;
mod png;

use std::path::Path;

pub use self::png::write_png;
use crate::error::Error;

/// Most pixels an image may have: Pillow's own limit against decompression bombs.
pub const MAX_PIXELS: u64 = 178_956_970;

/// An RGB image, 8 bits a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `[Y, X, 3]`, row by row.
    pub rgb: Vec<u8>,
}

/// Reads a JPEG (grey, YCbCr, CMYK) or a PNG as RGB, turned upright by its EXIF orientation. Transparency is dropped,
/// as Pillow's `convert("RGB")` does.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read; [`Error::Data`] naming the file when it is empty, truncated, broken, of
/// another format, or larger than [`MAX_PIXELS`].
pub fn decode(path: &Path) -> Result<Image, Error> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "read the image", e))?;
    decode_bytes(path, &bytes)
}

/// [`decode`] on bytes already read; `path` is only for messages.
pub(crate) fn decode_bytes(path: &Path, bytes: &[u8]) -> Result<Image, Error> {
    const MEND: &str = "Copy the file anew from its source, or remove it";
    let decoded = if bytes.is_empty() {
        Err("the file is empty (0 bytes)".to_string())
    } else if bytes.starts_with(&[0xFF, 0xD8]) {
        jpeg::decode(bytes)
    } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        png::decode(bytes)
    } else {
        return Err(Error::data(
            path,
            "neither a JPEG nor a PNG by its first bytes",
            "Convert it to one of these, or remove it",
        ));
    };
    let (image, orientation) = decoded.map_err(|what| Error::data(path, what, MEND))?;
    Ok(orientation::upright(image, orientation))
}

/// The extension that fits an image's content.
pub(crate) fn extension(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(&[0xFF, 0xD8]) {
        Some("jpg")
    } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some("png")
    } else {
        None
    }
}

/// The message for an image over [`MAX_PIXELS`], or nothing.
fn refuse_huge(width: u64, height: u64) -> Result<(), String> {
    if width.saturating_mul(height) > MAX_PIXELS {
        return Err(format!("{width} x {height} pixels, over the limit of {MAX_PIXELS}"));
    }
    Ok(())
}
