//! Images between file and network: decoding, resizing, preprocessing, and classes from logits.
//!
//! Training, prediction, `da2s-infer` and the Python package all read images with [`Image::read`]
//! and [`Image::decode`], so a network gets the same input in use as in its evaluation. Contract:
//! no file, whatever its bytes, causes a panic or exceeds the memory limits stated here; every
//! problem is a typed error that names the file.

#![forbid(unsafe_code)]

mod chunks;
mod classify;
mod decode;
mod error;
mod exif;
mod file;
mod format;
mod grey;
mod image;
mod jpeg;
mod orientation;
mod png;
mod preprocessing;
mod size;
mod tiff;

pub use classify::{Class, most_probable};
pub use decode::MOST_DECODED_BYTES;
pub use error::{ImageError, ImageProblem};
pub use file::{open_file, read_file};
pub use format::{IMAGE_ENDINGS, ImageFormat, has_image_ending};
pub use grey::has_one_channel;
pub use image::{Image, ImageShape, Rectangle};
pub use preprocessing::byte_table;
