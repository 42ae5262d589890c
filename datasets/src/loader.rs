//! Batches ahead of time: one thread walks the order, the rayon pool fills each batch, a bounded channel holds the
//! finished ones. Decides nothing about order or content, so batches are the same with any prefetch and any number of
//! threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvError, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::order::{Pick, SampleStream};

/// Where batches come from.
pub trait BatchSource: Send + Sync {
    /// What one step receives.
    type Batch: Send + 'static;

    /// Number of samples.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Augmented samples in the order of `picks`, a function of (seed, picks) alone. With `on_bad_sample: skip` a
    /// broken sample gives way to the next index that can be read.
    ///
    /// # Errors
    /// The first sample that cannot be read.
    fn train_batch(&self, picks: &[Pick], seed: u64) -> Result<Self::Batch, Error>;

    /// Samples without augmentation, in the order of `indices`. With `on_bad_sample: skip` a broken sample is left out,
    /// so the batch is shorter than asked for.
    ///
    /// # Errors
    /// The first sample that cannot be read.
    fn eval_batch(&self, indices: &[usize]) -> Result<Self::Batch, Error>;

    /// Number of samples in a batch.
    fn batch_len(batch: &Self::Batch) -> usize;

    /// A name for messages and predictions.
    fn sample_name(&self, index: usize) -> String;
}

/// Yields batches in order; ends after the last, or after the first error. Dropping it stops its thread.
pub struct Loader<B> {
    // An option, so that dropping can hang up before it waits for the thread.
    batches: Option<Receiver<Result<B, Error>>>,
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    waited: Duration,
}

impl<B: Send + 'static> Loader<B> {
    /// The training batches of `stream`.
    pub fn train<S>(source: Arc<S>, stream: SampleStream, prefetch: usize) -> Self
    where
        S: BatchSource<Batch = B> + 'static,
    {
        Self::start(prefetch, move |send| {
            for picks in stream.batches(source.len()) {
                if !send.batch(source.train_batch(&picks, stream.seed())) {
                    return;
                }
            }
        })
    }

    /// Every sample once, in order, without augmentation, the last batch possibly shorter.
    pub fn eval<S>(source: Arc<S>, batch_size: usize, prefetch: usize) -> Self
    where
        S: BatchSource<Batch = B> + 'static,
    {
        let all = (0..source.len()).collect();
        Self::eval_of(source, all, batch_size, prefetch)
    }

    /// The samples of these indices, in this order, without augmentation, the last batch possibly shorter.
    pub fn eval_of<S>(source: Arc<S>, indices: Vec<usize>, batch_size: usize, prefetch: usize) -> Self
    where
        S: BatchSource<Batch = B> + 'static,
    {
        Self::start(prefetch, move |send| {
            for indices in indices.chunks(batch_size.max(1)) {
                let batch = source.eval_batch(indices);
                // All of its samples were skipped.
                if batch.as_ref().is_ok_and(|b| S::batch_len(b) == 0) {
                    continue;
                }
                if !send.batch(batch) {
                    return;
                }
            }
        })
    }

    /// Time that `next` has spent waiting for a batch that was not ready: how far the data was behind.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    fn start(prefetch: usize, work: impl FnOnce(&Sender<B>) + Send + 'static) -> Self {
        let (sender, batches) = sync_channel(prefetch);
        let stop = Arc::new(AtomicBool::new(false));
        let sender = Sender { channel: sender, stop: Arc::clone(&stop) };
        Loader {
            batches: Some(batches),
            thread: Some(std::thread::spawn(move || work(&sender))),
            stop,
            waited: Duration::ZERO,
        }
    }

    /// Waits for the thread; an error if it panicked.
    fn join(&mut self) -> Result<(), Error> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        thread.join().map_err(|panic| {
            let what = panic
                .downcast_ref::<&str>()
                .map(|s| (*s).to_string())
                .or_else(|| panic.downcast_ref::<String>().cloned());
            Error::Worker(what.unwrap_or_else(|| "no message".to_string()))
        })
    }
}

struct Sender<B> {
    channel: SyncSender<Result<B, Error>>,
    stop: Arc<AtomicBool>,
}

impl<B> Sender<B> {
    /// Hands over a batch; false when nobody wants more.
    fn batch(&self, batch: Result<B, Error>) -> bool {
        let last = batch.is_err();
        self.channel.send(batch).is_ok() && !last && !self.stop.load(Ordering::Relaxed)
    }
}

impl<B: Send + 'static> Iterator for Loader<B> {
    type Item = Result<B, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let batches = self.batches.as_ref()?;
        // Taking a batch that is there wakes the loader's thread, which may run before this one goes on: no waiting.
        let received = batches.try_recv().or_else(|nothing| match nothing {
            TryRecvError::Empty => {
                let start = Instant::now();
                let received = batches.recv();
                self.waited += start.elapsed();
                received
            }
            TryRecvError::Disconnected => Err(RecvError),
        });
        match received {
            Ok(batch) => {
                if batch.is_err() {
                    self.batches = None;
                }
                Some(batch)
            }
            Err(_) => {
                // The thread has ended: at its last batch, or by a panic, which must not look like the end of the data.
                self.batches = None;
                self.join().err().map(Err)
            }
        }
    }
}

impl<B> Drop for Loader<B> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // A panic was either reported by `next` or concerns batches nobody asked for.
            let _ = thread.join();
        }
    }
}
