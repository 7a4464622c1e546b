//! Images in the memory of the calling program, such as those passed to the Python package.
//!
//! Contract: bytes, 0 to 255, in planes, all images of one shape; labels are indices into the class
//! names. If there are no test images, a fifth of the others is set aside for testing, each class
//! in proportion, the same for every seed. If images are not squares of side `image_size`, their
//! centred squares are resampled to this size, as for a folder. The checksum covers everything, so
//! a run cannot be resumed on other images.

use std::collections::BTreeSet;

use da2s_records::Sha256;

use super::Format;
use super::dataset::{Dataset, ImageShape};
use super::error::DataError;
use super::options::{Content, DataOptions, Pictures};
use super::split::stratified_subset;

/// One of this many images is set aside for testing if no test images are given.
const TRAIN_TO_TEST: usize = 5;
/// Selects the test images; not the user's seed, so that every run is tested on the same ones.
const TEST_SEED: u64 = 0;

/// Concatenated images of one shape, with their labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledImages {
    /// Shape of every image.
    pub shape: ImageShape,
    /// `channels × height × width` bytes per image.
    pub pixels: Vec<u8>,
    /// The class of each image, an index into the class names.
    pub labels: Vec<u32>,
}

/// A data set in memory.
#[derive(Clone, Debug)]
pub struct Arrays {
    class_names: Vec<String>,
    train: LabelledImages,
    test: LabelledImages,
    checksum: String,
}

impl Arrays {
    /// A data set of these images.
    ///
    /// # Errors
    /// [`DataError::Arrays`] if the numbers of labels and images differ, there are too few classes
    /// or images, or no network supports the shape.
    pub fn new(
        class_names: Vec<String>,
        train: LabelledImages,
        test: Option<LabelledImages>,
    ) -> Result<Self, DataError> {
        let wrong = |part, expected: &str, found: String| DataError::Arrays {
            part,
            expected: expected.to_owned(),
            found,
        };
        let classes = class_names.len();
        if classes < 2 {
            return Err(wrong("class names", "two or more", classes.to_string()));
        }
        train.check("training images", classes)?;
        let mut present = vec![false; classes];
        for &label in &train.labels {
            present[label as usize] = true;
        }
        if let Some(absent) = present.iter().position(|present| !present) {
            let found = format!("none of class {}", class_names[absent]);
            return Err(wrong("training images", "images of every class", found));
        }
        let (train, test) = match test {
            Some(test) => {
                test.check("test images", classes)?;
                if test.shape != train.shape {
                    let expected = format!("the shape of the training images, {}", train.shape);
                    return Err(wrong("test images", &expected, test.shape.to_string()));
                }
                (train, test)
            }
            None => train.set_aside()?,
        };
        let mut hasher = Sha256::default();
        for name in &class_names {
            hasher.update(name.as_bytes());
            hasher.update([0]);
        }
        for part in [&train, &test] {
            let shape = part.shape;
            for number in [part.labels.len(), shape.channels, shape.height, shape.width] {
                hasher.update((number as u64).to_le_bytes());
            }
            for label in &part.labels {
                hasher.update(label.to_le_bytes());
            }
            hasher.update(&part.pixels);
        }
        let checksum = hasher.hex();
        Ok(Self {
            class_names,
            train,
            test,
            checksum,
        })
    }

    /// The shape of every image.
    pub fn shape(&self) -> ImageShape {
        self.train.shape
    }

    /// Opens the data set for training.
    ///
    /// # Errors
    /// If an option is out of range, or the number of channels is not that of the images.
    pub fn open(&self, options: &DataOptions) -> Result<Dataset, DataError> {
        options.validate(Format::Arrays)?;
        let shape = self.train.shape;
        if let Some(channels) = options.channels {
            let expected = format!("{}, which the arrays have", shape.channels);
            DataError::require("channels", channels, channels == shape.channels, expected)?;
        }
        let pictures = |part: &LabelledImages| Pictures {
            labels: part.labels.clone(),
            pixels: part.pixels.clone(),
        };
        let options = DataOptions {
            image_size: options.image_size.or(Some(shape.height.min(shape.width))),
            ..options.clone()
        };
        Content {
            format: Format::Arrays,
            class_names: self.class_names.clone(),
            shape,
            normalisation: None,
            train: pictures(&self.train),
            test: pictures(&self.test),
            checksum: self.checksum.clone(),
        }
        .into_dataset(&options)
    }
}

impl LabelledImages {
    fn check(&self, part: &'static str, classes: usize) -> Result<(), DataError> {
        let shape = self.shape;
        let wrong = |expected: String, found: String| Err(DataError::Arrays { part, expected, found });
        if ![1, 3].contains(&shape.channels) {
            return wrong("1 or 3 channels".to_owned(), shape.channels.to_string());
        }
        if self.labels.is_empty() || shape.values() == 0 {
            let found = format!("{} of {shape}", self.labels.len());
            return wrong("at least one, of at least one pixel".to_owned(), found);
        }
        if self.pixels.len() != self.labels.len() * shape.values() {
            let found = format!("{} bytes in images of {shape}", self.pixels.len());
            return wrong(format!("one image for each of {} labels", self.labels.len()), found);
        }
        match self.labels.iter().find(|&&label| label as usize >= classes) {
            Some(label) => wrong(format!("labels below {classes}, one per class"), label.to_string()),
            None => Ok(()),
        }
    }

    /// Splits off the images for testing; returns the rest and these.
    fn set_aside(self) -> Result<(Self, Self), DataError> {
        let mut test = stratified_subset(&self.labels, self.labels.len() / TRAIN_TO_TEST, TEST_SEED);
        // Fractions are rounded over all classes together: a rare class must not go to the test
        // part completely.
        let images = |label: u32, of: &[usize]| of.iter().filter(|&&index| self.labels[index] == label).count();
        let everything: Vec<usize> = (0..self.labels.len()).collect();
        let whole: BTreeSet<u32> = test
            .iter()
            .map(|&index| self.labels[index])
            .filter(|&label| images(label, &test) == images(label, &everything))
            .collect();
        for label in whole {
            let first = test.iter().position(|&index| self.labels[index] == label);
            first.map(|at| test.remove(at));
        }
        let train: Vec<usize> = (0..self.labels.len())
            .filter(|index| test.binary_search(index).is_err())
            .collect();
        if test.is_empty() {
            return Err(DataError::Arrays {
                part: "training images",
                expected: format!("{TRAIN_TO_TEST} or more, one of them for testing"),
                found: self.labels.len().to_string(),
            });
        }
        Ok((self.at(&train), self.at(&test)))
    }

    fn at(&self, indices: &[usize]) -> Self {
        let values = self.shape.values();
        let picture = |&index: &usize| &self.pixels[index * values..][..values];
        Self {
            shape: self.shape,
            pixels: indices.iter().flat_map(picture).copied().collect(),
            labels: indices.iter().map(|&index| self.labels[index]).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: ImageShape = ImageShape {
        channels: 1,
        height: 4,
        width: 6,
    };

    fn names() -> Vec<String> {
        ["ape", "bee"].map(str::to_owned).to_vec()
    }

    fn images(count: u8) -> LabelledImages {
        LabelledImages {
            shape: SHAPE,
            pixels: (0..count).flat_map(|image| [image; 24]).collect(),
            labels: (0..count).map(|image| u32::from(image % 2)).collect(),
        }
    }

    #[test]
    fn a_fifth_is_set_aside_for_the_test_unless_there_are_test_images() {
        let own = Arrays::new(names(), images(20), None).unwrap();
        let dataset = own.open(&DataOptions::default()).unwrap();
        assert_eq!((dataset.train.len(), dataset.test.len()), (16, 4));
        assert_eq!(
            dataset.test.labels().iter().sum::<u32>(),
            2,
            "as many of the one class as of the other"
        );
        assert_eq!(dataset.shape.to_string(), "1×4×4");
        let first = |split: &super::super::Split, at| split.image(at).unwrap().pixels()[0];
        let mut seen: Vec<u8> = (0..16).map(|at| first(&dataset.train, at)).collect();
        seen.extend((0..4).map(|at| first(&dataset.test, at)));
        seen.sort_unstable();
        assert_eq!(seen, (0..20).collect::<Vec<u8>>());
        let given = Arrays::new(names(), images(20), Some(images(2))).unwrap();
        let dataset = given.open(&DataOptions::default()).unwrap();
        assert_eq!((dataset.train.len(), dataset.test.len()), (20, 2));
    }

    #[test]
    fn other_pictures_have_another_checksum() {
        let checksum = |train, test| Arrays::new(names(), train, test).unwrap().checksum;
        let first = checksum(images(10), None);
        assert_eq!(first, checksum(images(10), None));
        let mut pixels = images(10);
        pixels.pixels[7] ^= 1;
        let mut labels = images(10);
        labels.labels.swap(0, 1);
        assert_ne!(first, checksum(pixels, None));
        assert_ne!(first, checksum(labels, None));
        assert_ne!(first, checksum(images(10), Some(images(2))));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let changed = |change: fn(&mut LabelledImages)| {
            let mut changed = images(10);
            change(&mut changed);
            changed
        };
        for (train, test, message) in [
            (
                changed(|images| images.labels.truncate(9)),
                None,
                "training images: expected one image for each of 9 labels, found 240 bytes in images of 1×4×6",
            ),
            (
                changed(|images| images.labels[3] = 2),
                None,
                "training images: expected labels below 2, one per class, found 2",
            ),
            (
                changed(|images| images.labels.fill(1)),
                None,
                "training images: expected images of every class, found none of class ape",
            ),
            (
                images(4),
                None,
                "training images: expected 5 or more, one of them for testing, found 4",
            ),
            (
                images(10),
                Some(changed(|images| images.shape.width = 3)),
                "test images: expected one image for each of 10 labels, found 240 bytes in images of 1×4×3",
            ),
            (
                changed(|images| images.shape.channels = 2),
                None,
                "training images: expected 1 or 3 channels, found 2",
            ),
        ] {
            assert_eq!(Arrays::new(names(), train, test).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn channels_are_those_of_the_arrays() {
        let options = DataOptions {
            channels: Some(3),
            ..DataOptions::default()
        };
        let error = Arrays::new(names(), images(10), None)
            .unwrap()
            .open(&options)
            .unwrap_err();
        assert_eq!(error.to_string(), "channels = 3: expected 1, which the arrays have");
    }

    #[test]
    fn no_class_is_only_in_the_test_part() {
        let names = || ["a", "b", "c"].map(str::to_owned).to_vec();
        let mut tried = 0;
        for counts in (0..216).map(|code| [1 + code % 6, 1 + code / 6 % 6, 1 + code / 36]) {
            let labels: Vec<u32> = (0..3u32)
                .flat_map(|class| vec![class; counts[class as usize]])
                .collect();
            let count = labels.len() as u8;
            let images = LabelledImages {
                labels,
                ..images(count)
            };
            // If too few are left for testing, an error is expected.
            let Ok(arrays) = Arrays::new(names(), images, None) else {
                continue;
            };
            tried += 1;
            let all = [0, 1, 2].iter().all(|class| arrays.train.labels.contains(class));
            assert!(all && !arrays.test.labels.is_empty(), "{counts:?}");
        }
        assert!(tried > 150, "{tried}");
    }
}
