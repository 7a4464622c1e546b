//! Genotypes in every form, as text and as files, and tables of architectures.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::runs::finished_copy;
use super::{Case, case};

const ARCH: &str = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|";

fn text(name: &str, text: &str, says: &[&str]) -> Case {
    case(&format!("genotype: {name}"), &["genotype", text], 4, says)
}

fn file(name: &str, bytes: impl AsRef<[u8]>, code: i32, says: &[&str]) -> Case {
    let bytes = bytes.as_ref().to_vec();
    let arguments = ["run", "--genotype-file", "own.txt", "--out", "out"];
    case(
        &format!("genotype file: {name}"),
        &arguments,
        code,
        &[&["own.txt"], says].concat(),
    )
    .make(move |dir| fs::write(dir.join("own.txt"), &bytes).unwrap())
}

/// A genotype outside the space of the run, in a file for the command that begins with `verb`,
/// together with invalid weights.
fn stranger(verb: &[&str], name: &str, text: &str, says: &str) -> Case {
    let text = text.to_owned();
    let arguments = [verb, &["digits", "--genotype-file", "own.txt"][..]].concat();
    case(
        &format!("{}: a genotype {name}", verb[0]),
        &arguments,
        4,
        &["own.txt", says],
    )
    .make(move |dir| {
        fs::write(dir.join("own.txt"), &text).unwrap();
        fs::write(dir.join("own.safetensors"), "nothing").unwrap();
    })
    .tiny()
}

fn table(name: &str, code: i32, says: &[&str], bytes: impl AsRef<[u8]>) -> Case {
    let bytes = bytes.as_ref().to_vec();
    let arguments = ["lookup", "--benchmark", "own.csv", ARCH];
    case(&format!("lookup: {name}"), &arguments, code, says)
        .make(move |dir| fs::write(dir.join("own.csv"), &bytes).unwrap())
}

/// `bytes` and `zeros` zeros, compressed with gzip, which shrinks the zeros to a thousandth.
fn packed(bytes: &[u8], zeros: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.write_all(&vec![b'0'; zeros]).unwrap();
    encoder.finish().unwrap()
}

pub fn cases() -> Vec<Case> {
    let darts = |normal: &str| {
        let skip = "('skip_connect', 0)";
        format!(
            "Genotype(normal=[{normal}], normal_concat=[2], normal_nodes=[1], reduce=[{skip}], reduce_concat=[2], reduce_nodes=[1])"
        )
    };
    let rows = |accuracy: &str| format!("architecture,a\n{ARCH},{accuracy}\n");
    let no_run =
        |dir: &Path| fs::write(dir.join("genotype.json"), "{\"space\": \"darts\", \"genotype\": \"G\"}").unwrap();
    let import = ["import", "--weights", "own.safetensors"];
    let other_space = "not one of the space darts";
    let bench = darts("('nor_conv_3x3', 0)");
    vec![
        text("nothing", "", &["character 0", "expected Genotype"]),
        text(
            "unknown operation",
            &darts("('sep_conv_9x9', 0)"),
            &[
                "unknown operation sep_conv_9x9",
                "character 18, near `Genotype(normal=[('sep_conv_9x9', 0)]",
            ],
        ),
        text("none", &darts("('none', 0)"), &["never kept"]),
        text("backward", &darts("('skip_connect', 2)"), &["cannot read node 2"]),
        text(
            "a huge node number",
            &darts("('skip_connect', 18446744073709551615)"),
            &["too large"],
        ),
        text(
            "a hundred thousand brackets",
            &format!("Genotype({}", "[".repeat(100_000)),
            &["character 18", "nested brackets"],
        ),
        text(
            "a hundred thousand parentheses",
            &"(".repeat(100_000),
            &["expected six numbers"],
        ),
        text(
            "a hundred thousand braces",
            &"{".repeat(100_000),
            &["it begins like an object", "nested brackets"],
        ),
        text(
            "a long name",
            &format!("Genotype(normal=[('{}', 0)])", "s".repeat(10_000)),
            &["unknown operation", "known are"],
        ),
        text(
            "more nodes than a report draws",
            &darts("('skip_connect', 0)").replacen("[2]", "[64]", 1),
            &["64 is too large: at most 63"],
        ),
        text(
            "many more nodes than a report draws",
            &darts(&"('skip_connect', 0), ".repeat(900)).replacen("[1]", &format!("{:?}", vec![1; 64]), 1),
            &["64 nodes, but a cell has at most 62"],
        ),
        text("control characters", "\u{1b}[31m", &["character 0"]),
        text(
            "mobile: an operation of another space",
            "Genotype(stages=[['sep_conv_3x3']])",
            &["an operation of the space mobile: mbconv_k3_e1"],
        ),
        text(
            "mobile: a stage without its first layer",
            "Genotype(stages=[[None, 'mbconv_k3_e1']])",
            &["the first layer of a stage never vanishes"],
        ),
        text(
            "mobile: skip in the first layer",
            "Genotype(stages=[['skip', 'mbconv_k3_e1']])",
            &["the first layer of a stage never vanishes"],
        ),
        text("nas-bench-201: cut", "|none~0|+|none~0|", &["expected"]),
        text("nas-bench-201: unknown operation", "|conv~0|", &["character 1"]),
        text(
            "nni: a number for an operation",
            "{\"normal/op_2_0\": 1}",
            &["normal/op_2_0"],
        ),
        text(
            "nni: no input",
            "{\"normal/op_2_0\": \"skip_connect\"}",
            &["normal/input_2_0 is missing"],
        ),
        text("nni2: no list", "{\"normal_n2_switch\": {}}", &["expected a list"]),
        text(
            "nni2: another cell's edge",
            "{\"normal_n2_switch\": [\"reduce_n2_p0\"]}",
            &["not an edge into node 2"],
        ),
        text("naslib: five numbers", "(4, 0, 3, 1, 4)", &["expected six numbers"]),
        text("naslib: unknown operation", "(9, 0, 3, 1, 4, 3)", &["operation 9"]),
        text(
            "no genotype in the text",
            "see our paper",
            &["character 0", "found none of them"],
        ),
        text("an index", "7", &["a number alone is not a genotype"]),
        text(
            "two genotypes",
            &format!("{}\n{}", darts("('skip_connect', 0)"), darts("('skip_connect', 1)")),
            &["there are several", "line 1, line 2"],
        ),
        text(
            "fairdarts: a node that is an input",
            &darts("('skip_connect', 1, 0)").replace(", normal_nodes=[1]", ""),
            &["node 1 is an input of the cell"],
        ),
        text(
            "fairdarts: some entries without a node",
            &darts("('skip_connect', 2, 0), ('skip_connect', 1)"),
            &["some entries name the node"],
        ),
        text(
            "a weight or a node",
            &darts("('skip_connect', 2, 0.0)"),
            &["this may be a weight or a node", "near `"],
        ),
        text(
            "joined strings with an unknown operation",
            &format!("'{}'", darts("(\"sep_conv' +\n '_9x9\", 0)")),
            &["line 1", "unknown operation sep_conv_9x9"],
        ),
        text(
            "nas-bench-201: wrapped, with an unknown operation",
            "|none~0|+\n|conv~0|none~1|+\n|none~0|none~1|none~2|",
            &["genotype, line 2, character 1", "expected one of none"],
        ),
        text(
            "pt.darts: other counts than normal_nodes",
            &darts("[('skip_connect', 0), ('skip_connect', 1)]"),
            &["normal_nodes says [1], and the entries themselves [2]"],
        ),
        text(
            "code",
            "Genotype(normal=gene_normal, normal_concat=concat)",
            &["expected a list of entries"],
        ),
        text(
            "a key twice",
            "{'normal_n2_switch': [0], 'normal_n2_switch': [1]}",
            &["normal_n2_switch appears twice"],
        ),
        text(
            "nni1: a mask of another length",
            "{\"normal_n2_p0\": [true], \"normal_n2_switch\": [true, false, false]}",
            &["normal_n2_switch: expected 2 values"],
        ),
        text(
            "nni1: a mask with two operations",
            "{\"normal_n2_p0\": [true, true, false, false, false, false, false], \"normal_n2_switch\": [true, false]}",
            &["normal_n2_p0: expected an operation"],
        ),
        text(
            "nni, nas-bench-201: an edge is missing",
            "{\"0_1\": \"none\", \"2_3\": \"none\"}",
            &["the edge 0_2 is missing"],
        ),
        text(
            "nas-bench-201: five nodes",
            "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|+|none~0|",
            &["more than four nodes"],
        ),
        text(
            "nas-bench-301: inputs that are not those of the edges",
            "{\"NetworkSelectorDatasetInfo:darts:edge_normal_0\": \"skip_connect\", \
             \"NetworkSelectorDatasetInfo:darts:inputs_node_normal_2\": \"0_1\"}",
            &["node 2 reads 0_1, and its edges begin at 0"],
        ),
        text(
            "naslib: beyond 64 bits",
            "(4, 0, 3, 1, 4, 18446744073709551616)",
            &["expected six numbers"],
        ),
        text(
            "naslib: unknown operation of DARTS",
            "(((0, 99), (1, 3)), ((0, 3), (1, 3)))",
            &["operation 99"],
        ),
        text(
            "nas-bench-301: a number",
            "{\"NetworkSelectorDatasetInfo:darts:edge_normal_0\": 3}",
            &["edge_normal_0"],
        ),
        text(
            "nas-bench-301: another prefix",
            "{\"a:darts:edge_normal_0\": \"skip_connect\"}",
            &["NetworkSelectorDatasetInfo"],
        ),
        text("an object without a known key", "{\"a\": 1}", &["none of the keys"]),
        text(
            "an object in an object",
            "{\"genotype\": \"{}\"}",
            &["nor the text of a genotype in it"],
        ),
        file("no UTF-8", b"\xff\xfd", 7, &["UTF-8"]),
        file("no UTF-16", b"\xff\xfea", 7, &["UTF-16"]),
        file(
            "several",
            format!("A = '{ARCH}'\nB = '{}'\n", ARCH.replace("none~2", "skip_connect~2")),
            4,
            &["there are several", "A (line 1), B (line 2)", "pick one as FILE:NAME"],
        ),
        case(
            "genotype file: no such name",
            &["genotype", "own.txt:C"],
            4,
            &["own.txt", "no genotype is called C; found: A (line 1)"],
        )
        .make(|dir| fs::write(dir.join("own.txt"), format!("A = '{ARCH}'\n")).unwrap()),
        file("empty", "", 4, &["expected Genotype"]),
        file(
            "a million brackets",
            format!("{{\"genotype\": {}", "[".repeat(1_000_000)),
            4,
            &["nested brackets"],
        ),
        file("of another space", ARCH, 4, &["expected `+|`"])
            .make(|dir| fs::write(dir.join("own.txt"), "|none~0|+|none~0|none~1|").unwrap()),
        stranger(&["run"], "of NAS-Bench-201", ARCH, other_space),
        stranger(&import, "of NAS-Bench-201", ARCH, other_space),
        stranger(
            &["run"],
            "with an operation of NAS-Bench-201",
            &bench,
            "the operation nor_conv_3x3 is not one of the space darts",
        ),
        stranger(
            &import,
            "with an operation of NAS-Bench-201",
            &bench,
            "is not one of the space darts",
        ),
        case(
            "train: a genotype of NAS-Bench-201",
            &["train", "run", "--genotype-file", "own.txt"],
            4,
            &["own.txt", other_space],
        )
        .make(|dir| {
            finished_copy(dir);
            fs::write(dir.join("own.txt"), ARCH).unwrap();
        }),
        text(
            "entries of one edge that do not follow one another",
            &darts("('skip_connect', 0), ('max_pool_3x3', 1), ('sep_conv_3x3', 0)").replacen("[1]", "[3]", 1),
            &["entries of one edge must follow one another"],
        ),
        case(
            "genotype file: nothing",
            &["run", "--genotype-file", "nothing.txt", "--out", "out"],
            7,
            &["nothing.txt"],
        ),
        case(
            "genotype: a folder that is no run",
            &["genotype", "."],
            7,
            &["genotype.json"],
        ),
        table("empty", 3, &["own.csv, line 1", "empty"], ""),
        table("no heading", 3, &["own.csv, line 1", "architecture,"], "a,b\n"),
        table(
            "shares",
            3,
            &[
                "own.csv, line 1",
                "no accuracy in a is above 1",
                "give accuracies in percent",
            ],
            rows("0.92"),
        ),
        table(
            "two architectures",
            3,
            &["own.csv, line 1", "architecture,"],
            "architecture,arch,a\n",
        ),
        table(
            "no index",
            3,
            &["own.csv, line 2", "the index is `x`"],
            format!(",architecture,a\nx,{ARCH},10\n"),
        ),
        table(
            "an index twice",
            3,
            &["own.csv, line 3", "the index 1 occurs twice"],
            format!(
                ",architecture,a\n1,{ARCH},10\n1,{},10\n",
                ARCH.replace("none~2", "skip_connect~2")
            ),
        ),
        table("no row", 3, &["own.csv, line 2"], "architecture,a\n"),
        table("no number", 3, &["own.csv, line 2", "`fast`"], rows("fast")),
        table("not a number", 3, &["own.csv, line 2", "`nan`"], rows("nan")),
        table("infinite", 3, &["own.csv, line 2", "`inf`"], rows("inf")),
        table("above 100", 3, &["own.csv, line 2", "0 to 100"], rows("1e308")),
        table("a cell too many", 3, &["own.csv, line 2", "no column"], rows("1,2")),
        table(
            "twice",
            3,
            &["own.csv, line 3", "twice"],
            format!("{}{ARCH},2\n", rows("1")),
        ),
        table(
            "two columns with the same name",
            3,
            &["own.csv, line 1", "two columns"],
            "architecture,a,a\n",
        ),
        table(
            "no architecture",
            3,
            &["own.csv, line 2", "character 0"],
            "architecture,a\nx,1\n",
        ),
        table("no UTF-8", 3, &["own.csv, line 1", "UTF-8"], b"\xff\xfe\n"),
        table(
            "a line without an end",
            3,
            &["own.csv, line 1", "longer than"],
            vec![b'a'; 1 << 20],
        ),
        table(
            "a bomb",
            3,
            &["own.csv, line 2", "longer than"],
            packed(b"architecture,a\n", 64 << 20),
        ),
        table(
            "cut gzip",
            3,
            &["own.csv", "damaged"],
            &packed(rows("1").as_bytes(), 100)[..40],
        ),
        case(
            "lookup: a folder for a table",
            &["lookup", "--benchmark", ".", ARCH],
            7,
            &["cannot read"],
        ),
        case(
            "lookup: no table",
            &["lookup", "--benchmark", "nothing.csv", ARCH],
            7,
            &["nothing.csv"],
        ),
        case(
            "lookup: no run",
            &["lookup", "--benchmark", "own.csv", "nothing"],
            5,
            &["nothing", "neither a run directory"],
        ),
        case(
            "lookup: a run of another space",
            &["lookup", "--benchmark", "own.csv", "."],
            5,
            &["its space is darts"],
        )
        .make(no_run),
        case(
            "lookup: an index without indices",
            &["lookup", "--benchmark", "own.csv", "1"],
            3,
            &["the index 1 has no meaning here"],
        )
        .make(|dir| fs::write(dir.join("own.csv"), format!("architecture,a\n{ARCH},10\n")).unwrap()),
        case(
            "lookup: an index beyond the table",
            &["lookup", "--benchmark", "own.csv", "2"],
            3,
            &["none of the 1 architectures of the table has the index 2"],
        )
        .make(|dir| fs::write(dir.join("own.csv"), format!("index,architecture,a\n1,{ARCH},10\n")).unwrap()),
        case(
            "lookup: a genotype of DARTS",
            &["lookup", "--benchmark", "own.csv", &darts("('skip_connect', 0)")],
            4,
            &["only NAS-Bench-201 has such tables"],
        ),
        case(
            "lookup: no architecture",
            &["lookup", "--benchmark", "own.csv", "|conv~0|"],
            4,
            &["character 1"],
        ),
    ]
}
