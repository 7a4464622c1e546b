//! The size of an image as the header of its file states it, without decoding its pixels.
//!
//! Contract: it is the size of the image that the decoders would return, before it is turned
//! upright.

use std::io::Cursor;

use image::ImageDecoder;
use image::codecs::bmp::BmpDecoder;
use image::codecs::gif::GifDecoder;
use image::codecs::webp::WebPDecoder;

use crate::error::ImageProblem;
use crate::format::ImageFormat;
use crate::{jpeg, png, tiff};

/// Width and height of the image in a file of this format.
pub(crate) fn of(format: ImageFormat, bytes: &[u8]) -> Result<(u32, u32), ImageProblem> {
    let said = |error| ImageProblem::from_decoder(format, &error);
    let data = Cursor::new(bytes);
    Ok(match format {
        ImageFormat::Jpeg => jpeg::size(bytes)?,
        ImageFormat::Png => png::size(bytes)?,
        ImageFormat::Tiff => tiff::size(bytes)?,
        ImageFormat::WebP => WebPDecoder::new(data).map_err(said)?.dimensions(),
        ImageFormat::Gif => GifDecoder::new(data).map_err(said)?.dimensions(),
        ImageFormat::Bmp => BmpDecoder::new(data).map_err(said)?.dimensions(),
    })
}
