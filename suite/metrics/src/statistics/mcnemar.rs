//! McNemar's test (1947) in its exact form.

/// Two-sided p value that two classifiers are equally good, from the numbers of images that only one of them got right: under that
/// hypothesis each such image is a fair coin. 1 where there is none.
pub fn mcnemar(only_first: u64, only_second: u64) -> f64 {
    let (few, all) = (only_first.min(only_second), only_first + only_second);
    // Terms of the binomial distribution in logarithms: 2^-all underflows from 1,075 images on.
    let log_half = 0.5f64.ln() * all as f64;
    let mut log_choose = 0.0f64;
    let mut tail = 0.0;
    for k in 0..=few {
        if k > 0 {
            log_choose += ((all - k + 1) as f64).ln() - (k as f64).ln();
        }
        tail += (log_choose + log_half).exp();
    }
    (2.0 * tail).min(1.0)
}
