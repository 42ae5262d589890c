//! Places objects on a canvas and knows which of their pixels stay visible. Writes no files.

use super::canvas::{Canvas, Colour, background, vivid_against};
use super::shapes::Shape;
use crate::config::ScenesConfig;
use crate::image::Image;
use crate::mask::Rle;
use crate::rng::{Rng, Stream};

/// Sub-pixels a side, for smooth edges.
const SUPERSAMPLING: usize = 4;
/// Most objects in a scene.
const MOST_OBJECTS: u64 = 6;
/// Diameter of an object as a share of the canvas.
const SIZE: [f64; 2] = [0.25, 0.6];
/// The same for the small ones.
const SMALL: [f64; 2] = [0.16, 0.25];
/// Share of objects that are small.
const SMALL_SHARE: f64 = 0.2;
/// Diameter in a classification image.
const PORTRAIT: [f64; 2] = [0.5, 0.9];
/// An object of which less than this share shows is left out.
const LEAST_VISIBLE: f64 = 0.25;
/// An object of which fewer pixels show is left out.
const LEAST_PIXELS: usize = 12;

/// A drawn scene.
pub struct Scene {
    /// Its pixels.
    pub image: Image,
    /// What is on it, from back to front.
    pub objects: Vec<SceneObject>,
}

/// An object of a scene.
pub struct SceneObject {
    /// Its class.
    pub shape: Shape,
    /// Its visible pixels.
    pub mask: Rle,
}

/// An object on its way into a scene.
struct Sprite {
    shape: Shape,
    colour: Colour,
    /// `[Y, X]`, share of each pixel that the object covers.
    cover: Vec<f64>,
}

impl Sprite {
    fn random(rng: &mut Rng, shape: Shape, colour: Colour, place: Place, side: usize) -> Self {
        let turn = rng.uniform(0.0, std::f64::consts::TAU);
        Sprite { shape, colour, cover: cover(shape, place, turn, side) }
    }

    /// A pixel belongs to the object that covers at least half of it.
    fn owns(&self, at: usize) -> bool {
        self.cover[at] >= 0.5
    }
}

/// Centre and radius in pixels.
#[derive(Clone, Copy)]
struct Place {
    x: f64,
    y: f64,
    radius: f64,
}

/// The scene with a number; a function of (config, number).
pub fn detection_scene(config: &ScenesConfig, number: u64) -> Scene {
    let mut rng = Rng::new(config.seed, Stream::DetectionScene, 0, number);
    let side = config.size as usize;
    let mut canvas = background(&mut rng, side);
    let mut colours = vec![canvas.mean()];
    let count = 1 + rng.below(MOST_OBJECTS);
    let mut sprites: Vec<Sprite> = (0..count)
        .map(|_| {
            let shape = Shape::ALL[rng.below(Shape::ALL.len() as u64) as usize];
            let [from, to] = if rng.unit() < SMALL_SHARE { SMALL } else { SIZE };
            let radius = rng.uniform(from, to) * side as f64 / 2.0;
            // The centre stays inside; up to a third of the radius may be cut off by the edge.
            let inset = radius * 0.67;
            let place = Place {
                x: rng.uniform(inset, side as f64 - inset),
                y: rng.uniform(inset, side as f64 - inset),
                radius,
            };
            let colour = vivid_against(&mut rng, &colours);
            colours.push(colour);
            Sprite::random(&mut rng, shape, colour, place, side)
        })
        .collect();
    let owner = settle(&mut sprites);
    for sprite in &sprites {
        paint(&mut canvas, sprite);
    }
    let objects = sprites
        .iter()
        .enumerate()
        .map(|(i, sprite)| SceneObject { shape: sprite.shape, mask: mask_of(&owner, i, config.size) })
        .collect();
    Scene { image: canvas.into_image(&mut rng), objects }
}

/// The image with a number, showing one object near its centre.
pub fn classification_image(config: &ScenesConfig, number: u64, shape: Shape) -> Image {
    let mut rng = Rng::new(config.seed, Stream::ClassificationScene, 0, number);
    let side = config.size as usize;
    let mut canvas = background(&mut rng, side);
    let colour = vivid_against(&mut rng, &[canvas.mean()]);
    let radius = rng.uniform(PORTRAIT[0], PORTRAIT[1]) * side as f64 / 2.0;
    let mut centre = || side as f64 * (0.5 + rng.uniform(-0.1, 0.1));
    let place = Place { x: centre(), y: centre(), radius };
    let sprite = Sprite::random(&mut rng, shape, colour, place, side);
    paint(&mut canvas, &sprite);
    canvas.into_image(&mut rng)
}

/// Leaves out, one at a time from the back, objects of which too little shows, until enough of each does. Returns, for
/// each pixel, the object it belongs to.
fn settle(sprites: &mut Vec<Sprite>) -> Vec<Option<usize>> {
    loop {
        let owner = owners(sprites);
        let hidden = sprites.iter().enumerate().position(|(i, sprite)| {
            let whole = (0..owner.len()).filter(|&at| sprite.owns(at)).count();
            let visible = owner.iter().filter(|&&o| o == Some(i)).count();
            visible < LEAST_PIXELS || (visible as f64) < LEAST_VISIBLE * whole as f64
        });
        match hidden {
            Some(i) => drop(sprites.remove(i)),
            None => return owner,
        }
    }
}

/// For each pixel the last object that owns it.
fn owners(sprites: &[Sprite]) -> Vec<Option<usize>> {
    let pixels = sprites.first().map_or(0, |s| s.cover.len());
    (0..pixels).map(|at| sprites.iter().rposition(|s| s.owns(at))).collect()
}

fn mask_of(owner: &[Option<usize>], object: usize, side: u32) -> Rle {
    let dense: Vec<u8> = owner.iter().map(|&o| u8::from(o == Some(object))).collect();
    // Invariant: there is one owner a pixel of the square canvas.
    Rle::from_dense(&dense, side, side).expect("the mask has the canvas's size")
}

fn paint(canvas: &mut Canvas, sprite: &Sprite) {
    for (at, &cover) in sprite.cover.iter().enumerate() {
        if cover > 0.0 {
            // Slightly lighter at the top: a flat colour would be too easy to find.
            let height = 1.0 - (at / canvas.side) as f64 / canvas.side as f64;
            let colour = sprite.colour.map(|c| c * (0.85 + 0.15 * height));
            canvas.blend(at, colour, cover);
        }
    }
}

/// The share of each pixel that a turned shape covers.
fn cover(shape: Shape, place: Place, turn: f64, side: usize) -> Vec<f64> {
    let outline = shape.outline();
    let (sin, cos) = turn.sin_cos();
    let mut cover = vec![0.0; side * side];
    let range = |centre: f64| {
        let from = (centre - place.radius).floor().max(0.0) as usize;
        let to = ((centre + place.radius).ceil().max(0.0) as usize).min(side);
        from..to
    };
    let step = 1.0 / SUPERSAMPLING as f64;
    for y in range(place.y) {
        for x in range(place.x) {
            let mut inside = 0;
            for sub in 0..SUPERSAMPLING * SUPERSAMPLING {
                let sx = x as f64 + ((sub % SUPERSAMPLING) as f64 + 0.5) * step;
                let sy = y as f64 + ((sub / SUPERSAMPLING) as f64 + 0.5) * step;
                let (u, v) = ((sx - place.x) / place.radius, (sy - place.y) / place.radius);
                inside += usize::from(outline.contains(u * cos + v * sin, v * cos - u * sin));
            }
            cover[y * side + x] = inside as f64 / (SUPERSAMPLING * SUPERSAMPLING) as f64;
        }
    }
    cover
}
