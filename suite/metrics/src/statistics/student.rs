//! Student's t distribution: tails and quantiles for any degrees of freedom, infinite ones too
//! (the normal distribution).

use std::f64::consts::{PI, SQRT_2};

/// From here on the normal approximation is exact to more digits than anyone needs, and the
/// continued fraction begins to take many steps.
const MANY: f64 = 1000.0;

/// The probability of a value at least `t` away from 0, on either side. NaN unless `degrees` are
/// above 0.
///
/// Relative error below 1e-12 where the result is above 1e-12 and `degrees` at least 1
/// (`tests/statistics.rs`, against scipy).
pub fn two_sided(t: f64, degrees: f64) -> f64 {
    let square = t * t;
    if !(degrees > 0.0) || t.is_nan() {
        f64::NAN
    } else if square.is_infinite() {
        0.0
    } else if degrees < MANY {
        let (rest, x) = (square / (degrees + square), degrees / (degrees + square));
        // The logarithm of x, also where x is close to 1.
        beta(degrees / 2.0, x, rest, -(square / degrees).ln_1p())
    } else if degrees.is_infinite() {
        libm::erfc(t.abs() / SQRT_2)
    } else {
        libm::erfc(as_normal(square, degrees) / SQRT_2)
    }
}

/// The t that is exceeded with probability `1 - p`, for `p` in 0.5..1. NaN for other `p`, or
/// unless `degrees` are above 0.
pub fn quantile(p: f64, degrees: f64) -> f64 {
    if !(0.5..1.0).contains(&p) || !(degrees > 0.0) {
        return f64::NAN;
    }
    let outside = 2.0 * (1.0 - p);
    let mut high = 1.0;
    while two_sided(high, degrees) > outside {
        high *= 2.0;
    }
    let mut low = 0.0;
    loop {
        let middle = (low + high) / 2.0;
        if middle <= low || middle >= high {
            return middle;
        }
        *if two_sided(middle, degrees) > outside { &mut low } else { &mut high } = middle;
    }
}

/// The normal deviate with the same tails as t (of its square), for many degrees: Hill, Algorithm
/// 395, CACM 13 (1970).
fn as_normal(square: f64, degrees: f64) -> f64 {
    let a = degrees - 0.5;
    let b = 48.0 * a * a;
    let y = a * (square / degrees).ln_1p();
    let correction = (((-0.4 * y - 3.3) * y - 24.0) * y - 85.5) / (0.8 * y * y + 100.0 + b) + y + 3.0;
    (correction / b + 1.0) * y.sqrt()
}

/// The regularised incomplete beta function I_x(a, 1/2); `rest` is 1 - x, `ln_x` the logarithm of x.
fn beta(a: f64, x: f64, rest: f64, ln_x: f64) -> f64 {
    if rest == 0.0 {
        return 1.0;
    }
    // x^a (1 - x)^(1/2) / B(a, 1/2)
    let front = (a * ln_x).exp() * rest.sqrt() * gamma_quotient(a) / PI.sqrt();
    if x < (a + 1.0) / (a + 2.5) {
        front * continued_fraction(a, 0.5, x) / a
    } else {
        1.0 - front * continued_fraction(0.5, a, rest) / 0.5
    }
}

/// Γ(a + 1/2) / Γ(a) for a above 0: its asymptotic series, reached by the recurrence of Γ.
fn gamma_quotient(mut a: f64) -> f64 {
    let mut factor = 1.0;
    while a < 40.0 {
        factor *= a / (a + 0.5);
        a += 1.0;
    }
    let inverse = 1.0 / a;
    // exp(ln(a)/2 - 1/(8a) + 1/(192a^3) - 1/(640a^5)); the next term is below 1e-13 / 1000.
    let correction = -inverse / 8.0 + inverse.powi(3) / 192.0 - inverse.powi(5) / 640.0;
    factor * a.sqrt() * correction.exp()
}

/// The continued fraction of the incomplete beta function by Lentz's method (Numerical Recipes,
/// 6.4); quick for x below (a + 1) / (a + b + 2).
fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    let away_from_zero = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for step in 1..=1000 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away_from_zero(1.0 + even * d);
        c = away_from_zero(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away_from_zero(1.0 + odd * d);
        c = away_from_zero(1.0 + odd / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-16 {
            break;
        }
    }
    fraction
}
