//! TIFF files: the tiff crate decodes their data; this module converts samples to colours.
//!
//! Supported are grey, palette, RGB, CMYK and JPEG's YCbCr with 1 to 16 bits, in strips or tiles,
//! interleaved or not, with or without further channels. Samples with 32 bits or a sign have no
//! agreed black and white, so they are refused.

mod directory;

use image::metadata::Orientation;
use std::borrow::Cow;
use std::io::{self, Cursor};
use std::ops::Range;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError};

use crate::MOST_DECODED_BYTES;
use crate::decode::{from_16_bits, planes};
use crate::error::{ENDS_EARLY, ImageProblem, cleaned};
use crate::format::ImageFormat;
use crate::image::{Image, ImageShape};
use crate::jpeg::Jpeg;
use directory::Directory;
pub(crate) use directory::Numbers;

/// `PhotometricInterpretation`: white is zero.
const WHITE_IS_ZERO: u16 = 0;
/// `PhotometricInterpretation`: black is zero.
const BLACK_IS_ZERO: u8 = 1;
/// `Compression`: JPEG.
const JPEG: u16 = 7;
/// `ExtraSamples`: colours were premultiplied by this transparency.
const ASSOCIATED_ALPHA: u16 = 1;

fn damaged(reason: impl Into<Cow<'static, str>>) -> ImageProblem {
    ImageProblem::damaged(ImageFormat::Tiff, reason)
}

fn problem(error: TiffError) -> ImageProblem {
    match error {
        TiffError::UnsupportedError(error) => ImageProblem::unsupported(format!("this kind of TIFF: {error}")),
        TiffError::LimitsExceeded => ImageProblem::TooLarge {
            size: "this TIFF image".to_owned(),
        },
        TiffError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => damaged(ENDS_EARLY),
        error => damaged(cleaned(&error.to_string())),
    }
}

/// The samples of an image, 8 bits each.
struct Samples {
    values: Vec<u8>,
    /// Distance from one sample of a pixel to the next.
    stride: usize,
    /// Distance from one pixel to the next.
    step: usize,
    pixels: usize,
}

impl Samples {
    /// Computes a colour per pixel from its first `N` samples.
    fn colours<const N: usize>(&self, colour: impl Fn([u8; N]) -> [u8; 3]) -> Vec<u8> {
        let samples = |pixel| std::array::from_fn(|sample| self.values[pixel * self.step + sample * self.stride]);
        (0..self.pixels).flat_map(|pixel| colour(samples(pixel))).collect()
    }

    /// The sample with this number, for every pixel.
    fn plane(&self, sample: usize) -> Vec<u8> {
        (0..self.pixels)
            .map(|pixel| self.values[pixel * self.step + sample * self.stride])
            .collect()
    }
}

/// Width and height of a TIFF file's first page.
pub(crate) fn size(bytes: &[u8]) -> Result<(u32, u32), ImageProblem> {
    let directory = Directory::first(bytes)?;
    let (bytes, _) = without_palette(bytes, &directory);
    decoder(&bytes)?.dimensions().map_err(problem)
}

/// The decoder of a file, within our limits.
fn decoder(bytes: &[u8]) -> Result<Decoder<Cursor<&[u8]>>, ImageProblem> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = MOST_DECODED_BYTES as usize;
    limits.intermediate_buffer_size = MOST_DECODED_BYTES as usize;
    limits.ifd_value_size = bytes.len();
    Ok(Decoder::new(Cursor::new(bytes)).map_err(problem)?.with_limits(limits))
}

/// The pixels of a TIFF file's first page, grey or RGB, and their orientation.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Image, Option<Orientation>), ImageProblem> {
    let directory = Directory::first(bytes)?;
    let (bytes, has_palette) = without_palette(bytes, &directory);
    let mut decoder = decoder(&bytes)?;
    let mut tag = |tag: Tag| decoder.find_tag_unsigned::<u16>(tag).map_err(problem);
    if tag(Tag::FillOrder)?.is_some_and(|order| order != 1) {
        return Err(ImageProblem::unsupported("TIFF whose bits are in reverse order"));
    }
    let orientation = match tag(Tag::Orientation)? {
        Some(tag) => u8::try_from(tag).ok().and_then(Orientation::from_exif),
        None => directory.xmp_orientation(&bytes),
    };
    let is_jpeg = tag(Tag::Compression)? == Some(JPEG);
    let white_is_zero = tag(Tag::PhotometricInterpretation)? == Some(WHITE_IS_ZERO);
    let (width, height) = decoder.dimensions().map_err(problem)?;
    let colours = decoder.colortype().map_err(problem)?;
    let samples = if is_jpeg {
        let mut samples = jpeg_samples(&mut decoder, &bytes, &directory)?;
        // The tiff crate does this for the other compressions.
        if white_is_zero {
            samples.values.iter_mut().for_each(|value| *value = 255 - *value);
        }
        samples
    } else {
        samples(&mut decoder, colours, has_palette)?
    };
    let (channels, pixels) = match colours {
        ColorType::Gray(_) | ColorType::Multiband { .. } if has_palette => {
            let palette = palette(&mut decoder, colours.bit_depth())?;
            (3, samples.colours(|[index]| palette[usize::from(index)]))
        }
        ColorType::Gray(_) | ColorType::GrayA(_) | ColorType::Multiband { .. } => (1, samples.plane(0)),
        ColorType::RGBA(_) if is_premultiplied(&mut decoder)? => (3, samples.colours(unmultiplied)),
        ColorType::RGB(_) | ColorType::RGBA(_) => (3, samples.colours(|colours: [u8; 3]| colours)),
        ColorType::CMYK(_) | ColorType::CMYKA(_) => (3, samples.colours(from_cmyk)),
        ColorType::YCbCr(_) => (3, samples.colours(from_ycbcr)),
        other => return Err(ImageProblem::unsupported(format!("TIFF of the kind {other:?}"))),
    };
    let shape = ImageShape {
        channels,
        height: height as usize,
        width: width as usize,
    };
    Ok((Image::new(shape, planes(&pixels, channels, channels)), orientation))
}

/// The file with grey instead of a palette, which the tiff crate does not read; and whether there
/// was a palette.
fn without_palette<'a>(bytes: &'a [u8], directory: &Directory) -> (Cow<'a, [u8]>, bool) {
    let Some(place) = directory.palette.clone() else {
        return (bytes.into(), false);
    };
    let mut changed = bytes.to_vec();
    for byte in &mut changed[place] {
        *byte = if *byte == 0 { 0 } else { BLACK_IS_ZERO };
    }
    (changed.into(), true)
}

/// The samples of a page whose strips or tiles are JPEG files.
fn jpeg_samples(
    decoder: &mut Decoder<Cursor<&[u8]>>,
    bytes: &[u8],
    directory: &Directory,
) -> Result<Samples, ImageProblem> {
    let (width, height) = decoder.dimensions().map_err(problem)?;
    let (width, height) = (width as usize, height as usize);
    let (chunk_width, chunk_height) = decoder.chunk_dimensions();
    let (chunk_width, chunk_height) = (chunk_width as usize, chunk_height as usize);
    let across = width.div_ceil(chunk_width);
    let count = usize::from(decoder.colortype().map_err(problem)?.num_samples());
    if (width as u64 * height as u64).saturating_mul(count as u64) > MOST_DECODED_BYTES {
        return Err(ImageProblem::too_many_pixels(width as u64, height as u64));
    }
    let mut values = vec![0; width * height * count];
    for (at, range) in directory.data.iter().enumerate() {
        let file = jpeg_file(bytes, directory, range);
        let jpeg = Jpeg::read(&file)?;
        let (top, left) = (at / across * chunk_height, at % across * chunk_width);
        let rows = chunk_height.min(height.saturating_sub(top));
        let columns = chunk_width.min(width - left);
        let [wide, high, components] = jpeg.size();
        if wide < columns || high < rows || components != count {
            return Err(damaged("a strip or tile contradicts its header"));
        }
        jpeg.rows(|row, components| {
            if row >= rows {
                return;
            }
            let place = ((top + row) * width + left) * count;
            let pixels = values[place..place + columns * count].chunks_exact_mut(count);
            for (at, pixel) in pixels.enumerate() {
                for (sample, component) in pixel.iter_mut().zip(&*components) {
                    *sample = component[at];
                }
            }
        });
    }
    Ok(Samples {
        values,
        stride: 1,
        step: count,
        pixels: width * height,
    })
}

/// A strip or tile as a complete JPEG file. The shared tables, if there are any, are a JPEG file
/// themselves: its end marker and the start marker of the strip are dropped where they are joined.
fn jpeg_file<'a>(bytes: &'a [u8], directory: &Directory, range: &Range<usize>) -> Cow<'a, [u8]> {
    let strip = &bytes[range.clone()];
    let Some(tables) = &directory.jpeg_tables else {
        return strip.into();
    };
    let tables = &bytes[tables.clone()];
    let tables = &tables[..tables.len().saturating_sub(2)];
    [tables, strip.get(2..).unwrap_or_default()].concat().into()
}

/// The samples of all planes, scaled to 8 bits unless they are indices into a palette.
fn samples(
    decoder: &mut Decoder<Cursor<&[u8]>>,
    colours: ColorType,
    has_palette: bool,
) -> Result<Samples, ImageProblem> {
    let (width, height) = decoder.dimensions().map_err(problem)?;
    let pixels = width as usize * height as usize;
    let mut data = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut data).map_err(problem)?;
    if data.as_buffer(0).as_bytes().len() < layout.complete_len {
        return Err(ImageProblem::too_many_pixels(width.into(), height.into()));
    }
    let (count, planes) = (usize::from(colours.num_samples()), layout.planes);
    let values = match data {
        DecodingResult::U8(_) if !matches!(colours.bit_depth(), 1 | 2 | 4 | 8) => {
            let bits = colours.bit_depth();
            return Err(ImageProblem::unsupported(format!("TIFF with samples of {bits} bits")));
        }
        DecodingResult::U8(bytes) if colours.bit_depth() < 8 => {
            let per_row = width as usize * if planes > 1 { 1 } else { count };
            unpacked(&bytes, per_row, colours.bit_depth(), has_palette)
        }
        DecodingResult::U8(bytes) => bytes,
        DecodingResult::U16(words) => words.into_iter().map(from_16_bits).collect(),
        _ => {
            return Err(ImageProblem::unsupported(
                "TIFF of 32-bit, floating-point or signed samples",
            ));
        }
    };
    let (stride, step) = if planes > 1 { (pixels, 1) } else { (1, count) };
    if values.len() < pixels * count {
        return Err(damaged("it lacks pixels"));
    }
    Ok(Samples {
        values,
        stride,
        step,
        pixels,
    })
}

/// Samples of less than 8 bits, one per byte; rows begin at a byte boundary.
fn unpacked(bytes: &[u8], per_row: usize, bits: u8, has_palette: bool) -> Vec<u8> {
    let most = (1u8 << bits) - 1;
    let scale = if has_palette { 1 } else { 255 / most };
    let per_byte = usize::from(8 / bits);
    let row = |row: &[u8]| -> Vec<u8> {
        let sample = |at: usize| row[at / per_byte] >> (8 - usize::from(bits) * (at % per_byte + 1)) & most;
        (0..per_row).map(|at| scale * sample(at)).collect()
    };
    bytes.chunks_exact(per_row.div_ceil(per_byte)).flat_map(row).collect()
}

/// The colours of a palette: all red, then all green, then all blue, 16 bits each.
fn palette(decoder: &mut Decoder<Cursor<&[u8]>>, bits: u8) -> Result<Vec<[u8; 3]>, ImageProblem> {
    if bits > 8 {
        return Err(ImageProblem::unsupported(
            "TIFF with a palette of more than 256 colours",
        ));
    }
    let map = decoder.get_tag_u16_vec(Tag::ColorMap).map_err(problem)?;
    let count = 1 << bits;
    if map.len() < 3 * count {
        return Err(damaged("its palette is too short"));
    }
    let colour = |index| std::array::from_fn(|channel| (map[channel * count + index] >> 8) as u8);
    Ok((0..count).map(colour).collect())
}

fn is_premultiplied(decoder: &mut Decoder<Cursor<&[u8]>>) -> Result<bool, ImageProblem> {
    let extra = decoder
        .find_tag_unsigned_vec::<u16>(Tag::ExtraSamples)
        .map_err(problem)?;
    Ok(extra.is_some_and(|extra| extra.first() == Some(&ASSOCIATED_ALPHA)))
}

/// The colours before they were multiplied by their transparency.
fn unmultiplied([red, green, blue, alpha]: [u8; 4]) -> [u8; 3] {
    let colour = |value: u8| match alpha {
        0 => 0,
        alpha => (u32::from(value) * 255 / u32::from(alpha)).min(255) as u8,
    };
    [colour(red), colour(green), colour(blue)]
}

fn from_cmyk([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 3] {
    let light = 255 - u32::from(black);
    let colour = |ink: u8| (((255 - u32::from(ink)) * light + 127) / 255) as u8;
    [colour(cyan), colour(magenta), colour(yellow)]
}

/// Full-range ITU-R BT.601, as in JPEG files.
fn from_ycbcr([luma, blue, red]: [u8; 3]) -> [u8; 3] {
    let (luma, blue, red) = (f32::from(luma), f32::from(blue) - 128.0, f32::from(red) - 128.0);
    [
        luma + 1.402 * red,
        luma - 0.344_136 * blue - 0.714_136 * red,
        luma + 1.772 * blue,
    ]
    .map(|value| value.round() as u8)
}
