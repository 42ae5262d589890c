//! Huffman codes of a JPEG scan: the tables (ITU-T T.81, annexes C and F) and the reader of bits. Knows no pixels.

use super::Odd;

/// Codes up to this length are found by one look into a table.
const FAST: u32 = 9;

/// Prefix code of one table.
pub(super) struct Huffman {
    /// By the next [`FAST`] bits: length in the high byte, symbol in the low one; 0 where the code is longer.
    fast: [u16; 1 << FAST],
    /// By the next [`FAST`] bits, where a coefficient's code and value both fit: value << 16 | run << 8 | bits. 0 else.
    coefficients: [i32; 1 << FAST],
    /// By length: one past the last code, aligned to 16 bits.
    ends: [u32; 17],
    /// By length: index of its first symbol minus its first code.
    offsets: [i32; 17],
    symbols: Vec<u8>,
}

impl Huffman {
    /// From the numbers of codes of lengths 1 to 16 and the symbols in order.
    pub fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self, Odd> {
        let mut table = Huffman {
            fast: [0; 1 << FAST],
            coefficients: [0; 1 << FAST],
            ends: [0; 17],
            offsets: [0; 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut index) = (0u32, 0usize);
        for length in 1..=16u32 {
            let count = u32::from(counts[length as usize - 1]);
            table.offsets[length as usize] = index as i32 - code as i32;
            if code + count > 1 << length || index + count as usize > symbols.len() {
                return Err(Odd);
            }
            if length <= FAST {
                for symbol in &symbols[index..index + count as usize] {
                    let first = (code << (FAST - length)) as usize;
                    table.fast[first..first + (1 << (FAST - length))].fill((length << 8) as u16 | u16::from(*symbol));
                    code += 1;
                }
            } else {
                code += count;
            }
            index += count as usize;
            table.ends[length as usize] = code << (16 - length);
            code <<= 1;
        }
        table.find_short_coefficients();
        Ok(table)
    }

    fn find_short_coefficients(&mut self) {
        for bits in 0..1u32 << FAST {
            let (length, symbol) =
                (u32::from(self.fast[bits as usize] >> 8), u32::from(self.fast[bits as usize] & 0xFF));
            let (run, size) = (symbol >> 4, symbol & 15);
            if length == 0 || size == 0 || length + size > FAST {
                continue;
            }
            let value = extend(bits >> (FAST - length - size) & ((1 << size) - 1), size);
            self.coefficients[bits as usize] = value << 16 | (run << 8) as i32 | (length + size) as i32;
        }
    }
}

/// The number that `size` bits stand for (T.81, figure F.12).
fn extend(bits: u32, size: u32) -> i32 {
    let bits = bits as i32;
    if bits < 1 << (size - 1) { bits - (1 << size) + 1 } else { bits }
}

/// Bits of entropy-coded data, most significant first, stuffing removed.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, from the top.
    buffer: u64,
    /// How many of them.
    count: u32,
    /// How many of these are zeros put in place of missing data.
    padding: u32,
}

impl<'a> Bits<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Bits { data, at: 0, buffer: 0, count: 0, padding: 0 }
    }

    /// At least 32 bits are in the buffer afterwards: enough for a code and its value.
    #[inline(always)]
    fn refill(&mut self) {
        if self.count >= 32 {
            return;
        }
        if let Some(next) = self.data.get(self.at..self.at + 8) {
            let word = u64::from_be_bytes([next[0], next[1], next[2], next[3], next[4], next[5], next[6], next[7]]);
            // No byte is 0xFF: neither stuffing nor a marker among them.
            const LOW: u64 = 0x0101_0101_0101_0101;
            if (!word).wrapping_sub(LOW) & word & (LOW << 7) == 0 {
                self.buffer |= word >> self.count;
                let bytes = (64 - self.count) / 8;
                self.at += bytes as usize;
                self.count += 8 * bytes;
                return;
            }
        }
        self.refill_by_byte();
    }

    #[cold]
    fn refill_by_byte(&mut self) {
        while self.count <= 56 {
            let byte = match (self.data.get(self.at), self.data.get(self.at + 1)) {
                (Some(0xFF), Some(0)) => {
                    self.at += 2;
                    0xFF
                }
                // A marker or the end: zeros from here on.
                (Some(0xFF), _) | (None, _) => {
                    self.padding += 8;
                    self.count += 8;
                    continue;
                }
                (Some(&byte), _) => {
                    self.at += 1;
                    byte
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    #[inline(always)]
    fn skip(&mut self, bits: u32) {
        self.buffer <<= bits;
        self.count -= bits;
    }

    #[inline(always)]
    fn take(&mut self, bits: u32) -> u32 {
        let taken = (self.buffer >> 1 >> (63 - bits)) as u32;
        self.skip(bits);
        taken
    }

    /// Whether more bits were read than there were.
    pub fn ran_out(&self) -> bool {
        self.count < self.padding
    }

    /// Goes past the restart marker with a number (0 to 7), which must come next.
    pub fn restart(&mut self, number: u8) -> Result<(), Odd> {
        self.end_of_interval()?;
        if self.data.get(self.at..self.at + 2) != Some(&[0xFF, 0xD0 + number]) {
            return Err(Odd);
        }
        self.at += 2;
        (self.buffer, self.count, self.padding) = (0, 0, 0);
        Ok(())
    }

    /// Only the padding of the last byte may be left before a marker.
    pub fn end_of_interval(&mut self) -> Result<(), Odd> {
        self.refill();
        let left = self.count.checked_sub(self.padding).ok_or(Odd)?;
        if left >= 8 || self.data.get(self.at) != Some(&0xFF) { Err(Odd) } else { Ok(()) }
    }

    /// The next symbol.
    #[inline(always)]
    fn symbol(&mut self, table: &Huffman) -> Result<u32, Odd> {
        let entry = table.fast[(self.buffer >> (64 - FAST)) as usize];
        if entry != 0 {
            self.skip(u32::from(entry >> 8));
            return Ok(u32::from(entry & 0xFF));
        }
        self.long_symbol(table)
    }

    #[cold]
    fn long_symbol(&mut self, table: &Huffman) -> Result<u32, Odd> {
        let next = (self.buffer >> 48) as u32;
        for length in FAST + 1..=16 {
            if next < table.ends[length as usize] {
                let at = (next >> (16 - length)) as i32 + table.offsets[length as usize];
                self.skip(length);
                return table.symbols.get(at as usize).map(|&s| u32::from(s)).ok_or(Odd);
            }
        }
        Err(Odd)
    }

    /// A block's DC difference.
    #[inline(always)]
    pub fn difference(&mut self, table: &Huffman) -> Result<i32, Odd> {
        self.refill();
        let size = self.symbol(table)?;
        match size {
            0 => Ok(0),
            1..=11 => Ok(extend(self.take(size), size)),
            _ => Err(Odd),
        }
    }

    /// A block's other coefficients; `store` gets each one's position in zigzag order and value.
    #[inline(always)]
    pub fn coefficients(&mut self, table: &Huffman, mut store: impl FnMut(usize, i32)) -> Result<(), Odd> {
        let mut k = 1;
        while k < 64 {
            self.refill();
            let short = table.coefficients[(self.buffer >> (64 - FAST)) as usize];
            if short != 0 {
                self.skip((short & 0xFF) as u32);
                k += (short >> 8 & 0xFF) as usize;
                if k > 63 {
                    return Err(Odd);
                }
                store(k, short >> 16);
                k += 1;
                continue;
            }
            let symbol = self.symbol(table)?;
            let (run, size) = (symbol >> 4, symbol & 15);
            if size == 0 {
                if run != 15 {
                    // End of block.
                    return Ok(());
                }
                k += 16;
                continue;
            }
            k += run as usize;
            if k > 63 || size > 10 {
                return Err(Odd);
            }
            store(k, extend(self.take(size), size));
            k += 1;
        }
        if k == 64 { Ok(()) } else { Err(Odd) }
    }
}
