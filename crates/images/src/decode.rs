//! Decodes the bytes of a file to an image: the same way in training, prediction and deployment.
//!
//! | in the file | result |
//! |---|---|
//! | an orientation (of EXIF or XMP, or TIFF's own) | turned and mirrored, as viewers show it |
//! | transparency | dropped: the colours under it, as Pillow's `convert("RGB")` gives them |
//! | 16 bits per channel | `v · 255 / 65535`, rounded |
//! | a palette, 1, 2 or 4 bits | the colours of the palette |
//! | CMYK, or YCCK of Adobe | `(255 − C) · (255 − K) / 255` for red, and so on |
//! | several frames or pages | the first |
//! | a colour profile | ignored |
//!
//! A single channel is luma, `0.2126 R + 0.7152 G + 0.0722 B` (sRGB; Pillow's mode `L` has the
//! weights of an older standard). Contract: an incomplete file is an error, as is one that would
//! need more than [`MOST_DECODED_BYTES`].

use da2s_records::schema::PreprocessingRules;
use image::codecs::bmp::BmpDecoder;
use image::codecs::gif::GifDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{ImageDecoder, ImageResult, Limits};
use std::io::Cursor;
use std::path::Path;

use crate::error::{ImageError, ImageProblem};
use crate::file::read_file;
use crate::format::ImageFormat;
use crate::image::{Image, ImageShape};
use crate::orientation::upright;
use crate::{chunks, jpeg, png, size, tiff};

/// Maximum number of bytes that a decoder may allocate for an image, whatever the header claims.
pub const MOST_DECODED_BYTES: u64 = 512 << 20;

impl Image {
    /// Reads a file as an image of one channel (luma) or three (red, green, blue).
    ///
    /// # Errors
    /// If the file cannot be read or decoded.
    ///
    /// # Panics
    /// If `channels` is neither 1 nor 3.
    pub fn read(path: &Path, channels: usize) -> Result<Self, ImageError> {
        let bytes = read_file(path).map_err(|error| ImageError::new(path, error.into()))?;
        Self::decode(path, &bytes, channels)
    }

    /// Like [`Self::read`], from the bytes of the file; `path` names it in errors.
    ///
    /// # Errors
    /// If the bytes cannot be decoded.
    ///
    /// # Panics
    /// If `channels` is neither 1 nor 3.
    pub fn decode(path: &Path, bytes: &[u8], channels: usize) -> Result<Self, ImageError> {
        Self::decoded(path, bytes, channels, None)
    }

    /// Like [`Self::decode`], if the header of the file states at most `most_pixels` pixels.
    ///
    /// # Errors
    /// If it states more, or the bytes cannot be decoded.
    ///
    /// # Panics
    /// If `channels` is neither 1 nor 3.
    pub fn decode_within(path: &Path, bytes: &[u8], channels: usize, most_pixels: u64) -> Result<Self, ImageError> {
        Self::decoded(path, bytes, channels, Some(most_pixels))
    }

    fn decoded(path: &Path, bytes: &[u8], channels: usize, most_pixels: Option<u64>) -> Result<Self, ImageError> {
        assert!(
            matches!(channels, 1 | 3),
            "an image has 1 or 3 channels, not {channels}"
        );
        let image = decode(bytes, most_pixels).map_err(|problem| ImageError::new(path, problem))?;
        let ImageShape { height, width, .. } = image.shape();
        let pixels = match (image.shape().channels, channels) {
            (1, 3) => image.pixels().repeat(3),
            (3, 1) => luma(image.pixels(), height * width),
            _ => return Ok(image),
        };
        let shape = ImageShape {
            channels,
            height,
            width,
        };
        Ok(Self::new(shape, pixels))
    }
}

/// The upright image, grey or RGB.
fn decode(bytes: &[u8], most_pixels: Option<u64>) -> Result<Image, ImageProblem> {
    if bytes.is_empty() {
        return Err(ImageProblem::Empty);
    }
    let Some(format) = ImageFormat::of(bytes) else {
        return Err(ImageFormat::other(bytes).map_or(ImageProblem::NotAnImage, |name| {
            ImageProblem::unsupported(format!("{name} files"))
        }));
    };
    if let Some(most_pixels) = most_pixels {
        let (width, height) = size::of(format, bytes)?;
        let (width, height) = (u64::from(width), u64::from(height));
        if width * height > most_pixels {
            return Err(ImageProblem::too_many_pixels(width, height));
        }
    }
    let said = |error| ImageProblem::from_decoder(format, &error);
    let data = Cursor::new(bytes);
    let (image, orientation) = match format {
        ImageFormat::Jpeg => jpeg::decode(bytes)?,
        ImageFormat::Tiff => tiff::decode(bytes)?,
        ImageFormat::Png => {
            let metadata = chunks::png(bytes)?;
            (png::decode(bytes)?, metadata.orientation())
        }
        ImageFormat::WebP => {
            let metadata = chunks::webp(bytes)?;
            let decoder = WebPDecoder::new(data).map_err(said)?;
            // The decoder keeps several copies of the image while it works.
            if decoder.total_bytes() > MOST_DECODED_BYTES / 2 {
                let (width, height) = decoder.dimensions();
                return Err(ImageProblem::too_many_pixels(width.into(), height.into()));
            }
            (pixels(decoder).map_err(said)?, metadata.orientation())
        }
        ImageFormat::Gif => {
            let first = chunks::gif(bytes)?;
            let decoder = GifDecoder::new(data).map_err(said)?;
            if decoder.total_bytes() == 0 {
                return Err(ImageProblem::damaged(format, "it has no pixels"));
            }
            let mut image = pixels(decoder).map_err(said)?;
            first.surround(&mut image);
            (image, None)
        }
        ImageFormat::Bmp => (BmpDecoder::new(data).and_then(pixels).map_err(said)?, None),
    };
    Ok(upright(image, orientation.unwrap_or(Orientation::NoTransforms)))
}

fn limits() -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MOST_DECODED_BYTES);
    limits
}

/// The output of a decoder of the image crate within the limits, without transparency.
fn pixels<D: ImageDecoder>(mut decoder: D) -> ImageResult<Image> {
    let mut limits = limits();
    limits.reserve(decoder.total_bytes())?;
    decoder.set_limits(limits)?;
    let (width, height) = decoder.dimensions();
    let colours = decoder.color_type();
    let mut samples = vec![0; decoder.total_bytes() as usize];
    decoder.read_image(&mut samples)?;
    let count = usize::from(colours.channel_count());
    if usize::from(colours.bytes_per_pixel()) == 2 * count {
        let (wide, _) = samples.as_chunks::<2>();
        samples = wide
            .iter()
            .map(|&bytes| from_16_bits(u16::from_ne_bytes(bytes)))
            .collect();
    }
    let shape = ImageShape {
        channels: if colours.has_color() { 3 } else { 1 },
        height: height as usize,
        width: width as usize,
    };
    Ok(Image::new(shape, planes(&samples, count, shape.channels)))
}

/// The nearest 8-bit value.
pub(crate) fn from_16_bits(value: u16) -> u8 {
    ((u32::from(value) * 255 + 32_767) / 65_535) as u8
}

/// Rounded luma of red, green and blue planes.
fn luma(planes: &[u8], plane: usize) -> Vec<u8> {
    let (red, others) = planes.split_at(plane);
    let (green, blue) = others.split_at(plane);
    let weights = PreprocessingRules::GREY.map(u32::from);
    let weighted = |((&red, &green), &blue): ((&u8, &u8), &u8)| {
        let sum = weights[0] * u32::from(red) + weights[1] * u32::from(green) + weights[2] * u32::from(blue);
        ((sum + 5_000) / 10_000) as u8
    };
    red.iter().zip(green).zip(blue).map(weighted).collect()
}

/// The first `channels` of `count` interleaved samples per pixel, as separate planes.
pub(crate) fn planes(samples: &[u8], count: usize, channels: usize) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(samples.len() / count * channels);
    for channel in 0..channels {
        pixels.extend(samples.chunks_exact(count).map(|pixel| pixel[channel]));
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn interleaved_samples_become_planes() {
        assert_eq!(planes(&[1, 2, 3, 4, 5, 6], 3, 3), [1, 4, 2, 5, 3, 6]);
        assert_eq!(planes(&[1, 2, 3, 4], 2, 1), [1, 3]);
    }

    #[test]
    fn a_header_that_claims_more_than_its_file_has_is_refused_at_once() {
        let mut bytes = Vec::new();
        let format = image::ImageFormat::Jpeg;
        image::GrayImage::new(8, 8)
            .write_to(&mut Cursor::new(&mut bytes), format)
            .unwrap();
        let frame = bytes.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
        assert!(Image::decode(Path::new("a.jpg"), &bytes, 1).is_ok());
        // 10,000×10,000 grey pixels fit within the decoder's limit.
        bytes[frame + 5..frame + 9].copy_from_slice(&[0x27, 0x10, 0x27, 0x10]);
        let error = Image::decode(Path::new("a.jpg"), &bytes, 1).unwrap_err();
        assert_eq!(error.to_string(), "a.jpg: damaged JPEG image: it ends early");
        // A single colour compresses best.
        let mut bytes = Vec::new();
        let format = image::ImageFormat::Png;
        image::GrayImage::new(3000, 3000)
            .write_to(&mut Cursor::new(&mut bytes), format)
            .unwrap();
        assert!(
            Image::decode(Path::new("a.png"), &bytes, 1).is_ok(),
            "{} bytes",
            bytes.len()
        );
    }

    #[test]
    fn a_decoded_png_is_the_picture_that_was_written() {
        let mut bytes = Vec::new();
        let written = image::RgbImage::from_fn(3, 2, |x, y| image::Rgb([x as u8, y as u8, 9]));
        written
            .write_to(&mut Cursor::new(&mut bytes), image::ImageFormat::Png)
            .unwrap();
        let image = Image::decode(Path::new("a.png"), &bytes, 3).unwrap();
        assert_eq!(image.shape().to_string(), "3×2×3");
        assert_eq!(image.pixels(), [0, 1, 2, 0, 1, 2, 0, 0, 0, 1, 1, 1, 9, 9, 9, 9, 9, 9]);
    }

    proptest! {
        #[test]
        fn luma_is_that_of_the_image_crate(red: u8, green: u8, blue: u8) {
            let pixel = image::RgbImage::from_pixel(1, 1, image::Rgb([red, green, blue]));
            let luma = image::DynamicImage::from(pixel).into_luma8().into_raw();
            // Floating point may round a half up or down.
            prop_assert!(super::luma(&[red, green, blue], 1)[0].abs_diff(luma[0]) <= 1);
        }

        #[test]
        fn arbitrary_bytes_are_an_error(bytes: Vec<u8>) {
            prop_assert!(Image::decode(Path::new("a.png"), &bytes, 3).is_err());
        }
    }
}
