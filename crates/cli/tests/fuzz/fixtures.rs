//! Small valid inputs in every format, and functions that repair checksums, so that damage gets
//! past them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Bytes of a CIFAR-10 record.
pub const RECORD_BYTES: usize = 1 + 3 * 32 * 32;

/// Settings of a run with genotype and network of the usual size.
pub const RUN: &str = "data.limit=64 data.test_limit=40 search.epochs=2 search.warmup_epochs=1 search.channels=2 \
                       search.batch_size=16 network.epochs=2 network.channels=2 network.cells=3 network.batch_size=16 run.threads=1";
/// Settings of the smallest run whose files contain everything: two kinds of cells, edges that are
/// kept and edges that are pruned.
pub const SMALL_RUN: &str = "space.nodes=2 data.limit=64 data.test_limit=10 search.epochs=1 search.warmup_epochs=0 search.channels=2 \
                             search.cells=3 search.batch_size=16 network.epochs=2 network.channels=2 network.cells=3 \
                             network.batch_size=16 run.threads=1";

/// Creates a finished run, with its network exported, also in int8, in the directory `run`.
pub fn run(run: &Path, settings: &str) -> PathBuf {
    let da2s = |command: &mut Command| assert!(command.output().unwrap().status.success());
    let mut arguments = Command::new(env!("CARGO_BIN_EXE_da2s"));
    arguments.arg("run");
    for setting in settings.split_whitespace() {
        arguments.args(["--set", setting]);
    }
    da2s(arguments.args(["--quiet", "--out"]).arg(run));
    da2s(
        Command::new(env!("CARGO_BIN_EXE_da2s"))
            .arg("export")
            .arg(run)
            .args(["--format", "safetensors"]),
    );
    da2s(
        Command::new(env!("CARGO_BIN_EXE_da2s"))
            .arg("quantise")
            .arg(run)
            .args(["--images", "16"]),
    );
    run.to_owned()
}

/// The files of CIFAR-10's binary version, one image each.
pub fn cifar(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("batches.meta.txt"), CLASSES.replace(' ', "\n")).unwrap();
    for name in BATCHES {
        fs::write(dir.join(format!("{name}.bin")), [7; RECORD_BYTES]).unwrap();
    }
}

/// Names of CIFAR-10's classes.
pub const CLASSES: &str = "airplane automobile bird cat deer dog frog horse ship truck";
/// Names of CIFAR-10's files.
pub const BATCHES: [&str; 6] = [
    "data_batch_1",
    "data_batch_2",
    "data_batch_3",
    "data_batch_4",
    "data_batch_5",
    "test_batch",
];

/// A pickle of CIFAR's Python version with one image.
pub fn pickle() -> Vec<u8> {
    let pixels = [9; RECORD_BYTES - 1];
    [
        &b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\t(K\x01"
            [..],
        b"J\x01\x00\x00\x00J\x00\x0c\x00\x00\x86cnumpy\ndtype\nq\nU\x02u1K\x00K\x01\x87Rq\x0b(K\x03U\x01|NNN",
        b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T\x00\x0c\x00\x00",
        &pixels,
        b"tbU\x06labelsq\x03]q\x04(K\x07eU\tfilenamesq\x05]q\x06(U\x05a.pngeu.",
    ]
    .concat()
}

/// A pickle with the names of the classes.
pub fn names_pickle() -> Vec<u8> {
    let names = CLASSES
        .split(' ')
        .flat_map(|name| [&[b'U', name.len() as u8], name.as_bytes()].concat());
    [
        &b"\x80\x02}(U\x0blabel_names]("[..],
        &names.collect::<Vec<u8>>(),
        b"eu.",
    ]
    .concat()
}

/// The folder `dir` as a tar archive.
pub fn tar(dir: &Path) -> Vec<u8> {
    let mut archive = Vec::new();
    for name in BATCHES
        .map(|name| format!("{name}.bin"))
        .iter()
        .map(String::as_str)
        .chain(["batches.meta.txt"])
    {
        let bytes = fs::read(dir.join(name)).unwrap();
        let mut header = [0; 512];
        let inner = format!("cifar-10-batches-bin/{name}");
        header[..inner.len()].copy_from_slice(inner.as_bytes());
        header[100..107].copy_from_slice(b"0000644");
        header[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        archive.extend_from_slice(&header);
        archive.extend_from_slice(&bytes);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// Repairs the header checksums of a tar archive, and compresses it.
pub fn packed_tar(mut archive: Vec<u8>) -> Vec<u8> {
    let mut at = 0;
    while let Some(header) = archive.get_mut(at..at + 512) {
        // An archive ends with blocks of zeros.
        if header.iter().all(|&byte| byte == 0) {
            at += 512;
            continue;
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        let digits = std::str::from_utf8(&header[124..135]).unwrap_or_default();
        let size = u32::from_str_radix(digits.trim_matches(['\0', ' ']), 8).unwrap_or(0) as usize;
        at += 512 + size.next_multiple_of(512);
    }
    packed(archive)
}

/// Compresses with gzip at the fastest level.
pub fn packed(bytes: Vec<u8>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&bytes).unwrap();
    encoder.finish().unwrap()
}

/// The files of the image corpus with these endings.
pub fn corpus(endings: &[&str]) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/tests/corpus/files");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            endings
                .iter()
                .any(|&ending| path.extension().is_some_and(|found| found == ending))
        })
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Repairs the checksum of every chunk of a PNG file.
pub fn checked_png(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut at = 8;
    while let Some(&[a, b, c, d]) = bytes.get(at..at + 4) {
        let end = at + 8 + u32::from_be_bytes([a, b, c, d]) as usize;
        let Some(chunk) = bytes.get(at + 4..end) else { break };
        let mut sum = flate2::Crc::new();
        sum.update(chunk);
        let sum = sum.sum().to_be_bytes();
        let Some(place) = bytes.get_mut(end..end + 4) else {
            break;
        };
        place.copy_from_slice(&sum);
        at = end + 4;
    }
    bytes
}

/// An IDX file.
pub fn idx(sizes: &[u32], numbers: usize) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sizes.len() as u8];
    bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    bytes.resize(bytes.len() + numbers, 3);
    bytes
}

/// Texts that contain the genotype `darts` and others in the forms that people use.
pub fn genotypes(darts: &str) -> Vec<String> {
    let mask = |place: usize, count: usize| format!("{:?}", (0..count).map(|at| at == place).collect::<Vec<_>>());
    let nni = |cell: &str| {
        let (p0, p1) = (mask(3, 7), mask(0, 8));
        format!("\"{cell}_n2_p0\": {p0}, \"{cell}_n2_p1\": {p1}, \"{cell}_n2_switch\": [true, true]")
    };
    let nodes = "[('skip_connect', 2, 0), ('sep_conv_3x3', 2, 1)]";
    let groups = "((('skip_connect', 0), ('sep_conv_3x3', np.int64(1))),)";
    vec![
        format!("from x import y\nA = {darts}\n# B = {darts}\nC = A\n"),
        format!("2020-01-01 13:25:46,379 genotype = {darts} # 1.87\r\n"),
        format!("{{\"arch\": \"{}\"}}", darts.replace('\'', "\\\"")),
        format!("{{{}, {}}}", nni("normal"), nni("reduce")),
        format!("Genotype(normal={nodes}, normal_concat=range(2, 3), reduce={nodes}, reduce_concat=[2])"),
        format!("{{'normal': {groups}, 'normal_concat': [2], 'reduce': {groups}, 'reduce_concat': [2]}}"),
        "{'0_1': 'none', '0_2': 'conv_1x1', '1_2': 3, '0_3': 'none', '1_3': 'none', '2_3': 'skip_connect'}".to_owned(),
        format!("<pre>A = {}</pre>", darts.replace('\'', "&#39;")),
        format!("1,\"{}\"\n", darts.replace('\'', "\"\"")),
        format!("A = \"{}\"", darts.replace("_concat=", "_concat=\" + \\\n \"")),
        format!("[\"{}\"]", darts.replace("_concat=", "_concat=\\n\", \"")),
        darts.replace(", 0)", ", 0, 0.31)"),
        "|none~0|+\n|none~0|none~1| + |none~0|none~1|none~2|".to_owned(),
        "Genotype(stages=[['mbconv_k3_e3', None], [('mbconv_k5_e6', 'mbconv_k7_e1')]])".to_owned(),
        "[(('none', 0),), (('none', 0), ('none', 1)), (('none', 0), ('none', 1), ('none', 2))]".to_owned(),
    ]
}
