//! Times forward and backward of a MoE layer (D = 192, 2 of 8 experts of 768, 4,096 tokens) beside a dense layer of the same
//! activated FLOPs, and with 32 experts beside its 8. The three take turns in every round; ratios are taken within a round,
//! so that a slow moment of the machine slows both. Prints one JSON document. `ADAMV_BENCH_ROUNDS` sets the rounds.

use std::time::Instant;

use adamv_datasets::Task;
use adamv_models::config::MoeConfig;
use adamv_models::layers::Linear;
use adamv_models::moe::{MoeLayer, Route};
use adamv_models::params::{Init, Params};
use adamv_models::vit::Mode;
use tch::{Device, Kind, Tensor};

const TOKENS: i64 = 4096;
const WIDTH: usize = 192;
const HIDDEN: usize = 768;
const K: usize = 2;
const WARM_UP: usize = 3;

/// A layer and its weights.
struct Subject {
    params: Params,
    run: Box<Run>,
}

/// Tokens `[1,T,D]` -> the layer's output, and the losses of its own if there are any.
type Run = dyn Fn(&Tensor) -> Vec<Tensor>;

fn dense() -> Subject {
    let mut params = Params::new(0, Device::Cpu);
    let mut root = params.root();
    let fc1 = Linear::new(root.sub("fc1"), WIDTH, K * HIDDEN, Init::Glorot);
    let fc2 = Linear::new(root.sub("fc2"), K * HIDDEN, WIDTH, Init::Glorot);
    Subject { params, run: Box::new(move |x| vec![fc2.forward(&fc1.forward(x).gelu("none"))]) }
}

/// With router, noise and both balancing losses, as in training.
fn moe(experts: usize) -> Subject {
    let mut params = Params::new(0, Device::Cpu);
    let config = MoeConfig { experts, k: K, ..MoeConfig::default() };
    let layer = MoeLayer::new(params.root(), WIDTH, HIDDEN, &config, &[Task::Classification]);
    let route = Route { task: Task::Classification, k: K };
    let run = move |x: &Tensor| {
        let (out, routing) = layer.forward(x, 1, route, Mode::Train);
        let load = routing.load_loss.expect("the router has noise");
        vec![out, (routing.importance_loss + load) * 5e-3]
    };
    Subject { params, run: Box::new(run) }
}

impl Subject {
    /// Seconds of a forward and a backward pass, which gives fresh gradients of the input and of every weight.
    fn seconds(&self, x: &Tensor, gradient: &Tensor) -> f64 {
        let clock = Instant::now();
        let mut out = (self.run)(x);
        out[0] = (&out[0] * gradient).sum(Kind::Float);
        let total = Tensor::stack(&out, 0).sum(Kind::Float);
        let inputs: Vec<&Tensor> = self.params.iter().map(|p| &p.tensor).chain([x]).collect();
        let gradients = Tensor::run_backward(&[total], &inputs, false, false);
        let seconds = clock.elapsed().as_secs_f64();
        assert!(
            gradients.iter().all(|g| g.double_value(&vec![0; g.dim()]).is_finite()),
            "the timing would mean nothing"
        );
        seconds
    }
}

fn main() {
    adamv_native::keep_freed_memory();
    let rounds: usize = std::env::var("ADAMV_BENCH_ROUNDS").ok().and_then(|s| s.parse().ok()).unwrap_or(30);
    if let Some(threads) = std::env::var("OMP_NUM_THREADS").ok().and_then(|s| s.parse().ok()) {
        tch::set_num_threads(threads);
    }
    tch::manual_seed(0);
    let float = (Kind::Float, Device::Cpu);
    let x = Tensor::randn([1, TOKENS, WIDTH as i64], float).set_requires_grad(true);
    let gradient = Tensor::randn([1, TOKENS, WIDTH as i64], float);
    let subjects = [dense(), moe(8), moe(32)];
    let mut seconds: [Vec<f64>; 3] = Default::default();
    for round in 0..WARM_UP + rounds {
        for (subject, seconds) in subjects.iter().zip(&mut seconds) {
            let taken = subject.seconds(&x, &gradient);
            if round >= WARM_UP {
                seconds.push(taken);
            }
        }
    }
    let [dense, eight, many] = &seconds;
    let ratio = |a: &[f64], b: &[f64]| median(a.iter().zip(b).map(|(a, b)| a / b).collect());
    println!(
        "{{\"seconds\": {{\"dense\": {}, \"experts_8\": {}, \"experts_32\": {}}}, \"ratio_to_dense\": {}, \
         \"ratio_32_to_8\": {}, \"rounds\": {rounds}, \"tokens\": {TOKENS}, \"width\": {WIDTH}, \"k\": {K}, \"threads\": {}}}",
        median(dense.clone()),
        median(eight.clone()),
        median(many.clone()),
        ratio(eight, dense),
        ratio(many, eight),
        tch::get_num_threads(),
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
