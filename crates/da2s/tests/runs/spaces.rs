//! Runs in every space, and the refusal of genotypes of another space.

use da2s::Error;
use da2s::config::Config;
use da2s::discretize::Rule;
use da2s::observer::Silent;
use da2s::retrain::InitialWeights;
use da2s::run::{RunDirectory, discretize, search};
use da2s::search::{ArchOptimizerName, Method, ScheduleName, SearchError};
use da2s::space::{ActivationName, All, EdgeCount, Genotype, Operation, Reductions, SpaceName};

use crate::{context, genotype_of, tiny, twice};

#[test]
fn nas_bench_201_runs_with_its_protocol() {
    let mut config = tiny();
    config.space.name = SpaceName::NasBench201;
    config.target.edges = EdgeCount::All(All::All);
    (
        config.search.cells,
        config.network.shape.cells,
        config.network.training.drop_path,
    ) = (1, 1, 0.0);
    config.search.one_level = true;
    config.search.arch_optimizer = ArchOptimizerName::Sgd;
    config.search.arch_every = 2;
    let summary = twice(&config);
    let text = summary.genotype.unwrap();
    assert!(text.starts_with('|'), "{text}");
    let genotype = Genotype::parse(&text).unwrap();
    assert_eq!(genotype.to_string(), text);
    assert_eq!(genotype.cells.normal.edges.len(), 6);
}

pub(crate) fn tiny_chain() -> Config {
    let mut config = tiny();
    config.space.name = SpaceName::Mobile;
    config.space.stages = Some(vec![vec![8, 3, 2], vec![16, 2, 1]]);
    config.space.head_channels = Some(16);
    config.target.edges = EdgeCount::All(All::All);
    config.target.depth = Some(EdgeCount::PerNode(vec![2, 2]));
    (config.search.channels, config.search.cells) = (8, 1);
    config.search.reduction_cells = Reductions::At(Vec::new());
    config.network.shape.cells = 1;
    config.network.shape.reduction_cells = Reductions::At(Vec::new());
    config
}

#[test]
fn a_chain_runs_and_keeps_the_declared_depth() {
    let mut config = tiny_chain();
    let genotype = genotype_of(&twice(&config));
    assert_eq!(genotype.cells.normal.stages, [3, 2]);
    assert_eq!(genotype.cells.normal.edges.len(), 4);
    // The perturbation rule, the path, and a limit on the cost.
    config.search.schedule = ScheduleName::Adaptive;
    config.discretize.rule = Rule::Perturbation;
    config.target.max_multiply_adds = Some(10_000_000);
    assert_eq!(genotype_of(&twice(&config)).cells.normal.edges.len(), 4);
}

#[test]
fn a_chain_with_skip_decides_its_own_depth() {
    let mut config = tiny_chain();
    config.target.depth = None;
    config.space.operations = Some(vec![Operation::Skip, Operation::MbConvK3E1, Operation::MbConvK3E3]);
    let firsts_stay = |genotype: &Genotype| {
        let cell = &genotype.cells.normal;
        assert_eq!((cell.stages.as_slice(), cell.edges.len()), (&[3, 2][..], 5));
        let skips = |edge: usize| cell.edges[edge].operations.contains(&Operation::Skip);
        assert!(!skips(0) && !skips(3), "{genotype}");
    };
    firsts_stay(&genotype_of(&twice(&config)));
    // The same if the search removes choices and has a limit, if the rule measures, and with other
    // methods.
    config.search.schedule = ScheduleName::Adaptive;
    config.search.drop_below = 0.2;
    config.target.max_multiply_adds = Some(10_000_000);
    firsts_stay(&genotype_of(&twice(&config)));
    (config.search.drop_below, config.discretize.rule) = (0.0, Rule::Sequential);
    firsts_stay(&genotype_of(&twice(&config)));
    for method in [Method::Gdas, Method::FairDarts, Method::Gaea, Method::DrNas] {
        let mut config = tiny_chain();
        (config.target.depth, config.space.skip, config.search.method) = (None, true, method);
        firsts_stay(&genotype_of(&twice(&config)));
    }
}

#[test]
fn layers_are_skipped_if_the_limit_requires_it() {
    let mut config = tiny_chain();
    config.target.depth = None;
    config.space.operations = Some(vec![Operation::Skip, Operation::MbConvK5E6]);
    config.target.max_multiply_adds = Some(1);
    let folder = tempfile::tempdir().unwrap();
    let directory = RunDirectory::create(&folder.path().join("run")).unwrap();
    directory.write_config(&config).unwrap();
    let too_low = search(&context(&directory, &config, false), &mut Silent).unwrap_err();
    let Error::Search(SearchError::LimitTooLow { least, .. }) = too_low else {
        panic!("{too_low}")
    };
    // With this weight, the cross-entropy of a few steps has no influence.
    (config.target.max_multiply_adds, config.search.limit_weight) = (Some(least as u64), 100.0);
    let summary = twice(&config);
    let genotype = genotype_of(&summary);
    let text = "Genotype(stages=[['mbconv_k5_e6', 'skip', 'skip'], ['mbconv_k5_e6', 'skip']])";
    assert_eq!(genotype.to_string(), text);
    assert_eq!(genotype.cells.normal.depth(), [1, 1]);
    // The network is the same as one whose stages have one layer each.
    config.space.stages = Some(vec![vec![8, 1, 2], vec![16, 1, 1]]);
    config.target.max_multiply_adds = None;
    let short = RunDirectory::create(&folder.path().join("short")).unwrap();
    short.write_config(&config).unwrap();
    let genotype = Genotype::parse("Genotype(stages=[['mbconv_k5_e6'], ['mbconv_k5_e6']])").unwrap();
    let cost = discretize(&context(&short, &config, false), Some(&genotype), &mut Silent);
    let cost = cost.unwrap().cost;
    assert_eq!(
        (summary.parameters, summary.multiply_adds),
        (Some(cost.parameters), Some(cost.multiply_adds))
    );
    assert_eq!((cost.multiply_adds, summary.on_device), (least as u64, cost.on_device));
    assert!(
        summary.gap.is_some() && summary.network_accuracy.is_some(),
        "{summary:?}"
    );
}

#[test]
fn a_chain_with_squeeze_and_excitation_and_another_activation_runs() {
    let mut config = tiny_chain();
    config.space.activation = ActivationName::HardSwish;
    config.space.operations = Some(vec![Operation::MbConvK3E1Se, Operation::MbConvK3E3Se]);
    let file = twice(&config);
    let cost = file.on_device;
    assert!(cost.size_bytes.is_some() && cost.ram_bytes.is_some());
    assert_eq!((cost.size_int8_bytes, cost.ram_int8_bytes), (None, None));
    let genotype = genotype_of(&file);
    let mut operations = genotype.cells.normal.edges.iter().flat_map(|edge| &edge.operations);
    assert!(
        operations.all(|operation| operation.name().ends_with("_se")),
        "{genotype}"
    );
    config.space.operations = None;
    config.space.squeeze_excitation = true;
    assert_eq!(config.space.build().operations.len(), 18);
}

#[test]
fn a_chain_of_residual_blocks_runs_and_stays_in_its_space() {
    let mut config = tiny_chain();
    config.space.residual_blocks = true;
    assert_eq!(config.space.build().operations.len(), 10);
    config.space.residual_blocks = false;
    config.space.operations = Some(vec![Operation::MbConvK3E1, Operation::ResBlockK3]);
    twice(&config);
    // All layers have the block of the space `plain`, but with the stem and head of `mobile`.
    config.space.operations = Some(vec![Operation::ResBlockK3]);
    let file = twice(&config);
    let genotype = genotype_of(&file);
    assert!(
        genotype.to_string().starts_with("Genotype(stages=[['resblock_k3'"),
        "{genotype}"
    );
    assert_eq!(
        Genotype::parse(&genotype.to_string()).unwrap().space(),
        SpaceName::Mobile
    );
    assert!(file.on_device.size_int8_bytes.is_some(), "{:?}", file.on_device);
}

#[test]
fn a_genotype_of_other_stages_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = tiny_chain();
    let directory = RunDirectory::create(&folder.path().join("run")).unwrap();
    directory.write_config(&config).unwrap();
    let other = Genotype::parse("Genotype(stages=[['mbconv_k3_e1', 'mbconv_k3_e1'], ['mbconv_k3_e1']])").unwrap();
    let error = discretize(&context(&directory, &config, false), Some(&other), &mut Silent).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("[2, 1] layers, but those of this run [3, 2]"),
        "{error}"
    );
}

#[test]
fn a_genotype_of_another_space_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = tiny();
    let directory = RunDirectory::create(&folder.path().join("run")).unwrap();
    directory.write_config(&config).unwrap();
    let bench = Genotype::parse("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|").unwrap();
    let error = discretize(&context(&directory, &config, false), Some(&bench), &mut Silent).unwrap_err();
    assert!(error.to_string().contains("not one of the space darts"), "{error}");
}

#[test]
fn a_space_of_the_users_own_runs() {
    let mut config = tiny();
    config.space.operations = Some(vec![Operation::SepConv3x3, Operation::SkipConnect]);
    config.space.nodes = 2;
    config.search.reduction_cells = Reductions::At(vec![0]);
    config.network.shape.reduction_cells = Reductions::At(vec![2]);
    config.target.edges = EdgeCount::PerNode(vec![1, 2]);
    let genotype = genotype_of(&twice(&config));
    for cell in genotype.cells.values() {
        assert_eq!(cell.edges.len(), 3);
        let allowed = [Operation::SepConv3x3, Operation::SkipConnect];
        assert!(cell.edges.iter().all(|edge| allowed.contains(&edge.operations[0])));
    }
}

#[test]
fn a_network_starts_from_the_weights_of_its_super_network() {
    let mut config = tiny_chain();
    (config.search.epochs, config.network.training.epochs) = (6, 1);
    config.network.shape.channels = 8;
    config.network.training.drop_path = 0.0;
    let from = |initial_weights| {
        let mut config = config.clone();
        config.network.training.initial_weights = initial_weights;
        twice(&config)
    };
    let [random, inherited] = [InitialWeights::Random, InitialWeights::SuperNetwork].map(from);
    assert_eq!(random.genotype, inherited.genotype);
    // How well it then trains depends on the images; that it starts with the logits of the pruned
    // super-network is tested with `inherited`.
    assert!(inherited.network_accuracy.is_some());
    assert_ne!(random.network_calibration_error, inherited.network_calibration_error);
}
