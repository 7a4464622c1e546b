//! Invalid input to `run FOLDER`, `--data-dir` and tables of labels.

use std::fs;
use std::os::unix::fs::symlink;

use super::data::{folder, idx, mnist, write};
use super::{Case, case};

pub fn cases() -> Vec<Case> {
    tables().into_iter().chain(folders()).collect()
}

/// Tables of labels for the images of [`folder`].
fn tables() -> Vec<Case> {
    let table = |name: &str, says: &[&str], text: &'static [u8]| {
        let arguments = ["run", "own.csv", "--recipe", "digits", "--image-size", "8"];
        case(&format!("table of labels: {name}"), &arguments, 3, says)
            .make(move |dir| {
                folder(dir);
                write(dir, "own.csv", text);
            })
            .tiny()
    };
    vec![
        table("empty", &["own.csv, line 1", "path, label"], b""),
        table("no header", &["line 1", "path, label"], b"train/cat/0.png,cat\n"),
        table("no column of labels", &["line 1", "`path, kind`"], b"path,kind\na,b\n"),
        table(
            "a column twice",
            &["line 1", "both path and image"],
            b"path,image,label\na,b,c\n",
        ),
        table("a short row", &["line 3", "a label"], b"path,label\na,x\nb\n"),
        table("no path", &["line 2", "a path"], b"path,label\n,x\n"),
        table(
            "an unknown part",
            &["line 2", "`third`"],
            b"path,label,part\na,x,third\n",
        ),
        table("an empty part", &["line 2", "a part"], b"path,label,part\na,x,\n"),
        table(
            "a path outside of the folder",
            &["line 2", "within the table's folder"],
            b"path,label\n../a,x\n",
        ),
        table(
            "an absolute path",
            &["line 2", "/etc/passwd"],
            b"path,label\n/etc/passwd,x\n",
        ),
        table(
            "a drive",
            &["line 2", "within the table's folder"],
            b"path,label\nC:\\a.png,x\n",
        ),
        table(
            "a path twice",
            &["line 3", "each path once"],
            b"path,label\na,x\n./a,y\n",
        ),
        table("one label", &["two or more different labels"], b"path,label\na,x\n"),
        table("Latin-1", &["line 2", "UTF-8"], b"path,label\na,caf\xe9\n"),
        table("UTF-16", &["UTF-16"], b"\xff\xfep\0a\0t\0h\0"),
        table(
            "a zero byte",
            &["line 2", "within the table's folder"],
            b"path,label\na\0b,x\n",
        ),
        table(
            "a quote that never ends",
            &["own.csv"],
            b"path,label\n\"train/cat/0.png,cat\ntrain/dog/0.png,dog\n",
        ),
        table(
            "a file that is missing",
            &["train/dog/9.png"],
            b"path,label\ntrain/cat/0.png,cat\ntrain/cat/1.png,cat\ntrain/dog/0.png,dog\ntrain/dog/9.png,dog\n",
        ),
        table(
            "no training images of a class",
            &["training images of every class", "`dog`"],
            b"path,label,part\ntrain/cat/0.png,cat,train\ntest/dog/0.png,dog,test\n",
        ),
        table(
            "a table without an end",
            &["own.csv"],
            // Replaced by a link below.
            b"",
        )
        .make(|dir| {
            folder(dir);
            symlink("/dev/zero", dir.join("own.csv")).unwrap();
        }),
        table(
            "a link out of its folder",
            &["link", "not a link out of it"],
            b"path,label\nlink/passwd,x\ntrain/dog/0.png,y\n",
        )
        .make(|dir| {
            folder(dir);
            symlink("/etc", dir.join("link")).unwrap();
            write(dir, "own.csv", b"path,label\nlink/passwd,x\ntrain/dog/0.png,y\n");
        }),
        case(
            "table of labels: another kind of file",
            &["run", "./own.txt"],
            3,
            &["own.txt", "a table of labels"],
        )
        .make(|dir| write(dir, "own.txt", b"path,label\n"))
        .tiny(),
    ]
}

/// Folders for `run FOLDER` and `--data-dir`.
fn folders() -> Vec<Case> {
    let own = |name: &str, arguments: &[&str], code: i32, says: &[&str]| {
        case(&format!("folder: {name}"), arguments, code, says)
            .make(|dir| {
                fs::create_dir(dir.join("own")).unwrap();
                folder(&dir.join("own"));
            })
            .tiny()
    };
    vec![
        own(
            "a folder for the built-in digits",
            &["run", "digits", "--data-dir", "own"],
            2,
            &["data.dir", "built in"],
        ),
        own(
            "a folder for the built-in digits, with --set",
            &["run", "--set", "data.dataset=digits", "--set", "data.dir=own"],
            2,
            &["data.dir", "built in"],
        ),
        own(
            "two folders, one as a setting",
            &["run", "own", "--set", "data.dir=other"],
            2,
            &["data.dir", "one folder of images", "own"],
        ),
        own(
            "two folders",
            &["run", "own", "--data-dir", "other"],
            2,
            &["data.dir", "one folder of images", "is given as well"],
        ),
        own("neither a name nor a path", &["run", "owns"], 2, &["owns"]),
        own("a path that is not there", &["run", "./owns"], 3, &["owns"]),
        own(
            "a file",
            &["run", "own/train/cat/0.png"],
            3,
            &["0.png", "a folder of images"],
        ),
        case(
            "folder: nothing in it",
            &["run", "."],
            3,
            &["expected images, but the folder is empty"],
        )
        .tiny(),
        case("folder: MNIST or Fashion-MNIST", &["run", "."], 2, &["mnist, fashion"])
            .make(|dir| mnist(dir, &idx(&[10, 28, 28], &[0; 7840]), &idx(&[10], &[0; 10])))
            .tiny(),
        own(
            "a weight for an unknown class",
            &[
                "run",
                "own",
                "--recipe",
                "digits",
                "--image-size",
                "8",
                "--set",
                "data.class_weights={ emu = 2.0 }",
            ],
            2,
            &["data.class_weights = emu", "cat, dog"],
        ),
        own(
            "a weight of 0",
            &[
                "run",
                "own",
                "--recipe",
                "digits",
                "--image-size",
                "8",
                "--set",
                "data.class_weights={ cat = 0.0 }",
            ],
            2,
            &["data.class_weights", "more than 0"],
        ),
        own(
            "a weight above the maximum",
            &[
                "run",
                "own",
                "--recipe",
                "digits",
                "--image-size",
                "8",
                "--set",
                "data.class_weights={ cat = 1e300 }",
            ],
            2,
            &["data.class_weights = { cat = 1e300 }", "at most 1000000"],
        ),
        own(
            "a negative weight",
            &[
                "run",
                "own",
                "--recipe",
                "digits",
                "--image-size",
                "8",
                "--set",
                "data.class_weights={ cat = -1 }",
            ],
            2,
            &["data.class_weights = { cat = -1 }", "more than 0"],
        ),
        own(
            "a weight that is NaN",
            &[
                "run",
                "own",
                "--recipe",
                "digits",
                "--image-size",
                "8",
                "--set",
                "data.class_weights={ cat = nan }",
            ],
            2,
            &["data.class_weights", "more than 0"],
        ),
        own(
            "a word for weights",
            &[
                "run",
                "own",
                "--recipe",
                "digits",
                "--image-size",
                "8",
                "--set",
                "data.class_weights=fair",
            ],
            2,
            &["data.class_weights", "balanced"],
        ),
    ]
}
