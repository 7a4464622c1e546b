//! Pages in a real browser: the watched page while its run grows, the page of a served network, the
//! report of several runs, a comparison, and a front.
//!
//! Requires Node, Chromium and playwright-core, which `crates/report/tests/browser/setup.sh`
//! installs. Without them the tests are reported as skipped.

#[path = "../../../report/tests/browser/tools.rs"]
mod tools;

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::bad_input::finished_copy;
use crate::server::{Server, copy};
use crate::{TINY, da2s, finished, with};
use tools::Tools;

fn runs_well(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
}

#[test]
fn an_update_of_the_watched_page_leaves_the_reader_where_they_are() {
    let Some(tools) = Tools::find("an_update_of_the_watched_page_leaves_the_reader_where_they_are") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path();
    copy(run);
    for name in ["genotype.json", "gap.json"] {
        fs::remove_file(run.join(name)).unwrap();
    }
    let arch = run.join("search/arch.jsonl");
    let lines = fs::read_to_string(&arch).unwrap();
    let first: String = lines.split_inclusive('\n').take(2).collect();
    fs::write(&arch, first).unwrap();
    let server = Server::watch(run);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/watch.mjs");
    runs_well(
        tools
            .script(&script)
            .arg(format!("http://{}/", server.host))
            .args([run, finished()]),
    );
}

#[test]
fn an_image_is_dropped_on_the_page_of_a_served_network() {
    let Some(tools) = Tools::find("an_image_is_dropped_on_the_page_of_a_served_network") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let [picture, other] = ["digit.png", "other.png"].map(|name| folder.path().join(name));
    let grey = image::GrayImage::from_fn(64, 64, |x, y| image::Luma([(x * 3 + y) as u8]));
    grey.save(&picture).unwrap();
    fs::write(&other, "no image").unwrap();
    let server = Server::serve(finished());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/serve.mjs");
    let url = format!("http://{}/", server.host);
    runs_well(
        tools
            .script(&script)
            .arg(url)
            .args([picture, other])
            .args(std::env::var_os("DA2S_SCREENSHOTS")),
    );
}

#[test]
fn pages_of_several_runs_are_sound() {
    let Some(tools) = Tools::find("pages_of_several_runs_are_sound") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let three = ["a", "b", "c"].map(|name| folder.path().join(name));
    for run in &three {
        copy(run);
    }
    let beside = folder.path().join("beside.html");
    let report = da2s().arg("report").args(&three).arg("--out").arg(&beside).assert();
    report.success();
    let compared = folder.path().join("compared");
    let compare = with("compare", &TINY)
        .args([
            "--methods",
            "da2s,darts",
            "--seeds",
            "2",
            "--search-only",
            "--quiet",
            "--out",
        ])
        .arg(&compared)
        .assert();
    compare.success();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../report/tests/browser/check.mjs");
    finished_copy(folder.path());
    let run = folder.path().join("run");
    let front = da2s()
        .args(["front", "--widths", "1,2", "--epochs", "1", "--quiet"])
        .arg(&run)
        .assert();
    front.success();
    let pages = [beside, compared.join("compare.html"), run.join("front/front.html")];
    runs_well(tools.script(&script).arg("-").args(&pages));
}
