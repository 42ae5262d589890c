//! Batches of the data rooms as tensors on a device.

use adamv_datasets::{ClassificationBatch, DetectionBatch};
use adamv_models::detection::Targets;
use tch::kind::Element;
use tch::{Device, Tensor};

use crate::error::EngineError;

/// A copy on `device` that a GPU's stream doesn't wait for.
fn put<T: Element>(data: &[T], shape: &[i64], device: Device) -> Result<Tensor, EngineError> {
    let host = Tensor::f_from_slice(data)?.f_view(shape)?;
    if device == Device::Cpu {
        return Ok(host);
    }
    let kind = host.f_kind()?;
    Ok(host.f_pin_memory(device)?.f_to_device_(device, kind, true, false)?)
}

/// `[B,3,Y,X]` f32 on `device`; images are square.
pub fn images(pixels: &[f32], side: usize, device: Device) -> Result<Tensor, EngineError> {
    let side = side as i64;
    put(pixels, &[-1, 3, side, side], device)
}

/// Images, and labels [B] int64.
pub fn classification(batch: &ClassificationBatch, device: Device) -> Result<(Tensor, Tensor), EngineError> {
    Ok((images(&batch.images, batch.image_size, device)?, put(&batch.labels, &[-1], device)?))
}

/// Images, and the padded ground truth.
pub fn detection(batch: &DetectionBatch, device: Device) -> Result<(Tensor, Targets), EngineError> {
    let (g, m) = (batch.max_instances as i64, batch.mask_size as i64);
    let targets = Targets {
        boxes: put(&batch.boxes, &[-1, g, 4], device)?,
        labels: put(&batch.labels, &[-1, g], device)?,
        masks: put(&batch.masks, &[-1, g, m, m], device)?,
    };
    Ok((images(&batch.images, batch.image_size, device)?, targets))
}
