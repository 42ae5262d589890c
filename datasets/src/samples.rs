//! Fills the slots of a batch on the rayon pool, in order, and deals with samples that cannot be read. Knows no
//! formats.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use crate::config::OnBadSample;
use crate::error::Error;
use crate::order::Pick;

/// Samples that could not be read.
#[derive(Debug, Default)]
pub(crate) struct Skipped(Mutex<BTreeSet<usize>>);

impl Skipped {
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub fn names(&self, name: impl Fn(usize) -> String) -> Vec<String> {
        let set = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        set.iter().map(|&i| name(i)).collect()
    }

    pub fn indices(&self) -> Vec<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    /// Adds indices below `n`.
    pub fn restore(&self, indices: &[usize], n: usize) {
        let known = indices.iter().copied().filter(|&i| i < n);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(known);
    }

    fn add(&self, index: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(index);
    }
}

/// Fills one slot a pick. A broken sample stops the batch or, where the choice is to skip, gives way to the next index
/// that can be read. Returns the index used and what `fill` returned, in the order of the picks.
pub(crate) fn fill_train<Slot: Send, T: Send>(
    picks: &[Pick],
    n: usize,
    on_bad: OnBadSample,
    skipped: &Skipped,
    slots: Vec<Slot>,
    fill: impl Fn(Pick, &mut Slot) -> Result<T, Error> + Sync,
) -> Result<Vec<(usize, T)>, Error> {
    let done: Vec<Result<(usize, T), Error>> = picks
        .par_iter()
        .zip(slots)
        .map(|(pick, mut slot)| {
            let mut tried = *pick;
            loop {
                match fill(tried, &mut slot) {
                    Ok(made) => return Ok((tried.index, made)),
                    Err(error) => {
                        if on_bad == OnBadSample::Stop {
                            return Err(error);
                        }
                        skipped.add(tried.index);
                        tried.index = (tried.index + 1) % n;
                        if tried.index == pick.index {
                            return Err(error);
                        }
                    }
                }
            }
        })
        .collect();
    // Collected first: the error reported is the first of the batch, not the first in time.
    done.into_iter().collect()
}

/// Fills one slot an index. A broken sample stops the batch or leaves `None`.
pub(crate) fn fill_eval<Slot: Send, T: Send>(
    indices: &[usize],
    on_bad: OnBadSample,
    skipped: &Skipped,
    slots: Vec<Slot>,
    fill: impl Fn(usize, &mut Slot) -> Result<T, Error> + Sync,
) -> Result<Vec<Option<T>>, Error> {
    let done: Vec<Result<Option<T>, Error>> = indices
        .par_iter()
        .zip(slots)
        .map(|(&index, mut slot)| match fill(index, &mut slot) {
            Ok(made) => Ok(Some(made)),
            Err(error) if on_bad == OnBadSample::Stop => Err(error),
            Err(_) => {
                skipped.add(index);
                Ok(None)
            }
        })
        .collect();
    done.into_iter().collect()
}

/// Closes the gaps that left-out samples leave in a buffer of `stride` values a sample.
pub(crate) fn compact<V: Copy, T>(buffer: &mut Vec<V>, stride: usize, kept: &[Option<T>]) {
    let mut to = 0;
    for (from, slot) in kept.iter().enumerate() {
        if slot.is_some() {
            if from != to {
                buffer.copy_within(from * stride..(from + 1) * stride, to * stride);
            }
            to += 1;
        }
    }
    buffer.truncate(to * stride);
}

/// The values that are not at `indices` (ascending), and those that are, each in their order.
pub(crate) fn split_off<T>(values: Vec<T>, indices: &[usize]) -> (Vec<T>, Vec<T>) {
    let mut wanted = indices.iter().copied().peekable();
    let (mut rest, mut taken) = (Vec::new(), Vec::new());
    for (index, value) in values.into_iter().enumerate() {
        let part = if wanted.next_if_eq(&index).is_some() { &mut taken } else { &mut rest };
        part.push(value);
    }
    (rest, taken)
}
