//! `da2s data`: the list, the report and exit code of a check, and failed downloads.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;

use crate::da2s;
use flate2::Compression;
use flate2::write::GzEncoder;
use predicates::prelude::*;

/// A folder with two classes of two images each in every one of `parts`.
fn pictures(dir: &Path, parts: &[&str]) {
    for part in parts {
        for (class, width) in [("ape", 8), ("zebra", 12)] {
            let folder = dir.join(part).join(class);
            fs::create_dir_all(&folder).unwrap();
            for file in ["1.png", "2.jpg"] {
                image::RgbImage::new(width, 9).save(folder.join(file)).unwrap();
            }
        }
    }
}

/// MNIST's files, compressed, with ten images each.
fn mnist(dir: &Path) {
    for part in ["train", "t10k"] {
        for (content, sizes, numbers) in [
            ("images-idx3", &[10_u32, 28, 28][..], vec![7; 7840]),
            ("labels-idx1", &[10], (0..10).collect()),
        ] {
            let sizes: Vec<u8> = sizes.iter().flat_map(|size| size.to_be_bytes()).collect();
            let header = [0, 0, 8, (sizes.len() / 4) as u8];
            let file = fs::File::create(dir.join(format!("{part}-{content}-ubyte.gz"))).unwrap();
            let mut encoder = GzEncoder::new(file, Compression::fast());
            encoder.write_all(&[&header[..], &sizes, &numbers].concat()).unwrap();
            encoder.finish().unwrap();
        }
    }
}

#[test]
fn every_data_set_is_listed() {
    let mut expected = predicate::str::contains("name").boxed();
    for text in [
        "digits    UCI handwritten digits  1,437 + 360      10         8×8, grey\n",
        "cifar100  CIFAR-100               50,000 + 10,000  100        32×32, colour\n",
        "mnist",
        "da2s data fetch fashion",
        "train/CLASS/",
        "CC BY 4.0",
    ] {
        expected = expected.and(predicate::str::contains(text)).boxed();
    }
    let list = da2s()
        .args(["data", "list"])
        .assert()
        .success()
        .stdout(expected)
        .stderr("");
    let text = String::from_utf8(list.get_output().stdout.clone()).unwrap();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn the_digits_can_be_checked_and_other_names_need_their_folder() {
    let temporary = tempfile::tempdir().unwrap();
    let check = |name: &str| {
        let mut command = da2s();
        command.current_dir(temporary.path()).args(["data", "check", name]);
        command.assert()
    };
    let told = predicate::str::starts_with("data set  UCI handwritten digits\n")
        .and(predicate::str::contains("\nsizes     train: 8 pixels wide, 8 high\n"))
        .and(predicate::str::ends_with("\ndamaged   none\n"));
    check("digits").success().stdout(told);
    let told = predicate::str::contains("cifar10 is not built in: name its folder, which contains cifar-10-binary");
    check("cifar10").code(2).stderr(told);
    // A file or folder of that name is meant.
    fs::create_dir(temporary.path().join("digits")).unwrap();
    check("digits").code(3);
}

#[test]
fn a_check_counts_measures_and_names_what_is_damaged() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    pictures(dir, &["train", "val", "test"]);
    let check = || {
        let mut command = da2s();
        command.args(["data", "check"]).arg(dir);
        command
    };
    let output = check().assert().success().stderr("").get_output().stdout.clone();
    insta::assert_snapshot!(String::from_utf8(output).unwrap(), @r"
    data set  your own images
    class            train  validation        test
    ape                  2           2           2
    zebra                2           2           2
    all                  4           4           4
    sizes     train: 8 to 12 pixels wide, 9 high; 2 different sizes
    sizes     validation: 8 to 12 pixels wide, 9 high; 2 different sizes
    sizes     test: 8 to 12 pixels wide, 9 high; 2 different sizes
    damaged   none
    ");
    fs::write(dir.join("val/zebra/2.jpg"), "no picture").unwrap();
    check()
        .assert()
        .code(3)
        .stdout(predicate::str::contains("zebra/2.jpg: not an image"))
        .stderr("da2s: 1 image cannot be decoded; replace it, or set data.bad_images = \"skip\"\n");
    fs::remove_dir_all(dir.join("val/zebra")).unwrap();
    check()
        .assert()
        .code(3)
        .stdout("")
        .stderr(predicate::str::contains("val"));
}

/// Other people's folders and files may have any name.
#[cfg(unix)]
#[test]
fn a_check_shows_no_control_characters() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    pictures(dir, &["train", "test"]);
    for part in ["train", "test"] {
        fs::rename(dir.join(part).join("ape"), dir.join(part).join("ape\u{1b}[2J")).unwrap();
    }
    fs::write(dir.join("train/zebra/\u{1b}[31m.png"), "no picture").unwrap();
    let told = predicate::str::contains("ape\\u001b[2J ")
        .and(predicate::str::contains("zebra/\\u001b[31m.png: not an image"))
        .and(predicate::str::contains("\u{1b}").not());
    da2s().args(["data", "check"]).arg(dir).assert().code(3).stdout(told);
}

#[test]
fn the_data_set_in_a_folder_is_detected_or_must_be_named() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    let check = |arguments: &[&str]| {
        let mut command = da2s();
        command.args(["data", "check"]).arg(dir).args(arguments);
        command.assert()
    };
    check(&[])
        .code(3)
        .stdout("")
        .stderr(predicate::str::contains("expected images, but the folder is empty"));
    fs::write(dir.join("notes.txt"), "").unwrap();
    check(&[]).code(3).stdout("").stderr(predicate::str::contains(
        "expected the files of a data set: cifar10 (cifar-10-binary.tar.gz",
    ));
    mnist(dir);
    check(&[]).code(2).stderr(predicate::str::contains(
        "may contain any of mnist, fashion: select one with --dataset",
    ));
    check(&["--dataset", "fashion"])
        .success()
        .stdout(predicate::str::contains("ankle boot").and(predicate::str::contains("train: 28 pixels wide")));
    fs::write(dir.join("t10k-labels-idx1-ubyte.gz"), "nothing").unwrap();
    check(&["--dataset", "mnist"])
        .code(3)
        .stderr(predicate::str::starts_with("da2s: cannot read ").and(predicate::str::contains("t10k-labels")));
}

#[test]
fn a_failed_fetch_gives_the_reason() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("out");
    let fetch = |arguments: &[&str]| {
        let mut command = da2s();
        command.args(["data", "fetch"]).args(arguments).arg("--out").arg(&out);
        command.assert()
    };
    fetch(&["images"])
        .code(2)
        .stderr(predicate::str::contains("images cannot be fetched"));
    // A port that was free a moment ago, so nothing listens on it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let told = predicate::str::starts_with(format!("da2s: cannot fetch {nobody}/cifar-10-binary.tar.gz: "));
    fetch(&["cifar10", "--from", &nobody]).code(10).stdout("").stderr(told);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}/", listener.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = std::io::Read::read(&mut stream, &mut request).unwrap();
        let body = "x".repeat(28_881);
        write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}").unwrap();
    });
    fetch(&["mnist", "--from", &server])
        .code(10)
        .stderr(predicate::str::contains(
            "28881 of 9912422 bytes have arrived, and the same command continues",
        ));
    answering.join().unwrap();
    assert!(out.join("train-images-idx3-ubyte.gz.part").is_file());
}

/// A folder of arrows to the left, to the right and upward, in grey.
fn arrows(dir: &Path) {
    let ink: [fn(u32, u32) -> bool; 3] = [
        |x, y| y == 8 || (x < 8 && x.abs_diff(8) + y.abs_diff(8) == 8),
        |x, y| y == 8 || (x > 7 && (15 - x).abs_diff(8) + y.abs_diff(8) == 8),
        |x, y| x == 8 || x == 7 || (y < 8 && y.abs_diff(8) + x.abs_diff(8) == 8),
    ];
    for (class, ink) in ["left", "right", "up"].into_iter().zip(ink) {
        fs::create_dir_all(dir.join(class)).unwrap();
        for number in 0..15u32 {
            let level = |x, y| (if ink(x, y) { 200 } else { 20 }) + (x * 7 + y * 13 + number * 11) % 40;
            let image = image::GrayImage::from_fn(16, 16, |x, y| image::Luma([level(x, y) as u8]));
            image.save(dir.join(class).join(format!("{number}.png"))).unwrap();
        }
    }
}

#[test]
fn classes_that_are_mirror_images_are_reported_if_images_are_flipped() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("arrows");
    arrows(&dir);
    let check = |arguments: &[&str]| {
        let mut command = da2s();
        command.args(["data", "check"]).arg(&dir).args(arguments);
        command.assert().success()
    };
    let both = "--set search.augmentation.flip=false --set network.augmentation.flip=false";
    check(&[]).stdout(
        predicate::str::contains("left and right look like mirror images of each other")
            .and(predicate::str::contains(both))
            .and(predicate::str::contains("up and").not()),
    );
    let found: serde_json::Value = serde_json::from_slice(&check(&["--json"]).get_output().stdout).unwrap();
    assert_eq!(found["mirrored"], serde_json::json!([["left", "right"]]));

    // A new run that flips images warns once about such classes, even with `--quiet`.
    let planned = |out: &str, arguments: &[&str]| {
        let settings = [
            "network.epochs=1",
            "network.channels=4",
            "network.cells=1",
            "network.batch_size=8",
        ];
        let mut command = crate::with("run", &settings);
        command
            .args(["--network", "resnet8", "--image-size", "16", "--threads", "1", "--out"])
            .arg(temporary.path().join(out))
            .arg(&dir)
            .args(arguments);
        command.assert().success()
    };
    let remark = predicate::str::contains("left and right look like mirror images");
    let grey = predicate::str::contains("data.channels is 1, since the images are grey");
    let off = "--set network.augmentation.flip=false";
    planned("a", &["--quiet", "--seeds", "2"])
        .stderr(remark.clone().count(1).and(grey).and(predicate::str::contains(off)));
    planned("b", &["--set", "network.augmentation.flip=false"]).stderr(remark.not());
}
