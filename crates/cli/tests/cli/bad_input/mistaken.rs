//! Mistyped paths, and files and folders of one kind where another is expected.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use image::ImageFormat;

use super::data::{folder, picture, write};
use super::runs::finished_copy;
use super::{Case, case, pipe};

const LFS: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
const PAGE: &str = "<!DOCTYPE html><html><body>404</body></html>";
const ARCH: &str = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|";
const GENOTYPE: &str = "Genotype(normal=[('skip_connect', 0)], normal_concat=[2], normal_nodes=[1], reduce=[('skip_connect', 0)], \
                        reduce_concat=[2], reduce_nodes=[1])";

pub fn cases() -> Vec<Case> {
    [runs(), images(), genotypes(), weights()]
        .into_iter()
        .flatten()
        .collect()
}

/// A run that does not exist, or something that is not a run.
fn runs() -> Vec<Case> {
    let nothing =
        |arguments: &[&str], says: &[&str]| case(&format!("no such run: {}", arguments.join(" ")), arguments, 5, says);
    let resume = [
        "there is no run in typo: the directory does not exist",
        "start again without --resume",
    ];
    let not_a_run = ["typo is not a run directory"];
    let is_a_run = [
        "run is a run directory, not a folder of images",
        "`da2s run --resume --out run`",
    ];
    let as_images = |arguments: &[&str]| {
        case(
            &format!("a run for images: {}", arguments.join(" ")),
            arguments,
            2,
            &is_a_run,
        )
        .make(finished_copy)
    };
    vec![
        nothing(&["run", "--resume", "--out", "typo"], &resume),
        nothing(
            &["run", "--resume", "-q", "--genotype", GENOTYPE, "--out", "typo"],
            &resume,
        ),
        nothing(&["search", "digits", "--resume", "--out", "typo"], &resume),
        nothing(
            &["search", "--resume", "--seed", "3"],
            &["there is no run in runs/digits-da2s-s3"],
        ),
        nothing(&["train", "typo"], &not_a_run),
        nothing(&["train", "typo", "--resume"], &not_a_run),
        nothing(&["discretize", "typo"], &not_a_run),
        nothing(&["evaluate", "typo"], &not_a_run),
        nothing(&["predict", "typo", "x.png"], &not_a_run),
        nothing(&["export", "typo", "--format", "onnx"], &not_a_run),
        nothing(&["report", "typo"], &not_a_run),
        nothing(&["draw", "typo"], &not_a_run),
        nothing(&["watch", "typo", "--http", "0"], &not_a_run),
        as_images(&["run", "run"]),
        as_images(&["search", "run"]),
        as_images(&["run", "--data-dir", "run"]),
        case(
            "evaluate: a file",
            &["evaluate", "run/config.toml"],
            5,
            &["run/config.toml"],
        )
        .make(finished_copy),
        case(
            "evaluate: the file of a run's weights",
            &["evaluate", "run/network/best.safetensors"],
            5,
            &["best.safetensors"],
        )
        .make(finished_copy),
        case(
            "evaluate: a folder of a run",
            &["evaluate", "run/network"],
            5,
            &["run/network is not a run directory"],
        )
        .make(finished_copy),
        case("runs: a file", &["runs", "run/config.toml"], 7, &["run/config.toml"]).make(finished_copy),
        case("runs: a pipe", &["runs", "pipe"], 7, &["pipe"]).make(|dir| pipe(&dir.join("pipe"))),
        case(
            "run: a run in place of a file",
            &["run", "--config", "run", "--out", "out"],
            7,
            &["run"],
        )
        .make(finished_copy),
    ]
}

/// An image in a format that the tests cannot write.
fn tiff() -> Vec<u8> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/tests/corpus/files");
    fs::read(corpus.join("grey-16.tif")).unwrap()
}

/// Other files where images are expected.
fn images() -> Vec<Case> {
    let check = |name: &str, says: &[&str], make: fn(&Path)| {
        case(&format!("data check: {name}"), &["data", "check", "own"], 3, says).make(make)
    };
    let own = |name: &str, says: &[&str], file: &'static str, bytes: Vec<u8>| {
        let arguments = ["run", "own", "--recipe", "digits", "--image-size", "8"];
        case(&format!("images: {name}"), &arguments, 3, &[&[file], says].concat())
            .make(move |dir| {
                folder(&dir.join("own"));
                write(&dir.join("own"), file, &bytes);
            })
            .tiny()
    };
    let mut checksum = picture(ImageFormat::Png, 8);
    let data = checksum.windows(4).position(|four| four == b"IDAT").unwrap();
    checksum[data + 6] ^= 1;
    let mut bitmap = picture(ImageFormat::Bmp, 8);
    bitmap[18..26].copy_from_slice(&[0, 0, 0, 0x40, 0, 0, 0, 0x40]);
    let mut frame = picture(ImageFormat::Gif, 8);
    frame[6..10].copy_from_slice(&[0xff; 4]);
    let mut page = tiff();
    page[4..8].copy_from_slice(&[0xff; 4]);
    let mut still = picture(ImageFormat::WebP, 8);
    still[4..8].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f]);
    let half = |bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
    vec![
        check("a path that is not there", &["cannot read own", "No such file"], |_| ()),
        check(
            "only test images",
            &["own: expected a folder train/", "beside test/"],
            |dir| {
                fs::create_dir_all(dir.join("own/test/cat")).unwrap();
            },
        ),
        check("two folders for one part", &["not both val/ and valid/"], |dir| {
            folder(&dir.join("own"));
            for part in ["val", "valid"] {
                fs::create_dir(dir.join("own").join(part)).unwrap();
            }
        }),
        check(
            "classes without a file",
            &["own: expected images in its folders, which are empty"],
            |dir| {
                for class in ["cat", "dog"] {
                    fs::create_dir_all(dir.join("own").join(class)).unwrap();
                }
            },
        ),
        check(
            "one class without a file",
            &["emu", "it is empty", "remove the folder"],
            |dir| {
                folder(&dir.join("own"));
                fs::create_dir(dir.join("own/train/emu")).unwrap();
            },
        ),
        check(
            "photographs from a telephone",
            &["train/dog", "it contains only 3 .heic files"],
            |dir| {
                folder(&dir.join("own"));
                for number in 0..3 {
                    let file = |ending: &str| dir.join(format!("own/train/dog/{number}.{ending}"));
                    fs::rename(file("png"), file("heic")).unwrap();
                }
            },
        ),
        check(
            "test images without classes",
            &["own/test", "found only 1 image outside", "sort them by class"],
            |dir| {
                folder(&dir.join("own"));
                fs::remove_dir_all(dir.join("own/test")).unwrap();
                fs::create_dir(dir.join("own/test")).unwrap();
                write(&dir.join("own/test"), "0.png", picture(ImageFormat::Png, 8));
            },
        ),
        check("a pipe", &["own"], |dir| pipe(&dir.join("own"))),
        check("two tables", &["one table of labels"], |dir| {
            fs::create_dir(dir.join("own")).unwrap();
            for name in ["labels.csv", "labels.tsv"] {
                write(&dir.join("own"), name, "path,label\na,b\n");
            }
        }),
        check(
            "a table with a separator and no more",
            &["labels.csv, line 2", "an empty file"],
            |dir| {
                fs::create_dir(dir.join("own")).unwrap();
                write(&dir.join("own"), "labels.csv", "sep=;\n");
            },
        ),
        own(
            "a wrong checksum of a chunk",
            &["damaged PNG", "CRC error", "IDAT chunk"],
            "train/cat/1.png",
            checksum,
        ),
        own("a pointer of Git LFS", &["not an image"], "train/cat/1.png", LFS.into()),
        own(
            "a page instead of a download",
            &["not an image"],
            "train/dog/9.jpg",
            PAGE.into(),
        ),
        own(
            "HEIC by another name",
            &["HEIC"],
            "train/cat/9.jpg",
            b"\0\0\0\x18ftypheic\0\0\0\0".to_vec(),
        ),
        own(
            "AVIF by another name",
            &["AVIF"],
            "train/cat/9.webp",
            b"\0\0\0\x18ftypavif\0\0\0\0".to_vec(),
        ),
        own(
            "JPEG XL by another name",
            &["JPEG XL"],
            "train/cat/9.jpg",
            b"\xff\x0a\0\0".to_vec(),
        ),
        own(
            "SVG by another name",
            &["SVG"],
            "train/cat/9.png",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(),
        ),
        own(
            "PDF by another name",
            &["PDF"],
            "train/cat/9.tif",
            b"%PDF-1.7\n".to_vec(),
        ),
        own(
            "an archive",
            &["not an image"],
            "train/cat/9.png",
            b"PK\x03\x04".to_vec(),
        ),
        own("BMP bomb", &["9.bmp"], "train/cat/9.bmp", bitmap),
        own("GIF bomb", &["9.gif"], "train/cat/9.gif", half(frame)),
        own("TIFF without a directory", &["damaged TIFF"], "train/cat/9.tif", page),
        own("WebP of another length", &["damaged WebP"], "train/cat/9.webp", still),
        own(
            "cut BMP",
            &["damaged BMP"],
            "train/cat/9.bmp",
            half(picture(ImageFormat::Bmp, 8)),
        ),
        own("cut TIFF", &["damaged TIFF"], "train/cat/9.tiff", half(tiff())),
        own(
            "cut WebP",
            &["damaged WebP"],
            "train/cat/9.webp",
            half(picture(ImageFormat::WebP, 8)),
        ),
        own(
            "cut GIF",
            &["damaged GIF"],
            "train/cat/9.gif",
            half(picture(ImageFormat::Gif, 8)),
        ),
    ]
}

/// Files, pipes and devices where genotypes are expected.
fn genotypes() -> Vec<Case> {
    let given = |name: &str, what: &str, says: &[&str]| {
        case(
            &format!("genotype: {name}"),
            &["genotype", what],
            7,
            &[&["cannot read"], says].concat(),
        )
    };
    vec![
        given(
            "a file that is not there",
            "nothing.txt",
            &["nothing.txt", "No such file"],
        ),
        given(
            "a missing file with a space in its name",
            "my genotype.py",
            &["my genotype.py", "No such file"],
        ),
        given(
            "a run that is not there",
            "runs/digits-da2s-s1",
            &["runs/digits-da2s-s1", "No such file"],
        ),
        given(
            "a name in a file that is not there",
            "nothing.py:DARTS_V2",
            &["nothing.py:DARTS_V2", "No such file"],
        ),
        given("a pipe", "pipe", &["pipe", "not a regular file"]).make(|dir| pipe(&dir.join("pipe"))),
        given("a device", "/dev/zero", &["/dev/zero", "not a regular file"]),
        given("a file that is no text", "own.bin", &["own.bin", "UTF-8"])
            .make(|dir| write(dir, "own.bin", b"\x80\x04\x95\xff")),
        given("a folder", "own", &["own/genotype.json"]).make(|dir| fs::create_dir(dir.join("own")).unwrap()),
        case(
            "genotype: a run whose file is a pipe",
            &["genotype", "run"],
            5,
            &["genotype.json", "not a regular file"],
        )
        .make(|dir| {
            finished_copy(dir);
            fs::remove_file(dir.join("run/genotype.json")).unwrap();
            pipe(&dir.join("run/genotype.json"));
        }),
        case(
            "genotype: a run whose file is a link",
            &["genotype", "run"],
            5,
            &["genotype.json", "link"],
        )
        .make(|dir| {
            finished_copy(dir);
            fs::remove_file(dir.join("run/genotype.json")).unwrap();
            write(dir, "own.txt", ARCH);
            symlink("../own.txt", dir.join("run/genotype.json")).unwrap();
        }),
        case(
            "run: a file for the text of a genotype",
            &["run", "--genotype", "own.txt", "--out", "out"],
            2,
            &["--genotype takes the text of a genotype, but own.txt looks like a file; use --genotype-file"],
        )
        .make(|dir| write(dir, "own.txt", GENOTYPE)),
        case(
            "discretize: a file for the text of a genotype",
            &["discretize", "run", "--genotype", "own.txt"],
            2,
            &["--genotype takes the text of a genotype, but own.txt looks like a file; use --genotype-file"],
        )
        .make(|dir| {
            finished_copy(dir);
            write(dir, "own.txt", GENOTYPE);
        }),
        case(
            "run: a text for the file of a genotype",
            &["run", "--genotype-file", ARCH, "--out", "out"],
            7,
            &["|none~0|"],
        ),
    ]
}

/// Other files where weights are expected.
fn weights() -> Vec<Case> {
    let import = |name: &str, path: &str, code: i32, says: &[&str]| {
        let arguments = ["import", "digits", "--genotype", GENOTYPE, "--weights", path];
        case(&format!("import: {name}"), &arguments, code, &[&[path], says].concat()).tiny()
    };
    let file = |name: &str, bytes: &'static [u8]| {
        import(name, "own.bin", 5, &["not a safetensors file"]).make(move |dir| write(dir, "own.bin", bytes))
    };
    vec![
        file("ONNX", b"\x08\x08\x12\x04da2s\x1a\x050.1.0:\xff\x01"),
        file("HDF5", b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0"),
        file(
            "NumPy",
            b"\x93NUMPY\x01\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }",
        ),
        file("a pointer of Git LFS", LFS.as_bytes()),
        file("a page instead of a download", PAGE.as_bytes()),
        import("a pipe", "pipe", 7, &["not a regular file"]).make(|dir| pipe(&dir.join("pipe"))),
        import("a device", "/dev/zero", 7, &["not a regular file"]),
        import("a run", "run", 7, &["cannot read"]).make(finished_copy),
        import(
            "a run's configuration",
            "run/config.toml",
            5,
            &["not a safetensors file"],
        )
        .make(finished_copy),
    ]
}
