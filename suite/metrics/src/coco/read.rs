//! Reads a COCO results file: each entry is looked at on its own, so that what is wrong names it.
//! Turns JSON into detections; it may not evaluate them.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use serde::Deserializer as _;
use serde::de::{SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::coco::check::check_all;
use crate::coco::detection::{Detection, IouType};
use crate::coco::error::{EntryProblem, EvalError};
use crate::coco::ground_truth::{GroundTruth, is_polygon, parse_error};
use crate::coco::non_finite;
use crate::mask::{RleString, check_cover};

/// Reads a results file and checks every entry against the ground truth.
///
/// Masks may be RLE, compressed or as a list of counts, or polygons, which are drawn at the image's
/// size as the COCO API draws them. Keys that the COCO format does not know are skipped. An empty
/// `bbox` list counts as none, as in the COCO API.
///
/// # Errors
/// A file that cannot be read; broken JSON, with line and column; a file that is not a list; an empty
/// list ([`EvalError::NoDetections`]); the first entry that is wrong ([`EvalError::Entry`]).
pub fn read_detections(path: &Path, gt: &GroundTruth, iou: IouType) -> Result<Vec<Detection>, EvalError> {
    let text = std::fs::read(path).map_err(|source| EvalError::Read { path: path.to_owned(), source })?;
    detections_from_json(&text, path, gt, iou)
}

/// As [`read_detections`], from text in memory; `path` stands in error messages.
///
/// # Errors
/// As [`read_detections`], but for reading.
pub fn detections_from_json(
    text: &[u8],
    path: &Path,
    gt: &GroundTruth,
    iou: IouType,
) -> Result<Vec<Detection>, EvalError> {
    if text.trim_ascii_start().first() == Some(&b'{') {
        return Err(EvalError::Shape {
            path: path.to_owned(),
            message: "this is an object, not a list of detections; give the results file, are --gt and --dt swapped?"
                .to_owned(),
        });
    }
    let entries = match parse(text, gt) {
        Ok(entries) => entries,
        // NaN and its like are syntax errors; as strings they lead to the entry that holds them.
        Err(error) => match non_finite::quote(text) {
            Cow::Borrowed(_) => return Err(parse_error(&error, text, path)),
            Cow::Owned(quoted) => parse(&quoted, gt).map_err(|error| parse_error(&error, &quoted, path))?,
        },
    };
    let place = path.display().to_string();
    if let Some((index, image_id, problem)) = entries.first_wrong {
        return Err(EvalError::Entry { place, index, image_id, problem });
    }
    if entries.detections.is_empty() {
        return Err(EvalError::NoDetections { path: path.to_owned() });
    }
    check_all(&entries.detections, gt, iou, &place)?;
    Ok(entries.detections)
}

#[derive(Default)]
struct Entries {
    detections: Vec<Detection>,
    first_wrong: Option<(usize, Option<u64>, EntryProblem)>,
}

fn parse(text: &[u8], gt: &GroundTruth) -> Result<Entries, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let entries = json.deserialize_seq(EntriesVisitor { gt })?;
    json.end()?;
    Ok(entries)
}

/// Takes one entry at a time, so that a large file is never a tree in memory.
struct EntriesVisitor<'a> {
    gt: &'a GroundTruth,
}

impl<'de> Visitor<'de> for EntriesVisitor<'_> {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of detections")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entries, A::Error> {
        let mut entries = Entries::default();
        let mut index = 0;
        while let Some(entry) = list.next_element::<Value>()? {
            // After the first wrong entry the rest is still read: broken JSON goes before.
            if entries.first_wrong.is_none() {
                match detection(&entry, self.gt) {
                    Ok(detection) => entries.detections.push(detection),
                    Err(problem) => {
                        let image_id = entry.get("image_id").and_then(whole);
                        entries.first_wrong = Some((index, image_id, problem));
                    }
                }
            }
            index += 1;
        }
        Ok(entries)
    }
}

fn detection(entry: &Value, gt: &GroundTruth) -> Result<Detection, EntryProblem> {
    let Value::Object(entry) = entry else {
        return Err(EntryProblem::NotAnObject { found: describe(entry) });
    };
    let image_id = id(entry, "image_id")?;
    Ok(Detection {
        image_id,
        category_id: id(entry, "category_id")?,
        bbox: entry.get("bbox").map_or(Ok(None), bbox)?,
        score: score(entry)?,
        segmentation: match entry.get("segmentation") {
            None | Some(Value::Null) => None,
            Some(segmentation) => Some(mask(segmentation, image_id, gt)?),
        },
    })
}

fn id(entry: &Map<String, Value>, key: &'static str) -> Result<u64, EntryProblem> {
    let value = entry.get(key).ok_or(EntryProblem::Missing { key })?;
    whole(value).ok_or_else(|| EntryProblem::Type { key, found: describe(value), expected: "a whole number from 0" })
}

/// A whole number from 0, also one spelt `7.0`, as pandas writes it.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_f64().and_then(hotcoco::types::id_from_f64))
}

fn score(entry: &Map<String, Value>) -> Result<f64, EntryProblem> {
    let value = entry.get("score").ok_or(EntryProblem::Missing { key: "score" })?;
    if let Some(spelt) = value.as_str().and_then(non_finite::original) {
        return Err(EntryProblem::Score(spelt.to_owned()));
    }
    value.as_f64().ok_or_else(|| EntryProblem::Type { key: "score", found: describe(value), expected: "a number" })
}

fn bbox(value: &Value) -> Result<Option<[f64; 4]>, EntryProblem> {
    let numbers = match value {
        Value::Null => return Ok(None),
        Value::Array(numbers) if numbers.is_empty() => return Ok(None),
        Value::Array(numbers) => numbers,
        other => {
            return Err(EntryProblem::Type {
                key: "bbox",
                found: describe(other),
                expected: "a list of four numbers: x, y, width, height",
            });
        }
    };
    let numbers: &[Value; 4] = numbers.as_slice().try_into().map_err(|_| EntryProblem::BoxLength(numbers.len()))?;
    let mut bbox = [0.0; 4];
    for (at, (number, value)) in bbox.iter_mut().zip(numbers).enumerate() {
        *number = value.as_f64().ok_or_else(|| EntryProblem::BoxNumber { at, found: describe(value) })?;
    }
    Ok(Some(bbox))
}

fn mask(value: &Value, image_id: u64, gt: &GroundTruth) -> Result<RleString, EntryProblem> {
    match value {
        Value::Object(rle) => run_lengths(rle),
        Value::Array(list) => polygons(list, image_id, gt),
        other => Err(EntryProblem::Type {
            key: "segmentation",
            found: describe(other),
            expected: "an RLE object with `size` and `counts`, or a list of polygons",
        }),
    }
}

fn run_lengths(rle: &Map<String, Value>) -> Result<RleString, EntryProblem> {
    let part = |key, missing| rle.get(key).ok_or(EntryProblem::Missing { key: missing });
    let size_value = part("size", "segmentation.size")?;
    let size = small_numbers(size_value).and_then(|size| <[u32; 2]>::try_from(size).ok()).ok_or_else(|| {
        EntryProblem::Type { key: "segmentation.size", found: describe(size_value), expected: "[height, width]" }
    })?;
    let counts = part("counts", "segmentation.counts")?;
    if let Value::String(counts) = counts {
        return Ok(RleString { size, counts: counts.clone() });
    }
    let runs = small_numbers(counts).ok_or_else(|| EntryProblem::Type {
        key: "segmentation.counts",
        found: describe(counts),
        expected: "an RLE string or a list of run lengths",
    })?;
    check_cover(&runs, size[0], size[1])?;
    Ok(RleString::from_runs(size[0], size[1], runs))
}

fn small_numbers(value: &Value) -> Option<Vec<u32>> {
    value.as_array()?.iter().map(|number| whole(number).and_then(|number| u32::try_from(number).ok())).collect()
}

fn polygons(list: &[Value], image_id: u64, gt: &GroundTruth) -> Result<RleString, EntryProblem> {
    if list.is_empty() {
        return Err(EntryProblem::NoPolygons);
    }
    let mut polygons = Vec::with_capacity(list.len());
    for (polygon, value) in list.iter().enumerate() {
        let numbers: Vec<f64> = value
            .as_array()
            .and_then(|numbers| numbers.iter().map(Value::as_f64).collect())
            .ok_or_else(|| EntryProblem::Type {
                key: "segmentation",
                found: format!("a list that holds {}", describe(value)),
                expected: "a list of polygons, each a list of numbers x, y, x, y, ...",
            })?;
        if !is_polygon(numbers.len()) {
            return Err(EntryProblem::Polygon { polygon, numbers: numbers.len() });
        }
        polygons.push(numbers);
    }
    let [height, width] = gt.mask_size(image_id)?;
    let rle = hotcoco::mask::fr_polys(&polygons, height, width)
        .map_err(|_| crate::mask::MaskError::TooLarge { height, width })?;
    Ok(RleString::from_runs(height, width, rle.counts))
}

/// A JSON value in words, short enough for a message.
fn describe(value: &Value) -> String {
    const LONGEST: usize = 40;
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => match non_finite::original(text) {
            Some(spelt) => spelt.to_owned(),
            None if text.chars().count() > LONGEST => {
                let start: String = text.chars().take(LONGEST).collect();
                format!("the string \"{start}...\"")
            }
            None => format!("the string \"{text}\""),
        },
        Value::Array(list) => format!("a list of {}", list.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}
