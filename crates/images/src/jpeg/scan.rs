//! The entropy-coded data of a scan, decoded block by block (ITU-T T.81, F.2 and G.2).
//!
//! Contract: a scan that ends before its last block, or has an invalid code or value, is an error.

use super::Flaw;
use super::huffman::{Bits, HuffmanTable};

/// The index within a block of each coefficient, in coding order.
#[rustfmt::skip]
pub(crate) const ZIGZAG: [u8; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The coefficients of a block, in row-major order.
pub type Block = [i16; 64];

/// The Huffman tables of a component's scan.
#[derive(Clone, Copy)]
pub struct Codes<'a> {
    pub dc: Option<&'a HuffmanTable>,
    pub ac: Option<&'a HuffmanTable>,
}

/// The part of each block that a scan contains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Holds {
    /// All of it: the file is not progressive.
    Everything,
    /// The high bits of the DC coefficient, down to bit `low`.
    FirstDc { low: u8 },
    /// Bit `low` of the DC coefficient.
    MoreOfDc { low: u8 },
    /// The high bits of the coefficients from `first` to `last`.
    FirstAc { first: u8, last: u8, low: u8 },
    /// Bit `low` of these coefficients.
    MoreOfAc { first: u8, last: u8, low: u8 },
}

const OUT_OF_RANGE: Flaw = Flaw::Damaged("a block has a coefficient out of range");
const NO_TABLE: Flaw = Flaw::Damaged("a Huffman table is missing");

/// A scan in progress.
pub struct Scan<'a> {
    bits: Bits<'a>,
    holds: Holds,
    /// Number of following blocks for which the scan has no new data.
    empty_blocks: u32,
    restarts: u8,
}

impl<'a> Scan<'a> {
    /// The scan whose data begins at `at`.
    pub fn new(bytes: &'a [u8], at: usize, holds: Holds) -> Self {
        Self {
            bits: Bits::new(bytes, at),
            holds,
            empty_blocks: 0,
            restarts: 0,
        }
    }

    /// Skips the next restart marker.
    pub(crate) fn restart(&mut self) -> Result<(), Flaw> {
        self.bits.restart(self.restarts)?;
        self.restarts = (self.restarts + 1) % 8;
        self.empty_blocks = 0;
        Ok(())
    }

    /// The byte after the data.
    pub fn end(&self) -> usize {
        self.bits.position()
    }

    /// Adds the scan's data to a block; `dc` is the last DC coefficient of the component.
    #[inline]
    pub fn block(&mut self, codes: Codes, dc: &mut i32, block: &mut Block) -> Result<(), Flaw> {
        let ac = || codes.ac.ok_or(NO_TABLE);
        match self.holds {
            Holds::Everything => {
                self.dc(codes.dc.ok_or(NO_TABLE)?, dc)?;
                block[0] = *dc as i16;
                self.all_ac(ac()?, block)
            }
            Holds::FirstDc { low } => {
                self.dc(codes.dc.ok_or(NO_TABLE)?, dc)?;
                block[0] = (*dc << low) as i16;
                Ok(())
            }
            Holds::MoreOfDc { low } => {
                block[0] |= (self.bits.number(1)? << low) as i16;
                Ok(())
            }
            Holds::FirstAc { first, last, low } => self.first_ac(ac()?, first.into()..last.into(), low, block),
            Holds::MoreOfAc { first, last, low } => self.more_of_ac(ac()?, first.into()..last.into(), low, block),
        }
    }

    #[inline]
    fn dc(&mut self, table: &HuffmanTable, dc: &mut i32) -> Result<(), Flaw> {
        let size = self.bits.value(table)?;
        if size > 15 {
            return Err(OUT_OF_RANGE);
        }
        *dc = dc.wrapping_add(self.signed(size)?);
        Ok(())
    }

    /// The next number of `size` bits; the lower half of the range is negative (F.2.2.1).
    #[inline]
    fn signed(&mut self, size: u8) -> Result<i32, Flaw> {
        let number = self.bits.number(size.into())? as i32;
        let is_negative = size > 0 && number >> (size - 1) == 0;
        Ok(if is_negative { number - (1 << size) + 1 } else { number })
    }

    #[inline]
    fn all_ac(&mut self, table: &HuffmanTable, block: &mut Block) -> Result<(), Flaw> {
        let mut at = 1;
        while at < 64 {
            let value = self.bits.value(table)?;
            let (zeros, size) = (usize::from(value >> 4), value & 15);
            match (zeros, size) {
                (15, 0) => at += 16,
                (_, 0) => return Ok(()),
                _ => {
                    at += zeros;
                    let place = *ZIGZAG.get(at).ok_or(OUT_OF_RANGE)?;
                    block[usize::from(place)] = self.signed(size)? as i16;
                    at += 1;
                }
            }
        }
        Ok(())
    }

    fn first_ac(&mut self, table: &HuffmanTable, range: Coded, low: u8, block: &mut Block) -> Result<(), Flaw> {
        if self.empty_blocks > 0 {
            self.empty_blocks -= 1;
            return Ok(());
        }
        let mut at = range.start;
        while at <= range.end {
            let value = self.bits.value(table)?;
            let (zeros, size) = (value >> 4, value & 15);
            match (zeros, size) {
                (15, 0) => at += 16,
                (power, 0) => {
                    self.empty_blocks = (1 << power) + self.bits.number(power.into())? - 1;
                    return Ok(());
                }
                _ => {
                    at += usize::from(zeros);
                    if at > range.end {
                        return Err(OUT_OF_RANGE);
                    }
                    block[usize::from(ZIGZAG[at])] = (self.signed(size)? << low) as i16;
                    at += 1;
                }
            }
        }
        Ok(())
    }

    fn more_of_ac(&mut self, table: &HuffmanTable, range: Coded, low: u8, block: &mut Block) -> Result<(), Flaw> {
        let mut at = range.start;
        while self.empty_blocks == 0 && at <= range.end {
            let value = self.bits.value(table)?;
            let (zeros, size) = (value >> 4, value & 15);
            if size == 0 && zeros < 15 {
                self.empty_blocks = (1 << zeros) + self.bits.number(zeros.into())?;
                break;
            }
            let new = match size {
                0 => 0,
                _ if self.bits.number(1)? == 1 => 1 << low,
                _ => -1 << low,
            };
            at = self.correct(at..range.end, zeros.into(), low, block)?;
            if size > 0 {
                if at > range.end {
                    return Err(OUT_OF_RANGE);
                }
                block[usize::from(ZIGZAG[at])] = new;
            }
            at += 1;
        }
        if self.empty_blocks > 0 {
            self.empty_blocks -= 1;
            self.correct(at..range.end, u32::MAX, low, block)?;
        }
        Ok(())
    }

    /// Adds bit `low` to the nonzero coefficients, up to the zero coefficient after `zeros` other
    /// zeros; returns the index of that one.
    fn correct(&mut self, range: Coded, mut zeros: u32, low: u8, block: &mut Block) -> Result<usize, Flaw> {
        let mut at = range.start;
        while at <= range.end {
            let coefficient = &mut block[usize::from(ZIGZAG[at])];
            if *coefficient != 0 {
                if self.bits.number(1)? == 1 && *coefficient >> low & 1 == 0 {
                    *coefficient = coefficient.wrapping_add(coefficient.signum() << low);
                }
            } else if zeros == 0 {
                break;
            } else {
                zeros -= 1;
            }
            at += 1;
        }
        Ok(at)
    }
}

/// A range of coefficient numbers in coding order. Unlike in an ordinary `Range`, `end`
/// belongs to the range.
type Coded = std::ops::Range<usize>;
