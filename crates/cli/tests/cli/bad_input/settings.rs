//! Configuration files, `--set`, flags and addresses.

use std::fs;

use super::runs::finished_copy;
use super::{Case, case};

/// A configuration file.
fn file(name: &str, text: impl AsRef<[u8]>, says: &[&str]) -> Case {
    let text = text.as_ref().to_vec();
    case(
        &format!("config: {name}"),
        &["run", "--config", "own.toml", "--out", "out"],
        2,
        &[&["own.toml"], says].concat(),
    )
    .make(move |dir| fs::write(dir.join("own.toml"), &text).unwrap())
}

/// A setting on the command line.
fn set(name: &str, text: &str, says: &[&str]) -> Case {
    case(
        &format!("--set {name}"),
        &["run", "--set", text, "--out", "out"],
        2,
        says,
    )
}

/// Invalid flags.
fn flags(arguments: &[&str], says: &[&str]) -> Case {
    case(&format!("flags: {}", arguments.join(" ")), arguments, 2, says)
}

/// New settings for an existing run, and what the command accepts instead.
fn of_a_run(arguments: &[&str], takes: &str) -> Case {
    let says = [
        arguments[2],
        "cannot be given here",
        takes,
        "create a run with `da2s run",
    ];
    case(&format!("of a run: {}", arguments.join(" ")), arguments, 2, &says).make(finished_copy)
}

pub fn cases() -> Vec<Case> {
    let long = "k".repeat(100_000);
    const TRAIN: &str = "`da2s train` takes only --threads, --device, --engine, --on-nan, --data-dir and --epochs;";
    const EVALUATE: &str = "`da2s evaluate` takes only --threads, --device, --engine and --data-dir;";
    const QUANTISE: &str = "`da2s quantise` takes only --threads and --data-dir;";
    vec![
        flags(
            &["run", "--depth", "2", "--out", "out"],
            &["target.depth is for the layers of a chain"],
        ),
        flags(
            &["run", "--space", "mobile", "--depth", "1", "--out", "out"],
            &["target.depth keeps 1 of the 3 layers of stage 1", "allowed are 2 to 3"],
        ),
        flags(
            &["run", "--space", "mobile", "--depth", "2,2", "--out", "out"],
            &["target.depth has 2 numbers", "4 stages"],
        ),
        flags(
            &[
                "run",
                "--space",
                "mobile",
                "--depth",
                "2",
                "--set",
                "space.skip=true",
                "--out",
                "out",
            ],
            &["target.depth and the candidate skip both decide"],
        ),
        flags(
            &[
                "run",
                "--space",
                "mobile",
                "--operations",
                "2",
                "--set",
                "space.skip=true",
                "--out",
                "out",
            ],
            &["target.operations = 2", "search without skip"],
        ),
        flags(
            &[
                "run",
                "--space",
                "mobile",
                "--precision",
                "int8",
                "--set",
                "space.squeeze_excitation=true",
                "--out",
                "out",
            ],
            &["target.precision", "no int8 kernels for squeeze-and-excitation"],
        ),
        flags(
            &["run", "--set", "space.skip=true", "--out", "out"],
            &["space.skip", "outside the space mobile"],
        ),
        flags(
            &["run", "--set", "space.squeeze_excitation=true", "--out", "out"],
            &["space.squeeze_excitation", "outside the space mobile"],
        ),
        flags(
            &[
                "run",
                "--space",
                "mobile",
                "--set",
                "space.operations=[\"mbconv_k3_e1\"]",
                "--set",
                "space.squeeze_excitation=true",
                "--out",
                "out",
            ],
            &["space.squeeze_excitation", "put \"mbconv_k3_e1_se\" in the list"],
        ),
        flags(
            &["run", "--set", "space.activation=relu6", "--out", "out"],
            &["space.activation", "outside the space mobile"],
        ),
        flags(
            &[
                "run",
                "--space",
                "mobile",
                "--set",
                "space.activation=swish",
                "--out",
                "out",
            ],
            &["space.activation", "hard_swish"],
        ),
        flags(
            &[
                "run",
                "--space",
                "mobile",
                "--set",
                "space.operations=[\"skip\"]",
                "--out",
                "out",
            ],
            &["space.operations", "an operation beside skip"],
        ),
        flags(
            &["run", "--space", "mobile", "--edges", "2", "--out", "out"],
            &["target.edges = \"all\""],
        ),
        flags(
            &[
                "run",
                "--baselines",
                "resnet8",
                "--baseline-width",
                "1000",
                "--out",
                "out",
            ],
            &["network.baseline_width", "resnet8", "4096"],
        ),
        flags(
            &[
                "run",
                "--space",
                "mobile",
                "--set",
                "target.most_skips=1",
                "--out",
                "out",
            ],
            &["target.most_skips", "in a space without skip_connect"],
        ),
        flags(
            &["run", "--tuning-epochs", "5", "--out", "out"],
            &["discretize.tuning_epochs", "with the rule strongest"],
        ),
        flags(
            &["discretize", "run", "--tuning-epochs", "5"],
            &["discretize.tuning_epochs", "with the rule strongest"],
        )
        .make(finished_copy),
        flags(
            &["run", "--space", "mobile", "--set", "space.none=true", "--out", "out"],
            &["space.none"],
        ),
        flags(
            &[
                "run",
                "--space",
                "mobile",
                "--set",
                "space.stages=[[8, 2]]",
                "--out",
                "out",
            ],
            &["space.stages", "three numbers per stage"],
        ),
        flags(
            &[
                "run",
                "--space",
                "mobile",
                "--set",
                "space.stages=[[8, 61, 1]]",
                "--out",
                "out",
            ],
            &["at most 16 stages and 60 layers"],
        ),
        flags(
            &["run", "--space", "mobile", "--set", "search.cells=3", "--out", "out"],
            &["search.cells", "1 in the space mobile"],
        ),
        flags(
            &["run", "--space", "mobile", "--method", "pc-darts", "--out", "out"],
            &["partial channels"],
        ),
        flags(
            &["run", "--set", "space.preset=64px", "--out", "out"],
            &["space.preset", "outside the spaces mobile and plain"],
        ),
        flags(
            &["run", "--space", "plain", "--out", "out"],
            &["space.stages = unset", "set in the space plain"],
        ),
        flags(
            &[
                "run",
                "--space",
                "plain",
                "--set",
                "space.stages=[[16, 1, 1]]",
                "--out",
                "out",
            ],
            &["space.name = plain", "a space to search"],
        ),
        flags(
            &[
                "run",
                "--space",
                "plain",
                "--set",
                "space.stages=[[16, 1, 1]]",
                "--set",
                "space.head_channels=3",
                "--out",
                "out",
            ],
            &["space.head_channels", "space plain"],
        ),
        flags(
            &["run", "--baselines", "resnet8,darts-v2", "--out", "out"],
            &["--baselines", "resnet8, resnet14, mobilenet-v2, ds-cnn"],
        ),
        flags(
            &["run", "--baselines", "resnet8,resnet8", "--out", "out"],
            &["network.baselines", "different words"],
        ),
        flags(&["run", "--baseline-width", "0", "--out", "out"], &["--baseline-width"]),
        flags(
            &["run", "--network", "resnet9", "--out", "out"],
            &["--network", "resnet8, resnet14, mobilenet-v2, ds-cnn, darts-v1"],
        ),
        flags(
            &["run", "--network", "resnet8", "--space", "darts", "--out", "out"],
            &["--network", "cannot be used with", "--space"],
        ),
        flags(
            &["run", "--network", "resnet8", "--genotype", "x", "--out", "out"],
            &["--network", "cannot be used with", "--genotype"],
        ),
        flags(
            &["run", "--network", "resnet8", "--max-parameters", "100", "--out", "out"],
            &["target.max_parameters = 100 cannot be kept", "needs 1360 parameters"],
        ),
        of_a_run(&["train", "run", "--set", "network.epochs=3"], TRAIN),
        of_a_run(&["train", "run", "--seed", "3"], TRAIN),
        of_a_run(&["evaluate", "run", "--set", "data.limit=3"], EVALUATE),
        of_a_run(&["evaluate", "run", "--epochs", "3"], EVALUATE),
        of_a_run(&["quantise", "run", "--epochs", "3"], QUANTISE),
        of_a_run(
            &["discretize", "run", "--recipe", "digits"],
            "`da2s discretize` takes only",
        ),
        of_a_run(
            &["predict", "run", "--set", "data.limit=3", "a.png"],
            "`da2s predict` takes only --threads, --device and --engine;",
        ),
        of_a_run(
            &["export", "run", "--config", "own.toml"],
            "`da2s export` takes no settings;",
        ),
        of_a_run(
            &["report", "run", "--set", "data.limit=3"],
            "`da2s report` takes no settings;",
        ),
        case(
            "train --epochs 0",
            &["train", "run", "--epochs", "0"],
            2,
            &["--epochs", "network.epochs = 0", "from 1"],
        )
        .make(finished_copy),
        case(
            "train --resume with another number of epochs",
            &["train", "run", "--resume", "--epochs", "3"],
            5,
            &[
                "config.toml",
                "network.epochs = 2, but 3 was asked for",
                "start again without --resume",
            ],
        )
        .make(finished_copy),
        case(
            "--set arch_every beyond the search",
            &["search", "digits", "--set", "search.arch_every=1000"],
            2,
            &[
                "search.arch_every = 1000: expected less, so that one of the ",
                "α would never move",
            ],
        )
        .tiny(),
        set(
            "a reduction cell twice",
            "search.reduction_cells=[0, 0]",
            &["search.reduction_cells = [0, 0]", "each cell once"],
        ),
        file("no TOML", "[search", &["line 1"]),
        file("no UTF-8", b"[search]\n\xff = 1\n", &["UTF-8"]),
        file(
            "unknown key",
            "[search]\nepoch = 3\n",
            &["line 2", "did you mean search.epochs"],
        ),
        file("unknown table", "[searching]\nepochs = 3\n", &["line 1", "searching"]),
        file(
            "wrong type",
            "[search]\nepochs = \"two\"\n",
            &["line 2", "whole number"],
        ),
        file("a number for a table", "search = 3\n", &["line 1", "a table of"]),
        file("out of range", "[search]\n\nepochs = 0\n", &["line 3", "from 1"]),
        file("twice", "[run]\nseed = 1\nseed = 2\n", &["line 3", "duplicate key"]),
        file(
            "not a number",
            "[search]\nlearning_rate = nan\n",
            &["line 2", "more than 0"],
        ),
        file(
            "infinite",
            "[search]\nlearning_rate = inf\n",
            &["line 2", "more than 0"],
        ),
        file(
            "beyond floating point",
            "[search]\nlearning_rate = 1e999\n",
            &["line 2"],
        ),
        file(
            "beyond 64 bits",
            "[search]\nepochs = 99999999999999999999999\n",
            &["line 2"],
        ),
        file(
            "as large as it gets",
            "[search]\nepochs = 9223372036854775807\n",
            &["line 2", "to 1000000"],
        ),
        file("threads", "[run]\nthreads = 100000\n", &["line 2", "to 4096"]),
        file(
            "a million brackets",
            format!("a = {}", "[".repeat(1_000_000)),
            &["line 1"],
        ),
        file(
            "a million braces",
            format!("a = {}", "{a=".repeat(1_000_000)),
            &["line 1"],
        ),
        file(
            "a million dots",
            format!("{}b = 1", "a.".repeat(1_000_000)),
            &["recursion limit"],
        ),
        file(
            "a million tables",
            format!("[{}b]", "a.".repeat(1_000_000)),
            &["recursion limit"],
        ),
        file(
            "a hundred thousand edges",
            format!("[target]\nedges = {:?}\n", vec![1; 100_000]),
            &["100000 numbers"],
        ),
        file(
            "a long key",
            format!("[search]\n{long} = 1\n"),
            &["line 2", "unknown key"],
        ),
        file(
            "a long value",
            format!("[search]\nmethod = \"{long}\"\n"),
            &["line 2", "one of beta-darts"],
        ),
        file(
            "control characters",
            "[search]\nmethod = \"\\u001b[31m\"\n",
            &["line 2", "one of beta-darts"],
        ),
        case(
            "config: a folder",
            &["run", "--config", ".", "--out", "out"],
            7,
            &["cannot read"],
        ),
        case(
            "config: nothing",
            &["run", "--config", "nothing.toml", "--out", "out"],
            7,
            &["cannot read nothing.toml"],
        ),
        set("no key", "search.epochs", &["KEY=VALUE"]),
        set("unknown key", "search.epoch=1", &["did you mean search.epochs"]),
        set("a table", "search=1", &["a table of"]),
        set("no part", "..=1", &["unknown key"]),
        set(
            "fifty thousand parts",
            &format!("{}b=1", "a.".repeat(50_000)),
            &["expected one of data"],
        ),
        set(
            "fifty thousand brackets",
            &format!("search.epochs={}", "[".repeat(50_000)),
            &["whole number"],
        ),
        set("not a number", "search.learning_rate=nan", &["more than 0"]),
        set(
            "1 in 32 bits",
            "search.arch_beta_1=0.99999999",
            &["search.arch_beta_1 = 0.99999999", "at most 0.99999994"],
        ),
        set(
            "infinite in 32 bits",
            "search.limit_weight=1e300",
            &["search.limit_weight = 1e300", "at most 3.4028235e38"],
        ),
        flags(
            &[
                "run",
                "--method",
                "darts",
                "--set",
                "search.drop_below=0.01",
                "--out",
                "out",
            ],
            &[
                "search.drop_below = 0.01",
                "0 for search.method = darts with search.drive = none",
            ],
        ),
        flags(
            &[
                "run",
                "--method",
                "gdas",
                "--drive",
                "path",
                "--set",
                "search.drop_below=0.01",
                "--out",
                "out",
            ],
            &["search.drop_below = 0.01", "one operation of each edge"],
        ),
        flags(
            &[
                "run",
                "--set",
                "search.drop_below=0.01",
                "--set",
                "target.most_skips=2",
                "--out",
                "out",
            ],
            &["search.drop_below = 0.01", "0 with target.most_skips = 2"],
        ),
        flags(
            &["run", "--method", "p-darts", "--search-epochs", "17", "--out", "out"],
            &[
                "search.epochs = 17",
                "at least 18 for search.method = p-darts",
                "3 stages",
            ],
        ),
        flags(
            &["run", "--method", "p-darts", "--space", "mobile", "--out", "out"],
            &["search.method = p-darts", "mobile is one chain"],
        ),
        flags(
            &[
                "run",
                "--method",
                "p-darts",
                "--set",
                "search.stages.candidates=[7, 5]",
                "--set",
                "search.stages.cells=[3, 5, 7]",
                "--out",
                "out",
            ],
            &["search.stages.cells = [3, 5, 7]", "2 numbers, one for each stage"],
        ),
        flags(
            &[
                "run",
                "--method",
                "p-darts",
                "--set",
                "search.stages.candidates=[7, 2, 4]",
                "--out",
                "out",
            ],
            &["search.stages.candidates = [7, 2, 4]", "numbers that do not rise"],
        ),
        flags(
            &[
                "run",
                "--method",
                "p-darts",
                "--operations",
                "3",
                "--set",
                "target.most_skips=2",
                "--out",
                "out",
            ],
            &["search.stages.candidates = [7, 5, 3]", "at least 4 in the last stage"],
        ),
        flags(
            &[
                "run",
                "--method",
                "p-darts",
                "--drive",
                "path",
                "--set",
                "search.drop_below=0.01",
                "--out",
                "out",
            ],
            &["search.drop_below = 0.01", "at the end of each stage"],
        ),
        flags(
            &[
                "run",
                "--method",
                "drnas",
                "--set",
                "search.stages.partial_channels=[6, 4]",
                "--out",
                "out",
            ],
            &[
                "search.channels = 8",
                "a multiple of 6, of which search.stages.partial_channels",
            ],
        ),
        flags(
            &[
                "run",
                "--method",
                "drnas",
                "--set",
                "search.stages.partial_channels=[4, 2]",
                "--set",
                "search.partial_channels=2",
                "--out",
                "out",
            ],
            &["search.partial_channels has no use beside search.stages.partial_channels"],
        ),
        flags(
            &[
                "run",
                "--space",
                "nas-bench-201",
                "--method",
                "drnas",
                "--set",
                "search.stages.partial_channels=[4, 2]",
                "--out",
                "out",
            ],
            &["search.stages.partial_channels has no use in the space nas-bench-201"],
        ),
        flags(
            &[
                "run",
                "--method",
                "drnas",
                "--set",
                "search.stages.candidates=[7, 4]",
                "--out",
                "out",
            ],
            &["search.stages.candidates has no use for search.method = drnas"],
        ),
        flags(
            &["run", "--set", "search.stages.cells=[3, 5, 7]", "--out", "out"],
            &["search.stages.cells has no use for search.method = da2s"],
        ),
        flags(
            &["run", "--set", "target.most_skips=-1", "--out", "out"],
            &["target.most_skips = -1"],
        ),
        flags(
            &[
                "run",
                "--operations",
                "7",
                "--set",
                "target.most_skips=2",
                "--out",
                "out",
            ],
            &["target.most_skips is set", "6 without the skip connection"],
        ),
        flags(
            &["run", "--set", "search.drop_below=0.15", "--out", "out"],
            &[
                "search.drop_below = 0.15",
                "less than 1/7, the share of each of 7 operations of an edge",
            ],
        ),
        flags(
            &[
                "run",
                "--method",
                "da2s-edges",
                "--set",
                "search.drop_below=0.2",
                "--out",
                "out",
            ],
            &[
                "search.drop_below = 0.2",
                "less than 1/5, the share of each of 5 edges that compete",
            ],
        ),
        flags(
            &["run", "--set", "search.drop_below=1", "--out", "out"],
            &["search.drop_below = 1", "less than 1"],
        ),
        flags(
            &["run", "--set", "search.drop_below=-0.01", "--out", "out"],
            &["search.drop_below = -0.01", "at least 0"],
        ),
        flags(
            &["run", "--set", "search.drop_below=nan", "--out", "out"],
            &["search.drop_below = nan"],
        ),
        file(
            "a path that ends before it begins",
            "[search]\nschedule = \"adaptive\"\nepochs = 6\nwarmup_epochs = 4\nhardening.decided_at = 0.5\n",
            &["line 5", "search.hardening.decided_at", "search.warmup_epochs"],
        ),
        case(
            "config: more reduction cells than an integer has bits",
            &["run", "--config", "own.toml", "--out", "out"],
            2,
            &["data.image_size = 8", "a multiple of 2^64", "search.cells = 64"],
        )
        .make(|dir| {
            let places: Vec<usize> = (0..64).collect();
            let text = format!("[search]\ncells = 64\nreduction_cells = {places:?}\n");
            fs::write(dir.join("own.toml"), text).unwrap();
        }),
        set(
            "a batch larger than the data",
            "search.batch_size=100000",
            &["search.batch_size", "100000"],
        ),
        set("more edges than there are", "target.edges=9", &["target"]),
        flags(&["run", "--seed=-1", "--out", "out"], &["--seed"]),
        flags(&["run", "--seed", "18446744073709551616", "--out", "out"], &["--seed"]),
        flags(&["run", "--edges", "0", "--out", "out"], &["edges"]),
        flags(&["run", "--edges", "1,,2", "--out", "out"], &["--edges"]),
        flags(
            &["run", "--max-parameters", "3.5X", "--out", "out"],
            &["--max-parameters"],
        ),
        flags(&["run", "--method", "da3s", "--out", "out"], &["da3s"]),
        flags(&["run", "svhn", "--out", "out"], &["svhn"]),
        flags(&["run", "--search-epochs", "1e9", "--out", "out"], &["--search-epochs"]),
        flags(&["run", "--recipe", "none", "--out", "out"], &["--recipe"]),
        flags(&["searc"], &["searc"]),
        flags(
            &["compare", "--vary", "search.epochs", "--out", "out"],
            &["search.epochs"],
        ),
        flags(
            &["compare", "--vary", "search.epoch=1,2", "--out", "out"],
            &["search.epoch"],
        ),
        flags(
            &["compare", "--baseline", "darts", "--methods", "da2s", "--out", "out"],
            &["darts"],
        ),
        flags(&["compare", "--seeds", "0", "--out", "out"], &["--seeds"]),
        flags(&["runs", ".", "--filter", "gap"], &["--filter gap"]),
        flags(&["watch", ".", "--http", "example.org:80"], &["for example 8080"]),
        flags(&["watch", ".", "--http", "127.0.0.1:70000"], &["for example 8080"]),
        flags(&["watch", ".", "--http", "http://127.0.0.1:80"], &["for example 8080"]),
        flags(
            &["run", "--max-size", "256K", "--out", "out"],
            &["--max-size", "such as 500KB (1000 bytes each), 256KiB (1024)"],
        ),
        flags(
            &["run", "--max-ram", "0", "--out", "out"],
            &["--max-ram", "bytes from 1"],
        ),
        flags(
            &["run", "--max-latency", "5m", "--out", "out"],
            &["--max-latency", "such as 5ms, 800us"],
        ),
        flags(
            &["run", "--max-latency", "5ms", "--out", "out"],
            &["target.latency_table", "da2s profile", "--latency-table"],
        ),
        set(
            "bytes without a unit's second letter",
            "target.max_size_bytes=256K",
            &["such as 500KB"],
        ),
        set("half a byte", "target.max_ram_bytes=0.5", &["bytes from 1"]),
        flags(
            &["run", "--max-ram", "100", "--out", "out"],
            &[
                "target.max_ram_bytes = 100 bytes cannot be kept",
                "bytes of activations",
            ],
        ),
        flags(
            &["run", "--max-size", "1KB", "--precision", "int8", "--out", "out"],
            &["target.max_size_bytes = 1000 bytes cannot be kept", "bytes of weights"],
        ),
        case(
            "latency table: missing",
            &["run", "--latency-table", "none.csv", "--out", "out"],
            7,
            &["none.csv"],
        ),
        case(
            "latency table: without the blocks of this network",
            &[
                "run",
                "--latency-table",
                "table.csv",
                "--max-latency",
                "5ms",
                "--out",
                "out",
            ],
            3,
            &["table.csv has no line for the block conv_3x3"],
        )
        .make(|dir| {
            let text = "block,inputs,outputs,height,width,stride,ms\nconv_3x3,9,9,9,9,1,0.1\n";
            fs::write(dir.join("table.csv"), text).unwrap();
        }),
        flags(&["bench", "--repeat", "0"], &["--repeat"]),
        flags(&["bench", "--repeat", "65536"], &["--repeat"]),
        flags(&["bench", "--threads", "4097"], &["--threads", "4096"]),
        flags(&["run", "--threads", "4097", "--out", "out"], &["--threads", "to 4096"]),
        case(
            "device: none of that name",
            &["run", "--device", "abacus", "--out", "out"],
            6,
            &["abacus", "available here: cpu"],
        ),
        case(
            "device: none of that name, for a benchmark",
            &["bench", "--case", "search", "--device", "abacus"],
            6,
            &["abacus", "available here: cpu"],
        ),
        case(
            "device: none of that number",
            &["run", "--device", "cpu:7", "--out", "out"],
            6,
            &["cpu:7"],
        ),
        case(
            "out: below a file",
            &["run", "--out", "file/run"],
            7,
            &["cannot", "file/run"],
        )
        .make(|dir| fs::write(dir.join("file"), "").unwrap()),
        case(
            "out: created for an invalid run, with its parent folder",
            &["run", "--recipe", "arrays"],
            2,
            &["arrays come from the program"],
        ),
        case(
            "out: a folder with other files",
            &["run", "--out", "."],
            5,
            &["is not empty"],
        )
        .make(|dir| fs::write(dir.join("mine"), "x").unwrap()),
    ]
}
