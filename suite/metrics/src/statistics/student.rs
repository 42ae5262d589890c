//! Student's t distribution for any degrees of freedom, infinite ones too (the normal distribution): tails and quantiles, by the
//! crate statrs.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// From here on the normal distribution differs by less than 1e-7.
const MANY: f64 = 1e7;

/// The probability of a value at least `t` away from 0, on either side. NaN unless `degrees` are above 0.
pub fn two_sided(t: f64, degrees: f64) -> f64 {
    match (StudentsT::new(0.0, 1.0, degrees), t.is_nan()) {
        (Err(_), _) | (_, true) => f64::NAN,
        (Ok(student), _) if degrees < MANY => 2.0 * student.sf(t.abs()),
        _ => 2.0 * Normal::standard().sf(t.abs()),
    }
}

/// The t that is exceeded with probability `1 - p`, for `p` in 0.5..1. NaN for other `p`, or unless `degrees` are above 0.
///
/// By bisection: for a million degrees statrs's own inverse is off in the fourth digit.
pub fn quantile(p: f64, degrees: f64) -> f64 {
    if !(0.5..1.0).contains(&p) || degrees.is_nan() || degrees <= 0.0 {
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
