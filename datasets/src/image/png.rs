//! PNG to RGB and back.

use std::io::{BufWriter, Cursor, Write};
use std::path::Path;

use super::{Image, orientation, refuse_huge};
use crate::error::Error;

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
    let mut reader = decoder.read_info().map_err(broken)?;
    let (width, height) = (reader.info().width, reader.info().height);
    refuse_huge(u64::from(width), u64::from(height))?;
    let size = reader.output_buffer_size().ok_or("broken PNG: its size overflows")?;
    let mut buffer = vec![0; size];
    let frame = reader.next_frame(&mut buffer).map_err(broken)?;
    buffer.truncate(frame.buffer_size());
    reader.finish().map_err(broken)?;
    let rgb = match frame.color_type {
        png::ColorType::Rgb => buffer,
        png::ColorType::Rgba => buffer.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect(),
        png::ColorType::Grayscale => buffer.iter().flat_map(|&g| [g, g, g]).collect(),
        png::ColorType::GrayscaleAlpha => buffer.chunks_exact(2).flat_map(|p| [p[0], p[0], p[0]]).collect(),
        png::ColorType::Indexed => return Err("broken PNG: a palette is missing".to_string()),
    };
    let turn = reader.info().exif_metadata.as_deref().map_or(1, orientation::from_exif);
    Ok((Image { width, height, rgb }, turn))
}

/// Writes a PNG. Equal images give equal bytes.
///
/// # Errors
/// [`Error::Io`] with the path.
pub fn write_png(path: &Path, image: &Image) -> Result<(), Error> {
    write(path, [image.width, image.height], png::ColorType::Rgb, &image.rgb)
}

/// Writes `[Y, X]` grey pixels as a PNG of one channel.
///
/// # Errors
/// [`Error::Io`] with the path.
pub(crate) fn write_grey_png(path: &Path, width: u32, height: u32, grey: &[u8]) -> Result<(), Error> {
    write(path, [width, height], png::ColorType::Grayscale, grey)
}

fn write(path: &Path, [width, height]: [u32; 2], colour: png::ColorType, pixels: &[u8]) -> Result<(), Error> {
    let wrap = |e: std::io::Error| Error::io(path, "write the image", e);
    let file = std::fs::File::create(path).map_err(wrap)?;
    let mut file = BufWriter::new(file);
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let unwrap_io = |e: png::EncodingError| match e {
        png::EncodingError::IoError(e) => wrap(e),
        other => wrap(std::io::Error::other(other.to_string())),
    };
    let mut writer = encoder.write_header().map_err(unwrap_io)?;
    writer.write_image_data(pixels).map_err(unwrap_io)?;
    writer.finish().map_err(unwrap_io)?;
    file.flush().map_err(wrap)
}
