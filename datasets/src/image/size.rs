//! The size of an image from its header. Reads the beginning of a file and decodes no pixels.

use std::io::Cursor;

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::orientation;
use crate::error::Error;
use crate::place::Place;

/// Bytes read of a file at first: more than the header of nearly every photograph, thumbnail and colour profile
/// included.
const HEAD: u64 = 128 * 1024;

/// Width and height of an image turned upright.
///
/// # Errors
/// When the file cannot be read or its header is not that of a JPEG or PNG. Pixels may still be broken.
pub(crate) fn size(place: &Place) -> Result<[u32; 2], Error> {
    if let Some(size) = parse(&place.read_head(HEAD)?) {
        return Ok(size);
    }
    parse(&place.read()?).ok_or_else(|| {
        Error::data(
            &place.path(),
            "not the header of a JPEG or PNG",
            "Copy the file anew from its source, or remove it",
        )
    })
}

fn parse(bytes: &[u8]) -> Option<[u32; 2]> {
    let (stored, turn) = if bytes.starts_with(&[0xFF, 0xD8]) {
        let options =
            DecoderOptions::default().set_max_width(usize::from(u16::MAX)).set_max_height(usize::from(u16::MAX));
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode_headers().ok()?;
        let info = decoder.info()?;
        let turn = info.exif_data.as_deref().map_or(1, orientation::from_exif);
        ([u32::from(info.width), u32::from(info.height)], turn)
    } else {
        let reader = png::Decoder::new(Cursor::new(bytes)).read_info().ok()?;
        let info = reader.info();
        ([info.width, info.height], info.exif_metadata.as_deref().map_or(1, orientation::from_exif))
    };
    Some(orientation::upright_size(stored, turn))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn headers_say_what_decoding_finds() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let mut seen = 0;
        for entry in std::fs::read_dir(fixtures).unwrap() {
            let path = entry.unwrap().path();
            let header = size(&Place::File(path.clone()));
            if let Ok(image) = crate::image::decode(&path) {
                assert_eq!(header.unwrap(), [image.width, image.height], "{}", path.display());
                seen += 1;
            } else if path.ends_with("empty.jpg") || path.ends_with("text.jpg") {
                assert!(header.unwrap_err().to_string().contains("header"));
            }
        }
        assert!(seen >= 15, "{seen}");
    }

    #[test]
    fn a_header_longer_than_the_first_read_is_found() {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/exif6.jpg");
        let plain = std::fs::read(&fixture).unwrap();
        // Comments of the largest size behind the start of the file.
        let mut long = plain[..2].to_vec();
        for _ in 0..3 {
            long.extend([0xFF, 0xFE, 0xFF, 0xFF]);
            long.extend(vec![b' '; 0xFFFD]);
        }
        long.extend(&plain[2..]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("long.jpg");
        std::fs::write(&path, &long).unwrap();
        assert_eq!(size(&Place::File(path)).unwrap(), size(&Place::File(fixture)).unwrap());
    }
}
