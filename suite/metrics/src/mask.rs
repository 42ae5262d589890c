//! A dense mask as a COCO RLE string and back. Owns [`RleString`], the crate's only form of a
//! mask; it may not touch detections or files.
//!
//! COCO's RLE runs down the columns: pixel (x, y) is number `y + height * x`, and runs alternate
//! background, foreground, starting with background. The string form is the one of the COCO API
//! (`maskApi.c`, `rleToString`), written and read by hotcoco.

use hotcoco::Rle;
use serde::{Deserialize, Serialize};

/// A compressed RLE, as it stands in a COCO results file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RleString {
    /// `[height, width]` in pixels.
    pub size: [u32; 2],
    /// The run lengths in the COCO API's string code.
    pub counts: String,
}

/// What is wrong with a mask.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MaskError {
    #[error("the mask has {found} values, but {height} x {width} pixels need {expected}")]
    Length { found: usize, expected: usize, height: u32, width: u32 },
    #[error("a mask of {height} x {width} pixels is too large: RLE counts hold at most 2^32 - 1")]
    TooLarge { height: u32, width: u32 },
    #[error("the RLE counts don't decode: {0}")]
    Undecodable(String),
    #[error("the RLE counts cover {covered} of {pixels} pixels")]
    Covers { covered: u64, pixels: u64 },
    #[error("the box {0:?} has a coordinate that is not a finite number")]
    NonFiniteBox([f32; 4]),
}

impl RleString {
    /// The RLE of runs that alternate background, foreground, ...; they must cover the mask.
    pub(crate) fn from_runs(height: u32, width: u32, counts: Vec<u32>) -> Self {
        let rle = Rle { h: height, w: width, counts };
        Self { size: [height, width], counts: hotcoco::mask::rle_to_string(&rle) }
    }

    /// The runs, checked: every character belongs to the code, and the runs cover the mask exactly.
    ///
    /// The COCO API reads a string that stops early or holds foreign characters as if nothing had
    /// happened, and so a truncated file as a mask with a part missing. Here it is an error.
    ///
    /// # Errors
    /// [`MaskError::Undecodable`], [`MaskError::Covers`], [`MaskError::TooLarge`].
    pub fn runs(&self) -> Result<Vec<u32>, MaskError> {
        let [height, width] = self.size;
        pixels(height, width)?;
        // The code has six bits from '0' up: '0'..='o'.
        if let Some((at, byte)) = self.counts.bytes().enumerate().find(|(_, byte)| !(48..112).contains(byte)) {
            return Err(MaskError::Undecodable(format!("byte {byte} at position {at} is not one of '0' to 'o'")));
        }
        let rle = hotcoco::mask::rle_from_string(&self.counts, height, width)
            .map_err(|error| MaskError::Undecodable(error.to_string()))?;
        check_cover(&rle.counts, height, width)?;
        Ok(rle.counts)
    }

    /// Number of foreground pixels.
    ///
    /// # Errors
    /// As [`RleString::runs`].
    pub fn area(&self) -> Result<u64, MaskError> {
        let runs = self.runs()?;
        Ok(runs.iter().skip(1).step_by(2).map(|&run| u64::from(run)).sum())
    }
}

/// Fails unless the runs cover `height` x `width` pixels exactly.
pub(crate) fn check_cover(runs: &[u32], height: u32, width: u32) -> Result<(), MaskError> {
    let covered: u64 = runs.iter().map(|&run| u64::from(run)).sum();
    let pixels = u64::from(height) * u64::from(width);
    if covered == pixels { Ok(()) } else { Err(MaskError::Covers { covered, pixels }) }
}

/// `height * width`, where RLE counts can hold it.
pub(crate) fn pixels(height: u32, width: u32) -> Result<u32, MaskError> {
    height.checked_mul(width).ok_or(MaskError::TooLarge { height, width })
}

/// Encodes a dense mask [Y, X], row by row; every non-zero byte is foreground.
///
/// # Errors
/// A slice of another length than `height * width`; more than 2^32 - 1 pixels.
pub fn encode_rows(mask: &[u8], height: u32, width: u32) -> Result<RleString, MaskError> {
    check_length(mask, height, width)?;
    let (rows, columns) = (height as usize, width as usize);
    let mut by_column = vec![0u8; mask.len()];
    for (y, row) in mask.chunks_exact(columns.max(1)).enumerate() {
        for (x, &pixel) in row.iter().enumerate() {
            by_column[x * rows + y] = pixel;
        }
    }
    encode_columns(&by_column, height, width)
}

/// Encodes a dense mask [X, Y], column by column; every non-zero byte is foreground.
///
/// # Errors
/// As [`encode_rows`].
pub fn encode_columns(mask: &[u8], height: u32, width: u32) -> Result<RleString, MaskError> {
    check_length(mask, height, width)?;
    let rle = hotcoco::mask::encode(mask, height, width).map_err(|_| MaskError::TooLarge { height, width })?;
    Ok(RleString::from_runs(height, width, rle.counts))
}

/// The dense mask [Y, X] of an RLE, row by row, 0 or 1.
///
/// # Errors
/// As [`RleString::runs`].
pub fn decode_rows(rle: &RleString) -> Result<Vec<u8>, MaskError> {
    let [height, width] = rle.size;
    let runs = rle.runs()?;
    let (rows, columns) = (height as usize, width as usize);
    let mut mask = vec![0u8; rows * columns];
    let mut at = 0usize;
    for (index, &run) in runs.iter().enumerate() {
        let end = at + run as usize;
        if index % 2 == 1 {
            for pixel in at..end {
                mask[(pixel % rows) * columns + pixel / rows] = 1;
            }
        }
        at = end;
    }
    Ok(mask)
}

fn check_length(mask: &[u8], height: u32, width: u32) -> Result<(), MaskError> {
    let expected = pixels(height, width)? as usize;
    if mask.len() == expected { Ok(()) } else { Err(MaskError::Length { found: mask.len(), expected, height, width }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_strings_of_the_coco_api() {
        // pycocotools 2.0.11: mask.encode(np.asfortranarray(np.array([[0,1,1],[0,1,0]], np.uint8)))
        let rle = encode_rows(&[0, 1, 1, 0, 1, 0], 2, 3).unwrap();
        assert_eq!(rle.counts, "231");
        assert_eq!(rle.area().unwrap(), 3);
        // Foreground first: the background run before it is empty.
        assert_eq!(encode_rows(&[1, 1, 1, 1], 2, 2).unwrap().counts, "04");
        assert_eq!(encode_rows(&[], 0, 0).unwrap().counts, "0");
    }

    #[test]
    fn refuses_what_does_not_cover_the_mask() {
        let rle = |counts: &str| RleString { size: [2, 3], counts: counts.to_owned() };
        assert_eq!(rle("23").area(), Err(MaskError::Covers { covered: 5, pixels: 6 }));
        assert!(matches!(rle("29").area(), Err(MaskError::Undecodable(_))));
        assert!(matches!(rle("2 31").area(), Err(MaskError::Undecodable(_))));
        assert!(matches!(rle("é").area(), Err(MaskError::Undecodable(_))));
        assert!(matches!(rle("").area(), Err(MaskError::Covers { .. })));
        assert!(encode_rows(&[0; 5], 2, 3).is_err());
        assert!(encode_rows(&[], u32::MAX, 2).is_err());
    }

    #[test]
    fn round_trip() {
        let (height, width) = (13u32, 7u32);
        let mask: Vec<u8> =
            (0..height * width).map(|pixel| u8::from(pixel.wrapping_mul(2_654_435_761) >> 30 == 0)).collect();
        let rle = encode_rows(&mask, height, width).unwrap();
        assert_eq!(decode_rows(&rle).unwrap(), mask);
    }
}
