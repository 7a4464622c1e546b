//! The dashboard drawn at all the sizes that it must fit, with a made-up run.

use std::collections::BTreeMap;
use std::time::Duration;

use da2s_report::Run;
use da2s_report::run::{ArchCell, ArchEpoch, SearchEpoch, Summary, TrainEpoch};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::*;

/// A search of `epochs` with `done` complete, followed by `trained` epochs of retraining.
fn run(done: usize, epochs: usize, trained: usize) -> Run {
    let search = (1..=done).map(|epoch| {
        let share = epoch as f64 / epochs as f64;
        SearchEpoch {
            epoch,
            epochs,
            weight_loss: Some(2.5 - 2.0 * share),
            arch_loss: (epoch > 2).then_some(2.8 - 2.0 * share),
            cross_entropy: Some(2.3 - 2.0 * share),
            train_accuracy: Some(20.0 + 75.0 * share),
            supernet_accuracy: Some(15.0 + 80.0 * share),
            discretized_accuracy: Some(10.0 + 83.0 * share * share),
            gap: Some(5.0 + 80.0 * share - 83.0 * share * share),
            lambda: Some(1.0),
            lambda_c: Some(share),
            lambda_alpha: Some(share * share),
            p_least: Some(0.2 + 0.7 * share),
            q_least: Some(0.3 + 0.6 * share),
            ..SearchEpoch::default()
        }
    });
    let training = (1..=trained).map(|epoch| TrainEpoch {
        epoch,
        epochs: 20,
        train_loss: Some(2.0 / epoch as f64),
        train_accuracy: Some(100.0 - 50.0 / epoch as f64),
        ..TrainEpoch::default()
    });
    let cells = ["normal", "reduction"].map(|kind| (kind.to_owned(), cell()));
    Run {
        name: "digits-da2s-s1".to_owned(),
        config: Some("[run]\nseed = 1\n[data]\ndataset = \"digits\"\n[search]\nmethod = \"da2s\"\n".to_owned()),
        search: search.collect(),
        architecture: vec![ArchEpoch {
            epoch: done,
            cells: BTreeMap::from(cells),
        }],
        training: training.collect(),
        ..Run::default()
    }
}

/// The DARTS cell: 14 edges, 7 operations, some decided and some not.
fn cell() -> ArchCell {
    let names = [
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "dil_conv_5x5",
    ];
    let edges: Vec<(usize, usize)> = (2..6).flat_map(|to| (0..to).map(move |from| (from, to))).collect();
    let p = (0..14).map(|edge| {
        let best = 0.15 + 0.06 * edge as f64;
        let mut row = vec![(1.0 - best) / 6.0; 7];
        row[edge % 7] = best;
        row
    });
    ArchCell {
        operations: names.map(str::to_owned).to_vec(),
        groups: Vec::new(),
        alpha: Vec::new(),
        beta: Vec::new(),
        p: p.collect(),
        q: edges
            .iter()
            .map(|(from, to)| if from % 2 == 0 { 0.5 } else { 0.25 / *to as f64 })
            .collect(),
        edges,
    }
}

fn now() -> Now {
    Now {
        word: "search".to_owned(),
        epoch: Some((13, 30)),
        step: Some((4, 11)),
        loss: Some(1.2345),
        accuracy: Some(52.34),
        left: Some(Duration::from_secs(95)),
    }
}

const KEYS: [(&str, &str); 5] = [
    ("p", "pause"),
    ("c", "checkpoint"),
    ("s", "stop"),
    VIEW_KEYS[0],
    VIEW_KEYS[1],
];

/// The screen of `width` × `height` on which `board` is drawn.
fn drawn(width: u16, height: u16, board: &Board<'_>) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw::draw(frame, board)).unwrap();
    terminal
}

fn board<'a>(run: &'a Run, now: &'a Now, view: &'a View) -> Board<'a> {
    Board {
        run,
        now,
        view,
        message: None,
        keys: &KEYS,
        theme: Theme::coloured_or_not(true),
    }
}

#[test]
fn a_small_terminal_shows_a_panel_at_a_time() {
    let (run, now) = (run(12, 30, 0), now());
    for (name, panel, scroll) in [
        ("accuracy", 0, 0),
        ("loss", 1, 0),
        ("normal", 2, 0),
        ("reduction_scrolled", 3, 99),
    ] {
        let view = View { panel, scroll };
        insta::assert_snapshot!(
            format!("60x15_{name}"),
            drawn(60, 15, &board(&run, &now, &view)).backend()
        );
    }
    let (first, again) = (View::default(), View { panel: 4, scroll: 0 });
    assert_eq!(
        drawn(60, 15, &board(&run, &now, &first)).backend(),
        drawn(60, 15, &board(&run, &now, &again)).backend(),
        "after the last comes the first"
    );
}

#[test]
fn a_large_terminal_shows_everything() {
    let (now, view) = (now(), View::default());
    insta::assert_snapshot!(
        "200x50_search",
        drawn(200, 50, &board(&run(12, 30, 0), &now, &view)).backend()
    );
    insta::assert_snapshot!(
        "200x50_train",
        drawn(200, 50, &board(&run(30, 30, 7), &now, &view)).backend()
    );
}

#[test]
fn before_the_first_epoch_and_after_the_last() {
    let begun = Run {
        name: "new".to_owned(),
        ..Run::default()
    };
    let (now, view) = (
        Now {
            word: "search".to_owned(),
            ..Now::default()
        },
        View::default(),
    );
    insta::assert_snapshot!("60x15_begun", drawn(60, 15, &board(&begun, &now, &view)).backend());
    let mut ended = run(30, 30, 20);
    ended.summary = Some(Summary {
        network_accuracy: Some(98.061),
        ..Summary::default()
    });
    let now = Now {
        word: "finished".to_owned(),
        ..Now::default()
    };
    let finished = Board {
        message: Some("a message"),
        ..board(&ended, &now, &view)
    };
    insta::assert_snapshot!("60x15_finished", drawn(60, 15, &finished).backend());
}

#[test]
fn colours_are_printed_unless_turned_off() {
    let (run, now, view) = (run(12, 30, 3), now(), View { panel: 4, scroll: 0 });
    for size in [(60, 15), (200, 50)] {
        for colour in [true, false] {
            let board = Board {
                theme: Theme::coloured_or_not(colour),
                ..board(&run, &now, &view)
            };
            let terminal = drawn(size.0, size.1, &board);
            let cells = terminal.backend().buffer().content();
            let coloured = cells
                .iter()
                .any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
            assert_eq!(coloured, colour, "{size:?}");
        }
    }
}

#[test]
fn any_size_and_any_numbers_are_drawn() {
    let mut odd = run(12, 30, 2);
    odd.search[3].weight_loss = Some(f64::NAN);
    odd.search[4].gap = Some(f64::INFINITY);
    odd.name = "a\u{1b}[2Jname".to_owned();
    for cell in odd.architecture[0].cells.values_mut() {
        cell.p[0] = vec![f64::NAN; 7];
        cell.q[1] = f64::NEG_INFINITY;
    }
    let now = Now {
        epoch: Some((31, 30)),
        step: Some((0, 0)),
        ..now()
    };
    for (width, height) in [
        (1, 1),
        (3, 2),
        (10, 4),
        (25, 8),
        (59, 14),
        (119, 29),
        (120, 30),
        (400, 100),
    ] {
        for panel in 0..7 {
            let view = View { panel, scroll: 3 };
            let terminal = drawn(width, height, &board(&odd, &now, &view));
            let escapes = terminal
                .backend()
                .buffer()
                .content()
                .iter()
                .any(|cell| cell.symbol().contains('\u{1b}'));
            assert!(!escapes, "{width}×{height}");
        }
    }
}

#[test]
fn all_panels_fit_from_the_minimum_width() {
    let (run, now, view) = (run(12, 30, 0), now(), View::default());
    let line = |width: u16, row: usize| {
        let terminal = drawn(width, 30, &board(&run, &now, &view));
        let cells = terminal.backend().buffer().content();
        let row = &cells[row * usize::from(width)..(row + 1) * usize::from(width)];
        row.iter().map(|cell| cell.symbol()).collect::<String>()
    };
    assert!(line(130, 3).contains("normal cell"), "{}", line(130, 3));
    // The first edge with all of its seven operations.
    assert!(line(130, 4).ends_with("▁▁▁▁▁▁▁│"), "{}", line(130, 4));
    assert!(!line(129, 3).contains("normal cell"));
}

#[test]
fn the_state_of_another_process_follows_from_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let write = |name: &str, text: &str| {
        std::fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
        std::fs::write(dir.join(name), text).unwrap();
    };
    let at = |quiet_s: u64| {
        let follow = Follow::new(dir).unwrap();
        let at = follow.last_change().unwrap() + Duration::from_secs(quiet_s);
        Now::of_files(&follow, at)
    };
    write("config.toml", "[search]\nepochs = 4\nextra_epochs = 0.5\n");
    write("search/metrics.jsonl", "{\"epoch\":1,\"epochs\":4}\n");
    write("search/times.jsonl", "{\"epoch\":1,\"time_s\":100}\n");
    let seconds = |quiet_s| at(quiet_s).left.map(|left| left.as_secs());
    assert_eq!((at(0).word.as_str(), at(0).epoch), ("search", Some((2, 4))));
    assert_eq!((seconds(0), seconds(60)), (Some(300), Some(240)));
    assert_eq!(seconds(150), Some(200), "an epoch that takes longer");
    assert_eq!(seconds(86_400), None, "killed yesterday");
    for damaged in ["1e300", "-5"] {
        write("search/times.jsonl", &format!("{{\"epoch\":1,\"time_s\":{damaged}}}\n"));
        assert_eq!(seconds(60), None, "{damaged}");
    }
    for (epoch, word, shown) in [
        (3, "search", Some((4, 4))),
        (5, "search", Some((6, 6))),
        (6, "discretize", None),
    ] {
        write("search/metrics.jsonl", &format!("{{\"epoch\":{epoch},\"epochs\":4}}\n"));
        assert_eq!((at(0).word.as_str(), at(0).epoch), (word, shown), "{epoch}");
    }
    write("failure.txt", "no space left\n");
    assert_eq!(at(0).word, "failed");
    write("summary.json", "{}");
    assert_eq!(at(0).word, "finished");
    assert_eq!(Follow::new(dir).unwrap().failure(), None);
}

/// A driver that records the keys it receives.
#[derive(Default)]
struct Noting(Vec<char>);

impl Driver for Noting {
    fn now(&mut self, _: &Follow) -> Now {
        Now::default()
    }

    fn message(&self, _: &Follow) -> Option<String> {
        None
    }

    fn keys(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn press(&mut self, key: char) {
        self.0.push(key);
    }

    fn ended(&self) -> bool {
        false
    }
}

#[test]
fn keys_of_the_view_change_it_and_others_are_passed_on() {
    let (mut view, mut driver) = (View::default(), Noting::default());
    let mut press = |code, modifiers| pressed(KeyEvent::new(code, modifiers), &mut view, &mut driver);
    press(KeyCode::Down, KeyModifiers::NONE);
    press(KeyCode::Char('p'), KeyModifiers::NONE);
    press(KeyCode::Char('c'), KeyModifiers::CONTROL);
    press(KeyCode::Esc, KeyModifiers::NONE);
    press(KeyCode::F(5), KeyModifiers::NONE);
    press(KeyCode::Char('s'), KeyModifiers::CONTROL);
    press(KeyCode::Char('q'), KeyModifiers::CONTROL);
    press(KeyCode::Char('s'), KeyModifiers::ALT);
    assert_eq!(
        (view.clone(), driver.0.as_slice()),
        (View { panel: 0, scroll: 1 }, ['p', INTERRUPT, ESCAPE].as_slice())
    );
    let mut press = |code| pressed(KeyEvent::new(code, KeyModifiers::NONE), &mut view, &mut driver);
    press(KeyCode::Tab);
    press(KeyCode::Tab);
    press(KeyCode::BackTab);
    assert_eq!(view, View { panel: 1, scroll: 0 });
}
