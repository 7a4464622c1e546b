//! Tables of labels as written by spreadsheets, scripts and people, and tables that are refused.

use super::*;

fn parse(text: impl AsRef<[u8]>) -> Result<LabelTable, DataError> {
    LabelTable::parse(Path::new("labels.csv"), text.as_ref())
}

/// The rows as `path label part`.
fn rows(text: impl AsRef<[u8]>) -> Vec<String> {
    let table = parse(text).unwrap();
    let row = |row: &LabelledPath| {
        let part = row.part.map_or(String::new(), |part| format!(" {part}"));
        format!("{} {}{part}", row.path, table.class_names[row.label as usize])
    };
    table.rows.iter().map(row).collect()
}

#[test]
fn every_way_to_write_a_table_is_read() {
    let plain = ["a.png cat train", "b/c.png dog test"];
    for text in [
        "path,label,part\na.png,cat,train\nb/c.png,dog,test\n",
        "part,path,label\ntrain,a.png,cat\ntest,b/c.png,dog",
        "\u{feff}path,label,part\r\na.png,cat,train\r\nb/c.png,dog,test\r\n",
        "\"path\",\"label\",\"part\"\n\"a.png\",\"cat\",\"train\"\n\"b/c.png\",\"dog\",\"test\"\n",
        "Path; Label; Part\na.png; cat; Train\nb/c.png; dog; TEST\n",
        "filename\tclass\tsplit\nb/c.png\tdog\ttesting\na.png\tcat\ttraining\n\n",
        ",image,label,set\n0,a.png,cat,train\n1,b\\c.png,dog,test\n",
        "path|label|part\na.png|cat|train\nb/c.png|dog|test\n",
        "sep=;\r\npath;label;part\r\na.png;cat;train\r\nb/c.png;dog;test\r\n",
        "\u{feff}\"sep=,\"\npath,label,part\na.png,cat,train\nb/c.png,dog,test\n",
        "sep=\t\npath\tlabel\tpart\na.png\tcat\ttrain\nb/c.png\tdog\ttest_set\n",
        "path,label,part\ra.png,cat,train\rb/c.png,dog,test\r",
        "sep=;\rpath;label;part\ra.png;cat;train\rb/c.png;dog;test\r",
        "path,label,part,\n,,,\na.png,cat,train,\n , ,\nb/c.png,dog,test,\n,\n\"\",,\n",
        "path,label,part,width\n./a.png,cat,train,8\nb//c.png,dog,test\n",
    ] {
        assert_eq!(rows(text), plain, "{text:?}");
    }
    assert_eq!(
        rows("file,label\n\"with, comma.png\",\"says \"\"moo\"\"\"\n1.png,10\n2.png,9\n"),
        ["1.png 10", "2.png 9", "with, comma.png says \"moo\""]
    );
    let table = parse("file,label\nx,b\ny,a\nz,b\n").unwrap();
    assert_eq!(table.class_names, ["a", "b"]);
    assert_eq!(table.rows.iter().map(|row| row.label).collect::<Vec<_>>(), [1, 0, 1]);
}

#[test]
fn a_column_that_divides_the_images_but_is_not_used_is_named() {
    for (header, unused) in [
        ("path,label,Is_Train", Some("Is_Train")),
        ("path,label,fold", Some("fold")),
        ("path,label,width", None),
        ("path,label,split", None),
    ] {
        let table = parse(format!("{header}\na,x,test\nb,y,train\n")).unwrap();
        assert_eq!(table.unused_part.as_deref(), unused, "{header}");
    }
    assert_eq!(
        parse("path,label,split,fold\na,x,test,1\nb,y,train,2\n")
            .unwrap()
            .unused_part,
        None
    );
}

#[test]
fn an_error_names_the_line_of_the_table() {
    for (text, message) in [
        (
            &b""[..],
            "labels.csv, line 1: expected a first line that names the columns: path, label and, if images are divided, part, found an empty file",
        ),
        (
            b"a.png,cat\n",
            "line 1: expected a first line that names the columns: path, label and, if images are divided, part, found `a.png, cat`",
        ),
        (
            b"path,file,label\n",
            "line 1: expected one column of paths, found both path and file",
        ),
        (b"path,label\na,x\nb\n", "line 3: expected a label, found none"),
        (b"sep=;\npath;label\na;x\nb\n", "line 4: expected a label, found none"),
        (
            b"sep=;",
            "line 2: expected a first line that names the columns: path, label and, if images are divided, part, found an empty file",
        ),
        (b"path,label\n,x\n", "line 2: expected a path, found none"),
        (b"path,label,part\na,x,\n", "line 2: expected a part, found none"),
        (
            b"path,label,part\na,x,holdout\n",
            "line 2: expected train, val or test, found `holdout`",
        ),
        (
            b"path,label\na,x\n../b,y\n",
            "line 3: expected a path of a file within the table's folder, found `../b`",
        ),
        (b"path,label\na,x\nc/../../b,y\n", "found `c/../../b`"),
        (b"path,label\n/etc/passwd,x\n", "found `/etc/passwd`"),
        (b"path,label\nC:\\x.png,x\n", "found `C:\\x.png`"),
        (b"path,label\n\\\\host\\x.png,x\n", "found `\\\\host\\x.png`"),
        (
            b"path,label\na,x\nb,y\n./a,y\n",
            "line 4: expected each path once, found `a` in line 2 already",
        ),
        (
            b"path,label\na,x\n",
            "labels.csv: expected two or more different labels, found 1",
        ),
        (
            b"path,label\n",
            "labels.csv: expected two or more different labels, found 0",
        ),
        (
            b"path,label\na,\xff\n",
            "line 2: expected UTF-8 text, found other bytes",
        ),
        (b"\xff\xfep\0a\0", "line 1: expected UTF-8 text, found UTF-16"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(message), "{error}\n{message}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_folder_is_refused() {
    let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::os::unix::fs::symlink(outside.path(), inside.path().join("link")).unwrap();
    let table = parse("path,label\nlink/a.png,x\nmissing/b.png,y\n").unwrap();
    let error = table.require_inside(inside.path()).unwrap_err().to_string();
    assert!(
        error.ends_with("link: expected a folder within that of the table, not a link out of it"),
        "{error}"
    );
}
