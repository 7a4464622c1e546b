//! Hostile text, damaged files, and directories that are not runs.

use std::fs;

use da2s_records::files::REPORT;
use da2s_report::{ReportError, Run, write_report};
use scraper::Html;
use tempfile::TempDir;

use crate::page::Page;
use crate::support::{Synthetic, replace_in};

#[test]
fn the_parser_reports_errors() {
    assert!(
        !Html::parse_document("<!DOCTYPE html><title>x</title><p></b>")
            .errors
            .is_empty()
    );
}

#[test]
fn hostile_text_stays_text() {
    const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&";
    let classes = vec![HOSTILE.to_owned(), "a,\"b\"\nc".to_owned(), "=1+1".to_owned()];
    let folder = TempDir::new().expect("temporary folder");
    Synthetic {
        classes,
        decided: false,
        ..Synthetic::default()
    }
    .write(folder.path());
    fs::write(folder.path().join("config.toml"), format!("name = '''{HOSTILE}'''")).expect("config");
    let quoted = serde_json::to_string(HOSTILE).expect("JSON");
    for (file, from) in [
        ("search/arch.jsonl", "\"max_pool_3x3\""),
        ("genotype.json", "\"max_pool_3x3\""),
        ("environment.json", "\"da2s run --out runs/digits\""),
        ("summary.json", "\"digits\""),
    ] {
        replace_in(&folder.path().join(file), from, &quoted);
    }
    let page = Page::written(folder);
    assert_eq!(page.count("script"), 2, "the data and the page's own script");
    assert_eq!(page.count("img:not([src^='data:image/png;base64,'])"), 0);
    assert_eq!(page.count("img"), 24);
    assert!(page.words("details code").contains(HOSTILE));
    assert!(page.words(".environment").contains(HOSTILE));
    let film = page.words("script#film");
    serde_json::from_str::<serde_json::Value>(&film).expect("the film is still JSON");
}

#[test]
fn damage_is_reported_with_file_and_line() {
    let damage = |file: &str, from: &str, to: &str| {
        let folder = TempDir::new().expect("temporary folder");
        Synthetic::default().write(folder.path());
        replace_in(&folder.path().join(file), from, to);
        let error = write_report(folder.path()).expect_err("damage");
        assert!(!folder.path().join(REPORT).exists());
        assert!(error.to_string().contains(file), "{error}");
        match error {
            ReportError::Damaged { line, reason, .. } => (line, reason),
            other => panic!("{other}"),
        }
    };
    assert_eq!(damage("search/metrics.jsonl", "{\"arch_loss\"", "{arch_loss").0, 1);
    assert_eq!(
        damage("search/metrics.jsonl", "\"epoch\":4,", "\"epoch\":\"four\",").0,
        4
    );
    let (line, reason) = damage("search/arch.jsonl", "\"q\":[", "\"q\":[0.5,");
    assert_eq!(line, 1);
    assert!(
        reason.contains("14 edges, but p has 14 rows and q 15 entries"),
        "{reason}"
    );
    assert!(
        damage("genotype.json", "\"from\":0", "\"from\":9")
            .1
            .contains("no such edge as 9 to")
    );
    assert!(
        damage("network/evaluation.json", "\"classes\":[", "\"classes\":[\"x\",")
            .1
            .contains("11 classes")
    );
    assert!(damage("gap.json", "}", "").1.contains("EOF"));
    assert!(
        damage(
            "cost.json",
            "\"parameters\":1056",
            "\"parameters\":18446744073709551615"
        )
        .1
        .contains("more than can be counted")
    );
    assert!(
        damage("genotype.json", "\"operations\":1", "\"operations\":4000000000")
            .1
            .contains("4000000000 operations per edge")
    );
    assert!(
        damage("edge_gaps.json", "\"from\":0", "\"from\":9")
            .1
            .contains("no such edge as 9 to")
    );
    assert!(
        damage("network/evaluation.json", "\"predicted\":1,", "\"predicted\":10,")
            .1
            .contains("taken for 10")
    );
}

#[test]
fn an_invalid_picture_is_refused_and_a_missing_one_is_not() {
    let folder = TempDir::new().expect("temporary folder");
    Synthetic::default().write(folder.path());
    let picture = folder.path().join("network/mistakes/3.png");
    fs::write(&picture, "<svg onload='alert(1)'/>").expect("file");
    let error = write_report(folder.path()).expect_err("damage").to_string();
    assert!(error.contains("3.png") && error.contains("not a PNG file"), "{error}");
    fs::remove_file(&picture).expect("file");
    let page = Page::written(folder);
    assert_eq!((page.count(".mistakes img"), page.count(".mistakes .absent")), (23, 1));
}

#[test]
fn a_directory_that_is_not_a_run_is_refused_and_left_alone() {
    let folder = TempDir::new().expect("temporary folder");
    assert!(matches!(write_report(folder.path()), Err(ReportError::NotARun { .. })));
    assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 0);
    assert!(matches!(
        Run::read(&folder.path().join("absent")),
        Err(ReportError::NotARun { .. })
    ));
}

#[test]
fn a_failed_write_leaves_nothing_behind() {
    let folder = TempDir::new().expect("temporary folder");
    Synthetic::default().write(folder.path());
    // A directory at the path of the report cannot be replaced by a file.
    fs::create_dir(folder.path().join(REPORT)).expect("folder");
    fs::write(folder.path().join(REPORT).join("x"), "").expect("file");
    assert!(matches!(write_report(folder.path()), Err(ReportError::Write { .. })));
    let names = fs::read_dir(folder.path())
        .expect("folder")
        .map(|entry| entry.expect("entry").file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().starts_with('.')));
}
