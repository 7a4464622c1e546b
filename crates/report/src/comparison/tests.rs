//! Comparisons that are complete, have gaps, vary a setting, or contain hostile text.

use super::*;

fn setup(method: &str, settings: &[(&str, &str)]) -> Setup {
    Setup {
        method: method.to_owned(),
        settings: settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

fn run(setup: &Setup, seed: u64, gap: f64) -> ComparedRun {
    let values = [("supernet_accuracy", 97.0), ("gap", gap), ("parameters", 138_000.0)];
    ComparedRun {
        setup: setup.clone(),
        seed,
        directory: format!("{}-s{seed}", setup.method),
        outcome: RunOutcome::Finished {
            genotype: Some("Genotype(normal=[('a', 0)])".to_owned()),
            values: values.map(|(key, value)| (key.to_owned(), value)).into(),
        },
    }
}

fn compared(runs: Vec<ComparedRun>) -> Comparison {
    Comparison::new("mine".to_owned(), "digits".to_owned(), "da2s".to_owned(), runs, &[])
}

#[test]
fn runs_are_grouped_and_tested_in_pairs() {
    let (da2s, darts) = (setup("da2s", &[]), setup("darts", &[]));
    let mut runs: Vec<ComparedRun> = [0.0, 1.0, 2.0]
        .iter()
        .zip(1..)
        .map(|(gap, seed)| run(&da2s, seed, *gap))
        .collect();
    // Pairing does not depend on the order of the seeds; a seed without a partner is left out.
    runs.extend([run(&darts, 3, 92.0), run(&darts, 1, 90.0), run(&darts, 4, 50.0)]);
    let comparison = compared(runs);
    assert_eq!(comparison.groups.len(), 2);
    let gaps = comparison.groups[0].spreads["gap"];
    assert_eq!((gaps.n, gaps.mean, gaps.std), (3, 1.0, Some(1.0)));
    let [test] = &comparison.tests[..] else {
        panic!("one test")
    };
    assert_eq!(
        (test.setup.label(), test.against.label()),
        ("darts".to_owned(), "da2s".to_owned())
    );
    assert_eq!((test.results["gap"].n, test.results["gap"].mean_difference), (2, 90.0));
    assert!(!test.results.contains_key("parameters"));
    assert_eq!(
        comparison.means(),
        [
            vec!["method", "runs", "super-network %", "gap", "parameters"],
            vec!["da2s", "3", "97.00 ± 0.00", "1.00 ± 1.00", "138.0 ± 0.0 k"],
            vec!["darts", "3", "97.00 ± 0.00", "77.33 ± 23.69", "138.0 ± 0.0 k"],
        ]
    );
}

#[test]
fn varied_settings_are_groups_of_their_own() {
    let setups = ["da2s", "darts"].map(|method| ["1", "2"].map(|edges| setup(method, &[("target.edges", edges)])));
    let runs = setups.iter().flatten().map(|setup| run(setup, 1, 0.0)).collect();
    let tests: Vec<(String, String)> = compared(runs)
        .tests
        .iter()
        .map(|test| (test.setup.label(), test.against.label()))
        .collect();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(
        tests,
        [
            pair("da2s, target.edges=2", "da2s, target.edges=1"),
            pair("darts, target.edges=1", "da2s, target.edges=1"),
            pair("darts, target.edges=2", "da2s, target.edges=2"),
        ]
    );
}

#[test]
fn a_method_without_its_settings_is_tested_against_those_that_share_most() {
    let runs = |setups: &[Setup]| setups.iter().map(|setup| run(setup, 1, 0.0)).collect::<Vec<_>>();
    let tests = |setups: &[Setup]| {
        let comparison = Comparison::new("c".into(), "digits".into(), "random".into(), runs(setups), &[]);
        let pair = |test: &super::Test| format!("{} / {}", test.setup.label(), test.against.label());
        comparison.tests.iter().map(pair).collect::<Vec<String>>()
    };
    let da2s = setup("da2s", &[("search.drive", "path")]);
    let random = |drive: &str, rule: &str| setup("random", &[("search.drive", drive), ("discretize.rule", rule)]);
    let one = setup("random", &[("search.drive", "none")]);
    assert_eq!(
        tests(&[one, da2s.clone()]),
        ["da2s, search.drive=path / random, search.drive=none"]
    );
    // The first of those that share the same number.
    let several = tests(&[random("none", "a"), random("none", "b"), da2s]);
    assert!(
        several.contains(&"da2s, search.drive=path / random, search.drive=none, discretize.rule=a".to_owned()),
        "{several:?}"
    );
}

#[test]
fn failed_runs_are_excluded_from_means_and_reported() {
    let (da2s, darts) = (setup("da2s", &[]), setup("<b>|,\"", &[]));
    let with = |setup: &Setup, outcome| ComparedRun {
        outcome,
        ..run(setup, 2, 0.0)
    };
    let comparison = compared(vec![
        run(&da2s, 1, 3.0),
        with(&da2s, RunOutcome::Failed("no space, \"really\"".to_owned())),
        with(&darts, RunOutcome::Unfinished("search 3/30".to_owned())),
    ]);
    assert_eq!((comparison.finished(), comparison.failed()), (1, 1));
    assert_eq!(comparison.means()[1][1], "1 of 2");
    assert_eq!(comparison.means()[2][1..], ["0 of 1", "–", "–", "–"]);
    assert!(comparison.tests.iter().all(|test| test.results.is_empty()));
    let csv = comparison.csv();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(
        lines[0],
        "method,seed,state,reason,directory,supernet_accuracy,gap,parameters,genotype"
    );
    assert_eq!(
        lines[1],
        "da2s,1,finished,,da2s-s1,97,3,138000,\"Genotype(normal=[('a', 0)])\""
    );
    assert_eq!(lines[2], "da2s,2,failed,\"no space, \"\"really\"\"\",da2s-s2,,,,");
    assert!(lines[3].starts_with("\"<b>|,\"\"\",2,unfinished,search 3/30,"));
    let json: serde_json::Value = serde_json::from_str(&comparison.json()).unwrap();
    assert_eq!(json["runs"][1]["reason"], "no space, \"really\"");
    assert_eq!(
        json["runs"][1]["setup"],
        serde_json::json!({ "method": "da2s", "settings": {} })
    );
    assert_eq!(json["groups"][0]["spreads"]["gap"]["mean"], 3.0);
    let markdown = comparison.markdown();
    assert!(markdown.contains("- da2s-s2 failed: no space"), "{markdown}");
    assert!(markdown.contains(r"| \<b>\|,"), "{markdown}");
    let page = comparison_page(&comparison);
    let html = scraper::Html::parse_document(&page);
    assert_eq!(html.errors, Vec::<std::borrow::Cow<str>>::new());
    assert!(!page.contains("<b>|"), "text is escaped");
    assert!(page.contains("1 run failed"));
}

#[test]
fn looked_up_results_have_their_own_columns() {
    let da2s = setup("da2s", &[]);
    let mut entry = run(&da2s, 1, 0.0);
    if let RunOutcome::Finished { values, .. } = &mut entry.outcome {
        values.insert(Measure::benchmark_key("cifar10-test"), 94.0);
        values.insert(Measure::rank_key("cifar10-test"), 12.0);
    }
    let columns = ["cifar10-test".to_owned(), "other".to_owned()];
    let comparison = Comparison::new("a".into(), "digits".into(), "da2s".into(), vec![entry], &columns);
    let keys: Vec<&str> = comparison.measures.iter().map(|measure| measure.key.as_str()).collect();
    assert_eq!(keys[3..], ["benchmark:cifar10-test", "rank:cifar10-test"]);
    // The mean of ranks means little, so the table of means leaves it out.
    assert_eq!(comparison.means()[0].last().unwrap(), "cifar10-test %");
}

#[test]
fn percentiles_are_among_random_genotypes_and_tests_are_corrected_together() {
    let with = |setup: &Setup, seed: u64, accuracy: f64| {
        let mut run = run(setup, seed, accuracy / 10.0);
        if let RunOutcome::Finished { values, .. } = &mut run.outcome {
            values.insert("network_accuracy".to_owned(), accuracy);
        }
        run
    };
    let (da2s, darts) = (
        setup("da2s", &[("search.drive", "path")]),
        setup("darts", &[("search.drive", "path")]),
    );
    let (random, published) = (setup(RANDOM, &[]), setup("published darts-v2", &[]));
    let mut runs = Vec::new();
    for (seed, step) in [(1, 0.0), (2, 0.1), (3, 0.3)] {
        runs.push(with(&da2s, seed, 97.0 + step));
        runs.push(with(&darts, seed, 96.0 + 2.0 * step));
        runs.push(with(&published, seed, 98.0 - step));
    }
    for (seed, accuracy) in [(1, 96.0), (2, 97.0), (3, 97.05), (4, 99.0)] {
        runs.push(with(&random, seed, accuracy));
    }
    let comparison = compared(runs);
    let percentile = |setup: &Setup, seed: u64| {
        let own = comparison
            .runs
            .iter()
            .find(|run| run.setup == *setup && run.seed == seed);
        own.unwrap().value("percentile")
    };
    assert_eq!(
        [
            percentile(&da2s, 1),
            percentile(&da2s, 2),
            percentile(&darts, 1),
            percentile(&random, 4)
        ],
        [Some(37.5), Some(75.0), Some(12.5), None]
    );
    // Given genotypes are tested against the baseline, whatever its settings.
    let tests: Vec<&str> = comparison.tests.iter().map(|test| test.setup.method.as_str()).collect();
    assert_eq!(tests, ["darts", "published darts-v2", RANDOM]);
    let of = |at: usize| comparison.tests[at].results["network_accuracy"];
    let plain: Vec<f64> = (0..3).map(|at| of(at).t_p.unwrap()).collect();
    let expected = statistics::holm(&plain);
    for (at, expected) in expected.into_iter().enumerate() {
        assert_eq!(of(at).t_holm, Some(expected));
        assert!(of(at).t_holm >= of(at).t_p);
    }
    let csv = comparison.csv();
    let last = csv.lines().last().unwrap();
    assert!(last.starts_with("random genotype,4,,finished,,"), "{last}");
}

/// Runs of each setup with these retrained accuracies, by seed.
fn retrained(setups: &[(&str, &[f64])]) -> Comparison {
    let mut runs = Vec::new();
    for (method, accuracies) in setups {
        for (seed, accuracy) in (1..).zip(*accuracies) {
            let mut run = run(&setup(method, &[]), seed, 1.0);
            if let RunOutcome::Finished { values, .. } = &mut run.outcome {
                values.insert("network_accuracy".to_owned(), *accuracy);
            }
            runs.push(run);
        }
    }
    compared(runs)
}

#[test]
fn the_verdict_names_who_is_ahead_or_reports_that_there_are_too_few_seeds() {
    let da2s: &[f64] = &[97.0, 97.4, 96.8];
    // Differences of 1.0, 1.2 and 0.8: t = 8.66, t(0.975, 2) = 4.3027.
    let better: &[f64] = &[98.0, 98.6, 97.6];
    let verdict = |setups: &[(&str, &[f64])]| retrained(setups).verdict();
    assert_eq!(
        verdict(&[("da2s", da2s), ("drnas", better)]).unwrap(),
        "In the accuracy of the retrained networks, drnas is ahead of da2s by 1.00 points \
         (95 % interval +0.50 to +1.50, p = 0.0131)."
    );
    assert_eq!(
        verdict(&[("da2s", better), ("darts", da2s)]).unwrap(),
        "In the accuracy of the retrained networks, darts is behind da2s by 1.00 points \
         (95 % interval −1.50 to −0.50, p = 0.0131)."
    );
    assert_eq!(
        verdict(&[("da2s", da2s), ("darts", &[97.4, 97.0, 97.0])]).unwrap(),
        "In the accuracy of the retrained networks, 3 seeds are not enough to tell which of darts and da2s is ahead \
         (a difference of +0.07 points, 95 % interval −0.97 to +1.10, p = 0.808)."
    );
    let several = verdict(&[
        ("da2s", da2s),
        ("drnas", better),
        ("darts", &[97.4, 97.0]),
        ("gdas", &[90.0]),
    ])
    .unwrap();
    assert!(
        several
            .contains("; 1 or 2 seeds are not enough to tell whether these methods are better or worse: darts, gdas."),
        "{several}"
    );
    let one = verdict(&[("da2s", &da2s[..1]), ("darts", &better[..1])]).unwrap();
    assert!(
        one.ends_with(
            "1 seed is not enough to tell which of darts and da2s is ahead (a difference of +1.00 points, without an interval)."
        ),
        "{one}"
    );
    assert_eq!(verdict(&[("da2s", da2s)]), None);
    // Without retrained networks it is about the gap, of which less is better.
    let of = |method, gaps: [f64; 3]| {
        (1..)
            .zip(gaps)
            .map(move |(seed, gap)| run(&setup(method, &[]), seed, gap))
    };
    let gaps = compared(
        of("da2s", [0.0, 0.1, 0.0])
            .chain(of("darts", [80.0, 82.0, 81.0]))
            .collect(),
    );
    let text = gaps.verdict().unwrap();
    assert!(
        text.starts_with("In the gap, darts is behind da2s by 80.97 points ("),
        "{text}"
    );
    for document in [comparison_page(&gaps), gaps.markdown()] {
        assert!(
            document.contains("darts is behind da2s by 80.97 points (95 %"),
            "{document}"
        );
    }
    let json: serde_json::Value = serde_json::from_str(&gaps.json()).unwrap();
    assert_eq!(json["verdict"], text);
}
