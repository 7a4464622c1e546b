//! IDX files under each of their names, complete and damaged.

use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use std::fs;
use std::io::Write;
use tempfile::TempDir;

fn idx(sizes: &[u32], numbers: &[u8]) -> Vec<u8> {
    let sizes: Vec<u8> = sizes.iter().flat_map(|size| size.to_be_bytes()).collect();
    [&[0, 0, 8, (sizes.len() / 4) as u8][..], &sizes, numbers].concat()
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Files with 20 training and 10 test images, whose pixels count up from the label; names depend on
/// `gzip` and `separator`.
fn folder(dir: &Path, gzip: bool, separator: char) {
    fs::create_dir_all(dir).unwrap();
    for ([images, labels], count) in [(TRAIN, 20_u8), (TEST, 10)] {
        let classes: Vec<u8> = (0..count).map(|image| image % 10).collect();
        let pixels = |&label: &u8| (0..SHAPE.values()).map(move |i| (i as u8).wrapping_add(label));
        let pixels: Vec<u8> = classes.iter().flat_map(pixels).collect();
        for (file, bytes) in [
            (images, idx(&[count.into(), 28, 28], &pixels)),
            (labels, idx(&[count.into()], &classes)),
        ] {
            let name = file.name(separator);
            if gzip {
                fs::write(dir.join(name + ".gz"), compressed(&bytes)).unwrap();
            } else {
                fs::write(dir.join(name), bytes).unwrap();
            }
        }
    }
}

#[test]
fn every_name_and_place_is_the_same_data_set() {
    let mut checksums = Vec::new();
    for variant in [Variant::Mnist, Variant::Fashion] {
        for inner in [".", variant.inner_folder()] {
            for (gzip, separator) in [(false, '-'), (false, '.'), (true, '-'), (true, '.')] {
                let dir = TempDir::new().unwrap();
                assert!(!is_in(variant, dir.path()));
                folder(&dir.path().join(inner), gzip, separator);
                assert!(is_in(variant, dir.path()));
                let dataset = open(variant, dir.path(), &DataOptions::default()).unwrap();
                assert_eq!((dataset.train.len(), dataset.test.len()), (20, 10));
                assert_eq!(dataset.class_names.len(), CLASSES);
                assert_eq!(dataset.shape.to_string(), "1×28×28");
                assert_eq!(dataset.train.labels()[13], 3);
                let pixels: Vec<u8> = (0..SHAPE.values()).map(|i| (i as u8).wrapping_add(3)).collect();
                assert_eq!(dataset.train.image(13).unwrap().pixels(), pixels);
                checksums.push(dataset.checksum);
            }
        }
    }
    assert!(
        checksums.iter().all(|checksum| *checksum == checksums[0]),
        "{checksums:?}"
    );
}

#[test]
fn what_is_wrong_is_named() {
    let dir = TempDir::new().unwrap();
    let message = || {
        let error = open(Variant::Mnist, dir.path(), &DataOptions::default()).unwrap_err();
        error.to_string().replace(&dir.path().display().to_string(), "DIR")
    };
    let missing = "expected train-images-idx3-ubyte or train-images-idx3-ubyte.gz in it";
    assert_eq!(message(), format!("DIR: {missing}"));
    folder(dir.path(), false, '-');
    let images = dir.path().join("train-images-idx3-ubyte");
    let whole = fs::read(&images).unwrap();
    for (bytes, expected) in [
        (
            whole[..1000].to_vec(),
            "DIR/train-images-idx3-ubyte, byte 16: expected 15680 numbers, as the header declares, found 984",
        ),
        (
            [&whole[..], &[0]].concat(),
            "DIR/train-images-idx3-ubyte, byte 16: expected 15680 numbers, as the header declares, found more",
        ),
        (
            idx(&[20], &[0; 20]),
            "DIR/train-images-idx3-ubyte, byte 0: expected an IDX file of bytes in 3 dimensions (00 00 08 03), found \
             00 00 08 01",
        ),
        (
            idx(&[u32::MAX, u32::MAX, u32::MAX], &[]),
            "DIR/train-images-idx3-ubyte, byte 4: expected sizes whose product is 1 to 1073741824, found [4294967295, \
             4294967295, 4294967295]",
        ),
        (
            idx(&[20, 14, 28], &[0; 20 * 14 * 28]),
            "DIR/train-images-idx3-ubyte, byte 8: expected images of 28×28, found 14×28",
        ),
        (vec![0, 0], "cannot read DIR/train-images-idx3-ubyte"),
    ] {
        fs::write(&images, bytes).unwrap();
        assert_eq!(message(), expected);
    }
    fs::write(&images, whole).unwrap();
    let labels = dir.path().join("t10k-labels-idx1-ubyte");
    for (bytes, expected) in [
        (
            idx(&[9], &[0; 9]),
            "DIR/t10k-labels-idx1-ubyte, byte 4: expected 10 labels, one per image, found 9",
        ),
        (
            idx(&[10], &[9, 0, 10, 0, 0, 0, 0, 0, 0, 0]),
            "DIR/t10k-labels-idx1-ubyte, image 2: expected a label below 10, found 10",
        ),
    ] {
        fs::write(&labels, bytes).unwrap();
        assert_eq!(message(), expected);
    }
    fs::remove_file(&labels).unwrap();
    assert!(message().starts_with("DIR: expected t10k-labels-idx1-ubyte or "));
    fs::write(labels.with_extension("gz"), &compressed(&idx(&[10], &[0; 10]))[..12]).unwrap();
    assert_eq!(message(), "cannot read DIR/t10k-labels-idx1-ubyte.gz");
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_an_error_or_numbers(sizes in prop::collection::vec(0_u32..9, 1..4), count in 0_usize..600) {
        let bytes = idx(&sizes, &vec![1; count]);
        let read = parse(Path::new("x"), &bytes[..], sizes.len() as u8);
        let declared: u32 = sizes.iter().product();
        prop_assert_eq!(read.is_ok(), declared > 0 && count == declared as usize);
        prop_assert!(parse(Path::new("x"), &bytes[1..], sizes.len() as u8).is_err());
    }
}
