//! McNemar's test of two classifiers on the same images. Knows counts; it may not touch predictions.

/// Exact two-sided McNemar test from the numbers of images that only one of two got right: the p
/// value that each of them was as likely to fall to the one as to the other (binomial with 1/2,
/// doubled, at most 1). 1 where there are none.
///
/// Takes steps of the order of the root of the sum. Below about 1e-300 it is 0.
pub fn mcnemar(only_first: u64, only_second: u64) -> f64 {
    let fewer = only_first.min(only_second);
    let total = only_first.saturating_add(only_second);
    if total - fewer == fewer {
        return 1.0;
    }
    // Binomial probabilities relative to that of the middle, from there down by their quotients:
    // no logarithm of a factorial, whose rounding would grow with the counts. The other half is
    // the same by symmetry.
    let middle = total / 2;
    let (mut probability, mut half, mut tail) = (1.0, 0.0, 0.0);
    for count in (0..=middle).rev() {
        half += probability;
        if count <= fewer {
            tail += probability;
        }
        // The rest changes neither sum, the smaller of which is the tail once it has begun.
        if probability == 0.0 || (count < fewer && probability < tail * 1e-18) {
            break;
        }
        probability *= count as f64 / (total - count + 1) as f64;
    }
    // An even total has its middle once.
    let all = if total.is_multiple_of(2) { 2.0 * half - 1.0 } else { 2.0 * half };
    (2.0 * tail / all).min(1.0)
}
