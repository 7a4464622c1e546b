//! Whether an image file has a single channel, from its header alone.
//!
//! Contract: a decoded image of such a file is grey. The reverse does not hold: other formats are
//! not examined, and a file with three channels may be grey as well. Of most files only the first
//! [`FIRST_BYTES`] are read.

use std::io::{self, Read};
use std::path::Path;

use crate::file::open_file;
use crate::format::ImageFormat;
use crate::jpeg::{self, Flaw};
use crate::png;

/// Number of bytes that are read first: PNG files and most JPEG files have their header in them.
const FIRST_BYTES: u64 = 4 << 10;
/// Number of bytes at the beginning of a JPEG file, metadata included, that are searched for its
/// header.
const HEADER_BYTES: u64 = 256 << 10;

/// Whether the file in `path` is a JPEG or PNG file whose header states a single channel of
/// luminance. A PNG file may have transparency as well.
///
/// # Errors
/// An I/O error; or the file is not a regular one.
pub fn has_one_channel(path: &Path) -> io::Result<bool> {
    let (file, _) = open_file(path)?;
    let (mut bytes, mut wanted) = (Vec::new(), FIRST_BYTES);
    loop {
        (&file).take(wanted - bytes.len() as u64).read_to_end(&mut bytes)?;
        let has_more = bytes.len() as u64 == wanted && wanted < HEADER_BYTES;
        match ImageFormat::of(&bytes) {
            Some(ImageFormat::Png) => return Ok(png::is_grey(&bytes)),
            Some(ImageFormat::Jpeg) => match jpeg::components(&bytes) {
                Err(flaw) if flaw == Flaw::ENDS_EARLY && has_more => wanted *= 4,
                components => return Ok(components == Ok(1)),
            },
            _ => return Ok(false),
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
        let with = |before: &[u8]| [&bytes[..2], before, &bytes[2..]].concat();
        let comment = |length: u16| {
            [
                &[0xff, 0xfe][..],
                &length.to_be_bytes(),
                &vec![0; usize::from(length) - 2],
            ]
            .concat()
        };
        for (bytes, expected) in [
            (with(&comment(258)), true),
            (with(&comment(5000)), true),
            (with(&comment(60_000).repeat(4)), true),
            (with(&comment(60_000).repeat(5)), false),
            // Fill bytes, a marker without a segment, and bytes that belong to nothing.
            (with(&[0xff, 0xff, 0xff, 0x01, 7, 7]), true),
            (with(&comment(258))[..100].to_vec(), false),
            (bytes[..2].to_vec(), false),
        ] {
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(has_one_channel(&path).unwrap(), expected, "{} bytes", bytes.len());
        }
        assert!(has_one_channel(folder.path()).is_err());
    }
}
