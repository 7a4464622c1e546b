//! The table of targets: every parser of external bytes, with valid inputs and its memory limit.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use da2s::config::{Layer, resolve};
use da2s::data::{DataOptions, Format, Image, LabelTable, open};
use da2s::network::LatencyTable;
use da2s::run::{Checkpoint, RunDirectory};
use da2s::space::arch_201::Arch201;
use da2s::space::lookup::Benchmark;
use da2s::space::{Genotype, GenotypeForm};
use da2s_images::MOST_DECODED_BYTES;
use da2s_infer::Network;
use da2s_pages::{Posted, Request, Uploads, address};
use da2s_records::{Named, WeightsFile};

use crate::fixtures::{self, BATCHES, CLASSES};
use crate::runs;

/// Memory that any parser may allocate in addition to its share of the input.
pub const MOST_BYTES: usize = 64 << 20;
/// Parses an input; returns whether it was accepted.
pub type Parser = Box<dyn Fn(&[u8]) -> bool>;

/// A parser under test.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Valid inputs.
    pub seeds: Vec<Vec<u8>>,
    /// Texts that its format contains.
    pub words: &'static [&'static str],
    /// Applied to an input after it is damaged.
    pub finish: fn(Vec<u8>) -> Vec<u8>,
    /// Bytes that a case may allocate in addition to its share of the input.
    pub most_bytes: usize,
    /// Relative cost of a case: the number of runs is divided by it.
    pub cost: u64,
    /// The parser.
    pub run: Parser,
}

impl Target {
    pub fn new(name: &'static str, seeds: Vec<Vec<u8>>, words: &'static [&'static str], run: Parser) -> Self {
        Self {
            name,
            seeds,
            words,
            finish: |bytes| bytes,
            most_bytes: MOST_BYTES,
            cost: 1,
            run,
        }
    }
}

/// Chunk types of PNG.
const PNG: &[&str] = &[
    "IHDR", "PLTE", "tRNS", "IDAT", "IEND", "zTXt", "iCCP", "acTL", "fcTL", "eXIf",
];
/// Texts of JSON.
pub const JSON: &[&str] = &[
    "{", "[", "]", "}", "\"", ",", ":", "null", "-", "1e400", "\\u0000", "\"a\":", "[[", "NaN", "\n",
];
/// Texts of TOML.
pub const TOML: &[&str] = &[
    "[",
    "]",
    "{",
    "\"",
    "'''",
    "=",
    ".",
    "[[",
    "nan",
    "inf",
    "-",
    "\n",
    "a.",
    "1979-05-27",
    "search.",
    "true",
];
const PICKLE: &[&str] = &[
    "\u{2}", "(", "]", "}", "e", "u", "q\u{1}", "h\u{1}", "K\u{1}", "U\u{1}a", "a", "s", "t", "R", "b", ")", "N", "0",
];
const GENOTYPE: &[&str] = &[
    "Genotype(",
    "(",
    ")",
    "[",
    "]",
    "'",
    "\"",
    "range(2, 6)",
    "A = ",
    "{'",
    "': ",
    "#",
    "\n",
    "\\",
    "True",
    "np.int64(",
    ", 0.5)",
    "&#39;",
    "\"\"",
    "' + '",
    "\\n\", \"",
    "OrderedDict(",
    "skip_connect",
    "none",
    "|",
    "~0|",
    "+|",
    "normal_nodes=[1, 2]",
    ",",
    "{",
    "\u{e9}",
];
const HTTP: &[&str] = &[
    "GET ",
    "HEAD ",
    " HTTP/1.1\r\n",
    "\r\n",
    "Host: ",
    "Origin: ",
    ":",
    "[",
    "]",
    "127.0.0.1",
    "localhost",
    "\0",
    "a: b\r\n",
    "?",
    "#",
];
const NONE: &[&str] = &["\0", "\u{7f}"];

/// Every target; files are written below `scratch`.
pub fn all(scratch: &Path) -> Vec<Target> {
    let run = fixtures::run(&scratch.join("run"), fixtures::RUN);
    let small = fixtures::run(&scratch.join("small"), fixtures::SMALL_RUN);
    let mut targets = data(scratch);
    targets.extend(texts(scratch, &run));
    targets.extend(weights(scratch, &run));
    targets.extend(runs::all(scratch, &small));
    targets.push(http());
    targets
}

/// A folder for a target to write to.
fn empty(scratch: &Path, name: &str) -> PathBuf {
    let dir = scratch.join(name);
    fs::create_dir_all(&dir).unwrap();
    dir
}

/// Data sets and images.
fn data(scratch: &Path) -> Vec<Target> {
    let opens = |format: Format, dir: PathBuf, file: &'static str| -> Parser {
        Box::new(move |bytes| {
            fs::write(dir.join(file), bytes).unwrap();
            open(format, Some(&dir), &DataOptions::default()).is_ok()
        })
    };
    // One folder per target, so that they do not share damaged files.
    let binary = |name: &str| {
        let dir = scratch.join(name);
        fixtures::cifar(&dir);
        dir
    };
    let python = |name: &str| {
        let dir = empty(scratch, name);
        fs::write(dir.join("batches.meta"), fixtures::names_pickle()).unwrap();
        for name in BATCHES {
            fs::write(dir.join(name), fixtures::pickle()).unwrap();
        }
        dir
    };
    let (images, labels) = (fixtures::idx(&[2, 28, 28], 1568), fixtures::idx(&[2], 2));
    let idx = |name: &str| {
        let dir = empty(scratch, name);
        for part in ["train", "t10k"] {
            fs::write(dir.join(format!("{part}-images-idx3-ubyte")), &images).unwrap();
            fs::write(dir.join(format!("{part}-labels-idx1-ubyte")), &labels).unwrap();
        }
        dir
    };
    let tar = fixtures::tar(&binary("packed"));
    let packed = idx("idx-gzip");
    fs::remove_file(packed.join("train-images-idx3-ubyte")).unwrap();
    let picture = || -> Parser {
        Box::new(|bytes| {
            let channels = if bytes.len().is_multiple_of(2) { 1 } else { 3 };
            let decoded = Image::decode(Path::new("a"), bytes, channels);
            decoded.is_ok_and(|image| image.fit(8, 0.9).pixels().len() == channels * 64)
        })
    };
    let decoder = |target: Target| Target {
        // The decoder's own limit, plus the copy with separate channels.
        most_bytes: 2 * MOST_DECODED_BYTES as usize + MOST_BYTES,
        ..target
    };
    vec![
        Target::new(
            "cifar-binary",
            vec![vec![7; fixtures::RECORD_BYTES]],
            NONE,
            opens(Format::Cifar10, binary("binary"), "data_batch_1.bin"),
        ),
        Target::new(
            "cifar-names",
            vec![CLASSES.replace(' ', "\n").into()],
            &["\n", "\r", " "],
            opens(Format::Cifar10, binary("names"), "batches.meta.txt"),
        ),
        Target::new(
            "cifar-pickle",
            vec![fixtures::pickle()],
            PICKLE,
            opens(Format::Cifar10, python("python"), "data_batch_1"),
        ),
        Target::new(
            "cifar-names-pickle",
            vec![fixtures::names_pickle()],
            PICKLE,
            opens(Format::Cifar10, python("python-names"), "batches.meta"),
        ),
        Target {
            finish: fixtures::packed_tar,
            ..Target::new(
                "cifar-tar",
                vec![tar.clone()],
                &["../", "/", "\0", "ustar", "./././@LongLink"],
                opens(Format::Cifar10, empty(scratch, "tar"), "cifar-10-binary.tar.gz"),
            )
        },
        Target::new(
            "cifar-gzip",
            vec![fixtures::packed_tar(tar)],
            NONE,
            opens(Format::Cifar10, empty(scratch, "gzip"), "cifar-10-binary.tar.gz"),
        ),
        Target::new(
            "idx-images",
            vec![images.clone()],
            NONE,
            opens(Format::Mnist, idx("idx-images"), "train-images-idx3-ubyte"),
        ),
        Target::new(
            "idx-labels",
            vec![labels.clone()],
            NONE,
            opens(Format::Mnist, idx("idx-labels"), "train-labels-idx1-ubyte"),
        ),
        Target::new(
            "idx-gzip",
            vec![fixtures::packed(images)],
            NONE,
            opens(Format::Fashion, packed, "train-images-idx3-ubyte.gz"),
        ),
        Target::new(
            "label-table",
            vec![
                b"path,label,part\na/1.png,cat,train\na/2.png,dog,test\n".to_vec(),
                b"sep=|\npath|label\na.png|cat\nb.png|dog\n".to_vec(),
                "\u{feff}Split;\"File\";Class\r\nval;\"a \"\"1\"\".png\";cat\r\ndev;b\\2.png;dog\r\n".into(),
            ],
            &[
                ",", ";", "\t", "|", "sep=", "\"", "\r\n", "../", "/", "\\", "path", "label", "part", "train",
                "\u{feff}", "C:", "\0",
            ],
            Box::new(|bytes| LabelTable::parse(Path::new("labels.csv"), bytes).is_ok()),
        ),
        decoder(Target::new("png", fixtures::corpus(&["png"]), PNG, picture())),
        decoder(Target {
            finish: fixtures::checked_png,
            ..Target::new("png-checksums", fixtures::corpus(&["png"]), PNG, picture())
        }),
        decoder(Target::new(
            "jpeg",
            fixtures::corpus(&["jpg", "jpe", "jpeg", "JFIF"]),
            &["JFIF\0", "Exif\0\0", "Adobe"],
            picture(),
        )),
        decoder(Target::new(
            "webp",
            fixtures::corpus(&["webp"]),
            &["RIFF", "WEBP", "VP8 ", "VP8L", "VP8X", "ALPH", "ANMF", "EXIF"],
            picture(),
        )),
        decoder(Target::new(
            "bmp",
            fixtures::corpus(&["bmp", "DIB"]),
            &["BM"],
            picture(),
        )),
        decoder(Target::new(
            "tiff",
            fixtures::corpus(&["tif", "tiff"]),
            &["II*\0", "MM\0*"],
            picture(),
        )),
        decoder(Target::new(
            "gif",
            fixtures::corpus(&["gif"]),
            &["GIF89a", "GIF87a", "NETSCAPE2.0"],
            picture(),
        )),
    ]
}

/// Genotypes, architectures, settings, tables.
fn texts(scratch: &Path, run: &Path) -> Vec<Target> {
    let own = fs::read_to_string(run.join("genotype.json")).unwrap();
    let genotype = Genotype::parse(&own).unwrap();
    let forms = GenotypeForm::ALL
        .into_iter()
        .filter_map(|form| genotype.to_form(form).ok());
    let cell = "|none~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|none~2|";
    let genotypes = forms
        .chain([own, cell.to_owned(), "(4, 0, 3, 1, 4, 2)".to_owned()])
        .chain(fixtures::genotypes(&genotype.to_string()))
        .map(String::into_bytes);
    let (settings, table) = (scratch.join("settings.toml"), scratch.join("table.csv"));
    let row = format!(
        "architecture,a-test,b-test\n{cell},54.3,90\n{},12.5,1e1\n",
        cell.replace("nor_conv_3x3", "none")
    );
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let recipe = Layer::recipe("digits").unwrap();
    let table_of = move |bytes: &[u8]| {
        fs::write(&table, bytes).unwrap();
        let arch: Arch201 = cell.parse().unwrap();
        Benchmark::read(&table).is_ok_and(|table| table.look_up(arch).is_ok())
    };
    let packed = fixtures::packed(row.clone().into_bytes());
    let other = format!("sep=;\n;arch_index;arch;params;test-acc\n0;7;{cell};0,3;93,5 %\n");
    let bars = format!("index|genotype|a|\r7.0|\"Structure(4 nodes with {cell})\"|93.5|\r|||\r");
    let latencies = "# by hand\nblock,inputs,outputs,height,width,stride,ms,threads,engine,machine\n\
        conv_3x3,3,16,32,32,1,0.25,1,\"an engine, 2\",m\nmbconv_k3_e6,8,24,32,32,2,0.5,1,\"an engine, 2\",m\n";
    let latency_table = scratch.join("latency.csv");
    let latency_table_of = move |bytes: &[u8]| {
        fs::write(&latency_table, bytes).unwrap();
        LatencyTable::read(&latency_table).is_ok()
    };
    vec![
        Target::new(
            "latency-table",
            vec![latencies.as_bytes().to_vec()],
            &["block", "ms", "stride", "engine", "mbconv_k3_e6"],
            Box::new(latency_table_of),
        ),
        Target::new(
            "genotype",
            genotypes.collect(),
            GENOTYPE,
            Box::new(move |bytes| {
                let text = text(bytes);
                // Both recognise the same forms; the second also searches for a name, which may be
                // missing.
                let _ = Genotype::parse_named(&text, "A");
                Genotype::parse(&text).is_ok_and(|genotype| {
                    for form in GenotypeForm::ALL {
                        // Some forms cannot express every genotype.
                        let _ = genotype.to_form(form);
                    }
                    true
                })
            }),
        ),
        Target::new(
            "arch-201",
            vec![cell.into()],
            GENOTYPE,
            Box::new(move |bytes| text(bytes).parse::<Arch201>().is_ok()),
        ),
        Target::new(
            "config",
            vec![
                fs::read(run.join("config.toml")).unwrap(),
                b"[target]\nedges = 1\nnormal = { edges = [1, 2, 1, 3] }\n".to_vec(),
            ],
            TOML,
            Box::new(move |bytes| {
                fs::write(&settings, bytes).unwrap();
                Layer::file(&settings).is_ok_and(|layer| resolve(&[recipe.clone(), layer]).is_ok())
            }),
        ),
        Target::new(
            "setting",
            vec![
                b"search.regulariser.lambda=0.5".to_vec(),
                b"target.edges=[1, 2]".to_vec(),
            ],
            TOML,
            Box::new(move |bytes| Layer::assignment("--set", &text(bytes)).is_ok()),
        ),
        Target::new(
            "benchmark",
            vec![row.into(), other.into(), bars.into(), packed],
            &[
                "architecture,",
                ",",
                ";",
                "\t",
                "sep=",
                "index",
                "params",
                "\"",
                "\n",
                "|none~0|",
                "nan",
                "100",
                "%",
            ],
            Box::new(table_of),
        ),
    ]
}

/// Weights: of other tools, of checkpoints, of deployed networks.
fn weights(scratch: &Path, run: &Path) -> Vec<Target> {
    let tensors: Vec<Named> = [("stem.0.weight", vec![2, 3]), ("b", vec![1])]
        .map(|(name, shape)| Named {
            name: name.to_owned(),
            data: vec![0.5; shape.iter().product()],
            shape,
        })
        .into();
    let plain = WeightsFile::to_bytes(&tensors, "format", "pt".to_owned()).unwrap();
    let directory = RunDirectory::create(&scratch.join("checkpoints")).unwrap();
    let meta = serde_json::json!({"epoch": 3});
    let whole = Checkpoint { tensors, meta };
    whole.write(&directory, "written.safetensors").unwrap();
    let checkpoint = fs::read(directory.file("written.safetensors")).unwrap();
    let read = directory.file("read.safetensors");
    let [deployed, quantised] = ["network", "network-int8"]
        .map(|name| fs::read(run.join("export").join(format!("{name}.safetensors"))).unwrap());
    vec![
        Target::new(
            "safetensors",
            vec![plain, checkpoint.clone()],
            JSON,
            Box::new(|bytes| WeightsFile::from_bytes(bytes).is_ok()),
        ),
        Target::new(
            "checkpoint",
            vec![checkpoint],
            JSON,
            Box::new(move |bytes| {
                fs::write(&read, bytes).unwrap();
                Checkpoint::<serde_json::Value>::read(&directory, "read.safetensors").is_ok()
            }),
        ),
        Target::new("network", vec![deployed], JSON, Box::new(runs_network)),
        Target::new("network-int8", vec![quantised], JSON, Box::new(runs_network)),
    ]
}

/// Reads a deployed network and runs it.
fn runs_network(bytes: &[u8]) -> bool {
    Network::from_bytes(bytes).is_ok_and(|network| {
        let values = network.preprocessing().len();
        // A network for larger inputs is valid, but its results may be as large as the file claims,
        // so it is not run.
        values > 1024 || network.logits(&[vec![0.5; values]])[0].len() == network.preprocessing().classes.len()
    })
}

/// Requests, addresses, hosts and origins for the server of the page.
fn http() -> Target {
    let get = "GET /news?a=b HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nOrigin: http://127.0.0.1:8080\r\nAccept: */*\r\n\r\n";
    let seeds = [
        get,
        "HEAD / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: localhost\r\n\r\n",
        "POST /predict HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 99\r\nContent-Type: multipart/form-data; boundary=x\r\nExpect: 100-continue\r\n\r\n--x\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\n\r\nbytes\r\n--x--\r\n",
        "127.0.0.1:80",
        "[::1]:9",
    ];
    let uploads = Uploads {
        path: "/predict",
        most_bytes: 1000,
    };
    let bound: [SocketAddr; 3] = ["127.0.0.1:8080", "[::1]:80", "0.0.0.0:1"].map(|address| address.parse().unwrap());
    let run = move |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        for bound in bound {
            let host = address::is_host(bound, &text);
            assert!(
                !host || !text.contains('/') && !text.contains('@'),
                "a host of another kind: {text}"
            );
            if let Some(Ok(path)) = Request::parse(bytes, bound, None).map(|request| request.path) {
                assert!(!path.contains(['?', '#', '\r', '\n', ' ']), "{path}");
            }
        }
        assert!(!address::is_origin("localhost", &text) || text == "http://localhost");
        let posted = Request::parse(bytes, bound[0], Some(uploads));
        if let Some(body) = posted.as_ref().and_then(|request| request.body.as_ref()) {
            assert!(
                body.start <= bytes.len() && body.length <= uploads.most_bytes,
                "{body:?}"
            );
            // A form is parsed whether it is complete or not.
            if let Ok(file) = Posted::of(&body.content_type, &bytes[body.start..]) {
                assert!(file.bytes.len() <= bytes.len() - body.start);
            }
        }
        posted.is_some_and(|request| request.path.is_ok()) || address::parse(&text).is_ok()
    };
    Target::new(
        "http",
        seeds.map(|seed| seed.as_bytes().to_vec()).into(),
        HTTP,
        Box::new(run),
    )
}
