//! Complete, damaged and missing tables, and the published ones if the user has them.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;
use crate::arch_201::Operation201;

fn uniform(operation: Operation201) -> Arch201 {
    Arch201 {
        operations: [operation; 6],
    }
}

fn read(bytes: &[u8]) -> Result<Benchmark, BenchmarkError> {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("table.csv");
    fs::write(&path, bytes).unwrap();
    Benchmark::read(&path)
}

fn table(accuracies: &[(Operation201, f64)]) -> String {
    let lines = accuracies
        .iter()
        .map(|(operation, accuracy)| format!("{},{accuracy},50\n", uniform(*operation)));
    "architecture,a,b\n".to_owned() + &lines.collect::<String>()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

const FOUR: [(Operation201, f64); 4] = [
    (Operation201::None, 10.0),
    (Operation201::SkipConnect, 90.5),
    (Operation201::Conv1x1, 90.5),
    (Operation201::Conv3x3, 95.0),
];

#[test]
fn ranks_ties_and_distances() {
    let text = table(&FOUR);
    let plain = read(text.as_bytes()).unwrap();
    assert_eq!(plain, read(&gzip(&text)).unwrap());
    assert_eq!(plain, read(text.replace('\n', "\r\n").as_bytes()).unwrap());
    assert_eq!(
        (plain.len(), plain.columns()),
        (4, &["a".to_owned(), "b".to_owned()][..])
    );
    for (operation, rank, percentile, distance) in [
        (Operation201::Conv3x3, 1, 100.0, 0.0),
        (Operation201::Conv1x1, 2, 100.0 / 3.0, 4.5),
        (Operation201::SkipConnect, 2, 100.0 / 3.0, 4.5),
        (Operation201::None, 4, 0.0, 85.0),
    ] {
        let standings = plain.look_up(uniform(operation)).unwrap();
        let first = &standings[0];
        assert_eq!(
            (first.rank, first.of, first.percentile, first.distance),
            (rank, 4, percentile, distance)
        );
        assert_eq!(first.best_architecture, uniform(Operation201::Conv3x3).to_string());
        // All are equal in the second column: all have rank 1, and the first in the table is named.
        assert_eq!((standings[1].rank, standings[1].percentile), (1, 0.0));
        assert_eq!(standings[1].best_architecture, uniform(Operation201::None).to_string());
    }
    let absent = plain
        .look_up(uniform(Operation201::AvgPool3x3))
        .unwrap_err()
        .to_string();
    assert!(absent.contains("4 of the 15625 architectures"), "{absent}");
}

#[test]
fn damaged_lines_are_named() {
    let whole = table(&FOUR);
    let arch = uniform(Operation201::AvgPool3x3);
    for (text, line, said) in [
        (String::new(), 1, "empty"),
        ("model,a\n".to_owned(), 1, "expected `architecture,`"),
        ("architecture,arch,a\n".to_owned(), 1, "expected `architecture,`"),
        ("architecture\n".to_owned(), 1, "no column"),
        ("architecture,a,a\n".to_owned(), 1, "two columns are named a"),
        ("architecture,,a\n".to_owned(), 1, "no name"),
        (format!("architecture,a,\n{arch},1,2\n"), 2, "`2` belongs to no column"),
        ("architecture,a\r,\r".to_owned(), 3, "no architecture"),
        (
            format!("architecture|a\n{arch}|1\n"),
            2,
            "put the architectures in quotes",
        ),
        (format!("architecture|a\n\"{arch}|1\n"), 2, "expected the end"),
        (
            format!("arch,genotype,a\n{arch},{arch},1\n"),
            1,
            "one of them is the column of architectures",
        ),
        (
            format!("architecture,a\nStructure(5 nodes with {arch}),1\n"),
            2,
            "character 0",
        ),
        (format!("index,architecture,a\n7.5,{arch},1\n"), 2, "the index is `7.5`"),
        ("architecture,a\n".to_owned(), 2, "no architecture"),
        (format!("{whole}|conv~0|,1,1"), 6, "character 1"),
        (format!("{whole}{arch},1"), 6, "b is missing"),
        (format!("{whole}{arch},1,2,3"), 6, "`3` belongs to no column"),
        (format!("{whole}{arch},1,NaN"), 6, "b is `NaN`"),
        (format!("{whole}{arch},101,1"), 6, "a is `101`"),
        (format!("{whole}\n,1,1"), 7, "character 0"),
        (format!("{whole}{},1,1", uniform(Operation201::None)), 6, "twice"),
        (format!("{whole}{}", "x".repeat(5000)), 6, "longer than 4096"),
    ] {
        match read(text.as_bytes()) {
            Err(BenchmarkError::Damaged {
                line: found, problem, ..
            }) => {
                assert_eq!(found, line, "{text}: {problem}");
                assert!(problem.contains(said), "{problem} for {said}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    let shares = whole
        .replace(",10,", ",0.1,")
        .replace("90.5", "0.905")
        .replace(",95,", ",1,");
    match read(shares.as_bytes()) {
        Err(BenchmarkError::Damaged { line: 1, problem, .. }) => {
            assert!(problem.contains("no accuracy in a is above 1"), "{problem}")
        }
        other => panic!("{other:?}"),
    }
    let wide: Vec<u8> = whole.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wide = read(&[&b"\xff\xfe"[..], &wide].concat()).unwrap_err().to_string();
    assert!(
        wide.ends_with("line 1: the file is UTF-16: save the table as \"CSV UTF-8\""),
        "{wide}"
    );
    let compressed = gzip(&whole);
    let cut = read(&compressed[..compressed.len() / 2]).unwrap_err();
    assert!(matches!(cut, BenchmarkError::Damaged { .. }), "{cut}");
    let absent = Benchmark::read(Path::new("no/such/table.csv")).unwrap_err();
    assert!(matches!(absent, BenchmarkError::Read { .. }), "{absent}");
}

#[test]
fn tables_as_other_programs_write_them() {
    let plain = table(&FOUR);
    let right = read(plain.as_bytes()).unwrap();
    let quoted = plain
        .replace("|,", "|\",")
        .replace("\n|", "\n\"|")
        .replace("architecture", "\"architecture\"");
    for text in [
        format!("\u{feff}{plain}"),
        format!("{plain}\n\r\n  \n"),
        plain.replace(',', " , "),
        quoted,
        plain.replace("architecture", "Arch_str"),
        plain.replace("architecture", "Genotype"),
        plain.replace("architecture", "structure"),
        plain.replace('\n', "\r"),
        format!("{plain},,\n , ,\t\n\n\"\",,\n"),
        plain.replace('\n', ",\n"),
        plain.replace(",50\n", ",50,,\n"),
        plain.replace("\n|", "\nStructure(4 nodes with |").replace("|,", "|),"),
        plain.replace("|+|", "| + |"),
    ] {
        assert_eq!(read(text.as_bytes()).unwrap(), right, "{text}");
    }
    // pandas writes the row index in the first column.
    let rows = plain
        .lines()
        .skip(1)
        .enumerate()
        .map(|(at, line)| format!("{},{line}\n", 7 * at));
    let rows: String = rows.collect();
    for name in ["", "Unnamed: 0", "index", "\"\""] {
        let indexed = read(format!("{name},architecture,a,b\n{rows}").as_bytes()).unwrap();
        let arch = uniform(Operation201::Conv1x1);
        assert_eq!(indexed.columns(), right.columns());
        assert_eq!(indexed.look_up(arch).unwrap(), right.look_up(arch).unwrap());
        assert_eq!(indexed.at_index(14).unwrap(), arch);
        let none = indexed.at_index(1).unwrap_err().to_string();
        assert_eq!(none, "none of the 4 architectures of the table has the index 1");
    }
    let floats = rows.replace("14,", "14.0,");
    let floats = read(format!("index,architecture,a,b\n{floats}").as_bytes()).unwrap();
    assert_eq!(floats.at_index(14).unwrap(), uniform(Operation201::Conv1x1));
    // In the notation with decimal commas, 2.000 is two thousand.
    let thousands = rows.replace("14,", "2.000,");
    assert!(read(format!("index,architecture,a,b\n{thousands}").as_bytes()).is_err());
    let last = plain
        .lines()
        .map(|line| format!("{line},1\n"))
        .collect::<String>()
        .replacen(",1\n", ",index\n", 1);
    let error = read(last.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("line 3: the index 1 occurs twice"), "{error}");
    let unknown = right.at_index(1).unwrap_err().to_string();
    assert!(
        unknown.contains("no column called `index`, and not all 15625"),
        "{unknown}"
    );
}

#[test]
fn tables_with_other_separators_and_numbers() {
    let plain = table(&FOUR);
    let right = read(plain.as_bytes()).unwrap();
    for text in [
        plain.replace(',', ";"),
        plain.replace(',', "\t"),
        plain.replace('.', ";").replace(',', "\t").replace(';', ","),
        plain.replace(",50\n", " %,50%\n"),
        format!("sep=,\r\n{plain}"),
        format!("sep=,\r{}", plain.replace('\n', "\r")),
        plain.replace("|,", "|\",").replace("\n|", "\n\"|").replace(',', "|"),
        format!("\u{feff}sep=;\n{}", plain.replace(',', ";")),
        format!("\"sep=\t\"\n{}", plain.replace(',', "\t")),
    ] {
        assert_eq!(read(text.as_bytes()).unwrap(), right, "{text}");
    }
    let cut = read(b"sep=;").unwrap_err().to_string();
    assert!(cut.contains("line 2: expected `architecture,`"), "{cut}");
}

#[test]
fn columns_with_other_contents_are_skipped() {
    let (skip, conv) = (uniform(Operation201::SkipConnect), uniform(Operation201::Conv3x3));
    // Ignored columns may contain fractions of a million parameters, text and empty cells.
    let text = format!(
        "arch,params,test_acc,train_time,note,test_loss\n{skip},0.07,54.3,,fast,0.9\n{conv},0.8,94,1e9,\"a, b\",NaN\n"
    );
    let table = read(text.as_bytes()).unwrap();
    assert_eq!(table.columns(), ["test_acc"]);
    assert_eq!(table.passed_over(), ["params", "train_time", "note", "test_loss"]);
    assert_eq!(table.look_up(skip).unwrap()[0].rank, 2);
}

#[test]
fn fractions_and_percentages_in_one_column_are_refused() {
    let shares =
        FOUR.map(|(operation, accuracy)| (operation, if accuracy < 95.0 { accuracy / 100.0 } else { accuracy }));
    let error = read(table(&shares).as_bytes()).unwrap_err().to_string();
    assert!(error.contains("line 1: most accuracies in a are at most 1"), "{error}");
    // With a hundred classes, chance is 1 %.
    let chance = FOUR.map(|(operation, accuracy)| (operation, if accuracy < 50.0 { 1.0 } else { accuracy }));
    assert!(read(table(&chance).as_bytes()).is_ok());
}

#[test]
fn row_numbers_are_not_indices() {
    let (skip, conv) = (uniform(Operation201::SkipConnect), uniform(Operation201::Conv3x3));
    // pandas numbers the rows of a part of the benchmark.
    let numbered = read(format!(",arch,a\n0,{skip},50\n1,{conv},90\n").as_bytes()).unwrap();
    let refused = numbered.at_index(1).unwrap_err().to_string();
    assert!(refused.contains("no column called `index`"), "{refused}");
    let both = format!(",arch_index,arch,a\n0,7,{skip},50\n1,3,{conv},90\n");
    let both = read(both.as_bytes()).unwrap();
    assert_eq!(
        (both.at_index(3).unwrap(), both.columns()),
        (conv, &["a".to_owned()][..])
    );
    let called = read(format!("index,arch,a\n0,{skip},50\n1,{conv},90\n").as_bytes()).unwrap();
    assert_eq!(called.at_index(1).unwrap(), conv);
}

#[test]
fn a_decompression_bomb_is_refused() {
    let blank = " ".repeat(4000) + "\n";
    let packed = gzip(&("architecture,a\n".to_owned() + &blank.repeat(17_000)));
    let error = read(&packed).unwrap_err().to_string();
    assert!(error.contains("larger than"), "{error}");
}

#[cfg(unix)]
#[test]
fn only_regular_files_are_read() {
    let device = Benchmark::read(Path::new("/dev/zero")).unwrap_err().to_string();
    assert_eq!(device, "cannot read /dev/zero: it is not a regular file");
    let temporary = tempfile::tempdir().unwrap();
    let pipe = temporary.path().join("pipe.csv");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let error = Benchmark::read(&pipe).unwrap_err();
    assert!(matches!(error, BenchmarkError::Read { .. }), "{error}");
}

proptest! {
    #[test]
    fn damage_never_panics(at in 0usize..300, byte: u8, compressed: bool) {
        let mut bytes = if compressed { gzip(&table(&FOUR)) } else { table(&FOUR).into_bytes() };
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = read(&bytes);
    }
}

/// The file `name` of the folder in `DA2S_DATA_DIR`, or `None` with a note that `test` is skipped.
fn published(name: &str, test: &str) -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = std::env::var_os("DA2S_DATA_DIR").map(|folder| workspace.join(folder).join(name));
    if let Some(path) = path.filter(|path| path.is_file()) {
        return Some(path);
    }
    // Bypasses the test runner, which hides the output of passing tests.
    let note = format!("skipped: {test} needs {name} in the folder that DA2S_DATA_DIR names\n");
    io::stderr().write_all(note.as_bytes()).unwrap();
    None
}

#[test]
fn the_published_table_of_200_epochs() {
    let Some(path) = published("nats-bench-tss-200-epochs.csv.gz", "the_published_table_of_200_epochs") else {
        return;
    };
    let table = Benchmark::read(&path).unwrap();
    assert_eq!(table.len(), Arch201::COUNT);
    assert_eq!(
        table.columns(),
        ["cifar10-test", "cifar100-test", "imagenet16-120-test"]
    );
    // Published tables list architectures in the benchmark's order.
    let second = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|";
    assert_eq!(table.at_index(1).unwrap().to_string(), second);
    let standings = table.look_up(uniform(Operation201::SkipConnect)).unwrap();
    let rounded = |value: f64| format!("{value:.2}");
    let accuracies: Vec<String> = standings.iter().map(|standing| rounded(standing.accuracy)).collect();
    assert_eq!(accuracies, ["54.30", "15.61", "16.32"]);
    let best: Vec<String> = standings
        .iter()
        .map(|standing| rounded(standing.best_accuracy))
        .collect();
    assert_eq!(best, ["94.37", "73.51", "47.31"]);
    for standing in standings {
        let best = table.look_up(standing.best_architecture.parse().unwrap()).unwrap();
        let own = best.iter().find(|own| own.column == standing.column).unwrap();
        assert_eq!((own.rank, own.distance), (1, 0.0));
    }
}

#[test]
fn the_published_table_of_12_epochs() {
    let Some(path) = published("nats-bench-tss-12-epochs.csv.gz", "the_published_table_of_12_epochs") else {
        return;
    };
    let table = Benchmark::read(&path).unwrap();
    assert_eq!((table.len(), table.columns().len()), (Arch201::COUNT, 6));
    let standing = &table.look_up(uniform(Operation201::SkipConnect)).unwrap()[0];
    assert_eq!((standing.accuracy, standing.best_accuracy), (36.84, 89.16));
}
