//! Probes that are pictures: JPEG, with what is drawn over it as numbers, so that a report draws it at any size.

use polars::prelude::*;
use serde::{Deserialize, Serialize};

use super::Rows;
use super::numbers::{f64s, texts, u32s};
use crate::table;

/// An image with the experts that its patches were sent to.
#[derive(Debug, Clone, PartialEq)]
pub struct RoutedImage {
    pub task: String,
    pub image: String,
    /// JPEG of what the model saw, and its size in pixels.
    pub jpeg: Vec<u8>,
    pub width: u32,
    pub height: u32,
    /// Patches below and beside each other; they divide the picture evenly.
    pub rows: u32,
    pub columns: u32,
    /// By block, rising.
    pub layers: Vec<PatchLayer>,
}

/// The experts of a layer that the patches of an image chose, row by row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchLayer {
    /// Block of the MoE layer.
    pub layer: u32,
    /// `[rows * columns]`: first choice.
    pub first: Vec<u32>,
    /// `[rows * columns]`: second choice; empty where K is 1.
    pub second: Vec<u32>,
}

/// Which end of the ranking an image is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Best,
    Worst,
}

/// A validation image with what is in it and what was found.
#[derive(Debug, Clone, PartialEq)]
pub struct GalleryImage {
    pub image: String,
    pub place: Place,
    /// AP of this image by itself, boxes and masks, mean of both; 0 to 1.
    pub average_precision: f64,
    /// JPEG, and its size in pixels, which boxes and outlines are in.
    pub jpeg: Vec<u8>,
    pub width: u32,
    pub height: u32,
    pub objects: Vec<Outlined>,
    /// By falling score.
    pub found: Vec<Outlined>,
}

/// An object, true or found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outlined {
    /// COCO's number of its category.
    pub class: u64,
    /// None for a true one.
    pub score: Option<f64>,
    /// `x1 y1 x2 y2`.
    pub bbox: [f64; 4],
    /// Closed outlines of the mask along the edges of its pixels, `x y`; holes are outlines too.
    pub outlines: Vec<Vec<[u32; 2]>>,
}

impl Rows for RoutedImage {
    const NAME: &'static str = "routed_images";

    fn columns(rows: &[Self]) -> Vec<Column> {
        vec![
            texts("task", rows, |row| &row.task),
            texts("image", rows, |row| &row.image),
            bytes("jpeg", rows, |row| &row.jpeg),
            Column::new("width".into(), rows.iter().map(|row| row.width).collect::<Vec<_>>()),
            Column::new("height".into(), rows.iter().map(|row| row.height).collect::<Vec<_>>()),
            Column::new("rows".into(), rows.iter().map(|row| row.rows).collect::<Vec<_>>()),
            Column::new("columns".into(), rows.iter().map(|row| row.columns).collect::<Vec<_>>()),
            json("layers", rows, |row| &row.layers),
        ]
    }

    fn from_frame(frame: &DataFrame) -> PolarsResult<Vec<Self>> {
        let (tasks, images) = (table::texts(frame, "task")?, table::texts(frame, "image")?);
        let mut layers: Vec<Vec<PatchLayer>> = from_json(frame, "layers")?;
        let mut jpegs = read_bytes(frame, "jpeg")?;
        let (widths, heights) = (u32s(frame, "width")?, u32s(frame, "height")?);
        let (below, beside) = (u32s(frame, "rows")?, u32s(frame, "columns")?);
        let rows = tasks.into_iter().zip(images).enumerate();
        rows.map(|(row, (task, image))| {
            let image = Self {
                task,
                image,
                jpeg: std::mem::take(&mut jpegs[row]),
                width: widths[row],
                height: heights[row],
                rows: below[row],
                columns: beside[row],
                layers: std::mem::take(&mut layers[row]),
            };
            let patches = image.rows as usize * image.columns as usize;
            let whole = |layer: &PatchLayer| {
                layer.first.len() == patches && (layer.second.is_empty() || layer.second.len() == patches)
            };
            polars_ensure!(
                image.layers.iter().all(whole),
                ComputeError: "image `{}` has not {} patches in every layer", image.image, patches
            );
            Ok(image)
        })
        .collect()
    }
}

impl Rows for GalleryImage {
    const NAME: &'static str = "gallery";

    fn columns(rows: &[Self]) -> Vec<Column> {
        vec![
            texts("image", rows, |row| &row.image),
            Column::new("best".into(), rows.iter().map(|row| row.place == Place::Best).collect::<Vec<_>>()),
            Column::new("average_precision".into(), rows.iter().map(|row| row.average_precision).collect::<Vec<_>>()),
            bytes("jpeg", rows, |row| &row.jpeg),
            Column::new("width".into(), rows.iter().map(|row| row.width).collect::<Vec<_>>()),
            Column::new("height".into(), rows.iter().map(|row| row.height).collect::<Vec<_>>()),
            json("objects", rows, |row| &row.objects),
            json("found", rows, |row| &row.found),
        ]
    }

    fn from_frame(frame: &DataFrame) -> PolarsResult<Vec<Self>> {
        let images = table::texts(frame, "image")?;
        let best: Vec<bool> = table::full(frame, "best")?.bool()?.iter().flatten().collect();
        let qualities = f64s(frame, "average_precision")?;
        let mut jpegs = read_bytes(frame, "jpeg")?;
        let (widths, heights) = (u32s(frame, "width")?, u32s(frame, "height")?);
        let mut objects: Vec<Vec<Outlined>> = from_json(frame, "objects")?;
        let mut found: Vec<Vec<Outlined>> = from_json(frame, "found")?;
        let rows = images.into_iter().enumerate();
        Ok(rows
            .map(|(row, image)| Self {
                image,
                place: if best[row] { Place::Best } else { Place::Worst },
                average_precision: qualities[row],
                jpeg: std::mem::take(&mut jpegs[row]),
                width: widths[row],
                height: heights[row],
                objects: std::mem::take(&mut objects[row]),
                found: std::mem::take(&mut found[row]),
            })
            .collect())
    }
}

fn bytes<R>(name: &str, rows: &[R], of: impl Fn(&R) -> &Vec<u8>) -> Column {
    let values: BinaryChunked = rows.iter().map(|row| Some(of(row).as_slice())).collect();
    values.with_name(name.into()).into_column()
}

fn read_bytes(frame: &DataFrame, name: &str) -> PolarsResult<Vec<Vec<u8>>> {
    Ok(table::full(frame, name)?.binary()?.iter().flatten().map(<[u8]>::to_vec).collect())
}

/// A column of JSON texts: what has a shape of its own in every row.
fn json<R, T: Serialize>(name: &str, rows: &[R], of: impl Fn(&R) -> &T) -> Column {
    // Plain structs of numbers always have a JSON text.
    let texts: Vec<String> = rows.iter().map(|row| serde_json::to_string(of(row)).unwrap_or_default()).collect();
    Column::new(name.into(), texts)
}

fn from_json<T: for<'de> Deserialize<'de>>(frame: &DataFrame, name: &str) -> PolarsResult<Vec<T>> {
    let parse =
        |text: String| serde_json::from_str(&text).map_err(|e| polars_err!(ComputeError: "column `{name}`: {e}"));
    table::texts(frame, name)?.into_iter().map(parse).collect()
}
