//! Decodes a part of a baseline JPEG: entropy-coded data from the top to the part's last row, transforms and colours for
//! the part's blocks alone.
//!
//! A training crop shows half of a photograph on average, so half of the arithmetic is saved, and what is left gives the
//! very pixels of the whole picture. Pictures out of the ordinary (progressive, CMYK, arithmetic coding, other
//! subsampling) and any irregularity are [`Odd`]: the general decoder then has the word.

use super::Odd;
use super::colour::{self, Part, Plane, Sharing};
use super::header::{Component, Header, ZIGZAG};
use super::huffman::Bits;
use super::idct;
use crate::image::{Image, Rectangle};

/// Side of a block in samples.
const BLOCK: usize = 8;

/// A component's plane being filled.
struct Canvas<'a> {
    component: &'a Component,
    /// Blocks wanted: first and one past the last, across and down.
    wanted: [[usize; 2]; 2],
    plane: Plane,
    /// DC coefficient of the block before.
    last_dc: i32,
}

/// The columns and rows of `area`, which lies inside the picture and is not empty.
pub(super) fn decode(header: &Header, area: Rectangle) -> Result<Image, Odd> {
    let part = Part {
        x: [area.left as usize, (area.left + area.width) as usize],
        y: [area.top as usize, (area.top + area.height) as usize],
    };
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: this processor has AVX2; that is all the function asks for.
        return unsafe { decode_avx2(header, part) };
    }
    decode_part(header, part)
}

/// [`decode_part`] compiled for 256-bit vectors: the same operations on integers, so the same pixels.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn decode_avx2(header: &Header, part: Part) -> Result<Image, Odd> {
    decode_part(header, part)
}

#[inline(always)]
fn decode_part(header: &Header, part: Part) -> Result<Image, Odd> {
    let luma = &header.components[0];
    let sharing = Sharing { across: luma.blocks[0], down: luma.blocks[1] };
    let size = [header.width as usize, header.height as usize];
    let mut canvases: Vec<Canvas> = header
        .components
        .iter()
        .enumerate()
        .map(|(i, component)| {
            if i == 0 {
                return Canvas::new(component, size, [part.x[0], part.x[1] - 1], [part.y[0], part.y[1] - 1]);
            }
            let size = [size[0].div_ceil(sharing.across), size[1].div_ceil(sharing.down)];
            let across = colour::chroma_span(part.x[0], part.x[1], sharing.across, size[0]);
            let down = colour::chroma_span(part.y[0], part.y[1], sharing.down, size[1]);
            Canvas::new(component, size, across, down)
        })
        .collect();
    decode_scan(header, sharing, size, &mut canvases)?;
    let rgb = match canvases.as_slice() {
        [luma, blue, red] => colour::ycbcr(&luma.plane, [&blue.plane, &red.plane], sharing, part),
        [luma, ..] => colour::grey(&luma.plane, part),
        [] => return Err(Odd),
    };
    Ok(Image { width: (part.x[1] - part.x[0]) as u32, height: (part.y[1] - part.y[0]) as u32, rgb })
}

impl<'a> Canvas<'a> {
    /// For a component of `size`, of which samples `across` x `down` (first and last) are wanted.
    fn new(component: &'a Component, size: [usize; 2], across: [usize; 2], down: [usize; 2]) -> Self {
        let wanted = [across, down].map(|[first, last]| [first / BLOCK, last / BLOCK + 1]);
        let [columns, rows] = wanted.map(|[first, end]| (end - first) * BLOCK);
        let plane = Plane {
            stride: columns,
            origin: wanted.map(|[first, _]| first * BLOCK),
            size,
            samples: vec![0; columns * rows],
        };
        Canvas { component, wanted, plane, last_dc: 0 }
    }

    /// Reads the block in column `x` and row `y` and transforms it if it is wanted.
    #[inline(always)]
    fn block(&mut self, bits: &mut Bits, header: &Header, x: usize, y: usize) -> Result<(), Odd> {
        let component = self.component;
        let (Some(dc), Some(ac)) = (&header.dc[component.dc], &header.ac[component.ac]) else {
            return Err(Odd);
        };
        self.last_dc = self.last_dc.wrapping_add(bits.difference(dc)?);
        let [columns, rows] = self.wanted;
        if !(columns[0]..columns[1]).contains(&x) || !(rows[0]..rows[1]).contains(&y) {
            return bits.coefficients(ac, |_, _| {});
        }
        let mut block = [0; 64];
        let mut flat = true;
        bits.coefficients(ac, |k, value| {
            block[usize::from(ZIGZAG[k])] = value.wrapping_mul(component.quantisation[k]);
            flat = false;
        })?;
        block[0] = self.last_dc.wrapping_mul(component.quantisation[0]);
        let stride = self.plane.stride;
        let at = (y - rows[0]) * BLOCK * stride + (x - columns[0]) * BLOCK;
        let out = &mut self.plane.samples[at..];
        if flat {
            idct::inverse_flat(block[0], out, stride);
        } else {
            idct::inverse(&block, out, stride);
        }
        Ok(())
    }
}

/// Walks the units of the scan (T.81, annex A.2) down to the last row that a canvas wants.
#[inline(always)]
fn decode_scan(header: &Header, sharing: Sharing, size: [usize; 2], canvases: &mut [Canvas]) -> Result<(), Odd> {
    let units = [size[0].div_ceil(BLOCK * sharing.across), size[1].div_ceil(BLOCK * sharing.down)];
    let last_row = canvases.iter().map(|c| c.wanted[1][1].div_ceil(c.component.blocks[1])).max().unwrap_or(0);
    let mut bits = Bits::new(header.scan);
    let mut until_restart = header.restart_interval;
    let mut restarts = 0u8;
    for row in 0..last_row.min(units[1]) {
        for column in 0..units[0] {
            if header.restart_interval > 0 {
                if until_restart == 0 {
                    bits.restart(restarts)?;
                    restarts = (restarts + 1) % 8;
                    until_restart = header.restart_interval;
                    canvases.iter_mut().for_each(|c| c.last_dc = 0);
                }
                until_restart -= 1;
            }
            for canvas in &mut *canvases {
                let [across, down] = canvas.component.blocks;
                for y in 0..down {
                    for x in 0..across {
                        canvas.block(&mut bits, header, column * across + x, row * down + y)?;
                    }
                }
            }
        }
        if bits.ran_out() {
            return Err(Odd);
        }
    }
    if last_row >= units[1] { bits.end_of_interval() } else { Ok(()) }
}
