//! Whether an image file has a single channel, from its header alone.
//!
//! Reference: W3C, "Portable Network Graphics Specification", third edition, 2025, section 11.2.1;
//! ITU-T T.81, "Digital Compression and Coding of Continuous-tone Still Images", 1992, annex B.
//! Contract: a decoded image of such a file is grey. The reverse does not hold: other formats are
//! not examined, and a file with three channels may be grey as well.

use std::io::{self, Read};
use std::path::Path;

use crate::file::open_file;
use crate::format::ImageFormat;

/// Number of bytes that are searched for the header of a JPEG image, after its metadata.
const HEADER_BYTES: u64 = 256 << 10;

/// Whether the header of the file in `path` names a single channel of luminance: of a PNG file,
/// with or without transparency, or of a JPEG file.
///
/// # Errors
/// An I/O error; or the file is not a regular one.
pub fn has_one_channel(path: &Path) -> io::Result<bool> {
    let mut bytes = Vec::new();
    open_file(path)?.0.take(HEADER_BYTES).read_to_end(&mut bytes)?;
    Ok(match ImageFormat::of(&bytes) {
        // The colour type in the first chunk: grey, and grey with transparency.
        Some(ImageFormat::Png) => matches!(bytes.get(25), Some(0 | 4)),
        Some(ImageFormat::Jpeg) => components(&bytes) == Some(1),
        _ => false,
    })
}

/// The number of components in the frame header of a JPEG file.
fn components(bytes: &[u8]) -> Option<u8> {
    // After the marker of the start.
    let mut at = 2;
    loop {
        let [0xff, marker] = *bytes.get(at..at + 2)? else {
            return None;
        };
        match marker {
            // Fill bytes before a marker.
            0xff => at += 1,
            // Start of frame, of any process: length, precision, height, width, components.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => return bytes.get(at + 9).copied(),
            _ => {
                let [high, low] = *bytes.get(at + 2..at + 4)? else {
                    return None;
                };
                at += 2 + usize::from(u16::from_be_bytes([high, low]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{DynamicImage, GrayImage};

    #[test]
    fn the_header_tells_grey_files_from_others() {
        let folder = tempfile::tempdir().unwrap();
        let grey = DynamicImage::from(GrayImage::from_fn(9, 7, |x, y| image::Luma([(x * y) as u8])));
        for (name, image, expected) in [
            ("grey.png", grey.clone(), true),
            ("alpha.png", grey.to_luma_alpha8().into(), true),
            ("deep.png", grey.to_luma16().into(), true),
            ("colour.png", grey.to_rgb8().into(), false),
            ("grey.jpg", grey.clone(), true),
            ("colour.jpg", grey.to_rgb8().into(), false),
            ("grey.bmp", grey.clone(), false),
        ] {
            let path = folder.path().join(name);
            image.save(&path).unwrap();
            assert_eq!(has_one_channel(&path).unwrap(), expected, "{name}");
        }
        // Metadata before the frame, and a file that ends in it.
        let path = folder.path().join("grey.jpg");
        let bytes = std::fs::read(&path).unwrap();
        let comment = [&[0xff, 0xfe, 0x01, 0x02][..], &[0; 256]].concat();
        let longer = [&bytes[..2], &comment, &[0xff], &bytes[2..]].concat();
        for (bytes, expected) in [(&longer[..], true), (&longer[..100], false), (&bytes[..2], false)] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(has_one_channel(&path).unwrap(), expected);
        }
        assert!(has_one_channel(folder.path()).is_err());
    }
}
