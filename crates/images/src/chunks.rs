//! Checks that a PNG, WebP or GIF file contains all of its chunks.
//!
//! The decoders stop once they have the pixels of the first frame, or take the end of the file for
//! the end of its data. This module reads the file to its end marker. Bytes after that are ignored.

use crate::error::{ENDS_EARLY, ImageProblem};
use crate::format::ImageFormat;
use crate::image::{Image, ImageShape};

/// Takes the first `count` bytes.
fn take<'a>(format: ImageFormat, bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], ImageProblem> {
    let (taken, rest) = bytes
        .split_at_checked(count)
        .ok_or_else(|| ImageProblem::damaged(format, ENDS_EARLY))?;
    *bytes = rest;
    Ok(taken)
}

/// Reads a PNG file to its IEND chunk; returns the content of its eXIf chunk, which may follow the
/// pixels. A palette must be whole: the decoder panics otherwise.
pub(crate) fn png(bytes: &[u8]) -> Result<Option<&[u8]>, ImageProblem> {
    let mut rest = bytes;
    take(ImageFormat::Png, &mut rest, 8)?;
    let mut exif = None;
    // Colours of the smallest palette, and of them those with a transparency.
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
            b"IEND" => return Ok(exif),
            b"IHDR" => indexed = data.get(9) == Some(&3),
            b"PLTE" if !length.is_multiple_of(3) || !(3..=3 * 256).contains(&length) => {
                let reason = format!("its palette has {length} bytes");
                return Err(ImageProblem::damaged(ImageFormat::Png, reason));
            }
            b"PLTE" => colours = colours.min(length / 3),
            b"tRNS" => transparent = transparent.max(length),
            b"eXIf" => exif = Some(data),
            _ => {}
        }
    }
}

/// Checks that a WebP file has the length that it claims and that each chunk lies within it. The
/// decoder would allocate memory for a metadata chunk according to its header.
pub(crate) fn webp(bytes: &[u8]) -> Result<(), ImageProblem> {
    let mut rest = bytes;
    let header = take(ImageFormat::WebP, &mut rest, 8)?;
    let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
    let mut chunks = take(ImageFormat::WebP, &mut rest, length)?;
    take(ImageFormat::WebP, &mut chunks, 4)?;
    while chunks.len() >= 8 {
        let header = take(ImageFormat::WebP, &mut chunks, 8)?;
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        take(ImageFormat::WebP, &mut chunks, length)?;
        // A chunk of odd length is padded; the padding of the last may be missing.
        chunks = chunks.get(length % 2..).unwrap_or_default();
    }
    Ok(())
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
                    "it holds a block of no known kind",
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
    use super::webp;

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
}
