//! The outlines of the drawn objects, as tests of a point in the square [-1, 1] x [-1, 1]. Knows no pixels.

/// What an object is: its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A disc.
    Circle,
    /// A plus sign.
    Cross,
    /// A disc with a hole; what lies behind shows through.
    Ring,
    /// A square.
    Square,
    /// A five-pointed star.
    Star,
    /// An equilateral triangle.
    Triangle,
}

impl Shape {
    /// Every shape, by name.
    pub const ALL: [Shape; 6] = [Shape::Circle, Shape::Cross, Shape::Ring, Shape::Square, Shape::Star, Shape::Triangle];

    /// The class name.
    pub fn as_str(self) -> &'static str {
        match self {
            Shape::Circle => "circle",
            Shape::Cross => "cross",
            Shape::Ring => "ring",
            Shape::Square => "square",
            Shape::Star => "star",
            Shape::Triangle => "triangle",
        }
    }

    /// Its outline. All shapes lie within the unit disc, so that turning keeps them in their square.
    pub fn outline(self) -> Outline {
        match self {
            Shape::Triangle => Outline::Polygon(corners(3, 1.0, 1.0)),
            Shape::Star => Outline::Polygon(corners(10, 1.0, 0.42)),
            round_or_square => Outline::Simple(round_or_square),
        }
    }
}

/// A shape prepared for many tests of points.
pub enum Outline {
    /// Tested by its formula.
    Simple(Shape),
    /// Tested edge by edge.
    Polygon(Vec<[f64; 2]>),
}

impl Outline {
    /// Whether a point belongs to the shape.
    pub fn contains(&self, x: f64, y: f64) -> bool {
        let radius = (x * x + y * y).sqrt();
        let (near, far) = (x.abs().min(y.abs()), x.abs().max(y.abs()));
        match self {
            Outline::Polygon(corners) => in_polygon(corners, x, y),
            Outline::Simple(Shape::Ring) => (0.52..=0.95).contains(&radius),
            Outline::Simple(Shape::Square) => far <= 0.7,
            Outline::Simple(Shape::Cross) => near <= 0.27 && far <= 0.93,
            Outline::Simple(_) => radius <= 0.9,
        }
    }
}

/// Corners around the origin, evenly spaced in angle from the top on, at the two radii in turn.
fn corners(n: u32, even: f64, odd: f64) -> Vec<[f64; 2]> {
    let corner = |k: u32| {
        let radius = if k.is_multiple_of(2) { even } else { odd };
        let (sin, cos) = (std::f64::consts::TAU * f64::from(k) / f64::from(n)).sin_cos();
        [radius * sin, -radius * cos]
    };
    (0..n).map(corner).collect()
}

/// The even-odd rule: a ray to the right crosses the outline an odd number of times.
fn in_polygon(corners: &[[f64; 2]], x: f64, y: f64) -> bool {
    let mut inside = false;
    let mut a = corners[corners.len() - 1];
    for &b in corners {
        if (a[1] > y) != (b[1] > y) && x < a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]) {
            inside = !inside;
        }
        a = b;
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_those_of_the_outlines() {
        let triangle = 3.0 * 3f64.sqrt() / 4.0;
        let star = 5.0 * 0.42 * (std::f64::consts::PI / 5.0).sin();
        let pi = std::f64::consts::PI;
        let want = [
            pi * 0.81,
            4.0 * (0.27 * 0.93 * 2.0 - 0.27 * 0.27),
            pi * (0.95 * 0.95 - 0.52 * 0.52),
            1.96,
            star,
            triangle,
        ];
        for (shape, want) in Shape::ALL.into_iter().zip(want) {
            let (n, outline) = (1000, shape.outline());
            let mut inside = 0;
            for i in 0..n {
                for j in 0..n {
                    let at = |k: i32| (f64::from(k) + 0.5) / f64::from(n) * 2.0 - 1.0;
                    let (x, y) = (at(i), at(j));
                    if outline.contains(x, y) {
                        inside += 1;
                        assert!(x.hypot(y) <= 1.001, "{shape:?} leaves the disc at {x} {y}");
                    }
                }
            }
            let area = f64::from(inside) * 4.0 / f64::from(n * n);
            assert!((area - want).abs() < 0.01, "{shape:?}: {area}, want {want}");
        }
    }
}
