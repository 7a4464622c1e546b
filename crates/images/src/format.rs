//! The supported formats, recognised by a file's first bytes, and the file name endings by which
//! the images of a folder are found.

use std::path::Path;

use strum::VariantArray;

/// A supported format. The content of a file decides its format, whatever its name ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::Display, VariantArray)]
#[strum(serialize_all = "UPPERCASE")]
pub enum ImageFormat {
    /// Baseline and progressive, 8 bits.
    Jpeg,
    /// Every kind; the default image of an animation.
    Png,
    /// Lossy and lossless; the first frame of an animation.
    #[strum(serialize = "WebP")]
    WebP,
    /// Windows bitmaps.
    Bmp,
    /// The first page.
    Tiff,
    /// The first frame.
    Gif,
}

/// File name endings of images, compared case-insensitively.
pub const IMAGE_ENDINGS: [&str; 11] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "tif", "tiff", "gif",
];

/// Whether a file name has one of the [`IMAGE_ENDINGS`].
pub fn has_image_ending(path: &Path) -> bool {
    path.extension()
        .and_then(|ending| ending.to_str())
        .is_some_and(|ending| IMAGE_ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

/// Unsupported formats, recognised so that errors can name them: offset of the magic bytes, the
/// bytes, and the name.
const OTHERS: [(usize, &[u8], &str); 15] = [
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (4, b"ftypheic", "HEIC"),
    (4, b"ftypheix", "HEIC"),
    (4, b"ftyphevc", "HEIC"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"ftypmsf1", "HEIF"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL \x0d\x0a", "JPEG XL"),
    (4, b"jP  \x0d\x0a", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"8BPS", "Photoshop"),
    (0, b"\x00\x00\x01\x00", "icon"),
    (0, b"%PDF", "PDF"),
    (0, b"<svg", "SVG"),
];

impl ImageFormat {
    /// The format that these first bytes indicate.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            [b'B', b'M', ..] => Some(Self::Bmp),
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Some(Self::Tiff),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            _ => None,
        }
    }

    /// The name of the unsupported format that these first bytes indicate.
    pub(crate) fn other(bytes: &[u8]) -> Option<&'static str> {
        OTHERS
            .iter()
            .find(|(at, mark, _)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(mark)))
            .map(|&(_, _, name)| name)
    }

    /// The names of all formats as a list in a sentence, with `word` before the last.
    pub(crate) fn names(word: &str) -> String {
        let names: Vec<String> = Self::VARIANTS.iter().map(ToString::to_string).collect();
        let (last, others) = names
            .split_last()
            .map_or(("", &[][..]), |(last, others)| (last, others));
        format!("{} {word} {last}", others.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_case_insensitive_and_other_names_are_not_images() {
        for name in ["a.JPG", "a.b.Tiff", "a.jfif", "a.DIB"] {
            assert!(has_image_ending(Path::new(name)), "{name}");
        }
        for name in ["jpg", ".png", "a.txt", "a.jpg.part", "a.heic"] {
            assert!(!has_image_ending(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn other_formats_are_named() {
        assert_eq!(ImageFormat::other(b"\x00\x00\x00\x18ftypheic\x00"), Some("HEIC"));
        assert_eq!(ImageFormat::other(b"nothing"), None);
        assert_eq!(ImageFormat::names("or"), "JPEG, PNG, WebP, BMP, TIFF or GIF");
    }
}
