//! Places objects on a canvas and knows which of their pixels stay visible. Writes no files.

use super::canvas::{Canvas, Colour, Palette, background, dimmed, vivid_against};
use super::fashion_mnist::Garments;
use super::garment::Garment;
use super::shapes::{Outline, Shape};
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
/// Most that a garment is turned, either way: worn, laid down or thrown, but not upside down.
const TILT: f64 = std::f64::consts::FRAC_PI_4;
/// Diameter in a classification image.
const PORTRAIT: [f64; 2] = [0.5, 0.9];
/// An object of which less than this share shows is left out.
const LEAST_VISIBLE: f64 = 0.25;
/// An object of which fewer pixels show is left out.
const LEAST_PIXELS: usize = 12;

/// What a scene takes its objects from.
#[derive(Clone, Copy)]
pub enum Stock<'a> {
    /// Drawn shapes.
    Shapes,
    /// Images of garments.
    Garments(&'a Garments),
}

/// A drawn scene.
pub struct Scene {
    /// Its pixels.
    pub image: Image,
    /// What is on it, from back to front.
    pub objects: Vec<SceneObject>,
}

/// An object of a scene.
pub struct SceneObject {
    /// Position in the class names of the scene's stock.
    pub class: usize,
    /// Its visible pixels.
    pub mask: Rle,
}

/// What an object looks like, before it is placed.
enum Look {
    Shape(Outline),
    Garment(Garment),
}

impl Look {
    /// How much of an object's colour its surface throws back at a point of the square [-1, 1] x [-1, 1]; `None`
    /// beside the object.
    fn light_at(&self, u: f64, v: f64) -> Option<f64> {
        match self {
            Look::Shape(outline) => outline.contains(u, v).then_some(1.0),
            Look::Garment(garment) => garment.light_at(u, v),
        }
    }

    /// Garments are bright and less saturated, so that their cloth shows.
    fn palette(&self) -> Palette {
        match self {
            Look::Shape(_) => Palette { saturation: [0.5, 1.0], value: [0.35, 1.0], light: 1.0 },
            Look::Garment(garment) => {
                Palette { saturation: [0.2, 0.8], value: [0.75, 1.0], light: garment.mean_light() }
            }
        }
    }

    fn random_turn(&self, rng: &mut Rng) -> f64 {
        match self {
            Look::Shape(_) => rng.uniform(0.0, std::f64::consts::TAU),
            Look::Garment(_) => rng.uniform(-TILT, TILT),
        }
    }
}

impl Stock<'_> {
    /// An object's class and look.
    fn random(self, rng: &mut Rng) -> (usize, Look) {
        match self {
            Stock::Shapes => {
                let class = rng.below(Shape::ALL.len() as u64) as usize;
                (class, Look::Shape(Shape::ALL[class].outline()))
            }
            Stock::Garments(garments) => {
                let index = rng.below(garments.count() as u64) as usize;
                (garments.label(index), Look::Garment(Garment::new(garments.pixels(index))))
            }
        }
    }
}

/// An object on its way into a scene.
struct Sprite {
    class: usize,
    colour: Colour,
    /// `[Y, X]`, share of each pixel that the object covers.
    cover: Vec<f64>,
    /// `[Y, X]`, mean light of what the object covers of each pixel.
    light: Vec<f64>,
}

impl Sprite {
    fn random(rng: &mut Rng, class: usize, look: &Look, colour: Colour, place: Place, side: usize) -> Self {
        let turn = look.random_turn(rng);
        let (cover, light) = raster(look, place, turn, side);
        Sprite { class, colour, cover, light }
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

/// The scene with a number; a function of (config, stock, number).
pub fn detection_scene(config: &ScenesConfig, stock: Stock, number: u64) -> Scene {
    let mut rng = Rng::new(config.seed, Stream::DetectionScene, 0, number);
    let side = config.size as usize;
    let mut canvas = background(&mut rng, side);
    let mut colours = vec![canvas.mean()];
    let count = 1 + rng.below(MOST_OBJECTS);
    let mut sprites: Vec<Sprite> = (0..count)
        .map(|_| {
            let (class, look) = stock.random(&mut rng);
            let [from, to] = if rng.unit() < SMALL_SHARE { SMALL } else { SIZE };
            let radius = rng.uniform(from, to) * side as f64 / 2.0;
            // The centre stays inside; up to a third of the radius may be cut off by the edge.
            let inset = radius * 0.67;
            let place = Place {
                x: rng.uniform(inset, side as f64 - inset),
                y: rng.uniform(inset, side as f64 - inset),
                radius,
            };
            let palette = look.palette();
            let colour = vivid_against(&mut rng, palette, &colours);
            colours.push(dimmed(colour, palette.light));
            Sprite::random(&mut rng, class, &look, colour, place, side)
        })
        .collect();
    let owner = settle(&mut sprites);
    for sprite in &sprites {
        paint(&mut canvas, sprite);
    }
    let objects = sprites
        .iter()
        .enumerate()
        .map(|(i, sprite)| SceneObject { class: sprite.class, mask: mask_of(&owner, i, config.size) })
        .collect();
    Scene { image: canvas.into_image(&mut rng), objects }
}

/// The image with a number, showing one shape near its centre.
pub fn classification_image(config: &ScenesConfig, number: u64, shape: Shape) -> Image {
    let mut rng = Rng::new(config.seed, Stream::ClassificationScene, 0, number);
    let side = config.size as usize;
    let mut canvas = background(&mut rng, side);
    let look = Look::Shape(shape.outline());
    let colour = vivid_against(&mut rng, look.palette(), &[canvas.mean()]);
    let radius = rng.uniform(PORTRAIT[0], PORTRAIT[1]) * side as f64 / 2.0;
    let mut centre = || side as f64 * (0.5 + rng.uniform(-0.1, 0.1));
    let place = Place { x: centre(), y: centre(), radius };
    let sprite = Sprite::random(&mut rng, shape as usize, &look, colour, place, side);
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
            let shade = 0.85 + 0.15 * height;
            canvas.blend(at, dimmed(sprite.colour, sprite.light[at] * shade), cover);
        }
    }
}

/// For each pixel of the canvas, the share that a turned object covers, and the mean light of what it covers.
fn raster(look: &Look, place: Place, turn: f64, side: usize) -> (Vec<f64>, Vec<f64>) {
    let (sin, cos) = turn.sin_cos();
    let (mut cover, mut light) = (vec![0.0; side * side], vec![0.0; side * side]);
    let range = |centre: f64| {
        let from = (centre - place.radius).floor().max(0.0) as usize;
        let to = ((centre + place.radius).ceil().max(0.0) as usize).min(side);
        from..to
    };
    let step = 1.0 / SUPERSAMPLING as f64;
    for y in range(place.y) {
        for x in range(place.x) {
            let (mut inside, mut sum) = (0, 0.0);
            for sub in 0..SUPERSAMPLING * SUPERSAMPLING {
                let sx = x as f64 + ((sub % SUPERSAMPLING) as f64 + 0.5) * step;
                let sy = y as f64 + ((sub / SUPERSAMPLING) as f64 + 0.5) * step;
                let (u, v) = ((sx - place.x) / place.radius, (sy - place.y) / place.radius);
                if let Some(light) = look.light_at(u * cos + v * sin, v * cos - u * sin) {
                    inside += 1;
                    sum += light;
                }
            }
            if inside > 0 {
                cover[y * side + x] = inside as f64 / (SUPERSAMPLING * SUPERSAMPLING) as f64;
                light[y * side + x] = sum / inside as f64;
            }
        }
    }
    (cover, light)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_later_hides_what_came_before() {
        let cloth = Look::Garment(Garment::new(&[255; 28 * 28]));
        let square = |class, colour, x: f64| {
            // The garment's half diagonal; its sides are 16 pixels. Columns at its left and right are covered by 3/4
            // and by 1/4.
            let place = Place { x: x + 0.3, y: 16.0, radius: 8.0 * std::f64::consts::SQRT_2 };
            let (cover, light) = raster(&cloth, place, 0.0, 32);
            Sprite { class, colour, cover, light }
        };
        let (red, blue) = ([0.9, 0.1, 0.1], [0.1, 0.1, 0.9]);
        // The first lies wholly behind the third.
        let mut sprites = vec![square(1, red, 20.0), square(3, red, 12.0), square(8, blue, 20.0)];
        let owner = settle(&mut sprites);
        assert_eq!(sprites.iter().map(|s| s.class).collect::<Vec<_>>(), [3, 8]);
        let mut canvas = Canvas { side: 32, pixels: vec![[0.2; 3]; 32 * 32] };
        for sprite in &sprites {
            paint(&mut canvas, sprite);
        }
        let masks = [0, 1].map(|i| mask_of(&owner, i, 32).to_dense());
        for (at, pixel) in canvas.pixels.iter().enumerate() {
            let (x, y) = (at % 32, at / 32);
            let rows = (8..24).contains(&y);
            let want = [rows && (4..12).contains(&x), rows && (12..28).contains(&x)];
            assert_eq!(masks.each_ref().map(|mask| mask[at] == 1), want, "{x} {y}");
            assert_eq!([pixel[0] > 0.5, pixel[2] > 0.5], want, "{x} {y}: {pixel:?}");
        }
    }
}
