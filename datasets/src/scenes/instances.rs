//! The instances file of drawn scenes, in COCO's layout. Opens no files.

use serde::Serialize;

use super::compose::SceneObject;
use super::{VERSION, class_names, file_name};
use crate::config::{ScenesConfig, Sprites};

/// The whole file.
#[derive(Serialize)]
pub(super) struct Instances {
    info: Info,
    images: Vec<ImageEntry>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Serialize)]
struct Info {
    description: &'static str,
    version: String,
}

#[derive(Serialize)]
struct ImageEntry {
    id: u64,
    file_name: String,
    height: u32,
    width: u32,
}

#[derive(Serialize)]
struct Annotation {
    id: u64,
    image_id: u64,
    category_id: u64,
    bbox: [f64; 4],
    area: u64,
    iscrowd: u8,
    segmentation: Segmentation,
}

#[derive(Serialize)]
struct Segmentation {
    size: [u32; 2],
    counts: String,
}

#[derive(Serialize)]
struct Category {
    id: u64,
    name: &'static str,
    supercategory: &'static str,
}

impl Instances {
    /// The file of scenes in their order; ids count from 1.
    pub fn new(config: &ScenesConfig, scenes: &[Vec<SceneObject>]) -> Self {
        let (description, supercategory) = match config.sprites {
            Sprites::Shapes => ("drawn scenes", "shape"),
            Sprites::FashionMnist => ("scenes of Fashion-MNIST garments", "garment"),
        };
        let mut file = Instances {
            info: Info { description, version: VERSION.to_string() },
            images: Vec::new(),
            annotations: Vec::new(),
            categories: (1..)
                .zip(class_names(config.sprites))
                .map(|(id, name)| Category { id, name, supercategory })
                .collect(),
        };
        for (i, objects) in scenes.iter().enumerate() {
            let id = i as u64 + 1;
            file.images.push(ImageEntry { id, file_name: file_name(i), height: config.size, width: config.size });
            for object in objects {
                file.annotations.push(Annotation {
                    id: file.annotations.len() as u64 + 1,
                    image_id: id,
                    category_id: object.class as u64 + 1,
                    bbox: object.mask.bbox(),
                    area: object.mask.area(),
                    iscrowd: 0,
                    segmentation: Segmentation { size: object.mask.size, counts: object.mask.to_compressed() },
                });
            }
        }
        file
    }
}
