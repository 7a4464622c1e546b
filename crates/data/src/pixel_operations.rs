//! Operations on the bytes of images, with the arithmetic of the Python imaging library.
//!
//! Reference: Pillow 13: `Image.transform` (affine, nearest neighbour, 16.16 fixed point),
//! `Image.rotate`, `ImageEnhance`, `ImageOps`. Contract: the same bytes as Pillow for images of one
//! or three channels; what comes from outside the image is black; nothing changes the shape.

use da2s_images::Image;

/// Every pixel (x, y) of the result is the pixel of `image` at (a·x + b·y + c, d·x + e·y + f),
/// taken at the centres of the pixels, for the matrix `[a, b, c, d, e, f]`.
pub(crate) fn affine(image: &Image, [a, b, c, d, e, f]: [f64; 6]) -> Image {
    const ONE: f64 = 65536.0;
    let fixed = |value: f64| (value * ONE + 0.5).floor() as i64;
    let shape = image.shape();
    let (height, width) = (shape.height, shape.width);
    let start = [fixed(c + a * 0.5 + b * 0.5), fixed(f + d * 0.5 + e * 0.5)];
    let [a, b, d, e] = [a, b, d, e].map(fixed);
    let source = |x: i64, y: i64| {
        let column = usize::try_from((start[0] + a * x + b * y) >> 16).ok()?;
        let row = usize::try_from((start[1] + d * x + e * y) >> 16).ok()?;
        (column < width && row < height).then_some(row * width + column)
    };
    let sources = (0..height as i64).flat_map(|y| (0..width as i64).map(move |x| (x, y)));
    let sources: Vec<Option<usize>> = sources.map(|(x, y)| source(x, y)).collect();
    let mut pixels = Vec::with_capacity(shape.values());
    for plane in image.pixels().chunks_exact(height * width) {
        pixels.extend(sources.iter().map(|source| source.map_or(0, |at| plane[at])));
    }
    Image::new(shape, pixels)
}

/// Rotates counterclockwise around the centre.
pub(crate) fn rotate(image: &Image, degrees: f64) -> Image {
    let angle = -degrees.rem_euclid(360.0).to_radians();
    // Pillow rounds to 15 digits, so that right angles are exact.
    let rounded = |value: f64| (value * 1e15).round() / 1e15;
    let (cos, sin) = (rounded(angle.cos()), rounded(angle.sin()));
    let (x, y) = (image.shape().width as f64 / 2.0, image.shape().height as f64 / 2.0);
    let shift = [cos * -x + sin * -y + x, -sin * -x + cos * -y + y];
    affine(image, [cos, sin, shift[0], -sin, cos, shift[1]])
}

/// Brightness times `factor`.
pub(crate) fn brightness(image: Image, factor: f64) -> Image {
    blended(image, factor, |image| vec![0; image.pixels().len()])
}

/// Saturation times `factor`: between the grey image and this one, or beyond it.
pub(crate) fn color(image: Image, factor: f64) -> Image {
    let channels = image.shape().channels;
    if channels == 1 {
        return image;
    }
    blended(image, factor, |image| grey(image).repeat(channels))
}

/// Contrast times `factor`, around the mean grey.
pub(crate) fn contrast(image: Image, factor: f64) -> Image {
    blended(image, factor, |image| {
        let grey = grey(image);
        let sum: u64 = grey.iter().map(|&value| u64::from(value)).sum();
        let mean = (sum as f64 / grey.len() as f64 + 0.5) as u8;
        vec![mean; image.pixels().len()]
    })
}

/// Between the smoothed image (0) and this one (1), or beyond it.
pub(crate) fn sharpness(image: Image, factor: f64) -> Image {
    blended(image, factor, smoothed)
}

/// Keeps the upper `bits` bits of each value.
pub(crate) fn posterize(image: Image, bits: u32) -> Image {
    let mask = 0xff_u8 << (8 - bits.min(8)).min(7);
    looked_up(image, |_| std::array::from_fn(|value| value as u8 & mask))
}

/// Inverts each value from `threshold` on.
pub(crate) fn solarize(image: Image, threshold: f64) -> Image {
    let inverted = |value: usize| if (value as f64) < threshold { value } else { 255 - value };
    looked_up(image, |_| std::array::from_fn(|value| inverted(value) as u8))
}

/// Stretches the values of each channel to 0 to 255.
pub(crate) fn auto_contrast(image: Image) -> Image {
    looked_up(image, |histogram| {
        let used = |count: &usize| *count > 0;
        let least = histogram.iter().position(used).unwrap_or(0);
        let most = histogram.iter().rposition(used).unwrap_or(0);
        if most <= least {
            return IDENTITY;
        }
        let scale = 255.0 / (most - least) as f64;
        let offset = -(least as f64) * scale;
        std::array::from_fn(|value| (value as f64 * scale + offset) as u8)
    })
}

/// Equalises the histogram of each channel.
pub(crate) fn equalize(image: Image) -> Image {
    looked_up(image, |histogram| {
        let pixels: usize = histogram.iter().sum();
        let last = histogram.iter().rev().find(|count| **count > 0).copied();
        let step = (pixels - last.unwrap_or(0)) / 255;
        if step == 0 {
            return IDENTITY;
        }
        let mut below = step / 2;
        std::array::from_fn(|value| {
            let level = (below / step).min(255) as u8;
            below += histogram[value];
            level
        })
    })
}

/// The table that changes nothing.
const IDENTITY: [u8; 256] = {
    let mut table = [0; 256];
    let mut value = 0;
    while value < 256 {
        table[value] = value as u8;
        value += 1;
    }
    table
};

/// Replaces the values of each channel by a table, which `table` computes from their histogram.
fn looked_up(mut image: Image, table: impl Fn(&[usize; 256]) -> [u8; 256]) -> Image {
    let plane = image.shape().height * image.shape().width;
    for plane in image.pixels_mut().chunks_exact_mut(plane) {
        let mut histogram = [0; 256];
        for &value in &*plane {
            histogram[usize::from(value)] += 1;
        }
        let table = table(&histogram);
        for value in plane {
            *value = table[usize::from(*value)];
        }
    }
    image
}

/// `other` + `factor` · (image − `other`), in single precision, cut to 0 to 255, fractions dropped.
fn blended(mut image: Image, factor: f64, other: impl Fn(&Image) -> Vec<u8>) -> Image {
    let factor = factor as f32;
    let other = other(&image);
    for (value, other) in image.pixels_mut().iter_mut().zip(other) {
        let other = f32::from(other);
        // Conversion to an integer saturates.
        *value = (other + factor * (f32::from(*value) - other)) as u8;
    }
    image
}

/// The grey values (ITU-R BT.601, 16 bits), one plane.
fn grey(image: &Image) -> Vec<u8> {
    let plane = image.shape().height * image.shape().width;
    match image.pixels() {
        grey if image.shape().channels == 1 => grey.to_vec(),
        colour => (0..plane)
            .map(|at| {
                let [red, green, blue] = [0, 1, 2].map(|channel| u32::from(colour[channel * plane + at]));
                ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16) as u8
            })
            .collect(),
    }
}

/// The mean of the 3×3 pixels around each, whose own weight is 5 of 13; pixels at the border stay.
fn smoothed(image: &Image) -> Vec<u8> {
    let (height, width) = (image.shape().height, image.shape().width);
    let mut out = image.pixels().to_vec();
    let planes = image.pixels().chunks_exact(height * width);
    for (plane, out) in planes.zip(out.chunks_exact_mut(height * width)) {
        for row in 1..height.saturating_sub(1) {
            for column in 1..width.saturating_sub(1) {
                let around = (row - 1..=row + 1).flat_map(|row| &plane[row * width + column - 1..][..3]);
                let sum: u32 = around.map(|&value| u32::from(value)).sum();
                let own = u32::from(plane[row * width + column]);
                out[row * width + column] = ((2 * (sum + 4 * own) + 13) / 26) as u8;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use da2s_images::ImageShape;

    #[test]
    fn right_angles_only_move_pixels() {
        let shape = ImageShape {
            channels: 1,
            height: 2,
            width: 2,
        };
        let image = Image::new(shape, vec![1, 2, 3, 4]);
        assert_eq!(rotate(&image, 90.0).pixels(), [2, 4, 1, 3]);
        assert_eq!(rotate(&image, -90.0).pixels(), [3, 1, 4, 2]);
        assert_eq!(rotate(&image, 0.0), image);
    }

    #[test]
    fn no_size_is_too_small() {
        for (channels, height, width) in [(1, 1, 1), (3, 1, 2), (3, 2, 1)] {
            let shape = ImageShape {
                channels,
                height,
                width,
            };
            let image = Image::new(shape, vec![7; shape.values()]);
            for result in [
                rotate(&image, 45.0),
                sharpness(image.clone(), 1.9),
                contrast(image.clone(), 0.1),
                equalize(image.clone()),
                auto_contrast(image.clone()),
            ] {
                assert_eq!(result.shape(), shape);
            }
            assert_eq!(auto_contrast(image.clone()), image);
        }
    }
}
