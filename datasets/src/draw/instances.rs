//! Instances on a picture: box, mask and name.

use super::{CHIP_HEIGHT, Colour, blend, chip, chip_width, frame};
use crate::image::{Image, Rectangle};

/// Share of a mask's colour within it.
pub(crate) const TINT: f64 = 0.3;
/// The same on its rim.
const RIM: f64 = 0.9;

/// An instance as it lies on a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    pub name: String,
    pub colour: Colour,
    pub crowd: bool,
    /// `x1 y1 x2 y2` in pixels of the picture.
    pub corners: [f64; 4],
    /// The part of the picture that `mask` tells of; nothing outside belongs to the instance.
    pub area: Rectangle,
    /// `[Y, X]` of the area: whether the centre of a pixel lies in the mask.
    pub mask: Vec<bool>,
}

/// The marks in the order in which none hides a smaller one.
pub fn large_first(marks: &[Mark]) -> Vec<&Mark> {
    let size = |m: &Mark| (m.corners[2] - m.corners[0]) * (m.corners[3] - m.corners[1]);
    let mut ordered: Vec<&Mark> = marks.iter().collect();
    ordered.sort_by(|a, b| size(b).total_cmp(&size(a)));
    ordered
}

/// Draws masks, then boxes, each over those before it.
pub fn shapes(picture: &mut Image, marks: &[&Mark]) {
    marks.iter().for_each(|m| mask(picture, m));
    marks.iter().for_each(|m| frame(picture, m.corners, m.colour, m.crowd));
}

/// The mask's tint with a strong rim; a crowd's is hatched.
fn mask(picture: &mut Image, mark: &Mark) {
    let (w, h) = (mark.area.width as usize, mark.area.height as usize);
    for y in 0..h {
        for x in 0..w {
            if !mark.mask[y * w + x] {
                continue;
            }
            let inner = x > 0
                && y > 0
                && x + 1 < w
                && y + 1 < h
                && [y * w + x - 1, y * w + x + 1, (y - 1) * w + x, (y + 1) * w + x].iter().all(|&at| mark.mask[at]);
            let (column, row) = (i64::from(mark.area.left) + x as i64, i64::from(mark.area.top) + y as i64);
            let share = match (mark.crowd, inner) {
                (true, _) if (column + row) % 6 < 2 => RIM,
                (true, _) => 0.0,
                (false, true) => TINT,
                (false, false) => RIM,
            };
            blend(picture, column, row, mark.colour, share);
        }
    }
}

/// Names at their boxes, where there is room beside those already drawn; earlier marks choose first. `taken` are
/// rectangles `x1 y1 x2 y2` that stay free.
pub fn names(picture: &mut Image, marks: &[&Mark], mut taken: Vec<[i64; 4]>) {
    let (w, h) = (i64::from(picture.width), i64::from(picture.height));
    let high = i64::from(CHIP_HEIGHT);
    for mark in marks {
        let wide = i64::from(chip_width(&mark.name));
        let [left, top, right, bottom] = mark.corners.map(|v| v.round() as i64);
        let x = left.min(w - wide).max(0);
        // Above the box, in it where that leaves most of it free, below, beside.
        let inside = bottom - top >= 3 * high;
        let places = [
            Some([x, top - high]),
            inside.then_some([x, top]),
            Some([x, bottom]),
            inside.then_some([x, bottom - high]),
            Some([right, top]),
            Some([left - wide, top]),
        ];
        let free = places.into_iter().flatten().find(|&[x, y]| {
            let overlaps = |t: &[i64; 4]| x < t[2] && x + wide > t[0] && y < t[3] && y + high > t[1];
            x >= 0 && x + wide <= w.max(wide) && y >= 0 && y + high <= h && !taken.iter().any(overlaps)
        });
        if let Some([x, y]) = free {
            chip(picture, [x, y], &mark.name, mark.colour);
            taken.push([x, y, x + wide, y + high]);
        }
    }
}
