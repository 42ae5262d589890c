//! Runs mutated cases of one kind of input: first what `fuzz_corpus/KIND/` keeps, then the seeds as they are, then
//! mutations of both. Fails at the first case that panics, takes over 2 GiB, or is slow twice; a case that hangs ends
//! the process.

use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use adamv_datasets::rng::{Rng, Stream};

use crate::memory::{LIMIT, peak};
use crate::mutate::mutate;

/// Cases of each kind unless ADAMV_FUZZ_CASES says otherwise.
const CASES: u64 = 3_000;
/// A case that takes longer is run again; twice, and it fails. A busy machine may well stop one for a while.
const SLOW: Duration = Duration::from_secs(2);
/// A case that takes longer hangs.
const HANGS: u64 = 60;

/// Kinds run one after the other: memory is counted for the whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
/// Seconds since the first case that the running case began, plus one; 0 between cases.
static BEGAN: AtomicU64 = AtomicU64::new(0);
static WATCHDOG: Once = Once::new();

/// A kind of input.
pub struct Kind<'a> {
    /// Names the folder of its corpus.
    pub name: &'static str,
    /// Sound inputs and known bad ones.
    pub seeds: Vec<Vec<u8>>,
    /// Makes checksums right again after a mutation, so that more than the checksum is tested; half of the cases.
    pub repair: fn(&mut [u8]),
    /// Reads a case; whether it could be read.
    pub run: &'a dyn Fn(&[u8]) -> bool,
}

/// Waits until no other test counts memory.
pub fn turn() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs every case of a kind and prints how many there were, the slowest and the most memory.
pub fn fuzz(kind: &Kind) {
    let _turn = turn();
    WATCHDOG.call_once(|| drop(std::thread::spawn(watch)));
    let count = std::env::var("ADAMV_FUZZ_CASES").map_or(CASES, |n| n.parse().expect("ADAMV_FUZZ_CASES is a number"));
    // Kept when the process dies: the case that killed it.
    let running = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}.case", kind.name));
    let (mut slowest, mut most, mut sound) = (Duration::ZERO, 0, 0u64);
    let mut one = |label: &str, bytes: &[u8]| {
        overwrite(&running, bytes);
        let (read, took, memory) = case(kind, label, bytes, &running);
        sound += u64::from(read);
        slowest = slowest.max(took);
        most = most.max(memory);
    };
    let (kept, mut seeds) = (corpus(kind.name), kind.seeds.clone());
    for path in &kept {
        let bytes = fs::read(path).unwrap();
        one(&path.display().to_string(), &bytes);
        seeds.push(bytes);
    }
    for (i, seed) in kind.seeds.iter().enumerate() {
        one(&format!("seed {i}"), seed);
    }
    for i in 0..count {
        let mut rng = Rng::new(0xF0, Stream::Augment, 0, i);
        let [seed, other] = std::array::from_fn(|_| &seeds[rng.below(seeds.len() as u64) as usize]);
        let mut bytes = mutate(&mut rng, seed, other);
        if rng.coin() {
            (kind.repair)(&mut bytes);
        }
        one(&format!("case {i}"), &bytes);
    }
    fs::remove_file(&running).unwrap();
    // Else the mutations only test how the first lines are refused.
    assert!(sound * 20 > count, "{}: only {sound} of {count} cases could be read", kind.name);
    println!(
        "fuzz {}: {} kept, {} seeds, {count} mutations, {sound} of all could be read; slowest {slowest:.1?}, peak {:.1} MiB",
        kind.name,
        kept.len(),
        kind.seeds.len(),
        most as f64 / (1 << 20) as f64
    );
}

/// Runs one case: whether it could be read, its time and its memory.
fn case(kind: &Kind, label: &str, bytes: &[u8], saved: &Path) -> (bool, Duration, usize) {
    let timed = || {
        BEGAN.store(now() + 1, Relaxed);
        let start = Instant::now();
        let (outcome, memory) = peak(|| catch_unwind(AssertUnwindSafe(|| (kind.run)(bytes))));
        let took = start.elapsed();
        BEGAN.store(0, Relaxed);
        let keep = format!("mend the reader and keep {} in tests/fuzz_corpus/{}/", saved.display(), kind.name);
        assert!(memory < LIMIT, "{} {label} takes {memory} bytes: {keep}", kind.name);
        let Ok(read) = outcome else { panic!("{} {label} panics: {keep}", kind.name) };
        (read, took, memory, keep)
    };
    let (read, took, memory, _) = timed();
    if took < SLOW {
        return (read, took, memory);
    }
    let (read, again, memory, keep) = timed();
    assert!(again < SLOW, "{} {label} takes {took:.1?}, then {again:.1?}: {keep}", kind.name);
    (read, again, memory)
}

/// Writes a file again and again. A plain `fs::write` empties it first, which makes some file systems wait for the disk.
pub fn overwrite(path: &Path, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(path).unwrap();
    file.write_all(bytes).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
}

fn corpus(name: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz_corpus").join(name);
    let Ok(entries) = fs::read_dir(&folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    found.sort();
    found
}

/// Seconds since this was first asked.
fn now() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs()
}

fn watch() {
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let began = BEGAN.load(Relaxed);
        if began > 0 && now() + 1 > began + HANGS {
            eprintln!("a case has run for {HANGS} s; it is the fuzz-*.case file in {}", env!("CARGO_TARGET_TMPDIR"));
            std::process::abort();
        }
    }
}
