//! Finished runs: the order of the sections, their numbers and data, and runs of earlier versions.

use std::fs;

use da2s_records::schema::{Doubted, JudgedImage, Suspect, Suspects};
use da2s_report::{Run, render, write_suspects};
use scraper::Html;
use tempfile::TempDir;

use crate::page::{Page, assert_sound, select};
use crate::support::{CHAIN_WITH_SKIP, Synthetic};

#[test]
fn a_finished_run_shows_everything() {
    let page = Page::of(&Synthetic::default());
    assert_eq!(page.count(".notice"), 0);
    assert_eq!(page.words(".flow .big"), "96.52 % 96.24 % 95.10 %");
    assert_eq!(page.words(".result .big"), "95.10 %");
    assert!(page.words(".verdict").contains("Pruning took 0.28 points from 96.52 %"));
    let sections: Vec<_> = page
        .html
        .select(&select("main section"))
        .map(|section| section.attr("id"))
        .collect();
    assert_eq!(
        sections.into_iter().flatten().collect::<Vec<_>>().join(" "),
        "result network images classes confusion mistakes calibration next search cells topology gap curves mixture training \
         cost origin"
    );
    assert_eq!(page.count("svg.cell"), 2);
    assert_eq!(page.count("svg.cell path.edge"), 28, "14 edges per cell, kept or not");
    assert_eq!(
        page.count("svg.cell path.edge[opacity='1.00']"),
        16,
        "8 kept edges per cell"
    );
    assert_eq!(page.count(".chart[data-film]"), 8);
    assert_eq!(page.count(".chart:not([data-film])"), 4);
    assert_eq!(page.count(".matrix g.field"), 2 * 14 * 8);
    assert_eq!(page.count("#gap .edge-gaps g.field"), 2 * 14 * 4);
    assert_eq!(page.count(".mistakes img[src^='data:image/png;base64,']"), 24);
    assert!(page.words(".mistakes li").contains("taken for 1, 99 % sure"));
    assert_eq!(
        page.count("#epoch[max='31'][value='31']"),
        1,
        "epochs 0 to 30, then discretized"
    );
    assert!(page.words("#network").contains("123\u{202f}456"));
    assert_eq!(page.count("figure.costs svg.bars"), 2);
    assert_eq!(
        page.count("figure.costs:first-of-type svg.bars text.value"),
        7,
        "stem, five cells, classifier"
    );
    assert_eq!(
        page.words("div.scroll:first-child > table.costs tbody th"),
        "stem 3 normal cells 2 reduction cells classifier"
    );
    assert_eq!(
        page.words("table.costs tfoot tr"),
        ["all4.83 M100 %123 k100 %"; 2].join(" ")
    );
    assert!(page.words("#origin").contains("lambda_alpha = \"delayed_log\""));
    assert!(
        page.words("#origin")
            .contains("start a new one with the configuration config.toml")
    );
}

#[test]
fn the_result_comes_first_with_its_uncertainty() {
    let page = Page::of(&Synthetic::default());
    let result = page.words("#result");
    assert!(result.contains("is right on 349 of 367 test images"), "{result}");
    assert!(
        result.contains("is between 92.4 and 96.9 %, with 95 % confidence"),
        "{result}"
    );
    assert!(
        result.contains("of 367 that it was trained on: no sign of over- or underfitting"),
        "{result}"
    );
    assert!(page.words("#images").contains("480 rows and 480 to 1024 columns"));
    assert_eq!(page.count("#images svg.bars text.value"), 10);
    assert!(page.words("#classes thead").contains("its 95 % interval"));
    let mistakes = page.words("#mistakes");
    assert!(
        mistakes.contains("test/0/0003.jpg") && mistakes.contains("Each of the 18 is in network/mistakes.csv"),
        "{mistakes}"
    );
    assert!(
        page.words("#calibration")
            .contains("The expected calibration error is 4.31 points.")
    );
    assert_eq!(
        page.count("#calibration circle.dot"),
        14,
        "a bin without images has no dot"
    );
    let directory = page.folder.path().display().to_string();
    assert!(
        page.words("#next code")
            .contains(&format!("da2s predict {directory} photo.jpg"))
    );
}

#[test]
fn runs_of_earlier_versions_are_shown() {
    let folder = TempDir::new().expect("temporary folder");
    Synthetic::default().write(folder.path());
    for (file, keys) in [
        (
            "network/evaluation.json",
            &["train_accuracy", "train_images", "wrong", "calibration", "path"][..],
        ),
        ("environment.json", &["dataset_images"]),
        ("summary.json", &["network_train_accuracy"]),
    ] {
        let path = folder.path().join(file);
        let mut value: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&path).expect("file")).expect("JSON");
        for key in keys {
            value.as_object_mut().expect("object").remove(*key);
        }
        for mistake in value["mistakes"].as_array_mut().into_iter().flatten() {
            mistake.as_object_mut().expect("object").remove("path");
        }
        fs::write(&path, value.to_string()).expect("file");
    }
    let page = Page::written(folder);
    assert_eq!(page.count("#calibration, #images"), 0);
    assert!(page.words("#result").contains("is right on 349 of 367"));
    let mistakes = page.words("#mistakes");
    assert!(
        mistakes.contains("image 3") && !mistakes.contains("mistakes.csv"),
        "{mistakes}"
    );
}

#[test]
fn a_network_that_was_given_needs_no_search() {
    let folder = TempDir::new().expect("temporary folder");
    Synthetic::default().write(folder.path());
    fs::remove_dir_all(folder.path().join("search")).expect("folder");
    for file in ["gap.json", "edge_gaps.json", "summary.json"] {
        fs::remove_file(folder.path().join(file)).expect("file");
    }
    let path = folder.path().join("genotype.json");
    let mut value: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).expect("file")).expect("JSON");
    value["p_least"] = serde_json::Value::Null;
    fs::write(&path, value.to_string()).expect("file");
    let page = Page::written(folder);
    assert_eq!(page.count(".notice, #search, #gap, #curves"), 0);
    assert!(page.words("ol.stages").contains("Search none") && page.words("ol.stages").contains("given genotype"));
    assert_eq!(page.count("#result, #cells"), 2);
}

#[test]
fn a_class_without_images_and_a_network_that_predicts_one_class_are_shown() {
    let folder = TempDir::new().expect("temporary folder");
    let classes = ["a", "b", "never"].map(str::to_owned).to_vec();
    Synthetic {
        classes,
        ..Synthetic::default()
    }
    .write(folder.path());
    let path = folder.path().join("network/evaluation.json");
    let mut value: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).expect("file")).expect("JSON");
    value["confusion"] = serde_json::json!([[30, 0, 0], [10, 0, 0], [0, 0, 0]]);
    value["images"] = 40.into();
    value["accuracy"] = 75.0.into();
    value["loss"] = serde_json::Value::Null;
    value["calibration"]["bins"][14] = serde_json::json!({ "images": 40, "confidence": null, "accuracy": null });
    fs::write(&path, value.to_string()).expect("file");
    let page = Page::written(folder);
    assert!(page.words("#result").contains("75.00 %") && page.words("#result").contains("by always answering a"));
    assert!(page.words("#classes .notice").contains("never predicts b"));
    assert!(!page.words("main").contains("NaN"));
}

#[test]
fn doubtful_labels_are_shown_as_text() {
    const HOSTILE: &str = "a/<img src=x onerror=alert(1)>&'\"\u{202e}.png";
    let folder = TempDir::new().expect("temporary folder");
    let image = |part: &str, path: Option<&str>| Suspect {
        part: part.to_owned(),
        contradicted: true,
        image: JudgedImage {
            index: 7,
            path: path.map(str::to_owned),
            class: 0,
            predicted: 1,
            class_probability: Some(0.01),
            predicted_probability: Some(0.98),
            ..JudgedImage::default()
        },
    };
    let doubted = |suspects: Vec<Suspect>| Doubted {
        images: 12_345,
        contradicted: 1,
        suspects,
    };
    let suspects = Suspects {
        classes: vec!["</b><script>".to_owned(), "b".to_owned()],
        held_out: doubted(vec![image("test", Some(HOSTILE)), image("validation", None)]),
        trained: Doubted::default(),
    };
    let page = write_suspects(folder.path(), &suspects, None).expect("page");
    assert_eq!(page, folder.path().join("suspects.html"));
    let html = Html::parse_document(&fs::read_to_string(&page).expect("page"));
    assert_eq!(html.errors, Vec::<std::borrow::Cow<str>>::new());
    assert_sound(&html);
    assert_eq!(html.select(&select("img, section")).count(), 1, "no picture, one part");
    let text: String = html.select(&select("main")).flat_map(|main| main.text()).collect();
    for part in [
        HOSTILE,
        "labelled </b><script>",
        "taken for b, 98 % sure",
        "validation image 7",
        "12\u{202f}345",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn every_picture_has_its_data() {
    let page = Page::of(&Synthetic::default());
    for figure in page.html.select(&select(
        ".chart, .cell-figure, .confusion, .edge-gaps, .mistakes, figure.costs, .dataset, .reliability",
    )) {
        let link = figure
            .select(&select("a.data[download$='.csv']"))
            .next()
            .expect("a data link");
        assert!(
            link.attr("href")
                .is_some_and(|href| href.starts_with("data:text/csv;charset=utf-8,"))
        );
    }
    assert!(
        page.text
            .contains("data:text/csv;charset=utf-8,epoch,super-network,discretized,training%0A1,")
    );
}

#[test]
fn an_old_run_says_that_its_costs_are_unknown() {
    let folder = TempDir::new().expect("temporary folder");
    Synthetic::default().write(folder.path());
    fs::remove_file(folder.path().join("cost.json")).expect("file");
    let page = Page::written(folder);
    assert_eq!(page.count("figure.costs, table.costs"), 0);
    assert!(page.words("#cost").contains("no cost.json"));
    assert!(page.words("#network").contains("123\u{202f}456"), "the size is there");
}

#[test]
fn pages_stay_small() {
    let fifty = Page::of(&Synthetic {
        epochs: 50,
        train_epochs: 50,
        ..Synthetic::default()
    });
    assert!(fifty.text.len() < 500_000, "{} bytes", fifty.text.len());
    let classes = (0..100).map(|class| format!("class {class}")).collect();
    let long = Page::of(&Synthetic {
        epochs: 600,
        train_epochs: 600,
        classes,
        ..Synthetic::default()
    });
    assert!(long.text.len() < 3_000_000, "{} bytes", long.text.len());
}

#[test]
fn the_same_run_gives_the_same_page() {
    let folder = TempDir::new().expect("temporary folder");
    Synthetic::default().write(folder.path());
    let run = Run::read(folder.path()).expect("run");
    assert_eq!(render(&run), render(&run.clone()));
    assert!(
        render(&Run::default()).contains("This run is not complete"),
        "there is a page even for an empty run"
    );
}

#[test]
fn a_layer_that_keeps_only_skip_is_left_out() {
    let folder = TempDir::new().expect("temporary folder");
    Synthetic::default().write(folder.path());
    fs::remove_dir_all(folder.path().join("search")).expect("folder of the search");
    fs::write(folder.path().join("genotype.json"), CHAIN_WITH_SKIP).expect("file");
    let page = Page::written(folder);
    let table = page.words("table:has(th.node)");
    assert!(table.contains("no layer"), "{table}");
    assert!(
        table.contains("target: as many layers as the search keeps, 1 operation on each"),
        "{table}"
    );
    assert!(!table.contains("skip"), "{table}");
}
