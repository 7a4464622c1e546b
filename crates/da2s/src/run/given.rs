//! Genotypes in files: any text that contains one, and the selection among several.

use std::io;
use std::path::{Path, PathBuf};

use da2s_records::files::MOST_WHOLE_BYTES;
use da2s_records::read_input;

use super::Error;
use crate::space::Genotype;

/// The genotype in the file `path`. If there is no such file, `FILE:NAME` selects a genotype in
/// FILE by its name, or by the number of the line in which it begins.
///
/// # Errors
/// If the file cannot be read, is not text, or contains no genotype or several.
pub fn read_genotype(path: &Path) -> Result<Genotype, Error> {
    let (file, name) = file_and_name(path).map_or((path.to_owned(), None), |(file, name)| (file, Some(name)));
    let text = text_of(read_input(&file, MOST_WHOLE_BYTES)?).map_err(|problem| {
        let source = io::Error::new(io::ErrorKind::InvalidData, problem);
        Error::io("read", &file, source)
    })?;
    let read = match &name {
        Some(name) => Genotype::parse_named(&text, name),
        None => Genotype::parse(&text),
    };
    read.map_err(|error| Error::Genotype {
        path: Some(file),
        error,
    })
}

/// The file and the name in `FILE:NAME`, if that file exists and `path` as a whole does not.
pub fn file_and_name(path: &Path) -> Option<(PathBuf, String)> {
    let (file, name) = path.to_str().filter(|_| !path.exists())?.rsplit_once(':')?;
    let file = PathBuf::from(file);
    (file.is_file() && !name.is_empty()).then(|| (file, name.to_owned()))
}

/// The text of a file in UTF-8, or in UTF-16 with a byte order mark, as Windows writes it.
fn text_of(bytes: Vec<u8>) -> Result<String, &'static str> {
    let wide = |of: fn([u8; 2]) -> u16| {
        let (units, rest) = bytes[2..].as_chunks::<2>();
        let text = String::from_utf16(&units.iter().copied().map(of).collect::<Vec<u16>>());
        text.ok().filter(|_| rest.is_empty())
    };
    match bytes[..] {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes).ok_or("it is not a text in UTF-16"),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes).ok_or("it is not a text in UTF-16"),
        _ => String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const BENCH: &str = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|";

    #[test]
    fn a_genotype_is_selected_by_name_or_line() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("own:1.txt");
        let other = BENCH.replace("none~2", "skip_connect~2");
        fs::write(&path, format!("A = '{BENCH}'\nB = '{other}'\n")).unwrap();
        let named = |name: &str| read_genotype(&PathBuf::from(format!("{}:{name}", path.display())));
        assert_eq!(named("A").unwrap().to_string(), BENCH);
        assert_eq!(named("2").unwrap().to_string(), other);
        assert!(
            named("C")
                .unwrap_err()
                .to_string()
                .contains("own:1.txt: genotype: no genotype is called C; found: A (line 1), B")
        );
        let several = read_genotype(&path).unwrap_err().to_string();
        assert!(several.contains("own:1.txt: genotype: there are several"), "{several}");
        fs::remove_file(&path).unwrap();
        assert!(matches!(named("A"), Err(Error::Io { .. })));
    }

    #[test]
    fn texts_of_windows_are_read() {
        let wide = |of: fn(u16) -> [u8; 2], mark: [u8; 2]| {
            let units = BENCH.encode_utf16().flat_map(of);
            text_of(mark.into_iter().chain(units).collect())
        };
        assert_eq!(wide(u16::to_le_bytes, [0xff, 0xfe]).unwrap(), BENCH);
        assert_eq!(wide(u16::to_be_bytes, [0xfe, 0xff]).unwrap(), BENCH);
        assert_eq!(text_of(vec![0xff, 0xfe, 0]), Err("it is not a text in UTF-16"));
        assert_eq!(text_of(vec![0xff]), Err("it is not UTF-8 text"));
        assert_eq!(text_of(Vec::new()).unwrap(), "");
    }
}
