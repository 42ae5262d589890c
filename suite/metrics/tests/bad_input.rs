//! Everything that can be wrong with a ground truth or a results file: one message each, which names
//! the file, the entry and the mend; and no input makes the reader panic.

use std::path::Path;

use adamv_metrics::coco::read::detections_from_json;
use adamv_metrics::{CocoEvaluator, Detection, EvalError, GroundTruth, Hotcoco, IouType, validate};
use proptest::prelude::*;

const GT: &str = r#"{"images": [{"id": 7, "height": 4, "width": 6}, {"id": 9}],
 "categories": [{"id": 1, "name": "cup"}, {"id": 3, "name": "cat"}],
 "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 1, 2, 2], "area": 4, "iscrowd": 0,
   "segmentation": [[1, 1, 3, 1, 3, 3, 1, 3]]}]}"#;
/// One good entry to stand before a bad one.
const GOOD: &str = r#"{"image_id": 7, "category_id": 3, "bbox": [1, 1, 2, 2], "score": 0.9,
  "segmentation": {"size": [4, 6], "counts": "5220;"}}"#;

fn gt() -> GroundTruth {
    GroundTruth::from_json(GT.as_bytes(), Path::new("gt.json")).unwrap()
}

fn read(text: &str, iou: IouType) -> Result<Vec<Detection>, EvalError> {
    detections_from_json(text.as_bytes(), Path::new("dt.json"), &gt(), iou)
}

/// The message for `[GOOD, entry]`; every such message must name the file and entry 1.
fn entry_message(entry: &str, iou: IouType) -> String {
    let message = read(&format!("[{GOOD},\n{entry}]"), iou).unwrap_err().to_string();
    assert!(message.starts_with("dt.json: entry 1"), "{message}");
    message
}

#[test]
fn the_good_entry_is_good() {
    for iou in [IouType::Bbox, IouType::Segm] {
        let detections = read(&format!("[{GOOD}]"), iou).unwrap();
        let stats = Hotcoco.evaluate(&gt(), &detections, iou).unwrap();
        assert!(stats.ap > 0.999, "{iou}: {}", stats.ap);
    }
}

#[test]
fn a_wrong_entry_is_named_with_its_mend() {
    let bbox = |fields: &str| format!(r#"{{"image_id": 7, "category_id": 3, {fields}}}"#);
    let mask = |mask: &str| bbox(&format!(r#""bbox": [1, 1, 2, 2], "score": 0.5, "segmentation": {mask}"#));
    let cases: Vec<(String, &[&str])> = vec![
        (
            r#"{"image_id": 8, "category_id": 3, "bbox": [1, 1, 2, 2], "score": 0.5}"#.into(),
            &["(image 8)", "unknown image id 8", "same split"],
        ),
        (
            r#"{"image_id": 7, "category_id": 2, "bbox": [1, 1, 2, 2], "score": 0.5}"#.into(),
            &["unknown category id 2", "category ids"],
        ),
        (bbox(r#""bbox": [1, 1, 2, 2]"#), &["(image 7)", "`score` is missing", "add it"]),
        (bbox(r#""bbox": [1, 1, 2, 2], "score": Infinity"#), &["the score is infinite", "finite number"]),
        (bbox(r#""bbox": [1, 1, 2, 2], "score": -Infinity"#), &["the score is minus infinite"]),
        (bbox(r#""bbox": [1, 1, 2, 2], "score": NaN"#), &["the score is NaN"]),
        (bbox(r#""bbox": [1, 1, 2, 2], "score": 1e999"#), &["the score is too large"]),
        (bbox(r#""bbox": [1, 1, 2, 2], "score": "high""#), &["`score` is the string \"high\"", "a number"]),
        (bbox(r#""bbox": [1, 1, 2, 2], "score": null"#), &["`score` is null"]),
        (bbox(r#""bbox": [1, 1, 2], "score": 0.5"#), &["`bbox` has 3 numbers", "x, y, width, height"]),
        (bbox(r#""bbox": [1, 1, 2, NaN], "score": 0.5"#), &["number 3 is NaN", "finite"]),
        (bbox(r#""bbox": [1, 1, -2, 2], "score": 0.5"#), &["-2 wide", "not two corners"]),
        (bbox(r#""bbox": "none", "score": 0.5"#), &["`bbox` is the string"]),
        (bbox(r#""score": 0.5"#), &["no `bbox`", "give every entry a box"]),
        (r#"{"category_id": 3, "bbox": [1, 1, 2, 2], "score": 0.5}"#.into(), &["`image_id` is missing"]),
        (
            r#"{"image_id": "a.jpg", "category_id": 3, "bbox": [1, 1, 2, 2], "score": 0.5}"#.into(),
            &["`image_id` is the string \"a.jpg\"", "whole number"],
        ),
        ("17".into(), &["the number 17, not an object"]),
        (mask(r#"{"size": [6, 4], "counts": "5220;"}"#), &["6 x 4", "image 7 is 4 x 6", "original size"]),
        (mask(r#"{"size": [4, 6], "counts": "5 220;"}"#), &["undecodable mask", "encode it again"]),
        (mask(r#"{"size": [4, 6], "counts": "522"}"#), &["cover 9 of 24 pixels"]),
        (mask(r#"{"size": [4, 6], "counts": "ooooo"}"#), &["undecodable mask"]),
        (mask(r#"{"size": [4, 6], "counts": [5, 2]}"#), &["cover 7 of 24 pixels"]),
        (mask(r#"{"size": [4], "counts": "5220;"}"#), &["`segmentation.size`"]),
        (mask(r#"{"size": [4, 6]}"#), &["`segmentation.counts` is missing"]),
        (mask(r#"[[1, 1, 3, 3]]"#), &["polygon 0 has 4 numbers", "three points"]),
        (mask("[1, 1, 3, 1, 3, 3]"), &["a list of polygons"]),
        (mask("[]"), &["empty list of polygons"]),
        (mask("true"), &["`segmentation` is true"]),
        (
            r#"{"image_id": 9, "category_id": 3, "bbox": [1, 1, 2, 2], "score": 0.5, "segmentation": [[1, 1, 3, 1, 3, 3]]}"#.into(),
            &["(image 9)", "height or width is missing in the ground truth"],
        ),
    ];
    for (entry, parts) in cases {
        let message = entry_message(&entry, IouType::Bbox);
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in: {message}");
        }
    }
    let message = entry_message(&bbox(r#""bbox": [1, 1, 2, 2], "score": 0.5"#), IouType::Segm);
    assert!(message.contains("no `segmentation` to evaluate as segm"), "{message}");
}

#[test]
fn polygons_and_count_lists_are_the_same_mask() {
    let entry = |mask: &str| format!(r#"[{{"image_id": 7, "category_id": 3, "score": 1, "segmentation": {mask}}}]"#);
    let masks = [
        r#"{"size": [4, 6], "counts": "5220;"}"#,
        r#"{"size": [4, 6], "counts": [5, 2, 2, 2, 13]}"#,
        "[[1, 1, 3, 1, 3, 3, 1, 3]]",
    ];
    let read: Vec<_> =
        masks.iter().map(|mask| read(&entry(mask), IouType::Segm).unwrap()[0].segmentation.clone()).collect();
    assert_eq!(read[0], read[1]);
    assert_eq!(read[0], read[2]);
}

#[test]
fn broken_json_has_a_line_and_a_column() {
    for (text, place) in [
        (format!("[{GOOD},\n"), "dt.json: line 3, column 0"),
        (format!("[{GOOD},\n  {{\"image_id\": 7,,}}]"), "dt.json: line 3, column 18"),
        (String::new(), "dt.json: line 1, column 0"),
        (format!("[{GOOD}] more"), "dt.json: line 2, column 57"),
        // Numbers that JSON lacks don't move the place.
        ("[{\"score\": NaN}, {\"score\" 1}]".to_owned(), "dt.json: line 1, column 27"),
    ] {
        let message = read(&text, IouType::Bbox).unwrap_err().to_string();
        assert!(message.starts_with(place), "{text}: {message}");
        assert!(message.contains("broken JSON"), "{message}");
    }
}

#[test]
fn nothing_and_the_wrong_file_are_errors_of_their_own() {
    let error = read(" [ ] ", IouType::Bbox).unwrap_err();
    assert!(matches!(error, EvalError::NoDetections { .. }));
    assert!(error.to_string().contains("no detections"), "{error}");
    let error = read(GT, IouType::Bbox).unwrap_err().to_string();
    assert!(error.contains("swapped"), "{error}");
    let error = read("3", IouType::Bbox).unwrap_err().to_string();
    assert!(error.contains("a list of detections"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nowhere.json");
    let error = adamv_metrics::read_detections(&missing, &gt(), IouType::Bbox).unwrap_err();
    assert!(error.to_string().contains("nowhere.json: cannot be read"), "{error}");
    let error = GroundTruth::read(&missing).err().unwrap();
    assert!(error.to_string().contains("nowhere.json: cannot be read"), "{error}");
}

#[test]
fn a_wrong_ground_truth_is_named_with_its_mend() {
    for (from, to, parts) in [
        (r#""image_id": 7"#, r#""image_id": 70"#, ["annotations[0] (id 1)", "its image 70"]),
        (r#""category_id": 3"#, r#""category_id": 4"#, ["annotations[0]", "its category 4"]),
        (r#""id": 9"#, r#""id": 7"#, ["images[1] (id 7)", "given before"]),
        (r#"{"id": 3, "#, r#"{"id": 1, "#, ["categories[1] (id 1)", "given before"]),
        (
            r#""images": [{"id": 7, "height": 4, "width": 6}, {"id": 9}]"#,
            r#""images": []"#,
            ["`images`", "instances file"],
        ),
        (r#""bbox": [1, 1, 2, 2]"#, r#""bbox": [1, 1, 2]"#, ["line 3", "length 3"]),
        (r#""area": 4"#, r#""area": NaN"#, ["line 3, column", "NaN"]),
        (r#""area": 4,"#, r#""area" 4,"#, ["line 3, column", "broken JSON"]),
    ] {
        assert!(GT.contains(from), "{from}");
        let text = GT.replacen(from, to, 1);
        let error = GroundTruth::from_json(text.as_bytes(), Path::new("gt.json")).err().unwrap();
        let message = error.to_string();
        assert!(message.starts_with("gt.json"), "{message}");
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in: {message}");
        }
    }
    let error = GroundTruth::from_json(b"[]", Path::new("gt.json")).err().unwrap();
    assert!(error.to_string().contains("swapped"), "{error}");
}

#[test]
fn a_ground_truth_is_refused_only_for_what_it_lacks() {
    let mask = r#""segmentation": [[1, 1, 3, 1, 3, 3, 1, 3]]"#;
    for (to, part) in [
        (r#""note": 1"#, "it has no `segmentation`"),
        (r#""segmentation": []"#, "empty list"),
        (r#""segmentation": [[1, 1, 3, 3]]"#, "4 numbers"),
        (r#""segmentation": {"size": [6, 4], "counts": [24]}"#, "6 x 4"),
        (r#""segmentation": {"size": [4, 6], "counts": "52"}"#, "cover 7 of 24"),
    ] {
        let text = GT.replacen(mask, to, 1);
        let gt = GroundTruth::from_json(text.as_bytes(), Path::new("gt.json")).unwrap();
        assert!(validate(&[], &gt, IouType::Bbox).is_ok(), "{to}");
        let message = validate(&[], &gt, IouType::Segm).unwrap_err().to_string();
        assert!(message.contains("annotations[0] (id 1)") && message.contains(part), "{message}");
    }
    let text = GT.replacen(r#""bbox": [1, 1, 2, 2], "#, "", 1);
    let gt = GroundTruth::from_json(text.as_bytes(), Path::new("gt.json")).unwrap();
    assert!(validate(&[], &gt, IouType::Segm).is_ok());
    let message = validate(&[], &gt, IouType::Bbox).unwrap_err().to_string();
    assert!(message.contains("it has no `bbox`"), "{message}");
}

#[test]
fn detections_in_memory_pass_the_same_checks() {
    let good = read(&format!("[{GOOD}]"), IouType::Bbox).unwrap().remove(0);
    let broken: [fn(&mut Detection); 4] = [
        |detection| detection.score = f64::INFINITY,
        |detection| detection.bbox = Some([0.0, 0.0, f64::NAN, 1.0]),
        |detection| detection.image_id = 1,
        |detection| detection.segmentation.as_mut().unwrap().size = [1, 24],
    ];
    for breaks in broken {
        let mut detections = vec![good.clone(); 3];
        breaks(&mut detections[1]);
        breaks(&mut detections[2]);
        let error = Hotcoco.evaluate(&gt(), &detections, IouType::Bbox).unwrap_err();
        assert!(error.to_string().starts_with("detections: entry 1 "), "{error}");
    }
}

/// A text with a few bytes cut out, replaced or put in.
fn mutated(text: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "",
        "0",
        "-",
        "1e999",
        "NaN",
        "\"",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "null",
        "\u{1F600}",
        "\\",
        "99999999999",
        "\"score\"",
        "\"counts\"",
        "[[",
        "-Infinity",
        "o",
        " ",
    ]);
    let edit = (0..text.len(), 0usize..12, pieces, any::<bool>(), any::<u8>());
    prop::collection::vec(edit, 1..4).prop_map(move |edits| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, length, piece, raw, byte) in edits {
            let at = at.min(bytes.len());
            let end = (at + length).min(bytes.len());
            let new = if raw { vec![byte] } else { piece.as_bytes().to_vec() };
            bytes.splice(at..end, new);
        }
        bytes
    })
}

/// Two entries; kept as one literal so that mutations hit every field.
const RESULTS: &str = r#"[{"image_id": 7, "category_id": 3, "bbox": [1, 1, 2, 2], "score": 0.9,
  "segmentation": {"size": [4, 6], "counts": "5220;"}},
 {"image_id": 7.0, "category_id": 1, "bbox": [0.5, 1e0, 2, 2], "score": 1, "segmentation": [[1, 1, 3, 1, 3, 3.5]]}]"#;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn mutated_results_never_panic(text in mutated(RESULTS)) {
        for iou in [IouType::Bbox, IouType::Segm] {
            match detections_from_json(&text, Path::new("dt.json"), &gt(), iou) {
                // What passes the checks can be evaluated, and gives numbers.
                Ok(detections) => {
                    let stats = Hotcoco.evaluate(&gt(), &detections, iou).unwrap();
                    prop_assert!(stats.values().iter().all(|v| (0.0..=1.0).contains(v) || *v == -1.0));
                }
                Err(error) => prop_assert!(error.to_string().starts_with("dt.json")),
            }
        }
    }

    #[test]
    fn mutated_ground_truth_never_panics(text in mutated(GT)) {
        match GroundTruth::from_json(&text, Path::new("gt.json")) {
            Ok(gt) => for iou in [IouType::Bbox, IouType::Segm] {
                let _ = detections_from_json(RESULTS.as_bytes(), Path::new("dt.json"), &gt, iou)
                    .and_then(|detections| Hotcoco.evaluate(&gt, &detections, iou));
            },
            Err(error) => prop_assert!(error.to_string().starts_with("gt.json")),
        }
    }
}
