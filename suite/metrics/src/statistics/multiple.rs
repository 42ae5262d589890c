//! Many tests at once: Benjamini and Hochberg (1995).

/// Adjusted p values, in the order given: rejecting those at most q keeps the expected share of false rejections below q.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[b].total_cmp(&p[a]));
    let mut adjusted = vec![1.0; p.len()];
    let mut smallest = 1.0f64;
    for (place, &index) in order.iter().enumerate() {
        let rank = (p.len() - place) as f64;
        smallest = smallest.min(p[index] * p.len() as f64 / rank);
        adjusted[index] = smallest;
    }
    adjusted
}
