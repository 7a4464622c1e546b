//! Tables of accuracies, and lookups in them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Case, case, pipe};

const NONE: &str = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|";
const SKIP: &str = "|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|";

/// A lookup in a table with these bytes.
fn table(name: &str, says: &[&str], bytes: impl AsRef<[u8]>) -> Case {
    let bytes = bytes.as_ref().to_vec();
    case(
        &format!("table: {name}"),
        &["lookup", "--benchmark", "own.csv", NONE],
        3,
        &[&["own.csv"], says].concat(),
    )
    .make(move |dir| fs::write(dir.join("own.csv"), &bytes).unwrap())
}

/// A lookup of `what` in a valid table.
fn lookup(name: &str, what: &str, code: i32, says: &[&str]) -> Case {
    case(
        &format!("lookup: {name}"),
        &["lookup", "--benchmark", "own.csv", what],
        code,
        says,
    )
    .make(|dir| fs::write(dir.join("own.csv"), format!("index,arch,a\n3,{NONE},10\n7,{SKIP},20\n")).unwrap())
}

pub fn cases() -> Vec<Case> {
    contents().into_iter().chain(files()).chain(questions()).collect()
}

/// Invalid contents of a table.
fn contents() -> Vec<Case> {
    let packed = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let blank = "architecture,a\n".to_owned() + &(" ".repeat(4000) + "\n").repeat(17_000);
    vec![
        table(
            "columns whose names are not those of accuracies",
            &["line 1", "only other columns: params, train_time"],
            format!("arch,params,train_time\n{NONE},1,2\n"),
        ),
        table(
            "error rates instead of accuracies",
            &["line 1", "top-1 error"],
            format!("arch,top-1 error\n{NONE},5.6\n"),
        ),
        table(
            "fractions and percentages in one column",
            &["line 1", "most accuracies in a are at most 1"],
            format!(
                "arch,a\n{NONE},0.1\n{SKIP},0.9\n{},95\n",
                SKIP.replace("none~1", "skip_connect~1")
            ),
        ),
        table(
            "percent above 100",
            &["line 2", "`101 %`", "0 to 100"],
            format!("arch,a\n{NONE},101 %\n"),
        ),
        table(
            "percent twice",
            &["line 2", "`10 %%`"],
            format!("arch,a\n{NONE},10 %%\n"),
        ),
        table(
            "a negative accuracy",
            &["line 2", "`-5`"],
            format!("arch,a\n{NONE},-5\n"),
        ),
        table(
            "a mean with its deviation",
            &["line 2", "`94.1 ± 0.2`"],
            format!("arch,a\n{NONE},94.1 ± 0.2\n"),
        ),
        table(
            "an empty accuracy",
            &["line 2", "a is ``", "remove the column"],
            format!("arch,a\n{NONE},\n"),
        ),
        table(
            "a decimal comma between commas",
            &["line 2", "`5` belongs to no column"],
            format!("arch,a\n{NONE},94,5\n"),
        ),
        table(
            "thousands",
            &["line 2", "`9.450,0`"],
            format!("arch;a\n{NONE};9.450,0\n"),
        ),
        table(
            "an index below 0",
            &["line 2", "the index is `-1`"],
            format!("index,arch,a\n-1,{NONE},10\n"),
        ),
        table(
            "an index with decimals",
            &["line 2", "the index is `1.5`"],
            format!("idx,arch,a\n1.5,{NONE},10\n"),
        ),
        table(
            "an index beyond 64 bits",
            &["line 2", "the index is `18446744073709551616`"],
            format!("arch_index,arch,a\n18446744073709551616,{NONE},10\n"),
        ),
        table(
            "no architecture in a row",
            &["line 3", "character 0"],
            format!("arch,a\n{NONE},10\n,10\n"),
        ),
        table(
            "rows of separators alone",
            &["line 4", "no architecture"],
            "arch,a\n,\n,\n",
        ),
        table(
            "an accuracy after the last column",
            &["line 2", "`20` belongs to no column"],
            format!("arch,a,\n{NONE},10,20\n"),
        ),
        table(
            "two columns of architectures",
            &["line 1", "one of them is the column of architectures"],
            format!("arch,genotype,a\n{NONE},{NONE},10\n"),
        ),
        table(
            "two architectures in a cell",
            &["line 2", "expected the end"],
            format!("arch,a\n{NONE} {SKIP},10\n"),
        ),
        table(
            "a genotype of DARTS",
            &["line 2", "character 0"],
            "arch;a\nGenotype(normal=[('skip_connect', 0)]);10\n",
        ),
        table("a quote that never ends", &["line 2"], format!("arch,a\n\"{NONE},10\n")),
        table("only a separator", &["line 2", "expected `architecture,`"], "sep=;\n"),
        table(
            "an unknown separator",
            &["line 1", "expected `architecture,`"],
            format!("sep=x\narch,a\n{NONE},10\n"),
        ),
        table(
            "bars for separators",
            &["line 2", "put the architectures in quotes"],
            format!("arch|a\n{NONE}|10\n"),
        ),
        table(
            "the heading twice",
            &["line 3", "character 0"],
            format!("arch,a\n{NONE},10\narch,a\n"),
        ),
        table("UTF-16", &["line 1", "UTF-16", "CSV UTF-8"], b"\xff\xfea\0r\0c\0h\0"),
        table(
            "a spreadsheet",
            &["line 1"],
            b"PK\x03\x04\x14\0\x06\0[Content_Types].xml\xff\xfe",
        ),
        table("Parquet", &["line 1"], b"PAR1\x15\x04\x15\xff\xfe"),
        table(
            "JSON",
            &["line 1", "expected `architecture,`"],
            format!("[{{\"arch\": \"{NONE}\", \"a\": 10}}]"),
        ),
        table(
            "a page instead of a download",
            &["line 1", "expected `architecture,`"],
            "<!DOCTYPE html>\n<html>\n",
        ),
        table(
            "a pointer of Git LFS",
            &["line 1", "expected `architecture,`"],
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        ),
        table("empty lines without an end", &["larger than"], packed(blank.as_bytes())),
        table(
            "packed twice",
            &["line 1", "UTF-8"],
            packed(&packed(b"architecture,a\n")),
        ),
        table("packed rubbish", &["damaged"], b"\x1f\x8bnothing packed"),
    ]
}

/// Other files where a table is expected.
fn files() -> Vec<Case> {
    let lies = |name: &str, path: &str, code: i32, says: &[&str]| {
        case(
            &format!("table: {name}"),
            &["lookup", "--benchmark", path, NONE],
            code,
            &[&["cannot read"], says].concat(),
        )
    };
    vec![
        lies("a pipe", "own.csv", 7, &["own.csv", "not a regular file"]).make(|dir| pipe(&dir.join("own.csv"))),
        lies("a device", "/dev/zero", 7, &["/dev/zero", "not a regular file"]),
        lies("a link to a device", "own.csv", 7, &["own.csv", "not a regular file"])
            .make(|dir| symlink("/dev/zero", dir.join("own.csv")).unwrap()),
        lies("a link to itself", "own.csv", 7, &["own.csv"])
            .make(|dir| symlink("own.csv", dir.join("own.csv")).unwrap()),
        lies("a broken link", "own.csv", 7, &["own.csv", "No such file"])
            .make(|dir| symlink("gone.csv", dir.join("own.csv")).unwrap()),
        lies("larger than allowed", "own.csv", 7, &["own.csv", "larger than"]).make(|dir| {
            fs::File::create(dir.join("own.csv"))
                .unwrap()
                .set_len(70 << 20)
                .unwrap()
        }),
        case(
            "compare: a pipe for a table",
            &["compare", "digits", "--benchmark", "own.csv", "--out", "out"],
            7,
            &["own.csv", "not a regular file"],
        )
        .make(|dir| pipe(&dir.join("own.csv"))),
    ]
}

/// Invalid lookups.
fn questions() -> Vec<Case> {
    vec![
        lookup(
            "two in one line",
            &format!("{NONE} {SKIP}"),
            4,
            &["several in line 1", "alone"],
        ),
        lookup(
            "an index that is not there",
            "5",
            3,
            &["none of the 2 architectures of the table has the index 5"],
        ),
        lookup(
            "an index beyond 64 bits",
            "18446744073709551616",
            5,
            &["nor an architecture"],
        ),
        lookup("a number below 0", "-1", 2, &["unexpected argument '-1'"]),
        lookup("a pipe", "pipe", 7, &["pipe", "not a regular file"]).make(|dir| {
            fs::write(dir.join("own.csv"), format!("arch,a\n{NONE},10\n")).unwrap();
            pipe(&dir.join("pipe"));
        }),
        lookup("a device", "/dev/zero", 7, &["/dev/zero", "not a regular file"]),
        lookup(
            "the table itself",
            "own.csv",
            4,
            &["own.csv", "several", "line 2, line 3"],
        ),
        case(
            "lookup: the number of a row",
            &["lookup", "--benchmark", "own.csv", "1"],
            3,
            &["the index 1 has no meaning here", "no column called `index`"],
        )
        .make(|dir| fs::write(dir.join("own.csv"), format!(",arch,a\n0,{NONE},10\n1,{SKIP},20\n")).unwrap()),
    ]
}
