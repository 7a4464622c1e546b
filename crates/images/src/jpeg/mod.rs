//! JPEG files, baseline and progressive (ITU-T T.81).
//!
//! The JPEG crates silently fill missing data with grey or zeros, since browsers show files that
//! way while they load. Nobody should train on such data. (zune-jpeg, which the image crate uses,
//! fills gaps in strict mode too, mixes up components in separate scans, and rounds differently
//! from libjpeg, by up to 3 levels.) Contract:
//!
//! - A file that is truncated at any byte, lacks a scan, or ends before its last block is an error.
//!   Bytes after the end marker are ignored.
//! - Samples, chroma and colours are bit-identical to those of libjpeg, which Pillow, PyTorch and
//!   OpenCV use.

mod colour;
mod frame;
mod huffman;
mod scan;
mod transform;
mod upsample;

use image::metadata::Orientation;

use crate::MOST_DECODED_BYTES;
use crate::error::{self, ImageProblem};
use crate::exif::{self, Metadata};
use crate::format::ImageFormat;
use crate::image::{Image, ImageShape};
use colour::Meaning;
use frame::{Frame, Tables};
use huffman::HuffmanTable;
use scan::ZIGZAG;

/// What is wrong with a JPEG file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Flaw {
    Damaged(&'static str),
    Unsupported(&'static str),
}

impl Flaw {
    pub(crate) const ENDS_EARLY: Self = Self::Damaged(error::ENDS_EARLY);
}

impl From<Flaw> for ImageProblem {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Damaged(reason) => Self::damaged(ImageFormat::Jpeg, reason),
            Flaw::Unsupported(what) => Self::unsupported(what),
        }
    }
}

/// The pixels of a JPEG file, grey or RGB, and their orientation.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Image, Option<Orientation>), ImageProblem> {
    let jpeg = Jpeg::read(bytes)?;
    let meaning = Meaning::of(&jpeg.frame.ids(), jpeg.is_jfif, jpeg.adobe_transform);
    let shape = ImageShape {
        channels: meaning.channels(),
        height: jpeg.frame.height,
        width: jpeg.frame.width,
    };
    let mut pixels = vec![0; shape.values()];
    jpeg.rows(|at, components| {
        meaning.convert(components);
        for (plane, row) in pixels.chunks_exact_mut(shape.height * shape.width).zip(components) {
            plane[at * shape.width..][..shape.width].copy_from_slice(&row[..shape.width]);
        }
    });
    Ok((Image::new(shape, pixels), jpeg.metadata.orientation()))
}

/// Width and height, as the header of the frame states them.
pub(crate) fn size(bytes: &[u8]) -> Result<(u32, u32), ImageProblem> {
    let frame = header(bytes)?;
    // Both have 16 bits in the file.
    Ok((frame.width as u32, frame.height as u32))
}

/// Number of components, as the header of the frame states it.
pub(crate) fn components(bytes: &[u8]) -> Result<usize, Flaw> {
    Ok(header(bytes)?.ids().len())
}

/// The frame, from its header alone.
fn header(bytes: &[u8]) -> Result<Frame, Flaw> {
    // After the magic bytes.
    let mut at = 2;
    loop {
        match next_marker(bytes, &mut at)? {
            // The end, or a scan before its frame.
            0xd9 | 0xda => return Err(NO_HEADER),
            0x01 | 0xd0..=0xd8 => {}
            marker if is_frame(marker) => return Frame::new(marker, segment(bytes, &mut at)?),
            _ => {
                segment(bytes, &mut at)?;
            }
        }
    }
}

/// Whether a segment with this marker is the header of a frame.
fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc))
}

/// A complete JPEG file.
pub(crate) struct Jpeg<'a> {
    frame: Frame,
    is_jfif: bool,
    adobe_transform: Option<u8>,
    /// The first block of EXIF data, and the last of XMP.
    metadata: Metadata<'a>,
}

impl<'a> Jpeg<'a> {
    /// Reads the file to its end marker.
    pub fn read(bytes: &'a [u8]) -> Result<Self, ImageProblem> {
        let mut tables = Tables::default();
        let mut frame: Option<Frame> = None;
        let mut restart_interval = 0;
        let (mut is_jfif, mut adobe_transform) = (false, None);
        let mut metadata = Metadata::default();
        // After the magic bytes.
        let mut at = 2;
        loop {
            let marker = next_marker(bytes, &mut at)?;
            match marker {
                // The end.
                0xd9 => break,
                // Markers without a segment, such as restart markers; some encoders write one after
                // the last block.
                0x01 | 0xd0..=0xd8 => continue,
                _ => {}
            }
            let segment = segment(bytes, &mut at)?;
            match marker {
                0xc4 => define_codes(segment, &mut tables)?,
                0xdb => define_quantisers(segment, &mut tables)?,
                marker if is_frame(marker) => {
                    if frame.is_some() {
                        return Err(Flaw::Unsupported("hierarchical JPEG").into());
                    }
                    let new = Frame::new(marker, segment)?;
                    fits_in_memory(&new)?;
                    frame = Some(new);
                }
                0xda => {
                    let frame = frame.as_mut().ok_or(NO_HEADER)?;
                    at = frame.scan(segment, &tables, restart_interval, bytes, at)?;
                }
                0xdd => {
                    let &[high, low] = segment else {
                        return Err(Flaw::Damaged("its restart interval is not a number").into());
                    };
                    restart_interval = usize::from(u16::from_be_bytes([high, low]));
                }
                0xe0 => is_jfif |= segment.starts_with(b"JFIF\0"),
                0xe1 => {
                    if let Some(xmp) = segment.strip_prefix(exif::XMP_HEADER) {
                        metadata.xmp = Some(xmp.into());
                    } else if metadata.exif.is_none() && segment.starts_with(exif::HEADER) {
                        metadata.exif = Some(segment.into());
                    }
                }
                0xee if segment.starts_with(b"Adobe") => adobe_transform = segment.get(11).copied(),
                _ => {}
            }
        }
        let mut frame = frame.ok_or(NO_HEADER)?;
        if !frame.is_complete() {
            return Err(Flaw::Damaged("its last scans are missing").into());
        }
        frame.finish();
        Ok(Self {
            frame,
            is_jfif,
            adobe_transform,
            metadata,
        })
    }

    /// Columns, rows and components.
    pub fn size(&self) -> [usize; 3] {
        [self.frame.width, self.frame.height, self.frame.ids().len()]
    }

    /// Calls `row` with each row of the image and its number: one sample of each component per
    /// pixel, and some beyond the last pixel.
    pub fn rows(&self, mut row: impl FnMut(usize, &mut [Vec<u8>])) {
        let planes = self.frame.planes();
        let mut components = vec![vec![0; self.frame.width + 4]; planes.len()];
        for at in 0..self.frame.height {
            for (plane, component) in planes.iter().zip(&mut components) {
                plane.upsample(at, component);
            }
            row(at, &mut components);
        }
    }
}

const NO_HEADER: Flaw = Flaw::Damaged("its header is missing");
const TABLE: Flaw = Flaw::Damaged("a table contradicts itself");

/// Finds the next marker. Like libjpeg, it skips stray bytes before it.
fn next_marker(bytes: &[u8], at: &mut usize) -> Result<u8, Flaw> {
    loop {
        match bytes.get(*at..) {
            Some(&[0xff, marker, ..]) if !matches!(marker, 0 | 0xff) => {
                *at += 2;
                return Ok(marker);
            }
            Some([_, ..]) => *at += 1,
            Some([]) | None => return Err(Flaw::ENDS_EARLY),
        }
    }
}

/// The content of a marker's segment.
fn segment<'a>(bytes: &'a [u8], at: &mut usize) -> Result<&'a [u8], Flaw> {
    let &[high, low, ..] = bytes.get(*at..).unwrap_or_default() else {
        return Err(Flaw::ENDS_EARLY);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length < 2 {
        return Err(Flaw::Damaged("a segment has no length"));
    }
    let segment = bytes.get(*at + 2..*at + length).ok_or(Flaw::ENDS_EARLY)?;
    *at += length;
    Ok(segment)
}

/// Reads the Huffman tables of a DHT segment.
fn define_codes(mut segment: &[u8], tables: &mut Tables) -> Result<(), Flaw> {
    while let [kind, rest @ ..] = segment {
        let (counts, rest) = rest.split_at_checked(16).ok_or(TABLE)?;
        let count = counts.iter().map(|&count| usize::from(count)).sum();
        let (values, rest) = rest.split_at_checked(count).ok_or(TABLE)?;
        let tables = if kind >> 4 == 0 { &mut tables.dc } else { &mut tables.ac };
        let place = tables.get_mut(usize::from(kind & 15)).ok_or(TABLE)?;
        *place = Some(HuffmanTable::new(counts, values)?);
        segment = rest;
    }
    Ok(())
}

/// Reads the quantisation tables of a DQT segment.
fn define_quantisers(mut segment: &[u8], tables: &mut Tables) -> Result<(), Flaw> {
    while let [kind, rest @ ..] = segment {
        let size = if kind >> 4 == 0 { 1 } else { 2 };
        let (values, rest) = rest.split_at_checked(64 * size).ok_or(TABLE)?;
        let mut quantiser = [0; 64];
        for (place, value) in ZIGZAG.iter().zip(values.chunks_exact(size)) {
            quantiser[usize::from(*place)] = value.iter().fold(0, |value, &byte| value << 8 | u16::from(byte));
        }
        *tables.quantisers.get_mut(usize::from(kind & 15)).ok_or(TABLE)? = Some(quantiser);
        segment = rest;
    }
    Ok(())
}

/// Contract: decoding takes at most [`MOST_DECODED_BYTES`]: pixels, samples, and the coefficients
/// of a progressive file.
fn fits_in_memory(frame: &Frame) -> Result<(), ImageProblem> {
    let pixels = frame.width as u64 * frame.height as u64;
    let bytes_per_sample = if frame.progressive { 3 } else { 1 };
    if pixels * (3 + bytes_per_sample * frame.ids().len() as u64) > MOST_DECODED_BYTES {
        return Err(ImageProblem::too_many_pixels(frame.width as u64, frame.height as u64));
    }
    Ok(())
}
