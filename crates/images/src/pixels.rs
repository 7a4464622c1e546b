//! A picture in memory: bytes, channel by channel; decoding a file into one and resampling.
//!
//! Resampling uses the triangle filter, widened by the scale when it shrinks (anti-aliased bilinear, what the Python
//! imaging library calls BILINEAR), for every source alike.

use image::imageops::{self, FilterType};
use image::{GrayImage, ImageBuffer, ImageReader, Limits, Luma};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

/// Largest file of pictures that is read: the largest of a published data set has 155 MB.
pub const MOST_FILE_BYTES: u64 = 256 << 20;
/// Most bytes that a decoder may take for a picture, whatever the file's header claims.
pub const MOST_DECODED_BYTES: u64 = 512 << 20;
/// Most pixels for each byte of a file, more than a format can say in one: 8,256 of one bit in PNG, about 512 in JPEG.
const MOST_PIXELS_PER_BYTE: u64 = 10_000;

/// The bytes of a file of pictures.
///
/// # Errors
/// What the system says; or if it is larger than [`MOST_FILE_BYTES`], or no file that ends, as a pipe or a device.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    // Before it is opened: to open a pipe is to wait for somebody who writes.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_FILE_BYTES {
        let problem = format!("it is larger than {MOST_FILE_BYTES} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
    }
    Ok(bytes)
}

/// Size of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ImageShape {
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl ImageShape {
    /// Number of values: `channels × height × width`.
    pub const fn values(self) -> usize {
        self.channels * self.height * self.width
    }
}

impl fmt::Display for ImageShape {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}×{}×{}", self.channels, self.height, self.width)
    }
}

/// A file that is no picture.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It cannot be decoded.
    #[error("{}: not a picture that can be decoded: {source}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        source: image::ImageError,
    },
    /// It has no pixels.
    #[error("{}: expected at least one pixel, found {shape}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What it has.
        shape: ImageShape,
    },
}

/// A picture: `channels × height × width` bytes, 0 to 255.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    shape: ImageShape,
    pixels: Vec<u8>,
}

/// A rectangle within a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Image {
    /// A picture from its planes.
    ///
    /// # Panics
    /// If there are not exactly `channels × height × width` bytes.
    pub fn new(shape: ImageShape, pixels: Vec<u8>) -> Self {
        assert_eq!(pixels.len(), shape.values(), "a picture of {shape}");
        Self { shape, pixels }
    }

    /// Channels, rows and columns.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// The bytes, channel by channel, each row by row.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The bytes, to be changed in place.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// Decodes the bytes of a JPEG or PNG file to one channel (luma) or three (red, green, blue). Transparency is
    /// dropped, and so is the orientation that a camera may have noted. `path` names the file in errors.
    ///
    /// # Errors
    /// If the bytes are no such file.
    ///
    /// # Panics
    /// If `channels` is neither 1 nor 3.
    pub fn decode(path: &Path, bytes: &[u8], channels: usize) -> Result<Self, ImageError> {
        let reader = || {
            ImageReader::new(Cursor::new(bytes))
                .with_guessed_format()
                .map_err(image::ImageError::IoError)
        };
        // A header that claims more than the file can hold would have a decoder fill it up, and that resampled, for seconds.
        let plausible = |(width, height): (u32, u32)| {
            if u64::from(width) * u64::from(height) > MOST_PIXELS_PER_BYTE * bytes.len() as u64 {
                let kind = image::error::LimitErrorKind::DimensionError;
                return Err(image::ImageError::Limits(image::error::LimitError::from_kind(kind)));
            }
            reader()
        };
        let decoded = reader()
            .and_then(ImageReader::into_dimensions)
            .and_then(plausible)
            .and_then(|mut reader| {
                let mut limits = Limits::no_limits();
                limits.max_alloc = Some(MOST_DECODED_BYTES);
                reader.limits(limits);
                reader.decode()
            })
            .map_err(|source| ImageError::Decode {
                path: path.into(),
                source,
            })?;
        let shape = ImageShape {
            channels,
            height: decoded.height() as usize,
            width: decoded.width() as usize,
        };
        if shape.values() == 0 {
            return Err(ImageError::Empty {
                path: path.into(),
                shape,
            });
        }
        let pixels = match channels {
            1 => decoded.into_luma8().into_raw(),
            3 => planes(decoded.into_rgb8().as_raw()),
            _ => panic!("a picture has 1 or 3 channels, not {channels}"),
        };
        Ok(Self::new(shape, pixels))
    }

    /// The part of the picture within `window`, resampled to `height × width`.
    ///
    /// # Panics
    /// If the window does not lie within the picture, or one of the sizes is 0.
    pub fn resample(&self, window: Window, height: usize, width: usize) -> Self {
        let ImageShape {
            channels,
            height: rows,
            width: columns,
        } = self.shape;
        assert!(
            window.top + window.height <= rows && window.left + window.width <= columns,
            "{window:?} lies within {}",
            self.shape
        );
        assert!(window.height * window.width * height * width > 0);
        let mut pixels = Vec::with_capacity(channels * height * width);
        for plane in self.pixels.chunks_exact(rows * columns) {
            let plane: ImageBuffer<Luma<u8>, &[u8]> =
                ImageBuffer::from_raw(columns as u32, rows as u32, plane).expect("a plane has rows × columns bytes");
            let view = imageops::crop_imm(
                &plane,
                window.left as u32,
                window.top as u32,
                window.width as u32,
                window.height as u32,
            );
            let resampled: GrayImage = imageops::resize(&*view, width as u32, height as u32, FilterType::Triangle);
            pixels.extend_from_slice(resampled.as_raw());
        }
        Self::new(
            ImageShape {
                channels,
                height,
                width,
            },
            pixels,
        )
    }

    /// The centred square whose side is `fraction` (0 to 1) of the picture's shorter side, resampled to
    /// `size × size`: what a test image is seen as.
    pub fn fit(&self, size: usize, fraction: f32) -> Self {
        let ImageShape { height, width, .. } = self.shape;
        let shorter = height.min(width);
        let side = ((shorter as f32 * fraction).round() as usize).clamp(1, shorter);
        let window = Window {
            top: (height - side) / 2,
            left: (width - side) / 2,
            height: side,
            width: side,
        };
        self.resample(window, size, size)
    }
}

/// Interleaved red, green, blue to three planes.
fn planes(interleaved: &[u8]) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(interleaved.len());
    for channel in 0..3 {
        pixels.extend(interleaved.iter().skip(channel).step_by(3));
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ramp(channels: usize, height: usize, width: usize) -> Image {
        let shape = ImageShape {
            channels,
            height,
            width,
        };
        Image::new(shape, (0..shape.values()).map(|i| (i * 7 % 256) as u8).collect())
    }

    #[test]
    fn fit_of_a_square_of_that_size_changes_nothing() {
        assert_eq!(ramp(3, 8, 8).fit(8, 1.0), ramp(3, 8, 8));
    }

    #[test]
    fn fit_keeps_the_centred_square() {
        let image = ramp(1, 2, 6);
        let rows = [&image.pixels()[2..4], &image.pixels()[8..10]].concat();
        assert_eq!(image.fit(2, 1.0).pixels(), rows);
    }

    #[test]
    fn shrinking_averages_instead_of_picking() {
        let shape = ImageShape {
            channels: 1,
            height: 8,
            width: 8,
        };
        let stripes = Image::new(shape, (0..64).map(|i| if i % 2 == 0 { 0 } else { 200 }).collect());
        for &pixel in stripes.fit(4, 1.0).pixels() {
            assert!((60..=140).contains(&pixel), "{pixel}");
        }
    }

    #[test]
    fn planes_come_apart() {
        assert_eq!(planes(&[1, 2, 3, 4, 5, 6]), [1, 4, 2, 5, 3, 6]);
    }

    #[test]
    fn a_header_that_claims_more_than_its_file_holds_is_refused_at_once() {
        let mut bytes = Vec::new();
        let format = image::ImageFormat::Jpeg;
        image::GrayImage::new(8, 8)
            .write_to(&mut Cursor::new(&mut bytes), format)
            .unwrap();
        let frame = bytes.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
        assert!(Image::decode(Path::new("a.jpg"), &bytes, 1).is_ok());
        // 10,000×10,000 grey pixels are within the decoder's memory.
        bytes[frame + 5..frame + 9].copy_from_slice(&[0x27, 0x10, 0x27, 0x10]);
        let error = Image::decode(Path::new("a.jpg"), &bytes, 1).unwrap_err();
        assert!(
            matches!(
                &error,
                ImageError::Decode {
                    source: image::ImageError::Limits(_),
                    ..
                }
            ),
            "{error}"
        );
        // Nothing compresses better than one colour.
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
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn resampling_gives_the_asked_for_shape_and_keeps_constants(
            height in 1usize..20, width in 1usize..20, size in 1usize..24, value: u8,
        ) {
            let shape = ImageShape { channels: 3, height, width };
            let image = Image::new(shape, vec![value; shape.values()]);
            let fitted = image.fit(size, 0.9);
            prop_assert_eq!(fitted.shape(), ImageShape { channels: 3, height: size, width: size });
            prop_assert!(fitted.pixels().iter().all(|&pixel| pixel == value));
        }

        #[test]
        fn arbitrary_bytes_are_an_error(bytes: Vec<u8>) {
            prop_assert!(Image::decode(Path::new("a.png"), &bytes, 3).is_err());
        }
    }
}
