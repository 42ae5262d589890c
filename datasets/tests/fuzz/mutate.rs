//! Damages bytes, as a function of a generator alone. Knows of JSON only what a number looks like.

use adamv_datasets::rng::Rng;

/// Longest case: what is duplicated would else grow without end.
const LONGEST: usize = 1 << 16;

/// What numbers, and now and then other values, of a text become.
const VALUES: [&str; 28] = [
    "0",
    "-0",
    "1",
    "-1",
    "0.5",
    "1e-320",
    "1e9",
    "-1e9",
    "1e300",
    "-1e308",
    "1e308",
    "1e309",
    "NaN",
    "null",
    "true",
    "\"x\"",
    "[]",
    "{}",
    "255",
    "256",
    "65535",
    "100000",
    "178956970",
    "4294967295",
    "4294967296",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
];

/// One to four mutations of `seed`; `other` is spliced in.
pub fn mutate(rng: &mut Rng, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    let text = seed.starts_with(b"{");
    // Texts mostly keep their shape, or nothing behind the parser is ever reached.
    for _ in 0..=rng.below(if text { 2 } else { 4 }) {
        if text && rng.below(4) > 0 {
            replace_number(rng, &mut bytes);
        } else {
            damage(rng, &mut bytes, other);
        }
    }
    bytes.truncate(LONGEST);
    bytes
}

fn damage(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let at = position(rng, bytes.len());
    match rng.below(9) {
        0 => bytes[at] ^= 1 << rng.below(8),
        1 => bytes[at] = [0, 0x7F, 0x80, 0xFF][rng.below(4) as usize],
        2 => bytes[at] = rng.next_u64() as u8,
        3 => {
            // A length or a size: big-endian, 2 or 4 bytes.
            let value = [0u32, 1, 2, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF][rng.below(6) as usize];
            let width = if rng.coin() { 2 } else { 4 };
            let end = (at + width).min(bytes.len());
            bytes[at..end].copy_from_slice(&value.to_be_bytes()[..end - at]);
        }
        4 => bytes.truncate(at),
        5 => {
            let part = slice(rng, bytes);
            let part = bytes[part].to_vec();
            bytes.splice(at..at, part);
        }
        6 => {
            let part = slice(rng, bytes);
            bytes.drain(part);
        }
        7 => {
            // Two neighbouring chunks change places.
            let part = slice(rng, bytes);
            let by = rng.below(part.len() as u64 + 1) as usize;
            bytes[part].rotate_left(by);
        }
        _ => {
            let part = slice(rng, other);
            bytes.splice(at..at, other[part].iter().copied());
        }
    }
}

/// Headers are where decisions fall: half of the positions lie in the first 64 bytes.
fn position(rng: &mut Rng, length: usize) -> usize {
    let reach = if rng.coin() { length.min(64) } else { length };
    rng.below(reach as u64) as usize
}

fn slice(rng: &mut Rng, bytes: &[u8]) -> std::ops::Range<usize> {
    if bytes.is_empty() {
        return 0..0;
    }
    let from = position(rng, bytes.len());
    let longest = (bytes.len() - from).min(256);
    from..from + 1 + rng.below(longest as u64) as usize
}

fn replace_number(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let part = |b: u8| b.is_ascii_digit() || b == b'-' || b == b'.';
    let starts: Vec<usize> = (0..bytes.len()).filter(|&i| part(bytes[i]) && (i == 0 || !part(bytes[i - 1]))).collect();
    if starts.is_empty() {
        return;
    }
    let from = starts[rng.below(starts.len() as u64) as usize];
    let length = bytes[from..].iter().take_while(|&&b| part(b)).count();
    let value = match rng.below(16) {
        0 => ["[".repeat(300), "]".repeat(300)].concat(),
        1 => "{\"size\":".repeat(200),
        2 => vec!["1"; 2000].join(","),
        3 => "9".repeat(400),
        4..7 => format!("{}", rng.below(60)),
        7..9 => format!("{}", rng.uniform(-50.0, 80.0)),
        _ => VALUES[rng.below(VALUES.len() as u64) as usize].to_string(),
    };
    bytes.splice(from..from + length, value.into_bytes());
}
