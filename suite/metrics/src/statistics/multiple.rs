//! P values of many comparisons. Knows numbers only; it may not touch what was compared.

/// Benjamini-Hochberg adjusted p values, in the order given: those at most q are the discoveries of
/// which in the mean a share of q is false (Benjamini and Hochberg, 1995; for independent or
/// positively dependent tests). Each in 0..=1; NaN counts as 1.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let p: Vec<f64> = p.iter().map(|&p| if p.is_nan() { 1.0 } else { p.clamp(0.0, 1.0) }).collect();
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&one, &other| p[one].total_cmp(&p[other]));
    let mut adjusted = vec![1.0; p.len()];
    let mut least = 1.0f64;
    for (rank, &at) in order.iter().enumerate().rev() {
        // Never below p itself: the quotient is at least 1.
        least = least.min(p[at] * (p.len() as f64 / (rank + 1) as f64));
        adjusted[at] = least;
    }
    adjusted
}
