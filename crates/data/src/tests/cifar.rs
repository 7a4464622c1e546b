//! Both versions of both data sets, in folders and archives, complete and damaged.

use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

const VARIANTS: [Variant; 2] = [Variant::Cifar10, Variant::Cifar100];

/// Records whose label is `label(record)` and whose pixels count up from it.
fn records(variant: Variant, count: u8, label: impl Fn(u8) -> u8) -> Vec<u8> {
    let coarse = variant.table().labels.len() - 1;
    (0..count)
        .flat_map(|record| {
            let label = label(record);
            let pixels = (0..SHAPE.values()).map(move |i| (i as u8).wrapping_add(label));
            std::iter::repeat_n(19, coarse).chain([label]).chain(pixels)
        })
        .collect()
}

fn class_names(variant: Variant) -> Vec<String> {
    (0..variant.table().classes)
        .map(|class| format!("class {class}"))
        .collect()
}

/// Every file of a version with its name, with `per_file` records each.
fn contents(variant: Variant, encoding: Encoding, per_file: u8) -> Vec<(&'static str, Vec<u8>)> {
    let table = variant.table();
    let version = version(variant, encoding);
    let names = class_names(variant);
    let records = records(variant, per_file, |record| record % table.classes as u8);
    let (names, pictures) = match encoding {
        Encoding::Binary => (names.join("\n").into_bytes(), records),
        Encoding::Python => {
            let names = list(names.iter().map(|name| text(name)));
            (dictionary(&[(table.class_names, names)]), pickled(&table, &records))
        }
    };
    let files = version.train.iter().copied().chain([version.test]);
    files
        .map(|file| (file, pictures.clone()))
        .chain([(version.names, names)])
        .collect()
}

fn version(variant: Variant, encoding: Encoding) -> &'static Version {
    let versions = variant.table().versions;
    versions.iter().find(|version| version.encoding == encoding).unwrap()
}

fn folder(variant: Variant, encoding: Encoding, dir: &Path, per_file: u8) {
    fs::create_dir_all(dir).unwrap();
    for (name, bytes) in contents(variant, encoding, per_file) {
        fs::write(dir.join(name), bytes).unwrap();
    }
}

/// The archive as published: the files in their folder, with an unused HTML page.
fn archive(variant: Variant, encoding: Encoding, dir: &Path, per_file: u8) -> PathBuf {
    let version = version(variant, encoding);
    let path = dir.join(version.archive);
    let mut builder = tar::Builder::new(GzEncoder::new(fs::File::create(&path).unwrap(), Compression::fast()));
    for (name, bytes) in contents(variant, encoding, per_file)
        .into_iter()
        .chain([("readme.html", b"<html>".to_vec())])
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        let inner = format!("{}/{name}", version.folder);
        builder.append_data(&mut header, inner, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap();
    path
}

/// A pickle of protocol 2 as Python 2 writes it: texts are strings of bytes.
fn dictionary(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let items = entries
        .iter()
        .flat_map(|(key, value)| [text(key), value.clone()].concat());
    [&b"\x80\x02}q\x01("[..], &items.collect::<Vec<u8>>(), b"u."].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&[b'U', text.len() as u8][..], text.as_bytes(), b"q\x02"].concat()
}

fn list(items: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    [&b"]q\x03("[..], &items.flatten().collect::<Vec<u8>>(), b"e"].concat()
}

/// A two-dimensional array of bytes, with the opcodes of numpy's own pickle.
fn array(columns: usize, bytes: &[u8]) -> Vec<u8> {
    let size = |size: usize| [&b"J"[..], &(size as u32).to_le_bytes()].concat();
    [
        &b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\t(K\x01"[..],
        &size(bytes.len() / columns),
        &size(columns),
        b"\x86cnumpy\ndtype\nq\nU\x02u1K\x00K\x01\x87Rq\x0b(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T",
        &(bytes.len() as u32).to_le_bytes(),
        bytes,
        b"tb",
    ]
    .concat()
}

/// The pickle with the same content as `records`.
fn pickled(table: &VariantFacts, records: &[u8]) -> Vec<u8> {
    let record_bytes = table.labels.len() + SHAPE.values();
    let records: Vec<&[u8]> = records.chunks_exact(record_bytes).collect();
    let pixels: Vec<u8> = records
        .iter()
        .flat_map(|record| &record[table.labels.len()..])
        .copied()
        .collect();
    let mut entries = vec![
        ("batch_label", text("training batch 1 of 5")),
        ("data", array(SHAPE.values(), &pixels)),
    ];
    for (at, key) in table.labels.iter().enumerate() {
        entries.push((key, list(records.iter().map(|record| vec![b'K', record[at]]))));
    }
    entries.push((
        "filenames",
        list(records.iter().map(|_| text("leptodactylus_s_000004.png"))),
    ));
    dictionary(&entries)
}

fn message(dir: &TempDir, variant: Variant) -> String {
    let error = open(variant, dir.path(), &DataOptions::default()).unwrap_err();
    error.to_string().replace(&dir.path().display().to_string(), "DIR")
}

#[test]
fn every_version_in_every_place_is_the_same_data_set() {
    for (variant, train, test) in [(Variant::Cifar10, 100, 20), (Variant::Cifar100, 20, 20)] {
        let mut checksums = Vec::new();
        for encoding in [Encoding::Binary, Encoding::Python] {
            let parent = TempDir::new().unwrap();
            assert!(!is_in(variant, parent.path()));
            let dir = parent.path().join(version(variant, encoding).folder);
            folder(variant, encoding, &dir, 20);
            let packed = TempDir::new().unwrap();
            let archive = archive(variant, encoding, packed.path(), 20);
            for path in [&dir, parent.path(), packed.path(), &archive] {
                assert!(is_in(variant, path));
                let dataset = open(variant, path, &DataOptions::default()).unwrap();
                assert_eq!((dataset.train.len(), dataset.test.len()), (train, test));
                assert_eq!(dataset.class_names, class_names(variant));
                assert_eq!(dataset.test.labels()[3], 3);
                let pixels: Vec<u8> = (0..SHAPE.values()).map(|i| (i as u8).wrapping_add(3)).collect();
                assert_eq!(dataset.test.image(3).unwrap().pixels(), pixels);
                checksums.push(dataset.checksum);
            }
        }
        assert!(
            checksums.iter().all(|checksum| *checksum == checksums[0]),
            "{checksums:?}"
        );
    }
}

#[test]
fn size_and_limits_apply_and_the_checksum_sees_a_changed_byte() {
    let dir = TempDir::new().unwrap();
    folder(Variant::Cifar10, Encoding::Binary, dir.path(), 20);
    let options = DataOptions {
        image_size: Some(16),
        limit: Some(30),
        test_limit: Some(10),
        ..DataOptions::default()
    };
    let before = open(Variant::Cifar10, dir.path(), &options).unwrap();
    assert_eq!((before.train.len(), before.test.len()), (30, 10));
    assert_eq!(before.shape.to_string(), "3×16×16");
    for class in 0..10 {
        let count = before.train.labels().iter().filter(|&&label| label == class).count();
        assert_eq!(count, 3);
    }
    let path = dir.path().join("test_batch.bin");
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, bytes).unwrap();
    let after = open(Variant::Cifar10, dir.path(), &options).unwrap();
    assert_ne!(before.checksum, after.checksum);
}

#[test]
fn what_is_wrong_with_records_is_named() {
    let dir = TempDir::new().unwrap();
    let message = || message(&dir, Variant::Cifar10);
    assert_eq!(
        message(),
        "DIR: expected data_batch_1.bin in it or in cifar-10-batches-bin/, or cifar-10-binary.tar.gz, or data_batch_1 in \
         it or in cifar-10-batches-py/, or cifar-10-python.tar.gz"
    );
    folder(Variant::Cifar10, Encoding::Binary, dir.path(), 3);
    let third = dir.path().join("data_batch_3.bin");
    fs::write(&third, &records(Variant::Cifar10, 3, |_| 0)[..7000]).unwrap();
    assert_eq!(
        message(),
        "DIR/data_batch_3.bin, record 2 (at byte 6146): expected 3073 bytes, found 854: truncated"
    );
    fs::write(&third, []).unwrap();
    assert_eq!(
        message(),
        "DIR/data_batch_3.bin, record 0 (at byte 0): expected 3073 bytes, found 0: truncated"
    );
    fs::write(&third, records(Variant::Cifar10, 3, |record| 9 + record)).unwrap();
    assert_eq!(
        message(),
        "DIR/data_batch_3.bin, record 1 (at byte 3073): expected a label below 10, found 10"
    );
    fs::remove_file(&third).unwrap();
    assert_eq!(message(), "cannot read DIR/data_batch_3.bin");
    fs::write(dir.path().join("batches.meta.txt"), "cat\ndog\n").unwrap();
    assert_eq!(
        message(),
        "DIR/batches.meta.txt: expected 10 class names, one per line, found 2"
    );
}

#[test]
fn what_is_wrong_with_pickles_is_named() {
    let dir = TempDir::new().unwrap();
    folder(Variant::Cifar10, Encoding::Python, dir.path(), 3);
    let pixels = vec![0; 3 * SHAPE.values()];
    let whole = fs::read(dir.path().join("data_batch_2")).unwrap();
    let labels = |labels: &[u8]| list(labels.iter().map(|&label| vec![b'K', label]));
    for (bytes, expected) in [
        (
            whole[..50].to_vec(),
            "DIR/data_batch_2, byte 46: expected more bytes, found the end of the file",
        ),
        (
            b"\x80\x02cos\nsystem\n(U\x02lstR.".to_vec(),
            "DIR/data_batch_2, byte 2: expected only the names of numpy's arrays, found os.system",
        ),
        (
            b"\x80\x02c\x1b[31m\n\xffa\n.".to_vec(),
            "DIR/data_batch_2, byte 2: expected only the names of numpy's arrays, found a name that is not text",
        ),
        (
            b"\x80\x02i.".to_vec(),
            "DIR/data_batch_2, byte 2: expected an opcode of CIFAR's pickles, found 0x69",
        ),
        (
            b"K\x01.".to_vec(),
            "DIR/data_batch_2, byte 2: expected a dictionary, found something else",
        ),
        (
            dictionary(&[]),
            "DIR/data_batch_2: expected `data` in the pickle, found none of that kind",
        ),
        (
            dictionary(&[("data", array(9, &pixels))]),
            "DIR/data_batch_2: expected images of 3072 bytes, found 1024×9",
        ),
        (
            dictionary(&[("data", array(SHAPE.values(), &pixels)), ("labels", labels(&[1, 2]))]),
            "DIR/data_batch_2: expected 3 numbers in `labels`, one per image, found 2",
        ),
        (
            dictionary(&[
                ("data", array(SHAPE.values(), &pixels)),
                ("labels", labels(&[1, 2, 10])),
            ]),
            "DIR/data_batch_2, image 2: expected a number below 10 in `labels`, found 10",
        ),
    ] {
        fs::write(dir.path().join("data_batch_2"), bytes).unwrap();
        assert_eq!(message(&dir, Variant::Cifar10), expected);
    }
}

#[test]
fn damaged_archives_are_named() {
    let dir = TempDir::new().unwrap();
    let path = archive(Variant::Cifar100, Encoding::Binary, dir.path(), 20);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let told = message(&dir, Variant::Cifar100);
    assert!(told.starts_with("cannot read DIR/cifar-100-binary.tar.gz"), "{told}");
    fs::write(&path, "no archive").unwrap();
    assert_eq!(
        message(&dir, Variant::Cifar100),
        "cannot read DIR/cifar-100-binary.tar.gz"
    );
    let empty = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    fs::write(&path, empty.into_inner().unwrap().finish().unwrap()).unwrap();
    let told = message(&dir, Variant::Cifar100);
    assert_eq!(told, "DIR/cifar-100-binary.tar.gz: expected fine_label_names.txt in it");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn truncated_or_arbitrary_bytes_are_an_error_or_records(
        length in 0usize..10_000, byte: u8, hundred: bool,
    ) {
        let table = VARIANTS[usize::from(hundred)].table();
        let bytes = vec![byte; length];
        let mut pictures = Pictures { labels: Vec::new(), pixels: Vec::new() };
        let result = append_records(&table, Path::new("x.bin"), &bytes, &mut pictures);
        let record_bytes = table.labels.len() + SHAPE.values();
        let good = length > 0 && length % record_bytes == 0 && usize::from(byte) < table.classes;
        prop_assert_eq!(result.is_ok(), good);
        if good {
            prop_assert_eq!(pictures.labels.len(), length / record_bytes);
            prop_assert_eq!(pictures.pixels.len(), pictures.labels.len() * SHAPE.values());
        }
    }

    /// Random opcodes, most of which are accepted beyond the first byte: the result is an error or
    /// a dictionary, never a panic.
    #[test]
    fn arbitrary_pickles_do_not_panic(
        opcodes in prop::collection::vec(
            prop::sample::select(b"\x80(0qh]})\x85\x86\x87taesuKJMNUTcR.b\x88\x89\x00\x01\n".to_vec()), 0..200),
    ) {
        let _ = Pickle::read(&opcodes);
        let whole = pickled(&Variant::Cifar10.table(), &records(Variant::Cifar10, 2, |_| 1));
        let cut = opcodes.len() * whole.len() / 200;
        prop_assert!(cut == whole.len() || Pickle::read(&whole[..cut]).is_err());
    }
}
