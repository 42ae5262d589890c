//! Top-1 and top-5 accuracy of classification. Knows predictions that are already sorted; it may
//! not touch scores of whole batches or files.

use serde::{Deserialize, Serialize};

/// How many classes a prediction may name: top-5 is the widest accuracy reported.
pub const TOP: usize = 5;

/// Accuracy over a set of images. Both are fractions in 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Fraction of images whose label is the best class.
    pub top1: f64,
    /// Fraction of images whose label is among the best five classes.
    pub top5: f64,
    /// How many images were counted.
    pub images: usize,
}

/// What a classifier said about one image; one line of a stored predictions file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassPrediction {
    /// The image's path or id, as the data set names it.
    pub image: String,
    /// The true class.
    pub label: u32,
    /// The classes with the highest scores, best first, at most [`TOP`].
    pub classes: Vec<u32>,
    /// Softmax of each of `classes`, in the same order.
    pub scores: Vec<f32>,
}

/// Why an accuracy could not be computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AccuracyError {
    #[error("no predictions: accuracy of nothing is not a number; check that the validation folder has images")]
    Empty,
    #[error(
        "prediction {index} (image {image}): {classes} classes and {scores} scores; give 1 to {TOP} classes, each with one score"
    )]
    Shape { index: usize, image: String, classes: usize, scores: usize },
    #[error(
        "prediction {index} (image {image}): a score is not a finite number; the model's output is broken, look for a non-finite loss in the history"
    )]
    NonFinite { index: usize, image: String },
}

/// Top-1 and top-5 accuracy.
///
/// # Errors
/// No predictions at all; a prediction without classes, with more than [`TOP`], or with another
/// number of scores; a score that is not finite.
pub fn accuracy(predictions: &[ClassPrediction]) -> Result<Accuracy, AccuracyError> {
    if predictions.is_empty() {
        return Err(AccuracyError::Empty);
    }
    let (mut top1, mut top5) = (0usize, 0usize);
    for (index, prediction) in predictions.iter().enumerate() {
        let (classes, scores) = (prediction.classes.len(), prediction.scores.len());
        if classes == 0 || classes > TOP || classes != scores {
            return Err(AccuracyError::Shape { index, image: prediction.image.clone(), classes, scores });
        }
        if prediction.scores.iter().any(|score| !score.is_finite()) {
            return Err(AccuracyError::NonFinite { index, image: prediction.image.clone() });
        }
        top1 += usize::from(prediction.classes[0] == prediction.label);
        top5 += usize::from(prediction.classes.contains(&prediction.label));
    }
    let images = predictions.len();
    Ok(Accuracy { top1: top1 as f64 / images as f64, top5: top5 as f64 / images as f64, images })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(label: u32, classes: &[u32]) -> ClassPrediction {
        ClassPrediction {
            image: format!("{label}.jpg"),
            label,
            classes: classes.to_vec(),
            scores: vec![0.1; classes.len()],
        }
    }

    #[test]
    fn counts_first_and_any_of_five() {
        let predictions = [
            prediction(3, &[3, 1, 2, 0, 4]), // both
            prediction(4, &[3, 1, 2, 0, 4]), // top-5 only
            prediction(9, &[3, 1, 2, 0, 4]), // neither
            prediction(1, &[1, 0]),          // a task of two classes
        ];
        let got = accuracy(&predictions).unwrap();
        assert_eq!(got, Accuracy { top1: 0.5, top5: 0.75, images: 4 });
    }

    #[test]
    fn refuses_nothing_and_broken_predictions() {
        assert_eq!(accuracy(&[]), Err(AccuracyError::Empty));
        assert!(matches!(accuracy(&[prediction(0, &[])]), Err(AccuracyError::Shape { index: 0, .. })));
        let mut broken = prediction(0, &[0, 1]);
        broken.scores[1] = f32::NAN;
        let message = accuracy(&[prediction(0, &[0]), broken]).unwrap_err().to_string();
        assert!(message.contains("prediction 1 (image 0.jpg)"), "{message}");
    }
}
