//! Batches of the data rooms as tensors on a device.

use std::mem::take;

use adamv_datasets::{ClassificationBatch, DetectionBatch};
use adamv_models::detection::Targets;
use adamv_native::tensor_from_vec;
use tch::kind::Element;
use tch::{Device, Tensor};

use crate::error::EngineError;

/// On `device`; a GPU's stream copies it while the host goes on.
fn put<T: Element + Send + 'static>(data: Vec<T>, shape: &[i64], device: Device) -> Result<Tensor, EngineError> {
    let host = tensor_from_vec(data, shape)?;
    if device == Device::Cpu {
        return Ok(host);
    }
    let kind = host.f_kind()?;
    Ok(host.f_pin_memory(device)?.f_to_device_(device, kind, true, false)?)
}

/// `[B,3,Y,X]` f32 on `device`; images are square.
pub fn images(pixels: Vec<f32>, side: usize, device: Device) -> Result<Tensor, EngineError> {
    let count = (pixels.len() / (3 * side * side).max(1)) as i64;
    put(pixels, &[count, 3, side as i64, side as i64], device)
}

/// Images, and labels `[B]` int64. Takes the pixels out of the batch: they aren't copied.
pub fn classification(batch: &mut ClassificationBatch, device: Device) -> Result<(Tensor, Tensor), EngineError> {
    let labels = batch.labels.clone();
    let count = labels.len() as i64;
    Ok((images(take(&mut batch.images), batch.image_size, device)?, put(labels, &[count], device)?))
}

/// Images, and the padded ground truth. Takes pixels and masks out of the batch: they aren't copied.
pub fn detection(batch: &mut DetectionBatch, device: Device) -> Result<(Tensor, Targets), EngineError> {
    let (b, g, m) = (batch.image_ids.len() as i64, batch.max_instances as i64, batch.mask_size as i64);
    let targets = Targets {
        boxes: put(take(&mut batch.boxes), &[b, g, 4], device)?,
        labels: put(take(&mut batch.labels), &[b, g], device)?,
        masks: put(take(&mut batch.masks), &[b, g, m, m], device)?,
    };
    Ok((images(take(&mut batch.images), batch.image_size, device)?, targets))
}
