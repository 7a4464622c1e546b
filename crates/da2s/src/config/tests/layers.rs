//! Precedence, error locations, and the recipes.

use super::*;
use crate::config::{Request, RunSettings};
use crate::data::Format;
use crate::search::{Auto, Rate};
use crate::space::{All, EdgeCount};
use proptest::prelude::*;

fn layer(text: &str) -> Result<Layer, ConfigError> {
    Layer::text(Origin::File("my.toml".into()), text)
}

/// The error message for `text`, by itself or merged over the defaults.
fn complaint(text: &str) -> String {
    layer(text).and_then(|layer| resolve(&[layer])).unwrap_err().to_string()
}

#[test]
fn the_digits_recipe_is_the_defaults() {
    assert_eq!(resolve(&[Layer::recipe("digits").unwrap()]).unwrap(), Config::default());
}

/// The changes of a training's length belong to the length that it has.
#[test]
fn another_number_of_epochs_forgets_the_changes_of_the_length() {
    let paced = layer("[network]\nepochs = 31\nearlier_epochs = [[4, 39], [8, 27]]\n").unwrap();
    let earlier = |above: &str| {
        let config = resolve(&[paced.clone(), layer(above).unwrap()]).unwrap();
        config.network.training.earlier_epochs
    };
    let kept = Some(vec![vec![4, 39], vec![8, 27]]);
    assert_eq!(earlier(""), kept);
    assert_eq!(earlier("[network]\nepochs = 31\nbatch_size = 8\n"), kept);
    assert_eq!(earlier("[network]\nepochs = 5\n"), None);
    let own = earlier("[network]\nepochs = 12\nearlier_epochs = [[2, 5]]\n");
    assert_eq!(own, Some(vec![vec![2, 5]]));
}

#[test]
fn cifar_10_has_the_published_values() {
    let dir = Layer::flag("--data-dir", "data.dir", "cifar".into()).unwrap();
    let config = resolve(&[Layer::recipe("cifar10").unwrap(), dir]).unwrap();
    let (search, network) = (&config.search, &config.network.training);
    assert_eq!((search.epochs, search.warmup_epochs, search.batch_size), (50, 8, 64));
    assert_eq!((search.channels, search.cells, search.regulariser.lambda), (16, 8, 0.1));
    assert_eq!(
        (search.alpha_rate, search.beta_rate),
        (Rate::Auto(Auto::Auto), Rate::Auto(Auto::Auto))
    );
    // 25,000 images of each half are 390 full batches of 64; 42 epochs follow the warm-up.
    assert!((search.alpha_rate.resolve(390 * 42) - 3e-4).abs() < 1e-12);
    assert_eq!(
        (
            config.network.shape.channels,
            config.network.shape.cells,
            network.epochs,
            network.batch_size
        ),
        (36, 20, 600, 96)
    );
    assert_eq!((network.augmentation.cutout, network.drop_path), (16, 0.2));
}

/// `--config` with the file of a run repeats the run, whatever recipe it came from.
#[test]
fn a_resolved_configuration_is_its_own_fixed_point() {
    for (name, _) in RECIPES {
        for dataset in Format::readable() {
            let flag = |key, value: Value| Layer::flag("--flag", key, value).unwrap();
            let mut layers = vec![
                Layer::recipe(name).unwrap(),
                flag("data.dataset", dataset.name().into()),
            ];
            layers.push(flag("data.dir", "somewhere".into()));
            layers.push(flag("data.image_size", 224.into()));
            // Recipe settings for the images of a folder, which other formats do not accept.
            if let Some(shape) = dataset.facts().shape {
                layers.push(flag("data.channels", (shape.channels as i64).into()));
                layers.push(flag("data.centre_crop", 1.0.into()));
            }
            let config = resolve(&layers).unwrap();
            config.check().unwrap();
            let text = config.to_toml().unwrap();
            assert_eq!(
                resolve(&[layer(&text).unwrap()]).unwrap(),
                config,
                "{name} on {dataset}"
            );
            let recipe = Layer::recipe(dataset.name()).unwrap();
            assert_eq!(
                resolve(&[recipe, layer(&text).unwrap()]).unwrap(),
                config,
                "{name} on {dataset}"
            );
        }
    }
}

#[test]
fn later_layers_win_and_leave_the_rest() {
    let recipe = Layer::recipe("digits").unwrap();
    let file = layer("[search]\nepochs = 12\nwarmup_epochs = 2\n[search.regulariser]\nlambda_beta = 3").unwrap();
    let flag = Layer::assignment("--set", "search.epochs=7").unwrap();
    let config = resolve(&[recipe, file, flag]).unwrap();
    assert_eq!(
        (config.search.epochs, config.search.warmup_epochs, config.search.cells),
        (7, 2, 3)
    );
    // A partially set table keeps the rest from the layers below, not from a default.
    assert_eq!(
        (config.search.regulariser.lambda_beta, config.search.regulariser.lambda),
        (3.0, 1.0)
    );
    let short = layer("search.regulariser.lambda_c.delayed = true").unwrap();
    assert!(resolve(&[short]).unwrap().search.regulariser.lambda_c.delayed);
}

#[test]
fn a_target_for_both_kinds_overrides_one_kind_in_a_lower_layer() {
    let below = layer("target.normal = { edges = [1, 2, 3, 2], operations = 2 }").unwrap();
    let above = Layer::assignment("--set", "target.edges=[1,2,1,3]").unwrap();
    let config = resolve(&[below.clone(), above.clone()]).unwrap();
    let target = config.target.resolve(&config.space.build()).unwrap();
    assert_eq!((target.normal.edges, target.normal.operations), (vec![1, 2, 1, 3], 2));
    let config = resolve(&[above, below]).unwrap();
    let target = config.target.resolve(&config.space.build()).unwrap();
    assert_eq!(
        (target.normal.edges, target.reduction.unwrap().edges),
        (vec![1, 2, 3, 2], vec![1, 2, 1, 3])
    );
}

#[test]
fn assignments_take_words_without_quotes() {
    let config = |text: &str| resolve(&[Layer::assignment("--set", text).unwrap()]).unwrap();
    assert_eq!(
        config("search.alpha_rate=auto").search.alpha_rate,
        Rate::Auto(Auto::Auto)
    );
    assert_eq!(config("search.alpha_rate = 1e-2").search.alpha_rate, Rate::Fixed(0.01));
    assert_eq!(config("run.device=cuda:1").run.device, "cuda:1");
    assert_eq!(config("target.edges=1").target.edges, EdgeCount::Uniform(1));
    let error = |text: &str| Layer::assignment("--set", text).unwrap_err().to_string();
    assert_eq!(
        error("search.epochs"),
        "--set: `search.epochs`: expected KEY=VALUE, such as search.epochs=10"
    );
    assert_eq!(
        error("search.epochs=0"),
        "--set search.epochs=0: search.epochs = 0: expected a whole number from 1 to 1000000"
    );
}

#[test]
fn errors_name_file_line_key_and_what_is_allowed() {
    for (text, expected) in [
        (
            "\n[search]\nepcohs = 3",
            "my.toml, line 3: unknown key search.epcohs: did you mean search.epochs?",
        ),
        (
            "lambda = 1",
            "my.toml, line 1: unknown key lambda: did you mean search.regulariser.lambda?",
        ),
        (
            "[run]\nx = 1",
            "my.toml, line 2: unknown key run.x: expected one of seed, threads, device, engine",
        ),
        (
            "[search]\nepochs = \"ten\"",
            "my.toml, line 2: search.epochs = \"ten\": expected a whole number from 1 to 1000000",
        ),
        (
            "search = 3",
            "my.toml, line 1: search = 3: expected a table of method, epochs, ",
        ),
        (
            "[search]\nmomentum = 1.0",
            "my.toml, line 2: search.momentum = 1.0: expected a number, at least 0 and less than 1",
        ),
        (
            "[search]\nlearning_rate = nan",
            "search.learning_rate = nan: expected a number, more than 0",
        ),
        (
            "[search]\nalpha_rate = \"car\"",
            "expected a number, more than 0, or \"auto\"",
        ),
        (
            "[run]\nseed = -1",
            "my.toml, line 2: run.seed = -1: expected a whole number from 0",
        ),
        (
            "[network]\ndecay = \"step\"",
            "expected one of cosine, linear, exponential",
        ),
        (
            "[target]\nedges = []",
            "target.edges = []: expected a whole number from 1, a list",
        ),
        (
            "[target]\nedges = 3",
            "my.toml, line 1: target.normal.edges keeps 3 edges at node 2, which has 2 incoming edges: allowed are 1 to 2",
        ),
        ("[target]\noperations = 8", "allowed are 1 to 7"),
        (
            "[search]\nepochs = 5\nwarmup_epochs = 5",
            "my.toml, line 3: search.warmup_epochs = 5: expected less than search.epochs = 5",
        ),
        (
            "search.learning_rate_min = 0.1",
            "expected at most search.learning_rate = 0.025",
        ),
        (
            "data.dataset = \"cifar10\"",
            "data.dir is not set: expected its folder: cifar-10-binary.tar.gz",
        ),
        ("[data]\ndataset = \"images\"\ndir = \"x\"", "data.image_size"),
        (
            "[data]\nimage_size = 9",
            "my.toml, line 2: data.image_size = 9: expected a multiple of 4, the factor by which the network reduces images (search.cells = 3)",
        ),
        (
            "[data]\nchannels = 3",
            "my.toml, line 2: data.channels = 3: expected 1 for digits",
        ),
        (
            "[data]\nvalidation_fraction = 0.5",
            "expected a value whose sum with data.arch_fraction = 0.5 is less than 1",
        ),
        (
            "[search.augmentation]\ncutout = 9",
            "my.toml, line 2: search.augmentation.cutout = 9: expected 0 to 8",
        ),
        (
            "network.augmentation.random_resized_crop.scale = [0.5, 0.1]",
            "expected [minimum, maximum], both more than 0 and at most 1",
        ),
        (
            "network.auxiliary = true",
            "network.auxiliary = true: expected false: an auxiliary head needs at least 8×8 pixels",
        ),
        (
            "network.skeleton = \"imagenet\"",
            "data.image_size = 8: expected a multiple of 32, the factor by which the network reduces images \
             (network.cells = 5, network.skeleton = imagenet)",
        ),
        (
            "search = { skeleton = \"imagenet\", channels = 1 }\ndata.image_size = 32",
            "search.channels = 1: expected at least 2",
        ),
        (
            "[search]\nskeleton = \"imagenet\"",
            "data.image_size = 8: expected a multiple of 32",
        ),
        (
            "[data]\ncentre_crop = 0.5",
            "my.toml, line 2: data.centre_crop = 0.5: expected 1 for digits",
        ),
        (
            "[data]\nbad_images = \"skip\"",
            "my.toml, line 2: data.bad_images = skip: expected refuse for digits",
        ),
        (
            "[search]\nschedule = \"adaptive\"\nepochs = 6\nwarmup_epochs = 4\nhardening.decided_at = 0.5",
            "my.toml, line 5: search.hardening.decided_at = 0.5: expected more than 3/6, where the path of \
             search.drive = \"path\" begins if search.warmup_epochs = 4 and search.epochs = 6; or set \
             search.warmup_epochs to at most 3",
        ),
        (
            "[search]\nmethod = \"random\"\ndrive = \"path\"",
            "search.drive = path: expected another drive for search.method = random: it learns no mixture",
        ),
        (
            "[search]\nmethod = \"entropy\"\ndrive = \"none\"",
            "search.drive = none: expected another drive for search.method = entropy: without one it is darts",
        ),
        (
            "[search]\nmethod = \"darts\"\ndrive = \"regulariser\"\n[target]\noperations = 2",
            "my.toml, line 3: search.drive = regulariser: expected \"path\", which leaves as many operations",
        ),
        (
            "[search]\nmethod = \"entropy\"\n[target]\noperations = 2",
            "search.drive = regulariser: expected \"path\", which leaves as many operations",
        ),
        (
            "[search]\nmethod = \"lambda-darts\"\ncells = 2\nreduction_cells = [1]\n[network]\nreduction_cells = [1]",
            "search.method = lambda-darts: expected another method: this one compares cells of the same kind",
        ),
        (
            "[search]\nschedule = \"adaptive\"\nepochs = 50\nwarmup_epochs = 49",
            "search.hardening.decided_at = 0.9: expected more than 48/50",
        ),
        (
            "[search]\nreduction_cells = []",
            "network.reduction_cells = (with 5 cells): expected no reduction cell: the super-network has none (search.reduction_cells)",
        ),
        (
            "[space]\nnone = true\noperations = [\"sep_conv_3x3\", \"skip_connect\"]",
            "my.toml, line 2: space.none = true: expected no value with space.operations",
        ),
        (
            "[search]\narch_beta_1 = 0.99999999",
            "my.toml, line 2: search.arch_beta_1 = 0.99999999: expected less than 1 as a 32-bit number: at most 0.99999994",
        ),
        (
            "search.arch_beta_2 = 0.99999999",
            "search.arch_beta_2 = 0.99999999: expected less than 1",
        ),
        (
            "search.momentum = 0.99999999",
            "search.momentum = 0.99999999: expected less than 1",
        ),
        (
            "search.arch_momentum = 0.99999999",
            "expected less than 1 as a 32-bit number",
        ),
        (
            "network.momentum = 0.99999999",
            "expected less than 1 as a 32-bit number",
        ),
        (
            "[search]\nlimit_weight = 1e300",
            "my.toml, line 2: search.limit_weight = 1e300: expected at most 3.4028235e38, the largest 32-bit number",
        ),
        (
            "search.learning_rate = 1e39",
            "search.learning_rate = 1e39: expected at most 3.4",
        ),
        (
            "search.weight_decay = 1e39",
            "search.weight_decay = 1e39: expected at most 3.4",
        ),
        (
            "search.alpha_rate = 1e39",
            "search.alpha_rate = 1e39: expected at most 3.4",
        ),
        (
            "search.beta_rate = 1e39",
            "search.beta_rate = 1e39: expected at most 3.4",
        ),
        ("search.arch_weight_decay = 1e39", "expected at most 3.4"),
        ("search.zero_one_weight = 1e39", "expected at most 3.4"),
        ("search.regulariser.lambda = 1e39", "expected at most 3.4"),
        ("search.regulariser.cardinality_weight = 1e39", "expected at most 3.4"),
        (
            "search.regulariser = { lambda = 1e20, lambda_beta = 1e20 }",
            "search.regulariser.lambda_beta = 1e20: expected a value whose product with search.regulariser.lambda = 1e20 is at most 3.4",
        ),
        ("network.auxiliary_weight = 1e39", "expected at most 3.4"),
        ("network.learning_rate = 1e39", "expected at most 3.4"),
        ("network.weight_decay = 1e39", "expected at most 3.4"),
        (
            "search.temperature_last = 1e-40",
            "search.temperature_last = 1e-40: expected a number, at least 1e-30",
        ),
        ("search.temperature_first = 1e-40", "at least 1e-30"),
        ("[search]\nepochs = ", "my.toml, line 2: "),
        ("[run]\nseed = 1\nseed = 2", "my.toml, line 3: duplicate key"),
    ] {
        let found = complaint(text);
        assert!(
            found.contains(expected),
            "{text:?}\n  said    {found}\n  expected {expected}"
        );
    }
}

#[test]
fn images_cannot_be_halved_more_often_than_they_have_pixels() {
    for (cells, expected) in [
        (4, "expected a multiple of 16, the factor by which"),
        (32, "expected a multiple of 4294967296, the factor by which"),
        (64, "expected a multiple of 2^64, the factor by which"),
        (70, "expected a multiple of 2^70, the factor by which"),
    ] {
        let places: Vec<usize> = (0..cells).collect();
        let found = complaint(&format!("[search]\ncells = {cells}\nreduction_cells = {places:?}"));
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn only_searches_that_follow_the_path_need_steps_for_it() {
    let adaptive = "schedule = \"adaptive\"\nepochs = 6\nwarmup_epochs = 4\nhardening.decided_at = 0.5";
    for (method, refused) in [("da2s-operations", true), ("da2s-edges", true), ("darts", false)] {
        let layer = layer(&format!("[search]\nmethod = \"{method}\"\n{adaptive}")).unwrap();
        assert_eq!(resolve(&[layer]).is_err(), refused, "{method}");
    }
    // A drive can be requested separately, and has precedence over its older name.
    for (method, drive, refused) in [("darts", "path", true), ("da2s", "none", false)] {
        let text = format!("[search]\nmethod = \"{method}\"\ndrive = \"{drive}\"\n{adaptive}");
        assert_eq!(resolve(&[layer(&text).unwrap()]).is_err(), refused, "{method} {drive}");
    }
    let published = layer(&format!("[search]\n{}", adaptive.replace("adaptive", "published"))).unwrap();
    resolve(&[published]).unwrap();
}

#[test]
fn the_first_wrong_line_is_reported() {
    assert!(complaint("[search]\nmomentum = 2\nepochs = 0").contains("line 2"));
}

#[test]
fn a_configuration_without_a_file_is_checked_as_well() {
    let seed = Config {
        run: RunSettings {
            seed: u64::MAX,
            ..RunSettings::default()
        },
        ..Config::default()
    };
    assert!(matches!(seed.check().unwrap_err(), ConfigError::Unwritable { .. }));
    let mut config = Config::default();
    config.search.momentum = f64::NAN;
    assert_eq!(
        config.check().unwrap_err().to_string(),
        "settings: search.momentum = nan: expected a number, at least 0 and less than 1"
    );
}

#[test]
fn unknown_recipes_and_missing_files_are_named() {
    let names = RECIPES.map(|(name, _)| name).join(", ");
    assert_eq!(
        Layer::recipe("shapes").unwrap_err().to_string(),
        format!("there is no recipe shapes: expected one of {names}")
    );
    let error = Layer::file(Path::new("no/such.toml")).unwrap_err().to_string();
    assert!(error.starts_with("cannot read no/such.toml: "));
}

proptest! {
    #[test]
    fn no_text_panics(text in "[a-z.\\[\\]{}=\"0-9, \n]{0,60}") {
        let _ = layer(&text).and_then(|layer| resolve(&[layer]));
        let _ = Layer::assignment("--set", &text);
    }

    #[test]
    fn a_path_that_is_allowed_has_steps(
        epochs in 1..60usize,
        warmup in 0..60usize,
        decided_at in prop_oneof![
            0.001..=1.0f64,
            (1..60u8, 1..60u8).prop_map(|(a, b)| f64::from(a.min(b)) / f64::from(a.max(b))),
        ],
        steps in 1..1000usize,
    ) {
        let warmup_epochs = warmup % epochs;
        let text = format!(
            "[search]\nschedule = \"adaptive\"\nepochs = {epochs}\nwarmup_epochs = {warmup_epochs}\n\
             hardening.decided_at = {decided_at:?}"
        );
        let begin = (warmup_epochs.max(1) - 1) * steps;
        match resolve(&[layer(&text).unwrap()]) {
            Ok(config) => prop_assert!(config.search.hardening.left(begin, epochs * steps) > 0),
            Err(_) => prop_assert!(decided_at * epochs as f64 <= begin as f64 / steps as f64 + 1e-6),
        }
    }

    #[test]
    fn what_the_rules_allow_is_read(epochs in 1..500usize, rate in 1e-6..1.0f64, edges in proptest::collection::vec(1..3usize, 4)) {
        let text = format!("[search]\nepochs = {epochs}\nwarmup_epochs = 0\nbeta_rate = {rate}\n[target]\nedges = {edges:?}");
        let config = resolve(&[layer(&text).unwrap()]).unwrap();
        prop_assert_eq!(config.search.epochs, epochs);
        prop_assert_eq!(config.search.beta_rate, Rate::Fixed(rate));
        prop_assert_eq!(config.target.edges, EdgeCount::PerNode(edges));
    }
}

/// A space named in a file changes the same settings as the flag `--space`, except settings that
/// the file contains.
#[test]
fn the_settings_of_a_space_are_below_the_requested_ones() {
    let request = |text: &str| Request {
        layers: vec![layer(text).unwrap()],
        ..Request::default()
    };
    let config = request("[space]\nname = \"mobile\"").resolve().unwrap();
    assert_eq!(
        (config.search.cells, &config.target.edges),
        (1, &EdgeCount::All(All::All))
    );
    let error = request("[space]\nname = \"mobile\"\n[search]\ncells = 2")
        .resolve()
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("my.toml, line 4: search.cells = 2: expected 1 in the space mobile"),
        "{error}"
    );
    // A resolved configuration and a recipe for the space stay as they are.
    let written = config.to_toml().unwrap();
    assert_eq!(request(&written).resolve().unwrap(), config);
}

/// The recipes of published experiments have long warm-ups, which a short search shortens unless
/// they were requested.
#[test]
fn a_short_search_has_a_short_warm_up() {
    let request = |text: &str| Request {
        layers: vec![Layer::recipe("cifar10").unwrap(), layer(text).unwrap()],
        names_recipe: true,
        ..Request::default()
    };
    let folder = "[data]\ndir = \"cifar\"\n[search]\n";
    for (epochs, expected) in [(1, 0), (2, 1), (8, 1), (9, 8)] {
        let (config, notes) = request(&format!("{folder}epochs = {epochs}"))
            .resolve_with_notes()
            .unwrap();
        assert_eq!(config.search.warmup_epochs, expected);
        assert_eq!(notes.iter().any(|note| note.contains("warmup_epochs")), expected != 8);
    }
    // In a search with stages, each has the warm-up.
    for (epochs, expected) in [(3, 0), (6, 1), (17, 3), (26, 4), (27, 8)] {
        let (config, _) = request(&format!("{folder}epochs = {epochs}\nmethod = \"p-darts\""))
            .resolve_with_notes()
            .unwrap();
        assert_eq!(config.search.warmup_epochs, expected, "{epochs} epochs");
    }
    let error = request(&format!("{folder}epochs = 4\nwarmup_epochs = 4"))
        .resolve()
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("my.toml, line 5: search.warmup_epochs = 4"),
        "{error}"
    );
}

/// Configurations of earlier versions have the published probabilities, whatever the method.
#[test]
fn published_probabilities_of_dropping_skip_connections_count_as_unset() {
    let written = "[search.stages]\nskip_dropout = [0.0, 0.4, 0.7]";
    assert_eq!(resolve(&[layer(written).unwrap()]).unwrap(), Config::default());
    let other = complaint("[search.stages]\nskip_dropout = [0.0, 0.4, 0.6]");
    assert!(other.contains("search.stages.skip_dropout has no effect"), "{other}");
}

/// Cutout of a recipe is at most half the side of the images; a requested one stays.
#[test]
fn cutout_of_a_recipe_fits_small_images() {
    let cutout = |text: &str| {
        let request = Request {
            layers: vec![Layer::recipe("cifar10").unwrap(), layer(text).unwrap()],
            names_recipe: true,
            ..Request::default()
        };
        let (config, notes) = request.resolve_with_notes().unwrap();
        let is_noted = notes.iter().any(|note| note.contains("cutout"));
        (config.network.training.augmentation.cutout, is_noted)
    };
    let folder = "[data]\ndir = \"cifar\"\n";
    assert_eq!(cutout(folder), (16, false));
    assert_eq!(cutout(&format!("{folder}image_size = 16\n")), (8, true));
    let requested = "image_size = 16\n[network.augmentation]\ncutout = 12\n";
    assert_eq!(cutout(&format!("{folder}{requested}")), (12, false));
}

/// Batches of a recipe have at most as many images as a limit leaves; a requested batch stays.
#[test]
fn batches_of_a_recipe_fit_a_limit() {
    let batches = |text: &str| {
        let request = Request {
            layers: vec![layer(text).unwrap()],
            ..Request::default()
        };
        let (config, notes) = request.resolve_with_notes().unwrap();
        let batches = (config.search.batch_size, config.network.training.batch_size);
        (batches, notes.iter().filter(|note| note.contains("few images")).count())
    };
    assert_eq!(batches("[data]\nlimit = 200"), ((64, 64), 0));
    assert_eq!(batches("[data]\nlimit = 100"), ((50, 64), 1));
    assert_eq!(batches("[data]\nlimit = 5"), ((2, 5), 2));
    assert_eq!(batches("[data]\nlimit = 5\n[search]\nbatch_size = 9"), ((9, 5), 1));
}
