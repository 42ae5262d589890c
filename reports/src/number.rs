//! Numbers as people read them: percent, points, millions, seconds, bytes. All rounding of the report happens here.

use adamv_metrics::{mean, standard_deviation};

/// Mean and sample standard deviation over seeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Estimate {
    pub mean: f64,
    /// None for one seed.
    pub deviation: Option<f64>,
}

impl Estimate {
    /// None for no values.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        Some(Self { mean: mean(values)?, deviation: standard_deviation(values) })
    }

    /// `71.20` or `71.20 ± 0.31`.
    pub(crate) fn text(self) -> String {
        self.with_deviation(fixed(self.mean))
    }

    /// `+2.00` or `+2.00 ± 0.31`; a minus is the typographic one.
    pub(crate) fn signed(self) -> String {
        self.with_deviation(signed(self.mean))
    }

    fn with_deviation(self, mean: String) -> String {
        self.deviation.map_or_else(|| mean.clone(), |deviation| format!("{mean} ± {}", fixed(deviation)))
    }
}

/// Two decimals, as the paper prints; never `-0.00`.
pub(crate) fn fixed(value: f64) -> String {
    let text = format!("{value:.2}");
    if text == "-0.00" { "0.00".to_owned() } else { text }
}

/// Two decimals with a sign.
pub(crate) fn signed(value: f64) -> String {
    let text = fixed(value);
    match text.strip_prefix('-') {
        Some(digits) => format!("\u{2212}{digits}"),
        None if text == "0.00" => "±0.00".to_owned(),
        None => format!("+{text}"),
    }
}

/// `4.2 s`, `3 min 05 s`, `2 h 07 min`, `12 days`, `3.4 years`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        _ if seconds < 9.95 => format!("{seconds:.1} s"),
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        3600..172_800 => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
        172_800..63_115_200 => format!("{:.0} days", seconds / 86_400.0),
        _ => format!("{:.1} years", seconds / 31_557_600.0),
    }
}

/// Binary units: `512 MiB`, `1.5 GiB`.
pub fn bytes(bytes: u64) -> String {
    const MIB: f64 = 1_048_576.0;
    let mib = bytes as f64 / MIB;
    if mib < 1023.5 { format!("{mib:.0} MiB") } else { format!("{:.1} GiB", mib / 1024.0) }
}

/// Three significant digits or the whole number.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        v if v < 10.0 => format!("{v:.2}"),
        v if v < 100.0 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

/// `one cell`, `3 cells`.
pub(crate) fn count(n: usize, one: &str) -> String {
    match n {
        1 => format!("one {one}"),
        n => format!("{n} {one}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates() {
        assert_eq!(Estimate::of(&[]), None);
        assert_eq!(Estimate::of(&[50.0]).map(Estimate::text), Some("50.00".into()));
        // Mean 2, sample variance ((1 + 0 + 1) / 2) = 1.
        assert_eq!(Estimate::of(&[1.0, 2.0, 3.0]).map(Estimate::signed), Some("+2.00 ± 1.00".into()));
        assert_eq!(Estimate::of(&[-0.001, -0.001]).map(Estimate::signed), Some("±0.00 ± 0.00".into()));
    }

    #[test]
    fn texts() {
        assert_eq!(signed(-1.255), "\u{2212}1.25");
        assert_eq!(
            ["9.94", "9.96", "59.4", "185", "3599.6", "7620", "259200", "94672800"]
                .map(|s| duration(s.parse().unwrap_or(0.0))),
            ["9.9 s", "10 s", "59 s", "3 min 05 s", "1 h 00 min", "2 h 07 min", "3 days", "3.0 years"]
        );
        assert_eq!([1 << 20, 1023 << 20, 3 << 29].map(bytes), ["1 MiB", "1023 MiB", "1.5 GiB"]);
        assert_eq!([0.123, 45.67, 1234.5].map(rate), ["0.12", "45.7", "1234"]);
    }
}
