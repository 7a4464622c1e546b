//! Augmentation: each kind is a pure function of an image and a generator.
//!
//! Crops and flips as in the usual CIFAR recipe; cutout by T. DeVries, G. W. Taylor, "Improved
//! Regularization of Convolutional Neural Networks with Cutout", 2017; random resized crops by C.
//! Szegedy et al., "Going Deeper with Convolutions", 2015, and colour jitter, both with the
//! parameters of torchvision; TrivialAugment and random erasing are in files of their own. The
//! order is fixed: crop, flip, TrivialAugment, jitter, erasing on bytes, then, on the normalised
//! values, cutout.

use std::ops::Bound::{Included, Unbounded};

use da2s_images::{Image, Rectangle};
use da2s_settings::{Allowed, UP_TO_1, interval, settings, up_to, whole};

use super::dataset::ImageShape;
use super::error::DataError;
use super::random_erasing::RandomErasing;
use super::trivial_augment::trivial_augment;
use rand::Rng;
use rand::seq::SliceRandom;

/// A number of pixels of an image's side; 0 for none.
const SIDE: Allowed = whole(0..=4096);
/// Number of windows drawn before a random resized crop falls back to the centre.
const CROP_ATTEMPTS: usize = 10;
/// Weights of red, green and blue in a grey value (ITU-R BT.601).
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

settings! {
    /// Augmentation of the training images. By default there is none.
    pub struct Augmentation {
        /// Black pixels added on every side, before a window of the image's original size is cut
        /// out at random; 0 adds none.
        crop_padding: usize = 0, in SIDE;
        /// Whether each image is mirrored left to right with probability 1/2.
        flip: bool = false;
        /// Side in pixels of a square that is set to the mean (cutout); 0 turns it off.
        cutout: usize = 0, in SIDE;
        /// Cuts out a window of random size and resamples it.
        random_resized_crop: Option<RandomResizedCrop> = None;
        /// Changes the colours.
        color_jitter: Option<ColorJitter> = None;
        /// Whether one of fourteen operations, with random strength, is applied to each image
        /// (TrivialAugment, "wide"). It shifts images by up to 32 pixels, so they should be at
        /// least that large.
        trivial_augment: bool = false;
        /// Replaces a rectangle by noise.
        random_erasing: Option<RandomErasing> = None;
    }
}

settings! {
    /// Cuts out a window of random size and shape and resizes it to the image's size. Setting any
    /// of these turns it on.
    #[derive(Copy)]
    pub struct RandomResizedCrop {
        /// Minimum and maximum share of the image's area in the window; [0.08, 1.0] if only `ratio`
        /// is set.
        scale: [f32; 2] = [0.08, 1.0], in interval(Included(1.0));
        /// Minimum and maximum width ÷ height of the window; [3/4, 4/3] if only `scale` is set.
        ratio: [f32; 2] = [3.0 / 4.0, 4.0 / 3.0], in interval(Unbounded);
    }
}

settings! {
    /// Changes brightness, contrast, saturation and hue, in random order. Saturation and hue do not
    /// affect grey images.
    #[derive(Copy)]
    pub struct ColorJitter {
        /// Strength of the change of brightness: the factor is between 1 − strength and 1 +
        /// strength.
        brightness: f32 = 0.0, in UP_TO_1;
        /// Strength of the change of contrast: the distance to the image's mean grey is multiplied
        /// by such a factor.
        contrast: f32 = 0.0, in UP_TO_1;
        /// Strength of the change of saturation: the distance to the grey image is multiplied by
        /// such a factor.
        saturation: f32 = 0.0, in UP_TO_1;
        /// Maximum shift of the hue in either direction, as a share of the colour circle.
        hue: f32 = 0.0, in up_to(0.5);
    }
}

impl Augmentation {
    /// Checks that every strength is in range for images of `shape`.
    ///
    /// # Errors
    /// [`DataError::Setting`] for the first that is out of range.
    pub fn validate(&self, shape: ImageShape) -> Result<(), DataError> {
        let side = shape.height.min(shape.width);
        for (option, value) in [("crop_padding", self.crop_padding), ("cutout", self.cutout)] {
            let expected = format!("0 to {side}, the size of the images");
            DataError::require(option, value, value <= side, expected)?;
        }
        if let Some(RandomResizedCrop { scale, ratio }) = self.random_resized_crop {
            let (padding, expected) = (self.crop_padding, "0 if random_resized_crop is set");
            DataError::require("crop_padding", padding, padding == 0, expected)?;
            let allowed = scale[0] > 0.0 && scale[0] <= scale[1] && scale[1] <= 1.0;
            let expected = "minimum and maximum, more than 0 and at most 1";
            DataError::require("random_resized_crop.scale", format!("{scale:?}"), allowed, expected)?;
            let allowed = ratio[0] > 0.0 && ratio[0] <= ratio[1] && ratio[1].is_finite();
            let expected = "minimum and maximum, more than 0";
            DataError::require("random_resized_crop.ratio", format!("{ratio:?}"), allowed, expected)?;
        }
        if let Some(jitter) = self.color_jitter {
            for (option, strength, most) in [
                ("color_jitter.brightness", jitter.brightness, 1.0),
                ("color_jitter.contrast", jitter.contrast, 1.0),
                ("color_jitter.saturation", jitter.saturation, 1.0),
                ("color_jitter.hue", jitter.hue, 0.5),
            ] {
                let allowed = (0.0..=most).contains(&strength);
                DataError::require(option, strength, allowed, format!("0 to {most}"))?;
            }
        }
        self.random_erasing.map_or(Ok(()), |erasing| erasing.validate())
    }

    /// The part that works on bytes: all but cutout. `image` may have any size if
    /// `random_resized_crop` is set, and must have `shape` otherwise; the result has `shape`.
    pub fn apply(&self, image: Image, shape: ImageShape, rng: &mut impl Rng) -> Image {
        let mut image = match self.random_resized_crop {
            Some(crop) => {
                let window = crop.window(image.shape(), rng);
                image.resample(window, shape.height, shape.width)
            }
            None if self.crop_padding > 0 => padded_crop(&image, self.crop_padding, rng),
            None => image,
        };
        if self.flip && rng.random() {
            flip(&mut image);
        }
        if self.trivial_augment {
            image = trivial_augment(image, rng);
        }
        if let Some(jitter) = self.color_jitter {
            jitter.apply(&mut image, rng);
        }
        if let Some(erasing) = self.random_erasing {
            erasing.apply(&mut image, rng);
        }
        image
    }

    /// The part that works on `height × width × channels` normalised values: cutout.
    pub(crate) fn apply_normalised(&self, values: &mut [f32], shape: ImageShape, rng: &mut impl Rng) {
        if self.cutout > 0 {
            cutout(values, shape, self.cutout, rng);
        }
    }
}

impl RandomResizedCrop {
    /// Draws a window within an image of `shape`.
    pub fn window(&self, shape: ImageShape, rng: &mut impl Rng) -> Rectangle {
        let (height, width) = (shape.height as f32, shape.width as f32);
        let [least, greatest] = self.ratio;
        for _ in 0..CROP_ATTEMPTS {
            let area = height * width * rng.random_range(self.scale[0]..=self.scale[1]);
            let ratio = rng.random_range(least.ln()..=greatest.ln()).exp();
            let (rows, columns) = ((area / ratio).sqrt().round(), (area * ratio).sqrt().round());
            if (1.0..=height).contains(&rows) && (1.0..=width).contains(&columns) {
                let (rows, columns) = (rows as usize, columns as usize);
                return Rectangle {
                    top: rng.random_range(0..=shape.height - rows),
                    left: rng.random_range(0..=shape.width - columns),
                    height: rows,
                    width: columns,
                };
            }
        }
        let rows = height.min((width / least).round()).max(1.0) as usize;
        let columns = width.min((height * greatest).round()).max(1.0) as usize;
        Rectangle {
            top: (shape.height - rows) / 2,
            left: (shape.width - columns) / 2,
            height: rows,
            width: columns,
        }
    }
}

/// A random window of the image's own size within the image and `padding` black pixels around it.
fn padded_crop(image: &Image, padding: usize, rng: &mut impl Rng) -> Image {
    let shape = image.shape();
    let (height, width) = (shape.height, shape.width);
    // Offset of the window from the corner of the padded image. Each row is black except for its
    // overlap with the image.
    let down = rng.random_range(0..=2 * padding);
    let right = rng.random_range(0..=2 * padding);
    let overlap = |offset: usize, size: usize| {
        let from = padding.saturating_sub(offset).min(size);
        let until = (size + padding).saturating_sub(offset).min(size);
        from..until.max(from)
    };
    let (rows, columns) = (overlap(down, height), overlap(right, width));
    let mut pixels = vec![0; shape.values()];
    if columns.is_empty() {
        return Image::new(shape, pixels);
    }
    for (out, plane) in pixels
        .chunks_exact_mut(height * width)
        .zip(image.pixels().chunks_exact(height * width))
    {
        for row in rows.clone() {
            let source = (row + down - padding) * width + columns.start + right - padding;
            out[row * width..][columns.clone()].copy_from_slice(&plane[source..][..columns.len()]);
        }
    }
    Image::new(shape, pixels)
}

fn flip(image: &mut Image) {
    let width = image.shape().width;
    for row in image.pixels_mut().chunks_exact_mut(width) {
        row.reverse();
    }
}

/// Sets a square of side `length` to 0 in every channel of `values`, `height × width × channels`.
/// Its centre is uniform over the image; parts outside are cut off.
pub fn cutout(values: &mut [f32], shape: ImageShape, length: usize, rng: &mut impl Rng) {
    let mut side = |size: usize| {
        let end = rng.random_range(0..size) + length - length / 2;
        end.saturating_sub(length)..end.min(size)
    };
    let (rows, columns) = (side(shape.height), side(shape.width));
    let columns = columns.start * shape.channels..columns.end * shape.channels;
    for row in values
        .chunks_exact_mut(shape.width * shape.channels)
        .take(rows.end)
        .skip(rows.start)
    {
        row[columns.clone()].fill(0.0);
    }
}

/// One kind of colour change.
#[derive(Clone, Copy)]
enum Change {
    Brightness,
    Contrast,
    Saturation,
    Hue,
}

impl ColorJitter {
    /// Changes the colours of `image`, which has one channel or three.
    pub fn apply(&self, image: &mut Image, rng: &mut impl Rng) {
        let mut changes = [Change::Brightness, Change::Contrast, Change::Saturation, Change::Hue];
        changes.shuffle(rng);
        let plane = image.shape().height * image.shape().width;
        let mut pixels: Vec<[f32; 3]> = match image.pixels() {
            grey if image.shape().channels == 1 => grey.iter().map(|&v| [f32::from(v); 3]).collect(),
            colour => (0..plane)
                .map(|i| [0, 1, 2].map(|channel| f32::from(colour[channel * plane + i])))
                .collect(),
        };
        for change in changes {
            let mut factor = |strength: f32| 1.0 + rng.random_range(-strength..=strength);
            match change {
                Change::Brightness => blend(&mut pixels, factor(self.brightness), |_| 0.0),
                Change::Contrast => {
                    let sum: f32 = pixels.iter().map(luma).sum();
                    let mean = sum / plane as f32;
                    blend(&mut pixels, factor(self.contrast), |_| mean);
                }
                Change::Saturation => blend(&mut pixels, factor(self.saturation), luma),
                Change::Hue => {
                    let turn = factor(self.hue) - 1.0;
                    for pixel in &mut pixels {
                        *pixel = turn_hue(*pixel, turn);
                    }
                }
            }
        }
        for (channel, out) in image.pixels_mut().chunks_exact_mut(plane).enumerate() {
            for (byte, pixel) in out.iter_mut().zip(&pixels) {
                *byte = pixel[channel].round() as u8;
            }
        }
    }
}

fn luma(pixel: &[f32; 3]) -> f32 {
    pixel.iter().zip(LUMA).map(|(value, weight)| value * weight).sum()
}

/// Each value becomes `factor · value + (1 − factor) · other(pixel)`, clamped to 0 to 255.
fn blend(pixels: &mut [[f32; 3]], factor: f32, other: impl Fn(&[f32; 3]) -> f32) {
    for pixel in pixels {
        let other = other(pixel);
        *pixel = pixel.map(|value| (factor * value + (1.0 - factor) * other).clamp(0.0, 255.0));
    }
}

/// Rotates the hue (of hue, saturation, value) by `turn` of the circle; the largest and the
/// smallest of the three values stay.
fn turn_hue([red, green, blue]: [f32; 3], turn: f32) -> [f32; 3] {
    let value = red.max(green).max(blue);
    let chroma = value - red.min(green).min(blue);
    if chroma == 0.0 {
        return [red, green, blue];
    }
    // The hue in sixths of the circle, with red at 0.
    let hue = if value == red {
        (green - blue) / chroma
    } else if value == green {
        (blue - red) / chroma + 2.0
    } else {
        (red - green) / chroma + 4.0
    };
    let hue = hue + 6.0 * turn;
    // Each channel is the value minus the chroma times the distance of the hue from that channel's
    // own third of the circle.
    [5.0_f32, 3.0, 1.0].map(|offset| {
        let k = (offset + hue).rem_euclid(6.0);
        value - chroma * k.min(4.0 - k).clamp(0.0, 1.0)
    })
}

#[cfg(test)]
#[path = "tests/augment.rs"]
mod tests;
