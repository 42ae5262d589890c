//! Times a detection training step: forward, losses, backward, clipping and AdamW on `vit-micro` with a plain head, on
//! random images with 1 to 6 boxes. `ci/peers/detection.sh` runs it beside torchvision's Mask R-CNN of the same sizes.
//! Prints one JSON document. `ADAMV_BENCH_STEPS` sets the number of timed steps.

use std::time::Instant;

use adamv_engine::TrainingConfig;
use adamv_engine::optimizer::Optimizer;
use adamv_models::config::{Classes, preset};
use adamv_models::detection::Targets;
use adamv_models::systems;
use adamv_models::vit::Mode;
use tch::{Device, Kind, Tensor};

const BATCH: i64 = 8;
const SIDE: i64 = 64;
const INSTANCES: i64 = 8;
const MASK: i64 = 56;
const WARM_UP: usize = 3;

fn main() {
    adamv_native::keep_freed_memory();
    let steps: usize = std::env::var("ADAMV_BENCH_STEPS").ok().and_then(|s| s.parse().ok()).unwrap_or(20);
    if let Some(threads) = std::env::var("OMP_NUM_THREADS").ok().and_then(|s| s.parse().ok()) {
        tch::set_num_threads(threads);
    }
    let config = preset("vit-micro").expect("the preset exists");
    let classes = Classes { classification: 6, detection: 6 };
    let system = systems::build("stl", &config, classes, 0, Device::Cpu).expect("the preset is valid");
    let trained = |name: &str| name.starts_with("detection.");
    let training = TrainingConfig { ema_decay: 0.0, ..TrainingConfig::default() };
    let params = system.params().iter().filter(|p| trained(&p.name));
    let mut optimizer = Optimizer::new(params, &training, 1e-4, 0);
    tch::manual_seed(0);
    let batches: Vec<(Tensor, Targets)> = (0..4).map(|_| batch()).collect();
    let mut seconds = Vec::new();
    for step in 0..WARM_UP + steps {
        let (images, targets) = &batches[step % batches.len()];
        let clock = Instant::now();
        let (map, _) = system.feature_map(images, Mode::Train);
        let losses = system.detector().losses(&map, targets, Mode::Train);
        let terms: Vec<&Tensor> = losses.iter().map(|(_, loss)| loss).collect();
        let total = Tensor::stack(&terms, 0).sum(Kind::Float);
        total.backward();
        let _norm = optimizer.step(1e-4).expect("a valid step");
        assert!(total.double_value(&[]).is_finite(), "the loss is not finite: the timing would mean nothing");
        if step >= WARM_UP {
            seconds.push(clock.elapsed().as_secs_f64());
        }
    }
    seconds.sort_by(f64::total_cmp);
    println!(
        "{{\"seconds_per_step\": {{\"median\": {}, \"min\": {}, \"max\": {}}}, \"steps\": {steps}, \"batch\": {BATCH}, \
         \"size\": {SIDE}, \"threads\": {}, \"parameters\": {}}}",
        seconds[steps / 2],
        seconds[0],
        seconds[steps - 1],
        tch::get_num_threads(),
        system.params().count(trained),
    );
}

/// Images [B,3,Y,X] and ground truth of 1 to 6 boxes each.
fn batch() -> (Tensor, Targets) {
    let float = (Kind::Float, Device::Cpu);
    let size = Tensor::rand([BATCH, INSTANCES, 2], float) * (0.4 * SIDE as f64) + 0.15 * SIDE as f64;
    let corner = Tensor::rand([BATCH, INSTANCES, 2], float) * (-&size + SIDE as f64);
    let count = Tensor::randint_low(1, 7, [BATCH, 1], (Kind::Int64, Device::Cpu));
    let real = Tensor::arange(INSTANCES, (Kind::Int64, Device::Cpu)).unsqueeze(0).lt_tensor(&count);
    let labels = Tensor::randint(6, [BATCH, INSTANCES], (Kind::Int64, Device::Cpu));
    let axis = (Tensor::arange(MASK, float) + 0.5) / (0.5 * MASK as f64) - 1.0;
    let disc = (axis.square().unsqueeze(0) + axis.square().unsqueeze(1)).le(1.0).to_kind(Kind::Uint8);
    let boxes = Tensor::cat(&[&corner, &(&corner + &size)], 2) * real.unsqueeze(2).to_kind(Kind::Float);
    let targets = Targets {
        boxes,
        labels: labels.masked_fill(&real.logical_not(), -1),
        masks: disc.expand([BATCH, INSTANCES, MASK, MASK], false).contiguous(),
    };
    (Tensor::rand([BATCH, 3, SIDE, SIDE], float), targets)
}
