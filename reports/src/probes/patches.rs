//! Experts per patch (paper, figure 3): pictures with the first choice of each patch as border, the second as fill.

use adamv_store::{PatchLayer, RoutedImage};

use super::canvas::{Anchor, Canvas, WIDTH, at, shortened};
use super::colours::{DISTINCT, hue};
use super::looked::{Layer, Looked, absent, ends};
use super::{Part, Topic};
use crate::curves::{Figure, plain};
use crate::details::Link;

/// Side of the square that a picture is drawn in, px, and where it starts.
const SIDE: f64 = 268.0;
const TOP: f64 = 24.0;
/// The smallest patch that a number is written into, px.
const LEGIBLE: f64 = 13.0;

pub(super) fn topic(looked: &[Looked]) -> Topic {
    let has = |one: &Looked| !one.probes().routed_images.is_empty();
    let mut parts = Vec::new();
    let mut number = 0;
    for one in looked.iter().filter(|one| has(one)) {
        let mut figures = Vec::new();
        for image in &one.probes().routed_images {
            number += 1;
            figures.push(figure(one, image, number));
        }
        parts.push(Part {
            label: one.label.clone(),
            cells: vec![Link::to(one.cell)],
            folded: one.folded,
            figures,
            ..Part::default()
        });
    }
    let lead = "What the model saw, with the experts that its router chose for each patch: the border has the colour of the first \
                choice, the fill that of the second (no fill where a token uses one expert)."
        .to_owned();
    let absent = absent(looked, true, "pictures with the experts of their patches", has);
    Topic { id: "patches", title: "Experts per patch", lead, parts, absent, table: None }
}

fn figure(one: &Looked, image: &RoutedImage, number: usize) -> Figure {
    let name = format!("patches-{number}-{}-{}", plain(&one.label), plain(&image.task));
    let layers = ends(image.layers.iter().map(|layer| layer.layer));
    let experts = one.experts();
    let scale = (SIDE / f64::from(image.width.max(1))).min(SIDE / f64::from(image.height.max(1)));
    let (width, height) = (f64::from(image.width) * scale, f64::from(image.height) * scale);
    let mut canvas = Canvas::default();
    let mut told = Vec::new();
    for (n, layer) in layers.iter().enumerate() {
        let Some(choices) = image.layers.iter().find(|choices| choices.layer == layer.block) else { continue };
        let left = n as f64 * (WIDTH - SIDE);
        canvas.text([left, TOP - 9.0], Anchor::Start, "head", &capital(&layer.text()));
        if n == 0 {
            canvas.picture(&format!("{name}-picture"), &image.jpeg, [left, TOP], [width, height], scale);
        } else {
            canvas.picture_again(&format!("{name}-picture"), [left, 0.0]);
        }
        let patch = [width / f64::from(image.columns.max(1)), height / f64::from(image.rows.max(1))];
        draw(&mut canvas, choices, image.columns as usize, [left, TOP], patch, experts);
        told.push(in_words(*layer, choices));
    }
    let bottom = legend(&mut canvas, TOP + height + 14.0, experts);
    let title = format!("Experts per patch, {} image {}, {}", image.task, shortened(&image.image, 60), one.with_seed());
    let description = format!(
        "Image of {} x {} patches. {}",
        image.columns,
        image.rows,
        if told.is_empty() { "No MoE layer was recorded.".to_owned() } else { told.join(" ") }
    );
    let caption = format!("{}: {}", capital(&image.task), image.image);
    let svg = canvas.finish(&name, &title, &description, bottom);
    Figure { name, title, description, caption, svg }
}

/// Fills, then borders, a path for each expert; the number of the first choice where colours don't tell.
fn draw(
    canvas: &mut Canvas,
    choices: &PatchLayer,
    columns: usize,
    [left, top]: [f64; 2],
    patch: [f64; 2],
    experts: usize,
) {
    let corner = |n: usize| {
        let (row, column) = (n / columns.max(1), n % columns.max(1));
        [left + column as f64 * patch[0], top + row as f64 * patch[1]]
    };
    for expert in 0..experts {
        let path = squares(&choices.second, expert, &corner, patch, 0.0);
        if !path.is_empty() {
            canvas.raw(format_args!(
                "<path class=\"second\" fill=\"{}\" fill-opacity=\"0.4\" d=\"{path}\"/>",
                hue(expert)
            ));
        }
    }
    let stroke = (0.12 * patch[0].min(patch[1])).clamp(1.0, 3.0);
    for expert in 0..experts {
        let path = squares(&choices.first, expert, &corner, patch, stroke / 2.0);
        if !path.is_empty() {
            canvas.raw(format_args!(
                "<path class=\"first\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" d=\"{path}\"/>",
                hue(expert),
                at(stroke)
            ));
        }
    }
    if experts > DISTINCT && patch[0].min(patch[1]) >= LEGIBLE {
        for (n, expert) in choices.first.iter().enumerate() {
            let [x, y] = corner(n);
            canvas.raw(format_args!(
                "<text class=\"small on\" text-anchor=\"middle\" x=\"{}\" y=\"{}\">{expert}</text>",
                at(x + patch[0] / 2.0),
                at(y + patch[1] / 2.0 + 3.5)
            ));
        }
    }
}

/// The patches that chose an expert, as squares made smaller by `inset` on each side.
fn squares(chosen: &[u32], expert: usize, corner: &dyn Fn(usize) -> [f64; 2], patch: [f64; 2], inset: f64) -> String {
    let (width, height) = (at(patch[0] - 2.0 * inset), at(patch[1] - 2.0 * inset));
    let square = |n: usize| {
        let [x, y] = corner(n);
        format!("M{} {}h{width}v{height}h-{width}z", at(x + inset), at(y + inset))
    };
    let of = chosen.iter().enumerate().filter(|(_, other)| **other as usize == expert);
    of.map(|(n, _)| square(n)).collect()
}

fn legend(canvas: &mut Canvas, top: f64, experts: usize) -> f64 {
    canvas.text([0.0, top + 10.5], Anchor::Start, "", "Expert");
    let repeated = experts > DISTINCT;
    let (mut x, mut y) = (52.0, top);
    for n in 0..experts.min(DISTINCT) {
        let numbers: Vec<String> = (n..experts).step_by(DISTINCT).map(|expert| expert.to_string()).collect();
        let text = numbers.join(", ");
        let width = 18.0 + 7.0 * text.len() as f64 + 10.0;
        if x + width > WIDTH {
            (x, y) = (52.0, y + 20.0);
        }
        canvas.tile(hue(n), 1.0, [x, y], [12.0, 12.0]);
        canvas.text([x + 17.0, y + 10.5], Anchor::Start, "", &text);
        x += width;
    }
    if repeated {
        y += 20.0;
        canvas.text(
            [0.0, y + 10.5],
            Anchor::Start,
            "small",
            "Colours come again after eight experts; numbers are first choices.",
        );
    }
    y + 20.0
}

/// How many patches have which first choice, most first.
fn in_words(layer: Layer, choices: &PatchLayer) -> String {
    let mut counts: Vec<(u32, usize)> = Vec::new();
    for expert in &choices.first {
        match counts.iter_mut().find(|(other, _)| other == expert) {
            Some((_, times)) => *times += 1,
            None => counts.push((*expert, 1)),
        }
    }
    counts.sort_by_key(|&(expert, times)| (std::cmp::Reverse(times), expert));
    let words: Vec<String> = counts.iter().map(|(expert, times)| format!("expert {expert} in {times}")).collect();
    format!("{}, patches by first choice: {}.", capital(&layer.text()), words.join(", "))
}

/// With a capital first letter.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
