//! EXIF orientation: reading the tag and turning the image upright. Reads no files.

use super::{Image, Rectangle};

/// Orientation, 1 to 8, from a TIFF block as EXIF stores it; 1 (upright) when there is none or it is broken, since a
/// broken tag does not make the pixels unreadable.
pub(super) fn from_exif(exif: &[u8]) -> u8 {
    read_tag(exif).filter(|o| (1..=8).contains(o)).unwrap_or(1)
}

fn read_tag(exif: &[u8]) -> Option<u8> {
    // JPEG segments may or may not still carry this prefix.
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let little = match tiff.get(..2)? {
        b"II" => true,
        b"MM" => false,
        _ => return None,
    };
    let u16_at = |at: usize| -> Option<u16> {
        let b: [u8; 2] = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little { u16::from_le_bytes(b) } else { u16::from_be_bytes(b) })
    };
    let u32_at = |at: usize| -> Option<u32> {
        let b: [u8; 4] = tiff.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if little { u32::from_le_bytes(b) } else { u32::from_be_bytes(b) })
    };
    let directory = u32_at(4)? as usize;
    (0..usize::from(u16_at(directory)?)).find_map(|entry| {
        let at = directory.checked_add(2 + 12 * entry)?;
        (u16_at(at)? == 0x0112).then(|| u16_at(at + 8)).flatten().and_then(|o| u8::try_from(o).ok())
    })
}

/// Columns and rows of an upright image, from those stored.
pub(super) fn upright_size(stored: [u32; 2], orientation: u8) -> [u32; 2] {
    if orientation >= 5 { [stored[1], stored[0]] } else { stored }
}

/// Where a rectangle of the upright image lies in the image as stored, of `size` columns and rows.
pub(super) fn stored_area(area: Rectangle, size: [u32; 2], orientation: u8) -> Rectangle {
    let Rectangle { mut left, mut top, mut width, mut height } = area;
    if orientation >= 5 {
        (left, top, width, height) = (top, left, height, width);
    }
    if matches!(orientation, 2 | 3 | 7 | 8) {
        left = size[0] - left - width;
    }
    if matches!(orientation, 3 | 4 | 6 | 7) {
        top = size[1] - top - height;
    }
    Rectangle { left, top, width, height }
}

/// The image as it is meant to be seen. EXIF 2.3, tag 0x0112: 2 mirrored, 3 turned by 180 degrees, 4 upside down, 5 to
/// 8 the same with rows and columns exchanged.
pub(super) fn upright(image: Image, orientation: u8) -> Image {
    if orientation == 1 {
        return image;
    }
    let (w, h) = (image.width as usize, image.height as usize);
    let swapped = orientation >= 5;
    let (new_w, new_h) = if swapped { (h, w) } else { (w, h) };
    let mut rgb = Vec::with_capacity(image.rgb.len());
    for y in 0..new_h {
        for x in 0..new_w {
            let (sx, sy) = match orientation {
                2 => (w - 1 - x, y),
                3 => (w - 1 - x, h - 1 - y),
                4 => (x, h - 1 - y),
                5 => (y, x),
                6 => (y, h - 1 - x),
                7 => (w - 1 - y, h - 1 - x),
                _ => (w - 1 - y, x),
            };
            let at = 3 * (sy * w + sx);
            rgb.extend_from_slice(&image.rgb[at..at + 3]);
        }
    }
    Image { width: new_w as u32, height: new_h as u32, rgb }
}
