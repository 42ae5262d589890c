//! How a running cell tells its surroundings where it is.

/// Receives the progress of a cell; `()` ignores it.
pub trait Progress {
    /// A phase begins or resumes: `done` of `total` steps (of training) or images (of evaluation) lie behind.
    fn phase(&mut self, name: &str, done: u64, total: u64);

    /// `done` steps or images of the phase lie behind; `message` says how it goes.
    fn step(&mut self, done: u64, message: &str);

    /// Something that happened once and is worth a line of its own.
    fn note(&mut self, message: &str);
}

impl Progress for () {
    fn phase(&mut self, _name: &str, _done: u64, _total: u64) {}
    fn step(&mut self, _done: u64, _message: &str) {}
    fn note(&mut self, _message: &str) {}
}
