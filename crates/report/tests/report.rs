//! The report of runs that finished, stopped early, stayed undecided or contain hostile text.

mod support;

use std::fs;

use da2s_records::files::REPORT;
use da2s_records::schema::{Doubted, JudgedImage, Suspect, Suspects};
use da2s_report::{ReportError, Run, render, write_page, write_report, write_suspects};
use scraper::{Html, Selector};
use support::{Reached, Synthetic, replace_in};
use tempfile::TempDir;

/// A page that was written and parsed.
struct Page {
    _folder: TempDir,
    text: String,
    html: Html,
}

impl Page {
    fn of(run: &Synthetic) -> Self {
        let folder = TempDir::new().expect("temporary folder");
        run.write(folder.path());
        Self::written(folder)
    }

    fn written(folder: TempDir) -> Self {
        let path = write_report(folder.path()).expect("report");
        assert_eq!(path, folder.path().join(REPORT));
        let text = fs::read_to_string(path).expect("page");
        let html = Html::parse_document(&text);
        assert_eq!(
            html.errors,
            Vec::<std::borrow::Cow<str>>::new(),
            "the page is well-formed"
        );
        assert_sound(&html);
        Self {
            _folder: folder,
            text,
            html,
        }
    }

    fn count(&self, selector: &str) -> usize {
        self.html.select(&select(selector)).count()
    }

    /// The text of all elements that match, joined.
    fn words(&self, selector: &str) -> String {
        let selector = select(selector);
        let texts = self
            .html
            .select(&selector)
            .map(|element| element.text().collect::<String>());
        texts.collect::<Vec<_>>().join(" ")
    }
}

fn select(selector: &str) -> Selector {
    Selector::parse(selector).expect("selector")
}

/// Nothing in the page makes a browser request anything, and every numeric attribute is a number.
fn assert_sound(html: &Html) {
    for element in html.select(&select("*")) {
        for (name, value) in element.value().attrs() {
            if matches!(
                name,
                "href" | "src" | "srcset" | "action" | "data" | "poster" | "xlink:href"
            ) {
                assert!(value.starts_with('#') || value.starts_with("data:"), "{name}={value}");
            }
            assert!(!name.starts_with("on"), "no inline handlers: {name}");
            assert!(!value.contains("url("), "{name}={value}");
            assert!(name == "href" || !value.contains("NaN"), "{name}={value}");
        }
    }
    let style: String = html.select(&select("style")).flat_map(|style| style.text()).collect();
    assert!(
        !style.contains("url(") && !style.contains("@import"),
        "the style sheet is self-contained"
    );
}

#[test]
fn the_parser_reports_errors() {
    assert!(
        !Html::parse_document("<!DOCTYPE html><title>x</title><p></b>")
            .errors
            .is_empty()
    );
}

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
    let directory = page._folder.path().display().to_string();
    assert!(
        page.words("#next code")
            .contains(&format!("da2s predict {directory} photo.jpg"))
    );
}

#[test]
fn a_run_of_an_earlier_version_shows_what_it_has() {
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
fn a_class_without_images_and_one_class_predicted_alone_are_shown() {
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
fn one_epoch_is_enough() {
    let page = Page::of(&Synthetic {
        epochs: 1,
        train_epochs: 1,
        ..Synthetic::default()
    });
    assert_eq!(page.count(".notice"), 0);
    assert!(page.text.contains("h0\""), "a lone point is drawn as a dot");
}

#[test]
fn an_interrupted_search_says_so() {
    let page = Page::of(&Synthetic {
        reached: Reached::SearchCutAfter(7),
        ..Synthetic::default()
    });
    let notice = page.words(".notice");
    assert!(notice.contains("The search stopped after epoch 7 of 30."), "{notice}");
    assert!(
        notice.contains("The last line of search/metrics.jsonl was cut off"),
        "{notice}"
    );
    assert!(notice.contains("there is no genotype.json"), "{notice}");
    assert_eq!(page.count("#gap, #topology, #network"), 0);
    assert_eq!(page.count("svg.cell"), 2, "the last mixture is drawn");
    assert_eq!(page.count("#epoch[max='7']"), 1);
}

#[test]
fn a_run_without_retraining_says_so() {
    let page = Page::of(&Synthetic {
        reached: Reached::Discretized,
        ..Synthetic::default()
    });
    assert!(page.words(".notice").contains("The final network was not trained"));
    assert_eq!(page.words(".big"), "96.52 % 96.24 % –");
}

#[test]
fn an_undecided_run_names_its_edges() {
    let page = Page::of(&Synthetic {
        decided: false,
        ..Synthetic::default()
    });
    assert!(page.words(".pill").contains("undecided"));
    assert!(
        page.words(".verdict li")
            .contains("normal 0 → 3: sep_conv_3x3, p = 0.62")
    );
}

#[test]
fn an_imbalanced_target_with_two_operations() {
    let page = Page::of(&Synthetic {
        edges: [1, 2, 1, 3],
        operations: 2,
        ..Synthetic::default()
    });
    assert_eq!(
        page.count("svg.cell path.edge[opacity='1.00']"),
        14,
        "7 kept edges per cell"
    );
    assert_eq!(page.count("#topology .chip"), 28, "2 operations on each");
    assert!(
        page.words("#topology caption")
            .contains("target: 1, 2, 1, 3 edges into the nodes, 2 operations on each")
    );
    assert_eq!(
        page.words("#topology .count"),
        ["1 of 1 ✓", "2 of 2 ✓", "1 of 1 ✓", "3 of 3 ✓"].repeat(2).join(" ")
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
            .contains("4000000000 operations an edge")
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
fn a_run_that_failed_says_why() {
    let folder = TempDir::new().expect("temporary folder");
    Synthetic {
        reached: Reached::SearchCutAfter(7),
        ..Synthetic::default()
    }
    .write(folder.path());
    fs::write(folder.path().join("failure.txt"), "no <space> left\n").expect("file");
    assert!(Page::written(folder).words(".failure").contains("no <space> left"));
}

#[test]
fn an_overcome_failure_is_not_reported() {
    let folder = TempDir::new().expect("temporary folder");
    Synthetic::default().write(folder.path());
    fs::write(folder.path().join("failure.txt"), "no space left\n").expect("file");
    assert_eq!(Page::written(folder).count(".failure"), 0);
}

#[test]
fn runs_side_by_side_keep_their_colours() {
    let folder = TempDir::new().expect("temporary folder");
    let finished = Synthetic::default();
    let cut = Synthetic {
        reached: Reached::SearchCutAfter(7),
        ..finished.clone()
    };
    let dirs = ["a/run", "b/run", "third"].map(|name| folder.path().join(name));
    for (dir, run) in dirs.iter().zip([&finished, &cut, &finished]) {
        run.write(dir);
    }
    replace_in(&dirs[2].join("config.toml"), "channels = 8", "channels = 12");
    let page = folder.path().join("all.html");
    write_page(&dirs, &page).expect("page");
    let text = fs::read_to_string(&page).expect("page");
    let html = Html::parse_document(&text);
    assert_eq!(html.errors, Vec::<std::borrow::Cow<str>>::new());
    assert_sound(&html);
    let words = |selector: &str| {
        let selector = select(selector);
        html.select(&selector)
            .map(|element| element.text().collect::<String>())
            .collect::<Vec<_>>()
    };
    let names = words("#results tbody th");
    assert_eq!(names[2], "third");
    assert!(names[0].ends_with("a/run") && names[1].ends_with("b/run"), "{names:?}");
    assert_eq!(
        words("#results td.reason"),
        ["finished", "search: 7 of 30 epochs", "finished"]
    );
    assert_eq!(words("#settings tbody tr"), ["space.channels8812"]);
    let lines = |chart: &str| {
        let figure = format!("#{chart} .chart");
        let first = html.select(&select(&figure)).next().expect("a chart");
        let paths: Vec<_> = first
            .select(&select(":scope > svg path.line"))
            .map(|path| path.attr("class"))
            .collect();
        paths.into_iter().flatten().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines("search"), ["line s0", "line s1", "line s2"]);
    assert_eq!(
        lines("retraining"),
        ["line s0", "line s2"],
        "the third keeps its colour although the second has no line"
    );
    assert_eq!(words("#gap tbody tr")[1].matches('–').count(), 6);
    assert_eq!(html.select(&select("#cells svg.cell")).count(), 6);

    let many = vec![dirs[0].clone(); 9];
    assert!(matches!(
        write_page(&many, &page),
        Err(ReportError::TooManyRuns { runs: 9, most: 8 })
    ));
    assert_eq!(
        fs::read_to_string(&page).expect("page"),
        text,
        "the existing page is kept"
    );
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

#[test]
fn diverged_weights_are_reported_not_refused() {
    let folder = TempDir::new().expect("temporary folder");
    Synthetic {
        epochs: 3,
        ..Synthetic::default()
    }
    .write(folder.path());
    let path = folder.path().join("search/arch.jsonl");
    let mut last: serde_json::Value = {
        let text = fs::read_to_string(&path).expect("file");
        serde_json::from_str(text.lines().last().expect("line")).expect("JSON")
    };
    last["epoch"] = 4.into();
    last["cells"]["normal"]["p"][3][2] = serde_json::Value::Null;
    last["cells"]["normal"]["q"][5] = serde_json::Value::Null;
    let text = fs::read_to_string(&path).expect("file");
    fs::write(&path, format!("{text}{last}\n")).expect("file");
    fs::remove_file(folder.path().join("genotype.json")).expect("file");
    assert!(
        Page::written(folder)
            .words(".notice")
            .contains("after epoch 4 some mixture weights are not finite")
    );
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
