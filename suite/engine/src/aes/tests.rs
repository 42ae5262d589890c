//! What holds for any losses, by either rule: bounds, independence, resume. The traces written by hand are beside their
//! rules and are replayed by what is here.

use adamv_datasets::rng::{Rng, Stream};

use super::*;

/// Replays (step, loss, k, reason) with the same losses for both tasks.
pub fn one(aes: Aes, trace: &[(u64, f64, usize, Reason)]) {
    let rows: Vec<_> = trace.iter().map(|&(step, loss, k, reason)| (step, [loss; 2], [k; 2], [reason; 2])).collect();
    two(aes, &rows);
}

/// Step, then classification and detection each: losses, k, reasons.
pub type Row = (u64, [f64; 2], [usize; 2], [Reason; 2]);

/// Replays a trace. The state goes through a checkpoint's text after every row.
pub fn two(mut aes: Aes, trace: &[Row]) {
    let mut lowest: [Option<f64>; 2] = match aes.rule {
        Rule::Paper(_) => [None; 2],
        Rule::Released(_) => [Some(100.0); 2],
    };
    for &(step, losses, k, reasons) in trace {
        let before: Vec<usize> = aes.k().into_iter().map(|(_, k)| k).collect();
        let decisions = aes.observe(step, &named(losses)).unwrap();
        assert_eq!(decisions.len(), 2);
        for (i, decision) in decisions.iter().enumerate() {
            let got = (decision.task, decision.step, decision.loss, decision.k_before, decision.k_after);
            assert_eq!(got, (Task::ALL[i], step, losses[i], before[i], k[i]), "{decision}");
            assert_eq!(decision.reason, reasons[i], "{} at step {step}: {decision}", Task::ALL[i]);
            assert_eq!(decision.best.map(|best| best.loss), lowest[i], "{} at step {step}", Task::ALL[i]);
            lowest[i] = Some(lowest[i].unwrap_or(f64::INFINITY).min(losses[i]));
        }
        assert_eq!(aes.k(), Task::ALL.into_iter().zip(k).collect::<Vec<_>>());
        aes = resumed(&aes);
    }
}

fn named(losses: [f64; 2]) -> Vec<(Task, f64)> {
    Task::ALL.into_iter().zip(losses).collect()
}

/// As a checkpoint keeps it.
fn resumed(aes: &Aes) -> Aes {
    let text = serde_json::to_vec_pretty(aes).unwrap();
    let read: Aes = serde_json::from_slice(&text).unwrap();
    assert_eq!(&read, aes);
    read
}

const EVALUATIONS: u64 = 24;
const EVERY: u64 = 50;

/// A random rule and random losses of both tasks: runs of improvement, stalls, and equal losses.
fn case(seed: u64, mode: AesMode) -> (Aes, usize, Vec<[f64; 2]>) {
    let mut rng = Rng::new(seed, Stream::Order, 0, 0);
    let experts = 1 + rng.below(8) as usize;
    let k = 1 + rng.below(experts as u64) as usize;
    let patience = rng.below(4) * EVERY;
    let config = AesConfig { mode, every: EVERY, patience, ..AesConfig::default() };
    let aes = Aes::start(&config, &Task::ALL, EVALUATIONS * EVERY, 0, experts, k).unwrap().unwrap();
    let losses = (0..EVALUATIONS).map(|_| [0; 2].map(|_| loss(&mut rng))).collect();
    (aes, experts, losses)
}

/// One of few values, so that losses meet, or any.
fn loss(rng: &mut Rng) -> f64 {
    if rng.coin() { 1.0 + rng.below(6) as f64 } else { 7.0 * rng.unit() }
}

fn run(aes: &mut Aes, losses: &[[f64; 2]], from: u64) {
    for (i, losses) in (from + 1..).zip(losses) {
        aes.observe(i * EVERY, &named(*losses)).unwrap();
    }
}

#[test]
fn k_stays_in_bounds_and_moves_by_one() {
    for (seed, mode) in (0..500).flat_map(|seed| [(seed, AesMode::Paper), (seed, AesMode::Released)]) {
        let (mut aes, experts, losses) = case(seed, mode);
        let mut k = aes.k();
        run(&mut aes, &losses, 0);
        assert_eq!(aes.decisions().len(), 2 * losses.len());
        for decision in aes.decisions() {
            let of = k.iter_mut().find(|(task, _)| *task == decision.task).unwrap();
            assert_eq!(of.1, decision.k_before, "seed {seed}: a k changed that no decision explains");
            assert!((1..=experts).contains(&decision.k_after), "seed {seed}: {decision}");
            let step = decision.k_after as i64 - decision.k_before as i64;
            let expected = match decision.reason {
                Reason::Grown => 1,
                Reason::RolledBack => -1,
                _ => 0,
            };
            assert_eq!(step, expected, "seed {seed}: {decision}");
            of.1 = decision.k_after;
        }
        assert_eq!(aes.k(), k, "seed {seed}");
    }
}

#[test]
fn nothing_changes_after_a_roll_back() {
    let mut seen = 0;
    for seed in 0..500 {
        for mode in [AesMode::Paper, AesMode::Released] {
            let (mut aes, _, losses) = case(seed, mode);
            run(&mut aes, &losses, 0);
            let end = |d: &Decision| matches!(d.reason, Reason::RolledBack | Reason::AtLowerBound);
            let decisions = aes.decisions();
            for (i, ended) in decisions.iter().enumerate().filter(|(_, d)| end(d)) {
                seen += 1;
                // By the paper for the task itself, in the released code for both.
                let hit = |d: &&Decision| mode == AesMode::Released || d.task == ended.task;
                for later in decisions[i + 1..].iter().filter(hit) {
                    assert_eq!(later.k_before, later.k_after, "seed {seed}: {later}");
                }
            }
        }
    }
    assert!(seen > 400, "only {seen} roll-backs: the losses are too tame to show anything");
}

#[test]
fn by_the_paper_a_task_does_not_feel_the_other_and_in_the_released_code_it_does() {
    let mut felt = 0;
    for seed in 0..500 {
        for mode in [AesMode::Paper, AesMode::Released] {
            let (start, _, losses) = case(seed, mode);
            let (mut one, mut other) = (start.clone(), start);
            let mut rng = Rng::new(seed, Stream::Augment, 0, 0);
            let disturbed: Vec<[f64; 2]> = losses.iter().map(|&[_, detection]| [loss(&mut rng), detection]).collect();
            run(&mut one, &losses, 0);
            run(&mut other, &disturbed, 0);
            let detection = |aes: &Aes| -> Vec<Decision> {
                aes.decisions().iter().filter(|d| d.task == Task::Detection).cloned().collect()
            };
            match mode {
                AesMode::Paper => assert_eq!(detection(&one), detection(&other), "seed {seed}"),
                _ => felt += usize::from(detection(&one) != detection(&other)),
            }
        }
    }
    assert!(felt > 50, "the released rule shares its flag and its stop, but only {felt} of 500 felt it");
}

#[test]
fn a_resume_anywhere_changes_nothing() {
    for (seed, mode) in (0..40).flat_map(|seed| [(seed, AesMode::Paper), (seed, AesMode::Released)]) {
        let (start, _, losses) = case(seed, mode);
        let mut whole = start.clone();
        run(&mut whole, &losses, 0);
        for at in 0..=losses.len() {
            let mut first = start.clone();
            run(&mut first, &losses[..at], 0);
            let mut second = resumed(&first);
            run(&mut second, &losses[at..], at as u64);
            assert_eq!(second, whole, "seed {seed}, resumed after {at} evaluations");
        }
    }
}

#[test]
fn losses_are_read_back_to_the_bit() {
    // Fails without serde_json's `float_roundtrip`: then the last bit is wrong now and then, and an equal loss is not.
    let mut rng = Rng::new(1, Stream::Order, 0, 0);
    for _ in 0..2000 {
        let measured = Measured { step: 1, loss: rng.uniform(0.0, 10.0) };
        let read: Measured = serde_json::from_str(&serde_json::to_string(&measured).unwrap()).unwrap();
        assert_eq!(read.loss.to_bits(), measured.loss.to_bits());
    }
}

#[test]
fn a_loss_that_is_no_number_is_an_error_and_no_decision() {
    for mode in [AesMode::Paper, AesMode::Released] {
        let (start, _, _) = case(3, mode);
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut aes = start.clone();
            let message = aes.observe(50, &named([0.5, bad])).unwrap_err().to_string();
            for part in ["detection", "step 50", &bad.to_string(), "training.aes.mode"] {
                assert!(message.contains(part), "{part} is not in: {message}");
            }
            assert_eq!(aes, start, "classification mustn't have moved either");
        }
        let mut aes = start.clone();
        let missing = aes.observe(50, &[(Task::Detection, 0.5)]).unwrap_err().to_string();
        assert!(missing.contains("classification at step 50"), "{missing}");
    }
}

#[test]
fn due_every_so_many_steps_but_not_before_the_first() {
    let (aes, _, _) = case(0, AesMode::Paper);
    let due: Vec<u64> = (0..=160).filter(|&step| aes.due(step)).collect();
    assert_eq!(due, [50, 100, 150]);
}

#[test]
fn off_has_no_state_and_k_must_be_one_of_the_experts() {
    let off = AesConfig { mode: AesMode::Off, ..AesConfig::default() };
    assert_eq!(Aes::start(&off, &Task::ALL, 10, 0, 8, 2).unwrap(), None);
    for (experts, k) in [(8, 0), (8, 9), (0, 0), (0, 1)] {
        let message = Aes::start(&off, &Task::ALL, 10, 0, experts, k).unwrap_err().to_string();
        assert_eq!(
            message,
            format!("model.backbone.moe.k: {k} is not possible; give 1 to {experts}, the number of experts")
        );
    }
}

#[test]
fn the_order_of_tasks_does_not_matter() {
    for mode in [AesMode::Paper, AesMode::Released] {
        let config = AesConfig { mode, every: 50, patience: 0, ..AesConfig::default() };
        let start = |tasks: &[Task]| Aes::start(&config, tasks, 1200, 0, 8, 2).unwrap().unwrap();
        let (mut one, mut other) = (start(&Task::ALL), start(&[Task::Detection, Task::Classification]));
        let (_, _, losses) = case(5, mode);
        for (i, losses) in (1..).zip(losses) {
            one.observe(i * 50, &named(losses)).unwrap();
            other.observe(i * 50, &named(losses).into_iter().rev().collect::<Vec<_>>()).unwrap();
        }
        assert_eq!(one, other);
    }
}

#[test]
fn a_phase_of_one_task_has_one_k() {
    let mut aes = Aes::start(&AesConfig::default(), &[Task::Detection], 9000, 0, 8, 2).unwrap().unwrap();
    let decisions = aes.observe(2000, &[(Task::Detection, 1.0)]).unwrap();
    assert_eq!((decisions.len(), aes.k()), (1, vec![(Task::Detection, 2)]));
}

#[test]
fn a_state_with_unknown_fields_is_refused() {
    let (aes, _, _) = case(0, AesMode::Released);
    let mut value = serde_json::to_value(&aes).unwrap();
    value["rule"]["released"]["extra"] = 1.into();
    assert!(serde_json::from_value::<Aes>(value).is_err());
}
