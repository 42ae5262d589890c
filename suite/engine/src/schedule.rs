//! The learning rate, a pure function of the step: nothing to save, nothing to get wrong after a resume.

use crate::config::ScheduleConfig;

/// Learning rate of step `step` (0-based) of a phase: rises linearly to its peak over the warm-up steps, then falls to
/// 0 along half a cosine, which it would reach at step `steps`.
pub fn learning_rate(schedule: &ScheduleConfig, step: u64) -> f64 {
    let peak = schedule.learning_rate;
    if step < schedule.warmup {
        return peak * (step + 1) as f64 / schedule.warmup as f64;
    }
    let length = (schedule.steps - schedule.warmup).max(1) as f64;
    let part = ((step - schedule.warmup) as f64 / length).min(1.0);
    peak * 0.5 * (1.0 + (std::f64::consts::PI * part).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_then_follows_half_a_cosine() {
        let schedule = ScheduleConfig { steps: 110, learning_rate: 2.0, warmup: 10, ..ScheduleConfig::default() };
        let lr = |step| learning_rate(&schedule, step);
        // By hand: 2 * 1/10, 2 * 10/10; then 2 * (1 + cos(pi * t)) / 2 at t = 0, 1/4, 1/2, 1.
        let expected = [(0, 0.2), (9, 2.0), (10, 2.0), (35, 1.0 + 0.5f64.sqrt()), (60, 1.0), (110, 0.0)];
        for (step, value) in expected {
            assert!((lr(step) - value).abs() < 1e-12, "step {step}: {} instead of {value}", lr(step));
        }
        assert!((1..110).all(|s| s < 10 || lr(s) <= lr(s - 1)), "it never rises after the warm-up");
    }

    #[test]
    fn without_warmup_it_starts_at_the_peak() {
        let schedule = ScheduleConfig { steps: 1, learning_rate: 0.5, warmup: 0, ..ScheduleConfig::default() };
        assert_eq!(learning_rate(&schedule, 0), 0.5);
    }
}
