//! The vision transformer (paper.md section 2), cut where the tasks part: an [`Embedding`] each task has for itself,
//! and a [`Trunk`] that tasks may share. Weights are named as in timm. What happens inside a MoE layer is [`crate::moe`]'s.

use std::collections::BTreeMap;

use adamv_datasets::Task;
use tch::{Kind, Tensor};

use crate::config::{BackboneConfig, DropPathPer, InputConfig, Pool};
use crate::layers::{Conv, LayerNorm, Linear};
use crate::moe::{MoeLayer, Route, Routing};
use crate::params::{Init, Scope};
use crate::taps::{AdaptedLinear, AdaptedMlp};

/// Training draws stochastic depth and samples; evaluation draws nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Train,
    Evaluate,
}

/// What a forward pass computed on its way, by name, so that probes and tests never reach inside a model. `blocks.3`: the
/// tokens after block 3. Of a MoE layer in block 3: `router_probs.3` `[B,N,E]`, the softmax without noise; `selected.3`
/// `[B,N,K]` int64, best first; the scalars `importance_loss.3` and, if the router has noise, `load_loss.3`; in evaluation
/// also `router_features.3` `[B,N,D]`, what the router saw.
pub type Intermediates = BTreeMap<String, Tensor>;

/// Patch embedding, class token if there is one, and position embedding of one task.
#[derive(Debug)]
pub struct Embedding {
    proj: Conv,
    patch: usize,
    windows: usize,
    pos_embed: Tensor,
    cls_token: Option<Tensor>,
}

impl Embedding {
    /// Creates `patch_embed.proj`, `pos_embed` and, for token pooling, `cls_token` below `scope`.
    pub fn new(mut scope: Scope, backbone: &BackboneConfig, input: &InputConfig) -> Self {
        let (width, patch) = (backbone.width, input.patch_size);
        let side = input.image_size / patch;
        let token = usize::from(backbone.pool == Pool::Token);
        let std = (width as f64).sqrt().recip();
        let proj = Conv::new(scope.sub("patch_embed").sub("proj"), 3, width, patch, Init::FanIn { gain: 1.0 });
        Self {
            proj: proj.stride(patch).unpadded(),
            patch,
            windows: input.windows,
            pos_embed: scope.undecayed("pos_embed", &[1, side * side + token, width], Init::Normal(std)),
            cls_token: (token == 1).then(|| scope.undecayed("cls_token", &[1, 1, width], Init::Normal(std))),
        }
    }

    /// Images `[B,3,Y,X]` f32 -> tokens `[B,N,D]`, row by row, after the class token if there is one.
    pub fn forward(&self, images: &Tensor) -> Tensor {
        let patches = self.proj.forward(images).flatten(2, 3).transpose(1, 2);
        let tokens = match &self.cls_token {
            Some(token) => Tensor::cat(&[&token.expand([patches.size()[0], -1, -1], false), &patches], 1),
            None => patches,
        };
        tokens + &self.pos_embed
    }

    /// N, class token included.
    pub fn tokens(&self) -> usize {
        self.pos_embed.size()[1] as usize
    }

    /// Windows per side that the task's input has.
    pub fn windows(&self) -> usize {
        self.windows
    }

    /// Multiply-adds of one image.
    pub fn macs(&self) -> u64 {
        let patches = self.tokens() - usize::from(self.cls_token.is_some());
        // Patches lie side by side: each is seen once.
        self.proj.macs(patches.isqrt() * self.patch)
    }
}

/// Multi-head self-attention.
#[derive(Debug)]
struct Attention {
    qkv: Linear,
    proj: Linear,
    width: usize,
    heads: i64,
}

impl Attention {
    fn new(mut scope: Scope, width: usize, heads: usize) -> Self {
        Self {
            // As three matrices of their own, which the released code has (flax's `MultiHeadDotProductAttention`).
            qkv: Linear::new(scope.sub("qkv"), width, 3 * width, Init::GlorotStacked { parts: 3 }),
            proj: Linear::new(scope.sub("proj"), width, width, Init::Glorot),
            width,
            heads: heads as i64,
        }
    }

    /// `[B,N,D]` -> `[B,N,D]`.
    fn forward(&self, x: &Tensor) -> Tensor {
        let (b, n, d) = sizes3(x);
        let qkv = self.qkv.forward(x).view([b, n, 3, self.heads, d / self.heads]).permute([2, 0, 3, 1, 4]);
        let (q, k, v) = (qkv.get(0), qkv.get(1), qkv.get(2));
        let mixed = Tensor::scaled_dot_product_attention(&q, &k, &v, None::<Tensor>, 0.0, false, None, false);
        self.proj.forward(&mixed.transpose(1, 2).reshape([b, n, d]))
    }

    /// Multiply-adds of an image of `tokens` tokens in `windows` windows: both products with the tokens of the same window.
    fn macs(&self, tokens: usize, windows: usize) -> u64 {
        let products = 2 * tokens * (tokens / windows) * self.width;
        self.qkv.macs(tokens) + self.proj.macs(tokens) + products as u64
    }
}

/// Two linear layers with an exact GELU between.
#[derive(Debug)]
struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

impl Mlp {
    fn new(mut scope: Scope, width: usize, hidden: usize) -> Self {
        Self {
            fc1: Linear::new(scope.sub("fc1"), width, hidden, Init::Glorot),
            fc2: Linear::new(scope.sub("fc2"), hidden, width, Init::Glorot),
        }
    }

    /// `[B,N,D]` -> `[B,N,D]`.
    fn forward(&self, x: &Tensor) -> Tensor {
        self.fc2.forward(&self.fc1.forward(x).gelu("none"))
    }

    fn macs(&self, tokens: usize) -> u64 {
        self.fc1.macs(tokens) + self.fc2.macs(tokens)
    }
}

/// A block's second half.
#[derive(Debug)]
enum FeedForward {
    Dense(Mlp),
    Experts(MoeLayer),
    Adapted(AdaptedMlp),
}

/// Pre-LN block: x + SA(LN x), then x + FF(LN x).
#[derive(Debug)]
struct Block {
    norm1: LayerNorm,
    attn: Attention,
    norm2: LayerNorm,
    feed_forward: FeedForward,
    drop: f64,
    drop_per: DropPathPer,
}

impl Block {
    /// Block `i` of the backbone, for `tasks`.
    fn new(mut scope: Scope, config: &BackboneConfig, i: usize, tasks: &[Task]) -> Self {
        let moe = config.moe.as_ref().filter(|moe| moe.layers.blocks(config.depth).contains(&i));
        let (width, hidden) = (config.width, config.mlp);
        Self {
            norm1: LayerNorm::new(scope.sub("norm1"), width),
            attn: Attention::new(scope.sub("attn"), width, config.heads),
            norm2: LayerNorm::new(scope.sub("norm2"), width),
            feed_forward: match (moe, &config.taps) {
                (Some(moe), _) => FeedForward::Experts(MoeLayer::new(scope, width, hidden, moe, tasks)),
                (None, Some(taps)) => {
                    FeedForward::Adapted(AdaptedMlp::new(scope.sub("mlp"), width, hidden, &taps.values(), tasks))
                }
                (None, None) => FeedForward::Dense(Mlp::new(scope.sub("mlp"), width, hidden)),
            },
            drop: config.drop_path * i as f64 / (config.depth.max(2) - 1) as f64,
            drop_per: config.drop_path_per,
        }
    }

    /// `[B·W,N,D]` -> same, and what routers decided on which features; the `windows` W of an image lie side by side.
    fn forward(&self, x: &Tensor, windows: i64, route: Route, mode: Mode) -> (Tensor, Option<(Routing, Tensor)>) {
        let x = x + self.keep(self.attn.forward(&self.norm1.forward(x)), windows, mode);
        let normed = self.norm2.forward(&x);
        let (branch, routing) = match &self.feed_forward {
            FeedForward::Dense(mlp) => (mlp.forward(&normed), None),
            FeedForward::Adapted(mlp) => (mlp.forward(&normed, route.task), None),
            FeedForward::Experts(moe) => {
                let (branch, routing) = moe.forward(&normed, windows, route, mode);
                (branch, Some((routing, normed)))
            }
        };
        (x + self.keep(branch, windows, mode), routing)
    }

    /// Multiply-adds of an image of `tokens` tokens, each of which uses `k` experts where there are any.
    fn macs(&self, tokens: usize, windows: usize, k: usize) -> u64 {
        let feed_forward = match &self.feed_forward {
            FeedForward::Dense(mlp) => mlp.macs(tokens),
            FeedForward::Adapted(mlp) => mlp.macs(tokens),
            FeedForward::Experts(moe) => moe.macs(tokens, k),
        };
        self.attn.macs(tokens, windows) + feed_forward
    }

    /// Stochastic depth: leaves a branch out for some images, or some windows. As in the authors' code, what is kept isn't
    /// rescaled.
    fn keep(&self, branch: Tensor, windows: i64, mode: Mode) -> Tensor {
        if self.drop == 0.0 || mode == Mode::Evaluate {
            return branch;
        }
        let rows = branch.size()[0];
        let together = match self.drop_per {
            DropPathPer::Image => windows,
            DropPathPer::Window => 1,
        };
        let kept = Tensor::rand([rows / together, 1, 1], (Kind::Float, branch.device())).ge(self.drop);
        let kept = kept.repeat_interleave_self_int(together, 0, rows);
        branch * kept.to_kind(Kind::Float)
    }
}

/// The blocks and the last LayerNorm.
#[derive(Debug)]
pub struct Trunk {
    blocks: Vec<Block>,
    norm: LayerNorm,
    pool: Pool,
}

impl Trunk {
    /// Creates `blocks.0`, `blocks.1`, .. and `norm` below `scope`, for images of `tasks`.
    pub fn new(mut scope: Scope, config: &BackboneConfig, tasks: &[Task]) -> Self {
        let blocks = (0..config.depth).map(|i| Block::new(scope.sub("blocks").sub(i), config, i, tasks)).collect();
        Self { blocks, norm: LayerNorm::new(scope.sub("norm"), config.width), pool: config.pool }
    }

    /// Tokens `[B,N,D]` -> tokens `[B,N,D]` after the last norm, and what the blocks computed. Attention stays in each of
    /// `windows` x `windows` windows of an image (UViT); with more than one there is no class token.
    pub fn forward(&self, tokens: &Tensor, windows: usize, route: Route, mode: Mode) -> (Tensor, Intermediates) {
        let mut out = Intermediates::new();
        let side = windows as i64;
        let mut x = split(tokens, side);
        for (i, block) in self.blocks.iter().enumerate() {
            let (tokens, routing) = block.forward(&x, side * side, route, mode);
            x = tokens;
            out.insert(format!("blocks.{i}"), merge(&x, side));
            if let Some((routing, features)) = routing {
                if mode == Mode::Evaluate {
                    out.insert(format!("router_features.{i}"), merge(&features, side));
                }
                out.insert(format!("router_probs.{i}"), merge(&routing.probs, side));
                out.insert(format!("selected.{i}"), merge(&routing.selected, side));
                out.insert(format!("importance_loss.{i}"), routing.importance_loss);
                out.extend(routing.load_loss.map(|loss| (format!("load_loss.{i}"), loss)));
            }
        }
        (self.norm.forward(&merge(&x, side)), out)
    }

    /// Multiply-adds of an image of `tokens` tokens in `windows` x `windows` windows on `route`.
    pub fn macs(&self, tokens: usize, windows: usize, route: Route) -> u64 {
        self.blocks.iter().map(|block| block.macs(tokens, windows * windows, route.k)).sum()
    }

    /// The layers that tasks adapt, by the name of their place, such as `3.mlp.fc1`.
    pub fn adapted(&self) -> impl Iterator<Item = (String, &AdaptedLinear)> {
        self.blocks.iter().enumerate().flat_map(|(i, block)| {
            let mlp = match &block.feed_forward {
                FeedForward::Adapted(mlp) => Some(mlp),
                FeedForward::Dense(_) | FeedForward::Experts(_) => None,
            };
            mlp.into_iter().flat_map(AdaptedMlp::layers).map(move |(name, layer)| (format!("{i}.mlp.{name}"), layer))
        })
    }

    /// Tokens `[B,N,D]` -> one vector per image `[B,D]`.
    pub fn pool(&self, tokens: &Tensor) -> Tensor {
        match self.pool {
            Pool::Mean => tokens.mean_dim(1, false, None),
            Pool::Token => tokens.select(1, 0),
        }
    }

    /// Tokens `[B,N,D]` of a square image without class token -> map `[B,D,Y,X]`.
    pub fn map(&self, tokens: &Tensor) -> Tensor {
        let (b, n, d) = sizes3(tokens);
        let side = n.isqrt();
        tokens.transpose(1, 2).reshape([b, d, side, side])
    }
}

/// `[B,N,D]` of square images -> `[B·W²,N/W²,D]`: the W x W windows of an image, side by side.
fn split(x: &Tensor, w: i64) -> Tensor {
    if w == 1 {
        return x.shallow_clone();
    }
    let (b, n, d) = sizes3(x);
    let part = n.isqrt() / w;
    x.view([b, w, part, w, part, d]).permute([0, 1, 3, 2, 4, 5]).reshape([b * w * w, part * part, d])
}

/// The inverse of [`split`].
fn merge(x: &Tensor, w: i64) -> Tensor {
    if w == 1 {
        return x.shallow_clone();
    }
    let (bw, n, d) = sizes3(x);
    let part = n.isqrt();
    let b = bw / (w * w);
    x.view([b, w, w, part, part, d]).permute([0, 1, 3, 2, 4, 5]).reshape([b, n * w * w, d])
}

fn sizes3(x: &Tensor) -> (i64, i64, i64) {
    let size = x.size();
    (size[0], size[1], size[2])
}
