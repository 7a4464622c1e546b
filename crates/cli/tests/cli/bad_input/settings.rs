//! Configuration files, `--set`, flags and addresses; settings of spaces and methods have files of
//! their own.

use std::fs;

use super::runs::finished_copy;
use super::{Case, case, flags, run};

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
    const SERVE: &str = "`da2s serve` takes only --threads;";
    vec![
        of_a_run(&["train", "run", "--set", "network.epochs=3"], TRAIN),
        of_a_run(&["train", "run", "--seed", "3"], TRAIN),
        of_a_run(&["evaluate", "run", "--set", "data.limit=3"], EVALUATE),
        of_a_run(&["evaluate", "run", "--epochs", "3"], EVALUATE),
        of_a_run(&["quantise", "run", "--epochs", "3"], QUANTISE),
        of_a_run(&["quantise", "run", "--device", "cpu"], QUANTISE),
        of_a_run(&["quantise", "run", "--engine", "auto"], QUANTISE),
        of_a_run(&["serve", "run", "--device", "cpu"], SERVE),
        of_a_run(&["serve", "run", "--on-nan", "stop"], SERVE),
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
                "network.epochs = 2, but 3 was requested",
                "start again without --resume",
            ],
        )
        .make(finished_copy),
        case(
            "--set arch_every beyond the search",
            &["search", "digits", "--set", "search.arch_every=1000"],
            2,
            &[
                "search.arch_every = 1000: expected less: none of the ",
                "α would never move",
            ],
        )
        .tiny(),
        set(
            "a reduction cell twice",
            "search.reduction_cells=[0, 0]",
            &["search.reduction_cells = [0, 0]", "each cell once"],
        ),
        file("not TOML", "[search", &["line 1"]),
        file("not UTF-8", b"[search]\n\xff = 1\n", &["UTF-8"]),
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
        run(
            "--limit 1",
            &["data.arch_fraction = 0.5", "in each part, of 1 training image in all"],
        ),
        set("more edges than there are", "target.edges=9", &["target"]),
        run("--seed=-1", &["--seed"]),
        run("--seed 18446744073709551616", &["--seed"]),
        run("--seeds 0", &["--seeds", "from 1 to 100"]),
        run("--seeds 101", &["--seeds", "from 1 to 100"]),
        run("--edges 0", &["edges"]),
        run("--edges 1,,2", &["--edges"]),
        run("--max-parameters 3.5X", &["--max-parameters"]),
        run("--method da3s", &["da3s"]),
        run("svhn", &["svhn"]),
        run("--search-epochs 1e9", &["--search-epochs"]),
        run("--recipe none", &["--recipe"]),
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
        run(
            "--max-size 256K",
            &["--max-size", "such as 500KB (1000 bytes each), 256KiB (1024)"],
        ),
        run("--max-ram 0", &["--max-ram", "bytes from 1"]),
        run("--max-latency 5m", &["--max-latency", "such as 5ms, 800us"]),
        run(
            "--max-latency 5ms",
            &["target.latency_table", "da2s profile", "--latency-table"],
        ),
        set(
            "bytes in K instead of KB or KiB",
            "target.max_size_bytes=256K",
            &["such as 500KB"],
        ),
        set("half a byte", "target.max_ram_bytes=0.5", &["bytes from 1"]),
        run(
            "--max-ram 100",
            &[
                "target.max_ram_bytes = 100 bytes cannot be kept",
                "bytes of activations",
            ],
        ),
        run(
            "--max-size 1KB --precision int8",
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
        run("--threads 4097", &["--threads", "to 4096"]),
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
            "out: for an invalid run, neither the folder nor its parent is created",
            &["run", "--recipe", "arrays"],
            2,
            &["arrays are passed by a program"],
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
