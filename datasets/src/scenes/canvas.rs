//! Colours and cluttered backgrounds. Knows nothing of objects.

use crate::image::Image;
use crate::rng::Rng;

/// Red, green, blue in 0..1.
pub(super) type Colour = [f64; 3];

/// Weights of the channels in perceived brightness (ITU-R BT.601).
const BRIGHTNESS: [f64; 3] = [0.299, 0.587, 0.114];
/// From what a colour is chosen.
#[derive(Clone, Copy)]
pub(super) struct Palette {
    pub saturation: [f64; 2],
    pub value: [f64; 2],
    /// Mean light that the colour will be seen in, 0..1.
    pub light: f64,
}

/// Least distance between an object's colour and those around it.
const CONTRAST: f64 = 0.3;
/// Colours tried before the one that stands out most is taken.
const TRIES: usize = 30;
/// Standard deviation of the noise laid over everything.
const NOISE: f64 = 0.025;

/// A square of floating-point colours.
pub(super) struct Canvas {
    pub side: usize,
    /// `[Y, X]`.
    pub pixels: Vec<Colour>,
}

/// A random background: a gradient between two muted colours, soft blobs and faint lines.
pub(super) fn background(rng: &mut Rng, side: usize) -> Canvas {
    let (from, to) = (muted(rng), muted(rng));
    let angle = rng.uniform(0.0, std::f64::consts::TAU);
    let (dx, dy) = (angle.cos(), angle.sin());
    let unit = |v: usize| (v as f64 + 0.5) / side as f64 - 0.5;
    let mut canvas = Canvas { side, pixels: Vec::with_capacity(side * side) };
    for y in 0..side {
        for x in 0..side {
            let t = (0.5 + 0.7 * (unit(x) * dx + unit(y) * dy)).clamp(0.0, 1.0);
            canvas.pixels.push(between(from, to, t));
        }
    }
    for _ in 0..rng.below(5) {
        blob(rng, &mut canvas);
    }
    for _ in 0..rng.below(5) {
        line(rng, &mut canvas);
    }
    canvas
}

/// A vivid colour that stands out, in hue or in brightness, from the mean background and from the objects that it may
/// overlap: an edge that cannot be seen cannot be learnt.
pub(super) fn vivid_against(rng: &mut Rng, palette: Palette, others: &[Colour]) -> Colour {
    let mut best = (f64::MIN, [0.0; 3]);
    for _ in 0..TRIES {
        let mut within = |[from, to]: [f64; 2]| rng.uniform(from, to);
        let colour = from_hsv(within([0.0, 1.0]), within(palette.saturation), within(palette.value));
        let seen = dimmed(colour, palette.light);
        let nearest = others.iter().map(|&other| distance(seen, other)).fold(f64::MAX, f64::min);
        if nearest >= CONTRAST {
            return colour;
        }
        if nearest > best.0 {
            best = (nearest, colour);
        }
    }
    best.1
}

/// A colour in a light of 0..1.
pub(super) fn dimmed(colour: Colour, light: f64) -> Colour {
    colour.map(|c| c * light)
}

/// Difference of two colours, each channel weighted by its share of perceived brightness.
fn distance(a: Colour, b: Colour) -> f64 {
    (0..3).map(|c| BRIGHTNESS[c] * (a[c] - b[c]).powi(2)).sum::<f64>().sqrt()
}

impl Canvas {
    /// Mean colour.
    pub fn mean(&self) -> Colour {
        let mut sum = [0.0; 3];
        for pixel in &self.pixels {
            for c in 0..3 {
                sum[c] += pixel[c];
            }
        }
        sum.map(|s| s / self.pixels.len() as f64)
    }

    /// Lays a colour over a pixel with an opacity.
    pub fn blend(&mut self, at: usize, colour: Colour, opacity: f64) {
        self.pixels[at] = between(self.pixels[at], colour, opacity);
    }

    /// As 8-bit pixels, with sensor-like noise on brightness.
    pub fn into_image(self, rng: &mut Rng) -> Image {
        let mut rgb = Vec::with_capacity(self.pixels.len() * 3);
        for pixel in self.pixels {
            let noise = NOISE * rng.normal();
            rgb.extend(pixel.map(|c| ((c + noise).clamp(0.0, 1.0) * 255.0).round() as u8));
        }
        Image { width: self.side as u32, height: self.side as u32, rgb }
    }
}

fn muted(rng: &mut Rng) -> Colour {
    from_hsv(rng.unit(), rng.uniform(0.0, 0.35), rng.uniform(0.25, 0.8))
}

fn between(a: Colour, b: Colour, t: f64) -> Colour {
    std::array::from_fn(|c| a[c] + (b[c] - a[c]) * t)
}

fn blob(rng: &mut Rng, canvas: &mut Canvas) {
    let side = canvas.side as f64;
    let (cx, cy) = (rng.uniform(0.0, side), rng.uniform(0.0, side));
    let radius = side * rng.uniform(0.05, 0.25);
    let (colour, strength) = (muted(rng), rng.uniform(0.2, 0.6));
    for at in 0..canvas.pixels.len() {
        let (x, y) = ((at % canvas.side) as f64 + 0.5, (at / canvas.side) as f64 + 0.5);
        let d2 = ((x - cx).powi(2) + (y - cy).powi(2)) / (radius * radius);
        if d2 < 6.0 {
            canvas.blend(at, colour, strength * (-d2).exp());
        }
    }
}

fn line(rng: &mut Rng, canvas: &mut Canvas) {
    let side = canvas.side as f64;
    let angle = rng.uniform(0.0, std::f64::consts::PI);
    let (nx, ny) = (angle.cos(), angle.sin());
    let (cx, cy) = (rng.uniform(0.0, side), rng.uniform(0.0, side));
    let width = side * rng.uniform(0.008, 0.025);
    let (colour, strength) = (muted(rng), rng.uniform(0.3, 0.7));
    for at in 0..canvas.pixels.len() {
        let (x, y) = ((at % canvas.side) as f64 + 0.5, (at / canvas.side) as f64 + 0.5);
        let distance = ((x - cx) * nx + (y - cy) * ny).abs();
        let cover = (width / 2.0 + 0.5 - distance).clamp(0.0, 1.0);
        if cover > 0.0 {
            canvas.blend(at, colour, strength * cover);
        }
    }
}

/// The usual conversion; hue in 0..1.
fn from_hsv(hue: f64, saturation: f64, value: f64) -> Colour {
    [5.0, 3.0, 1.0].map(|n| {
        let k = (n + hue * 6.0) % 6.0;
        value - value * saturation * k.min(4.0 - k).clamp(0.0, 1.0)
    })
}
