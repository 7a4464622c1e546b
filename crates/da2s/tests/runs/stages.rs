//! What a stage needs from those before it, and what it refuses.

use std::fs;

use da2s::Error;
use da2s::observer::Silent;
use da2s::run::{Context, RunDirectory, discretize, evaluate, search, train};
use da2s::space::Genotype;

use crate::{context, tiny};

#[test]
fn weights_of_one_genotype_are_never_used_for_another() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny();
    config.network.training.epochs = 1;
    let directory = RunDirectory::create(&folder.path().join("run")).unwrap();
    directory.write_config(&config).unwrap();
    let first = context(&directory, &config, false);
    // The same operations, and so the same names and shapes, from other nodes.
    let text = |from| {
        format!(
            "Genotype(normal=[('sep_conv_3x3', {from}), ('skip_connect', {})], normal_concat=[2], \
             reduce=[('max_pool_3x3', 0), ('skip_connect', 1)], reduce_concat=[2])",
            1 - from
        )
    };
    let genotype = |from| Genotype::parse(&text(from)).unwrap();
    discretize(&first, Some(&genotype(0)), &mut Silent).unwrap();
    train(&first, &mut Silent).unwrap();
    evaluate(&first, &mut Silent).unwrap();
    let there = || ["summary.json", "network/evaluation.json", "network"].map(|name| directory.file(name).exists());
    discretize(&first, Some(&genotype(0)), &mut Silent).unwrap();
    assert_eq!(there(), [true; 3]);
    let weights = ["network/best.safetensors", "network/checkpoint.safetensors"]
        .map(|name| (name, std::fs::read(directory.file(name)).unwrap()));
    // Another genotype removes the files that depend on the old one.
    discretize(&first, Some(&genotype(1)), &mut Silent).unwrap();
    assert_eq!(there(), [false; 3]);
    assert!(matches!(evaluate(&first, &mut Silent), Err(Error::Incomplete { .. })));
    // If they are put back by hand, they are refused.
    for (name, bytes) in weights {
        directory.write(name, &bytes).unwrap();
    }
    assert!(matches!(evaluate(&first, &mut Silent), Err(Error::Mismatch { .. })));
    let resumed = context(&directory, &config, true);
    assert!(matches!(train(&resumed, &mut Silent), Err(Error::Mismatch { .. })));
}

#[test]
fn a_genotype_can_be_given_and_trained_without_a_search() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny();
    config.network.training.epochs = 1;
    let directory = RunDirectory::create(&folder.path().join("run")).unwrap();
    directory.write_config(&config).unwrap();
    let context = context(&directory, &config, false);
    let text = "Genotype(normal=[('skip_connect', 0), ('sep_conv_3x3', 1)], normal_concat=[2], \
        reduce=[('max_pool_3x3', 0), ('skip_connect', 1)], reduce_concat=[2])";
    discretize(&context, Some(&Genotype::parse(text).unwrap()), &mut Silent).unwrap();
    train(&context, &mut Silent).unwrap();
    let summary = evaluate(&context, &mut Silent).unwrap();
    assert_eq!((summary.genotype.as_deref(), summary.gap), (Some(text), None));
    // A resumed training leaves the run finished. A new training removes the old results, which
    // belong to a network that no longer exists.
    let again = Context {
        resume: true,
        ..context
    };
    train(&again, &mut Silent).unwrap();
    assert!(directory.file("summary.json").exists());
    train(&Context { resume: false, ..again }, &mut Silent).unwrap();
    assert!(!directory.file("summary.json").exists());
}

#[test]
fn missing_inputs_and_damaged_checkpoints_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny();
    config.search.epochs = 1;
    config.search.warmup_epochs = 0;
    let directory = RunDirectory::create(&folder.path().join("run")).unwrap();
    directory.write_config(&config).unwrap();
    let context = context(&directory, &config, true);
    assert!(matches!(
        discretize(&context, None, &mut Silent),
        Err(Error::Incomplete { .. })
    ));
    assert!(matches!(train(&context, &mut Silent), Err(Error::Incomplete { .. })));
    search(&context, &mut Silent).unwrap();

    let path = directory.file("search/checkpoint.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let error = discretize(&context, None, &mut Silent).unwrap_err();
    assert!(
        matches!(&error, Error::Damaged { .. }) && error.to_string().contains("checksum"),
        "{error}"
    );
    fs::write(&path, &bytes[..middle]).unwrap();
    assert!(matches!(search(&context, &mut Silent), Err(Error::Damaged { .. })));

    // A checkpoint with other sizes belongs to another run.
    let other = RunDirectory::create(&folder.path().join("other")).unwrap();
    let mut larger = config.clone();
    larger.search.channels = 4;
    other.write_config(&larger).unwrap();
    search(&super::context(&other, &larger, false), &mut Silent).unwrap();
    fs::copy(other.file("search/checkpoint.safetensors"), &path).unwrap();
    assert!(matches!(search(&context, &mut Silent), Err(Error::Mismatch { .. })));
}
