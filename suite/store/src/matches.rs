//! `predictions/matches.parquet` and `predictions/objects.parquet`: what COCO's matching made of each detection, and how many
//! objects each image has to find. Enough for AP, AP50, AP75 and APmask of any resample of the images, without masks, boxes or
//! data. Knows columns; how matching and AP work is the metrics' business.

use std::collections::{HashMap, HashSet};

use polars::prelude::*;

use crate::cell_dir::CellDir;
use crate::error::Result;
use crate::table;

/// One detection of a cell, matched at COCO's area = all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MatchedDetection {
    /// COCO's numbers of image and category.
    pub image: u64,
    pub category: u64,
    /// Confidence, 0 to 1. Only the order counts for AP, and that is the order of the rows.
    pub score: f32,
    /// Whether boxes and masks found an object: bit t at IoU 0.50 + 0.05 t.
    pub bbox_matched: u16,
    pub segm_matched: u16,
    /// Whether the detection counts neither as right nor as wrong (it found a crowd): bits as above.
    pub bbox_ignored: u16,
    pub segm_ignored: u16,
}

/// How many objects of a category an image has to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectCount {
    pub image: u64,
    pub category: u64,
    /// Crowds don't count.
    pub count: u32,
}

/// Everything that was matched in the validation split.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DetectionMatches {
    /// Numbers of the images evaluated, rising; also those without objects and detections.
    pub images: Vec<u64>,
    pub objects: Vec<ObjectCount>,
    /// By category, then falling score, equal scores in COCO's order.
    pub detections: Vec<MatchedDetection>,
}

impl DetectionMatches {
    /// Without the detections of a category that rank behind its last hit, at any threshold, of boxes or masks. AP takes the
    /// precision at each hit and what ranks before it, in whatever resample of the images: the rest is never looked at.
    pub fn without_tail(mut self) -> Self {
        let mut last = HashMap::new();
        for (row, detection) in self.detections.iter().enumerate() {
            if detection.bbox_matched | detection.segm_matched != 0 {
                last.insert(detection.category, row);
            }
        }
        let mut row = 0;
        self.detections.retain(|detection| {
            row += 1;
            last.get(&detection.category).is_some_and(|last| row <= last + 1)
        });
        self
    }
}

/// Writes both files into the cell folder, atomically each.
///
/// # Errors
/// The errors of writing.
pub fn write_matches(cell: &CellDir, matches: &DetectionMatches) -> Result<()> {
    table::write(&cell.matches(), detection_columns(&matches.detections))?;
    table::write(&cell.objects(), object_columns(&matches.images, &matches.objects))
}

/// Reads what [`write_matches`] wrote; `None` when the cell has none: it has no detection, or an older version wrote it.
///
/// # Errors
/// A broken file, or one of the two without the other, by name.
pub fn read_matches(cell: &CellDir) -> Result<Option<DetectionMatches>> {
    if !cell.matches().exists() && !cell.objects().exists() {
        return Ok(None);
    }
    let detections = table::read(&cell.matches(), read_detections)?;
    let (images, objects) = table::read(&cell.objects(), read_objects)?;
    Ok(Some(DetectionMatches { images, objects, detections }))
}

/// Columns image, category (u64), score (f32), and the four masks (u16).
pub(crate) fn detection_columns(detections: &[MatchedDetection]) -> Vec<Column> {
    let bits = |name: &str, of: fn(&MatchedDetection) -> u16| {
        Column::new(name.into(), detections.iter().map(|d| u32::from(of(d))).collect::<Vec<_>>())
    };
    vec![
        Column::new("image".into(), detections.iter().map(|d| d.image).collect::<Vec<_>>()),
        Column::new("category".into(), detections.iter().map(|d| d.category).collect::<Vec<_>>()),
        Column::new("score".into(), detections.iter().map(|d| d.score).collect::<Vec<_>>()),
        bits("bbox_matched", |d| d.bbox_matched),
        bits("segm_matched", |d| d.segm_matched),
        bits("bbox_ignored", |d| d.bbox_ignored),
        bits("segm_ignored", |d| d.segm_ignored),
    ]
}

pub(crate) fn read_detections(frame: &DataFrame) -> PolarsResult<Vec<MatchedDetection>> {
    let numbers = |name: &str| table::u64s(frame, name);
    let bits = |name: &str| -> PolarsResult<Vec<u16>> {
        let narrow = |value: u32| {
            u16::try_from(value).map_err(|_| polars_err!(ComputeError: "column `{name}` holds {value}, not ten bits"))
        };
        table::full(frame, name)?.u32()?.iter().flatten().map(narrow).collect()
    };
    let (images, categories) = (numbers("image")?, numbers("category")?);
    let scores = table::full(frame, "score")?.f32()?;
    let [bbox_matched, segm_matched] = [bits("bbox_matched")?, bits("segm_matched")?];
    let [bbox_ignored, segm_ignored] = [bits("bbox_ignored")?, bits("segm_ignored")?];
    let rows = scores.iter().flatten().enumerate().map(|(row, score)| MatchedDetection {
        image: images[row],
        category: categories[row],
        score,
        bbox_matched: bbox_matched[row],
        segm_matched: segm_matched[row],
        bbox_ignored: bbox_ignored[row],
        segm_ignored: segm_ignored[row],
    });
    Ok(rows.collect())
}

/// Columns image (u64), category (u64; null for an image without objects), objects (u32).
pub(crate) fn object_columns(images: &[u64], objects: &[ObjectCount]) -> Vec<Column> {
    let mut rows: Vec<(u64, Option<u64>, u32)> = objects.iter().map(|o| (o.image, Some(o.category), o.count)).collect();
    let with_objects: HashSet<u64> = rows.iter().map(|row| row.0).collect();
    rows.extend(images.iter().filter(|image| !with_objects.contains(image)).map(|&image| (image, None, 0)));
    rows.sort_unstable();
    vec![
        Column::new("image".into(), rows.iter().map(|row| row.0).collect::<Vec<_>>()),
        Column::new("category".into(), rows.iter().map(|row| row.1).collect::<Vec<_>>()),
        Column::new("objects".into(), rows.iter().map(|row| row.2).collect::<Vec<_>>()),
    ]
}

/// Images, rising, and the objects to find in them.
pub(crate) fn read_objects(frame: &DataFrame) -> PolarsResult<(Vec<u64>, Vec<ObjectCount>)> {
    let mut images = table::u64s(frame, "image")?;
    let categories = frame.column("category")?.u64()?;
    let counts = table::full(frame, "objects")?.u32()?;
    let objects = images
        .iter()
        .zip(categories.iter())
        .zip(counts.iter().flatten())
        .filter_map(|((&image, category), count)| Some(ObjectCount { image, category: category?, count }))
        .collect();
    images.sort_unstable();
    images.dedup();
    Ok((images, objects))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn detection(image: u64, category: u64, score: f32, bbox_matched: u16, segm_matched: u16) -> MatchedDetection {
        MatchedDetection { image, category, score, bbox_matched, segm_matched, bbox_ignored: 0, segm_ignored: 0b1 }
    }

    fn matches() -> DetectionMatches {
        DetectionMatches {
            images: vec![3, 7, 9],
            objects: vec![
                ObjectCount { image: 3, category: 1, count: 2 },
                ObjectCount { image: 3, category: 90, count: 1 },
                ObjectCount { image: 9, category: 1, count: 1 },
            ],
            detections: vec![
                detection(3, 1, 0.9, 0b11, 0),
                detection(9, 1, 0.9, 0, 0),
                detection(9, 1, 0.5, 0, 0b1),
                detection(7, 1, 0.25, 0, 0),
                detection(3, 90, 0.125, 0, 0),
            ],
        }
    }

    #[test]
    fn round_trip_also_of_an_image_without_objects_and_of_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let cell = CellDir::new(dir.path());
        assert_eq!(read_matches(&cell).unwrap(), None);
        for wanted in [matches(), DetectionMatches::default()] {
            write_matches(&cell, &wanted).unwrap();
            assert_eq!(read_matches(&cell).unwrap(), Some(wanted));
        }
    }

    #[test]
    fn one_file_of_the_two_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let cell = CellDir::new(dir.path());
        write_matches(&cell, &matches()).unwrap();
        std::fs::remove_file(cell.objects()).unwrap();
        let error = read_matches(&cell).unwrap_err();
        assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("objects.parquet"), "{error}");
    }

    /// Rows 0 to 2 of category 1 end in a hit of masks; row 3 ranks behind it, and category 90 has no hit.
    #[test]
    fn the_tail_behind_the_last_hit_is_dropped() {
        let kept = matches().without_tail();
        assert_eq!(kept.detections, matches().detections[..3]);
        assert_eq!((kept.images, kept.objects), (matches().images, matches().objects));
    }
}
