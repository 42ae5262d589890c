//! The JSON of a COCO instances file, as far as it is used here. Judges nothing but its shape.

use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use super::Shape;
use crate::error::Error;
use crate::mask::{MaskError, Rle};

/// An instances file. Keys not named here are ignored.
#[derive(Debug, Deserialize)]
pub(crate) struct File {
    pub images: Vec<Image>,
    pub annotations: Vec<Annotation>,
    pub categories: Vec<Category>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Image {
    pub id: u64,
    pub file_name: String,
    pub height: u32,
    pub width: u32,
}

impl Image {
    /// Height and width.
    pub fn size(&self) -> [u32; 2] {
        [self.height, self.width]
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Category {
    pub id: u64,
    pub name: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Annotation {
    pub id: u64,
    pub image_id: u64,
    pub category_id: u64,
    /// `x y w h`. Kept as found, so that a wrong one can be named with its annotation.
    #[serde(default)]
    pub bbox: Vec<Option<f64>>,
    #[serde(default)]
    pub segmentation: Segmentation,
    #[serde(default)]
    pub iscrowd: u8,
}

impl Annotation {
    pub fn is_crowd(&self) -> bool {
        self.iscrowd != 0
    }

    /// The box, if it is four finite numbers.
    pub fn finite_box(&self) -> Option<[f64; 4]> {
        let found: Option<Vec<f64>> = self.bbox.iter().copied().collect();
        let found: [f64; 4] = found?.try_into().ok()?;
        found.iter().all(|v| v.is_finite()).then_some(found)
    }

    /// The mask, decoded as far as validation needs.
    ///
    /// # Errors
    /// When a run-length encoding does not decode, has another size than its image, or a polygon holds an odd number of
    /// values.
    pub fn into_shape(self, height: u32, width: u32) -> Result<Shape, MaskError> {
        match self.segmentation {
            Segmentation::Polygons(polygons) => Ok(Shape::Polygons(polygons)),
            Segmentation::Rle { size, counts } => counts.decode(size, height, width).map(Shape::Rle),
        }
    }
}

/// The three spellings of a mask.
#[derive(Debug)]
pub(crate) enum Segmentation {
    Polygons(Vec<Vec<f64>>),
    Rle { size: [u32; 2], counts: Counts },
}

impl Default for Segmentation {
    fn default() -> Self {
        Segmentation::Polygons(Vec::new())
    }
}

#[derive(Debug)]
pub(crate) enum Counts {
    Compressed(String),
    Runs(Vec<u32>),
}

impl Counts {
    pub fn decode(&self, size: [u32; 2], height: u32, width: u32) -> Result<Rle, MaskError> {
        if size != [height, width] {
            return Err(MaskError::new(format!(
                "the mask is {} x {}, but its image is {height} x {width} (height x width)",
                size[0], size[1]
            )));
        }
        match self {
            Counts::Compressed(text) => Rle::from_compressed(text, height, width),
            Counts::Runs(runs) => Rle::new(size, runs.clone()),
        }
    }
}

// Written by hand: serde's untagged enums would buffer every polygon and lose the position of a mistake.
impl<'de> Deserialize<'de> for Segmentation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Spelling;
        impl<'de> Visitor<'de> for Spelling {
            type Value = Segmentation;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a list of polygons, or an RLE with `size` and `counts`")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Segmentation, E> {
                Ok(Segmentation::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Segmentation, A::Error> {
                let mut polygons = Vec::new();
                while let Some(polygon) = seq.next_element()? {
                    polygons.push(polygon);
                }
                Ok(Segmentation::Polygons(polygons))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Segmentation, A::Error> {
                let (mut size, mut counts) = (None, None);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "size" => size = Some(map.next_value()?),
                        "counts" => counts = Some(map.next_value()?),
                        _ => {
                            map.next_value::<de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(Segmentation::Rle {
                    size: size.ok_or_else(|| de::Error::missing_field("size"))?,
                    counts: counts.ok_or_else(|| de::Error::missing_field("counts"))?,
                })
            }
        }
        deserializer.deserialize_any(Spelling)
    }
}

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Spelling;
        impl<'de> Visitor<'de> for Spelling {
            type Value = Counts;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an RLE string or a list of run lengths")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Counts, E> {
                Ok(Counts::Compressed(text.to_string()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Counts, A::Error> {
                let mut runs = Vec::new();
                while let Some(run) = seq.next_element()? {
                    runs.push(run);
                }
                Ok(Counts::Runs(runs))
            }
        }
        deserializer.deserialize_any(Spelling)
    }
}

/// The bytes of a file and their BLAKE3 digest.
pub(crate) fn read(path: &Path) -> Result<(Vec<u8>, String), Error> {
    let bytes = super::instances_json(path)?;
    let digest = blake3::hash(&bytes).to_hex().to_string();
    Ok((bytes, digest))
}

/// An instances file from its bytes; `path` is only for messages.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<File, Error> {
    serde_json::from_slice(bytes).map_err(|e| {
        Error::json(
            path,
            &e,
            "It must be a COCO instances file: an object with `images`, `annotations` and `categories`",
        )
    })
}
