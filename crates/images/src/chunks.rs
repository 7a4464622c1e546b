//! Checks that a PNG, WebP or GIF file contains all of its chunks, and collects those that may
//! state an orientation.
//!
//! The decoders stop once they have the pixels of the first frame, or take the end of the file for
//! the end of its data. This module reads the file to its end marker. Bytes after that are ignored.

use flate2::read::ZlibDecoder;
use std::borrow::Cow;
use std::io::Read;

use crate::error::{ENDS_EARLY, ImageProblem};
use crate::exif::Metadata;
use crate::format::ImageFormat;
use crate::image::{Image, ImageShape};

/// Maximum size of a text, inflated if it is compressed; the rest is ignored.
const MOST_TEXT_BYTES: usize = 1 << 20;
/// Flags of a WebP file that has EXIF or XMP.
const WEBP_EXIF: u8 = 8;
const WEBP_XMP: u8 = 4;

/// Takes the first `count` bytes.
fn take<'a>(format: ImageFormat, bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], ImageProblem> {
    let (taken, rest) = bytes
        .split_at_checked(count)
        .ok_or_else(|| ImageProblem::damaged(format, ENDS_EARLY))?;
    *bytes = rest;
    Ok(taken)
}

/// Reads a PNG file to its IEND chunk; returns its metadata, which may follow the pixels. A palette
/// must be complete: the decoder panics otherwise.
pub(crate) fn png(bytes: &[u8]) -> Result<Metadata<'_>, ImageProblem> {
    let mut rest = bytes;
    take(ImageFormat::Png, &mut rest, 8)?;
    // The last texts: only these are inflated, since a file may contain many.
    let (mut exif, mut profile, mut xmp) = (None, None, None);
    // Number of colours of the smallest palette, and largest number of transparencies.
    let (mut colours, mut transparent) = (256, 0);
    let mut indexed = false;
    loop {
        let header = take(ImageFormat::Png, &mut rest, 8)?;
        let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let data = take(ImageFormat::Png, &mut rest, length)?;
        take(ImageFormat::Png, &mut rest, 4)?;
        match &header[4..] {
            b"IEND" if indexed && transparent > colours => {
                return Err(ImageProblem::damaged(
                    ImageFormat::Png,
                    "its palette has fewer colours than transparencies",
                ));
            }
            b"IEND" => {
                let profile = || Some(raw_profile(&png_text(profile?)?).into());
                return Ok(Metadata {
                    exif: exif.map(Cow::from).or_else(profile),
                    xmp: xmp.and_then(png_text),
                });
            }
            b"IHDR" => indexed = data.get(9) == Some(&3),
            b"PLTE" if !length.is_multiple_of(3) || !(3..=3 * 256).contains(&length) => {
                let reason = format!("its palette has {length} bytes");
                return Err(ImageProblem::damaged(ImageFormat::Png, reason));
            }
            b"PLTE" => colours = colours.min(length / 3),
            b"tRNS" => transparent = transparent.max(length),
            b"eXIf" => exif = Some(data),
            kind @ (b"tEXt" | b"zTXt" | b"iTXt") => match split_at_zero(data) {
                Some((b"Raw profile type exif", data)) => profile = Some((kind, data)),
                Some((b"XML:com.adobe.xmp", data)) => xmp = Some((kind, data)),
                _ => {}
            },
            _ => {}
        }
    }
}

/// The bytes before and after the first zero.
fn split_at_zero(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|&byte| byte == 0)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// The text of a PNG chunk, from its kind and its data after the keyword; `None` if it is damaged.
fn png_text<'a>(chunk: (&[u8], &'a [u8])) -> Option<Cow<'a, [u8]>> {
    let (is_compressed, text) = match chunk {
        (b"tEXt", text) => (false, text),
        (b"zTXt", [_method, text @ ..]) => (true, text),
        (b"iTXt", [is_compressed, _method, rest @ ..]) => {
            let (_language, rest) = split_at_zero(rest)?;
            let (_translated_keyword, text) = split_at_zero(rest)?;
            (*is_compressed == 1, text)
        }
        _ => return None,
    };
    if !is_compressed {
        return Some(text[..text.len().min(MOST_TEXT_BYTES)].into());
    }
    let mut inflated = Vec::new();
    let mut decoder = ZlibDecoder::new(text).take(MOST_TEXT_BYTES as u64);
    decoder.read_to_end(&mut inflated).ok()?;
    Some(inflated.into())
}

/// The content of a profile as ImageMagick writes it: an empty line, its name and its length, then
/// lines of hexadecimal digits.
fn raw_profile(text: &[u8]) -> Vec<u8> {
    let lines = text.split(|&byte| byte == b'\n').skip(3);
    let digits: Vec<u8> = lines
        .flatten()
        .filter_map(|&byte| char::from(byte).to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    let (pairs, _) = digits.as_chunks::<2>();
    pairs.iter().map(|[high, low]| high << 4 | low).collect()
}

/// Checks that a WebP file has the length that it claims and that each chunk lies within it;
/// returns its metadata.
pub(crate) fn webp(bytes: &[u8]) -> Result<Metadata<'_>, ImageProblem> {
    let mut rest = bytes;
    let header = take(ImageFormat::WebP, &mut rest, 8)?;
    let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
    let mut chunks = take(ImageFormat::WebP, &mut rest, length)?;
    take(ImageFormat::WebP, &mut chunks, 4)?;
    let (mut flags, mut metadata) = (0, Metadata::default());
    while chunks.len() >= 8 {
        let header = take(ImageFormat::WebP, &mut chunks, 8)?;
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let data = take(ImageFormat::WebP, &mut chunks, length)?;
        match &header[..4] {
            b"VP8X" => flags = data.first().copied().unwrap_or(0),
            b"EXIF" if flags & WEBP_EXIF != 0 => metadata.exif = metadata.exif.or(Some(data.into())),
            b"XMP " if flags & WEBP_XMP != 0 => metadata.xmp = metadata.xmp.or(Some(data.into())),
            _ => {}
        }
        // A chunk of odd length is padded; the padding of the last may be missing.
        chunks = chunks.get(length % 2..).unwrap_or_default();
    }
    Ok(metadata)
}

/// The first frame of a GIF file, which may cover only part of the image.
pub(crate) struct FirstFrame<'a> {
    left: u16,
    top: u16,
    width: u16,
    height: u16,
    /// Red, green and blue of each colour.
    palette: &'a [u8],
    transparent: Option<u8>,
}

impl FirstFrame<'_> {
    /// Fills the area around the frame with the transparent colour, or the first colour if there is
    /// none, as Pillow does.
    pub(crate) fn surround(&self, image: &mut Image) {
        let ImageShape { height, width, .. } = image.shape();
        let rows = usize::from(self.top)..usize::from(self.top) + usize::from(self.height);
        let columns = usize::from(self.left)..usize::from(self.left) + usize::from(self.width);
        let colour = 3 * usize::from(self.transparent.unwrap_or(0));
        for (channel, plane) in image.pixels_mut().chunks_exact_mut(height * width).enumerate() {
            let colour = self.palette.get(colour + channel).copied().unwrap_or(0);
            for (row, pixels) in plane.chunks_exact_mut(width).enumerate() {
                for (column, pixel) in pixels.iter_mut().enumerate() {
                    if !rows.contains(&row) || !columns.contains(&column) {
                        *pixel = colour;
                    }
                }
            }
        }
    }
}

/// Reads a GIF file to its trailer.
pub(crate) fn gif(bytes: &[u8]) -> Result<FirstFrame<'_>, ImageProblem> {
    let colours = |flags: u8| if flags & 0x80 == 0 { 0 } else { 6 << (flags & 7) };
    let mut rest = bytes;
    let header = take(ImageFormat::Gif, &mut rest, 13)?;
    let palette = take(ImageFormat::Gif, &mut rest, colours(header[10]))?;
    let mut first = None;
    let mut transparent = None;
    loop {
        match take(ImageFormat::Gif, &mut rest, 1)?[0] {
            // The trailer.
            0x3b => return first.ok_or_else(|| ImageProblem::damaged(ImageFormat::Gif, "it has no frame")),
            // Some encoders leave zeros between blocks.
            0 => continue,
            // An extension; one kind declares the transparent colour of the next frame.
            0x21 => {
                let kind = take(ImageFormat::Gif, &mut rest, 1)?[0];
                if let (0xf9, [4, flags, _, _, colour, ..]) = (kind, rest) {
                    transparent = (flags & 1 == 1).then_some(*colour);
                }
            }
            // A frame: its palette and code size.
            0x2c => {
                let frame = take(ImageFormat::Gif, &mut rest, 9)?;
                let own = take(ImageFormat::Gif, &mut rest, colours(frame[8]))?;
                take(ImageFormat::Gif, &mut rest, 1)?;
                let number = |at: usize| u16::from_le_bytes([frame[at], frame[at + 1]]);
                first.get_or_insert(FirstFrame {
                    left: number(0),
                    top: number(2),
                    width: number(4),
                    height: number(6),
                    palette: if own.is_empty() { palette } else { own },
                    transparent,
                });
            }
            _ => {
                return Err(ImageProblem::damaged(
                    ImageFormat::Gif,
                    "it contains a block of unknown type",
                ));
            }
        }
        while let length @ 1.. = take(ImageFormat::Gif, &mut rest, 1)?[0] {
            take(ImageFormat::Gif, &mut rest, length.into())?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::read::ZlibEncoder;

    #[test]
    fn a_chunk_of_webp_that_claims_more_than_the_file_has_is_damage() {
        let file = |claimed: u32| {
            let mut bytes = b"RIFF\x10\0\0\0WEBPEXIF".to_vec();
            bytes.extend(claimed.to_le_bytes());
            bytes.extend(*b"abcd");
            bytes
        };
        assert!(webp(&file(4)).is_ok());
        assert!(webp(&file(3)).is_ok());
        assert!(webp(&file(5)).is_err());
        assert!(webp(&file(u32::MAX)).is_err());
    }

    #[test]
    fn a_text_that_inflates_to_more_than_the_limit_is_cut() {
        let mut compressed = vec![0];
        let zeros = std::io::repeat(0).take(1 << 26);
        ZlibEncoder::new(zeros, Compression::fast())
            .read_to_end(&mut compressed)
            .unwrap();
        let text = png_text((b"zTXt", &compressed)).unwrap();
        assert_eq!(text.len(), MOST_TEXT_BYTES);
        assert!(png_text((b"zTXt", b"\0no zlib")).is_none());
        assert!(png_text((b"tIME", b"")).is_none());
    }

    #[test]
    fn an_exif_chunk_overrides_profiles_and_the_last_profile_overrides_earlier_ones() {
        let text = |orientation: u8| {
            let exif = format!("4949 2a00 0800 0000 0100 1201 0300 0100 0000 0{orientation}00 0000");
            format!("Raw profile type exif\0\nexif\n{:8}\n{exif}\n", 22)
        };
        let file = |chunks: &[(&[u8; 4], &[u8])]| {
            let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
            for (name, data) in chunks.iter().chain(&[(b"IEND", &b""[..])]) {
                bytes.extend((data.len() as u32).to_be_bytes());
                bytes.extend([&name[..], data, &[0; 4]].concat());
            }
            png(&bytes).unwrap().orientation().map(|found| found.to_exif())
        };
        let (three, six) = (text(3), text(6));
        let texts: [(&[u8; 4], &[u8]); 2] = [(b"tEXt", three.as_bytes()), (b"tEXt", six.as_bytes())];
        assert_eq!(file(&texts), Some(6));
        let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x08\0\0\0";
        assert_eq!(file(&[(b"eXIf", exif), texts[0]]), Some(8));
        assert_eq!(file(&[]), None);
    }
}
