//! The best and the worst detected images: what is in them on the left, what was found on the right.

use adamv_store::{GalleryImage, Outlined, Place};

use super::canvas::{Anchor, Canvas, WIDTH, at, shortened};
use super::colours::hue;
use super::looked::{Looked, absent};
use super::{Part, Topic};
use crate::curves::{Figure, plain};
use crate::details::Link;

/// Side of the square that a picture is drawn in, px, and where it starts.
const SIDE: f64 = 268.0;
const TOP: f64 = 24.0;
/// Height of a line of the lists, and how many lines they have at the most.
const LINE: f64 = 16.0;
const MOST_LINES: usize = 20;

pub(super) fn topic(looked: &[Looked]) -> Topic {
    let has = |one: &Looked| !one.probes().gallery.is_empty();
    let mut parts = Vec::new();
    let mut number = 0;
    for one in looked.iter().filter(|one| has(one)) {
        let mut figures = Vec::new();
        for place in [Place::Best, Place::Worst] {
            for image in one.probes().gallery.iter().filter(|image| image.place == place) {
                number += 1;
                figures.push(figure(one, image, number));
            }
        }
        parts.push(Part {
            label: one.label.clone(),
            cells: vec![Link::to(one.cell)],
            folded: one.folded,
            figures,
            ..Part::default()
        });
    }
    let lead = "Left the ground truth, right what was detected: boxes, masks, and below each picture the classes with their scores. Images \
                are ranked by the mean of AP and APmask of the image by itself, which looks at the classes that it holds: what was \
                found of another class costs it nothing."
        .to_owned();
    let absent = absent(looked, false, "pictures of what it detects", has);
    Topic { id: "gallery", title: "The best and the worst detected images", lead, parts, absent, table: None }
}

fn figure(one: &Looked, image: &GalleryImage, number: usize) -> Figure {
    let name = format!("gallery-{number}-{}", plain(&one.label));
    let scale = (SIDE / f64::from(image.width.max(1))).min(SIDE / f64::from(image.height.max(1)));
    let size = [f64::from(image.width) * scale, f64::from(image.height) * scale];
    let mut numbers: Vec<u64> = image.objects.iter().chain(&image.found).map(|outlined| outlined.class).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let colour = |class: u64| hue(numbers.binary_search(&class).unwrap_or(0));
    let words = |outlined: &Outlined| {
        let class = one.class("detection", outlined.class);
        outlined.score.map_or_else(|| class.clone(), |score| format!("{class} {score:.2}"))
    };
    let mut canvas = Canvas::default();
    let mut bottom = TOP + size[1];
    let sides = [
        ("Ground truth", &image.objects, "no object", 0.0),
        // How low a score is kept is the probes' business: there may have been others.
        ("Detected", &image.found, "no detection was kept", WIDTH - SIDE),
    ];
    for (title, all, none, left) in sides {
        canvas.text([left, TOP - 9.0], Anchor::Start, "head", title);
        let id = format!("{name}-picture");
        if left == 0.0 {
            canvas.picture(&id, &image.jpeg, [left, TOP], size, scale);
        } else {
            canvas.picture_again(&id, [left, 0.0]);
        }
        // The best ones last, and so on top.
        for outlined in all.iter().rev() {
            draw(&mut canvas, outlined, colour(outlined.class), [left, TOP], scale);
        }
        let mut y = TOP + size[1] + 10.0;
        for outlined in all.iter().take(MOST_LINES) {
            canvas.tile(colour(outlined.class), 1.0, [left, y], [10.0, 10.0]);
            canvas.text([left + 16.0, y + 9.5], Anchor::Start, "", &shortened(&words(outlined), 34));
            y += LINE;
        }
        let rest = all.len().saturating_sub(MOST_LINES);
        let note = if all.is_empty() { Some(none.to_owned()) } else { (rest > 0).then(|| format!("and {rest} more")) };
        if let Some(note) = note {
            canvas.text([left, y + 9.5], Anchor::Start, "", &note);
            y += LINE;
        }
        bottom = bottom.max(y);
    }
    let place = match image.place {
        Place::Best => "Best",
        Place::Worst => "Worst",
    };
    let listed = |all: &[Outlined], none: &str| match all {
        [] => none.to_owned(),
        all => all.iter().map(words).collect::<Vec<_>>().join(", "),
    };
    let title = format!("{place} detected: {}, {}", shortened(&image.image, 60), one.with_seed());
    let description = format!(
        "Ground truth: {}. Detected: {}.",
        listed(&image.objects, sides[0].2),
        listed(&image.found, sides[1].2)
    );
    let caption = format!("{place}: {}, AP {:.1}%", image.image, 100.0 * image.average_precision);
    let svg = canvas.finish(&name, &title, &description, bottom + 6.0);
    Figure { name, title, description, caption, svg }
}

/// Box and outlines; a hole is an outline within another, and even-odd filling leaves it out.
fn draw(canvas: &mut Canvas, outlined: &Outlined, colour: &str, [left, top]: [f64; 2], scale: f64) {
    let mut path = String::new();
    for outline in &outlined.outlines {
        for (n, [x, y]) in outline.iter().enumerate() {
            let letter = if n == 0 { 'M' } else { 'L' };
            path.push_str(&format!("{letter}{} {}", at(left + f64::from(*x) * scale), at(top + f64::from(*y) * scale)));
        }
        if !outline.is_empty() {
            path.push('Z');
        }
    }
    if !path.is_empty() {
        canvas.raw(format_args!(
            "<path class=\"mask\" fill=\"{colour}\" fill-opacity=\"0.35\" fill-rule=\"evenodd\" stroke=\"{colour}\" d=\"{path}\"/>"
        ));
    }
    let [x1, y1, x2, y2] = outlined.bbox;
    let [x, y] = [at(left + x1 * scale), at(top + y1 * scale)];
    let [width, height] = [at((x2 - x1).max(0.0) * scale), at((y2 - y1).max(0.0) * scale)];
    // A dark edge on both sides keeps a box visible on its own colour.
    for (class, stroke) in [
        ("edge", "stroke=\"#000\" stroke-opacity=\"0.45\" stroke-width=\"4\""),
        ("box", &format!("stroke=\"{colour}\" stroke-width=\"2\"")),
    ] {
        canvas.raw(format_args!(
            "<rect class=\"{class}\" fill=\"none\" {stroke} x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>"
        ));
    }
}
