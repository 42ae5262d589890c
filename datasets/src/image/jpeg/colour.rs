//! Planes of samples to RGB: chroma brought to the size of luma, YCbCr to RGB.
//!
//! Interpolation and rounding are those of libjpeg-turbo (`jdsample`'s triangle filter, `jdcolor`), so that pixels equal
//! its own. Where a neighbour would lie outside the picture, the edge sample stands in for it, as there.

/// A part of a component's samples.
pub(super) struct Plane {
    /// Samples a row of `samples`.
    pub stride: usize,
    /// First column and row held, in samples of the whole component.
    pub origin: [usize; 2],
    /// Columns and rows of the whole component.
    pub size: [usize; 2],
    /// `[Y, X]`.
    pub samples: Vec<u8>,
}

impl Plane {
    /// A row from a column on, both of the whole component.
    #[inline(always)]
    fn row(&self, y: usize, x: usize) -> &[u8] {
        &self.samples[(y - self.origin[1]) * self.stride + (x - self.origin[0])..][..]
    }
}

/// How many luma samples share one chroma sample, across and down: 1 or 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sharing {
    pub across: usize,
    pub down: usize,
}

/// Columns and rows of luma, first and one past the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub x: [usize; 2],
    pub y: [usize; 2],
}

/// First and last chroma sample needed for luma samples `from .. to` along one axis.
pub(super) fn chroma_span(from: usize, to: usize, sharing: usize, size: usize) -> [usize; 2] {
    if sharing == 1 {
        return [from, to - 1];
    }
    [(from / 2).saturating_sub(1), ((to - 1) / 2 + 1).min(size - 1)]
}

/// Grey samples as RGB, `[Y, X, 3]`.
#[inline(always)]
pub(super) fn grey(luma: &Plane, part: Part) -> Vec<u8> {
    let width = part.x[1] - part.x[0];
    let mut rgb = vec![0; 3 * width * (part.y[1] - part.y[0])];
    for (y, out) in (part.y[0]..part.y[1]).zip(rgb.chunks_exact_mut(3 * width)) {
        for (out, &grey) in out.chunks_exact_mut(3).zip(luma.row(y, part.x[0])) {
            out.fill(grey);
        }
    }
    rgb
}

/// YCbCr as RGB, `[Y, X, 3]`.
#[inline(always)]
pub(super) fn ycbcr(luma: &Plane, chroma: [&Plane; 2], sharing: Sharing, part: Part) -> Vec<u8> {
    let width = part.x[1] - part.x[0];
    let mut rgb = vec![0; 3 * width * (part.y[1] - part.y[0])];
    let mut lines = [vec![0u8; width + 2], vec![0u8; width + 2]];
    let mut sums = Vec::new();
    for (y, out) in (part.y[0]..part.y[1]).zip(rgb.chunks_exact_mut(3 * width)) {
        for (plane, line) in chroma.iter().zip(&mut lines) {
            upsample(plane, sharing, y, part.x, &mut sums, line);
        }
        let luma = &luma.row(y, part.x[0])[..width];
        let (blue, red) = (&lines[0][..width], &lines[1][..width]);
        for (((out, &luma), &blue), &red) in out.chunks_exact_mut(3).zip(luma).zip(blue).zip(red) {
            let (luma, blue, red) = (i32::from(luma), i32::from(blue) - 128, i32::from(red) - 128);
            // 1.402, 0.34414, 0.71414 and 1.772 with 16 fraction bits.
            out[0] = (luma + ((91_881 * red + 32_768) >> 16)).clamp(0, 255) as u8;
            out[1] = (luma + ((-22_554 * blue - 46_802 * red + 32_768) >> 16)).clamp(0, 255) as u8;
            out[2] = (luma + ((116_130 * blue + 32_768) >> 16)).clamp(0, 255) as u8;
        }
    }
    rgb
}

/// One row of chroma at the size of luma, columns `x` of it; `line` has room for one sample more on either side.
#[inline(always)]
fn upsample(plane: &Plane, sharing: Sharing, y: usize, x: [usize; 2], sums: &mut Vec<u16>, line: &mut [u8]) {
    let width = x[1] - x[0];
    let [first, last] = chroma_span(x[0], x[1], sharing.across, plane.size[0]);
    let count = last - first + 1;
    let (near, far) = match sharing.down {
        1 => (y, None),
        _ if y.is_multiple_of(2) => (y / 2, Some((y / 2).saturating_sub(1))),
        _ => (y / 2, Some((y / 2 + 1).min(plane.size[1] - 1))),
    };
    let near = &plane.row(near, first)[..count];
    let far = far.map(|far| &plane.row(far, first)[..count]);
    if sharing.across == 2 && plane.size[0] <= 2 {
        // So narrow that libjpeg-turbo repeats samples instead of interpolating.
        for (to, x) in line.iter_mut().zip(x[0]..x[1]) {
            *to = near[x / 2 - first];
        }
        return;
    }
    if sharing.across == 1 {
        match far {
            None => line[..width].copy_from_slice(near),
            Some(far) => {
                let bias = if y.is_multiple_of(2) { 1 } else { 2 };
                for ((to, &near), &far) in line.iter_mut().zip(near).zip(far) {
                    *to = ((3 * u16::from(near) + u16::from(far) + bias) >> 2) as u8;
                }
            }
        }
        return;
    }
    // Sums of a column, then the same weights across; an edge sample is its own neighbour.
    let (scale, biases) = if far.is_some() { (4, [8, 7]) } else { (2, [1, 2]) };
    sums.clear();
    // Room for one sum before the first column wanted and for one after the last.
    sums.resize(count + 2, 0);
    match far {
        Some(far) => {
            for ((sum, &near), &far) in sums[1..].iter_mut().zip(near).zip(far) {
                *sum = 3 * u16::from(near) + u16::from(far);
            }
        }
        None => {
            for (sum, &near) in sums[1..].iter_mut().zip(near) {
                *sum = u16::from(near);
            }
        }
    }
    (sums[0], sums[count + 1]) = (sums[1], sums[count]);
    let wanted = x[0] / 2..(x[1] - 1) / 2 + 1;
    let sums = &sums[wanted.start - first..][..wanted.len() + 2];
    let pair = |w: &[u16]| {
        let middle = 3 * w[1];
        [((middle + w[0] + biases[0]) >> scale) as u8, ((middle + w[2] + biases[1]) >> scale) as u8]
    };
    // `line` begins with a pair's second sample where `x` is odd, and may end with a first one.
    let (mut sums, mut line) = (sums, &mut line[..width]);
    if x[0] % 2 == 1 {
        line[0] = pair(&sums[..3])[1];
        (sums, line) = (&sums[1..], &mut line[1..]);
    }
    if line.len() % 2 == 1 {
        line[line.len() - 1] = pair(&sums[sums.len() - 3..])[0];
    }
    for (to, w) in line.chunks_exact_mut(2).zip(sums.windows(3)) {
        to.copy_from_slice(&pair(w));
    }
}
