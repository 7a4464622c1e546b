//! Folders of images, IDX files, CIFAR's records and pickles.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Cursor, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;

use image::ImageFormat;

use super::{Case, case, pipe};

/// Bytes of a CIFAR-10 record.
const RECORD_BYTES: usize = 1 + 3 * 32 * 32;
const BATCHES: [&str; 6] = [
    "data_batch_1",
    "data_batch_2",
    "data_batch_3",
    "data_batch_4",
    "data_batch_5",
    "test_batch",
];

/// An image of `side` × `side` pixels.
pub fn picture(format: ImageFormat, side: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image::RgbImage::from_pixel(side, side, image::Rgb([80, 90, 100]))
        .write_to(&mut bytes, format)
        .unwrap();
    bytes.into_inner()
}

/// Classes `cat` and `dog` with three images each in `train` and `test`.
pub fn folder(dir: &Path) {
    for class in ["train/cat", "train/dog", "test/cat", "test/dog"] {
        fs::create_dir_all(dir.join(class)).unwrap();
        for number in 0..3 {
            // The images have different sizes.
            fs::write(
                dir.join(format!("{class}/{number}.png")),
                picture(ImageFormat::Png, 8 + number),
            )
            .unwrap();
        }
    }
}

/// The files of CIFAR-10, twenty images each.
pub fn cifar(dir: &Path) {
    fs::write(
        dir.join("batches.meta.txt"),
        "airplane automobile bird cat deer dog frog horse ship truck".replace(' ', "\n"),
    )
    .unwrap();
    for name in BATCHES {
        let records = (0..20).flat_map(|label| [&[label % 10][..], &[9; RECORD_BYTES - 1]].concat());
        fs::write(dir.join(format!("{name}.bin")), records.collect::<Vec<u8>>()).unwrap();
    }
}

/// An IDX file.
pub fn idx(sizes: &[u32], numbers: &[u8]) -> Vec<u8> {
    let sizes_bytes: Vec<u8> = sizes.iter().flat_map(|size| size.to_be_bytes()).collect();
    [&[0, 0, 8, sizes.len() as u8][..], &sizes_bytes, numbers].concat()
}

/// The four files of MNIST; both parts get these images and labels.
pub fn mnist(dir: &Path, images: &[u8], labels: &[u8]) {
    for part in ["train", "t10k"] {
        fs::write(dir.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
        fs::write(dir.join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
    }
}

/// A PNG header that claims this size, with a valid checksum and nothing after it.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend([width.to_be_bytes(), height.to_be_bytes()].concat());
    chunk.extend([8, 2, 0, 0, 0]);
    let mut sum = flate2::Crc::new();
    sum.update(&chunk);
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\x0d",
        &chunk[..],
        &sum.sum().to_be_bytes(),
        b"\0\0\0\0IDAT",
    ]
    .concat()
}

/// A JPEG file whose header claims 65535×65535 pixels.
fn jpeg_bomb() -> Vec<u8> {
    let mut bytes = picture(ImageFormat::Jpeg, 8);
    let frame = bytes.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
    bytes[frame + 5..frame + 9].fill(0xff);
    bytes
}

pub fn write(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    fs::write(dir.join(name), bytes).unwrap();
}

fn images(name: &str, code: i32, says: &[&str], damage: impl Fn(&Path) + 'static) -> Case {
    images_with(name, &[], code, says, damage)
}

/// A case with folders of images and further arguments.
fn images_with(name: &str, more: &[&str], code: i32, says: &[&str], damage: impl Fn(&Path) + 'static) -> Case {
    let arguments = [
        &[
            "run",
            "images",
            "--recipe",
            "digits",
            "--image-size",
            "8",
            "--data-dir",
            ".",
        ][..],
        more,
    ]
    .concat();
    case(&format!("images: {name}"), &arguments, code, says)
        .make(move |dir| {
            folder(dir);
            damage(dir);
        })
        .tiny()
}

fn records(name: &str, says: &[&str], damage: impl Fn(&Path) + 'static) -> Case {
    case(
        &format!("cifar10: {name}"),
        &["run", "cifar10", "--recipe", "digits", "--data-dir", "."],
        3,
        says,
    )
    .make(move |dir| {
        cifar(dir);
        damage(dir);
    })
    .tiny()
}

fn digits(name: &str, says: &[&str], images: Vec<u8>, labels: Vec<u8>) -> Case {
    case(
        &format!("mnist: {name}"),
        &["run", "mnist", "--recipe", "digits", "--data-dir", "."],
        3,
        says,
    )
    .make(move |dir| mnist(dir, &images, &labels))
    .tiny()
}

/// Whether files without read permission are still readable here, as for root.
fn reads_everything() -> bool {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o0)).unwrap();
    fs::read(file.path()).is_ok()
}

pub fn cases() -> Vec<Case> {
    const LAZY: &str = "data.memory_limit_bytes=0";
    const SKIP: &str = "data.bad_images=skip";
    let damaged = |name: &'static str, bytes: Vec<u8>| move |dir: &Path| write(dir, name, &bytes);
    let mut all = vec![
        case(
            "cifar10: a pickle with a name that is not text",
            &["run", "cifar10", "--recipe", "digits", "--data-dir", "."],
            3,
            &["byte 2", "found a name that is not text"],
        )
        .make(|dir| {
            for name in BATCHES.iter().chain(&["batches.meta"]) {
                write(dir, name, b"\x80\x02c\x1b[31m\n\xffa\n.");
            }
        })
        .tiny(),
        case(
            "run: a missing folder, with --tensorboard",
            &[
                "run",
                "cifar10",
                "--data-dir",
                "nothing",
                "--tensorboard",
                "--out",
                "out",
            ],
            3,
            &["nothing: expected data_batch_1.bin"],
        ),
        images("no folder", 3, &["train/"], |dir| {
            fs::remove_dir_all(dir.join("train")).unwrap()
        }),
        images(
            "two folders for one part",
            3,
            &["validation images", "val/ and valid/"],
            |dir| {
                for part in ["val", "valid"] {
                    fs::create_dir_all(dir.join(part).join("cat")).unwrap();
                }
            },
        ),
        images("one class", 3, &["train", "two or more"], |dir| {
            fs::remove_dir_all(dir.join("train/dog")).unwrap()
        }),
        images("a class without images", 3, &["train/dog", ".png"], |dir| {
            fs::remove_dir_all(dir.join("train/dog")).unwrap();
            fs::create_dir(dir.join("train/dog")).unwrap();
        }),
        images("a class in one part", 3, &["class `emu`"], |dir| {
            fs::create_dir(dir.join("train/emu")).unwrap();
            write(dir, "train/emu/1.png", "");
        }),
        images(
            "empty file",
            3,
            &["cat/1.png", "the file is empty"],
            damaged("train/cat/1.png", Vec::new()),
        ),
        images(
            "another format",
            3,
            &["cat/1.png", "damaged GIF"],
            damaged("train/cat/1.png", b"GIF89a\0\0".to_vec()),
        ),
        images(
            "cut PNG",
            3,
            &["cat/1.png", "damaged PNG"],
            damaged("train/cat/1.png", picture(ImageFormat::Png, 8)[..40].to_vec()),
        ),
        images(
            "cut JPEG",
            3,
            &["cat/9.jpg", "damaged JPEG"],
            damaged("train/cat/9.jpg", picture(ImageFormat::Jpeg, 8)[..80].to_vec()),
        ),
        images(
            "PNG bomb",
            3,
            &["cat/1.png", "damaged PNG"],
            damaged("train/cat/1.png", png_header(65535, 65535)),
        ),
        images(
            "PNG of the largest size",
            3,
            &["cat/1.png", "damaged PNG"],
            damaged("train/cat/1.png", png_header(u32::MAX, u32::MAX)),
        ),
        images(
            "PNG without pixels",
            3,
            &["cat/1.png", "damaged PNG"],
            damaged("train/cat/1.png", png_header(0, 0)),
        ),
        images(
            "JPEG bomb",
            3,
            &["cat/9.jpg", "too large"],
            damaged("train/cat/9.jpg", jpeg_bomb()),
        ),
        images(
            "a file without an end",
            3,
            &["cat/zero.png", "not a regular file"],
            |dir| {
                symlink("/dev/zero", dir.join("train/cat/zero.png")).unwrap();
            },
        ),
        images("a pipe", 3, &["cat/pipe.png", "not a regular file"], |dir| {
            pipe(&dir.join("train/cat/pipe.png"));
        }),
        images("a folder named as an image", 3, &["cat/folder.png"], |dir| {
            fs::create_dir(dir.join("train/cat/folder.png")).unwrap()
        }),
        images("a link to itself", 3, &["cat/loop.png"], |dir| {
            symlink("loop.png", dir.join("train/cat/loop.png")).unwrap()
        }),
        images("a huge file that is empty", 3, &["cat/1.png", "too large"], |dir| {
            // A sparse file: it uses no disk space.
            let file = fs::OpenOptions::new()
                .write(true)
                .open(dir.join("train/cat/1.png"))
                .unwrap();
            file.set_len(300 << 20).unwrap();
            file.write_at(&[1], 0).unwrap();
        }),
        images("a class name not in UTF-8", 3, &["train/", "a name in UTF-8"], |dir| {
            fs::create_dir(dir.join("train").join(OsStr::from_bytes(b"\xff"))).unwrap();
        }),
        images(
            "a name of control characters",
            3,
            &["\\u001b[31m\\n.png"],
            damaged("train/cat/\u{1b}[31m\n.png", b"x".to_vec()),
        ),
        images_with(
            "damaged, read lazily",
            &["--set", LAZY],
            3,
            &["cat/1.png", "not an image"],
            damaged("train/cat/1.png", b"x".to_vec()),
        ),
        images_with(
            "every image of a class is bad",
            &["--set", SKIP],
            3,
            &["dog/", "not an image"],
            |dir| {
                (0..3).for_each(|number| write(dir, &format!("train/dog/{number}.png"), "x"));
            },
        ),
        images_with(
            "every image of a class is bad, read lazily",
            &["--set", SKIP, "--set", LAZY],
            3,
            &["dog/", "not an image"],
            |dir| {
                (0..3).for_each(|number| write(dir, &format!("train/dog/{number}.png"), "x"));
            },
        ),
        case(
            "images: no size",
            &["run", "images", "--recipe", "digits", "--data-dir", "."],
            2,
            &["image_size"],
        )
        .make(folder)
        .tiny(),
        case(
            "images: no data",
            &["run", "images", "--recipe", "digits", "--image-size", "8"],
            2,
            &["data.dir"],
        )
        .tiny(),
        records("no file", &["data_batch_1.bin"], |dir| {
            fs::remove_file(dir.join("data_batch_1.bin")).unwrap()
        }),
        records(
            "an empty file",
            &["data_batch_2.bin", "record 0"],
            damaged("data_batch_2.bin", Vec::new()),
        ),
        records(
            "a truncated record",
            &["data_batch_3.bin", "record 19"],
            damaged("data_batch_3.bin", vec![3; 20 * RECORD_BYTES - 100]),
        ),
        records(
            "a label out of range",
            &["data_batch_3.bin", "record 0", "found 10"],
            damaged("data_batch_3.bin", vec![10; RECORD_BYTES]),
        ),
        records(
            "nine names",
            &["batches.meta.txt", "10 class names"],
            damaged("batches.meta.txt", b"a\nb\nc\nd\ne\nf\ng\nh\ni\n".to_vec()),
        ),
        records(
            "names that are not text",
            &["batches.meta.txt", "UTF-8"],
            damaged("batches.meta.txt", vec![0xff; 20]),
        ),
        records(
            "a file without an end",
            &["test_batch.bin", "not a regular file"],
            |dir| {
                fs::remove_file(dir.join("test_batch.bin")).unwrap();
                symlink("/dev/zero", dir.join("test_batch.bin")).unwrap();
            },
        ),
        digits(
            "sizes without bound",
            &["train-images-idx3-ubyte", "byte 4"],
            idx(&[u32::MAX; 3], &[]),
            idx(&[10], &[0; 10]),
        ),
        digits(
            "a header that declares more than there is",
            &["train-images-idx3-ubyte", "found 0"],
            idx(&[1 << 20, 28, 28], &[]),
            idx(&[10], &[0; 10]),
        ),
        digits(
            "a header that declares less than there is",
            &["train-images-idx3-ubyte", "found more"],
            idx(&[10, 28, 28], &[0; 7841]),
            idx(&[10], &[0; 10]),
        ),
        digits(
            "images of another size",
            &["train-images-idx3-ubyte", "28×28"],
            idx(&[10, 20, 28], &[0; 5600]),
            idx(&[10], &[0; 10]),
        ),
        digits(
            "one label is missing",
            &["train-labels-idx1-ubyte", "10 labels"],
            idx(&[10, 28, 28], &[0; 7840]),
            idx(&[9], &[0; 9]),
        ),
        digits(
            "a label out of range",
            &["train-labels-idx1-ubyte", "image 0"],
            idx(&[10, 28, 28], &[0; 7840]),
            idx(&[10], &[11; 10]),
        ),
        digits("no header", &["train-images-idx3-ubyte"], vec![0, 0], Vec::new()),
        case("data check: nothing", &["data", "check", "nothing"], 3, &["nothing"]),
        case(
            "data check: a folder without data",
            &["data", "check", "."],
            3,
            &["expected the files of a data set"],
        )
        .make(|dir| write(dir, "notes.txt", "")),
        case(
            "data check: an empty folder",
            &["data", "check", "own"],
            3,
            &["own: expected images, but the folder is empty"],
        )
        .make(|dir| fs::create_dir(dir.join("own")).unwrap()),
        case(
            "data check: a single class",
            &["data", "check", "own"],
            3,
            &["own: expected a folder for each class", "there is only cat/"],
        )
        .make(|dir| {
            fs::create_dir_all(dir.join("own/cat")).unwrap();
            write(dir, "own/cat/1.png", "");
        }),
        case(
            "data check: images without classes",
            &["data", "check", "own"],
            3,
            &[
                "own: expected a folder for each class",
                "not sorted into folders: 1 image",
            ],
        )
        .make(|dir| {
            fs::create_dir(dir.join("own")).unwrap();
            write(dir, "own/1.png", "");
        }),
        case(
            "data check: a table with another name",
            &["data", "check", "own"],
            3,
            &["own: expected", "if own/train.csv is the table of labels, name it"],
        )
        .make(|dir| {
            fs::create_dir_all(dir.join("own/train")).unwrap();
            write(dir, "own/train.csv", "path,label\n");
            write(dir, "own/train/1.png", "");
        }),
        case(
            "data check: a pickle that calls",
            &["data", "check", ".", "--dataset", "cifar10"],
            3,
            &["batches.meta, byte 2", "os.system"],
        )
        .make(|dir| {
            write(dir, "batches.meta", b"\x80\x02cos\nsystem\n(U\x02idtR.");
            write(dir, "data_batch_1", b"\x80\x02cos\nsystem\n(U\x02idtR.");
        }),
        case(
            "data check: a pickle that claims 8 EB",
            &["data", "check", ".", "--dataset", "cifar10"],
            3,
            &["batches.meta", "end of the file"],
        )
        .make(|dir| {
            write(dir, "batches.meta", b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f");
            write(dir, "data_batch_1", "");
        }),
    ];
    if !reads_everything() {
        all.push(images(
            "a file that may not be read",
            3,
            &["cat/1.png", "denied"],
            |dir| {
                fs::set_permissions(dir.join("train/cat/1.png"), fs::Permissions::from_mode(0o0)).unwrap();
            },
        ));
    } else {
        let _ = writeln!(
            io::stderr(),
            "skipped: images: a file that may not be read (root reads everything)"
        );
    }
    all
}
