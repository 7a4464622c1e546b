//! Folders of images in the layouts that people use: how each is read, and which messages it
//! causes.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use da2s_data::{BadImages, ChecksumOf, DataOptions, Dataset, Format, Part, check, images_problem, open};
use da2s_records::Sha256;
use image::RgbImage;
use tempfile::TempDir;

/// An image whose pixels encode its number.
fn image(path: &Path, number: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_pixel(4, 4, image::Rgb([number, 10, 20]))
        .save(path)
        .unwrap();
}

/// `count` images of each of `classes` in `dir`.
fn classes(dir: &Path, classes: &[&str], count: u8) {
    for (class, name) in (0..).zip(classes) {
        for number in 0..count {
            image(&dir.join(name).join(format!("{number}.png")), 50 * class + number);
        }
    }
}

/// Two classes in each of `parts`, with the given number of images per class.
fn parts(parts: &[(&str, u8)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (part, count) in parts {
        classes(&dir.path().join(part), &["a", "b"], *count);
    }
    dir
}

fn options() -> DataOptions {
    DataOptions {
        image_size: Some(4),
        seed: 1,
        ..DataOptions::default()
    }
}

fn opened(path: &Path) -> Dataset {
    open(Format::Images, Some(path), &options()).unwrap()
}

/// Numbers of images for training, validation and test.
fn counts(dataset: &Dataset) -> [usize; 3] {
    Part::ALL.map(|part| dataset.part(part).len())
}

/// The error message, without the folder's name.
fn refusal(dir: &TempDir) -> String {
    let error = open(Format::Images, Some(dir.path()), &options()).unwrap_err();
    error.to_string().replace(&dir.path().display().to_string(), "DIR")
}

/// The red value of every image of a part, which identifies the image.
fn reds(dataset: &Dataset, part: Part) -> BTreeSet<u8> {
    let split = dataset.part(part);
    (0..split.len())
        .map(|index| split.image(index).unwrap().pixels()[0])
        .collect()
}

#[test]
fn parts_may_have_any_usual_name() {
    for name in ["val", "valid", "validation", "dev", "Val", "VALIDATION"] {
        let dir = parts(&[("train", 3), (name, 2), ("test", 1)]);
        let dataset = opened(dir.path());
        assert_eq!(counts(&dataset), [6, 4, 2], "{name}");
        assert!(dataset.notes.is_empty(), "{name}: {:?}", dataset.notes);
        // The validation images are then used as test images.
        let dir = parts(&[("Train", 3), (name, 2)]);
        let dataset = opened(dir.path());
        assert_eq!(counts(&dataset), [6, 0, 4], "{name}");
        assert_eq!(
            dataset.notes,
            ["there are no test images, so the validation images are used for the test"]
        );
    }
    for [train, test] in [
        ["Train", "Test"],
        ["TRAIN", "TEST"],
        ["training", "testing"],
        ["Training", "test"],
    ] {
        assert_eq!(
            counts(&opened(parts(&[(train, 3), (test, 2)]).path())),
            [6, 0, 4],
            "{train}"
        );
    }
}

#[test]
fn without_a_test_part_a_fifth_of_each_class_is_set_aside_by_seed() {
    let train_only = parts(&[("train", 12)]);
    let class_folders = TempDir::new().unwrap();
    classes(class_folders.path(), &["a", "b"], 12);
    let deeper = TempDir::new().unwrap();
    classes(&deeper.path().join("archive/dataset"), &["a", "b"], 12);
    fs::write(deeper.path().join("README.txt"), "about").unwrap();
    fs::create_dir(deeper.path().join("__MACOSX")).unwrap();
    let mut sets = Vec::new();
    for dir in [&train_only, &class_folders, &deeper] {
        let dataset = opened(dir.path());
        assert_eq!(dataset.class_names, ["a", "b"]);
        assert_eq!(counts(&dataset), [20, 0, 4]);
        assert_eq!(dataset.test.labels(), [0, 0, 1, 1]);
        assert_eq!(
            dataset.notes,
            [
                "there are no test images, so 4 of the 24 images, a fifth of each class, are set aside for the test by seed 1"
            ]
        );
        let (train, test) = (reds(&dataset, Part::Train), reds(&dataset, Part::Test));
        assert!(train.is_disjoint(&test) && train.len() + test.len() == 24);
        sets.push(test);
        // Read when needed, the parts contain the same images.
        let lazy = DataOptions {
            memory_limit_bytes: 0,
            ..options()
        };
        let lazy = open(Format::Images, Some(dir.path()), &lazy).unwrap();
        assert_eq!(Some(&reds(&lazy, Part::Test)), sets.last());
        let other = DataOptions { seed: 2, ..options() };
        let other = open(Format::Images, Some(dir.path()), &other).unwrap();
        assert_ne!(Some(&reds(&other, Part::Test)), sets.last());
    }
    assert_eq!(sets[0], sets[1]);
    assert_eq!(sets[0], sets[2]);
}

#[test]
fn a_class_of_one_image_keeps_it_for_training_and_is_named() {
    let dir = TempDir::new().unwrap();
    classes(dir.path(), &["a", "b"], 5);
    classes(dir.path(), &["c"], 1);
    let dataset = opened(dir.path());
    assert_eq!(counts(&dataset), [9, 0, 2]);
    assert_eq!(dataset.notes[1], "there is no test image of class c");
}

#[test]
fn one_folder_more_around_the_parts_changes_nothing() {
    let dir = TempDir::new().unwrap();
    for part in ["train", "test"] {
        classes(&dir.path().join("dataset").join(part), &["a", "b"], 3);
    }
    let (outer, inner) = (opened(dir.path()), opened(&dir.path().join("dataset")));
    assert_eq!(counts(&outer), [6, 0, 6]);
    assert_eq!(outer.checksum, inner.checksum);
}

#[test]
fn images_in_folders_within_a_class_are_read() {
    let dir = parts(&[("train", 2), ("test", 2)]);
    for number in 0..3 {
        image(&dir.path().join(format!("train/a/session2/{number}.JPEG")), 100);
        image(&dir.path().join(format!("train/b/x/y/z/{number}.png")), 100);
    }
    let dataset = opened(dir.path());
    assert_eq!(counts(&dataset), [10, 0, 4]);
    assert_eq!(dataset.train.labels(), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
    // Only in the training part, as in Tiny ImageNet.
    let dir = TempDir::new().unwrap();
    for part in ["train", "val"] {
        for class in ["a", "b"] {
            image(&dir.path().join(part).join(class).join("images/0.JPEG"), 1);
        }
    }
    assert_eq!(counts(&opened(dir.path())), [2, 0, 2]);
}

#[cfg(unix)]
#[test]
fn links_to_files_and_to_classes_are_followed_and_others_counted() {
    use std::os::unix::fs::symlink;

    let (dir, elsewhere) = (parts(&[("train", 2), ("test", 2)]), TempDir::new().unwrap());
    let train = dir.path().join("train");
    symlink("0.png", train.join("a/link.png")).unwrap();
    symlink("..", train.join("a/back")).unwrap();
    classes(elsewhere.path(), &["c"], 2);
    symlink(elsewhere.path().join("c"), train.join("c")).unwrap();
    symlink(elsewhere.path().join("c"), dir.path().join("test/c")).unwrap();
    let dataset = opened(dir.path());
    assert_eq!(counts(&dataset), [7, 0, 6]);
    assert_eq!(dataset.notes, ["skipped: 1 link to a folder"]);
}

#[test]
fn skipped_files_are_counted_and_reported() {
    let dir = parts(&[("train", 2), ("test", 2), ("masks", 1)]);
    let write = |name: &str| fs::write(dir.path().join(name), "nothing").unwrap();
    for name in ["a/1.heic", "a/2.HEIC", "b/notes.txt", "b/.DS_Store", "b/Thumbs.db"] {
        write(&format!("train/{name}"));
    }
    image(&dir.path().join("train/forgotten.png"), 1);
    image(&dir.path().join("cover.jpg"), 1);
    write("LICENSE");
    let dataset = opened(dir.path());
    assert_eq!(counts(&dataset), [4, 0, 4]);
    assert_eq!(
        dataset.notes,
        [
            "skipped, because no part has such a name: masks/",
            "skipped: 2 .heic files, 1 file without an extension, 1 .db file, 1 .txt file, 2 images outside the folders of the classes",
        ]
    );
    let checked = check(Format::Images, Some(dir.path())).unwrap();
    assert_eq!(
        (checked.passed_over.outside, checked.passed_over.endings["heic"]),
        (2, 2)
    );
    assert_eq!(checked.notes, ["skipped, because no part has such a name: masks/"]);
}

#[test]
fn what_could_mean_two_things_is_refused() {
    assert_eq!(
        refusal(&parts(&[("train", 2), ("val", 2), ("valid", 2)])),
        "DIR: expected one folder of validation images, not both val/ and valid/"
    );
    assert_eq!(
        refusal(&parts(&[("test", 2)])),
        "DIR: expected a folder train/ with a folder per class, beside test/"
    );
    let dir = TempDir::new().unwrap();
    for camera in ["camera1", "camera2"] {
        classes(&dir.path().join(camera), &["a", "b"], 2);
    }
    let told = refusal(&dir);
    assert!(
        told.contains("it is not clear whether camera1 and camera2 are classes, or a and b"),
        "{told}"
    );
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("notes.txt"), "").unwrap();
    assert_eq!(
        refusal(&dir),
        "DIR: expected folders train/ and test/ with a folder per class in each, a folder per class, or a table labels.csv"
    );
    let dir = TempDir::new().unwrap();
    classes(dir.path(), &["a", "b"], 1);
    assert_eq!(
        refusal(&dir),
        "DIR: expected two or more images of some class, one of them for testing"
    );
}

/// Two images of `cat` and of `dog` for each part, and more for training, below `images/`.
fn table(text: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    for number in 0..12 {
        image(&dir.path().join(format!("images/{number}.png")), number);
    }
    fs::write(dir.path().join("labels.csv"), text).unwrap();
    dir
}

/// Rows of the table, with the part given by `part`.
fn rows(part: impl Fn(usize) -> &'static str) -> String {
    let label = |number| if number % 3 == 0 { "cat" } else { "dog" };
    (0..12)
        .map(|number| format!("images/{number}.png,{}{}\n", label(number), part(number)))
        .collect()
}

#[test]
fn a_table_says_label_and_part() {
    let dir = table(&format!("path,label\n{}", rows(|_| "")));
    for path in [dir.path().to_owned(), dir.path().join("labels.csv")] {
        let dataset = opened(&path);
        assert_eq!(dataset.class_names, ["cat", "dog"]);
        assert_eq!(counts(&dataset), [9, 0, 3]);
        assert_eq!(dataset.test.labels(), [0, 1, 1]);
        assert!(dataset.notes[0].contains("3 of the 12 images"), "{:?}", dataset.notes);
    }
    let part = |number| match number {
        0 | 1 => ",test",
        2 | 3 => ",valid",
        _ => ",train",
    };
    let dir = table(&format!("\u{feff}path,label,split\r\n{}", rows(part)));
    let dataset = opened(dir.path());
    assert_eq!(counts(&dataset), [8, 2, 2]);
    assert_eq!(reds(&dataset, Part::Test), BTreeSet::from([0, 1]));
    assert_eq!(reds(&dataset, Part::Validation), BTreeSet::from([2, 3]));
    // Labels are not in the paths, but the checksum covers them.
    let text = fs::read_to_string(dir.path().join("labels.csv")).unwrap();
    let exchanged = text.replace("cat", "x").replace("dog", "cat").replace('x', "dog");
    fs::write(dir.path().join("labels.csv"), exchanged).unwrap();
    assert_ne!(opened(dir.path()).checksum, dataset.checksum);
}

#[test]
fn a_table_beside_a_folder_of_unsorted_images_is_read_and_one_beside_classes_is_not() {
    let dir = TempDir::new().unwrap();
    for number in 0..4 {
        image(&dir.path().join(format!("train/{number}.png")), number);
        image(&dir.path().join(format!("test/{number}.png")), number);
    }
    let row = |number: usize| format!("train/{number}.png,{}\n", ["a", "b"][number % 2]);
    let text: String = (0..4).map(row).collect();
    fs::write(dir.path().join("Labels.CSV"), format!("file,class\n{text}")).unwrap();
    assert_eq!(counts(&opened(dir.path())), [2, 0, 2]);
    let dir = parts(&[("train", 2), ("test", 2)]);
    fs::write(dir.path().join("labels.csv"), "nothing").unwrap();
    let dataset = opened(dir.path());
    assert_eq!(counts(&dataset), [4, 0, 4]);
    assert_eq!(dataset.notes, ["skipped: 1 .csv file"]);
}

#[test]
fn a_row_without_its_file_is_a_damaged_image() {
    let dir = table(&format!("path,label\n{}missing.png,cat\n", rows(|_| "")));
    let checked = check(Format::Images, Some(dir.path())).unwrap();
    assert_eq!(checked.damaged.len(), 1);
    assert!(checked.damaged[0].path.ends_with("missing.png"));
    let told = open(Format::Images, Some(dir.path()), &DataOptions { seed: 0, ..options() });
    assert!(told.unwrap_err().to_string().contains("missing.png"));
}

#[cfg(unix)]
#[test]
fn a_broken_link_is_one_more_damaged_file() {
    let dir = parts(&[("train", 8), ("test", 4)]);
    std::os::unix::fs::symlink("nowhere.png", dir.path().join("train/a/broken.png")).unwrap();
    fs::write(dir.path().join("train/b/zz.png"), "no image").unwrap();
    let checked = check(Format::Images, Some(dir.path())).unwrap();
    assert_eq!(checked.parts[0].images, [9, 9]);
    let damaged: Vec<String> = checked.damaged.iter().map(ToString::to_string).collect();
    assert_eq!(damaged.len(), 2);
    assert!(
        damaged[0].contains("a/broken.png") && damaged[1].contains("b/zz.png"),
        "{damaged:?}"
    );
    for memory_limit_bytes in [0, u64::MAX] {
        let skip = DataOptions {
            bad_images: BadImages::Skip,
            memory_limit_bytes,
            ..options()
        };
        let dataset = open(Format::Images, Some(dir.path()), &skip).unwrap();
        let image = dataset.train.image(8).unwrap();
        assert_eq!(image.pixels()[0], 0, "the first of its class replaces it");
        let refuse = DataOptions {
            bad_images: BadImages::Refuse,
            ..skip
        };
        let told = open(Format::Images, Some(dir.path()), &refuse).unwrap_err().to_string();
        assert!(told.contains("a/broken.png"), "{told}");
    }
}

/// The checksum must never change: `environment.json` has it in runs of earlier versions.
#[test]
fn the_checksum_of_a_folder_in_memory_is_of_names_and_whole_files() {
    let dir = parts(&[("train", 2), ("val", 1), ("test", 1)]);
    let mut expected = Sha256::default();
    for name in [
        "train/a/0.png",
        "train/a/1.png",
        "train/b/0.png",
        "train/b/1.png",
        "val/a/0.png",
        "val/b/0.png",
        "test/a/0.png",
        "test/b/0.png",
    ] {
        expected.update(name);
        expected.update([0]);
        expected.update(Sha256::over(fs::read(dir.path().join(name)).unwrap()).digest());
    }
    let dataset = opened(dir.path());
    assert_eq!(dataset.checksum, expected.hex());
    assert_eq!(dataset.checksum_of, ChecksumOf::Contents);
}

/// Files with the same lengths and names as those of the other class.
#[test]
fn classes_that_are_exchanged_have_another_checksum_when_read_lazily() {
    let dir = parts(&[("train", 2), ("test", 2)]);
    let large = |name: &str, byte: u8| {
        // Larger than the blocks that are hashed, and different only in the middle.
        let mut bytes = vec![7; 40_000];
        bytes[20_000] = byte;
        fs::write(dir.path().join(name), bytes).unwrap();
    };
    large("train/a/z.png", 1);
    large("train/b/z.png", 2);
    let lazy = DataOptions {
        memory_limit_bytes: 0,
        bad_images: BadImages::Skip,
        ..options()
    };
    let checksum = || {
        let dataset = open(Format::Images, Some(dir.path()), &lazy).unwrap();
        assert_eq!(dataset.checksum_of, ChecksumOf::Blocks);
        dataset.checksum
    };
    let exchange = |one: &str, other: &str| {
        let [one, other, aside] = [one, other, "aside"].map(|name| dir.path().join("train").join(name));
        fs::rename(&one, &aside).unwrap();
        fs::rename(&other, &one).unwrap();
        fs::rename(&aside, &other).unwrap();
    };
    let before = checksum();
    assert_eq!(before, checksum());
    exchange("a", "b");
    assert_ne!(before, checksum());
    exchange("a", "b");
    assert_eq!(before, checksum());
    exchange("a/z.png", "b/z.png");
    assert_ne!(before, checksum());
}

#[test]
fn other_common_names_of_parts_are_read() {
    let eval = parts(&[("train", 4), ("eval", 2)]);
    assert_eq!(counts(&opened(eval.path())), [8, 0, 4]);
    let sets = parts(&[("training_set", 4), ("Test-Set", 2), ("evaluation", 1)]);
    assert_eq!(counts(&opened(sets.path())), [8, 2, 4]);
    let both = parts(&[("train", 4), ("eval", 2), ("val", 2)]);
    assert_eq!(
        refusal(&both),
        "DIR: expected one folder of validation images, not both eval/ and val/"
    );
}

#[test]
fn classes_that_differ_only_in_case_are_reported() {
    let dir = TempDir::new().unwrap();
    classes(dir.path(), &["Cat", "cat", "dog"], 4);
    let notes = opened(dir.path()).notes;
    let told = "the classes Cat and cat differ only in case, and are two classes";
    assert!(notes.iter().any(|note| note == told), "{notes:?}");
}

#[test]
fn test_images_that_are_not_sorted_by_class_are_refused_with_the_way_out() {
    let dir = parts(&[("train", 4)]);
    for number in 0..3 {
        image(&dir.path().join(format!("test/{number}.png")), number);
    }
    assert_eq!(
        refusal(&dir),
        "DIR/test: expected a folder for each class, as for the training images; found only 3 images outside the folders of \
         the classes: sort them by class, or move them away, so that some of the training images are set aside"
    );
}

#[test]
fn the_error_explains_why_a_folder_has_no_usable_images() {
    let problem = |dir: &TempDir| {
        let path = dir.path().display().to_string();
        images_problem(dir.path()).map(|error| error.to_string().replace(&path, "DIR"))
    };
    let dir = TempDir::new().unwrap();
    let found = |expected: &str| assert_eq!(problem(&dir).unwrap(), format!("DIR: expected {expected}"));
    found("images, but the folder is empty");
    fs::write(dir.path().join("notes.txt"), "").unwrap();
    assert_eq!(problem(&dir), None);
    image(&dir.path().join("1.png"), 1);
    found(
        "a folder for each class, or a table labels.csv; the images in it are not sorted into folders: 1 .txt file, 1 image \
         outside the folders of the classes",
    );
    classes(dir.path(), &["a"], 2);
    found("a folder for each class, two or more; there is only a/");
    fs::write(dir.path().join("train.csv"), "").unwrap();
    let unnamed = "a folder for each class, or a table labels.csv; if DIR/train.csv is the table of labels, name it instead of the \
                   folder";
    found(unnamed);
    // As macOS writes it beside a file.
    fs::write(dir.path().join("._train.csv"), "").unwrap();
    found(unnamed);
    fs::rename(dir.path().join("a"), dir.path().join("train")).unwrap();
    found(unnamed);
    let deep = TempDir::new().unwrap();
    fs::create_dir_all(deep.path().join("1/2/3/4/5/6/7/8/9")).unwrap();
    fs::write(deep.path().join("1/2/3/4/5/6/7/8/9/notes.txt"), "").unwrap();
    assert_eq!(problem(&deep), None);
    fs::remove_dir_all(deep.path().join("1")).unwrap();
    classes(&deep.path().join("1/2/3/4/5/6/7/8"), &["a", "b"], 2);
    assert_eq!(problem(&deep), None);
    classes(&deep.path().join("1/2/3/4/5/6/7/8/9"), &["a"], 2);
    fs::rename(
        deep.path().join("1/2/3/4/5/6/7/8/a"),
        deep.path().join("1/2/3/4/5/6/7/8/9/b"),
    )
    .unwrap();
    fs::remove_dir_all(deep.path().join("1/2/3/4/5/6/7/8/b")).unwrap();
    assert_eq!(
        problem(&deep).unwrap(),
        "DIR: expected at most 8 nested folders that contain only the next folder; there are more: name an inner one"
    );
    assert_eq!(problem(&parts(&[("train", 4)])), None);
    let only = problem(&parts(&[("test", 2)])).unwrap();
    assert_eq!(
        only,
        "DIR: expected a folder train/ with a folder per class, beside test/"
    );
    let empty = TempDir::new().unwrap();
    for class in ["cat", "dog"] {
        fs::create_dir(empty.path().join(class)).unwrap();
    }
    assert_eq!(
        problem(&empty).unwrap(),
        "DIR: expected images in its folders, which are empty"
    );
    let missing = images_problem(&empty.path().join("none")).unwrap().to_string();
    assert!(missing.starts_with("cannot read "), "{missing}");
}
