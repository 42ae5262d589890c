//! The best and the worst detected images, with what is in them and what was found. Runs no model.

use std::collections::{BTreeMap, HashMap};

use adamv_datasets::{BatchSource, DetectionDataset, Rle};
use adamv_metrics::{ApResampler, Detection, Matches, outlines};
use adamv_store::{GalleryImage, Outlined, Place};

use super::picture::{Normalisation, Picture, picture};
use crate::error::EngineError;

/// Detections of at least this score are drawn, and of lower ones the best, until there are as many as objects.
const LEAST_SCORE: f64 = 0.3;
const MOST_DRAWN: usize = 20;

/// An image and how well it was detected.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    pub image_id: u64,
    pub place: Place,
    /// AP of this image by itself, boxes and masks, mean of both; 0 to 1.
    pub average_precision: f64,
}

/// The `count` best and worst images that have objects; of equal ones those with more objects come first. An image is at one end
/// only.
pub fn rank(boxes: &Matches, masks: &Matches, count: usize) -> Vec<Ranked> {
    let (boxes, masks) = (by_image(boxes), by_image(masks));
    let mut all: Vec<(u64, f64, u32)> = boxes
        .iter()
        .filter_map(|(&id, one)| {
            let objects = one.objects.iter().map(|o| o.count).sum();
            let value = |one: &Matches| ApResampler::new(one).average_precision(&[1]).ap;
            let masks = masks.get(&id).map_or(0.0, value);
            (objects > 0).then(|| (id, 0.5 * (value(one) + masks), objects))
        })
        .collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.2.cmp(&a.2)).then(a.0.cmp(&b.0)));
    let ranked = |place| {
        move |&(image_id, average_precision, _): &(u64, f64, u32)| Ranked { image_id, place, average_precision }
    };
    let best: Vec<Ranked> = all.iter().take(count).map(ranked(Place::Best)).collect();
    let mut rest = all.split_off(best.len());
    rest.sort_by(|a, b| a.1.total_cmp(&b.1).then(b.2.cmp(&a.2)).then(a.0.cmp(&b.0)));
    best.into_iter().chain(rest.iter().take(count).map(ranked(Place::Worst))).collect()
}

/// The matches of each image by itself.
fn by_image(matches: &Matches) -> BTreeMap<u64, Matches> {
    let mut images: BTreeMap<u64, Matches> =
        matches.images.iter().map(|&id| (id, Matches { images: vec![id], ..Matches::default() })).collect();
    for object in &matches.objects {
        if let Some(one) = images.get_mut(&object.image_id) {
            one.objects.push(*object);
        }
    }
    for detection in &matches.detections {
        if let Some(one) = images.get_mut(&detection.image_id) {
            one.detections.push(*detection);
        }
    }
    images
}

/// Pictures of the ranked images of a validation split.
pub fn gallery(
    ranked: &[Ranked],
    val: &DetectionDataset,
    detections: &[Detection],
    normalisation: Normalisation,
) -> Result<Vec<GalleryImage>, EngineError> {
    let indices: HashMap<u64, usize> = (0..val.len()).map(|index| (val.image_id(index), index)).collect();
    let mut images = Vec::new();
    for Ranked { image_id, place, average_precision } in ranked {
        let Some(&index) = indices.get(image_id) else { continue };
        let batch = val.eval_batch(&[index])?;
        let (Some(&scale), Some(&[height, width])) = (batch.scales.first(), batch.sizes.first()) else { continue };
        let seen = [width, height].map(|side| (f64::from(side) * f64::from(scale)).round() as usize);
        let picture = picture(&batch.images, batch.image_size, seen, normalisation)?;
        let scale = f64::from(scale) * picture.scale;
        let objects = val.objects(index)?.into_iter().map(|object| Outlined {
            class: val.category_ids()[object.label],
            score: None,
            bbox: corners(object.bbox, scale),
            outlines: outlined(&object.mask, scale, &picture),
        });
        let objects: Vec<Outlined> = objects.collect();
        let found = shown(detections.iter().filter(|d| d.image_id == *image_id).collect(), objects.len());
        let found = found.into_iter().map(|detection| drawn(detection, scale, &picture)).collect::<Result<_, _>>()?;
        let Picture { jpeg, width, height, .. } = picture;
        let image = val.image_name(index).to_owned();
        let (place, average_precision) = (*place, *average_precision);
        images.push(GalleryImage { image, place, average_precision, jpeg, width, height, objects, found });
    }
    Ok(images)
}

/// What is drawn of the detections of an image with so many objects, by falling score.
fn shown(mut found: Vec<&Detection>, objects: usize) -> Vec<&Detection> {
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    let sure = found.iter().take_while(|d| d.score >= LEAST_SCORE).count();
    found.truncate(sure.max(objects).min(MOST_DRAWN));
    found
}

fn drawn(detection: &Detection, scale: f64, picture: &Picture) -> Result<Outlined, EngineError> {
    let lacks = |what: &str| EngineError::Internal(format!("a detection lacks its {what}"));
    let mask = detection.segmentation.as_ref().ok_or_else(|| lacks("mask"))?;
    let mask = Rle::new(mask.size, mask.runs()?).map_err(|e| EngineError::Internal(e.to_string()))?;
    Ok(Outlined {
        class: detection.category_id,
        score: Some(detection.score),
        bbox: corners(detection.bbox.ok_or_else(|| lacks("box"))?, scale),
        outlines: outlined(&mask, scale, picture),
    })
}

/// `x y w h` of the image as `x1 y1 x2 y2` of its picture, in hundredths of a pixel.
fn corners([x, y, w, h]: [f64; 4], scale: f64) -> [f64; 4] {
    [x, y, x + w, y + h].map(|v| (100.0 * v * scale).round() / 100.0)
}

/// A mask of the image as outlines in the pixels of its picture: a pixel is in when the image's pixel at its middle is.
fn outlined(mask: &Rle, scale: f64, picture: &Picture) -> Vec<Vec<[u32; 2]>> {
    let [left, top, width, height] = mask.bbox().map(|v| v as u32);
    let region = mask.region(left, top, left + width, top + height);
    let at = |v: u32| ((f64::from(v) + 0.5) / scale) as i64;
    let pixels: Vec<u8> = (0..picture.height)
        .flat_map(|y| (0..picture.width).map(move |x| (x, y)))
        .map(|(x, y)| region.at(at(x), at(y)))
        .collect();
    outlines(&pixels, picture.width)
}

#[cfg(test)]
mod tests {
    use adamv_metrics::{MatchedDetection, ObjectCount};

    use super::*;

    /// Images 1 to 5: found perfectly, found at IoU 0.5 only, missed, missed with two objects, and without objects.
    fn matches() -> Matches {
        let object = |image_id, count| ObjectCount { image_id, category_id: 1, count };
        let found = |image_id, matched| MatchedDetection { image_id, category_id: 1, score: 0.5, matched, ignored: 0 };
        Matches {
            images: vec![1, 2, 3, 4, 5],
            objects: vec![object(1, 1), object(2, 1), object(3, 1), object(4, 2)],
            detections: vec![found(1, 0b11_1111_1111), found(2, 1), found(5, 0)],
        }
    }

    #[test]
    fn images_are_ranked_by_their_own_average_precision() {
        let all = matches();
        let ids = |count| rank(&all, &all, count).into_iter().map(|r| (r.image_id, r.place)).collect::<Vec<_>>();
        assert_eq!(ids(1), [(1, Place::Best), (4, Place::Worst)]);
        assert_eq!(ids(2), [(1, Place::Best), (2, Place::Best), (4, Place::Worst), (3, Place::Worst)]);
        assert_eq!(ids(3).len(), 4, "an image is at one end only");
        let values: Vec<f64> = rank(&all, &all, 2).iter().map(|r| r.average_precision).collect();
        assert!(values.iter().zip([1.0, 0.1, 0.0, 0.0]).all(|(a, b)| (a - b).abs() < 1e-12), "{values:?}");
    }

    #[test]
    fn the_best_detections_are_shown_however_unsure() {
        let detection = |score| Detection { image_id: 1, category_id: 1, bbox: None, score, segmentation: None };
        let all = [0.1, 0.25, 0.5, 0.2, 0.4].map(detection);
        let scores = |objects| shown(all.iter().collect(), objects).iter().map(|d| d.score).collect::<Vec<_>>();
        assert_eq!(scores(1), [0.5, 0.4]);
        assert_eq!(scores(3), [0.5, 0.4, 0.25]);
        assert_eq!(scores(9).len(), 5);
    }

    #[test]
    fn masks_are_outlined_in_the_pixels_of_the_picture() {
        // An image of 4 x 4 px whose right half is the object, as a picture of 8 x 8 px.
        let mask = Rle::from_dense(&[0, 0, 1, 1].repeat(4), 4, 4).unwrap();
        let picture = Picture { jpeg: vec![], width: 8, height: 8, scale: 1.0 };
        assert_eq!(outlined(&mask, 2.0, &picture), [[[4, 0], [8, 0], [8, 8], [4, 8]]]);
        assert_eq!(corners([2.0, 0.0, 2.0, 4.0], 2.0), [4.0, 0.0, 8.0, 8.0]);
    }
}
