//! Runs that stopped early, failed, stayed undecided or diverged, and several side by side.

use std::fs;

use da2s_report::{ReportError, write_page};
use scraper::Html;
use tempfile::TempDir;

use crate::page::{Page, assert_sound, select};
use crate::support::{Reached, Synthetic, replace_in};

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
