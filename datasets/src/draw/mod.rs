//! Lines, tints and text on an image, the colours of classes, and instances as sheets and predictions show them. Knows
//! no samples and no files.

mod instances;

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

#[cfg(test)]
pub(crate) use self::instances::TINT;
pub use self::instances::{Mark, large_first, names, shapes};
use crate::image::Image;

/// An RGB colour.
pub type Colour = [u8; 3];

/// Ground of the sheet.
pub(crate) const GROUND: Colour = [255, 255, 255];
/// Text on the ground.
pub const INK: Colour = [30, 30, 30];
/// Crowds, which are no training targets.
pub(crate) const CROWD: Colour = [150, 150, 150];
/// Ground of a tile that stands for a sample which cannot be read.
pub(crate) const BROKEN: Colour = [120, 20, 20];

/// Rows of a line of text.
pub(crate) const TEXT_HEIGHT: u32 = RasterHeight::Size16.val() as u32;
/// Columns of a character.
pub(crate) const TEXT_WIDTH: u32 = get_raster_width(FontWeight::Regular, RasterHeight::Size16) as u32;
/// Free columns left and right of a chip's text.
const CHIP_MARGIN: u32 = 2;
/// Rows of a chip: a line of text without the free rows that the font has above and below.
pub const CHIP_HEIGHT: u32 = TEXT_HEIGHT - 1;

/// Okabe and Ito's colours for all kinds of colour vision ("Color Universal Design", 2008), without black.
const OKABE_ITO: [Colour; 7] =
    [[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [0, 114, 178], [213, 94, 0], [204, 121, 167]];

/// The colour of a class: seven hues, then the same lighter, then darker; 21 classes have colours of their own.
pub fn colour_of(label: usize) -> Colour {
    let base = OKABE_ITO[label % OKABE_ITO.len()];
    match (label / OKABE_ITO.len()) % 3 {
        0 => base,
        1 => base.map(|v| mixed(v, 255, 0.5)),
        _ => base.map(|v| mixed(v, 0, 0.35)),
    }
}

/// Black or white, whichever contrasts more with a ground (WCAG 2.2, relative luminance and contrast ratio).
pub(crate) fn text_on(ground: Colour) -> Colour {
    let linear = |v: u8| {
        let v = f64::from(v) / 255.0;
        if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
    };
    let luminance = 0.2126 * linear(ground[0]) + 0.7152 * linear(ground[1]) + 0.0722 * linear(ground[2]);
    // (1 + 0.05) / (L + 0.05) against (L + 0.05) / 0.05: equal at L = 0.179.
    if luminance > 0.179 { [0; 3] } else { [255; 3] }
}

fn mixed(from: u8, to: u8, share: f64) -> u8 {
    (f64::from(from) + (f64::from(to) - f64::from(from)) * share).round() as u8
}

/// An image of one colour.
pub(crate) fn blank(width: u32, height: u32, colour: Colour) -> Image {
    let rgb = colour.repeat(width as usize * height as usize);
    Image { width, height, rgb }
}

/// Mixes a colour into a pixel; nothing happens outside the image.
pub(crate) fn blend(image: &mut Image, x: i64, y: i64, colour: Colour, share: f64) {
    if x < 0 || y < 0 || x >= i64::from(image.width) || y >= i64::from(image.height) {
        return;
    }
    let at = 3 * (y as usize * image.width as usize + x as usize);
    for (to, from) in image.rgb[at..at + 3].iter_mut().zip(colour) {
        *to = mixed(*to, from, share);
    }
}

/// Fills columns `x .. x + w` and rows `y .. y + h`, as far as they lie in the image.
pub(crate) fn fill(image: &mut Image, [x, y]: [i64; 2], [w, h]: [u32; 2], colour: Colour) {
    for row in y..y + i64::from(h) {
        for column in x..x + i64::from(w) {
            blend(image, column, row, colour, 1.0);
        }
    }
}

/// Copies an image onto another; what lies outside is cut off.
pub(crate) fn paste(image: &mut Image, [x, y]: [u32; 2], part: &Image) {
    let columns = part.width.min(image.width.saturating_sub(x)) as usize;
    for row in 0..part.height.min(image.height.saturating_sub(y)) {
        let from = 3 * (row as usize * part.width as usize);
        let to = 3 * ((y + row) as usize * image.width as usize + x as usize);
        image.rgb[to..to + 3 * columns].copy_from_slice(&part.rgb[from..from + 3 * columns]);
    }
}

/// The outline of a box `x1 y1 x2 y2`: its own outermost pixels and a darker line within, so that it shows on any
/// ground. `dashed` leaves gaps.
pub(crate) fn frame(image: &mut Image, [x1, y1, x2, y2]: [f64; 4], colour: Colour, dashed: bool) {
    // The first and the last pixel that the box touches; a box without an extent still shows.
    let (left, top) = (x1.floor() as i64, y1.floor() as i64);
    let (right, bottom) = ((x2.ceil() as i64 - 1).max(left), (y2.ceil() as i64 - 1).max(top));
    let gap = |k: i64| dashed && k.rem_euclid(8) >= 5;
    for (inset, colour, share) in [(1, [0; 3], 0.5), (0, colour, 1.0)] {
        let (l, t, r, b) = (left + inset, top + inset, right - inset, bottom - inset);
        for x in (l..=r).filter(|&x| !gap(x)) {
            blend(image, x, t, colour, share);
            if b > t {
                blend(image, x, b, colour, share);
            }
        }
        for y in (t + 1..b).filter(|&y| !gap(y)) {
            blend(image, l, y, colour, share);
            if r > l {
                blend(image, r, y, colour, share);
            }
        }
    }
}

/// One line of text, its top left corner at a point. What is not ASCII shows as `?`.
pub(crate) fn text(image: &mut Image, [x, y]: [i64; 2], line: &str, colour: Colour) {
    let glyph = |c| get_raster(c, FontWeight::Regular, RasterHeight::Size16);
    let mut left = x;
    for c in line.chars() {
        let glyph = glyph(c).or_else(|| glyph('?'));
        for (row, values) in glyph.iter().flat_map(|g| g.rows()).enumerate() {
            for (column, &value) in values.iter().enumerate() {
                blend(image, left + column as i64, y + row as i64, colour, f64::from(value) / 255.0);
            }
        }
        left += i64::from(TEXT_WIDTH);
    }
}

/// A line cut to a number of columns, with `..` where something is missing.
pub fn fitted(line: &str, columns: u32) -> String {
    let room = (columns / TEXT_WIDTH) as usize;
    if line.chars().count() <= room {
        return line.to_string();
    }
    line.chars().take(room.saturating_sub(2)).chain("..".chars()).collect()
}

/// Columns of the chip of a name.
pub fn chip_width(name: &str) -> u32 {
    name.chars().count() as u32 * TEXT_WIDTH + 2 * CHIP_MARGIN
}

/// A name on a ground of its class's colour, its top left corner at a point.
pub fn chip(image: &mut Image, [x, y]: [i64; 2], name: &str, colour: Colour) {
    fill(image, [x, y], [chip_width(name), CHIP_HEIGHT], colour);
    text(image, [x + i64::from(CHIP_MARGIN), y - 1], name, text_on(colour));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(line: &str) -> Image {
        let mut image = blank(40, 16, GROUND);
        text(&mut image, [0, 0], line, INK);
        image
    }

    #[test]
    fn what_is_not_ascii_shows_as_a_question_mark() {
        assert_eq!(written("\u{fc}a"), written("?a"));
        assert_ne!(written("ua"), written("?a"));
        assert_eq!(fitted("\u{fc}bergross", 6 * TEXT_WIDTH + 1), "\u{fc}ber..");
    }

    #[test]
    fn every_class_can_be_read_on_its_colour() {
        let linear = |v: u8| (f64::from(v) / 255.0).powf(2.2);
        let luminance = |c: Colour| 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
        let mut seen: Vec<Colour> = (0..21).map(colour_of).collect();
        for &colour in &seen {
            let (a, b) = (luminance(colour), luminance(text_on(colour)));
            let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
            assert!(contrast > 4.4, "{colour:?}: {contrast}");
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 21);
        assert_eq!(colour_of(21), colour_of(0));
    }

    #[test]
    fn what_lies_outside_is_cut_off() {
        let mut image = blank(10, 10, GROUND);
        fill(&mut image, [-5, 8], [100, 100], INK);
        frame(&mut image, [-3.0, -3.0, 40.0, 5.5], INK, false);
        paste(&mut image, [8, 0], &blank(5, 1, INK));
        text(&mut image, [6, -9], "abc", INK);
        assert_eq!(image.rgb[..3], GROUND);
        assert_eq!(image.rgb[3 * 8..3 * 10], [INK, INK].concat());
        assert_eq!(image.rgb[3 * 50..3 * 53], [INK, INK, INK].concat());
        assert_eq!(image.rgb[3 * 80..], INK.repeat(20));
    }
}
