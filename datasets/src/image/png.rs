//! PNG to RGB and back.

use std::io::{BufWriter, Cursor, Write};
use std::path::Path;

use super::{Image, orientation, refuse_huge};
use crate::error::Error;

/// Most bytes that DEFLATE makes of one: a match of 258 bytes costs two bits at the least.
const DENSEST: u64 = 1032;

/// The image as stored, and its EXIF orientation.
pub(super) fn decode(bytes: &[u8]) -> Result<(Image, u8), String> {
    let broken = |e: png::DecodingError| match e {
        png::DecodingError::IoError(_) => "truncated PNG".to_string(),
        other => format!("broken PNG: {other}"),
    };
    let mut decoder =
        png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: (super::MAX_PIXELS * 8) as usize });
    // Palettes and small bit depths become 8-bit channels, 16-bit channels lose their low byte.
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    // Neither is used, and both may unpack to far more than they are.
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let header = decoder.read_header_info().map_err(broken)?;
    let (width, height) = (header.width, header.height);
    let pixels_a_byte = (8 * DENSEST).div_ceil(header.bits_per_pixel().max(1) as u64);
    refuse_huge(u64::from(width), u64::from(height), bytes.len(), pixels_a_byte)?;
    let mut reader = decoder.read_info().map_err(broken)?;
    // png 0.18.1 panics on such (image-png issue 694).
    if reader.info().palette.as_ref().is_some_and(|p| p.len() % 3 != 0 || p.len() > 3 * 256) {
        return Err("broken PNG: its palette is not up to 256 colours of three bytes".to_string());
    }
    let size = reader.output_buffer_size().ok_or("broken PNG: its size overflows")?;
    let mut buffer = vec![0; size];
    let frame = reader.next_frame(&mut buffer).map_err(broken)?;
    buffer.truncate(frame.buffer_size());
    reader.finish().map_err(broken)?;
    let rgb = match frame.color_type {
        png::ColorType::Rgb => buffer,
        png::ColorType::Rgba => to_rgb(&buffer, 4, |p| [p[0], p[1], p[2]]),
        png::ColorType::Grayscale => to_rgb(&buffer, 1, |p| [p[0]; 3]),
        png::ColorType::GrayscaleAlpha => to_rgb(&buffer, 2, |p| [p[0]; 3]),
        png::ColorType::Indexed => return Err("broken PNG: a palette is missing".to_string()),
    };
    let turn = reader.info().exif_metadata.as_deref().map_or(1, orientation::from_exif);
    Ok((Image { width, height, rgb }, turn))
}

/// RGB from pixels of `channels` bytes, in a buffer that is never grown: growing would take thrice an image's memory.
fn to_rgb(pixels: &[u8], channels: usize, rgb: impl Fn(&[u8]) -> [u8; 3]) -> Vec<u8> {
    let mut out = vec![0; pixels.len() / channels * 3];
    for (to, from) in out.chunks_exact_mut(3).zip(pixels.chunks_exact(channels)) {
        to.copy_from_slice(&rgb(from));
    }
    out
}

/// Writes a PNG. Equal images give equal bytes.
///
/// # Errors
/// [`Error::Io`] with the path.
pub fn write_png(path: &Path, image: &Image) -> Result<(), Error> {
    write(path, [image.width, image.height], png::ColorType::Rgb, &image.rgb)
}

/// A PNG as bytes. Equal images give equal bytes.
///
/// # Errors
/// [`std::io::Error`] for an image without pixels, which the format doesn't know.
pub fn png_bytes(image: &Image) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    encode(&mut bytes, [image.width, image.height], png::ColorType::Rgb, &image.rgb)?;
    Ok(bytes)
}

/// Writes `[Y, X]` grey pixels as a PNG of one channel.
///
/// # Errors
/// [`Error::Io`] with the path.
pub(crate) fn write_grey_png(path: &Path, width: u32, height: u32, grey: &[u8]) -> Result<(), Error> {
    write(path, [width, height], png::ColorType::Grayscale, grey)
}

fn write(path: &Path, size: [u32; 2], colour: png::ColorType, pixels: &[u8]) -> Result<(), Error> {
    let wrap = |e: std::io::Error| Error::io(path, "write the image", e);
    let mut file = BufWriter::new(std::fs::File::create(path).map_err(wrap)?);
    encode(&mut file, size, colour, pixels).map_err(wrap)?;
    file.flush().map_err(wrap)
}

fn encode(to: impl Write, [width, height]: [u32; 2], colour: png::ColorType, pixels: &[u8]) -> std::io::Result<()> {
    let mut encoder = png::Encoder::new(to, width, height);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let unwrap_io = |e: png::EncodingError| match e {
        png::EncodingError::IoError(e) => e,
        other => std::io::Error::other(other.to_string()),
    };
    let mut writer = encoder.write_header().map_err(unwrap_io)?;
    writer.write_image_data(pixels).map_err(unwrap_io)?;
    writer.finish().map_err(unwrap_io)
}
