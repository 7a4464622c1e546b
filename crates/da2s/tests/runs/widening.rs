//! A searched chain becomes as wide as the limits of its target allow.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use da2s::Error;
use da2s::backbone::NetworkSize;
use da2s::config::Config;
use da2s::data::ImageShape;
use da2s::discretize::whole_genotype;
use da2s::network::{Conditions, LatencyTable, network, timed_blocks};
use da2s::observer::{Event, Observer, Silent};
use da2s::records::files::{BEST, GENOTYPE, NETWORK_CHECKPOINT};
use da2s::records::schema::{GenotypeFile, Summary};
use da2s::resumable::StageError;
use da2s::run::{Context, RunDirectory, discretize, evaluate, search, train, trained};
use da2s_engine::Engine;

use crate::spaces::tiny_chain;
use crate::{StopAfter, context, whole};

/// The summary of a run of `config` in `path`, with its genotype file.
fn run(path: &Path, config: &Config) -> (Summary, GenotypeFile) {
    let summary = whole(path, config);
    let file = fs::read(path.join(GENOTYPE)).unwrap();
    (summary, serde_json::from_slice(&file).unwrap())
}

/// The chain under a limit of `share` times the multiply-adds that it needs without one.
fn limited(share: f64, widen_up_to: f64) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let free = run(&folder.path().join("free"), &tiny_chain()).0;
    let mut config = tiny_chain();
    config.target.max_multiply_adds = Some((share * free.multiply_adds.unwrap() as f64) as u64);
    config.network.shape.widen_up_to = widen_up_to;
    config
}

#[test]
fn a_searched_network_fills_its_limit_and_no_more() {
    let config = limited(3.0, 64.0);
    let limit = config.target.max_multiply_adds.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let (summary, file) = run(&path, &config);
    let widened = file.widened.unwrap();
    assert_eq!(summary.widened.as_ref(), Some(&widened));
    assert_eq!((widened.from, widened.limit_on.as_str()), (4, "multiply-adds"));
    assert!(widened.channels > 4, "{widened:?}");
    assert!(summary.multiply_adds.unwrap() <= limit);
    // The trained network has this width, and the next one is above the limit.
    let directory = RunDirectory::open(&path).unwrap();
    let network = trained(&context(&directory, &config, false)).unwrap();
    assert_eq!(network.description.size.channels as u64, widened.channels);
    let mut wider = config.clone();
    wider.network.shape.channels = widened.channels as usize + 1;
    let other = RunDirectory::create(&folder.path().join("wider")).unwrap();
    other.write_config(&wider).unwrap();
    let over = discretize(&context(&other, &wider, false), Some(&network.genotype), &mut Silent);
    assert!(matches!(over, Err(Error::OverLimit { .. })), "{over:?}");
}

#[test]
fn a_search_without_a_limit_or_with_the_factor_1_keeps_its_width() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = |name: &str, config: &Config| {
        let path = folder.path().join(name);
        let (summary, file) = run(&path, config);
        assert_eq!((summary.widened, file.widened), (None, None), "{name}");
        fs::read(path.join(BEST)).unwrap()
    };
    let free = bytes("free", &tiny_chain());
    let mut factor = tiny_chain();
    factor.network.shape.widen_up_to = 1.0;
    assert!(free == bytes("factor", &factor));
    // A limit that never binds does not change what is found.
    factor.target.max_multiply_adds = Some(1_000_000_000);
    assert!(free == bytes("limit", &factor));
    factor.network.shape.widen_up_to = 2.0;
    let widened = run(&folder.path().join("twice"), &factor).1.widened.unwrap();
    assert_eq!((widened.from, widened.channels), (4, 8));
}

#[test]
fn a_widened_network_resumes_with_the_same_bits() {
    let config = limited(2.0, 8.0);
    let folder = tempfile::tempdir().unwrap();
    let (once, resumed) = (folder.path().join("a"), folder.path().join("b"));
    whole(&once, &config);
    let directory = RunDirectory::create(&resumed).unwrap();
    directory.write_config(&config).unwrap();
    let context = context(&directory, &config, true);
    search(&context, &mut Silent).unwrap();
    discretize(&context, None, &mut Silent).unwrap();
    while let Err(error) = train(&context, &mut StopAfter { steps: Cell::new(3) }) {
        assert!(matches!(error, Error::Stage(StageError::Stopped { .. })), "{error}");
    }
    evaluate(&context, &mut Silent).unwrap();
    for name in [GENOTYPE, BEST, NETWORK_CHECKPOINT] {
        assert!(
            fs::read(once.join(name)).unwrap() == fs::read(resumed.join(name)).unwrap(),
            "{name}"
        );
    }
    // The same result again keeps the trained network; another width removes it.
    discretize(&context, None, &mut Silent).unwrap();
    assert!(resumed.join(BEST).exists());
    let mut narrow = config.clone();
    narrow.network.shape.widen_up_to = 1.0;
    let again = Context {
        config: &narrow,
        ..context.clone()
    };
    assert_eq!(discretize(&again, None, &mut Silent).unwrap().widened, None);
    assert!(!resumed.join(BEST).exists());
}

/// Keeps the warnings.
#[derive(Default)]
struct Warnings(Vec<String>);

impl Observer for Warnings {
    fn on(&mut self, event: Event<'_>) {
        if let Event::Warning(warning) = event {
            self.0.push(warning.text);
        }
    }
}

#[test]
fn only_widths_in_the_table_of_latencies_are_considered() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny_chain();
    // Every block of the space at these widths.
    let table = |name: &str, widths: &[usize]| {
        let space = config.space.build();
        let pixels = ImageShape {
            channels: 1,
            height: 8,
            width: 8,
        };
        let blocks = widths.iter().flat_map(|&channels| {
            let size = NetworkSize {
                channels,
                ..config.network.shape.size(&config.space, pixels, 10)
            };
            let network = network(&whole_genotype(&space), size, &Engine::Plain).unwrap();
            timed_blocks(&space, &network, 8)
        });
        let path = folder.path().join(name);
        let times = blocks.map(|block| (block.shape, 0.001));
        let table = LatencyTable::new(&path, Conditions::default(), times);
        fs::write(&path, table.to_csv().unwrap()).unwrap();
        path
    };
    let tables = [table("wide.csv", &[4, 5, 6]), table("one.csv", &[4])];
    config.target.max_latency_ms = serde_json::from_str("1000.0").ok();
    let found = |config: &Config, name: &str| {
        let directory = RunDirectory::create(&folder.path().join(name)).unwrap();
        directory.write_config(config).unwrap();
        let context = context(&directory, config, false);
        search(&context, &mut Silent).unwrap();
        let mut warnings = Warnings::default();
        let widened = discretize(&context, None, &mut warnings).unwrap().widened;
        let told = warnings
            .0
            .iter()
            .any(|text| text.contains("measure a table at more widths"));
        (widened.map(|widened| (widened.channels, widened.limit_on)), told)
    };
    let [wide, one] = tables;
    config.target.latency_table = Some(wide);
    assert_eq!(found(&config, "wide"), (Some((6, "latency".to_owned())), false));
    config.target.latency_table = Some(one);
    assert_eq!(found(&config, "one"), (None, true));
}
