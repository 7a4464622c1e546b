//! An image in memory, stored as bytes, channel by channel; and resampling.
//!
//! Resampling uses the triangle filter, widened by the scale when shrinking (anti-aliased bilinear,
//! BILINEAR in the Python imaging library), for all sources.

use image::imageops::{self, FilterType};
use image::{GrayImage, ImageBuffer, Luma};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Size of an image.
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

/// An image: `channels × height × width` bytes, 0 to 255.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    shape: ImageShape,
    pixels: Vec<u8>,
}

/// A rectangle within an image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rectangle {
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
    /// Creates an image from its planes.
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

    /// The bytes, mutable.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// The part of the image within `window`, resampled to `height × width`.
    ///
    /// # Panics
    /// If the window does not lie within the image, or one of the sizes is 0.
    pub fn resample(&self, window: Rectangle, height: usize, width: usize) -> Self {
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

    /// The centred square whose side is `fraction` (0 to 1) of the shorter side, resampled to `size
    /// × size`: the network's input for a test image.
    pub fn fit(&self, size: usize, fraction: f32) -> Self {
        let ImageShape { height, width, .. } = self.shape;
        let shorter = height.min(width);
        let side = ((shorter as f32 * fraction).round() as usize).clamp(1, shorter);
        let window = Rectangle {
            top: (height - side) / 2,
            left: (width - side) / 2,
            height: side,
            width: side,
        };
        self.resample(window, size, size)
    }
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn resampling_gives_the_requested_shape_and_keeps_constants(
            height in 1usize..20, width in 1usize..20, size in 1usize..24, value: u8,
        ) {
            let shape = ImageShape { channels: 3, height, width };
            let image = Image::new(shape, vec![value; shape.values()]);
            let fitted = image.fit(size, 0.9);
            prop_assert_eq!(fitted.shape(), ImageShape { channels: 3, height: size, width: size });
            prop_assert!(fitted.pixels().iter().all(|&pixel| pixel == value));
        }
    }
}
