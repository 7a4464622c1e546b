//! Huffman codes of JPEG, and the bits of entropy-coded data (ITU-T T.81, annexes C and F.2.2).

use super::Flaw;

/// Codes of up to this many bits are found with one table lookup.
const DIRECT_BITS: u32 = 9;

/// The codes of a DHT segment.
pub struct HuffmanTable {
    /// For the next [`DIRECT_BITS`] bits: length and value of the code, or 0 if the code is longer.
    direct: [u16; 1 << DIRECT_BITS],
    /// For each length, the smallest 16-bit value that begins with a longer code.
    ends: [u32; 17],
    /// For each length, the number to add to a code to get the index of its value.
    offsets: [i32; 17],
    values: Vec<u8>,
}

impl HuffmanTable {
    /// Builds the table with `counts[n - 1]` codes of `n` bits, which stand for `values` in order.
    pub fn new(counts: &[u8], values: &[u8]) -> Result<Self, Flaw> {
        let mut table = Self {
            direct: [0; 1 << DIRECT_BITS],
            ends: [0; 17],
            offsets: [0; 17],
            values: values.to_vec(),
        };
        let (mut code, mut place) = (0u32, 0usize);
        for (length, &count) in (1..=16u32).zip(counts) {
            table.offsets[length as usize] = place as i32 - code as i32;
            for &value in &values[place..place + usize::from(count)] {
                if code >= 1 << length {
                    return Err(Flaw::Damaged("a Huffman table has too many codes"));
                }
                if length <= DIRECT_BITS {
                    let first = (code << (DIRECT_BITS - length)) as usize;
                    let entry = (length as u16) << 8 | u16::from(value);
                    table.direct[first..first + (1 << (DIRECT_BITS - length))].fill(entry);
                }
                code += 1;
            }
            place += usize::from(count);
            table.ends[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Ok(table)
    }
}

/// The bits of entropy-coded data up to the next marker.
pub struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// Bits taken from `data`, the next one in the highest position, zeros below them.
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    /// The bits of `data` from the byte `at`.
    pub fn new(data: &'a [u8], at: usize) -> Self {
        Self {
            data,
            at,
            held: 0,
            count: 0,
        }
    }

    /// The byte at which reading stopped; it precedes a marker after [`Self::restart`] or at the
    /// end.
    pub fn position(&self) -> usize {
        self.at
    }

    fn refill(&mut self) {
        while self.count <= 56 {
            let byte = match self.data.get(self.at..) {
                Some([0xff, 0, ..]) => {
                    self.at += 1;
                    0xff
                }
                Some([0xff, ..] | []) | None => return,
                Some(&[byte, ..]) => byte,
            };
            self.at += 1;
            self.held |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// The value of the next code.
    #[inline]
    pub fn value(&mut self, table: &HuffmanTable) -> Result<u8, Flaw> {
        if self.count < 16 {
            self.refill();
        }
        let entry = table.direct[(self.held >> (64 - DIRECT_BITS)) as usize];
        let (length, value) = match entry {
            0 => self.long_value(table)?,
            entry => (u32::from(entry >> 8), entry as u8),
        };
        self.drop(length)?;
        Ok(value)
    }

    #[cold]
    fn long_value(&self, table: &HuffmanTable) -> Result<(u32, u8), Flaw> {
        let next = (self.held >> 48) as u32;
        let Some(length) = (1..=16u32).find(|&length| next < table.ends[length as usize]) else {
            // Missing bits are read as zeros.
            return Err(if self.count < 16 {
                Flaw::ENDS_EARLY
            } else {
                Flaw::Damaged("its data contains a code that its tables do not have")
            });
        };
        let place = (next >> (16 - length)) as i32 + table.offsets[length as usize];
        Ok((length, table.values[place as usize]))
    }

    /// The next `count` bits, at most 16, as a number.
    #[inline]
    pub fn number(&mut self, count: u32) -> Result<u32, Flaw> {
        if self.count < count {
            self.refill();
        }
        let number = if count == 0 { 0 } else { self.held >> (64 - count) };
        self.drop(count)?;
        Ok(number as u32)
    }

    #[inline]
    fn drop(&mut self, count: u32) -> Result<(), Flaw> {
        if count > self.count {
            return Err(Flaw::ENDS_EARLY);
        }
        self.held <<= count;
        self.count -= count;
        Ok(())
    }

    /// Skips the rest before the next marker, which must be the restart marker with this number, 0
    /// to 7.
    pub(crate) fn restart(&mut self, number: u8) -> Result<(), Flaw> {
        loop {
            match self.data.get(self.at..) {
                Some([0xff, 0xff, ..]) => self.at += 1,
                Some(&[0xff, marker, ..]) if marker != 0 => {
                    if marker != 0xd0 + number {
                        return Err(match marker {
                            0xd0..=0xd7 => Flaw::Damaged("a part of its data is missing"),
                            _ => Flaw::ENDS_EARLY,
                        });
                    }
                    self.at += 2;
                    break;
                }
                Some([_, ..]) => self.at += 1,
                Some([]) | None => return Err(Flaw::ENDS_EARLY),
            }
        }
        (self.held, self.count) = (0, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes 0, 10, 110 and one of 11 bits, which stand for 5, 6, 7 and 8.
    fn table() -> HuffmanTable {
        let mut counts = [0; 16];
        counts[..3].fill(1);
        counts[10] = 1;
        HuffmanTable::new(&counts, &[5, 6, 7, 8]).unwrap()
    }

    #[test]
    fn codes_short_and_long_are_found() {
        // 0 10 110 11100000000 1111: the last is not a code.
        let data = [0b0101_1011, 0b1000_0000, 0b0111_1111];
        let mut bits = Bits::new(&data, 0);
        let table = table();
        for value in [5, 6, 7, 8] {
            assert_eq!(bits.value(&table), Ok(value));
        }
        assert_eq!(bits.value(&table), Err(Flaw::ENDS_EARLY));
        assert!(HuffmanTable::new(&[3], &[1, 2, 3]).is_err());
    }

    #[test]
    fn bits_end_at_a_marker_and_a_stuffed_byte_is_data() {
        let data = [0xff, 0x00, 0x0f, 0xff, 0xd0, 0xaa];
        let mut bits = Bits::new(&data, 0);
        assert_eq!(bits.number(12), Ok(0xff0));
        assert_eq!(bits.number(5), Err(Flaw::ENDS_EARLY));
        assert_eq!(bits.number(4), Ok(0xf));
        bits.restart(0).unwrap();
        assert_eq!((bits.number(8), bits.position()), (Ok(0xaa), 6));
        assert_eq!(
            Bits::new(&data, 0).restart(3),
            Err(Flaw::Damaged("a part of its data is missing"))
        );
    }
}
