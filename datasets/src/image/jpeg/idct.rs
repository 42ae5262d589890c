//! The inverse discrete cosine transform of one block, in integers.
//!
//! Loeffler, Ligtenberg and Moschytz, "Practical fast 1-D DCT algorithms with 11 multiplications", ICASSP 1989, with the
//! scaling and rounding of the Independent JPEG Group's `jidctint`, so that pixels equal those of libjpeg-turbo.

/// Fraction bits of the constants.
const CONSTANT_BITS: u32 = 13;
/// Fraction bits kept between the two passes.
const PASS_BITS: u32 = 2;

/// One value of each of eight columns (or rows): lanes of a vector.
type Lanes = [i32; 8];

#[inline(always)]
fn zip(a: Lanes, b: Lanes, f: impl Fn(i32, i32) -> i32) -> Lanes {
    std::array::from_fn(|i| f(a[i], b[i]))
}

#[inline(always)]
fn add(a: Lanes, b: Lanes) -> Lanes {
    zip(a, b, i32::wrapping_add)
}

#[inline(always)]
fn sub(a: Lanes, b: Lanes) -> Lanes {
    zip(a, b, i32::wrapping_sub)
}

#[inline(always)]
fn times(a: Lanes, constant: i32) -> Lanes {
    a.map(|v| v.wrapping_mul(constant))
}

/// One dimension: eight frequencies to eight samples, rounded and shifted right.
#[inline(always)]
fn pass(f: [Lanes; 8], shift: u32) -> [Lanes; 8] {
    let z1 = times(add(f[2], f[6]), 4433);
    let (even2, even3) = (add(z1, times(f[6], -15137)), add(z1, times(f[2], 6270)));
    let even0 = times(add(f[0], f[4]), 1 << CONSTANT_BITS);
    let even1 = times(sub(f[0], f[4]), 1 << CONSTANT_BITS);
    let even = [add(even0, even3), add(even1, even2), sub(even1, even2), sub(even0, even3)];

    let (z1, z2) = (times(add(f[7], f[1]), -7373), times(add(f[5], f[3]), -20995));
    let (z3, z4) = (add(f[7], f[3]), add(f[5], f[1]));
    let z5 = times(add(z3, z4), 9633);
    let (z3, z4) = (add(times(z3, -16069), z5), add(times(z4, -3196), z5));
    let odd = [
        add(times(f[1], 12299), add(z1, z4)),
        add(times(f[3], 25172), add(z2, z3)),
        add(times(f[5], 16819), add(z2, z4)),
        add(times(f[7], 2446), add(z1, z3)),
    ];

    let descale = |v: Lanes| v.map(|x| x.wrapping_add(1 << (shift - 1)) >> shift);
    let mut out = [[0; 8]; 8];
    for i in 0..4 {
        out[i] = descale(add(even[i], odd[i]));
        out[7 - i] = descale(sub(even[i], odd[i]));
    }
    out
}

#[inline(always)]
fn transposed(a: [Lanes; 8]) -> [Lanes; 8] {
    std::array::from_fn(|i| std::array::from_fn(|j| a[j][i]))
}

/// Dequantised coefficients `[V, U]` to samples: 8 rows of `out`, `stride` apart.
#[inline(always)]
pub(super) fn inverse(coefficients: &[i32; 64], out: &mut [u8], stride: usize) {
    let rows: [Lanes; 8] = std::array::from_fn(|v| std::array::from_fn(|u| coefficients[8 * v + u]));
    let columns = pass(rows, CONSTANT_BITS - PASS_BITS);
    let samples = transposed(pass(transposed(columns), CONSTANT_BITS + PASS_BITS + 3));
    for (y, row) in samples.iter().enumerate() {
        let to = &mut out[y * stride..y * stride + 8];
        for (to, sample) in to.iter_mut().zip(row) {
            *to = (sample + 128).clamp(0, 255) as u8;
        }
    }
}

/// The same for a block of which only the first coefficient is not 0.
#[inline(always)]
pub(super) fn inverse_flat(first: i32, out: &mut [u8], stride: usize) {
    let shift = PASS_BITS + 3;
    let sample = (first.wrapping_shl(PASS_BITS).wrapping_add(1 << (shift - 1)) >> shift) + 128;
    for y in 0..8 {
        out[y * stride..y * stride + 8].fill(sample.clamp(0, 255) as u8);
    }
}
