//! Times the loader: JPEG files to normalised float tensors of 224 px, random crop and flip, batches of 64.
//! `ci/peers/loader.sh` runs it beside torchvision's ImageFolder and DataLoader. Prints one JSON document.
//! `ADAMV_BENCH_IMAGES` names a folder in ImageNet's layout, `ADAMV_BENCH_BATCHES` sets the number of timed batches,
//! `RAYON_NUM_THREADS` the threads that decode.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use adamv_datasets::order::SampleStream;
use adamv_datasets::{ClassificationDataset, ClassificationOptions, Loader, Split};
use adamv_engine::batch;
use tch::{Device, Kind};

const BATCH: usize = 64;
const SIDE: u32 = 224;
const PREFETCH: usize = 4;
/// Not timed: the pool starts and the prefetched batches pile up.
const WARM_UP: usize = 8;

fn main() {
    adamv_native::keep_freed_memory();
    let root = std::env::var_os("ADAMV_BENCH_IMAGES").map(PathBuf::from).expect("ADAMV_BENCH_IMAGES names a folder");
    let batches = std::env::var("ADAMV_BENCH_BATCHES").ok().and_then(|s| s.parse().ok()).unwrap_or(75);
    let data = ClassificationDataset::open(&root, Split::Train, &ClassificationOptions::default(), SIDE)
        .expect("a folder in ImageNet's layout");
    // Asked for more than is timed, so that it is as busy at the end as before.
    let mut loader = Loader::train(Arc::new(data), SampleStream::new(0, BATCH, u64::MAX), PREFETCH);
    let mut next = || {
        let mut read = loader.next().expect("it goes on").expect("sound images");
        let (images, labels) = batch::classification(&mut read, Device::Cpu).expect("a sound batch");
        assert_eq!((images.size()[0], images.kind(), labels.size()[0]), (BATCH as i64, Kind::Float, BATCH as i64));
        // Touches the batch, as a step would, at next to no cost.
        images.double_value(&[0, 0, 0, 0])
    };
    let mut sum: f64 = (0..WARM_UP).map(|_| next()).sum();
    let clock = Instant::now();
    sum += (0..batches).map(|_| next()).sum::<f64>();
    let seconds = clock.elapsed().as_secs_f64();
    let images = batches * BATCH;
    assert!(sum.is_finite());
    println!(
        "{{\"images_per_second\": {}, \"images\": {images}, \"threads\": {}}}",
        images as f64 / seconds,
        rayon::current_num_threads(),
    );
}
