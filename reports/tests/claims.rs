//! Claims judged by stores whose truth is known: supported, contradicted, undecided and not run, each for its reason.

mod drawn;
mod fixture;

use adamv_reports::claims::{Claim, ClaimVerdict, Claims, Judged, Published, System, Test, judge_claims};
use adamv_reports::compare::{Source, SourceCell};
use adamv_reports::{Metric, claims};
use adamv_store::{GradientPair, RoutingChange};
use drawn::{Random, SKILL, cell, classes, source};
use fixture::id;

fn system(name: &str) -> System {
    let (system, variant) = name.split_once('/').unwrap_or((name, "base"));
    System { system: system.into(), variant: variant.into() }
}

/// Three seeds of a system on 1,000 images.
fn seeds(name: &str, skill: f64, from: u64) -> Vec<SourceCell> {
    let System { system, variant } = system(name);
    let one = |seed| cell(id(&system, &variant, seed), classes(1000, skill, &mut Random(from + seed)), None);
    (0..3).map(one).collect()
}

/// Far better than `mtl-vit`, far worse than `large-dense`, and like `taps` but for chance.
fn run() -> Source {
    let systems = [
        seeds("adamv-moe", SKILL + 0.3, 10),
        seeds("mtl-vit", SKILL, 20),
        seeds("large-dense", SKILL + 0.57, 30),
        seeds("taps", SKILL + 0.3, 40),
    ];
    source("drawn", systems.concat())
}

fn judged(test: Test, runs: &[Source]) -> Judged {
    let claim = Claim { id: "a".into(), says: "It is so.".into(), source: "table 1".into(), test };
    let mut judged = judge_claims(&Claims { claims: vec![claim] }, &[published()], runs, 500).unwrap();
    judged.claims.remove(0)
}

fn published() -> Published {
    let margin = claims::Margin {
        system: system("adamv-moe"),
        over: system("mtl-vit"),
        backbone: "vit-micro".into(),
        accuracy: Some(4.69),
        AP: None,
        APmask: None,
        source: "table 1".into(),
    };
    Published {
        name: "p".into(),
        title: "P".into(),
        data: "d".into(),
        margins: vec![margin],
        activated_parameters: Vec::new(),
    }
}

fn better(name: &str, than: &[&str]) -> Test {
    let than = than.iter().map(|name| system(name)).collect();
    Test::Better { system: vec![system(name)], than, metrics: vec![Metric::Accuracy] }
}

#[test]
fn better_is_supported_contradicted_or_undecided() {
    for (than, wanted) in [
        (&["mtl-vit"][..], ClaimVerdict::Supported),
        (&["large-dense"], ClaimVerdict::Contradicted),
        (&["taps"], ClaimVerdict::Undecided),
        // One contradiction is enough; support must be whole.
        (&["mtl-vit", "large-dense"], ClaimVerdict::Contradicted),
        (&["mtl-vit", "taps"], ClaimVerdict::Undecided),
        (&["mtl-vit", "mtl-moe"], ClaimVerdict::Undecided),
        (&["mtl-moe"], ClaimVerdict::NotRun),
        (&["mtl-vit/late"], ClaimVerdict::NotRun),
    ] {
        let judged = judged(better("adamv-moe", than), &[run()]);
        assert_eq!(judged.verdict, wanted, "{than:?}: {:?}", judged.evidence);
    }
    let supported = judged(better("adamv-moe", &["mtl-vit"]), &[run()]);
    let finding = &supported.evidence[0].finding;
    for words in ["adamv-moe against mtl-vit on vit-micro (drawn, 3 seeds), accuracy: +", "published +4.69"] {
        assert!(finding.contains(words), "{finding}");
    }
    let missing = judged(better("adamv-moe", &["mtl-moe"]), &[run()]);
    assert_eq!(missing.evidence[0].finding, "no run has both adamv-moe and mtl-moe with the same seed and protocol");
    // A metric that nobody measured is no support.
    let both = Test::Better {
        system: vec![system("adamv-moe")],
        than: vec![system("mtl-vit")],
        metrics: vec![Metric::Accuracy, Metric::Ap],
    };
    let half = judged(both, &[run()]);
    assert_eq!(half.verdict, ClaimVerdict::Undecided);
    assert_eq!(half.evidence[1].finding, "no run has AP of both adamv-moe and mtl-vit on vit-micro");
    // Nor is a single training of each.
    let mut one = run();
    one.cells.retain(|cell| cell.id.seed == 0);
    assert_eq!(judged(better("adamv-moe", &["mtl-vit"]), &[one]).verdict, ClaimVerdict::Undecided);
    // Cells of another protocol are nothing to compare with.
    let mut other = run();
    other.cells[3..6].iter_mut().for_each(|cell| cell.record.as_mut().unwrap().protocol_key = "other".into());
    assert_eq!(judged(better("adamv-moe", &["mtl-vit"]), &[other]).verdict, ClaimVerdict::NotRun);
}

#[test]
fn saturation_takes_intervals_that_end_below_the_tolerance() {
    let saturates = |name, tolerance| Test::Saturates {
        system: vec![system(name)],
        at: system("adamv-moe"),
        metrics: vec![Metric::Accuracy],
        tolerance,
    };
    for (name, tolerance, wanted) in [
        ("mtl-vit", 0.5, ClaimVerdict::Supported),
        ("large-dense", 0.5, ClaimVerdict::Contradicted),
        ("taps", 0.0, ClaimVerdict::Undecided),
        ("taps", 20.0, ClaimVerdict::Supported),
        ("stl", 0.5, ClaimVerdict::NotRun),
    ] {
        let judged = judged(saturates(name, tolerance), &[run()]);
        assert_eq!(judged.verdict, wanted, "{name}: {:?}", judged.evidence);
    }
}

#[test]
fn activated_parameters_of_every_seed() {
    let with = |classification: [u64; 3], k: u64| {
        let mut run = run();
        for (cell, params) in run.cells.iter_mut().zip(classification) {
            let cost = &mut cell.record.as_mut().unwrap().cost;
            (cost[0].params_activated_backbone, cost[1].params_activated_backbone) = (params, 1_500_000);
            (cost[0].k, cost[1].k) = (Some(k), Some(3));
        }
        let test = Test::ActivatesLess {
            system: system("adamv-moe"),
            task: "classification".into(),
            than: "detection".into(),
        };
        judged(test, &[run])
    };
    let less = with([1_000_000; 3], 2);
    assert_eq!(less.verdict, ClaimVerdict::Supported);
    assert!(less.evidence[0].finding.contains("seed 0: 1.00 M (k 2) against 1.50 M (k 3)"), "{:?}", less.evidence);
    assert_eq!(with([1_500_000; 3], 4).verdict, ClaimVerdict::Contradicted);
    assert_eq!(with([1_000_000, 1_500_000, 1_000_000], 2).verdict, ClaimVerdict::Undecided);
    // With the same K a difference is one of the tasks' embeddings.
    assert_eq!(with([1_000_000; 3], 3).verdict, ClaimVerdict::Undecided);
}

/// Shares by hand: the uniform one of two experts is 0.5.
#[test]
fn experts_from_the_end_of_the_history() {
    let with = |classification: [f64; 2], detection: [f64; 2]| {
        let mut run = run();
        for cell in &mut run.cells[..3] {
            for (step, at) in [(10, [1.0, 0.0]), (20, classification)] {
                for (expert, share) in at.into_iter().enumerate() {
                    cell.history.push(step, "joint", "classification", &format!("expert_load.1.{expert}"), share);
                }
            }
            for (expert, share) in detection.into_iter().enumerate() {
                cell.history.push(20, "joint", "detection", &format!("expert_load.1.{expert}"), share);
            }
        }
        let load = judged(Test::Load { system: system("adamv-moe"), at_most: 1.5 }, &[run.clone()]);
        let preference = judged(Test::Preference { system: system("adamv-moe"), at_least: 0.1 }, &[run]);
        (load, preference)
    };
    // Opposite tastes: even together.
    let (load, preference) = with([0.9, 0.1], [0.1, 0.9]);
    assert_eq!((load.verdict, preference.verdict), (ClaimVerdict::Supported, ClaimVerdict::Supported));
    assert!(load.evidence[0].finding.contains("is 1.00, 1.00, 1.00 of the uniform one"), "{:?}", load.evidence);
    assert!(preference.evidence[0].finding.contains("is 0.80, 0.80, 0.80"), "{:?}", preference.evidence);
    // The same taste: one expert has 0.9 / 0.5 = 1.8 times the uniform share.
    let (load, preference) = with([0.9, 0.1], [0.9, 0.1]);
    assert_eq!((load.verdict, preference.verdict), (ClaimVerdict::Contradicted, ClaimVerdict::Contradicted));
    assert!(load.evidence[0].finding.contains("1.80"), "{:?}", load.evidence);
    // No shares at all.
    let load = judged(Test::Load { system: system("adamv-moe"), at_most: 1.5 }, &[run()]);
    assert_eq!(load.verdict, ClaimVerdict::NotRun);
}

#[test]
fn what_is_not_measured_is_not_run() {
    let conflict = Test::LessConflict { system: system("adamv-moe"), than: system("mtl-vit") };
    for (test, finding) in [
        (Test::Settles { system: system("adamv-moe") }, "no run has adamv-moe with routing looked at while it trained"),
        (conflict.clone(), "no run has the gradients of both adamv-moe and mtl-vit with the same seed"),
    ] {
        let alone = judged(test, &[run()]);
        assert_eq!((alone.verdict, alone.evidence[0].finding.as_str()), (ClaimVerdict::NotRun, finding));
    }
    let both = judged(Test::All { tests: vec![better("adamv-moe", &["mtl-vit"]), conflict] }, &[run()]);
    assert_eq!(both.verdict, ClaimVerdict::Undecided, "half of a claim is no support");
}

#[test]
fn routing_settles_where_it_falls_in_both_layers() {
    let with = |shallow: [f64; 3], deep: [[f64; 3]; 3]| {
        let mut run = run();
        for (cell, deep) in run.cells.iter_mut().zip(deep) {
            for (layer, distances) in [(1, shallow), (3, deep)] {
                for (step, distance) in (1..).zip(distances) {
                    let (phase, task) = ("joint".to_owned(), "detection".to_owned());
                    cell.probes.routing_changes.push(RoutingChange { step, phase, task, layer, distance });
                }
            }
        }
        judged(Test::Settles { system: system("adamv-moe") }, &[run])
    };
    let falling = [0.4, 0.3, 0.2];
    let settled = with(falling, [[0.5, 0.4, 0.3]; 3]);
    assert_eq!(settled.verdict, ClaimVerdict::Supported);
    assert!(settled.evidence[0].finding.contains("seed 1: 0.400 to 0.200, mean 0.300 and 0.500 to 0.300, mean 0.400"));
    // The deep layer doesn't settle; it moves less than the shallow one; one seed of three does.
    assert_eq!(with(falling, [[0.5, 0.5, 0.5]; 3]).verdict, ClaimVerdict::Contradicted);
    assert_eq!(with(falling, [[0.3, 0.2, 0.1]; 3]).verdict, ClaimVerdict::Contradicted);
    assert_eq!(with(falling, [[0.5, 0.4, 0.3], [0.5; 3], [0.5; 3]]).verdict, ClaimVerdict::Undecided);
}

#[test]
fn gradients_conflict_less_where_their_cosine_is_surely_higher() {
    let with = |ours: [f64; 3], theirs: [f64; 3], seeds: usize| {
        let mut run = run();
        for (cells, cosines) in [(0..3, ours), (3..6, theirs)] {
            for (cell, dot) in run.cells[cells].iter_mut().zip(cosines).take(seeds) {
                cell.probes.gradients.push(GradientPair {
                    step: 10,
                    phase: "joint".into(),
                    weight: "*".into(),
                    dot,
                    classification_norm: 1.0,
                    detection_norm: 1.0,
                });
            }
        }
        judged(Test::LessConflict { system: system("adamv-moe"), than: system("mtl-vit") }, &[run])
    };
    let supported = with([0.21, 0.2, 0.19], [0.1, 0.1, 0.1], 3);
    assert_eq!(supported.verdict, ClaimVerdict::Supported);
    // Differences 0.11, 0.10, 0.09: mean 0.1, deviation 0.01, t(0.975, 2) = 4.303: 0.1 -+ 4.303 * 0.01 / sqrt(3).
    let finding = &supported.evidence[0].finding;
    assert!(finding.contains("(drawn, 3 seeds): 0.200 against 0.100, +0.100 [+0.075, +0.125]"), "{finding}");
    assert_eq!(with([0.1, 0.1, 0.1], [0.21, 0.2, 0.19], 3).verdict, ClaimVerdict::Contradicted);
    assert_eq!(with([0.2, 0.1, 0.0], [0.1, 0.1, 0.1], 3).verdict, ClaimVerdict::Undecided);
    assert_eq!(with([0.21, 0.2, 0.19], [0.1, 0.1, 0.1], 1).verdict, ClaimVerdict::Undecided, "one seed judges nothing");
}

#[test]
fn markdown_of_judged_claims() {
    let claim =
        |id: &str, test| Claim { id: id.into(), says: format!("The claim | {id}."), source: "table <1>".into(), test };
    let claims = Claims {
        claims: vec![
            claim("one", better("adamv-moe", &["mtl-vit"])),
            claim("two", Test::Settles { system: system("*stars*") }),
        ],
    };
    let markdown = judge_claims(&claims, &[], &[run()], 200).unwrap().markdown().unwrap();
    for words in [
        "# The paper's claims, judged by drawn",
        "| The claim \\| one. | table &lt;1&gt; | **supported** |",
        "| not run |",
        "## two",
        "- not run: no run has \\*stars\\* with routing",
    ] {
        assert!(markdown.contains(words), "no {words} in:\n{markdown}");
    }
}
