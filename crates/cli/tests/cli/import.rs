//! Weights from elsewhere.

use std::fs;

use da2s_records::{Named, WeightsFile};
use predicates::prelude::*;

use crate::export::{genotype, json};
use crate::{TINY, da2s, with};

#[test]
fn a_super_network_from_elsewhere_is_discretized() {
    let temporary = tempfile::tempdir().unwrap();
    let (own, other) = (temporary.path().join("own"), temporary.path().join("other"));
    with("search", &TINY)
        .args(["--quiet", "--method", "darts", "--out"])
        .arg(&own)
        .assert()
        .success();
    da2s().args(["discretize", "--quiet"]).arg(&own).assert().success();

    // The checkpoint under PyTorch's parameter names.
    let read = WeightsFile::read(&own.join("search/checkpoint.safetensors")).unwrap();
    let renamed = |tensor: &Named| Named {
        name: tensor
            .name
            .replace("arch.normal.alpha", "alphas_normal")
            .replace("arch.reduction.alpha", "alphas_reduce"),
        ..tensor.clone()
    };
    let tensors: Vec<Named> = read.tensors.iter().map(renamed).collect();
    let file = temporary.path().join("supernet.safetensors");
    let write = |tensors: &[Named]| {
        fs::write(
            &file,
            WeightsFile::to_bytes(tensors, "from", "elsewhere".to_owned()).unwrap(),
        )
    };
    write(&tensors).unwrap();
    let import = || {
        let mut command = with("import", &TINY);
        command
            .args(["--quiet", "--method", "darts", "--supernet"])
            .arg(&file)
            .arg("--out")
            .arg(&other);
        command
    };
    import()
        .assert()
        .success()
        .stdout(predicate::str::contains("super-network"));
    for name in ["genotype.json", "gap.json"] {
        assert_eq!(json(&own.join(name)), json(&other.join(name)), "{name}");
    }
    // A second import does not resume it; `run` does, after the search.
    let told = predicate::str::contains("an import always creates a new run");
    import().arg("--resume").assert().code(2).stderr(told);
    da2s()
        .args(["run", "--quiet", "--resume", "--out"])
        .arg(&other)
        .assert()
        .success();
    fs::remove_dir_all(&other).unwrap();

    let mut spoilt = tensors.clone();
    let alpha = spoilt.iter_mut().find(|tensor| tensor.name == "alphas_normal");
    alpha.unwrap().data[5] = f32::NAN;
    write(&spoilt).unwrap();
    let named = predicate::str::contains("α of the normal cells contains NaN");
    import().assert().code(5).stderr(named);
    assert!(!other.exists());

    for (name, value, said) in [
        (
            "classifier.bias",
            -3e38,
            "classifier.bias contains -3e38, whose square is infinite",
        ),
        (
            "stem.1.running_var",
            -0.5,
            "stem.1.running_var contains -5e-1, but a variance is at least 0",
        ),
    ] {
        let mut spoilt = tensors.clone();
        let changed = spoilt.iter_mut().find(|tensor| tensor.name == name);
        changed.unwrap().data[0] = value;
        write(&spoilt).unwrap();
        import().assert().code(5).stderr(predicate::str::contains(said));
        assert!(!other.exists());
    }

    let without: Vec<Named> = tensors
        .iter()
        .filter(|tensor| tensor.name != "alphas_reduce")
        .cloned()
        .collect();
    write(&without).unwrap();
    import()
        .assert()
        .code(5)
        .stderr(predicate::str::contains("the tensor alphas_reduce is missing"));
    assert!(!other.exists());
    let told = predicate::str::contains("--supernet takes no genotype");
    import().args(["--genotype", &genotype()]).assert().code(2).stderr(told);
}

#[test]
fn weights_of_another_genotype_are_not_imported() {
    let temporary = tempfile::tempdir().unwrap();
    // Entries that are not sorted by the node they read. The NAS-Bench-301 form does not keep that
    // order.
    let own = genotype().replace(
        "[('sep_conv_3x3', 0), ('max_pool_3x3', 1)]",
        "[('sep_conv_3x3', 1), ('max_pool_3x3', 0)]",
    );
    let run = temporary.path().join("run");
    with("run", &TINY)
        .args(["--quiet", "--genotype", &own, "--out"])
        .arg(&run)
        .assert()
        .success();
    let weights = temporary.path().join("weights.safetensors");
    da2s()
        .args(["export", "--format", "safetensors", "--out"])
        .args([&weights, &run])
        .assert()
        .success();
    let loses = predicate::str::contains("warning: the form nas-bench-301 does not keep the order");
    let form = da2s()
        .args(["genotype", "--form", "nas-bench-301"])
        .arg(&run)
        .assert()
        .success()
        .stderr(loses);
    let sorted = String::from_utf8(form.get_output().stdout.clone()).unwrap();
    let import = |genotype: &str| {
        let mut command = with("import", &TINY);
        command
            .args(["--quiet", "--genotype", genotype, "--out"])
            .arg(temporary.path().join("taken"));
        command.arg("--weights").arg(&weights);
        command
    };
    let told = predicate::str::contains(
        "its weights were trained under another genotype, Genotype(normal=[('sep_conv_3x3', 1)",
    );
    import(&sorted).assert().code(5).stderr(told);
    assert!(!temporary.path().join("taken").exists());
    // Nor those of a network of another width.
    let told = predicate::str::contains("channels, and network.channels = 10 here; a search under limits may");
    import(&own)
        .args(["--set", "network.channels=10"])
        .assert()
        .code(5)
        .stderr(told);
    import(&own).assert().success();
    let accuracy = |run: &str| json(&temporary.path().join(run).join("network/evaluation.json"))["accuracy"].clone();
    assert_eq!(accuracy("taken"), accuracy("run"));
}
