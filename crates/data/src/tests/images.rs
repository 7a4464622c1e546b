//! Folders of images: order, reading when needed, parts, limits, and errors.

use super::*;
use crate::{BadImages, Image};
use image::{Rgb, RgbImage};
use std::fs;
use tempfile::TempDir;

/// `train/` and `test/` with the given classes, three images of different sizes each.
fn folder(classes: &[&str]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for part in ["train", "test"] {
        for (class, name) in classes.iter().enumerate() {
            let folder = dir.path().join(part).join(name);
            fs::create_dir_all(&folder).unwrap();
            for (file, width) in [("b.png", 9), ("a.JPG", 12), ("c.jpeg", 8)] {
                let colour = Rgb([60 * class as u8, 200, 90]);
                let picture = RgbImage::from_fn(width, 10, |x, y| if x > y { colour } else { Rgb([0; 3]) });
                picture.save(folder.join(file)).unwrap();
            }
            fs::write(folder.join(".hidden.png"), "nothing").unwrap();
            fs::write(folder.join("notes.txt"), "nothing").unwrap();
        }
    }
    fs::create_dir(dir.path().join("train/.cache")).unwrap();
    dir
}

fn options() -> DataOptions {
    DataOptions {
        image_size: Some(8),
        ..DataOptions::default()
    }
}

fn message(dir: &TempDir) -> String {
    let error = open(dir.path(), &options()).unwrap_err().to_string();
    error.replace(&dir.path().display().to_string(), "DIR")
}

#[test]
fn classes_and_files_come_in_alphabetical_order() {
    let dir = folder(&["zebra", "ape"]);
    let dataset = open(dir.path(), &options()).unwrap();
    assert_eq!(dataset.class_names, ["ape", "zebra"]);
    assert_eq!(dataset.train.labels(), [0, 0, 0, 1, 1, 1]);
    assert_eq!(dataset.shape.to_string(), "3×8×8");
    let first = fs::read(dir.path().join("train/ape/a.JPG")).unwrap();
    let first = Image::decode(Path::new("a"), &first, 3).unwrap();
    assert_eq!(dataset.train.image(0).unwrap(), first.fit(8, 1.0));
    assert_eq!(dataset.train.path(0), Some(dir.path().join("train/ape/a.JPG")));
}

#[test]
fn lazy_pictures_and_statistics_are_those_in_memory() {
    let dir = folder(&["ape", "zebra"]);
    for channels in [1, 3] {
        let options = DataOptions {
            channels: Some(channels),
            centre_crop: 0.8,
            ..options()
        };
        let eager = open(dir.path(), &options).unwrap();
        let lazy = DataOptions {
            memory_limit_bytes: 100,
            ..options
        };
        let lazy = open(dir.path(), &lazy).unwrap();
        assert!(lazy.train.is_lazy() && !eager.train.is_lazy());
        // Per file: the label twice, the end of its name, and "a.JPG", "b.png" or "c.jpeg".
        let list = 6 * (4 + 4 + 8) + 2 * (5 + 5 + 6);
        assert_eq!(lazy.train.resident_bytes(), list);
        assert_eq!(eager.train.resident_bytes(), list + 6 * channels * 8 * 8);
        assert_eq!(lazy.normalisation, eager.normalisation);
        assert_eq!(lazy.images(&[]), eager.images(&[]));
        let sides = eager.images(&[]).files.unwrap();
        assert_eq!((sides.rows, sides.columns), ([10, 10], [8, 12]));
        assert_eq!(eager.images(&[]).train, [3, 3]);
        for index in 0..6 {
            let expected = eager.train.image(index).unwrap();
            assert_eq!(expected.shape().channels, channels);
            assert_eq!(lazy.train.image(index).unwrap(), expected);
            assert_eq!(lazy.train.path(index), eager.train.path(index));
            assert_eq!(lazy.train.image_to_crop(index).unwrap(), expected);
        }
    }
}

#[test]
fn crops_can_be_cut_from_the_files_own_pixels() {
    let dir = folder(&["ape", "zebra"]);
    let options = DataOptions {
        crop_from_original: true,
        ..options()
    };
    let dataset = open(dir.path(), &options).unwrap();
    assert_eq!(dataset.train.image(0).unwrap().shape().to_string(), "3×8×8");
    assert_eq!(dataset.train.image_to_crop(0).unwrap().shape().to_string(), "3×10×12");
}

#[test]
fn limits_keep_every_class() {
    let dir = folder(&["ape", "zebra"]);
    let options = DataOptions {
        limit: Some(4),
        test_limit: Some(2),
        ..options()
    };
    let dataset = open(dir.path(), &options).unwrap();
    assert_eq!(dataset.train.labels(), [0, 0, 1, 1]);
    assert_eq!(dataset.test.labels(), [0, 1]);
}

#[test]
fn val_is_the_test_part_if_there_is_no_test() {
    let dir = folder(&["ape", "zebra"]);
    fs::rename(dir.path().join("test"), dir.path().join("val")).unwrap();
    assert_eq!(open(dir.path(), &options()).unwrap().test.len(), 6);
    fs::remove_dir_all(dir.path().join("train")).unwrap();
    assert_eq!(
        message(&dir),
        "DIR: expected a folder train/ with a folder per class, beside val/"
    );
    fs::remove_dir_all(dir.path().join("val")).unwrap();
    assert_eq!(message(&dir), "DIR: expected images, but the folder is empty");
}

#[test]
fn val_beside_test_is_for_validation() {
    let dir = folder(&["ape", "zebra"]);
    let before = open(dir.path(), &options()).unwrap();
    assert!(before.validation.is_empty());
    for class in ["ape", "zebra"] {
        let val = dir.path().join("val").join(class);
        fs::create_dir_all(&val).unwrap();
        fs::copy(dir.path().join("train").join(class).join("b.png"), val.join("v.png")).unwrap();
    }
    let dataset = open(dir.path(), &options()).unwrap();
    assert_eq!(
        (dataset.train.len(), dataset.validation.len(), dataset.test.len()),
        (6, 2, 6)
    );
    assert_eq!(dataset.validation.image(0).unwrap(), dataset.train.image(1).unwrap());
    assert_ne!(dataset.checksum, before.checksum);
    fs::remove_dir_all(dir.path().join("val/ape")).unwrap();
    assert_eq!(message(&dir), "DIR/val: expected a folder for each class, two or more");
}

/// In memory or not, the next image of the class replaces a damaged one, and the damaged one is
/// named.
#[test]
fn damaged_pictures_can_be_replaced() {
    let dir = folder(&["ape", "zebra"]);
    let damaged = dir.path().join("train/ape/c.jpeg");
    fs::write(&damaged, "no picture").unwrap();
    let options = DataOptions {
        bad_images: BadImages::Skip,
        ..options()
    };
    let eager = open(dir.path(), &options).unwrap();
    assert_eq!(eager.train.damaged(), std::slice::from_ref(&damaged));
    assert_eq!(eager.train.image(2).unwrap(), eager.train.image(0).unwrap());
    let lazy = DataOptions {
        memory_limit_bytes: 0,
        ..options.clone()
    };
    let lazy = open(dir.path(), &lazy).unwrap();
    for index in 0..6 {
        assert_eq!(lazy.train.image(index).unwrap(), eager.train.image(index).unwrap());
    }
    assert_eq!(lazy.train.damaged(), [damaged]);
    assert_eq!(lazy.normalisation, eager.normalisation);
    assert!(lazy.test.damaged().is_empty());

    for file in ["a.JPG", "b.png"] {
        fs::write(dir.path().join("train/ape").join(file), "no picture").unwrap();
    }
    let error = open(dir.path(), &options).unwrap_err().to_string();
    assert!(error.contains("train/ape/"), "{error}");
}

#[test]
fn a_class_of_one_part_only_is_named() {
    let dir = folder(&["ape", "bee", "zebra"]);
    fs::remove_dir_all(dir.path().join("test/bee")).unwrap();
    assert_eq!(message(&dir), "class `bee` is in DIR/train but not in DIR/test");
    fs::remove_dir_all(dir.path().join("train/bee")).unwrap();
    fs::create_dir(dir.path().join("test/cow")).unwrap();
    assert_eq!(message(&dir), "class `cow` is in DIR/test but not in DIR/train");
}

#[test]
fn an_empty_class_and_a_broken_file_are_named() {
    let dir = folder(&["ape", "zebra"]);
    fs::write(dir.path().join("test/ape/b.png"), "no picture").unwrap();
    let not_an_image = "DIR/test/ape/b.png: not an image: it begins like no JPEG, PNG, WebP, BMP, TIFF or GIF file";
    assert_eq!(message(&dir), not_an_image);
    let whole = fs::read(dir.path().join("train/ape/b.png")).unwrap();
    fs::write(dir.path().join("test/ape/b.png"), &whole[..whole.len() / 2]).unwrap();
    assert_eq!(message(&dir), "DIR/test/ape/b.png: damaged PNG image: it ends early");
    for file in ["a.JPG", "b.png", "c.jpeg"] {
        fs::remove_file(dir.path().join("train/zebra").join(file)).unwrap();
    }
    let told = message(&dir);
    let only = "DIR/train/zebra: expected images of the class, files ending in .jpg, .jpeg, .jpe, .jfif, .png, .webp, .bmp, .dib, .tif, \
        .tiff, .gif, but it contains only 1 .txt file: add some, or remove the folder";
    assert_eq!(told, only);
    for entry in fs::read_dir(dir.path().join("train/zebra")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let told = message(&dir);
    assert!(
        told.contains(", but it is empty: add some, or remove the folder"),
        "{told}"
    );
}

#[test]
fn the_checksum_sees_contents_and_names() {
    let dir = folder(&["ape", "zebra"]);
    let checksum = || open(dir.path(), &options()).unwrap().checksum;
    let before = checksum();
    assert_eq!(before, checksum());
    fs::rename(dir.path().join("test/ape/b.png"), dir.path().join("test/ape/bb.png")).unwrap();
    let renamed = checksum();
    assert_ne!(before, renamed);
    fs::copy(dir.path().join("test/zebra/b.png"), dir.path().join("test/ape/bb.png")).unwrap();
    assert_ne!(renamed, checksum());
}

#[test]
fn a_single_colour_image_keeps_three_channels() {
    let dir = TempDir::new().unwrap();
    let grey = image::DynamicImage::from(image::GrayImage::from_fn(4, 4, |x, y| image::Luma([(x * y) as u8])));
    for class in ["a", "z"] {
        fs::create_dir_all(dir.path().join(class)).unwrap();
    }
    for number in 0..300 {
        grey.save(dir.path().join(format!("a/{number}.png"))).unwrap();
    }
    for number in 0..5 {
        grey.to_rgb8().save(dir.path().join(format!("z/{number}.png"))).unwrap();
    }
    fs::write(dir.path().join("z/damaged.png"), "nothing").unwrap();
    let found = || are_grey(dir.path(), &options(), 1000);
    assert_eq!(found(), Some(true));
    assert_eq!(are_grey(dir.path(), &options(), 100), None);
    let mut colour = grey.to_rgb8();
    colour.put_pixel(3, 3, Rgb([9, 9, 10]));
    colour.save(dir.path().join("z/9.png")).unwrap();
    assert_eq!(found(), Some(false));
    // More files with three channels than are decoded.
    fs::remove_file(dir.path().join("z/9.png")).unwrap();
    for number in 0..=MOST_DECODED {
        grey.to_rgb8()
            .save(dir.path().join(format!("z/more-{number}.png")))
            .unwrap();
    }
    assert_eq!(found(), Some(false));
}
