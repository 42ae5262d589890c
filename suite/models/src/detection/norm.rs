//! The norm of the detector's hidden layers, over the channels of maps `[B,C,Y,X]` or of rows `[R,C]`.
//!
//! It stands where F-VLM (google-research, `fvlm/modeling/heads.py` and `fpn.py`) and TensorFlow Model Garden
//! (`official/vision/modeling/heads`, `decoders/fpn.py`) have theirs: between each hidden layer and its ReLU, which is the
//! RPN's convolution (one convolution for all levels, one norm for each level), the convolutions and the fully connected layer
//! of every box head, the convolutions and the deconvolution of the mask head; and after the last convolution of each level
//! of the pyramid, without an activation. The layers that predict scores, boxes and masks have none. The heads of
//! F-VLM have BatchNorm or, with `use_batch_norm = False`, flax's LayerNorm; its plain pyramid has BatchNorm or nothing. DITO, the
//! detector on a ViT in the same code (`fvlm/dito`), has LayerNorm in heads and pyramid. F-VLM's pyramid's convolutions have no
//! bias; ours keep theirs, so that a weight has the same name and first value with every norm.

use tch::Tensor;

use crate::config::NormKind;
use crate::layers::{BatchNorm, GroupNorm, LayerNorm};
use crate::params::Scope;
use crate::vit::Mode;

#[derive(Debug)]
pub enum Norm {
    None,
    Layer(LayerNorm),
    Group(GroupNorm),
    Batch(BatchNorm),
}

impl Norm {
    /// Creates its weights, if it has any, below `scope`.
    pub fn new(scope: Scope, kind: NormKind, channels: usize) -> Self {
        match kind {
            NormKind::None => Self::None,
            NormKind::Layer => Self::Layer(LayerNorm::new(scope, channels)),
            NormKind::Group => Self::Group(GroupNorm::new(scope, channels)),
            NormKind::Batch => Self::Batch(BatchNorm::new(scope, channels)),
        }
    }

    /// `[B,C,Y,X]` or `[R,C]` -> same.
    pub fn forward(&self, x: Tensor, mode: Mode) -> Tensor {
        match self {
            Self::None => x,
            // With channels last in memory, as what RoIAlign and the convolutions after it give, this copies nothing.
            Self::Layer(norm) => norm.forward(&x.movedim_int(1, -1)).movedim_int(-1, 1),
            Self::Group(norm) => norm.forward(&x),
            Self::Batch(norm) => norm.forward(&x, mode),
        }
    }

    /// Whether an image's result in training depends on the other images of the batch.
    pub fn over_batch(&self) -> bool {
        matches!(self, Self::Batch(_))
    }
}
