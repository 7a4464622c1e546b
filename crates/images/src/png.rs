//! Decodes PNG files.
//!
//! Reference: W3C, "Portable Network Graphics Specification", third edition, 2025. Contract: every
//! checksum is verified, including the Adler-32 of the compressed data, which the image crate's
//! decoder ignores. An animation is read as its default image.

use std::io;

use png::{BitDepth, ColorType, DecodeOptions, Decoder, DecodingError, Limits, Transformations};

use crate::decode::{MOST_DECODED_BYTES, from_16_bits, planes};
use crate::error::{ENDS_EARLY, ImageProblem, cleaned};
use crate::format::ImageFormat;
use crate::image::{Image, ImageShape};

/// The image in a file whose chunks are complete, without transparency.
pub(crate) fn decode(bytes: &[u8]) -> Result<Image, ImageProblem> {
    let mut options = DecodeOptions::default();
    options.set_ignore_adler32(false);
    let mut decoder = Decoder::new_with_options(io::Cursor::new(bytes), options);
    decoder.set_limits(Limits {
        bytes: MOST_DECODED_BYTES as usize,
    });
    // Palettes and fewer than 8 bits become 8 bits; 16 bits stay.
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(problem)?;
    let (width, height) = reader.info().size();
    let len = reader
        .output_buffer_size()
        .filter(|&len| len as u64 <= MOST_DECODED_BYTES);
    let mut samples = vec![0; len.ok_or_else(|| ImageProblem::too_many_pixels(width.into(), height.into()))?];
    let frame = reader.next_frame(&mut samples).map_err(problem)?;
    samples.truncate(frame.buffer_size());
    if frame.bit_depth == BitDepth::Sixteen {
        let (wide, _) = samples.as_chunks::<2>();
        samples = wide
            .iter()
            .map(|&bytes| from_16_bits(u16::from_be_bytes(bytes)))
            .collect();
    }
    let channels = match frame.color_type {
        ColorType::Grayscale | ColorType::GrayscaleAlpha => 1,
        ColorType::Rgb | ColorType::Rgba | ColorType::Indexed => 3,
    };
    let shape = ImageShape {
        channels,
        height: height as usize,
        width: width as usize,
    };
    Ok(Image::new(
        shape,
        planes(&samples, frame.color_type.samples(), channels),
    ))
}

/// Width and height, as the header states them.
pub(crate) fn size(bytes: &[u8]) -> Result<(u32, u32), ImageProblem> {
    let mut decoder = Decoder::new(io::Cursor::new(bytes));
    Ok(decoder.read_header_info().map_err(problem)?.size())
}

/// Whether the header states a single channel of luminance, with or without transparency.
pub(crate) fn is_grey(bytes: &[u8]) -> bool {
    let mut decoder = Decoder::new(io::Cursor::new(bytes));
    let header = decoder.read_header_info();
    header.is_ok_and(|header| matches!(header.color_type, ColorType::Grayscale | ColorType::GrayscaleAlpha))
}

fn problem(error: DecodingError) -> ImageProblem {
    match error {
        DecodingError::LimitsExceeded => ImageProblem::TooLarge {
            size: format!("this {} image", ImageFormat::Png),
        },
        DecodingError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            ImageProblem::damaged(ImageFormat::Png, ENDS_EARLY)
        }
        other => ImageProblem::damaged(ImageFormat::Png, cleaned(&other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunks;

    #[test]
    fn a_wrong_checksum_of_the_compressed_data_is_found() {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 3, 2);
        encoder.set_color(ColorType::Rgb);
        let pixels: Vec<u8> = (0..18).collect();
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&pixels).unwrap();
        writer.finish().unwrap();
        assert_eq!(decode(&bytes).unwrap().pixels(), planes(&pixels, 3, 3));
        let start = bytes.windows(4).position(|name| name == b"IDAT").unwrap();
        let end = bytes.windows(4).position(|name| name == b"IEND").unwrap() - 8;
        bytes[end - 1] ^= 1;
        let crc = crc32(&bytes[start..end]);
        bytes[end..end + 4].copy_from_slice(&crc.to_be_bytes());
        let error = decode(&bytes).unwrap_err().to_string();
        assert!(error.starts_with("damaged PNG image: "), "{error}");
    }

    /// A palette of `colours` bytes and `transparent` alphas, as bytes of a file of 1×1 pixels.
    fn with_palette(colours: usize, transparent: usize) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        let mut header = [0, 0, 0, 1, 0, 0, 0, 1, 8, 3, 0, 0, 0].to_vec();
        let pixels = [0x78, 0x01, 1, 2, 0, 0xfd, 0xff, 0, 0, 0, 2, 0, 1];
        for (name, data) in [
            (b"IHDR", &mut header),
            (b"PLTE", &mut vec![7; colours]),
            (b"tRNS", &mut vec![9; transparent]),
            (b"IDAT", &mut pixels.to_vec()),
            (b"IEND", &mut Vec::new()),
        ] {
            let chunk = [&name[..], data].concat();
            bytes.extend((data.len() as u32).to_be_bytes());
            bytes.extend(&chunk);
            bytes.extend(crc32(&chunk).to_be_bytes());
        }
        bytes
    }

    #[test]
    fn an_incomplete_palette_is_damaged() {
        let whole = |bytes: Vec<u8>| {
            chunks::png(&bytes)
                .and_then(|_| decode(&bytes))
                .map(|image| image.pixels()[0])
        };
        assert_eq!(whole(with_palette(6, 2)).unwrap(), 7);
        for (colours, transparent) in [(1, 0), (4, 1), (6, 3), (3 * 257, 0), (0, 0), (0, 2)] {
            let error = whole(with_palette(colours, transparent)).unwrap_err().to_string();
            assert!(error.starts_with("damaged PNG image: its palette has "), "{error}");
        }
    }

    /// The checksum of a chunk: CRC-32 with the reversed polynomial 0xedb88320.
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0_u32, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
        })
    }
}
