//! `predictions/classification.parquet`: the best five classes of each validation image, so that two cells can be compared
//! image by image. Detections lie beside it as COCO results, written by whoever evaluates.

use std::path::Path;

use polars::prelude::*;

use crate::error::Result;
use crate::table;

/// Classes kept per image.
pub const TOP: usize = 5;

/// The prediction for one image.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassificationPrediction {
    /// The image's path below the split, e.g. `n01440764/1.JPEG`.
    pub image: String,
    /// The true class.
    pub label: u32,
    /// Class and score (softmax, 0 to 1), best first; at most [`TOP`], fewer when there are fewer classes.
    pub best: Vec<(u32, f32)>,
}

/// Writes columns image (text), label, class_1..class_5 (u32), score_1..score_5 (f32; null where there is no such class),
/// atomically. More than [`TOP`] classes of an image are cut.
///
/// # Errors
/// The errors of writing.
pub fn write_classification(path: &Path, predictions: &[ClassificationPrediction]) -> Result<()> {
    let mut columns = vec![
        Column::new("image".into(), predictions.iter().map(|p| p.image.as_str()).collect::<Vec<_>>()),
        Column::new("label".into(), predictions.iter().map(|p| p.label).collect::<Vec<_>>()),
    ];
    for rank in 0..TOP {
        let class: Vec<Option<u32>> = predictions.iter().map(|p| p.best.get(rank).map(|b| b.0)).collect();
        columns.push(Column::new(class_column(rank).into(), class));
    }
    for rank in 0..TOP {
        let score: Vec<Option<f32>> = predictions.iter().map(|p| p.best.get(rank).map(|b| b.1)).collect();
        columns.push(Column::new(score_column(rank).into(), score));
    }
    table::write(path, columns)
}

/// Reads what [`write_classification`] wrote.
///
/// # Errors
/// A missing or broken file, by name.
pub fn read_classification(path: &Path) -> Result<Vec<ClassificationPrediction>> {
    table::read(path, |frame| {
        let images = table::texts(frame, "image")?;
        let labels = table::full(frame, "label")?.u32()?.iter().flatten();
        let mut predictions: Vec<_> = images
            .into_iter()
            .zip(labels)
            .map(|(image, label)| ClassificationPrediction { image, label, best: Vec::with_capacity(TOP) })
            .collect();
        for rank in 0..TOP {
            let classes = frame.column(&class_column(rank))?.u32()?;
            let scores = frame.column(&score_column(rank))?.f32()?;
            for ((prediction, class), score) in predictions.iter_mut().zip(classes.iter()).zip(scores.iter()) {
                prediction.best.extend(class.zip(score));
            }
        }
        Ok(predictions)
    })
}

fn class_column(rank: usize) -> String {
    format!("class_{}", rank + 1)
}

fn score_column(rank: usize) -> String {
    format!("score_{}", rank + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_with_few_and_many_classes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("predictions/classification.parquet");
        let many = (0..TOP as u32).map(|i| (i * 7, 0.5 / (i as f32 + 1.0))).collect();
        let predictions = vec![
            ClassificationPrediction { image: "a/1.JPEG".into(), label: 3, best: many },
            ClassificationPrediction { image: "b/2.JPEG".into(), label: 0, best: vec![(1, 0.75), (0, 0.25)] },
            ClassificationPrediction { image: String::new(), label: 0, best: vec![] },
        ];
        write_classification(&path, &predictions).unwrap();
        assert_eq!(read_classification(&path).unwrap(), predictions);
        write_classification(&path, &[]).unwrap();
        assert_eq!(read_classification(&path).unwrap(), []);
    }
}
