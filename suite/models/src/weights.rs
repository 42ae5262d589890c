//! Weights as safetensors: bytes to named tensors and back, and from named tensors into a model.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use tch::{Device, Kind, Tensor};

use crate::error::ModelError;
use crate::params::Params;

/// Named tensors on the CPU, read from a file. Half-precision weights are widened to f32.
pub fn read(path: &Path) -> Result<BTreeMap<String, Tensor>, ModelError> {
    let bad = |reason: String, mend| ModelError::Weights { path: path.into(), reason, mend };
    let bytes = std::fs::read(path).map_err(|e| bad(e.to_string(), "give an existing, readable file"))?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|e| bad(format!("not a whole safetensors file ({e})"), "copy or save it again"))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.tensors() {
        let kind = match view.dtype() {
            Dtype::F32 => Kind::Float,
            Dtype::F64 => Kind::Double,
            Dtype::F16 => Kind::Half,
            Dtype::BF16 => Kind::BFloat16,
            Dtype::I64 => Kind::Int64,
            Dtype::U8 => Kind::Uint8,
            other => return Err(bad(format!("tensor {name} is {other:?}"), "save it as float32")),
        };
        let shape: Vec<i64> = view.shape().iter().map(|&s| s as i64).collect();
        let tensor = Tensor::f_from_data_size(view.data(), &shape, kind)?;
        let wide = if matches!(kind, Kind::Half | Kind::BFloat16) { tensor.f_to_kind(Kind::Float)? } else { tensor };
        tensors.insert(name, wide);
    }
    Ok(tensors)
}

/// Named tensors (f32, f64, int64 or uint8, on any device) as the bytes of a safetensors file, in order of name.
pub fn to_bytes<'a>(tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>) -> Result<Vec<u8>, ModelError> {
    let mut parts: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, tensor) in tensors {
        let kind = tensor.f_kind()?;
        let (dtype, width) = match kind {
            Kind::Float => (Dtype::F32, 4),
            Kind::Double => (Dtype::F64, 8),
            Kind::Int64 => (Dtype::I64, 8),
            Kind::Uint8 => (Dtype::U8, 1),
            other => {
                return Err(ModelError::Weights {
                    path: name.into(),
                    reason: format!("a tensor of kind {other:?} can't be saved"),
                    mend: "convert it to float32",
                });
            }
        };
        let tensor = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_contiguous()?;
        let mut data = vec![0u8; tensor.numel() * width];
        tensor.f_copy_data_u8(&mut data, tensor.numel())?;
        parts.push((name, dtype, tensor.size().iter().map(|&s| s as usize).collect(), data));
    }
    let views: Result<Vec<_>, _> = parts
        .iter()
        .map(|(name, dtype, shape, data)| TensorView::new(*dtype, shape.clone(), data).map(|view| (*name, view)))
        .collect();
    views.and_then(|views| safetensors::serialize(views, None)).map_err(|e| ModelError::Weights {
        path: "safetensors".into(),
        reason: e.to_string(),
        mend: "report this as a bug",
    })
}

/// Copies into every weight and buffer of `params` the tensor that `find` names for it. A missing tensor or another shape means
/// another architecture: nothing is copied then.
pub fn assign<'a>(params: &Params, path: &Path, find: impl Fn(&str) -> Option<&'a Tensor>) -> Result<(), ModelError> {
    let bad = |reason: String| ModelError::Weights {
        path: path.into(),
        reason,
        mend: "it belongs to another architecture: give the configuration it was trained with",
    };
    let mut found = Vec::new();
    for (name, tensor) in params.saved() {
        let value = find(name).ok_or_else(|| bad(format!("it has no tensor {name}")))?;
        if value.size() != tensor.size() {
            let (theirs, ours) = (value.size(), tensor.size());
            return Err(bad(format!("tensor {name} is {theirs:?}, the model's is {ours:?}")));
        }
        found.push((tensor, value));
    }
    tch::no_grad(|| {
        for (target, value) in found {
            target.shallow_clone().f_copy_(&value.f_to_kind(Kind::Float)?)?;
        }
        Ok(())
    })
}
