//! Pixels from files. Knows formats and nothing of labels, boxes or augmentation.
//!
//! The format is read from the first bytes, not from the extension: ImageNet holds a PNG named `.JPEG`, and CMYK JPEGs.

mod jpeg;
mod orientation;
mod png;
mod size;

use std::path::Path;

use self::jpeg::Jpeg;
pub(crate) use self::png::write_grey_png;
pub use self::png::{png_bytes, write_png};
pub(crate) use self::size::size;
use crate::error::Error;
use crate::place::Place;

/// How to mend a file that is there and isn't whole.
const MEND: &str = "Copy the file anew from its source, or remove it";

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

/// A rectangle in whole pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rectangle {
    /// First column.
    pub left: u32,
    /// First row.
    pub top: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Image {
    /// The rectangle, which must lie inside the image.
    pub fn cut(&self, area: Rectangle) -> Image {
        let mut rgb = Vec::with_capacity(area.width as usize * area.height as usize * 3);
        for y in area.top..area.top + area.height {
            let from = 3 * (y as usize * self.width as usize + area.left as usize);
            rgb.extend_from_slice(&self.rgb[from..from + 3 * area.width as usize]);
        }
        Image { width: area.width, height: area.height, rgb }
    }
}

/// An image file of which the size is known and the pixels may still be encoded.
pub struct Encoded<'a> {
    path: &'a Path,
    size: [u32; 2],
    pixels: Pixels<'a>,
}

enum Pixels<'a> {
    /// Any part can be had for itself.
    Baseline(Box<Jpeg<'a>>),
    /// Upright.
    Decoded(Image),
}

impl<'a> Encoded<'a> {
    /// Reads the headers of a JPEG (grey, YCbCr, CMYK) or a PNG; formats that can't be decoded in part are decoded now.
    /// `path` is only for messages.
    ///
    /// # Errors
    /// [`Error::Data`] naming the file when it is empty, truncated, broken, of another format, or larger than
    /// [`MAX_PIXELS`].
    pub fn open(path: &'a Path, bytes: &'a [u8]) -> Result<Self, Error> {
        let pixels = Pixels::read(path, bytes)?;
        let size = match &pixels {
            Pixels::Baseline(jpeg) => orientation::upright_size(jpeg.size(), jpeg.orientation()),
            Pixels::Decoded(image) => [image.width, image.height],
        };
        Ok(Encoded { path, size, pixels })
    }

    /// Columns, once the image is upright.
    pub fn width(&self) -> u32 {
        self.size[0]
    }

    /// Rows, once the image is upright.
    pub fn height(&self) -> u32 {
        self.size[1]
    }

    /// The whole image as RGB, turned upright by its EXIF orientation. Transparency is dropped, as Pillow's
    /// `convert("RGB")` does.
    ///
    /// # Errors
    /// [`Error::Data`] naming the file when its pixels are damaged.
    pub fn decode(self) -> Result<Image, Error> {
        let whole = Rectangle { left: 0, top: 0, width: self.size[0], height: self.size[1] };
        match self.pixels {
            Pixels::Decoded(image) => Ok(image),
            Pixels::Baseline(_) => self.decode_part(whole),
        }
    }

    /// A rectangle of the upright image, which must lie inside it: the same pixels as cut from the whole. Damage outside
    /// it may go unnoticed.
    ///
    /// # Errors
    /// As [`Encoded::decode`].
    pub fn decode_part(&self, area: Rectangle) -> Result<Image, Error> {
        match &self.pixels {
            Pixels::Decoded(image) => Ok(image.cut(area)),
            Pixels::Baseline(jpeg) => {
                let stored = orientation::stored_area(area, jpeg.size(), jpeg.orientation());
                let part = jpeg.decode(stored).map_err(|what| Error::data(self.path, what, MEND))?;
                Ok(orientation::upright(part, jpeg.orientation()))
            }
        }
    }
}

impl<'a> Pixels<'a> {
    fn read(path: &Path, bytes: &'a [u8]) -> Result<Self, Error> {
        let broken = |what: String| Error::data(path, what, MEND);
        let (image, turn) = match extension(bytes) {
            Some("jpg") => {
                if let Some(jpeg) = Jpeg::baseline(bytes).map_err(broken)? {
                    return Ok(Pixels::Baseline(Box::new(jpeg)));
                }
                jpeg::decode(bytes).map_err(broken)?
            }
            Some(_) => png::decode(bytes).map_err(broken)?,
            None if bytes.is_empty() => return Err(broken("the file is empty (0 bytes)".to_string())),
            None => {
                return Err(Error::data(
                    path,
                    "neither a JPEG nor a PNG by its first bytes",
                    "Convert it to one of these, or remove it",
                ));
            }
        };
        Ok(Pixels::Decoded(orientation::upright(image, turn)))
    }
}

/// Reads an image file: [`Encoded::open`] and [`Encoded::decode`].
///
/// # Errors
/// [`Error::Io`] when the file cannot be read; else as those.
pub fn decode(path: &Path) -> Result<Image, Error> {
    decode_at(&Place::File(path.to_path_buf()))
}

/// [`decode`] for a file or a member of a shard.
pub(crate) fn decode_at(place: &Place) -> Result<Image, Error> {
    Encoded::open(&place.path(), &place.read()?)?.decode()
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

/// The message for an image over [`MAX_PIXELS`], or for a header that claims more pixels than the format can pack into
/// the file's bytes (`densest` pixels a byte), or nothing. A decoder takes the memory that a header claims before it
/// notices that the rest is missing, so this is asked first.
fn refuse_huge(width: u64, height: u64, bytes: usize, densest: u64) -> Result<(), String> {
    let pixels = width.saturating_mul(height);
    if pixels > MAX_PIXELS {
        return Err(format!("{width} x {height} pixels, over the limit of {MAX_PIXELS}"));
    }
    if pixels / densest > bytes as u64 {
        return Err(format!("truncated: {bytes} bytes cannot hold {width} x {height} pixels"));
    }
    Ok(())
}
