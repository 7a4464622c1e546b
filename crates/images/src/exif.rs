//! The orientation that a file states about its image, in EXIF or XMP.
//!
//! References: CIPA DC-008, "Exchangeable image file format", version 2.32, tag 0x0112; ISO 16684-1
//! (XMP). Contract: Pillow's `ImageOps.exif_transpose` finds the same orientation. XMP only counts
//! where EXIF states none. Metadata that ends early or makes no sense states none.

use image::metadata::Orientation;
use std::borrow::Cow;

use crate::tiff::Numbers;

/// What precedes EXIF in JPEG files, and often in others.
pub(crate) const HEADER: &[u8] = b"Exif\0\0";
/// What precedes XMP in JPEG files.
pub(crate) const XMP_HEADER: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

const ORIENTATION: u64 = 0x0112;

/// The metadata of a file that may state an orientation.
#[derive(Debug, Default)]
pub(crate) struct Metadata<'a> {
    /// EXIF: a complete TIFF file, which [`HEADER`] may precede.
    pub exif: Option<Cow<'a, [u8]>>,
    /// An XML text.
    pub xmp: Option<Cow<'a, [u8]>>,
}

impl Metadata<'_> {
    /// How the image is stored.
    pub fn orientation(&self) -> Option<Orientation> {
        let in_exif = self.exif.as_deref().and_then(exif_orientation);
        let value = in_exif.or_else(|| xmp_orientation(self.xmp.as_deref()?))?;
        Orientation::from_exif(u8::try_from(value).ok()?)
    }
}

/// The orientation tag of the first directory, a 16-bit or 32-bit integer.
fn exif_orientation(mut exif: &[u8]) -> Option<u64> {
    while let Some(rest) = exif.strip_prefix(HEADER) {
        exif = rest;
    }
    let little_endian = match exif {
        [b'I', b'I', 42, 0, ..] => true,
        [b'M', b'M', 0, 42, ..] => false,
        _ => return None,
    };
    let numbers = Numbers {
        bytes: exif,
        little_endian,
    };
    let number = |at, size| numbers.get(at, size).ok();
    let directory = number(4, 4)?;
    let mut entries = (0..number(directory, 2)?).map(|index| directory + 2 + 12 * index);
    let entry = entries.find(|&entry| number(entry, 2) == Some(ORIENTATION))?;
    match (number(entry + 2, 2)?, number(entry + 4, 4)?) {
        (3, 1) => number(entry + 8, 2),
        (4, 1) => number(entry + 8, 4),
        _ => None,
    }
}

/// The orientation as an attribute or an element. The text is not parsed as XML: it may be cut.
fn xmp_orientation(xmp: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"tiff:Orientation";
    let mut places = (0..xmp.len()).filter(|&at| xmp[at..].starts_with(NAME));
    places.find_map(|at| match &xmp[at + NAME.len()..] {
        [b'=', b'"', digit @ b'0'..=b'9', ..] | [b'>', digit @ b'0'..=b'9', ..] => Some(u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EXIF whose only entry is an orientation with this type, count and value.
    fn exif(header: &[u8], kind: u8, count: u8, value: u8) -> Vec<u8> {
        let entry = [0x12, 1, kind, 0, count, 0, 0, 0, value, 0, 0, 0];
        [header, b"II*\0\x08\0\0\0\x01\0", &entry, b"\0\0\0\0"].concat()
    }

    fn orientation(exif: &[u8], xmp: &str) -> Option<u8> {
        let metadata = Metadata {
            exif: Some(exif.into()),
            xmp: Some(xmp.as_bytes().into()),
        };
        metadata.orientation().map(Orientation::to_exif)
    }

    #[test]
    fn exif_is_read_in_every_spelling() {
        assert_eq!(orientation(&exif(b"", 3, 1, 6), ""), Some(6));
        assert_eq!(orientation(&exif(HEADER, 4, 1, 5), ""), Some(5));
        let big = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0";
        assert_eq!(orientation(big, ""), Some(8));
        // A byte, two numbers, and numbers that are not an orientation.
        for other in [
            exif(b"", 1, 1, 6),
            exif(b"", 3, 2, 6),
            exif(b"", 3, 1, 0),
            exif(b"", 3, 1, 9),
        ] {
            assert_eq!(orientation(&other, ""), None);
        }
    }

    #[test]
    fn exif_that_ends_early_states_nothing() {
        let whole = exif(HEADER, 3, 1, 6);
        let value_ends = whole.len() - 6;
        for length in 0..whole.len() {
            let found = orientation(&whole[..length], "");
            assert_eq!(found, (length >= value_ends).then_some(6), "{length}");
        }
    }

    #[test]
    fn xmp_is_used_if_exif_has_no_orientation() {
        let (attribute, element) = ("<a tiff:Orientation=\"3\"/>", "<tiff:Orientation>7</tiff:Orientation>");
        assert_eq!(orientation(b"", attribute), Some(3));
        assert_eq!(orientation(b"", element), Some(7));
        assert_eq!(orientation(&exif(b"", 3, 1, 6), attribute), Some(6));
        assert_eq!(orientation(&exif(b"", 3, 1, 9), attribute), None);
        for other in ["tiff:Orientation", "tiff:Orientation=\"x\"", "tiff:Orientation=\"9\""] {
            assert_eq!(orientation(b"", other), None, "{other}");
        }
    }
}
