//! An image as a small PNG file, for people.

use da2s_images::{Image, Rectangle};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::dataset::ImageShape;

/// The image as a PNG file, shrunk so that no side is longer than `most` pixels.
///
/// # Panics
/// If `most` is 0, or the image has neither 1 nor 3 channels.
pub fn thumbnail_png(image: &Image, most: usize) -> Vec<u8> {
    let ImageShape {
        channels,
        height,
        width,
    } = image.shape();
    let longer = height.max(width);
    if longer > most {
        let whole = Rectangle {
            top: 0,
            left: 0,
            height,
            width,
        };
        let side = |side: usize| (side * most / longer).max(1);
        return thumbnail_png(&image.resample(whole, side(height), side(width)), most);
    }
    let (pixels, plane) = (image.pixels(), height * width);
    let (bytes, colour): (Vec<u8>, _) = match channels {
        1 => (pixels.to_vec(), ExtendedColorType::L8),
        3 => {
            let pixel = |at: usize| [0, 1, 2].map(|channel| pixels[channel * plane + at]);
            ((0..plane).flat_map(pixel).collect(), ExtendedColorType::Rgb8)
        }
        channels => panic!("a picture has 1 or 3 channels, not {channels}"),
    };
    let mut file = Vec::new();
    PngEncoder::new(&mut file)
        .write_image(&bytes, width as u32, height as u32, colour)
        .expect("a picture of its shape can be written to memory");
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_thumbnail_shows_the_image_and_is_at_most_as_large_as_requested() {
        for channels in [1, 3] {
            let shape = |height, width| ImageShape {
                channels,
                height,
                width,
            };
            let pixels = (0..channels * 35).map(|at| (at * 7 % 256) as u8).collect();
            let picture = Image::new(shape(5, 7), pixels);
            let decoded = |most| Image::decode(Path::new("a.png"), &thumbnail_png(&picture, most), channels).unwrap();
            assert_eq!(decoded(7), picture);
            assert_eq!(decoded(3).shape(), shape(2, 3));
        }
    }
}
