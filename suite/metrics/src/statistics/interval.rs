//! An estimate whose error has several independent sources, each known with its degrees of freedom (Welch, 1947; Satterthwaite, 1946).

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// One source of error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Component {
    pub variance: f64,
    /// Infinite where the variance is known as well as never changes anything.
    pub degrees: f64,
}

/// A 95% interval, and the p value that the true value is 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TInterval {
    pub standard_error: f64,
    /// Satterthwaite's degrees of freedom.
    pub degrees: f64,
    pub low: f64,
    pub high: f64,
    /// Two-sided.
    pub p: f64,
}

/// `None` where a number isn't finite, or a variance or its degrees are negative.
pub fn t_interval(estimate: f64, components: &[Component]) -> Option<TInterval> {
    let fine = |c: &Component| c.variance.is_finite() && c.variance >= 0.0 && c.degrees > 0.0;
    if !estimate.is_finite() || !components.iter().all(fine) {
        return None;
    }
    let variance: f64 = components.iter().map(|c| c.variance).sum();
    let standard_error = variance.sqrt();
    let shares: f64 = components.iter().map(|c| c.variance.powi(2) / c.degrees).sum();
    let degrees = if shares > 0.0 { variance.powi(2) / shares } else { f64::INFINITY };
    let half = quantile(0.975, degrees) * standard_error;
    let p = match standard_error > 0.0 {
        true => 2.0 * tail(estimate.abs() / standard_error, degrees),
        false if estimate == 0.0 => 1.0,
        false => 0.0,
    };
    Some(TInterval { standard_error, degrees, low: estimate - half, high: estimate + half, p: p.min(1.0) })
}

/// The smallest true difference that a two-sided test at 5% finds with 80% power.
pub fn minimum_detectable_effect(standard_error: f64, degrees: f64) -> f64 {
    (quantile(0.975, degrees) + quantile(0.8, degrees)) * standard_error
}

/// Beyond this many degrees of freedom Student's t is the normal distribution to six digits.
const NORMAL: f64 = 1e6;

fn quantile(share: f64, degrees: f64) -> f64 {
    match StudentsT::new(0.0, 1.0, degrees) {
        Ok(t) if degrees < NORMAL => t.inverse_cdf(share),
        _ => Normal::standard().inverse_cdf(share),
    }
}

/// P(T > value).
fn tail(value: f64, degrees: f64) -> f64 {
    match StudentsT::new(0.0, 1.0, degrees) {
        Ok(t) if degrees < NORMAL => t.sf(value),
        _ => Normal::standard().sf(value),
    }
}
