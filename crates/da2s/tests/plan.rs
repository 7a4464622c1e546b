//! The plan of a run: what it chooses for a time, and when it is written.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::path::Path;
use std::time::Instant;

use da2s::Hint;
use da2s::config::{Layer, Pace, Request};
use da2s::observer::{Event, Observer, Silent};
use da2s::planner::{self, PlanError, Whose};
use da2s::run::{Error, Job};
use da2s::space::{Genotype, NamedNetwork};
use da2s::stage::Stage;
use da2s_records::schema::{SeedTraining, Seeds, Summary};

/// Settings with which every step is short.
const SMALL: [&str; 8] = [
    "data.limit=64",
    "data.test_limit=16",
    "search.channels=4",
    "search.batch_size=8",
    "network.channels=8",
    "network.cells=3",
    "network.batch_size=8",
    "discretize.edge_images=0",
];

fn request(pace: Option<Pace>, more: &[&str]) -> Request {
    let layer = |text: &&str| Layer::assignment("--set", text).unwrap();
    Request {
        layers: SMALL.iter().chain(more).map(layer).collect(),
        pace,
        ..Request::default()
    }
}

fn created(path: &Path, pace: Option<Pace>, more: &[&str]) -> Job {
    Job::create(&request(pace, more), Some(path), false, "test".to_owned()).unwrap()
}

#[test]
fn settings_are_written_once_they_are_chosen() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("run");
    let mut job = created(&path, Some(Pace::Seconds(600.0)), &["search.epochs=7"]);
    assert!(job.is_to_be_planned() && !path.join("config.toml").exists());
    let plan = job.plan(None, Instant::now(), &mut Silent).unwrap();
    assert!(!job.is_to_be_planned());
    let stored = job.directory().config().unwrap();
    assert_eq!(&stored, job.config());
    assert_eq!(stored, plan.config);
    // What was requested stays, and the rest of the time goes into the training.
    assert_eq!((stored.search.epochs, stored.search.channels), (7, 4));
    assert_eq!(stored.network.training.epochs, 600);
    assert!(
        plan.chosen
            .iter()
            .all(|(key, _)| *key != "search.epochs" && *key != "network.channels")
    );
    assert!(
        plan.chosen.contains(&("network.epochs", "600".to_owned())),
        "{:?}",
        plan.chosen
    );
    assert!(plan.total_s() <= 600.0 && plan.reasons.iter().any(|reason| reason.contains("early")));
}

#[test]
fn a_run_without_a_time_has_a_plan_that_changes_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("run");
    let mut job = created(&path, None, &[]);
    let before = job.config().clone();
    assert!(path.join("config.toml").exists() && !job.is_to_be_planned());
    let plan = job.plan(None, Instant::now(), &mut Silent).unwrap();
    assert_eq!(job.config(), &before);
    assert!(plan.chosen.is_empty() && plan.reasons.is_empty() && plan.goal.is_none());
    assert_eq!((plan.search.unwrap().epochs, plan.network.epochs), (30, 25));
    assert!(plan.times.iter().all(|stage| stage.time_s > 0.0));
    assert_eq!(plan.found.counts.train, 64);
    // Only recipes for folders of images have a time limit; the recipe of the digits has none.
    let other = created(&temporary.path().join("other"), Some(Pace::OfRecipe), &[]);
    assert!(!other.is_to_be_planned());
}

/// The networks of chains have blocks, not cells.
#[test]
fn the_plan_of_a_chain_has_the_blocks_of_its_stages() {
    let temporary = tempfile::tempdir().unwrap();
    let words = |name: &str, network: Option<&str>, more: &[&str]| {
        let path = temporary.path().join(name);
        let request = Request {
            network: network.and_then(NamedNetwork::from_name),
            layers: [&SMALL[..4], &SMALL[6..], more]
                .concat()
                .iter()
                .map(|text| Layer::assignment("--set", text).unwrap())
                .collect(),
            pace: Some(Pace::Seconds(600.0)),
            ..Request::default()
        };
        let mut job = Job::create(&request, Some(&path), false, "test".to_owned()).unwrap();
        let given = request.network.map(|network| network.genotype().unwrap());
        let plan = job.plan(given.as_ref(), Instant::now(), &mut Silent).unwrap();
        planner::lines(&plan, &path, &[]).join("\n")
    };
    let resnet = words("resnet", Some("resnet14"), &[]);
    assert!(resnet.contains("16 channels, stages of 2/2/2 blocks, "), "{resnet}");
    let mobile = ["space.name=mobile", "space.stages=[[8, 3, 1], [16, 2, 2]]"];
    let deep = words("deep", None, &[&mobile[..], &["target.depth=2"]].concat());
    let open = words("open", None, &[&mobile[..], &["space.skip=true"]].concat());
    for (text, of_network) in [
        (&deep, "stages of 2/2 blocks, "),
        (&open, "stages of at most 3/2 blocks, "),
    ] {
        assert!(
            text.contains(" channels, stages of 3/2 blocks, ") && text.contains(of_network),
            "{text}"
        );
        assert!(!text.contains("cell"), "{text}");
    }
}

#[test]
fn a_resumed_run_plans_the_discretization_that_it_repeats() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("run");
    let small = ["space.nodes=1", "network.epochs=1", "network.seeds=3"];
    let cell = "[('skip_connect', 0), ('max_pool_3x3', 1)]";
    let text = format!("Genotype(normal={cell}, normal_concat=[2], reduce={cell}, reduce_concat=[2])");
    let job = created(&path, None, &small);
    let genotype = Genotype::parse(&text).unwrap();
    job.discretize(Some(&genotype), &mut Silent).unwrap();
    let stages = || {
        let resumed = Job::create(&request(None, &small), Some(&path), true, "test".to_owned());
        let mut job = resumed.unwrap();
        assert!(!job.is_finished());
        let plan = job.plan(None, Instant::now(), &mut Silent).unwrap();
        plan.times
            .iter()
            .map(|time| (time.stage, time.whose))
            .collect::<Vec<_>>()
    };
    drop(job);
    let of_one = |whose| [Stage::Discretize, Stage::Train, Stage::Evaluate].map(|stage| (Some(stage), whose));
    let seed = of_one(Whose::Seed);
    let all = [&of_one(Whose::Run)[..], &seed, &seed, &[(None, Whose::Run)]];
    assert_eq!(stages(), all.concat());
    // What is trained is not planned again.
    let seeds = Seeds {
        trainings: vec![SeedTraining::default(); 2],
        ..Seeds::default()
    };
    let summary = Summary {
        seeds: Some(seeds),
        ..Summary::default()
    };
    std::fs::write(path.join("summary.json"), serde_json::to_string(&summary).unwrap()).unwrap();
    let [discretize, _, evaluate] = of_one(Whose::Run);
    assert_eq!(stages(), [&[discretize, evaluate], all[2], all[3]].concat());
}

#[test]
fn a_baseline_that_is_left_out_does_not_keep_a_run_from_being_finished() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("run");
    let finished = |baselines: &str| {
        let settings = ["space.nodes=1", "network.epochs=1", baselines];
        let resumed = Job::create(&request(None, &settings), Some(&path), path.exists(), "test".to_owned());
        resumed.unwrap().is_finished()
    };
    let job = created(&path, None, &["space.nodes=1", "network.epochs=1"]);
    let cell = "[('skip_connect', 0), ('max_pool_3x3', 1)]";
    let text = format!("Genotype(normal={cell}, normal_concat=[2], reduce={cell}, reduce_concat=[2])");
    let genotype = Genotype::parse(&text).unwrap();
    job.discretize(Some(&genotype), &mut Silent).unwrap();
    drop(job);
    let images =
        r#"{"channels": 1, "centre_crop": 1.0, "image_size": 8, "mean": [0.5], "std": [1.0], "classes": ["0", "1"]}"#;
    std::fs::create_dir_all(path.join("network")).unwrap();
    std::fs::write(path.join("network/preprocessing.json"), images).unwrap();
    std::fs::write(path.join("summary.json"), "{}").unwrap();
    // The narrowest MobileNetV2 costs more than this network, DS-CNN does not.
    assert!(finished("network.baselines=[\"mobilenet-v2\"]"));
    assert!(!finished("network.baselines=[\"ds-cnn\"]"));
}

/// Wants to stop at once.
struct Impatient;

impl Observer for Impatient {
    fn on(&mut self, _: Event<'_>) {}

    fn stop(&self) -> bool {
        true
    }
}

#[test]
fn a_plan_can_be_stopped() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("run");
    let mut job = created(&path, Some(Pace::Seconds(60.0)), &["search.epochs=1"]);
    let stopped = job.plan(None, Instant::now(), &mut Impatient).unwrap_err();
    assert!(matches!(stopped, Error::Plan(PlanError::Stopped)), "{stopped}");
    // There is no run yet that could be resumed.
    assert!(!path.join("config.toml").exists());
    assert_eq!(stopped.hints(), [Hint::Repeat]);
    job.plan(None, Instant::now(), &mut Silent).unwrap();
    job.search(&mut Silent).unwrap();
    job.discretize(None, &mut Silent).unwrap();
    let stopped = job.plan_training(&mut Impatient).unwrap_err();
    assert!(matches!(stopped, Error::Plan(PlanError::TrainingStopped)), "{stopped}");
    assert_eq!(stopped.hints(), [Hint::Resume]);
}
