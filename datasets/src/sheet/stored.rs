//! Samples as their files have them: images upright, annotations in their original place, crowds among them. Tells of
//! files that cannot be read in their tiles.

use std::collections::HashMap;
use std::path::Path;

use rayon::prelude::*;

use super::tile::{Tile, thumbnail};
use super::{Samples, ShowOptions, chosen, file_name};
use crate::coco;
use crate::draw::{self, Mark};
use crate::error::Error;
use crate::image::{self, Image, Rectangle};
use crate::imagenet;
use crate::place::Place;
use crate::task::Split;

pub(super) fn classification(root: &Path, split: Split, options: &ShowOptions) -> Result<Samples, Error> {
    let (listing, _) = imagenet::list(root, split)?;
    let tiles = chosen(listing.samples.len(), options)
        .par_iter()
        .map(|&index| {
            let sample = &listing.samples[index];
            let caption = file_name(&sample.name);
            let legend = vec![(listing.classes[sample.label].clone(), draw::colour_of(sample.label))];
            match image::decode_at(&sample.place(root)) {
                Ok(image) => Tile { picture: thumbnail(&image, options.tile), legend, caption },
                Err(error) => Tile { legend, ..Tile::broken(error, caption, options.tile) },
            }
        })
        .collect();
    Ok(Samples { of: listing.samples.len(), tiles })
}

pub(super) fn detection(json: &Path, images: &Path, options: &ShowOptions) -> Result<Samples, Error> {
    let mut file = coco::parse(json, &coco::read(json)?.0)?;
    let (images, _) = coco::Images::open(images)?;
    // In the order of `DetectionDataset`, so that this and the augmented sheet show the same samples.
    file.images.sort_by_key(|i| i.id);
    file.categories.sort_by_key(|c| c.id);
    let picked = chosen(file.images.len(), options);
    let mut annotations: HashMap<u64, Vec<coco::Annotation>> =
        picked.iter().map(|&index| (file.images[index].id, Vec::new())).collect();
    for annotation in file.annotations {
        if let Some(those) = annotations.get_mut(&annotation.image_id) {
            those.push(annotation);
        }
    }
    let with_annotations: Vec<(&coco::ImageRecord, Vec<coco::Annotation>)> = picked
        .iter()
        .map(|&index| &file.images[index])
        .map(|record| (record, annotations.remove(&record.id).unwrap_or_default()))
        .collect();
    let tiles = with_annotations
        .into_par_iter()
        .map(|(record, those)| {
            let caption = file_name(&record.file_name);
            let picture = match images.find(record.id, &record.file_name, json) {
                Err(finding) => Err(Error::Data(finding.problem)),
                Ok((place, _)) => sized(&place, record, options.tile),
            };
            let marked = picture.and_then(|picture| {
                let marks: Result<Vec<Mark>, Error> =
                    those.into_iter().map(|a| mark(a, &file.categories, record, &picture, json)).collect();
                Ok((picture, marks?))
            });
            match marked {
                Ok((picture, marks)) => Tile::detection(picture, marks, caption),
                Err(error) => Tile::broken(error, caption, options.tile),
            }
        })
        .collect();
    Ok(Samples { of: file.images.len(), tiles })
}

fn sized(place: &Place, record: &coco::ImageRecord, side: u32) -> Result<Image, Error> {
    let image = image::decode_at(place)?;
    coco::check_size(&place.path(), &image, record)?;
    Ok(thumbnail(&image, side))
}

/// An annotation in the pixels of its picture.
fn mark(
    annotation: coco::Annotation,
    categories: &[coco::Category],
    record: &coco::ImageRecord,
    picture: &Image,
    json: &Path,
) -> Result<Mark, Error> {
    let id = annotation.id;
    let wrong = |what: String| Error::data(json, format!("annotation {id}: {what}"), "Mend it or remove it");
    let [x, y, w, h] =
        annotation.finite_box().ok_or_else(|| wrong("the box is not four finite numbers".to_string()))?;
    let label = categories
        .binary_search_by_key(&annotation.category_id, |c| c.id)
        .map_err(|_| wrong(format!("the file does not list category {}", annotation.category_id)))?;
    let crowd = annotation.is_crowd();
    let shape = annotation.into_shape(record.height, record.width).map_err(|e| wrong(e.to_string()))?;
    let rle = shape.to_rle(record.height, record.width).map_err(|e| wrong(e.to_string()))?;
    let name = &categories[label].name;
    let per =
        [f64::from(picture.width) / f64::from(record.width), f64::from(picture.height) / f64::from(record.height)];
    let [left, top, wide, high] = rle.bbox();
    let region = rle.region(left as u32, top as u32, (left + wide).ceil() as u32, (top + high).ceil() as u32);
    let mut mask = Vec::with_capacity(picture.width as usize * picture.height as usize);
    for row in 0..picture.height {
        let v = ((f64::from(row) + 0.5) / per[1]) as i64;
        mask.extend((0..picture.width).map(|column| region.at(((f64::from(column) + 0.5) / per[0]) as i64, v) == 1));
    }
    Ok(Mark {
        name: if crowd { format!("{name} (crowd)") } else { name.clone() },
        colour: if crowd { draw::CROWD } else { draw::colour_of(label) },
        crowd,
        corners: [x * per[0], y * per[1], (x + w) * per[0], (y + h) * per[1]],
        area: Rectangle { left: 0, top: 0, width: picture.width, height: picture.height },
        mask,
    })
}
