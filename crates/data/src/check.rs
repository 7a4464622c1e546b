//! Reads every image of a data set and summarises it, so that damaged images are found before a run
//! and not hours into it.

use super::dataset::{Part, class_counts};
use super::error::DataError;
use super::image_files::ImageFiles;
use super::mirror::{Mirrored, mirrored};
use super::options::DataOptions;
use super::walk::PassedOver;
use super::{Format, images, open};
use da2s_images::ImageError;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

/// A summary of a data set.
#[derive(Debug)]
pub struct Check {
    /// Names of the classes.
    pub class_names: Vec<String>,
    /// The existing parts.
    pub parts: Vec<CheckedPart>,
    /// Errors of single images.
    pub damaged: Vec<ImageError>,
    /// Files that are not read.
    pub passed_over: PassedOver,
    /// Classes that are mirror images of each other; `None` if there are too many classes to
    /// examine.
    pub mirrored: Option<Vec<Mirrored>>,
    /// Notes for the user about the layout of the images, one sentence each.
    pub notes: Vec<String>,
}

/// A summary of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedPart {
    /// The part.
    pub part: Part,
    /// Number of images of each class, including damaged ones.
    pub images: Vec<usize>,
    /// Number of images for each height and width, without damaged ones.
    pub sizes: BTreeMap<(usize, usize), usize>,
}

/// Reads every image in `dir`, a folder or, for [`Format::Images`], also a table of labels.
///
/// # Errors
/// If the folder does not have the layout of the format, or a file with many images is damaged;
/// single damaged images are listed in [`Check::damaged`] instead.
pub fn check(format: Format, dir: Option<&Path>) -> Result<Check, DataError> {
    match (format, dir) {
        (Format::Images, Some(dir)) => folder(dir),
        (
            Format::Images
            | Format::Digits
            | Format::Cifar10
            | Format::Cifar100
            | Format::Mnist
            | Format::Fashion
            | Format::Arrays,
            dir,
        ) => {
            // Opening such a data set reads all its images.
            let dataset = open(format, dir, &DataOptions::default())?;
            let size = (dataset.shape.height, dataset.shape.width);
            let checked = |part| {
                let split = dataset.part(part);
                (!split.is_empty()).then(|| CheckedPart {
                    part,
                    images: dataset.class_counts(part),
                    sizes: BTreeMap::from([(size, split.len())]),
                })
            };
            Ok(Check {
                parts: Part::ALL.into_iter().filter_map(checked).collect(),
                class_names: dataset.class_names.clone(),
                damaged: Vec::new(),
                passed_over: PassedOver::default(),
                mirrored: mirrored(dataset.train.labels(), dataset.classes(), &|index| {
                    dataset.train.image(index).ok()
                }),
                notes: dataset.notes.clone(),
            })
        }
    }
}

/// Reads every file of a folder of images.
fn folder(dir: &Path) -> Result<Check, DataError> {
    // The files' own pixels are used, so the size does not matter. The seed is
    // the default of a run.
    let options = DataOptions {
        image_size: Some(1),
        seed: 1,
        ..DataOptions::default()
    };
    let pictures = images::Parts::list(dir, &options)?;
    let mut check = Check {
        class_names: pictures.class_names,
        parts: Vec::new(),
        damaged: Vec::new(),
        passed_over: pictures.passed_over,
        mirrored: None,
        notes: pictures.notes,
    };
    for (part, files) in [
        (Part::Train, Some(&pictures.train)),
        (Part::Validation, pictures.validation.as_ref()),
        (Part::Test, Some(&pictures.test)),
    ] {
        if let Some(files) = files {
            let (sizes, damaged) = sizes(files)?;
            check.parts.push(CheckedPart {
                part,
                images: class_counts(files.list.labels(), check.class_names.len()),
                sizes,
            });
            check.damaged.extend(damaged);
        }
    }
    let train = &pictures.train;
    let labels = train.list.labels();
    check.mirrored = mirrored(labels, check.class_names.len(), &|index| train.picture(index).ok());
    Ok(check)
}

/// Number of images for each height and width.
type Sizes = BTreeMap<(usize, usize), usize>;

/// The sizes of the images in `files`, and the errors of those that cannot be decoded.
fn sizes(files: &ImageFiles) -> Result<(Sizes, Vec<ImageError>), DataError> {
    let read = |index| match files.picture(index) {
        Ok(image) => Ok(Ok((image.shape().height, image.shape().width))),
        Err(DataError::Image(damaged)) => Ok(Err(damaged)),
        Err(error) => Err(error),
    };
    let read: Vec<_> = (0..files.list.len())
        .into_par_iter()
        .map(read)
        .collect::<Result<_, _>>()?;
    let (mut sizes, mut damaged) = (Sizes::new(), Vec::new());
    for picture in read {
        match picture {
            Ok(size) => *sizes.entry(size).or_default() += 1,
            Err(error) => damaged.push(error),
        }
    }
    Ok((sizes, damaged))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_all_there() {
        let check = check(Format::Digits, None).unwrap();
        assert!(check.damaged.is_empty());
        let parts: Vec<(Part, usize)> = check
            .parts
            .iter()
            .map(|part| (part.part, part.images.iter().sum()))
            .collect();
        assert_eq!(parts, [(Part::Train, 1437), (Part::Test, 360)]);
        assert_eq!(check.parts[1].sizes, BTreeMap::from([((8, 8), 360)]));
    }

    #[test]
    fn every_damaged_image_is_named_and_sizes_are_those_of_the_files() {
        let dir = tempfile::TempDir::new().unwrap();
        for part in ["train", "val", "test"] {
            for (class, width) in [("ape", 4), ("bee", 7)] {
                let folder = dir.path().join(part).join(class);
                std::fs::create_dir_all(&folder).unwrap();
                image::RgbImage::new(width, 5).save(folder.join("1.png")).unwrap();
                std::fs::write(folder.join("2.jpg"), "no picture").unwrap();
            }
        }
        let check = check(Format::Images, Some(dir.path())).unwrap();
        assert_eq!(check.class_names, ["ape", "bee"]);
        let parts: Vec<Part> = check.parts.iter().map(|part| part.part).collect();
        assert_eq!(parts, Part::ALL);
        for part in &check.parts {
            assert_eq!(part.images, [2, 2]);
            assert_eq!(part.sizes, BTreeMap::from([((5, 4), 1), ((5, 7), 1)]));
        }
        assert_eq!(check.damaged.len(), 6);
        let first = check.damaged[0].to_string();
        assert!(first.contains("2.jpg: not an image: it begins like no JPEG"), "{first}");
        assert!(first.contains("ape"), "{first}");
    }
}
