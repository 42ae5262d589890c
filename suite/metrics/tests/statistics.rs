//! Statistics against scipy (`golden/make_statistics.py`), and the bootstrap of a paired AP
//! difference against pycocotools (`golden/make_resampled_ap.py`).

use std::path::Path;

use adamv_metrics::coco::read::detections_from_json;
use adamv_metrics::statistics::student;
use adamv_metrics::{
    ApResampler, CocoEvaluator, Component, GroundTruth, Hotcoco, IouType, benjamini_hochberg, bootstrap, mcnemar,
    minimum_detectable_effect, summarize, t_interval,
};
use proptest::prelude::*;
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/statistics.json")).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn assert_close(got: f64, want: f64, bound: f64, what: &str) {
    assert!((got - want).abs() <= bound * want.abs(), "{what}: {got} instead of {want}");
}

#[test]
fn mcnemar_equals_scipy() {
    for case in golden()["mcnemar"].as_array().unwrap() {
        let p = mcnemar(case["first"].as_u64().unwrap(), case["second"].as_u64().unwrap());
        // scipy's own rounding is what the larger counts show.
        assert_close(p, number(&case["p"]), 1e-10, &case.to_string());
    }
    // In closed form: 2^-n for each side.
    assert_close(mcnemar(0, 60), 2f64.powi(-59), 1e-14, "60 to none");
    assert_eq!(mcnemar(0, 10_000), 0.0);
}

#[test]
fn benjamini_hochberg_equals_scipy() {
    for case in golden()["benjamini_hochberg"].as_array().unwrap() {
        let adjusted = benjamini_hochberg(&numbers(&case["p"]));
        let expected = numbers(&case["adjusted"]);
        assert_eq!(adjusted.len(), expected.len());
        for (got, want) in adjusted.into_iter().zip(expected) {
            assert_close(got, want, 1e-14, "adjusted");
        }
    }
    assert!(benjamini_hochberg(&[]).is_empty());
    assert_eq!(benjamini_hochberg(&[f64::NAN, 0.01]), [1.0, 0.02]);
}

#[test]
fn student_equals_scipy() {
    for case in golden()["student"].as_array().unwrap() {
        let degrees = case["degrees"].as_f64().unwrap_or(f64::INFINITY);
        let mut quantiles = std::collections::HashMap::new();
        for (p, want) in case["quantiles"].as_object().unwrap() {
            let got = student::quantile(p.parse().unwrap(), degrees);
            // statrs is good to six or seven digits; scipy has 1e-17 where 0 is right.
            assert!((got - number(want)).abs() <= 1e-7 * number(want).max(1e-3), "{degrees}, {p}: {got}, {want}");
            quantiles.insert(p.as_str(), number(want));
        }
        for pair in case["two_sided"].as_array().unwrap() {
            let (t, want) = (number(&pair[0]), number(&pair[1]));
            for t in [t, -t] {
                assert_close(student::two_sided(t, degrees), want, 1e-6, &format!("{degrees} degrees, t = {t}"));
            }
        }
        let effect = 0.5 * (quantiles["0.975"] + quantiles["0.8"]);
        assert_close(minimum_detectable_effect(0.5, degrees), effect, 1e-7, "effect");
    }
    assert!(student::quantile(0.4, 3.0).is_nan() && student::quantile(1.0, 3.0).is_nan());
    assert!(student::two_sided(1.0, 0.0).is_nan() && student::two_sided(f64::NAN, 3.0).is_nan());
    assert_eq!(student::two_sided(f64::INFINITY, 3.0), 0.0);
}

#[test]
fn t_intervals_equal_welchs_test() {
    for case in golden()["welch"].as_array().unwrap() {
        let components: Vec<Component> = (case["components"].as_array().unwrap().iter())
            .map(|pair| Component { variance: number(&pair[0]), degrees: number(&pair[1]) })
            .collect();
        let interval = t_interval(number(&case["estimate"]), &components).unwrap();
        for (key, got) in
            [("degrees", interval.degrees), ("p", interval.p), ("low", interval.low), ("high", interval.high)]
        {
            assert_close(got, number(&case[key]), 1e-10, key);
        }
        let half = (interval.high - interval.low) / 2.0;
        let per_error = student::quantile(0.975, interval.degrees);
        assert_close(half, per_error * interval.standard_error, 1e-12, "standard error");
    }
    // A component that is known for sure: the normal distribution.
    let interval = t_interval(1.0, &[Component { variance: 0.25, degrees: f64::INFINITY }]).unwrap();
    assert_eq!(interval.degrees, f64::INFINITY);
    assert_close(interval.high, 1.0 + 0.5 * 1.959963984540054, 1e-8, "normal");
    assert_close(interval.p, 0.04550026389635842, 1e-7, "normal");
}

/// AP(dt) - AP(other) of boxes in resamples of the golden set.
fn resampled_differences(golden: &Value, resamples: usize, seed: u64) -> Vec<f64> {
    let gt = GroundTruth::from_json(golden["gt"].to_string().as_bytes(), Path::new("gt.json")).unwrap();
    let [one, other] = ["dt", "other"].map(|key| {
        let text = golden[key].to_string();
        let detections = detections_from_json(text.as_bytes(), Path::new(key), &gt, IouType::Bbox).unwrap();
        let (_, matches) = Hotcoco.evaluate_matches(&gt, &detections, IouType::Bbox).unwrap();
        ApResampler::new(&matches)
    });
    let mut outputs = bootstrap(gt.image_ids().len(), resamples, seed, 1, |weights, out| {
        out[0] = one.average_precision(weights).ap - other.average_precision(weights).ap;
    });
    outputs.pop().unwrap()
}

#[test]
fn bootstrap_of_a_paired_difference_equals_pycocotools() {
    let golden: Value = serde_json::from_str(include_str!("golden/resampled_ap.json")).unwrap();
    let expected = &golden["difference"];
    let (ours, theirs) = (10_000.0, number(&expected["resamples"]));
    let summary = summarize(&resampled_differences(&golden, ours as usize, 1)).unwrap();

    // Monte-Carlo error at four standard deviations, of differences about normal, with e their
    // standard error. A standard deviation of B of them has e / sqrt(2B). A quantile q has
    // sqrt(q (1 - q) / B) over the density there; for 0.025 and 0.975 the latter is that of the
    // normal distribution at 1.96, 0.05845 / e, which makes 2.671 e / sqrt(B).
    let error = number(&expected["standard_error"]);
    let spread = (1.0f64 / ours + 1.0 / theirs).sqrt() * error;
    for (key, got, bound) in [
        ("standard_error", summary.standard_error, 4.0 * spread / 2f64.sqrt()),
        ("low", summary.low, 4.0 * 2.671 * spread),
        ("high", summary.high, 4.0 * 2.671 * spread),
    ] {
        let want = number(&expected[key]);
        println!("{key}: {got:.5}, pycocotools {want:.5}, bound {bound:.5}");
        assert!((got - want).abs() <= bound, "{key}: {got} instead of {want}, bound {bound}");
    }
}

#[test]
fn resamples_are_drawn_evenly() {
    let (units, resamples) = (7, 20_000);
    let outputs = bootstrap(units, resamples, 3, units + 1, |weights, out| {
        for (out, &weight) in out.iter_mut().zip(weights) {
            *out = f64::from(weight);
        }
        out[weights.len()] = f64::from(weights.iter().sum::<u32>());
    });
    assert!(outputs[units].iter().all(|&drawn| drawn == units as f64));
    // Each weight is binomial of 7 draws with 1/7: mean 1, variance 6/7.
    let (mean_error, n) = ((6.0f64 / 7.0 / resamples as f64).sqrt(), resamples as f64);
    for weights in &outputs[..units] {
        let mean = weights.iter().sum::<f64>() / n;
        let variance = weights.iter().map(|weight| (weight - 1.0).powi(2)).sum::<f64>() / n;
        assert!((mean - 1.0).abs() < 5.0 * mean_error, "{mean}");
        // A variance's own is about (kurtosis - 1) / n of its square; kurtosis here is below 4.
        assert!((variance - 6.0 / 7.0).abs() < 5.0 * (3.0 / n).sqrt(), "{variance}");
    }
}

#[test]
fn seeds_and_resamples_differ() {
    let drawn = |seed| {
        bootstrap(50, 2, seed, 50, |weights, out| {
            for (out, &weight) in out.iter_mut().zip(weights) {
                *out = f64::from(weight);
            }
        })
    };
    let (one, other) = (drawn(1), drawn(2));
    let resample = |outputs: &[Vec<f64>], at: usize| outputs.iter().map(|output| output[at]).collect::<Vec<_>>();
    assert_ne!(resample(&one, 0), resample(&one, 1));
    assert_ne!(resample(&one, 0), resample(&other, 0));
    assert_ne!(resample(&one, 1), resample(&other, 0));
    assert_eq!(one, drawn(1));
}

#[test]
fn nothing_to_draw_or_to_fill() {
    let none = |_: &[u32], _: &mut [f64]| {};
    assert!(bootstrap(5, 3, 0, 0, none).is_empty());
    assert_eq!(bootstrap(5, 0, 0, 2, none), vec![Vec::<f64>::new(); 2]);
    assert_eq!(bootstrap(0, 2, 0, 1, |weights, out| out[0] += weights.len() as f64), [[0.0, 0.0]]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_on_any_number_of_threads(
        units in 0usize..40, resamples in 0usize..60, seed in any::<u64>(), outputs in 0usize..4,
    ) {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| bootstrap(units, resamples, seed, outputs, |weights, out| {
                for (at, out) in out.iter_mut().enumerate() {
                    *out += weights.iter().zip(1u32..).map(|(&weight, unit)| f64::from(weight * unit).powf(1.0 + at as f64)).sum::<f64>();
                }
            }))
        };
        prop_assert_eq!(on(1), on(3));
    }

    #[test]
    fn adjusted_p_values_keep_their_order_and_never_fall(p in proptest::collection::vec(0.0f64..=1.0, 0..40)) {
        let adjusted = benjamini_hochberg(&p);
        let mut pairs: Vec<_> = p.iter().copied().zip(adjusted).collect();
        prop_assert!(pairs.iter().all(|&(p, adjusted)| (p..=1.0).contains(&adjusted)));
        pairs.sort_by(|one, other| one.0.total_cmp(&other.0));
        prop_assert!(pairs.is_sorted_by(|one, next| one.1 <= next.1));
        // The largest has nothing to be adjusted for.
        if let Some(&(p, adjusted)) = pairs.last() {
            prop_assert_eq!(p, adjusted);
        }
    }

    #[test]
    fn mcnemar_is_symmetric_and_falls_with_the_difference(first in 0u64..3000, second in 0u64..3000) {
        let p = mcnemar(first, second);
        prop_assert!((0.0..=1.0).contains(&p));
        prop_assert_eq!(p, mcnemar(second, first));
        if first < second && p > 1e-290 {
            prop_assert!(p == 1.0 || mcnemar(first, second + 1) < p);
        }
    }
}
