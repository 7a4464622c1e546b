//! Genotypes in all kinds of texts, each with the expected value, and texts that must not be
//! misunderstood.

use proptest::prelude::*;

use super::*;
use crate::Operation;

/// The second-order network of DARTS (Liu, Simonyan, Yang 2019), as printed by its code.
const DARTS_V2: &str = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
    ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], \
    reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), \
    ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])";
/// The first-order network.
const DARTS_V1: &str = "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), ('sep_conv_3x3', 1), \
    ('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 2)], normal_concat=[2, 3, 4, 5], \
    reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), ('max_pool_3x3', 0), \
    ('skip_connect', 2), ('skip_connect', 2), ('avg_pool_3x3', 0)], reduce_concat=[2, 3, 4, 5])";
/// A text of NAS-Bench-201.
const BENCH: &str = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|";

fn read(text: &str) -> String {
    match Genotype::parse(text) {
        Ok(genotype) => genotype.to_string(),
        Err(error) => panic!("{error}\n{text}"),
    }
}

fn says(text: &str) -> String {
    Genotype::parse(text).unwrap_err().to_string()
}

/// Code that precedes genotypes in a file.
const HEAD: &str = "from collections import namedtuple\n\n\
    Genotype = namedtuple('Genotype', 'normal normal_concat reduce reduce_concat')\n\n\
    PRIMITIVES = [\n    'none',\n    'max_pool_3x3',\n]\n\n";

#[test]
fn one_genotype_is_found_anywhere_in_a_text() {
    let wide = DARTS_V2
        .replace("reduce=", "\r\n                reduce=")
        .replace("normal_concat", "  # seen\r\n normal_concat");
    let lines = DARTS_V2.replace("), (", "),\n    (");
    let commented = lines.replace('\n', "\n# ");
    for text in [
        format!("DARTS_V2 = {DARTS_V2}\n"),
        format!("2018-06-27 13:25:46,379 genotype = {DARTS_V2}\n"),
        format!("{DARTS_V2} # 1.87\n"),
        format!("# {DARTS_V2}"),
        format!("#X = {commented}\n"),
        format!("DARTS{DARTS_V2}"),
        format!("gt.{DARTS_V2};"),
        format!("\u{feff}{DARTS_V2}\r\n"),
        format!("\"{DARTS_V2}\""),
        format!("'{}'", DARTS_V2.replace('\'', "\\'")),
        format!("“{}”", DARTS_V2.replace('\'', "’")),
        format!("```\n{DARTS_V2}\n```"),
        format!("{{\"epoch\": 3, \"genotype\": \"{DARTS_V2}\"}}"),
        format!("{{\"arch\": \"{}\"}}", DARTS_V2.replace('\'', "\\\"")),
        format!(
            "{{\"arch\": \"{}\"}}",
            DARTS_V2.replace('\'', "\\u0027").replace(", red", ",\\n red")
        ),
        DARTS_V2.replace('\'', "\""),
        DARTS_V2.replace('\'', ""),
        DARTS_V2.replace("('", "['").replace("), ", "], ").replace(")]", "]]"),
        DARTS_V2.replace("('", "(u'"),
        DARTS_V2.replace("[2, 3, 4, 5]", "range(2, 6)"),
        DARTS_V2.replace("[2, 3, 4, 5]", "list(range(2, 6))"),
        DARTS_V2.replace(", 0)", ", np.int64(0))"),
        DARTS_V2.replace("', ", "',\u{a0}"),
        DARTS_V2
            .replace("normal=", "")
            .replace("normal_concat=", "")
            .replace("reduce=", "")
            .replace("reduce_concat=", ""),
        DARTS_V2.replace("[2, 3, 4, 5])", "[2, 3, 4, 5], connects=None)"),
        wide,
        format!("{HEAD}DARTS_V2 = {lines}\nDARTS = DARTS_V2\n"),
        format!("{HEAD}OLD = Genotype(\n  normal=parse(weights[0]), normal_concat=concat)\nA: Genotype = {DARTS_V2}\n"),
        format!("class Genotype(NamedTuple):\n  pass\n# {DARTS_V1}\nbest = {DARTS_V2}\n"),
        format!("epoch 1 {DARTS_V2}\nepoch 2 {DARTS_V2}\n"),
        DARTS_V2
            .replace("Genotype(", "{'")
            .replace(", normal_", ", 'normal_")
            .replace(", reduce", ", 'reduce")
            .replace("=", "': ")
            .replace("5])", "5]}"),
        DARTS_V2
            .replace("5])", "5])])")
            .replace("5], ", "5]), (")
            .replace(")], n", ")]), (n")
            .replace(")], r", ")]), (r")
            .replace("Genotype(", "OrderedDict([(")
            .replace("(normal", "('normal")
            .replace("(reduce", "('reduce")
            .replace('=', "', "),
    ] {
        assert_eq!(read(&text), DARTS_V2, "{text}");
    }
}

#[test]
fn entries_may_name_their_node_or_be_grouped_by_node() {
    let small = "Genotype(normal=[[('skip_connect', 0), ('sep_conv_3x3', 1)], [('max_pool_3x3', 2)]], normal_concat=[3], \
        reduce=((('skip_connect', 0), ('skip_connect', 1)), (('skip_connect', 0), ('avg_pool_3x3', 1))), reduce_concat=range(2, 4))";
    let right = "Genotype(normal=[('skip_connect', 0), ('sep_conv_3x3', 1), ('max_pool_3x3', 2)], normal_concat=[3], \
        normal_nodes=[2, 1], reduce=[('skip_connect', 0), ('skip_connect', 1), ('skip_connect', 0), ('avg_pool_3x3', 1)], \
        reduce_concat=[2, 3])";
    assert_eq!(read(small), right);
    // FairDARTS gives an entry's own node before the node that it reads, in any order.
    let named = "Genotype(normal=[('max_pool_3x3', 3, 2), ('skip_connect', 2, 0), ('sep_conv_3x3', 2, 1)], normal_concat=[3], \
        reduce=[('skip_connect', 2, 0), ('skip_connect', 2, 1), ('skip_connect', 3, 0), ('avg_pool_3x3', 3, 1)], \
        reduce_concat=range(2, 4))";
    assert_eq!(read(named), right);
    for (from, to, said) in [
        (
            "('skip_connect', 2, 0), ('sep",
            "('skip_connect', 0), ('sep",
            "some entries name the node",
        ),
        ("3, 2)", "1, 0)", "node 1 is an input of the cell"),
        ("3, 2)", "2, 3)", "node 2 cannot read node 3"),
        ("3, 2)", "3, 2, 1)", "expected an entry"),
        (
            "normal_concat=[3]",
            "normal_concat=[3], normal_nodes=[1, 2]",
            "normal_nodes says [1, 2], and the entries themselves [2, 1]",
        ),
    ] {
        let error = says(&named.replacen(from, to, 1));
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_fraction_as_third_value_is_a_weight_and_ignored() {
    for text in [
        DARTS_V2.replace(", 0)", ", 0, 0.31)"),
        DARTS_V2.replace(", 0)", ", 0, 1.0)"),
        DARTS_V2.replace(", 0)", ", 0, 1.0)").replace(", 1)", ", 1, 3e-1)"),
        DARTS_V2.replace(", 0)", ", 0, np.float32(0.31))"),
        DARTS_V2.replace(", 0)", ", 0, tensor(0.31))"),
    ] {
        assert_eq!(read(&text), DARTS_V2, "{text}");
    }
    let grouped = "Genotype(normal=[(('skip_connect', 0, 0.5), ('sep_conv_3x3', 1, 0.25))], normal_concat=[2], \
        reduce=[[('skip_connect', 0, 1.0)], [('skip_connect', 0, 0.5)]], reduce_concat=[3])";
    let right = "Genotype(normal=[('skip_connect', 0), ('sep_conv_3x3', 1)], normal_concat=[2], \
        reduce=[('skip_connect', 0), ('skip_connect', 0)], reduce_concat=[3], reduce_nodes=[1, 1])";
    assert_eq!(read(grouped), right);
    for (text, said) in [
        (
            DARTS_V2.replace(", 0)", ", 2, 0.0)").replace(", 1)", ", 3, 1.0)"),
            "this may be a weight or a node",
        ),
        (DARTS_V2.replace(", 0)", ", 2, 0.5)"), "node 2 cannot read node 2"),
        (
            DARTS_V2.replacen(", 0)", ", 2, 0)", 1).replacen(", 1)", ", 1, 0.5)", 1),
            "some entries name the node",
        ),
        (DARTS_V2.replace(", 0)", ", 0, -1)"), "expected a whole number"),
        (DARTS_V2.replace(", 0)", ", 0.5)"), "expected a whole number"),
    ] {
        let error = says(&text);
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn an_edge_may_have_an_operation_twice() {
    let nasnet = "Genotype(normal=[('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('avg_pool_3x3', 0), ('avg_pool_3x3', 0)], \
        normal_concat=[2, 3], reduce=[('sep_conv_5x5', 1), ('max_pool_3x3', 0)], reduce_concat=[2])";
    let genotype = Genotype::parse(nasnet).unwrap();
    assert_eq!(genotype.to_string(), nasnet);
    let last = genotype.cells.normal.edges.last().unwrap();
    assert_eq!(
        (last.from, last.to, &last.operations[..]),
        (0, 3, &[Operation::AvgPool3x3; 2][..])
    );
}

#[test]
fn one_of_several_is_selected_by_name_or_line() {
    let text = format!(
        "{HEAD}DARTS_V1 = {DARTS_V1}\nDARTS_V2 = {DARTS_V2}\nDARTS = DARTS_V2  # the best\n\
         Wide = {}\n# Old = {DARTS_V1}\n",
        DARTS_V1.replace("sep_conv_3x3', 1), ('sep", "sep_conv_7x7', 1), ('sep")
    );
    let error = Genotype::parse(&text).unwrap_err();
    assert!(error.several);
    assert_eq!(
        error.to_string(),
        "genotype: there are several, say which by its name or line: DARTS_V1 (line 10), DARTS_V2 (line 11), Wide (line 13)"
    );
    let named = |name: &str| Genotype::parse_named(&text, name);
    for (name, right) in [
        ("DARTS_V1", DARTS_V1),
        ("DARTS_V2", DARTS_V2),
        ("DARTS", DARTS_V2),
        ("10", DARTS_V1),
    ] {
        assert_eq!(named(name).unwrap().to_string(), right, "{name}");
    }
    let wide = named("Wide").unwrap_err().to_string();
    assert!(
        wide.starts_with("genotype, line 13, character ") && wide.contains("unknown operation sep_conv_7x7"),
        "{wide}"
    );
    let other = named("DARTS_V3").unwrap_err().to_string();
    assert!(
        other.contains("no genotype is called DARTS_V3; found: DARTS_V1 (line 10), "),
        "{other}"
    );

    // A log contains many with the same name.
    let epochs: String = [DARTS_V1, DARTS_V2]
        .into_iter()
        .cycle()
        .take(40)
        .map(|own| format!("genotype = {own}\n"))
        .collect();
    let error = says(&epochs);
    assert!(error.contains("genotype (line 16) and 24 more"), "{error}");
    assert!(Genotype::parse_named(&epochs, "genotype").unwrap_err().several);
    assert_eq!(Genotype::parse_named(&epochs, "40").unwrap().to_string(), DARTS_V2);
}

#[test]
fn an_invalid_genotype_is_not_skipped_if_a_valid_one_follows() {
    let broken = DARTS_V1.replace("('skip_connect', 2)]", "('skip_connect', 2]");
    assert!(
        Genotype::parse(&format!("A = {broken}\nB = {DARTS_V2}\n"))
            .unwrap_err()
            .several
    );
    let cut = "{\"normal/op_2_0\": \"skip_connect\", \"normal/input_2_0\"";
    assert!(Genotype::parse(&format!("{cut}\n{DARTS_V2}\n")).unwrap_err().several);
    assert!(says(cut).contains("expected :"));
}

#[test]
fn architectures_of_nas_bench_201_are_found_too() {
    for text in [
        format!("Structure(4 nodes with {BENCH})"),
        format!("{BENCH}\ndatasets : ['cifar10-valid', 'cifar10'], extra-info : arch-index=1\n"),
        format!("'{BENCH}'"),
        format!("{{\"arch\": \"{BENCH}\", \"acc\": [1, 2]}}"),
        format!("[2020-01-01] the best is {BENCH} with 94.37%"),
        "arch (2, 2, 0, 4, 2, 0) of NASLib".to_owned(),
    ] {
        assert_eq!(read(&text), BENCH, "{text}");
    }
    let other = BENCH.replace("avg_pool", "max_pool");
    let error = says(&format!("x {other}"));
    assert!(
        error.contains("expected one of none, ") && error.contains("max_pool_3x3~1"),
        "{error}"
    );
    assert!(says("7").contains("a number alone is not a genotype"));
    assert!(
        Genotype::parse(&format!("{BENCH}\n{}", BENCH.replace("avg_pool", "nor_conv")))
            .unwrap_err()
            .several
    );
}

#[test]
fn nested_objects_are_found() {
    let key = |cell: &str, rest: &str| format!("\"NetworkSelectorDatasetInfo:darts:{rest}\": \"{cell}\"");
    let cell = |cell: &str| {
        [
            (0, "max_pool_3x3"),
            (1, "sep_conv_5x5"),
            (2, "avg_pool_3x3"),
            (4, "dil_conv_5x5"),
        ]
        .map(|(edge, name)| key(name, &format!("edge_{cell}_{edge}")))
        .join(", ")
    };
    let inputs = key("0_2", "inputs_node_normal_3");
    let object = format!(
        "{{{}, {}, {inputs}, \"budget\": 100.0}}",
        cell("normal"),
        cell("reduce")
    );
    let right = Genotype::parse(&object).unwrap();
    let ends: Vec<_> = right
        .cells
        .normal
        .edges
        .iter()
        .map(|edge| (edge.from, edge.to))
        .collect();
    assert_eq!(ends, [(0, 2), (1, 2), (0, 3), (2, 3)]);
    for text in [
        format!("{{\n \"found\": {object},\n \"test_accuracy\": 93.0\n}}\n"),
        format!("Configuration(values={{{}}})", object.trim_matches(['{', '}'])),
        object.replace('"', "'").replace("100.0", "True"),
    ] {
        assert_eq!(Genotype::parse(&text).unwrap(), right, "{text}");
    }
    let error = says(&object.replace("0_2", "0_1"));
    assert!(
        error.contains("inputs_node_normal_3: node 3 reads 0_1, and its edges begin at 0_2"),
        "{error}"
    );
    assert!(says("{'normal_n2_switch': [0], 'normal_n2_switch': [1]}").contains("appears twice"));
}

#[test]
fn a_long_text_takes_linear_time() {
    // If these texts were scanned again from every position, each would take minutes.
    for unit in [
        "(",
        "[0,",
        "{'a':",
        "Genotype(",
        "|a~0|",
        "[[0],",
        "'",
        "\\",
        "[\"\\",
        "{'a': '",
        "dict(",
        "Genotype(#",
        "x = ",
    ] {
        let text = unit.repeat((1 << 17) / unit.len());
        assert!(Genotype::parse(&text).is_err());
        assert!(Genotype::parse_named(&text, "x").is_err());
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,80}") {
        let _ = Genotype::parse(&text);
    }

    #[test]
    fn no_damage_makes_it_panic(at in any::<prop::sample::Index>(), byte in any::<char>(), commented: bool) {
        let text = format!("{}A = {DARTS_V1}\nB = '{BENCH}'\n", if commented { "#" } else { "" });
        let mut text: Vec<char> = text.chars().collect();
        let at = at.index(text.len());
        text[at] = byte;
        let _ = Genotype::parse(&text.iter().collect::<String>());
        let _ = Genotype::parse_named(&text[..at].iter().collect::<String>(), "B");
    }
}

#[test]
fn a_line_number_does_not_select_one_of_several_genotypes_in_its_line() {
    let one = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|";
    let other = one.replace("none~2", "skip_connect~2");
    let said = |text: &str| Genotype::parse(text).unwrap_err();
    for text in [format!("{one} -> {other}"), format!("best {one}, last {other}\n")] {
        let error = said(&text);
        assert!(!error.several);
        assert_eq!(
            error.to_string(),
            "genotype: there are several in line 1, and neither a name nor a line number distinguishes them: give one of them alone"
        );
    }
    let named = Genotype::parse_named(&format!("a {one} {other}\n{one}\n"), "1").unwrap_err();
    assert!(named.to_string().contains("several in line 1"), "{named}");
    assert!(
        said(&format!("a {one} {other}\n{one}\n"))
            .to_string()
            .contains("line 1, line 2")
    );
    assert_eq!(Genotype::parse(&format!("{one} {one}")).unwrap().to_string(), one);
}

/// Time is bounded: a reader goes at most ten brackets deep, each bracket may start another reader,
/// and the text is scanned twice.
#[test]
fn hostile_brackets_are_read_in_linear_time() {
    const TIMES: usize = 24;
    let parts = [
        "(",
        "[",
        "{",
        "([",
        "({",
        "[1,",
        "[[],",
        "[1,2,3],",
        "(()",
        "{'a':",
        "{'a': [",
        "{\"a\": 1, ",
        "{a,",
        "dict(",
        "dict({'a':",
        "Genotype(",
        "Genotype(normal=[",
        "Genotype(normal=[('skip_connect', 0), ",
        "|a~0",
        "|none~0|+",
        "|none~0|+|none~0|none~1|+",
        "{'",
        "{\"",
        "(\\'",
        "[\u{201c}",
        "#{\n",
        "x = [",
        "'",
        "\\",
    ];
    for part in parts {
        for before in ["", " \n", "\"", "#"] {
            let text = before.repeat(4_000) + &part.repeat(20_000 / part.len());
            let read = Search::new(&text, None).read_bytes;
            assert!(
                read <= TIMES * text.len(),
                "{part:?} after {before:?}: {read} of {} bytes",
                text.len()
            );
        }
    }
}

#[test]
fn adjacent_python_strings_are_read_as_one() {
    let halves = |quote: &str, joint: &str| {
        let text = DARTS_V2.replace("_concat=", &format!("_concat={joint}"));
        format!(
            "{quote}{}{quote}",
            text.replacen("t', 2)", &format!("{joint}t', 2)"), 1)
        )
    };
    let notebook = DARTS_V2.replace("_concat=", "_concat=\\n\",\n    \"");
    for text in [
        format!("g = {}", halves("\"", "\" \\\n     \"")),
        format!("g = ({})", halves("\"", "\"\n     \"")),
        format!("g = {}", halves("\"", "\" + \\\r\n  \"")),
        format!("g = {}", halves("\"", "\"+\"")),
        format!(
            "g = {}",
            halves("'", "'\n '")
                .replace("('", "(\"")
                .replace("',", "\",")
                .replace("_connect' ", "_connect\"")
        ),
        format!("{{\"source\": [\"DARTS = {notebook}\\n\"]}}"),
    ] {
        assert_eq!(read(&text), DARTS_V2, "{text}");
    }
    let two = format!("A = {}\nB = {DARTS_V1}\n", halves("\"", "\" \\\n \""));
    assert!(says(&two).contains("there are several, say which by its name or line: A (line 1), B (line 5)"));
    assert_eq!(Genotype::parse_named(&two, "5").unwrap().to_string(), DARTS_V1);
    assert_eq!(Genotype::parse_named(&two, "A").unwrap().to_string(), DARTS_V2);
    let unknown = format!("x\n{}", halves("\"", "\"\n\"").replace("dil_conv_3x3", "dil_conv_9x9"));
    let error = Genotype::parse(&unknown).unwrap_err();
    assert!(unknown[error.at..].starts_with("'dil_conv_9x9"), "{error}");
}

#[test]
fn html_and_csv_quotes_are_quotes() {
    let quoted = DARTS_V2.replace('\'', "\"");
    let json = quoted
        .replace("Genotype(", "{\"")
        .replace(", normal_", ", \"normal_")
        .replace(", reduce", ", \"reduce")
        .replace('=', "\": ")
        .replace("5])", "5]}");
    for text in [
        format!("<pre>{}</pre>", DARTS_V2.replace('\'', "&#39;")),
        DARTS_V2.replace('\'', "&#x27;"),
        quoted.replace('"', "&quot;"),
        format!("epoch,genotype\n1,\"{}\"\n", quoted.replace('"', "\"\"")),
        format!("epoch,genotype\n1,\"{}\"\n", json.replace('"', "\"\"")),
        format!("{{\"genotype\": \"{}\"}}", DARTS_V2.replace('\'', "\\u2019")),
    ] {
        assert_eq!(read(&text), DARTS_V2, "{text}");
    }
    let two = format!("1,\"{}\"\n2,\"{DARTS_V1}\"\n", json.replace('"', "\"\""));
    assert!(says(&two).contains("several"), "{}", says(&two));
    let both = format!("{DARTS_V1}, {}", DARTS_V2.replace('\'', "&#39;"));
    assert!(says(&both).contains("several in line 1"), "{}", says(&both));
    // The `#` of an HTML entity does not begin a comment.
    let line = format!("{DARTS_V1}, {DARTS_V2}").replace('\'', "&#39;");
    assert!(says(&line).contains("several in line 1"), "{}", says(&line));
}

#[test]
fn the_plain_form_is_read_in_linear_time() {
    for part in [
        "' + ",
        "'\n",
        "\" \\\n",
        "\\n\", ",
        "&#39;",
        "(\"\"a",
        "[&quot;",
        "{'' ",
        "'(' +\n",
        "Genotype(' '",
    ] {
        let text = part.repeat(20_000 / part.len());
        assert!(Genotype::parse(&text).is_err());
        if let Some(plain) = Plain::of(&text) {
            let read = Search::of(&text, Some(&plain), None).read_bytes;
            assert!(read <= 24 * text.len(), "{part:?}: {read} of {} bytes", text.len());
        }
    }
}

#[test]
fn rows_of_quoted_cells_are_not_joined() {
    let row = |genotype: &str, accuracy: &str| format!("\"{genotype}\",\"{accuracy}\"\n");
    let table = ["\"genotype\",\"acc\"\n", &row(DARTS_V2, "97.1"), &row(DARTS_V1, "97.3")].concat();
    let error = says(&table);
    assert!(
        error.contains("several") && error.contains("line 2") && error.contains("line 3"),
        "{error}"
    );
    assert_eq!(Genotype::parse_named(&table, "3").unwrap().to_string(), read(DARTS_V1));
    let column = format!("\"{BENCH}\"\n\"{}\"\n", BENCH.replace("avg_pool_3x3", "none"));
    assert!(says(&column).contains("several"), "{}", says(&column));
}
