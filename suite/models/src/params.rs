//! The named weights of a model: created from a seed, loaded and saved by name.
//!
//! A weight's first value depends on the seed and its own name alone, so that two systems that share a part
//! start with the same numbers there.

use std::collections::BTreeMap;
use std::fmt::Display;

use rayon::prelude::*;
use tch::{Device, Tensor};

/// How a weight starts.
#[derive(Clone, Copy, Debug)]
pub enum Init {
    Zeros,
    Ones,
    Constant(f64),
    /// Normal with this standard deviation.
    Normal(f64),
    /// Uniform in ±sqrt(6 / (fan_in + fan_out)) (Glorot), for linear layers [out, in].
    Glorot,
    /// As [`Init::Glorot`] would start each of `parts` matrices of equal size that stand one under another in this weight:
    /// uniform in ±sqrt(6 / (fan_in + fan_out / parts)).
    GlorotStacked {
        parts: usize,
    },
    /// Normal with standard deviation sqrt(gain / fan_in), fan_in = all sizes but the first.
    FanIn {
        gain: f64,
    },
}

/// One weight, f32. `tensor` shares its storage with the layer that uses it.
#[derive(Debug)]
pub struct Param {
    pub name: String,
    pub tensor: Tensor,
    /// Whether weight decay applies: not to norms, biases and embeddings.
    pub decay: bool,
}

/// A tensor that is saved with the weights and isn't one, f32: forward passes in training change it, no optimizer does. It
/// has no gradient, and nothing decays, clips, averages or counts it.
#[derive(Debug)]
pub struct Buffer {
    pub name: String,
    pub tensor: Tensor,
}

/// All weights of a model, in the order of their creation, and its buffers.
#[derive(Debug)]
pub struct Params {
    list: Vec<Param>,
    buffers: Vec<Buffer>,
    seed: u64,
    device: Device,
    sizes_only: bool,
}

impl Params {
    pub fn new(seed: u64, device: Device) -> Self {
        Self { list: Vec::new(), buffers: Vec::new(), seed, device, sizes_only: false }
    }

    /// Weights that have their sizes and no memory: each is one number, repeated. Constants have their value, what would be
    /// drawn is 0. For what a model costs; it can't be trained or run to any use.
    pub fn sizes() -> Self {
        Self { list: Vec::new(), buffers: Vec::new(), seed: 0, device: Device::Cpu, sizes_only: true }
    }

    /// Where the weights lie.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Where new weights are named without a prefix.
    pub fn root(&mut self) -> Scope<'_> {
        Scope { params: self, prefix: String::new() }
    }

    /// The weights, without buffers.
    pub fn iter(&self) -> impl Iterator<Item = &Param> {
        self.list.iter()
    }

    /// What belongs into a file of this model: weights and buffers by name.
    pub fn saved(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        let weights = self.list.iter().map(|p| (p.name.as_str(), &p.tensor));
        weights.chain(self.buffers.iter().map(|b| (b.name.as_str(), &b.tensor)))
    }

    /// The weights by name.
    pub fn by_name(&self) -> BTreeMap<&str, &Tensor> {
        self.list.iter().map(|p| (p.name.as_str(), &p.tensor)).collect()
    }

    /// Number of scalars in the weights that `keep` selects by name.
    pub fn count(&self, keep: impl Fn(&str) -> bool) -> u64 {
        self.list.iter().filter(|p| keep(&p.name)).map(|p| p.tensor.numel() as u64).sum()
    }
}

/// A place in the tree of names; layers create their weights through it.
pub struct Scope<'a> {
    params: &'a mut Params,
    prefix: String,
}

impl Scope<'_> {
    /// The scope `name` below this one.
    pub fn sub(&mut self, name: impl Display) -> Scope<'_> {
        let prefix = format!("{}{name}.", self.prefix);
        Scope { params: self.params, prefix }
    }

    /// The same scope, for a part whose weights stand directly in it.
    pub fn reborrow(&mut self) -> Scope<'_> {
        Scope { params: self.params, prefix: self.prefix.clone() }
    }

    /// Creates a weight that weight decay applies to.
    pub fn weight(&mut self, name: &str, size: &[usize], init: Init) -> Tensor {
        self.create(name, size, init, true)
    }

    /// Creates a norm's, a bias's or an embedding's weight: weight decay leaves it alone.
    pub fn undecayed(&mut self, name: &str, size: &[usize], init: Init) -> Tensor {
        self.create(name, size, init, false)
    }

    /// Creates a buffer.
    pub fn buffer(&mut self, name: &str, size: &[usize], init: Init) -> Tensor {
        let name = self.full_name(name);
        let tensor = self.tensor(size, &self.draw(&name, size, init));
        let shared = tensor.shallow_clone();
        self.params.buffers.push(Buffer { name, tensor });
        shared
    }

    /// The whole name of the weight `name` in this scope.
    pub fn full_name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Creates a weight of several parts, each of `size`: part i starts as the weight `sources[i]` (a whole name) would.
    pub fn stacked(&mut self, name: &str, sources: &[String], size: &[usize], init: Init, decay: bool) -> Tensor {
        let mut first = Vec::new();
        for same in sources.chunk_by(|a, b| a == b) {
            let part = self.draw(&same[0], size, init);
            same.iter().for_each(|_| first.extend_from_slice(&part));
        }
        let size: Vec<usize> = std::iter::once(sources.len()).chain(size.iter().copied()).collect();
        self.add(name, &size, &first, decay)
    }

    fn create(&mut self, name: &str, size: &[usize], init: Init, decay: bool) -> Tensor {
        let first = self.draw(&self.full_name(name), size, init);
        self.add(name, size, &first, decay)
    }

    /// The first values of the weight `name` (a whole name).
    fn draw(&self, name: &str, size: &[usize], init: Init) -> Vec<f32> {
        if self.params.sizes_only {
            return match init {
                Init::Ones => vec![1.0],
                Init::Constant(value) => vec![value as f32],
                _ => vec![0.0],
            };
        }
        let fan_in = size.iter().skip(1).product::<usize>().max(1) as f64;
        let stream = Stream(self.params.seed ^ fnv1a(name));
        let glorot = |fan_out: f64| {
            let bound = (6.0 / (fan_in + fan_out)).sqrt();
            stream.fill(size, |stream, i| (stream.uniform(i) * 2.0 - 1.0) * bound)
        };
        let normal = |std: f64| stream.fill(size, |stream, i| stream.normal(i) * std);
        match init {
            Init::Zeros => vec![0.0; size.iter().product()],
            Init::Ones => vec![1.0; size.iter().product()],
            Init::Constant(value) => vec![value as f32; size.iter().product()],
            Init::Normal(std) => normal(std),
            Init::Glorot => glorot(size[0] as f64),
            Init::GlorotStacked { parts } => glorot((size[0] / parts) as f64),
            Init::FanIn { gain } => normal((gain / fan_in).sqrt()),
        }
    }

    fn add(&mut self, name: &str, size: &[usize], first: &[f32], decay: bool) -> Tensor {
        let tensor = self.tensor(size, first).set_requires_grad(!self.params.sizes_only);
        let shared = tensor.shallow_clone();
        self.params.list.push(Param { name: self.full_name(name), tensor, decay });
        shared
    }

    fn tensor(&self, size: &[usize], first: &[f32]) -> Tensor {
        let dims: Vec<i64> = size.iter().map(|&s| s as i64).collect();
        if self.params.sizes_only {
            return Tensor::from_slice(&first[..1]).squeeze().expand(dims.as_slice(), false);
        }
        Tensor::from_slice(first).view(dims.as_slice()).to_device(self.params.device)
    }
}

/// A stream of random numbers that can be read at any place: no state, so the same on every machine and with any number
/// of threads, and apart from libtorch's generator.
#[derive(Clone, Copy)]
struct Stream(u64);

impl Stream {
    /// The i-th 64 bits (SplitMix64; Steele, Lea and Flood 2014).
    fn bits(self, i: u64) -> u64 {
        let x = self.0.wrapping_add(i.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// In (0, 1).
    fn uniform(self, i: u64) -> f64 {
        ((self.bits(i) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Standard normal (Box and Muller 1958).
    fn normal(self, i: u64) -> f64 {
        let (radius, angle) = (self.uniform(2 * i), self.uniform(2 * i + 1));
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }

    fn fill(self, size: &[usize], value: impl Fn(Self, u64) -> f64 + Sync) -> Vec<f32> {
        (0..size.iter().product::<usize>()).into_par_iter().map(|i| value(self, i as u64) as f32).collect()
    }
}

/// 64-bit FNV-1a: a hash that never changes between releases.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_have_the_spread_that_was_asked_for() {
        let mut params = Params::new(0, Device::Cpu);
        let mut root = params.root();
        // 40,000 draws: the mean is within 5 standard errors (std / 200) of 0, the deviation within 5 (std / 283).
        let uniform = |fans: f64| (6.0 / fans).sqrt() / 3f64.sqrt();
        let cases = [
            (Init::Normal(0.5), 200, 0.5),
            (Init::FanIn { gain: 2.0 }, 200, 0.1),
            (Init::Glorot, 200, uniform(400.0)),
            (Init::Glorot, 600, uniform(800.0)),
            // Three matrices [200, 200], and each of them.
            (Init::GlorotStacked { parts: 3 }, 600, uniform(400.0)),
        ];
        for (i, (init, outputs, std)) in cases.into_iter().enumerate() {
            let weight = root.weight(&format!("w{i}"), &[outputs, 200], init).detach();
            let (mean, deviation) = (weight.mean(tch::Kind::Double), weight.std(false));
            assert!(mean.double_value(&[]).abs() < 5.0 * std / 200.0, "{init:?}: mean {mean}");
            assert!((deviation.double_value(&[]) - std).abs() < 5.0 * std / 283.0, "{init:?}: deviation {deviation}");
        }
    }

    #[test]
    fn a_weight_depends_on_seed_and_name_alone() {
        let draw = |seed, before: bool, name: &str| {
            let mut params = Params::new(seed, Device::Cpu);
            if before {
                let _other = params.root().weight("other", &[3, 3], Init::Glorot);
            }
            params.root().sub("layer").weight(name, &[4, 4], Init::Normal(1.0)).detach()
        };
        assert_eq!(draw(1, false, "weight"), draw(1, true, "weight"));
        assert_ne!(draw(1, false, "weight"), draw(2, false, "weight"));
        assert_ne!(draw(1, false, "weight"), draw(1, false, "bias"));
    }

    #[test]
    fn parts_of_a_stacked_weight_start_as_the_weights_they_name() {
        let mut params = Params::new(7, Device::Cpu);
        let mut root = params.root();
        let plain = root.sub("mlp").weight("weight", &[4, 6], Init::Glorot).detach();
        let source = |name: &str| format!("mlp.{name}");
        let sources = [source("weight"), source("weight"), source("other")];
        let stacked = root.sub("experts").stacked("weight", &sources, &[4, 6], Init::Glorot, true).detach();
        assert_eq!(stacked.size(), [3, 4, 6]);
        assert_eq!((stacked.get(0), stacked.get(1)), (plain.copy(), plain.copy()));
        assert_ne!(stacked.get(2), plain);
    }
}
