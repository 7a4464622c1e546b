//! Images between a file and a network: decoding, resizing, preprocessing, and the classes of the network's logits.
//!
//! Training, prediction, `da2s-infer` and the Python package all read images here, so that a network sees in use what it
//! saw in its evaluation. Contract: no file, whatever its bytes, leads to a panic or to memory beyond the limits stated
//! here; what is wrong with one is a typed error that names it.

#![forbid(unsafe_code)]

mod classify;
mod pixels;
mod preprocessing;

pub use classify::{Class, most_probable};
pub use pixels::{Image, ImageError, ImageShape, MOST_DECODED_BYTES, MOST_FILE_BYTES, Window, read_file};
pub use preprocessing::{Preprocessing, byte_table};
