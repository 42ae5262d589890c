//! How a running cell shows on stderr (a bar on a terminal, plain lines elsewhere) and in its progress.json.

use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Time between two plain lines of a phase.
const LINES: Duration = Duration::from_secs(10);
/// Time between two writes of progress.json: each costs an fsync.
const FILES: Duration = Duration::from_secs(2);

/// Shows one cell.
pub struct Reporter {
    label: String,
    cell_dir: PathBuf,
    /// None elsewhere than on a terminal.
    bar: Option<ProgressBar>,
    phase: String,
    total: u64,
    lined: Instant,
    filed: Instant,
    /// progress.json could not be written: said once, for the cell itself will say what is wrong with the disk.
    complained: bool,
}

impl Reporter {
    /// `label` stands in front of every line, such as `[1/2] stl-vit-micro-s0`.
    pub fn new(label: String, cell_dir: PathBuf) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
            let template = "{prefix} {bar:28} {pos}/{len} {elapsed_precise} (eta {eta}) {msg}";
            bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(label.clone());
            bar
        });
        let now = Instant::now();
        Self { label, cell_dir, bar, phase: String::new(), total: 0, lined: now, filed: now, complained: false }
    }

    /// Takes the bar off the screen.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }

    fn line(&mut self, done: u64, message: &str) {
        self.lined = Instant::now();
        let message = if message.is_empty() { String::new() } else { format!("  {message}") };
        eprintln!("{} {} {done}/{}{message}", self.label, self.phase, self.total);
    }

    fn own_line(&self, message: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{} {message}", self.label)),
            None => eprintln!("{} {message}", self.label),
        }
    }

    fn file(&mut self, done: u64) {
        self.filed = Instant::now();
        let progress = adamv_store::Progress { step: done, steps: self.total, phase: self.phase.clone() };
        if let Err(error) = adamv_store::write_progress(&self.cell_dir, &progress)
            && !self.complained
        {
            self.complained = true;
            self.own_line(&format!("warning: {error}"));
        }
    }
}

impl adamv_engine::Progress for Reporter {
    fn phase(&mut self, name: &str, done: u64, total: u64) {
        self.phase = name.into();
        self.total = total;
        match &self.bar {
            Some(bar) => {
                bar.reset();
                bar.set_length(total);
                bar.set_position(done);
                bar.reset_eta();
                bar.set_prefix(format!("{} {name}", self.label));
                bar.set_message("");
            }
            None => self.line(done, ""),
        }
        self.file(done);
    }

    fn step(&mut self, done: u64, message: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_position(done);
                if !message.is_empty() {
                    bar.set_message(message.to_string());
                }
            }
            None if self.lined.elapsed() >= LINES || done == self.total => self.line(done, message),
            None => {}
        }
        if self.filed.elapsed() >= FILES {
            self.file(done);
        }
    }

    fn note(&mut self, message: &str) {
        self.own_line(&format!("{}: {message}", self.phase));
    }
}
