//! The built-in handwritten digits: 1,797 grey images of 8×8 pixels in 10 classes.
//!
//! E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
//! Repository, 1998, CC BY 4.0; see fixtures/README.md. One image per line: 64 numbers from 0
//! (white) to 16 (ink), scaled here to 0 to 255, then the class. 360 images, the same for every
//! seed, are for testing.

use da2s_records::Sha256;

use super::Format;
use super::dataset::{Dataset, ImageShape};
use super::error::{DataError, Place};
use super::options::{Content, DataOptions, Pictures};
use super::split::stratified_subset;
use flate2::read::GzDecoder;
use std::io::Read;

const FILE: &[u8] = include_bytes!("digits.csv.gz");
const FILE_NAME: &str = "digits.csv.gz";
const CLASSES: u32 = 10;
const TEST_IMAGES: usize = 360;
/// Selects the test images; not the user's seed, so that every run is tested on the same ones.
const TEST_SEED: u64 = 0;
const INK: u16 = 16;
const SHAPE: ImageShape = ImageShape {
    channels: 1,
    height: 8,
    width: 8,
};

/// Opens the embedded data.
pub(super) fn open(options: &DataOptions) -> Result<Dataset, DataError> {
    let mut text = String::new();
    GzDecoder::new(FILE)
        .read_to_string(&mut text)
        .map_err(DataError::read(FILE_NAME))?;
    let all = parse(&text)?;
    let test = stratified_subset(&all.labels, TEST_IMAGES, TEST_SEED);
    let train: Vec<usize> = (0..all.labels.len())
        .filter(|index| test.binary_search(index).is_err())
        .collect();
    Content {
        format: Format::Digits,
        class_names: (0..CLASSES).map(|digit| digit.to_string()).collect(),
        shape: SHAPE,
        normalisation: None,
        train: gather(&all, &train),
        test: gather(&all, &test),
        checksum: Sha256::over(FILE).hex(),
    }
    .into_dataset(options)
}

fn gather(all: &Pictures, indices: &[usize]) -> Pictures {
    let picture = |&index: &usize| &all.pixels[index * SHAPE.values()..][..SHAPE.values()];
    Pictures {
        labels: indices.iter().map(|&index| all.labels[index]).collect(),
        pixels: indices.iter().flat_map(picture).copied().collect(),
    }
}

fn parse(text: &str) -> Result<Pictures, DataError> {
    let mut labels = Vec::new();
    let mut pixels = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let malformed = |expected: &str, found: &str| DataError::Malformed {
            path: FILE_NAME.into(),
            place: Place::Line(number),
            expected: expected.into(),
            found: found.into(),
        };
        let fields: Vec<&str> = line.split(',').collect();
        let [ink @ .., label] = fields.as_slice() else {
            return Err(malformed("65 numbers", line));
        };
        if ink.len() != SHAPE.values() {
            return Err(malformed("65 numbers", &fields.len().to_string()));
        }
        for field in ink {
            match field.parse::<u16>() {
                Ok(value) if value <= INK => pixels.push(((value * 255 + INK / 2) / INK) as u8),
                Ok(_) | Err(_) => return Err(malformed("a pixel from 0 to 16", field)),
            }
        }
        match label.parse::<u32>() {
            Ok(label) if label < CLASSES => labels.push(label),
            Ok(_) | Err(_) => return Err(malformed("a class from 0 to 9", label)),
        }
    }
    Ok(Pictures { labels, pixels })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_digits_are_complete_and_stratified() {
        let digits = open(&DataOptions::default()).unwrap();
        assert_eq!((digits.train.len(), digits.test.len()), (1437, 360));
        assert_eq!(digits.shape, SHAPE);
        assert_eq!(digits.classes(), 10);
        for class in 0..10 {
            let count = digits.test.labels().iter().filter(|&&label| label == class).count();
            assert!((34..=37).contains(&count), "{count} of class {class}");
        }
        assert_eq!(
            digits.checksum,
            "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"
        );
        let all = [digits.train.labels(), digits.test.labels()].concat();
        assert_eq!(all.len(), 1797);
    }

    #[test]
    fn the_split_and_the_statistics_are_pinned() {
        let digits = open(&DataOptions {
            seed: 99,
            ..DataOptions::default()
        })
        .unwrap();
        assert_eq!(digits.test.labels()[..12], [2, 5, 0, 8, 3, 1, 3, 6, 1, 0, 5, 2]);
        assert_eq!(digits.normalisation.mean, [0.305_208_98]);
        assert_eq!(digits.normalisation.std, [0.375_811_93]);
    }

    #[test]
    fn size_and_limits_apply() {
        let options = DataOptions {
            image_size: Some(16),
            limit: Some(100),
            test_limit: Some(50),
            ..DataOptions::default()
        };
        let digits = open(&options).unwrap();
        assert_eq!((digits.train.len(), digits.test.len()), (100, 50));
        assert_eq!(digits.train.image(99).unwrap().shape(), digits.shape);
        assert_eq!(digits.shape.to_string(), "1×16×16");
        for class in 0..10 {
            let count = digits.train.labels().iter().filter(|&&label| label == class).count();
            assert!((9..=11).contains(&count), "{count} of class {class}");
        }
    }

    #[test]
    fn a_bad_line_is_named() {
        let zeros = "0,".repeat(64);
        for (text, message) in [
            (format!("{zeros}1\n1,2,3"), "line 2: expected 65 numbers, found 3"),
            (
                format!("17{}1", &zeros[1..]),
                "line 1: expected a pixel from 0 to 16, found 17",
            ),
            (format!("{zeros}10"), "line 1: expected a class from 0 to 9, found 10"),
            (String::from("\n"), "line 1: expected 65 numbers, found 1"),
        ] {
            let error = parse(&text).err().unwrap().to_string();
            assert_eq!(error, format!("{FILE_NAME}, {message}"));
        }
        assert_eq!(parse(&format!("16{}9", &zeros[1..])).unwrap().pixels[0], 255);
    }
}
