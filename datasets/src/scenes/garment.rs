//! One Fashion-MNIST image as an object: its silhouette and its cloth, at any point of the unit disc. Knows no scene.
//!
//! The images show garments on black. Around a garment lies a veil left by the original's compression and resizing, the
//! brighter the garment the brighter; garments that were white are nearly black themselves, and a high threshold tears
//! them. So a low one finds the garment, and a higher one is asked of its rim alone.

use super::idx::SIDE;

/// Texels above it belong to the garment: between the veil's last values and the first of dark cloth, where the
/// histogram of all images has its valley.
const VEIL: u8 = 8;
/// A texel at the rim belongs to the veil when it has less than this share of the brightest texel.
const RIM_SHARE: f64 = 0.1;
/// Fewer joined texels than this are dust around a garment, or stitches within it rather than a hole to look through.
const SPECK: usize = 4;
/// Light of black cloth; without it a dark garment's colour could not be seen.
const DARKEST: f64 = 0.2;
/// Side of the grid: the image with a rim of background, so that each texel has all its neighbours.
const GRID: usize = SIDE + 2;
/// Steps to the neighbours in the grid: four that share an edge, four that share a corner.
const STEPS: [isize; 8] = {
    let row = GRID as isize;
    [-1, 1, -row, row, -row - 1, -row + 1, row - 1, row + 1]
};

/// A garment, moved and scaled so that it just fits the unit disc.
pub(super) struct Garment {
    /// `[GRID, GRID]`, light of each texel that belongs to the garment.
    light: Vec<Option<f64>>,
    /// Middle of the silhouette's box in texels of the grid.
    middle: [f64; 2],
    /// From there to the farthest corner of a texel.
    radius: f64,
}

impl Garment {
    /// From `[Y, X]`, 28 x 28 pixels.
    pub fn new(pixels: &[u8]) -> Self {
        let mut values = vec![0; GRID * GRID];
        for (y, row) in pixels.chunks_exact(SIDE).enumerate() {
            values[(y + 1) * GRID + 1..][..SIDE].copy_from_slice(row);
        }
        let brightest = values.iter().copied().max().unwrap_or(0);
        let garment: Vec<bool> = values.iter().map(|&v| v > VEIL).collect();
        // Joined to a neighbour that is background; a garment's texel never lies on the grid's own rim.
        let at_rim = |at: usize| STEPS[..4].iter().any(|&step| !garment[at.wrapping_add_signed(step)]);
        let veil = |at: usize| f64::from(values[at]) < RIM_SHARE * f64::from(brightest) && at_rim(at);
        let mut inside: Vec<bool> = (0..GRID * GRID).map(|at| garment[at] && !veil(at)).collect();
        // Straps are joined at corners; what is behind a garment is not seen through a corner.
        flip_specks(&mut inside, true, &STEPS);
        flip_specks(&mut inside, false, &STEPS[..4]);
        let texels = || (0..GRID * GRID).filter(|&at| inside[at]);
        // Squared: most cloth is bright, and its folds and prints lie there.
        let light = |at: usize| DARKEST + (1.0 - DARKEST) * (f64::from(values[at]) / f64::from(brightest)).powi(2);
        let middle = [|at| at % GRID, |at| at / GRID].map(|axis: fn(usize) -> usize| {
            let (first, last) = (texels().map(axis).min().unwrap_or(0), texels().map(axis).max().unwrap_or(0));
            (first + last + 1) as f64 / 2.0
        });
        let reach = |at: usize| {
            let [dx, dy] = [(at % GRID) as f64 + 0.5 - middle[0], (at / GRID) as f64 + 0.5 - middle[1]];
            (dx.abs() + 0.5).hypot(dy.abs() + 0.5)
        };
        let radius = texels().map(reach).fold(1.0, f64::max);
        let light = (0..GRID * GRID).map(|at| inside[at].then(|| light(at))).collect();
        Garment { light, middle, radius }
    }

    /// The cloth's light in (0, 1] at a point of the square [-1, 1] x [-1, 1]; `None` beside the garment.
    ///
    /// A point is on the garment when the silhouette, interpolated between the four nearest texels, is at least a half
    /// there; its light is interpolated between those of them that are cloth.
    pub fn light_at(&self, u: f64, v: f64) -> Option<f64> {
        let [x, y] = [self.middle[0] + u * self.radius - 0.5, self.middle[1] + v * self.radius - 0.5];
        let last = (GRID - 2) as f64;
        if !(0.0..=last).contains(&x.floor()) || !(0.0..=last).contains(&y.floor()) {
            return None;
        }
        let (column, row) = (x.floor() as usize, y.floor() as usize);
        let (fx, fy) = (x - x.floor(), y - y.floor());
        let (mut share, mut sum) = (0.0, 0.0);
        for (dy, wy) in [(0, 1.0 - fy), (1, fy)] {
            for (dx, wx) in [(0, 1.0 - fx), (1, fx)] {
                if let Some(light) = self.light[(row + dy) * GRID + column + dx] {
                    share += wx * wy;
                    sum += wx * wy * light;
                }
            }
        }
        (share >= 0.5).then(|| sum / share)
    }

    /// Mean light of the cloth; 1 when there is none.
    pub fn mean_light(&self) -> f64 {
        let (count, sum) = self.light.iter().flatten().fold((0, 0.0), |(n, sum), light| (n + 1, sum + light));
        if count == 0 { 1.0 } else { sum / f64::from(count) }
    }
}

/// Gives the other value to joined texels of one value that are fewer than a speck's.
fn flip_specks(inside: &mut [bool], value: bool, steps: &[isize]) {
    let mut seen = vec![false; inside.len()];
    for start in 0..inside.len() {
        if seen[start] || inside[start] != value {
            continue;
        }
        seen[start] = true;
        let (mut joined, mut next) = (vec![start], 0);
        while next < joined.len() {
            for &step in steps {
                let Some(at) = joined[next].checked_add_signed(step) else { continue };
                if inside.get(at) == Some(&value) && !seen[at] {
                    seen[at] = true;
                    joined.push(at);
                }
            }
            next += 1;
        }
        if joined.len() < SPECK {
            for at in joined {
                inside[at] = !value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of 12 x 8 texels at (6, 10) around a hole of 4 x 2, with one dark stitch, in a veil with a brim and a speck.
    fn frame() -> Vec<u8> {
        let mut pixels = vec![VEIL; SIDE * SIDE];
        for y in 10..18 {
            for x in 6..18 {
                pixels[y * SIDE + x] = if (10..14).contains(&x) && (13..15).contains(&y) { 0 } else { 100 };
            }
        }
        pixels[11 * SIDE + 7] = 0;
        pixels[9 * SIDE + 8] = VEIL + 1;
        pixels[2 * SIDE + 25] = 100;
        pixels
    }

    #[test]
    fn silhouettes_keep_holes_and_lose_specks() {
        let garment = Garment::new(&frame());
        let cloth = garment.light.iter().flatten().count();
        assert_eq!(cloth, 12 * 8 - 4 * 2);
        // In the grid everything is one texel further right and down.
        assert_eq!(garment.middle, [13.0, 15.0]);
        assert_eq!(garment.radius, 6f64.hypot(4.0));
        assert!(garment.light_at(0.0, 0.0).is_none(), "the hole shows what is behind");
        let at = |x: f64, y: f64| garment.light_at((x - 13.0) / garment.radius, (y - 15.0) / garment.radius);
        // The stitch is cloth, and black.
        assert!((at(8.5, 12.5).unwrap() - DARKEST).abs() < 1e-12);
        assert!((at(16.5, 12.5).unwrap() - 1.0).abs() < 1e-12);
        // The edge lies where the texels' edge lies.
        assert!(at(7.01, 15.0).is_some() && at(6.99, 15.0).is_none());
        assert!(at(14.9, 15.0).is_none() && at(15.1, 15.0).is_some());
    }

    #[test]
    fn it_fits_the_disc() {
        for pixels in [vec![255; SIDE * SIDE], frame()] {
            let garment = Garment::new(&pixels);
            for i in 0..400 {
                for j in 0..400 {
                    let (u, v) = (f64::from(i) / 100.0 - 2.0, f64::from(j) / 100.0 - 2.0);
                    assert!(garment.light_at(u, v).is_none() || u.hypot(v) <= 1.001, "{u} {v}");
                }
            }
        }
    }

    #[test]
    fn an_empty_image_is_no_garment() {
        let garment = Garment::new(&[VEIL; SIDE * SIDE]);
        assert!(garment.light_at(0.0, 0.0).is_none());
        assert_eq!((garment.mean_light(), garment.radius), (1.0, 1.0));
    }
}
