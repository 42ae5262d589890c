//! One sample of the sheet: its picture with the instances drawn in, or the text of what is broken.

use super::draw::{self, CHIP_HEIGHT, Colour};
use crate::augment::resize_box;
use crate::error::Error;
use crate::image::Image;

/// Share of a mask's colour within it.
const TINT: f64 = 0.3;
/// The same on its rim.
const RIM: f64 = 0.9;
/// Free pixels around the text of a broken sample.
const MARGIN: u32 = 6;

/// A picture and what is written below it.
pub(super) struct Tile {
    pub picture: Image,
    /// Names of classes, each on its colour.
    pub legend: Vec<(String, Colour)>,
    pub caption: String,
}

/// An instance as it lies on a picture.
pub(super) struct Mark {
    pub name: String,
    pub colour: Colour,
    pub crowd: bool,
    /// `x1 y1 x2 y2` in pixels of the picture.
    pub corners: [f64; 4],
    /// `[Y, X]` of the picture: whether the centre of a pixel lies in the mask.
    pub mask: Vec<bool>,
}

impl Tile {
    /// A picture with its instances; the legend counts them.
    pub fn detection(mut picture: Image, mut marks: Vec<Mark>, caption: String) -> Self {
        let mut legend: Vec<(String, Colour)> = Vec::new();
        let mut counts: Vec<usize> = Vec::new();
        for mark in &marks {
            let key = (mark.name.clone(), mark.colour);
            match legend.iter().position(|l| *l == key) {
                Some(at) => counts[at] += 1,
                None => {
                    legend.push(key);
                    counts.push(1);
                }
            }
        }
        for ((name, _), count) in legend.iter_mut().zip(counts).filter(|(_, count)| *count > 1) {
            *name = format!("{count} {name}");
        }
        // The large ones first, so that none hides a smaller one.
        let area = |m: &Mark| (m.corners[2] - m.corners[0]) * (m.corners[3] - m.corners[1]);
        marks.sort_by(|a, b| area(b).total_cmp(&area(a)));
        marks.iter().for_each(|m| draw_mask(&mut picture, m));
        marks.iter().for_each(|m| draw::frame(&mut picture, m.corners, m.colour, m.crowd));
        draw_names(&mut picture, &marks);
        Tile { picture, legend, caption }
    }

    /// What stands in for a sample that cannot be read.
    pub fn broken(error: Error, caption: String, side: u32) -> Self {
        let problem = error.into_problem();
        let mut picture = draw::blank(side, side, draw::BROKEN);
        let room = ((side - 2 * MARGIN) / draw::TEXT_WIDTH).max(1) as usize;
        let lines = (side - 2 * MARGIN) / draw::TEXT_HEIGHT;
        for (row, line) in wrapped(&problem.what, room).iter().take(lines as usize).enumerate() {
            let y = MARGIN + row as u32 * draw::TEXT_HEIGHT;
            draw::text(&mut picture, [i64::from(MARGIN), i64::from(y)], line, draw::text_on(draw::BROKEN));
        }
        Tile { picture, legend: Vec::new(), caption }
    }
}

/// An image scaled so that its longer side is `side`.
pub(super) fn thumbnail(image: &Image, side: u32) -> Image {
    let scale = f64::from(side) / f64::from(image.width.max(image.height));
    let [width, height] = [image.width, image.height].map(|n| ((f64::from(n) * scale).round() as u32).max(1));
    resize_box(image, [0.0, 0.0, f64::from(image.width), f64::from(image.height)], width, height)
}

/// The mask's tint with a strong rim; a crowd's is hatched.
fn draw_mask(picture: &mut Image, mark: &Mark) {
    let (w, h) = (picture.width as usize, picture.height as usize);
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
            let share = match (mark.crowd, inner) {
                (true, _) if (x + y) % 6 < 2 => RIM,
                (true, _) => 0.0,
                (false, true) => TINT,
                (false, false) => RIM,
            };
            draw::blend(picture, x as i64, y as i64, mark.colour, share);
        }
    }
}

/// Names at their boxes, where there is room beside those already drawn; the legend has them all.
fn draw_names(picture: &mut Image, marks: &[Mark]) {
    let (w, h) = (i64::from(picture.width), i64::from(picture.height));
    let high = i64::from(CHIP_HEIGHT);
    let mut taken: Vec<[i64; 4]> = Vec::new();
    for mark in marks {
        let wide = i64::from(draw::chip_width(&mark.name));
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
            draw::chip(picture, [x, y], &mark.name, mark.colour);
            taken.push([x, y, x + wide, y + high]);
        }
    }
}

/// Words in lines of at most `room` characters; a longer word is cut into pieces.
fn wrapped(words: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        for piece in word.chars().collect::<Vec<char>>().chunks(room) {
            match lines.last_mut() {
                Some(line) if line.chars().count() + 1 + piece.len() <= room => {
                    line.push(' ');
                    line.extend(piece);
                }
                _ => lines.push(piece.iter().collect()),
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(crowd: bool) -> Mark {
        let mask = (0..60 * 60).map(|i| (20..40).contains(&(i % 60)) && (30..50).contains(&(i / 60))).collect();
        Mark { name: "cat".into(), colour: draw::colour_of(2), crowd, corners: [20.0, 30.0, 40.0, 50.0], mask }
    }

    #[test]
    fn box_mask_and_name_are_where_they_should_be() {
        let tile = Tile::detection(draw::blank(60, 60, [255; 3]), vec![square(false)], String::new());
        let at = |x: usize, y: usize| -> Colour { std::array::from_fn(|c| tile.picture.rgb[3 * (y * 60 + x) + c]) };
        let colour = draw::colour_of(2);
        for k in 20..40 {
            assert_eq!([at(k, 30), at(k, 49)], [colour; 2]);
        }
        for k in 30..50 {
            assert_eq!([at(20, k), at(39, k)], [colour; 2]);
        }
        let tint = colour.map(|v| (255.0 + (f64::from(v) - 255.0) * TINT).round() as u8);
        assert_eq!(at(30, 40), tint);
        // Nothing outside but the name above the box.
        for y in 0..60 {
            for x in 0..60 {
                let boxed = (20..40).contains(&x) && (30..50).contains(&y);
                let chip = (20..45).contains(&x) && (15..30).contains(&y);
                assert!(boxed || chip || at(x, y) == [255; 3], "{x} {y}");
            }
        }
        assert_eq!(at(20, 15), colour);
        let chip = (20..45).flat_map(|x| (15..30).map(move |y| (x, y)));
        let letters = chip.filter(|&(x, y)| at(x, y)[1] < colour[1] / 2).count();
        assert!(letters > 20, "{letters} dark pixels");
        assert_eq!(tile.legend, [("cat".to_string(), colour)]);
    }

    #[test]
    fn a_crowd_is_hatched_and_counted_apart() {
        let mut crowd = square(true);
        (crowd.name, crowd.colour) = ("cat (crowd)".into(), draw::CROWD);
        let tile =
            Tile::detection(draw::blank(60, 60, [255; 3]), vec![square(false), square(false), crowd], "c".into());
        let names: Vec<&str> = tile.legend.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["2 cat", "cat (crowd)"]);
        let alone = Tile::detection(draw::blank(60, 60, [255; 3]), vec![square(true)], String::new());
        let white = (32..48).filter(|&y| alone.picture.rgb[3 * (y * 60 + 30)] == 255).count();
        assert!((8..13).contains(&white), "{white} of 16 pixels between the lines");
    }

    #[test]
    fn long_words_are_cut_and_lines_filled() {
        assert_eq!(wrapped("a bb abcdefgh i", 4), ["a bb", "abcd", "efgh", "i"]);
    }

    #[test]
    fn thumbnails_keep_their_shape() {
        for ((w, h), want) in [((640, 427), (192, 128)), ((32, 64), (96, 192)), ((1, 3000), (1, 192))] {
            let out = thumbnail(&draw::blank(w, h, [9; 3]), 192);
            assert_eq!((out.width, out.height), want);
        }
    }
}
