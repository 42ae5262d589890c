//! A JPEG's headers, as far as a plain baseline picture needs them (ITU-T T.81, annex B). Everything out of the ordinary
//! is [`Odd`] and left to the general decoder.

use super::super::orientation;
use super::Odd;
use super::huffman::Huffman;

/// Position of each coefficient of the zigzag order in an 8 x 8 block, row by row.
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// What the headers say.
pub(super) struct Header<'a> {
    pub width: u32,
    pub height: u32,
    /// One (grey) or three (YCbCr).
    pub components: Vec<Component>,
    /// Units between restart markers; 0 for none.
    pub restart_interval: u32,
    /// EXIF orientation, 1 to 8.
    pub orientation: u8,
    /// By number; those that the components name are there.
    pub dc: [Option<Huffman>; 4],
    pub ac: [Option<Huffman>; 4],
    /// Entropy-coded data and what follows it.
    pub scan: &'a [u8],
}

/// One colour component.
pub(super) struct Component {
    /// Blocks of a unit, across and down.
    pub blocks: [usize; 2],
    /// Numbers of its Huffman tables.
    pub dc: usize,
    pub ac: usize,
    /// In zigzag order.
    pub quantisation: [i32; 64],
}

/// What a frame header says of a component.
struct Declared {
    id: u8,
    blocks: [usize; 2],
    quantisation: usize,
}

/// Reads a segment byte by byte.
struct Segment<'a>(&'a [u8]);

impl<'a> Segment<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Odd> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Odd)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Odd> {
        Ok(self.take(1)?[0])
    }

    fn word(&mut self) -> Result<u16, Odd> {
        let b = self.take(2)?;
        Ok(u16::from_be_bytes([b[0], b[1]]))
    }
}

impl<'a> Header<'a> {
    /// Reads up to the first scan, which must be the only one.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Odd> {
        let mut file = Segment(bytes);
        file.take(2)?;
        let mut header = Header {
            width: 0,
            height: 0,
            components: Vec::new(),
            restart_interval: 0,
            orientation: 1,
            dc: [const { None }; 4],
            ac: [const { None }; 4],
            scan: &[],
        };
        let mut declared: Vec<Declared> = Vec::new();
        let mut quantisation: [Option<[i32; 64]>; 4] = [None; 4];
        let mut ycbcr = None;
        loop {
            let marker = file.take(2)?;
            if marker[0] != 0xFF {
                return Err(Odd);
            }
            let length = usize::from(file.word()?);
            let mut segment = Segment(file.take(length.checked_sub(2).ok_or(Odd)?)?);
            match marker[1] {
                // Baseline, and extended with the same 8 bits.
                0xC0 | 0xC1 => declared = header.frame(&mut segment)?,
                0xC4 => header.huffman_tables(&mut segment)?,
                0xDB => {
                    while !segment.0.is_empty() {
                        let head = segment.byte()?;
                        let mut table = [0; 64];
                        for value in &mut table {
                            *value =
                                i32::from(if head >> 4 == 0 { u16::from(segment.byte()?) } else { segment.word()? });
                        }
                        *quantisation.get_mut(usize::from(head & 15)).ok_or(Odd)? = Some(table);
                    }
                }
                0xDD => header.restart_interval = u32::from(segment.word()?),
                0xDA => {
                    header.scan_header(&mut segment, &declared, &quantisation)?;
                    header.scan = file.0;
                    return if is_ycbcr(&declared, ycbcr) { Ok(header) } else { Err(Odd) };
                }
                0xE0 if segment.0.starts_with(b"JFIF\0") => ycbcr = Some(true),
                0xE1 if segment.0.starts_with(b"Exif\0\0") => header.orientation = orientation::from_exif(segment.0),
                0xEE if segment.0.starts_with(b"Adobe") => {
                    let transform = *segment.0.get(11).ok_or(Odd)?;
                    ycbcr = ycbcr.or(Some(transform == 1));
                }
                0xE0..=0xEF | 0xFE => {}
                _ => return Err(Odd),
            }
        }
    }

    fn frame(&mut self, segment: &mut Segment) -> Result<Vec<Declared>, Odd> {
        if self.width != 0 || segment.byte()? != 8 {
            return Err(Odd);
        }
        (self.height, self.width) = (u32::from(segment.word()?), u32::from(segment.word()?));
        let count = segment.byte()?;
        if self.width == 0 || self.height == 0 || !matches!(count, 1 | 3) {
            return Err(Odd);
        }
        let mut declared = Vec::new();
        for _ in 0..count {
            let (id, blocks) = (segment.byte()?, segment.byte()?);
            let blocks = [usize::from(blocks >> 4), usize::from(blocks & 15)];
            declared.push(Declared { id, blocks, quantisation: usize::from(segment.byte()?) });
        }
        if count == 1 {
            // A lone component comes block by block, whatever it declares.
            declared[0].blocks = [1, 1];
        } else if declared[1..].iter().any(|c| c.blocks != [1, 1])
            || declared[0].blocks.iter().any(|b| !matches!(b, 1 | 2))
        {
            return Err(Odd);
        }
        Ok(declared)
    }

    fn huffman_tables(&mut self, segment: &mut Segment) -> Result<(), Odd> {
        while !segment.0.is_empty() {
            let head = segment.byte()?;
            let counts: &[u8; 16] = segment.take(16)?.try_into().map_err(|_| Odd)?;
            let symbols = segment.take(counts.iter().map(|&c| usize::from(c)).sum())?;
            let tables = match head >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return Err(Odd),
            };
            *tables.get_mut(usize::from(head & 15)).ok_or(Odd)? = Some(Huffman::new(counts, symbols)?);
        }
        Ok(())
    }

    fn scan_header(
        &mut self,
        segment: &mut Segment,
        declared: &[Declared],
        quantisation: &[Option<[i32; 64]>; 4],
    ) -> Result<(), Odd> {
        if declared.is_empty() || usize::from(segment.byte()?) != declared.len() {
            return Err(Odd);
        }
        for component in declared {
            let (id, tables) = (segment.byte()?, segment.byte()?);
            let (dc, ac) = (usize::from(tables >> 4), usize::from(tables & 15));
            let there = |tables: &[Option<Huffman>; 4], number: usize| matches!(tables.get(number), Some(Some(_)));
            let quantisation = quantisation.get(component.quantisation).copied().flatten();
            match quantisation {
                Some(quantisation) if id == component.id && there(&self.dc, dc) && there(&self.ac, ac) => {
                    self.components.push(Component { blocks: component.blocks, dc, ac, quantisation });
                }
                _ => return Err(Odd),
            }
        }
        if segment.take(3)? == [0, 63, 0] { Ok(()) } else { Err(Odd) }
    }
}

/// Whether three components are YCbCr, as libjpeg decides it; `stated` is what a JFIF or Adobe header says.
fn is_ycbcr(declared: &[Declared], stated: Option<bool>) -> bool {
    declared.len() == 1 || stated.unwrap_or_else(|| declared.iter().map(|c| c.id).ne(*b"RGB"))
}
