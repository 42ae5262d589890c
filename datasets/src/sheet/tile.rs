//! One sample of the sheet: its picture with the instances drawn in, or the text of what is broken.

use crate::augment::resize_box;
use crate::draw::{self, Colour, Mark};
use crate::error::Error;
use crate::image::Image;

/// Free pixels around the text of a broken sample.
const MARGIN: u32 = 6;

/// A picture and what is written below it.
pub(super) struct Tile {
    pub picture: Image,
    /// Names of classes, each on its colour.
    pub legend: Vec<(String, Colour)>,
    pub caption: String,
}

impl Tile {
    /// A picture with its instances; the legend counts them.
    pub fn detection(mut picture: Image, marks: Vec<Mark>, caption: String) -> Self {
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
        let marks = draw::large_first(&marks);
        draw::shapes(&mut picture, &marks);
        draw::names(&mut picture, &marks, Vec::new());
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
    use crate::image::Rectangle;

    fn square(crowd: bool) -> Mark {
        let mask = (0..60 * 60).map(|i| (20..40).contains(&(i % 60)) && (30..50).contains(&(i / 60))).collect();
        let area = Rectangle { left: 0, top: 0, width: 60, height: 60 };
        Mark { name: "cat".into(), colour: draw::colour_of(2), crowd, corners: [20.0, 30.0, 40.0, 50.0], area, mask }
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
        let tint = colour.map(|v| (255.0 + (f64::from(v) - 255.0) * draw::TINT).round() as u8);
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
