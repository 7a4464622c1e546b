//! `da2s data suspects`: planted wrong labels are found, file names are not interpreted as CSV or
//! HTML, and missing images, folders and networks are reported.

use std::fs;
use std::path::Path;

use predicates::prelude::*;

use crate::{da2s, with};

/// Settings with which a small network learns two classes of noise in seconds.
const LEARNS: [&str; 9] = [
    "network.epochs=12",
    "network.channels=4",
    "network.batch_size=8",
    "network.learning_rate=0.05",
    "network.auxiliary=false",
    "network.augmentation.cutout=0",
    "data.image_size=16",
    "run.threads=1",
    "run.seed=1",
];

/// Noise that is dark in class 0 and bright in class 1.
fn image(path: &Path, class: u32, number: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let noise = |x: u32, y: u32| {
        let bits = (x * 7 + y * 13 + number * 101).wrapping_mul(2_654_435_761) >> 24;
        (20 + 150 * class + bits % 60) as u8
    };
    image::GrayImage::from_fn(12, 12, |x, y| image::Luma([noise(x, y)]))
        .save(path)
        .unwrap();
}

/// The lines of the table whose first column is `trained_on`, `yes` or `no`: whether the network
/// was trained on the image.
fn ranked(table: &str, trained_on: &str) -> Vec<String> {
    let of_kind = |line: &&str| line.starts_with(trained_on);
    table.lines().skip(1).filter(of_kind).map(str::to_owned).collect()
}

#[test]
fn planted_wrong_labels_are_found_near_the_top() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    for (part, count) in [("train", 30), ("test", 10)] {
        for class in 0..2 {
            for number in 0..count {
                let folder = dir.join("photos").join(part).join(["dark", "light"][class as usize]);
                image(&folder.join(format!("{number}.png")), class, number + 1000 * class);
            }
        }
    }
    // Light images labelled dark, under names that mean something in CSV or in HTML.
    for (file, number) in [
        ("test/dark/planted & \u{e4}, 'x'.png", 1),
        ("test/dark/planted 2.png", 2),
        ("train/dark/planted 3.png", 3),
        ("train/dark/planted 4.png", 4),
    ] {
        image(&dir.join("photos").join(file), 1, 2000 + number);
    }
    with("run", &LEARNS)
        .current_dir(dir)
        .args(["photos", "--network", "resnet8", "--quiet", "--out", "run"])
        .assert()
        .success();
    let listed = da2s()
        .current_dir(dir)
        .args(["data", "suspects", "run", "--quiet", "--top", "5", "--out", "list.csv"])
        .assert()
        .success();
    let said = String::from_utf8(listed.get_output().stdout.clone()).unwrap();
    assert!(said.starts_with("22 images not trained on\n"), "{said}");
    assert!(
        said.contains("62 images trained on; ") && said.ends_with("run/suspects.html\n"),
        "{said}"
    );

    let table = fs::read_to_string(dir.join("list.csv")).unwrap();
    let held_out = ranked(&table, "no,test,");
    // Labels that are also the prediction are not doubted.
    assert!((2..=5).contains(&held_out.len()), "{table}");
    assert!(held_out[..2].iter().all(|line| line.contains("planted")), "{table}");
    assert!(
        table.contains("\"test/dark/planted & \u{e4}, 'x'.png\",dark,light,"),
        "{table}"
    );
    let trained = ranked(&table, "yes,train,");
    let found = trained.iter().filter(|line| line.contains("planted")).count();
    assert_eq!(found, 2, "{table}");

    let page = fs::read_to_string(dir.join("run/suspects.html")).unwrap();
    assert!(page.contains("planted &amp; \u{e4}, 'x'.png") && page.contains(".png</bdi> · contradicted"));
    let pictures = page.matches("src=\"data:image/png;base64,").count();
    assert_eq!(pictures, held_out.len() + trained.len());
    // The mistakes of the evaluation have the same names.
    let mistakes = fs::read_to_string(dir.join("run/network/mistakes.csv")).unwrap();
    assert!(mistakes.contains("test/dark/planted 2.png,dark,light,"), "{mistakes}");

    // `--out` decides where the sheet is written, and the images may have moved.
    fs::rename(dir.join("photos"), dir.join("moved")).unwrap();
    let moved = |arguments: &[&str]| {
        let mut command = da2s();
        command
            .current_dir(dir)
            .args(["data", "suspects", "run", "-q"])
            .args(arguments);
        command.assert()
    };
    moved(&["--data-dir", "moved", "--sheet", "sheet.html"]).success();
    assert!(
        fs::read_to_string(dir.join("sheet.html"))
            .unwrap()
            .contains("test/dark/planted 2.png")
    );
    moved(&[]).code(3).stderr(predicate::str::contains("--data-dir"));
    moved(&["--data-dir", "moved", "--out", "absent/list.csv"])
        .code(7)
        .stderr(predicate::str::contains("absent/list.csv"));
    moved(&["--top", "0"]).code(2).stderr(predicate::str::contains("--top"));
    fs::remove_file(dir.join("run/network/best.safetensors")).unwrap();
    moved(&["--data-dir", "moved"])
        .code(5)
        .stderr(predicate::str::contains("run `da2s train`"));
}
