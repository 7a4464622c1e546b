//! Turning an image upright (EXIF 2.32, tag 0x0112).

use image::metadata::Orientation;

use crate::image::{Image, ImageShape};

/// The image as viewers show it, from its stored orientation.
pub(crate) fn upright(image: Image, orientation: Orientation) -> Image {
    use Orientation as Stored;
    // Whether rows become columns, and which sides are exchanged.
    let (turned, upside_down, mirrored) = match orientation {
        Stored::NoTransforms => return image,
        Stored::FlipHorizontal => (false, false, true),
        Stored::Rotate180 => (false, true, true),
        Stored::FlipVertical => (false, true, false),
        Stored::Rotate90FlipH => (true, false, false),
        Stored::Rotate90 => (true, true, false),
        Stored::Rotate270FlipH => (true, true, true),
        Stored::Rotate270 => (true, false, true),
    };
    let stored = image.shape();
    let mut shape = stored;
    if turned {
        shape = ImageShape {
            height: stored.width,
            width: stored.height,
            ..stored
        };
    }
    let mut pixels = Vec::with_capacity(shape.values());
    for plane in image.pixels().chunks_exact(stored.height * stored.width) {
        for row in 0..shape.height {
            for column in 0..shape.width {
                let (y, x) = if turned { (column, row) } else { (row, column) };
                let y = if upside_down { stored.height - 1 - y } else { y };
                let x = if mirrored { stored.width - 1 - x } else { x };
                pixels.push(plane[y * stored.width + x]);
            }
        }
    }
    Image::new(shape, pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_orientation_is_turned_upright() {
        let shape = ImageShape {
            channels: 1,
            height: 2,
            width: 3,
        };
        let shown = |tag: u8| {
            let image = Image::new(shape, vec![1, 2, 3, 4, 5, 6]);
            let upright = upright(image, Orientation::from_exif(tag).unwrap());
            (upright.shape().height, upright.pixels().to_vec())
        };
        assert_eq!(shown(1), (2, vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(shown(2), (2, vec![3, 2, 1, 6, 5, 4]));
        assert_eq!(shown(3), (2, vec![6, 5, 4, 3, 2, 1]));
        assert_eq!(shown(4), (2, vec![4, 5, 6, 1, 2, 3]));
        assert_eq!(shown(5), (3, vec![1, 4, 2, 5, 3, 6]));
        assert_eq!(shown(6), (3, vec![4, 1, 5, 2, 6, 3]));
        assert_eq!(shown(7), (3, vec![6, 3, 5, 2, 4, 1]));
        assert_eq!(shown(8), (3, vec![3, 6, 2, 5, 1, 4]));
    }
}
