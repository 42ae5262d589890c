//! What the experts of a backbone are. Every default lives here, on its field: AdaMV-MoE's (paper.md section 3).

use std::fmt;

use serde::de::{self, SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::{check, positive};
use crate::error::ModelError;

/// Which blocks have experts in place of their MLP (paper.md section 1, table 5): half of them, or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoeLayers {
    Early,
    Middle,
    Late,
    /// Odd indices, as in vmoe.
    EverySecond,
    Blocks(Vec<usize>),
}

const NAMES: [(&str, MoeLayers); 4] = [
    ("early", MoeLayers::Early),
    ("middle", MoeLayers::Middle),
    ("late", MoeLayers::Late),
    ("every-second", MoeLayers::EverySecond),
];

impl MoeLayers {
    /// Indices of the blocks of a backbone of `depth` blocks, from the first to the last.
    pub fn blocks(&self, depth: usize) -> Vec<usize> {
        let half = depth / 2;
        let from = |start: usize| (start..start + half).collect();
        match self {
            Self::Early => from(0),
            Self::Middle => from((depth - half) / 2),
            Self::Late => from(depth - half),
            Self::EverySecond => (1..depth).step_by(2).collect(),
            Self::Blocks(list) => {
                let mut list = list.clone();
                list.sort_unstable();
                list
            }
        }
    }
}

impl fmt::Display for MoeLayers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, NAMES.iter().find(|(_, layers)| layers == self)) {
            (Self::Blocks(list), _) => write!(f, "{list:?}"),
            (_, Some((name, _))) => f.write_str(name),
            (_, None) => unreachable!("every other value has a name"),
        }
    }
}

impl Serialize for MoeLayers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Blocks(list) => list.serialize(serializer),
            named => serializer.collect_str(named),
        }
    }
}

impl<'de> Deserialize<'de> for MoeLayers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = MoeLayers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("early, middle, late, every-second or a list of block numbers")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<MoeLayers, E> {
                const KNOWN: [&str; 4] = [NAMES[0].0, NAMES[1].0, NAMES[2].0, NAMES[3].0];
                let found = NAMES.into_iter().find(|(name, _)| *name == text);
                found.map(|(_, layers)| layers).ok_or_else(|| E::unknown_variant(text, &KNOWN))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<MoeLayers, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(MoeLayers::Blocks)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Whether each task has routers of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouterSharing {
    PerTask,
    /// One for all tasks (the ablation of paper.md section 1, table 3).
    Shared,
}

/// How the experts of a layer start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExpertInit {
    /// All as the MLP in their place would, as in vmoe.
    Identical,
    /// Each drawn for itself.
    Independent,
}

/// Experts in place of MLPs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MoeConfig {
    /// Blocks that have experts.
    pub layers: MoeLayers,
    /// Experts of a layer, E.
    pub experts: usize,
    /// Experts that a token uses, K, for both tasks; adaptive selection starts from it.
    pub k: usize,
    /// How many tokens an expert takes, in units of an even share of a group's; null for as many as come (dropless). One
    /// factor serves training and evaluation, where vmoe's evaluation has a larger one.
    pub capacity_factor: Option<f64>,
    pub router: RouterSharing,
    /// Standard deviation of the logits' noise in training, times E.
    pub router_noise: f64,
    pub expert_init: ExpertInit,
    /// Hidden width of an expert; null for the system's own: the MLP's, but for mtl-moe, whose is a quarter of it.
    pub mlp: Option<usize>,
    /// Weight of the importance loss of each layer.
    pub importance_weight: f64,
    /// Weight of the load loss of each layer.
    pub load_weight: f64,
    /// Images of a group: both losses are computed in each group by itself and averaged, each group weighted by its images, of
    /// which the last may have fewer; null for the whole batch at once. The released router does so in each routing group
    /// (`moe_mtl/router/router.py`).
    pub loss_group: Option<usize>,
}

impl Default for MoeConfig {
    fn default() -> Self {
        Self {
            layers: MoeLayers::EverySecond,
            experts: 8,
            k: 2,
            capacity_factor: None,
            router: RouterSharing::PerTask,
            router_noise: 1.0,
            expert_init: ExpertInit::Identical,
            mlp: None,
            importance_weight: 5e-3,
            load_weight: 5e-3,
            loss_group: None,
        }
    }
}

impl MoeConfig {
    /// Standard deviation of the logits' noise in training.
    pub fn sigma(&self) -> f64 {
        self.router_noise / self.experts as f64
    }

    /// Checks every value for a backbone of `depth` blocks; the error names key, value and range.
    pub(crate) fn validate(&self, depth: usize) -> Result<(), ModelError> {
        let key = |name: &str| format!("model.backbone.moe.{name}");
        positive(&key("experts"), self.experts, 1024)?;
        check((1..=self.experts).contains(&self.k), &key("k"), self.k, format!("1 to experts ({})", self.experts))?;
        if let Some(mlp) = self.mlp {
            positive(&key("mlp"), mlp, 65_536)?;
        }
        let blocks = self.layers.blocks(depth);
        let fits = !blocks.is_empty()
            && blocks.windows(2).all(|pair| pair[0] < pair[1])
            && blocks.iter().all(|&block| block < depth);
        let range = format!("early, middle, late, every-second, or a list of different blocks from 0 to {}", depth - 1);
        check(fits, &key("layers"), &self.layers, format!("{range}; one block or more"))?;
        if let Some(factor) = self.capacity_factor {
            let usable = factor > 0.0 && factor.is_finite();
            check(usable, &key("capacity_factor"), factor, "a number over 0, or null for dropless")?;
        }
        if let Some(images) = self.loss_group {
            positive(&key("loss_group"), images, 1 << 20)?;
        }
        for (name, value) in [
            ("router_noise", self.router_noise),
            ("importance_weight", self.importance_weight),
            ("load_weight", self.load_weight),
        ] {
            check(value >= 0.0 && value.is_finite(), &key(name), value, "0 or more")?;
        }
        Ok(())
    }
}
