use super::*;
use std::fs;

#[test]
fn files_are_written_read_and_removed() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = Folder::open(temporary.path()).unwrap();
    assert_eq!(folder.read("a/b", 9).unwrap(), None);
    for bytes in [&b"first"[..], b"second"] {
        folder.write("a/b", bytes).unwrap();
        assert_eq!(folder.read("a/b", 6).unwrap().as_deref(), Some(bytes));
    }
    folder.append("a/b", b" third").unwrap();
    folder.append("c", b"1\n").unwrap();
    assert_eq!(fs::read(temporary.path().join("a/b")).unwrap(), b"second third");
    assert!(
        folder
            .read("a/b", 11)
            .unwrap_err()
            .to_string()
            .ends_with("larger than 11 bytes")
    );
    folder.link("a/b", "a/second").unwrap();
    folder.rename("a/second", "a/d").unwrap();
    assert_eq!(folder.entry("a").unwrap(), Some(Entry::Folder));
    assert!(folder.has_file("a/d") && !folder.has_file("a") && !folder.has_file("x"));
    let mut names = folder.entries("a").unwrap();
    names.sort();
    assert_eq!(names, ["b", "d"]);
    // A path through a file counts as missing.
    assert_eq!(folder.read("c/d", 9).unwrap(), None);
    assert!(folder.write("c/d", b"x").is_err());
    for name in ["a", "c", "absent"] {
        folder.remove(name).unwrap();
    }
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn no_name_leads_out() {
    let temporary = tempfile::tempdir().unwrap();
    fs::create_dir(temporary.path().join("inside")).unwrap();
    fs::write(temporary.path().join("outside"), "mine").unwrap();
    let folder = Folder::open(&temporary.path().join("inside")).unwrap();
    for name in ["../outside", "/etc/passwd", "", "a/../../outside"] {
        assert!(folder.read(name, 9).is_err(), "{name}");
        assert!(folder.write(name, b"x").is_err(), "{name}");
        assert!(folder.remove(name).is_err(), "{name}");
    }
    assert_eq!(fs::read(temporary.path().join("outside")).unwrap(), b"mine");
}

#[test]
fn a_failed_write_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = Folder::open(temporary.path()).unwrap();
    // A folder that is not empty cannot be replaced.
    folder.write("file/inside", b"x").unwrap();
    assert!(folder.write("file", b"x").is_err());
    assert_eq!(folder.entries("").unwrap(), ["file"]);
    // Left by a killed writer.
    fs::write(temporary.path().join(partial_name(OsStr::new("file"), PARTIAL)), "half").unwrap();
    folder.sweep("");
    folder.sweep("absent");
    assert_eq!(folder.entries("").unwrap(), ["file"]);
}

#[cfg(unix)]
#[test]
fn no_link_is_followed() {
    use std::os::unix::fs::symlink;

    let temporary = tempfile::tempdir().unwrap();
    let (outside, inside) = (temporary.path().join("outside"), temporary.path().join("inside"));
    fs::create_dir(&outside).unwrap();
    fs::create_dir(&inside).unwrap();
    fs::write(outside.join("victim"), "mine").unwrap();
    symlink(outside.join("victim"), inside.join("file")).unwrap();
    symlink(&outside, inside.join("folder")).unwrap();
    // The path of the folder itself may be a link.
    symlink(&inside, temporary.path().join("way")).unwrap();
    let folder = Folder::open(&temporary.path().join("way")).unwrap();

    for name in ["file", "folder/victim", "folder/new"] {
        let refused = [
            folder.read(name, 9).map(drop),
            folder.append(name, b"x"),
            folder.keep(name).map(drop),
        ];
        for refused in refused {
            let said = refused.unwrap_err().to_string();
            assert!(
                said.ends_with("it is a link, and links are not followed here"),
                "{said}"
            );
        }
    }
    assert!(folder.write("folder/victim", b"x").is_err() && folder.remove("folder/victim").is_err());
    assert!(!folder.has_file("file") && !folder.has_file("folder/victim"));
    // The link itself is replaced or removed.
    folder.write("file", b"x").unwrap();
    folder.remove("folder").unwrap();
    assert_eq!(fs::read(outside.join("victim")).unwrap(), b"mine");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(folder.entries("").unwrap(), ["file"]);
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_not_read() {
    let temporary = tempfile::tempdir().unwrap();
    let pipe = temporary.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let folder = Folder::open(temporary.path()).unwrap();
    for refused in [folder.read("pipe", 9).map(drop), folder.append("pipe", b"x")] {
        let said = refused.unwrap_err().to_string();
        assert!(said.ends_with("it is not a regular file"), "{said}");
    }
    // It is replaced and removed without being opened.
    folder.write("pipe", b"x").unwrap();
    assert_eq!(folder.read("pipe", 9).unwrap().as_deref(), Some(&b"x"[..]));
    let devices = Folder::open(Path::new("/dev")).unwrap();
    assert!(devices.read("zero", 9).is_err() && devices.read("null", 9).is_err());
}
