//! Images between a file and a network: decoding, resizing, preprocessing, and the classes of the
//! network's logits.
//!
//! Training, prediction, `da2s-infer` and the Python package all read images by [`Image::read`] and
//! [`Image::decode`], so that a network sees in use what it saw in its evaluation. Contract: no
//! file, whatever its bytes, leads to a panic or to memory beyond the limits stated here; what is
//! wrong with one is a typed error that names it.

#![forbid(unsafe_code)]

mod chunks;
mod classify;
mod decode;
mod error;
mod file;
mod format;
mod image;
mod jpeg;
mod orientation;
mod preprocessing;
mod tiff;

pub use classify::{Class, most_probable};
pub use decode::MOST_DECODED_BYTES;
pub use error::{ImageError, ImageProblem};
pub use file::{open_file, read_file};
pub use format::{IMAGE_ENDINGS, ImageFormat, has_image_ending};
pub use image::{Image, ImageShape, Rectangle};
pub use preprocessing::byte_table;
