//! `features`: a backbone in evaluation mode over a file of images, for comparison with other implementations.

use std::path::Path;

use adamv_datasets::Task;
use adamv_models::config::{BackboneConfig, InputConfig, MoeConfig, Pool, preset};
use adamv_models::moe::Route;
use adamv_models::params::Params;
use adamv_models::vit::{Embedding, Mode, Trunk};
use adamv_models::{ModelError, weights};
use adamv_store::write_bytes_atomic;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::error::{EngineError, guarded};

/// A backbone for one task, as a file gives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeaturesConfig {
    pub image_size: usize,
    pub patch_size: usize,
    pub depth: usize,
    pub width: usize,
    pub heads: usize,
    pub mlp: usize,
    pub pool: Pool,
    /// Experts in some of the blocks; none if left out.
    #[serde(default)]
    pub moe: Option<MoeConfig>,
}

/// Which backbone to run.
#[derive(Clone, Debug)]
pub enum FeaturesBackbone {
    /// A preset by name.
    Preset(String),
    /// Any other.
    Yaml(FeaturesConfig),
}

/// Reads `images` `[B,3,Y,X]` f32 from `input`, writes `tokens` `[B,N,D]` after the last norm and `pooled` `[B,D]` to `out`;
/// for each MoE layer i also `router_probs.i` `[B,N,E]`, `selected.i` `[B,N,K]` int64, `importance_loss.i` `[1]` and
/// `load_loss.i` `[1]`.
///
/// Weights have timm's names; a checkpoint of ours may prefix them with `embed.TASK.` or `TASK.`. Of the routers only the
/// task's own are asked for.
pub fn features(
    backbone: &FeaturesBackbone,
    task: Task,
    weights_file: &Path,
    input_file: &Path,
    out: &Path,
    device: Device,
) -> Result<(), EngineError> {
    let (config, input) = resolve(backbone, task)?;
    guarded(|| {
        let mut params = Params::new(0, device);
        let embedding = Embedding::new(params.root(), &config, &input);
        let trunk = Trunk::new(params.root(), &config, &[task]);
        let saved = weights::read(weights_file)?;
        weights::assign(&params, weights_file, |name| {
            let names = [name.to_owned(), format!("embed.{task}.{name}"), format!("{task}.{name}")];
            names.iter().find_map(|name| saved.get(name))
        })?;

        let mut tensors = weights::read(input_file)?;
        let bad = |reason: String| EngineError::File {
            path: input_file.into(),
            reason,
            mend: "give a float32 tensor `images` [B,3,Y,X] of the backbone's input size",
        };
        let images = tensors.remove("images").ok_or_else(|| bad("it has no tensor `images`".into()))?;
        let (size, side) = (images.size(), input.image_size as i64);
        if images.kind() != Kind::Float || size.len() != 4 || size[0] < 1 || size[1..] != [3, side, side] {
            return Err(bad(format!("`images` is {:?} {size:?}, not Float [B, 3, {side}, {side}]", images.kind())));
        }
        let route = config.moe.as_ref().map_or(Route::dense(task), |moe| Route { task, k: moe.k });
        let (tokens, pooled, computed) = tch::no_grad(|| {
            let (tokens, computed) = trunk.forward(
                &embedding.forward(&images.to_device(device)),
                embedding.windows(),
                route,
                Mode::Evaluate,
            );
            let pooled = trunk.pool(&tokens);
            (tokens, pooled, computed)
        });
        let mut written = Vec::from([("pooled".to_owned(), pooled), ("tokens".to_owned(), tokens)]);
        let scalar = |tensor: Tensor| if tensor.dim() == 0 { tensor.unsqueeze(0) } else { tensor };
        let inner = ["blocks.", "router_features."];
        let routing = computed.into_iter().filter(|(name, _)| !inner.iter().any(|part| name.starts_with(part)));
        written.extend(routing.map(|(name, tensor)| (name, scalar(tensor))));
        write_bytes_atomic(out, &weights::to_bytes(written.iter().map(|(name, tensor)| (name.as_str(), tensor)))?)?;
        Ok(())
    })
}

fn resolve(backbone: &FeaturesBackbone, task: Task) -> Result<(BackboneConfig, InputConfig), ModelError> {
    let mut model = match backbone {
        FeaturesBackbone::Preset(name) => preset(name)?,
        FeaturesBackbone::Yaml(_) => Default::default(),
    };
    if let FeaturesBackbone::Yaml(yaml) = backbone {
        model.backbone = BackboneConfig {
            depth: yaml.depth,
            width: yaml.width,
            heads: yaml.heads,
            mlp: yaml.mlp,
            pool: yaml.pool,
            moe: yaml.moe.clone(),
            ..model.backbone
        };
        let input = InputConfig { image_size: yaml.image_size, patch_size: yaml.patch_size, ..InputConfig::default() };
        model.inputs.classification = input.clone();
        model.inputs.detection = input;
    }
    model.validate_backbone()?;
    Ok((model.backbone, model.inputs.of(task).clone()))
}
