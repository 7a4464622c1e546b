//! Every kind of image file compared with Pillow; `corpus/make.py` describes the files.
//!
//! Contract: pixels are bit-identical to Pillow's, or the file is refused for the stated reason; a
//! truncated file is reported as damaged, wherever it is cut.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::fs;
use std::path::{Path, PathBuf};

use da2s_images::{Image, ImageError, ImageProblem};

/// Largest difference from Pillow, which rounds the colours of one kind of TIFF differently.
fn tolerance(name: &str) -> u8 {
    u8::from(name == "mode-YCbCr.tif")
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// Every file with its expected result.
fn cases() -> Vec<(PathBuf, String)> {
    let index = fs::read_to_string(corpus().join("index.txt")).unwrap();
    let case = |line: &str| {
        let (name, expected) = line.split_once(": ").unwrap();
        (corpus().join("files").join(name), expected.to_owned())
    };
    index.lines().map(case).collect()
}

fn kind(error: &ImageError) -> &'static str {
    match error.problem {
        ImageProblem::Unreadable(_) => "unreadable",
        ImageProblem::NotAnImage | ImageProblem::Empty => "not an image",
        ImageProblem::Damaged { .. } => "damaged",
        ImageProblem::Unsupported { .. } => "unsupported",
        ImageProblem::TooLarge { .. } => "too large",
    }
}

/// Height, width, and the red, green and blue of each pixel of a PPM file.
fn ppm(path: &Path) -> (usize, usize, Vec<u8>) {
    let bytes = fs::read(path).unwrap();
    let mut fields = bytes.splitn(4, |byte| byte.is_ascii_whitespace());
    let mut number = || std::str::from_utf8(fields.next().unwrap()).unwrap().to_owned();
    assert_eq!(number(), "P6");
    let (width, height): (usize, usize) = (number().parse().unwrap(), number().parse().unwrap());
    (height, width, bytes[bytes.len() - 3 * width * height..].to_vec())
}

#[test]
fn more_pixels_than_allowed_are_refused_by_the_header() {
    for (path, _) in cases() {
        let Ok(image) = Image::read(&path, 3) else { continue };
        let pixels = image.pixels().len() as u64 / 3;
        let bytes = fs::read(&path).unwrap();
        let within = |most| Image::decode_within(&path, &bytes, 3, most);
        assert_eq!(within(pixels).unwrap(), image);
        let error = within(pixels - 1).unwrap_err();
        assert_eq!(kind(&error), "too large", "{error}");
    }
}

#[test]
fn pixels_are_those_of_pillow_or_the_file_is_refused_for_the_same_reason() {
    let mut wrong = Vec::new();
    let cases = cases();
    assert!(cases.len() > 120);
    for (path, expected) in cases {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let image = match Image::read(&path, 3) {
            Ok(image) => image,
            Err(error) => {
                let text = error.to_string();
                assert!(!text.contains(['\n', '\\']), "{text}");
                if kind(&error) != expected {
                    wrong.push(format!("{name}: {text}, not {expected}"));
                }
                continue;
            }
        };
        if !expected.ends_with(".ppm") {
            wrong.push(format!("{name}: read, not {expected}"));
            continue;
        }
        let (height, width, pixels) = ppm(&corpus().join("pixels").join(&expected));
        if (image.shape().height, image.shape().width) != (height, width) {
            wrong.push(format!("{name}: {}, not 3×{height}×{width}", image.shape()));
            continue;
        }
        let plane = height * width;
        let ours = |at: usize| image.pixels()[at % 3 * plane + at / 3];
        let differences = (0..3 * plane).map(|at| ours(at).abs_diff(pixels[at]));
        let largest = differences.clone().max().unwrap();
        if largest > tolerance(&name) {
            let count = differences.filter(|&difference| difference > 0).count();
            wrong.push(format!(
                "{name}: {count} of {} values differ, by up to {largest}",
                3 * plane
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_file_that_is_cut_anywhere_is_damaged() {
    for (path, expected) in cases() {
        // Bytes after the end of the file's data may be cut.
        let name = path.file_name().unwrap().to_str().unwrap();
        if !expected.ends_with(".ppm") || name.starts_with("bytes-after") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let mut passed = Vec::new();
        for length in 12..bytes.len() {
            match Image::decode(&path, &bytes[..length], 3) {
                Err(error) if kind(&error) == "damaged" => {}
                Err(error) => panic!("{length} of {} bytes: {error}", bytes.len()),
                Ok(_) => passed.push(length),
            }
        }
        assert!(
            passed.is_empty(),
            "{name}, cut to any of {passed:?} of {} bytes, is read",
            bytes.len()
        );
    }
}

#[test]
fn damaged_files_are_errors_or_images_and_nothing_else() {
    // Knuth's linear congruential generator, for the same damage on every machine.
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for (path, _) in cases() {
        let whole = fs::read(&path).unwrap();
        if whole.is_empty() {
            continue;
        }
        for _ in 0..100 {
            let mut bytes = whole.clone();
            for _ in 0..=random(3) {
                let at = random(bytes.len());
                bytes[at] = [0, 1, 0x7f, 0xff, random(256) as u8][random(5)];
            }
            if let Ok(image) = Image::decode(&path, &bytes, 1) {
                assert_eq!(image.pixels().len(), image.shape().values());
            }
        }
    }
}
