//! The settings of the images.

use std::path::PathBuf;

use da2s_settings::{BELOW_1, FROM_1, Problem, SHARE, positive_up_to, settings, whole};

use crate::{BadImages, ClassWeights, DataOptions, Format, ImageShape, Scheme};

settings! {
    /// The images, and how they are read.
    pub struct DataSettings {
        /// The data set, or the format of your own.
        dataset: Format = Format::Digits;
        /// Folder of the images; the digits and arrays need none.
        dir: Option<PathBuf> = None, named "data_dir", may_change on resume;
        /// Side in pixels to which images are resized.
        ///
        /// Unset keeps a data set's own size; `images` has none, and needs this setting.
        image_size: Option<usize> = None, in whole(1..=4096), named "image_size";
        /// Channels, 1 or 3, to which the images of a folder are decoded.
        ///
        /// Unset, a new run takes 1 if all images of the folder are grey, and 3 otherwise. It also
        /// takes 3 for a folder of more than 200,000 files, which it does not examine, or with more
        /// than 128 grey images that are stored in colour. Every other data set allows only its own
        /// number.
        channels: Option<usize> = None, in whole(1..=3);
        /// Maximum number of training images; classes keep their proportions.
        limit: Option<usize> = None, in FROM_1, named "limit";
        /// Maximum number of test images, and of a folder's validation images.
        test_limit: Option<usize> = None, in FROM_1;
        /// Side of the centred square that is cut out of each image of a folder or an array, as a
        /// share of the image's shorter side.
        centre_crop: f32 = 1.0, in positive_up_to(1.0);
        /// A folder's images are kept in memory if they have at most this many bytes; otherwise
        /// they are read when needed.
        memory_limit_bytes: u64 = 4 << 30;
        /// What happens to a folder's images that cannot be decoded.
        bad_images: BadImages = BadImages::Refuse;
        /// Share of the training images that train the architecture, α and β; the others train the
        /// weights.
        ///
        /// An epoch is one pass over the images of the weights.
        arch_fraction: f64 = 0.5, in SHARE;
        /// Share of the training images that is set aside to choose the epoch of the final network;
        /// 0 takes the last epoch.
        validation_fraction: f64 = 0.0, in BELOW_1;
        /// Weights of the classes in the cross-entropy of search and retraining, for data with rare
        /// classes.
        ///
        /// `"balanced"` gives each class a weight of n / (classes · n of the class), so that all
        /// count alike. A table such as `{ rare = 10.0 }` gives weights by name; all other classes
        /// have 1. The loss of a batch is divided by the sum of the weights of its images.
        class_weights: ClassWeights = ClassWeights::Scheme(Scheme::None);
    }
}

impl DataSettings {
    /// Checks that the settings fit each other.
    ///
    /// # Errors
    /// For the first that does not.
    pub fn check(&self) -> Result<(), Problem> {
        let (arch, validation) = (self.arch_fraction, self.validation_fraction);
        if arch + validation >= 1.0 {
            let expected = format!("a value whose sum with data.arch_fraction = {arch} is less than 1");
            return Err(Problem::refused("data.validation_fraction", validation, expected));
        }
        Ok(())
    }

    /// The shape of every image; `None` if files may have any size and no size is set.
    pub fn shape(&self) -> Option<ImageShape> {
        let own = self.dataset.facts().shape;
        let side = self.image_size.or(own.map(|shape| shape.height))?;
        Some(ImageShape {
            channels: self.channels.unwrap_or(own.map_or(3, |shape| shape.channels)),
            height: side,
            width: side,
        })
    }

    /// The options for opening the images; `seed` selects those that limits keep, and `cropped`
    /// tells whether training cuts out random windows and resizes them.
    pub fn options(&self, seed: u64, cropped: bool) -> DataOptions {
        DataOptions {
            image_size: self.image_size,
            channels: self.channels,
            limit: self.limit,
            test_limit: self.test_limit,
            seed,
            memory_limit_bytes: self.memory_limit_bytes,
            // Images that all have the same size are cropped at that size.
            crop_from_original: cropped && self.dataset == Format::Images,
            centre_crop: self.centre_crop,
            bad_images: self.bad_images,
        }
    }
}
