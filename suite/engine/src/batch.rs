//! Batches of the data rooms as tensors on a device.

use adamv_datasets::{ClassificationBatch, DetectionBatch};
use adamv_models::detection::Targets;
use tch::{Device, Tensor};

use crate::error::EngineError;

/// [B,3,Y,X] f32 on `device`; images are square.
pub fn images(pixels: &[f32], side: usize, device: Device) -> Result<Tensor, EngineError> {
    let side = side as i64;
    Ok(Tensor::f_from_slice(pixels)?.f_view([-1, 3, side, side])?.f_to_device(device)?)
}

/// Images, and labels [B] int64.
pub fn classification(batch: &ClassificationBatch, device: Device) -> Result<(Tensor, Tensor), EngineError> {
    let labels = Tensor::f_from_slice(&batch.labels)?.f_to_device(device)?;
    Ok((images(&batch.images, batch.image_size, device)?, labels))
}

/// Images, and the padded ground truth.
pub fn detection(batch: &DetectionBatch, device: Device) -> Result<(Tensor, Targets), EngineError> {
    let (g, m) = (batch.max_instances as i64, batch.mask_size as i64);
    let targets = Targets {
        boxes: Tensor::f_from_slice(&batch.boxes)?.f_view([-1, g, 4])?.f_to_device(device)?,
        labels: Tensor::f_from_slice(&batch.labels)?.f_view([-1, g])?.f_to_device(device)?,
        masks: Tensor::f_from_slice(&batch.masks)?.f_view([-1, g, m, m])?.f_to_device(device)?,
    };
    Ok((images(&batch.images, batch.image_size, device)?, targets))
}
