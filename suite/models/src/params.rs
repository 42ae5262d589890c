//! The named weights of a model: created from a seed, loaded and saved by name.
//!
//! A weight's first value depends on the seed and its own name alone, so that two systems that share a part
//! start with the same numbers there.

use std::collections::BTreeMap;
use std::fmt::Display;

use tch::{Device, Kind, Tensor};

/// How a weight starts.
#[derive(Clone, Copy, Debug)]
pub enum Init {
    Zeros,
    Ones,
    /// Normal with this standard deviation.
    Normal(f64),
    /// Uniform in ±sqrt(6 / (fan_in + fan_out)) (Glorot), for linear layers [out, in].
    Glorot,
    /// Normal with standard deviation sqrt(gain / fan_in), fan_in = all sizes but the first.
    FanIn { gain: f64 },
}

/// One weight, f32. `tensor` shares its storage with the layer that uses it.
#[derive(Debug)]
pub struct Param {
    pub name: String,
    pub tensor: Tensor,
    /// Whether weight decay applies: not to norms, biases and embeddings.
    pub decay: bool,
}

/// All weights of a model, in the order of their creation.
#[derive(Debug)]
pub struct Params {
    list: Vec<Param>,
    seed: u64,
    device: Device,
}

impl Params {
    pub fn new(seed: u64, device: Device) -> Self {
        Self { list: Vec::new(), seed, device }
    }

    /// Where new weights are named without a prefix.
    pub fn root(&mut self) -> Scope<'_> {
        Scope { params: self, prefix: String::new() }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Param> {
        self.list.iter()
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

    fn create(&mut self, name: &str, size: &[usize], init: Init, decay: bool) -> Tensor {
        let name = format!("{}{name}", self.prefix);
        let dims: Vec<i64> = size.iter().map(|&s| s as i64).collect();
        // Drawn on the CPU, so that every device starts with the same numbers.
        let options = (Kind::Float, Device::Cpu);
        tch::manual_seed((self.params.seed ^ fnv1a(&name)) as i64);
        let fan_in = size.iter().skip(1).product::<usize>().max(1) as f64;
        let first = match init {
            Init::Zeros => Tensor::zeros(&dims, options),
            Init::Ones => Tensor::ones(&dims, options),
            Init::Normal(std) => Tensor::randn(&dims, options) * std,
            Init::Glorot => {
                let bound = (6.0 / (fan_in + size[0] as f64)).sqrt();
                (Tensor::rand(&dims, options) * 2.0 - 1.0) * bound
            }
            Init::FanIn { gain } => Tensor::randn(&dims, options) * (gain / fan_in).sqrt(),
        };
        let tensor = first.to_device(self.params.device).set_requires_grad(true);
        let shared = tensor.shallow_clone();
        self.params.list.push(Param { name, tensor, decay });
        shared
    }
}

/// 64-bit FNV-1a: a hash that never changes between releases.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
