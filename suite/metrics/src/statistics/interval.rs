//! Intervals of an estimate whose variance has several sources, each known with its own degrees of
//! freedom, and the effect a comparison can detect. It may not touch where the numbers come from.

use serde::{Deserialize, Serialize};

use crate::statistics::student::{quantile, two_sided};

/// One source of an estimate's variance, as seeds or images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// What it adds to the estimate's variance, in the square of the estimate's unit.
    pub variance: f64,
    /// Degrees of freedom with which it was estimated; infinite where it is known.
    pub degrees: f64,
}

/// A two-sided 95% interval of an estimate, in the estimate's unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TInterval {
    pub standard_error: f64,
    /// Degrees of freedom of the t distribution; infinite for the normal one.
    pub degrees: f64,
    pub low: f64,
    pub high: f64,
    /// Two-sided p value that the true value is 0.
    pub p: f64,
}

/// The two-sided 95% interval and p value of an estimate whose variance is the sum of `components`,
/// by Student's t with the degrees of Welch and Satterthwaite: the square of the sum over the sum of
/// `variance^2 / degrees`. With no variance at all the interval is the estimate, and p is 0, or 1
/// for an estimate of 0.
///
/// `None` without components, and where the estimate or a variance isn't finite, a variance is below
/// 0 or degrees aren't above 0.
pub fn t_interval(estimate: f64, components: &[Component]) -> Option<TInterval> {
    let valid =
        |component: &Component| component.variance.is_finite() && component.variance >= 0.0 && component.degrees > 0.0;
    let variance: f64 = components.iter().map(|component| component.variance).sum();
    if components.is_empty() || !components.iter().all(valid) || !estimate.is_finite() || !variance.is_finite() {
        return None;
    }
    if variance == 0.0 {
        let p = if estimate == 0.0 { 1.0 } else { 0.0 };
        return Some(TInterval { standard_error: 0.0, degrees: f64::INFINITY, low: estimate, high: estimate, p });
    }
    // By shares of the variance, whose squares neither vanish nor overflow.
    let uncertain: f64 =
        components.iter().map(|component| (component.variance / variance).powi(2) / component.degrees).sum();
    let degrees = 1.0 / uncertain;
    let standard_error = variance.sqrt();
    let half = quantile(0.975, degrees) * standard_error;
    Some(TInterval {
        standard_error,
        degrees,
        low: estimate - half,
        high: estimate + half,
        p: two_sided(estimate / standard_error, degrees),
    })
}

/// Smallest true difference found with 80% power by a two-sided test at 5%:
/// (t_{0.975} + t_{0.8}) x standard error, in the unit of the standard error. NaN unless `degrees`
/// are above 0; infinite degrees are the normal distribution's.
pub fn minimum_detectable_effect(standard_error: f64, degrees: f64) -> f64 {
    (quantile(0.975, degrees) + quantile(0.8, degrees)) * standard_error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_variance_is_a_point() {
        let known = Component { variance: 0.0, degrees: f64::INFINITY };
        let interval = t_interval(0.5, &[known, Component { degrees: 3.0, ..known }]).unwrap();
        assert_eq!((interval.low, interval.high, interval.p), (0.5, 0.5, 0.0));
        assert_eq!(t_interval(0.0, &[known]).unwrap().p, 1.0);
    }

    #[test]
    fn nothing_of_what_is_no_variance() {
        let good = Component { variance: 1.0, degrees: 2.0 };
        assert_eq!(t_interval(0.0, &[]), None);
        assert_eq!(t_interval(f64::NAN, &[good]), None);
        for variance in [-1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(t_interval(0.0, &[good, Component { variance, ..good }]), None);
        }
        for degrees in [0.0, -1.0, f64::NAN] {
            assert_eq!(t_interval(0.0, &[good, Component { degrees, ..good }]), None);
        }
        assert_eq!(t_interval(0.0, &[Component { variance: f64::MAX, ..good }; 2]), None);
        assert!(minimum_detectable_effect(1.0, 0.0).is_nan());
    }
}
