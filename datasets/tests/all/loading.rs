//! The loader: order, resuming, prefetch, broken samples, stopping early.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use adamv_datasets::order::{SampleStream, picks_for_step};
use adamv_datasets::{
    BatchSource, ClassificationBatch, ClassificationDataset, ClassificationOptions, Error, Loader, OnBadSample, Pick,
    Split,
};

use crate::support::{fixtures, imagenet, on_threads};

fn open(root: &Path) -> ClassificationDataset {
    ClassificationDataset::open(root, Split::Train, &ClassificationOptions::default(), 12).unwrap()
}

fn small() -> (tempfile::TempDir, Arc<ClassificationDataset>) {
    let dir = tempfile::tempdir().unwrap();
    imagenet(dir.path(), &[("ant", 4), ("bee", 3)]);
    let data = Arc::new(open(dir.path()));
    (dir, data)
}

fn all(loader: Loader<ClassificationBatch>) -> Vec<ClassificationBatch> {
    loader.collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_resumed_loader_continues_where_it_was() {
    let (_dir, data) = small();
    let whole = all(Loader::train(Arc::clone(&data), SampleStream::new(5, 3, 12), 4));
    let rest = all(Loader::train(Arc::clone(&data), SampleStream::new(5, 3, 12).skip(7), 1));
    assert_eq!(whole.len(), 12);
    assert_eq!(whole[7..], rest[..]);
    let picks: Vec<usize> = picks_for_step(7, 3, 5, 8).iter().map(|p| p.index).collect();
    assert_eq!(whole[8].indices, picks);
    assert_eq!(whole[8].labels, picks.iter().map(|&i| i64::from(i >= 4)).collect::<Vec<_>>());
}

#[test]
fn threads_do_not_change_a_byte() {
    let (_dir, data) = small();
    let picks: Vec<Pick> = (0..4).flat_map(|s| picks_for_step(7, 8, 1, s)).collect();
    let batch = |threads| on_threads(threads, || data.train_batch(&picks, 1).unwrap());
    assert_eq!(batch(1), batch(8));
}

#[test]
fn evaluation_sees_each_sample_once_whatever_the_batch() {
    let (_dir, data) = small();
    for size in [1, 3, 7, 100] {
        let batches = all(Loader::eval(Arc::clone(&data), size, 2));
        let images: Vec<f32> = batches.iter().flat_map(|b| b.images.clone()).collect();
        let indices: Vec<usize> = batches.iter().flat_map(|b| b.indices.clone()).collect();
        assert_eq!(indices, (0..7).collect::<Vec<_>>());
        assert_eq!(images, data.eval_batch(&indices).unwrap().images);
    }
}

#[test]
fn a_broken_sample_stops_the_run_and_is_named() {
    let (dir, data) = small();
    fs::copy(fixtures().join("truncated.jpg"), dir.path().join("train/ant/2.png")).unwrap();
    let mut loader = Loader::train(data, SampleStream::new(0, 7, 5), 2);
    let message = loader.next().unwrap().unwrap_err().to_string();
    assert!(message.contains("train/ant/2.png") && message.contains("truncated"), "{message}");
    assert!(loader.next().is_none());
}

#[test]
fn a_broken_sample_can_be_skipped_and_is_counted() {
    let (dir, _) = small();
    fs::write(dir.path().join("train/ant/2.png"), "").unwrap();
    fs::write(dir.path().join("train/ant/3.png"), "x").unwrap();
    let data = Arc::new(open(dir.path()).on_bad_sample(OnBadSample::Skip));
    for batch in all(Loader::train(Arc::clone(&data), SampleStream::new(0, 7, 3), 2)) {
        assert_eq!(batch.indices.len(), 7);
        assert_eq!(batch.indices.iter().filter(|&&i| i == 4).count(), 3, "4 stands in for 2 and 3");
        assert_eq!(batch.images.len(), 7 * 3 * 12 * 12);
    }
    assert_eq!(data.skipped_samples(), ["train/ant/2.png", "train/ant/3.png"]);
    assert_eq!(data.skipped_indices(), [2, 3]);
    // Evaluation must not count a neighbour twice: a broken sample is left out, and a batch of only such ones is not
    // sent.
    let data = Arc::new(open(dir.path()).on_bad_sample(OnBadSample::Skip));
    let batches = all(Loader::eval(Arc::clone(&data), 2, 2));
    let indices: Vec<Vec<usize>> = batches.iter().map(|b| b.indices.clone()).collect();
    assert_eq!(indices, [vec![0, 1], vec![4, 5], vec![6]]);
    assert_eq!(data.skipped(), 2);
    let across = data.eval_batch(&[1, 2, 4]).unwrap();
    assert_eq!(across.images, data.eval_batch(&[1, 4]).unwrap().images);
}

#[test]
fn a_resumed_run_counts_what_was_skipped_before() {
    let (dir, data) = small();
    fs::write(dir.path().join("train/ant/3.png"), "x").unwrap();
    // Index 99 stems from nowhere; it must not be named.
    data.restore_skipped(&[5, 1, 99]);
    assert_eq!((data.skipped(), data.skipped_indices()), (2, vec![1, 5]));
    let again = open(dir.path()).on_bad_sample(OnBadSample::Skip);
    again.restore_skipped(&data.skipped_indices());
    again.eval_batch(&[0, 3]).unwrap();
    assert_eq!(again.skipped_samples(), ["train/ant/1.png", "train/ant/3.png", "train/bee/1.png"]);
}

#[test]
fn held_out_samples_never_stand_in_for_broken_ones() {
    let (dir, _) = small();
    fs::write(dir.path().join("train/ant/2.png"), "x").unwrap();
    let names = |data: &ClassificationDataset| -> Vec<String> {
        (0..data.len()).map(|i| format!("{} {}", data.image_name(i), data.label(i))).collect()
    };
    let (rest, held_out) = open(dir.path()).on_bad_sample(OnBadSample::Skip).split_off(&[3, 6]);
    assert_eq!(names(&held_out), ["train/ant/3.png 0", "train/bee/2.png 1"]);
    let left =
        ["train/ant/0.png 0", "train/ant/1.png 0", "train/ant/2.png 0", "train/bee/0.png 1", "train/bee/1.png 1"];
    assert_eq!(names(&rest), left);
    assert_eq!((rest.classes(), held_out.classes()), (&["ant", "bee"].map(String::from)[..], rest.classes()));
    // The broken third sample gives way to the next that is left, not to the one that was held out.
    let rest = Arc::new(rest);
    for batch in all(Loader::train(Arc::clone(&rest), SampleStream::new(0, 5, 3), 1)) {
        assert_eq!(batch.indices.iter().filter(|&&i| i == 3).count(), 2);
    }
    assert_eq!((rest.skipped(), held_out.skipped()), (1, 0));
    // As many as there are, or none.
    let (none, whole) = open(dir.path()).split_off(&[0, 1, 2, 3, 4, 5, 6]);
    assert_eq!((none.len(), whole.len()), (0, 7));
    assert_eq!(names(&open(dir.path()).split_off(&[]).0), names(&open(dir.path())));
}

#[test]
fn nothing_but_broken_samples_is_an_error_even_when_skipping() {
    let (dir, _) = small();
    for class in ["ant", "bee"] {
        for i in 0..4 {
            let path = dir.path().join(format!("train/{class}/{i}.png"));
            if path.exists() {
                fs::write(path, "").unwrap();
            }
        }
    }
    let data = Arc::new(open(dir.path()).on_bad_sample(OnBadSample::Skip));
    assert!(Loader::train(data, SampleStream::new(0, 2, 1), 1).next().unwrap().is_err());
}

/// Counts the batches asked for; may be slow, may panic.
struct Counting {
    made: AtomicUsize,
    pause: Duration,
    panic_at: usize,
}

impl BatchSource for Counting {
    type Batch = usize;

    fn len(&self) -> usize {
        1000
    }

    fn train_batch(&self, _: &[Pick], _: u64) -> Result<usize, Error> {
        let made = self.made.fetch_add(1, Ordering::SeqCst);
        assert!(made != self.panic_at, "made to fail");
        std::thread::sleep(self.pause);
        Ok(made)
    }

    fn eval_batch(&self, _: &[usize]) -> Result<usize, Error> {
        Ok(0)
    }

    fn batch_len(_: &usize) -> usize {
        1
    }

    fn sample_name(&self, index: usize) -> String {
        index.to_string()
    }
}

fn counting(pause: u64, panic_at: usize) -> Arc<Counting> {
    Arc::new(Counting { made: AtomicUsize::new(0), pause: Duration::from_millis(pause), panic_at })
}

#[test]
fn it_prepares_no_more_than_it_was_told_and_stops_when_dropped() {
    let source = counting(1, usize::MAX);
    let mut loader = Loader::train(Arc::clone(&source), SampleStream::new(0, 1, 1_000_000), 3);
    assert_eq!(loader.next().unwrap().unwrap(), 0);
    std::thread::sleep(Duration::from_millis(100));
    // One handed over, three in the channel, one waiting to enter it.
    assert_eq!(source.made.load(Ordering::SeqCst), 5);
    drop(loader);
    // The end of the steps would be far off: the thread stopped for the drop.
    assert!(source.made.load(Ordering::SeqCst) < 10);
    assert_eq!(Arc::strong_count(&source), 1);
}

#[test]
fn waiting_is_measured() {
    let mut loader = Loader::train(counting(20, usize::MAX), SampleStream::new(0, 1, 5), 1);
    loader.next().unwrap().unwrap();
    assert!(loader.waited() >= Duration::from_millis(15));
    // A batch that is there is not waited for.
    let mut loader = Loader::train(counting(0, usize::MAX), SampleStream::new(0, 1, 5), 4);
    std::thread::sleep(Duration::from_millis(50));
    loader.next().unwrap().unwrap();
    assert_eq!(loader.waited(), Duration::ZERO);
}

#[test]
fn a_panic_is_not_the_end_of_the_data() {
    let mut loader = Loader::train(counting(0, 2), SampleStream::new(0, 1, 5), 1);
    assert!(loader.next().unwrap().is_ok() && loader.next().unwrap().is_ok());
    let message = loader.next().unwrap().unwrap_err().to_string();
    assert!(message.contains("made to fail"), "{message}");
    assert!(loader.next().is_none());
}
