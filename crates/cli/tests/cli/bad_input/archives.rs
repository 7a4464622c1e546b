//! CIFAR's archives as downloaded, and downloads from a test server.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::data::cifar;
use super::{Case, case};

const ARCHIVE: &str = "cifar-10-binary.tar.gz";

/// The header of an archive member, with its checksum.
fn header(name: &[u8], size: [u8; 12], kind: u8, link: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..name.len()].copy_from_slice(name);
    header[100..107].copy_from_slice(b"0000644");
    header[124..136].copy_from_slice(&size);
    header[148..156].fill(b' ');
    header[156] = kind;
    header[157..157 + link.len()].copy_from_slice(link);
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header
}

fn octal(size: usize) -> [u8; 12] {
    let mut digits = [0; 12];
    digits[..11].copy_from_slice(format!("{size:011o}").as_bytes());
    digits
}

/// A regular file, padded to whole blocks.
fn member(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut member = header(name.as_bytes(), octal(bytes.len()), b'0', b"");
    member.extend_from_slice(bytes);
    member.resize(member.len().next_multiple_of(512), 0);
    member
}

/// The files of CIFAR-10 except the fourth, under `prefix`.
fn members(dir: &Path, prefix: &str) -> Vec<u8> {
    let files = dir.join("files");
    fs::create_dir(&files).unwrap();
    cifar(&files);
    let mut all = Vec::new();
    for name in [
        "batches.meta.txt",
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_5.bin",
        "test_batch.bin",
    ] {
        all.extend(member(
            &format!("{prefix}/{name}"),
            &fs::read(files.join(name)).unwrap(),
        ));
    }
    fs::remove_dir_all(files).unwrap();
    all
}

/// Compresses `parts`, followed by `zeros` zero bytes.
fn pack(dir: &Path, parts: &[u8], zeros: usize) {
    let mut encoder = GzEncoder::new(fs::File::create(dir.join(ARCHIVE)).unwrap(), Compression::fast());
    encoder.write_all(parts).unwrap();
    let block = vec![0; 1 << 20];
    for _ in 0..zeros >> 20 {
        encoder.write_all(&block).unwrap();
    }
    encoder.finish().unwrap();
}

fn archive(name: &str, says: &[&str], make: impl Fn(&Path) + 'static) -> Case {
    case(
        &format!("archive: {name}"),
        &["run", "cifar10", "--recipe", "digits", "--data-dir", "."],
        3,
        &[&[ARCHIVE], says].concat(),
    )
    .make(make)
    .tiny()
}

/// Starts a server that sends `answer` to every client; returns its address.
fn server(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            // The client may close the connection early.
            let _ = stream.write_all(&answer);
        }
    });
    format!("http://{address}")
}

/// A download into an existing folder.
fn fetch(name: &str, answer: &[u8], says: &[&str]) -> Case {
    let from = server(answer.to_vec());
    let arguments = ["data", "fetch", "mnist", "--out", ".", "--from", &from];
    case(
        &format!("fetch: {name}"),
        &arguments,
        10,
        &[&["train-images-idx3-ubyte.gz"], says].concat(),
    )
}

pub fn cases() -> Vec<Case> {
    let with = |more: Vec<u8>, zeros: usize| {
        move |dir: &Path| {
            let parts = [members(dir, "cifar-10-batches-bin"), more.clone()].concat();
            pack(dir, &parts, zeros);
        }
    };
    let fourth = b"cifar-10-batches-bin/data_batch_4.bin";
    let mut huge = [0; 12];
    huge[0] = 0x80;
    huge[5..].fill(0xff);
    vec![
        archive("no gzip", &["cannot read"], |dir| {
            fs::write(dir.join(ARCHIVE), "nothing").unwrap()
        }),
        archive("empty", &["cannot read"], |dir| {
            fs::write(dir.join(ARCHIVE), "").unwrap()
        }),
        archive("cut", &["cannot read"], |dir| {
            pack(dir, &members(dir, "cifar-10-batches-bin"), 0);
            let whole = fs::read(dir.join(ARCHIVE)).unwrap();
            fs::write(dir.join(ARCHIVE), &whole[..whole.len() / 2]).unwrap();
        }),
        archive(
            "a file too few",
            &["expected data_batch_4.bin in it"],
            with(Vec::new(), 0),
        ),
        archive(
            "a path upward",
            &["only paths inside the archive, not a/../../b/batches.meta.txt"],
            |dir| {
                pack(dir, &members(dir, "a/../../b"), 0);
            },
        ),
        archive(
            "an absolute path",
            &["only paths inside the archive, not /etc/data_batch_4.bin"],
            with(member("/etc/data_batch_4.bin", b"x"), 0),
        ),
        archive(
            "a link that leaves",
            &["expected data_batch_4.bin in it"],
            with(header(fourth, octal(0), b'2', b"/etc/passwd"), 0),
        ),
        archive(
            "a hard link that leaves",
            &["expected data_batch_4.bin in it"],
            with(header(fourth, octal(0), b'1', b"../../../../etc/passwd"), 0),
        ),
        archive(
            "a device",
            &["expected data_batch_4.bin in it"],
            with(header(fourth, octal(0), b'3', b""), 0),
        ),
        archive(
            "a file that is a bomb",
            &["more than 268435456 bytes"],
            with(header(fourth, octal(300 << 20), b'0', b""), 300 << 20),
        ),
        archive(
            "another file that is a bomb",
            &["more than 268435456 bytes"],
            with(
                header(b"cifar-10-batches-bin/readme.html", octal(1 << 30), b'0', b""),
                300 << 20,
            ),
        ),
        archive(
            "a name that is a bomb",
            &["more than 268435456 bytes"],
            with(header(b"././@LongLink", octal(1 << 30), b'L', b""), 300 << 20),
        ),
        archive(
            "a file of 8 EB",
            &["cannot read"],
            with(header(fourth, huge, b'0', b""), 0),
        ),
        fetch(
            "not found",
            b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n",
            &["404"],
        ),
        fetch("no HTTP", b"nothing\r\n\r\n", &["cannot fetch"]),
        fetch(
            "a redirection without end",
            b"HTTP/1.1 302 Found\r\nLocation: /train-images-idx3-ubyte.gz\r\nConnection: close\r\n\r\n",
            &["cannot fetch"],
        ),
        // As long as the published file, plus one byte.
        fetch(
            "another file",
            &[
                &b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"[..],
                &vec![7; 9_912_422],
            ]
            .concat(),
            &["is not the published file"],
        ),
        fetch(
            "a file without an end",
            &[
                &b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"[..],
                &vec![7; 30_000_000],
            ]
            .concat(),
            &["is not the published file"],
        ),
        case(
            "fetch: an invalid address",
            &["data", "fetch", "mnist", "--out", ".", "--from", "no address"],
            10,
            &["cannot fetch"],
        ),
        case(
            "fetch: a data set that nobody publishes",
            &["data", "fetch", "images", "--out", "out"],
            2,
            &["cannot be fetched"],
        ),
    ]
}
