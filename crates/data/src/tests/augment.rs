//! Properties of the augmentations.

use super::*;
use crate::random::{Purpose, generator};
use proptest::prelude::*;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

fn rng(seed: u64) -> ChaCha8Rng {
    generator(seed, Purpose::Augment, 0, 0)
}

fn shape(channels: usize, height: usize, width: usize) -> ImageShape {
    ImageShape {
        channels,
        height,
        width,
    }
}

/// An image without black pixels, in which all neighbours differ.
fn picture(shape: ImageShape) -> Image {
    let pixels = (0..shape.values()).map(|i| (i * 37 % 255) as u8 + 1);
    Image::new(shape, pixels.collect())
}

#[test]
fn the_default_changes_nothing() {
    let image = picture(shape(3, 5, 7));
    let unchanged = Augmentation::default().apply(image.clone(), image.shape(), &mut rng(0));
    assert_eq!(unchanged, image);
    let mut values = vec![1.0; 105];
    Augmentation::default().apply_normalised(&mut values, image.shape(), &mut rng(0));
    assert_eq!(values, [1.0; 105]);
}

#[test]
fn about_half_of_the_images_are_flipped_left_to_right() {
    let image = Image::new(shape(1, 2, 3), vec![1, 2, 3, 4, 5, 6]);
    let augmentation = Augmentation {
        flip: true,
        ..Augmentation::default()
    };
    let mut flipped = 0;
    for seed in 0..200 {
        let result = augmentation.apply(image.clone(), image.shape(), &mut rng(seed));
        if result != image {
            assert_eq!(result.pixels(), [3, 2, 1, 6, 5, 4]);
            flipped += 1;
        }
    }
    assert!((70..=130).contains(&flipped), "{flipped}");
}

#[test]
fn every_offset_of_a_padded_crop_is_reached() {
    let image = picture(shape(1, 3, 3));
    let crops: std::collections::HashSet<Vec<u8>> = (0..400)
        .map(|seed| padded_crop(&image, 1, &mut rng(seed)).pixels().to_vec())
        .collect();
    assert_eq!(crops.len(), 9);
    assert!(crops.contains(image.pixels()));
}

#[test]
fn hue_turns_red_to_green_to_blue() {
    let third = 1.0 / 3.0;
    for (from, to) in [
        ([200.0, 10.0, 10.0], [10.0, 200.0, 10.0]),
        ([10.0, 200.0, 10.0], [10.0, 10.0, 200.0]),
        ([10.0, 10.0, 200.0], [200.0, 10.0, 10.0]),
        ([200.0, 100.0, 0.0], [0.0, 200.0, 100.0]),
        ([50.0; 3], [50.0; 3]),
    ] {
        for (found, expected) in turn_hue(from, third).into_iter().zip(to) {
            assert!((found - expected).abs() < 0.01, "{from:?}: {found} for {expected}");
        }
    }
}

#[test]
fn jitter_of_no_strength_changes_nothing() {
    for channels in [1, 3] {
        let mut image = picture(shape(channels, 6, 5));
        let before = image.clone();
        ColorJitter::default().apply(&mut image, &mut rng(3));
        assert_eq!(image, before);
    }
}

#[test]
fn strengths_out_of_range_are_refused() {
    let crop = |scale, ratio| Augmentation {
        random_resized_crop: Some(RandomResizedCrop { scale, ratio }),
        ..Augmentation::default()
    };
    let hue = |hue| Augmentation {
        color_jitter: Some(ColorJitter {
            hue,
            ..ColorJitter::default()
        }),
        ..Augmentation::default()
    };
    for (augmentation, message) in [
        (
            Augmentation {
                cutout: 9,
                ..Augmentation::default()
            },
            "cutout = 9: expected 0 to 8, the size of the images",
        ),
        (
            Augmentation {
                crop_padding: 4,
                ..crop([0.5, 1.0], [1.0, 1.0])
            },
            "crop_padding = 4: expected 0 if random_resized_crop is set",
        ),
        (
            crop([0.0, 1.0], [1.0, 1.0]),
            "random_resized_crop.scale = [0.0, 1.0]: expected minimum and maximum, more than 0 and at most 1",
        ),
        (
            crop([0.5, 1.0], [2.0, 1.0]),
            "random_resized_crop.ratio = [2.0, 1.0]: expected minimum and maximum, more than 0",
        ),
        (hue(0.6), "color_jitter.hue = 0.6: expected 0 to 0.5"),
        (hue(f32::NAN), "color_jitter.hue = NaN: expected 0 to 0.5"),
    ] {
        let error = augmentation.validate(shape(1, 8, 8)).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    let usual = Augmentation {
        crop_padding: 4,
        flip: true,
        cutout: 16,
        ..Augmentation::default()
    };
    usual.validate(shape(3, 32, 32)).unwrap();
}

#[test]
fn a_recipe_may_set_only_some_augmentations() {
    let text = "flip = true\nrandom_resized_crop = {}\ncolor_jitter = { hue = 0.2 }";
    let augmentation: Augmentation = toml::from_str(text).unwrap();
    assert_eq!(augmentation.random_resized_crop, Some(RandomResizedCrop::default()));
    assert_eq!(augmentation.color_jitter.map(|jitter| jitter.hue), Some(0.2));
    assert!(toml::from_str::<Augmentation>("flips = true").is_err());
}

proptest! {
    #[test]
    fn cutout_zeroes_a_clipped_square_in_every_channel(
        channels in 1usize..4, height in 1usize..20, width in 1usize..20, length in 1usize..20, seed: u64,
    ) {
        let shape = shape(channels, height, width);
        let mut values = vec![1.0_f32; shape.values()];
        cutout(&mut values, shape, length, &mut rng(seed));
        prop_assert!(values.chunks_exact(channels).all(|pixel| pixel.iter().all(|value| value == &pixel[0])));
        let plane: Vec<f32> = values.into_iter().step_by(channels).collect();
        let zeros = plane.iter().filter(|&&value| value == 0.0).count();
        // At least the quarter that remains if the centre is in a corner.
        let least = length.div_ceil(2).min(height) * length.div_ceil(2).min(width);
        prop_assert!(zeros >= least, "{} of at least {}", zeros, least);
        prop_assert!(zeros <= length.min(height) * length.min(width));
        let rows = plane.chunks_exact(width).filter(|row| row.contains(&0.0)).count();
        prop_assert_eq!(zeros % rows, 0);
    }

    #[test]
    fn a_padded_crop_keeps_the_shape_and_shifts(
        height in 1usize..12, width in 1usize..12, padding in 1usize..14, seed: u64,
    ) {
        let image = picture(shape(2, height, width));
        let crop = padded_crop(&image, padding, &mut rng(seed));
        prop_assert_eq!(crop.shape(), image.shape());
        let mut rng = rng(seed);
        let down = rng.random_range(0..=2 * padding) as isize - padding as isize;
        let right = rng.random_range(0..=2 * padding) as isize - padding as isize;
        for channel in 0..2 {
            for row in 0..height {
                for column in 0..width {
                    let from_row = row as isize + down;
                    let from_column = column as isize + right;
                    let inside = (0..height as isize).contains(&from_row)
                        && (0..width as isize).contains(&from_column);
                    let expected = if inside {
                        image.pixels()[(channel * height + from_row as usize) * width + from_column as usize]
                    } else {
                        0
                    };
                    prop_assert_eq!(crop.pixels()[(channel * height + row) * width + column], expected);
                }
            }
        }
    }

    #[test]
    fn resized_windows_lie_within_the_picture(
        height in 1usize..300, width in 1usize..300, low in 0.01f32..1.0, ratio in 0.1f32..1.0, seed: u64,
    ) {
        let crop = RandomResizedCrop { scale: [low, 1.0], ratio: [ratio, 1.0 / ratio] };
        let window = crop.window(shape(3, height, width), &mut rng(seed));
        prop_assert!(window.height > 0 && window.top + window.height <= height);
        prop_assert!(window.width > 0 && window.left + window.width <= width);
    }

    #[test]
    fn all_augmentations_together_keep_the_shape_and_are_repeatable(seed: u64, grey: bool) {
        let channels = if grey { 1 } else { 3 };
        let augmentation = Augmentation {
            crop_padding: 0,
            flip: true,
            cutout: 3,
            random_resized_crop: Some(RandomResizedCrop::default()),
            color_jitter: Some(ColorJitter { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.2 }),
            trivial_augment: true,
            random_erasing: Some(RandomErasing::default()),
        };
        let target = shape(channels, 8, 8);
        let image = picture(shape(channels, 13, 10));
        let once = augmentation.apply(image.clone(), target, &mut rng(seed));
        prop_assert_eq!(once.shape(), target);
        prop_assert_eq!(augmentation.apply(image, target, &mut rng(seed)), once);
    }
}
