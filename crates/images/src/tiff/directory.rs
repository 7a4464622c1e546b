//! The directories of a TIFF file: the parts of its pages, and whether all of them are present
//! (TIFF 6.0, section 2).
//!
//! Contract: [`Directory::first`] is an error if a value or the data of any page lies beyond the
//! end of the file. A truncated file is thus detected wherever it was cut.

use std::ops::Range;

use image::metadata::Orientation;

use super::damaged;
use crate::error::{ENDS_EARLY, ImageProblem};
use crate::exif::Metadata;

/// Maximum number of pages that are visited: the chain of a damaged file may be a loop.
const MOST_PAGES: usize = 10_000;

const PHOTOMETRIC: u64 = 262;
/// The value of [`PHOTOMETRIC`] for a palette.
const PALETTE: u64 = 3;
const STRIP_OFFSETS: u64 = 273;
const STRIP_LENGTHS: u64 = 279;
const TILE_OFFSETS: u64 = 324;
const TILE_LENGTHS: u64 = 325;
const JPEG_TABLES: u64 = 347;
const XMP: u64 = 700;

/// The fields of a page that are used here; the tiff crate reads the others.
pub struct Directory {
    /// Offset of the photometric interpretation, if the page has a palette.
    pub palette: Option<Range<usize>>,
    /// Byte ranges of its strips or tiles.
    pub data: Vec<Range<usize>>,
    /// Byte range of the tables of its JPEG data.
    pub jpeg_tables: Option<Range<usize>>,
    /// Byte range of its XMP.
    pub xmp: Option<Range<usize>>,
}

/// Reads the integers of a file.
#[derive(Clone, Copy)]
pub(crate) struct Numbers<'a> {
    pub bytes: &'a [u8],
    pub little_endian: bool,
}

impl Numbers<'_> {
    /// The number of `size` bytes at `at`.
    pub fn get(self, at: u64, size: u64) -> Result<u64, ImageProblem> {
        let bytes = &self.bytes[self.range(at, size)?];
        let digit = |number, &byte: &u8| number << 8 | u64::from(byte);
        Ok(if self.little_endian {
            bytes.iter().rev().fold(0, digit)
        } else {
            bytes.iter().fold(0, digit)
        })
    }

    fn range(self, at: u64, length: u64) -> Result<Range<usize>, ImageProblem> {
        let end = at.checked_add(length).filter(|&end| end <= self.bytes.len() as u64);
        let end = end.ok_or_else(|| damaged(ENDS_EARLY))?;
        Ok(at as usize..end as usize)
    }
}

impl Directory {
    /// The orientation that the XMP of the page in the file `bytes` states.
    pub fn xmp_orientation(&self, bytes: &[u8]) -> Option<Orientation> {
        let xmp = bytes.get(self.xmp.clone()?)?;
        Metadata {
            exif: None,
            xmp: Some(xmp.into()),
        }
        .orientation()
    }

    /// Visits all pages; returns the first.
    pub fn first(bytes: &[u8]) -> Result<Self, ImageProblem> {
        let numbers = Numbers {
            bytes,
            little_endian: bytes.first() == Some(&b'I'),
        };
        // In BigTIFF (43) offsets have 8 bytes instead of 4.
        let big = numbers.get(2, 2)? == 43;
        let mut next = if big { numbers.get(8, 8)? } else { numbers.get(4, 4)? };
        let mut first = None;
        for _ in 0..MOST_PAGES {
            if next == 0 {
                break;
            }
            let (page, after) = Self::read(numbers, big, next)?;
            first.get_or_insert(page);
            next = after;
        }
        first.ok_or_else(|| damaged("it has no page"))
    }

    /// The page whose directory is at `at`, and the offset of the next one.
    fn read(numbers: Numbers, big: bool, at: u64) -> Result<(Self, u64), ImageProblem> {
        let (count_size, entry_size, offset_size) = if big { (8, 20, 8) } else { (2, 12, 4) };
        let count = numbers.get(at, count_size)?;
        let entries = numbers.range(at + count_size, count.saturating_mul(entry_size))?;
        let mut page = Self {
            palette: None,
            data: Vec::new(),
            jpeg_tables: None,
            xmp: None,
        };
        let (mut offsets, mut lengths) = (Vec::new(), Vec::new());
        for entry in entries.clone().step_by(entry_size as usize) {
            let entry = entry as u64;
            let tag = numbers.get(entry, 2)?;
            let size = match numbers.get(entry + 2, 2)? {
                1 | 2 | 6 | 7 => 1,
                3 | 8 => 2,
                4 | 9 | 11 | 13 => 4,
                5 | 10 | 12 | 16 | 17 | 18 => 8,
                // Readers skip unknown fields.
                _ => continue,
            };
            let length = numbers.get(entry + 4, offset_size)?.saturating_mul(size);
            let inside = entry + 4 + offset_size;
            let values = if length <= offset_size {
                numbers.range(inside, length)?
            } else {
                numbers.range(numbers.get(inside, offset_size)?, length)?
            };
            let each = || {
                let starts = values.clone().step_by(size as usize);
                starts
                    .map(|start| numbers.get(start as u64, size))
                    .collect::<Result<Vec<u64>, _>>()
            };
            match tag {
                STRIP_OFFSETS | TILE_OFFSETS => offsets = each()?,
                STRIP_LENGTHS | TILE_LENGTHS => lengths = each()?,
                PHOTOMETRIC if each()? == [PALETTE] => page.palette = Some(values),
                JPEG_TABLES => page.jpeg_tables = Some(values),
                XMP => page.xmp = Some(values),
                _ => {}
            }
        }
        for (&offset, &length) in offsets.iter().zip(&lengths) {
            page.data.push(numbers.range(offset, length)?);
        }
        Ok((page, numbers.get(entries.end as u64, offset_size)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiff::decode;

    /// A grey image of 1×2 pixels with this XMP, and an orientation tag unless it is 0.
    fn tiff(xmp: &[u8], orientation: u16) -> Vec<u8> {
        let mut entries = vec![
            (256, 3, 1, 1),
            (257, 3, 1, 2),
            (258, 3, 1, 8),
            (259, 3, 1, 1),
            (262, 3, 1, 1),
            (273, 4, 1, 8),
            (278, 3, 1, 2),
            (279, 4, 1, 2),
            (700, 1, xmp.len() as u32, 10),
        ];
        if orientation > 0 {
            entries.insert(6, (274, 3, 1, u32::from(orientation)));
        }
        let mut bytes = b"II*\0".to_vec();
        bytes.extend((10 + xmp.len() as u32).to_le_bytes());
        bytes.extend([7, 9]);
        bytes.extend(xmp);
        bytes.extend((entries.len() as u16).to_le_bytes());
        for (tag, kind, count, value) in entries {
            bytes.extend(u16::to_le_bytes(tag));
            bytes.extend(u16::to_le_bytes(kind));
            bytes.extend(u32::to_le_bytes(count));
            bytes.extend(u32::to_le_bytes(value));
        }
        bytes.extend([0; 4]);
        bytes
    }

    #[test]
    fn xmp_states_the_orientation_if_the_tag_does_not() {
        let xmp = br#"<rdf:Description tiff:Orientation="6"/>"#;
        let orientation = |xmp: &[u8], tag| decode(&tiff(xmp, tag)).unwrap().1;
        assert_eq!(orientation(xmp, 0), Some(Orientation::Rotate90));
        assert_eq!(orientation(xmp, 3), Some(Orientation::Rotate180));
        assert_eq!(orientation(b"<rdf:Description/>", 0), None);
    }
}
