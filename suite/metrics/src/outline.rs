//! A dense mask as outlines that any drawing program fills. Knows rows and columns; it may not touch detections or files.

use std::collections::HashMap;

/// Closed outlines of a mask `[Y,X]`, row by row, 0 or not, along the edges of its pixels: corners `x y` in pixels, only where an
/// outline turns. Filled by the even-odd rule they give the mask back. Outer ones run clockwise (y down), holes the other way
/// round; pixels that touch at a corner only are told apart.
pub fn outlines(mask: &[u8], width: u32) -> Vec<Vec<[u32; 2]>> {
    let width = width as usize;
    let rows = mask.chunks(width.max(1)).count();
    let set = |x: usize, y: usize| mask.get(y * width + x).is_some_and(|&value| value != 0);
    // Directed edges with the mask on their right, by where they begin; in the order of scanning.
    let mut starts = Vec::new();
    let mut edges: HashMap<[u32; 2], Vec<[u32; 2]>> = HashMap::new();
    let mut edge = |from: [usize; 2], to: [usize; 2]| {
        let [from, to] = [from, to].map(|at| at.map(|v| v as u32));
        edges.entry(from).or_default().push(to);
        starts.push(from);
    };
    for y in 0..rows {
        for x in (0..width).filter(|&x| set(x, y)) {
            if y == 0 || !set(x, y - 1) {
                edge([x, y], [x + 1, y]);
            }
            if x + 1 == width || !set(x + 1, y) {
                edge([x + 1, y], [x + 1, y + 1]);
            }
            if y + 1 == rows || !set(x, y + 1) {
                edge([x + 1, y + 1], [x, y + 1]);
            }
            if x == 0 || !set(x - 1, y) {
                edge([x, y + 1], [x, y]);
            }
        }
    }
    let mut found = Vec::new();
    for start in starts {
        let mut outline = Vec::new();
        let (mut at, mut came) = (start, None);
        while let Some(next) = edges.get_mut(&at).and_then(|ends| take(ends, at, came)) {
            outline.push(at);
            came = Some(direction(at, next));
            at = next;
        }
        if !outline.is_empty() {
            found.push(corners(&outline));
        }
    }
    found
}

fn direction(from: [u32; 2], to: [u32; 2]) -> [i64; 2] {
    [0, 1].map(|i| i64::from(to[i]) - i64::from(from[i]))
}

/// Takes one of the edges that begin `at`: where two do, the one that turns right, around the same pixel.
fn take(ends: &mut Vec<[u32; 2]>, at: [u32; 2], came: Option<[i64; 2]>) -> Option<[u32; 2]> {
    let right = came.map(|[x, y]| [-y, x]);
    let turning = ends.iter().position(|&end| Some(direction(at, end)) == right);
    (!ends.is_empty()).then(|| ends.swap_remove(turning.unwrap_or(0)))
}

/// The points of a closed outline at which it turns.
fn corners(outline: &[[u32; 2]]) -> Vec<[u32; 2]> {
    let n = outline.len();
    let turns = |&i: &usize| {
        let (before, after) = (outline[(i + n - 1) % n], outline[(i + 1) % n]);
        direction(before, outline[i]) != direction(outline[i], after)
    };
    (0..n).filter(turns).map(|i| outline[i]).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether the middle of a pixel is inside, by the even-odd rule: crossings of a ray to the left.
    fn inside(outlines: &[Vec<[u32; 2]>], x: u32, y: u32) -> bool {
        let crossings = outlines.iter().flat_map(|o| o.iter().zip(o.iter().cycle().skip(1))).filter(|(a, b)| {
            let (low, high) = (a[1].min(b[1]), a[1].max(b[1]));
            a[0] == b[0] && a[0] <= x && low <= y && y < high
        });
        crossings.count() % 2 == 1
    }

    /// Twice the signed area (shoelace), positive for clockwise with y down.
    fn doubled_area(outline: &[[u32; 2]]) -> i64 {
        let pairs = outline.iter().zip(outline.iter().cycle().skip(1));
        pairs.map(|(a, b)| i64::from(a[0]) * i64::from(b[1]) - i64::from(b[0]) * i64::from(a[1])).sum()
    }

    #[test]
    fn a_square_a_hole_and_a_touch() {
        assert_eq!(outlines(&[0, 0, 0, 0, 1, 1, 0, 1, 1], 3), [[[1, 1], [3, 1], [3, 3], [1, 3]]]);
        let ring = outlines(&[1, 1, 1, 1, 0, 1, 1, 1, 1], 3);
        assert_eq!(ring.iter().map(|o| doubled_area(o)).collect::<Vec<_>>(), [18, -2]);
        // Two pixels that share a corner are two outlines.
        assert_eq!(outlines(&[1, 0, 0, 1], 2).len(), 2);
        assert!(outlines(&[0; 6], 3).is_empty() && outlines(&[], 0).is_empty());
    }

    proptest! {
        #[test]
        fn filled_they_give_the_mask_back(width in 1u32..9, mask in prop::collection::vec(0u8..2, 0..80)) {
            let mask = &mask[..mask.len() / width as usize * width as usize];
            let found = outlines(mask, width);
            for (i, &value) in mask.iter().enumerate() {
                prop_assert_eq!(inside(&found, i as u32 % width, i as u32 / width), value == 1);
            }
            let area: i64 = found.iter().map(|o| doubled_area(o)).sum();
            prop_assert_eq!(area, 2 * mask.iter().map(|&v| i64::from(v)).sum::<i64>());
        }
    }
}
