//! The file in a posted body: the body itself, or the file of a form.
//!
//! Reference: RFC 7578 (multipart/form-data) and RFC 2046, section 5.1. Contract: nothing is copied
//! but the file's name, which is only for messages; a form has at most [`MOST_PARTS`] parts, whose
//! heads are short.

/// Limit on the number of parts of a form.
const MOST_PARTS: usize = 16;
/// Limit on the length of the head of a part.
const MOST_HEAD_BYTES: usize = 4 << 10;
/// Limit on the number of headers of a part.
const MOST_HEADERS: usize = 8;
/// Longest boundary, as RFC 2046 says.
const MOST_BOUNDARY_BYTES: usize = 70;
/// Longest name of a file that is kept, in characters.
const MOST_NAME: usize = 200;

/// A posted file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted<'a> {
    /// Its name, if the form has one.
    pub name: Option<String>,
    /// Its bytes.
    pub bytes: &'a [u8],
}

impl<'a> Posted<'a> {
    /// The file in `body` of this content type. In a form, it is the first part that is a file and
    /// not empty, or else an empty file, or else the only part; otherwise it is the body itself.
    ///
    /// # Errors
    /// A sentence on what is wrong with a form.
    pub fn of(content_type: &str, body: &'a [u8]) -> Result<Self, &'static str> {
        let mut words = content_type.split(';').map(str::trim);
        let is_form = words
            .next()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/form-data"));
        if !is_form {
            return Ok(Self {
                name: None,
                bytes: body,
            });
        }
        let boundary = words.find_map(|word| {
            let (key, value) = word.split_once('=')?;
            key.trim()
                .eq_ignore_ascii_case("boundary")
                .then(|| value.trim().trim_matches('"'))
        });
        let boundary = boundary.filter(|text| !text.is_empty() && text.len() <= MOST_BOUNDARY_BYTES);
        let mut parts = parts(body, boundary.ok_or("The form has no valid boundary.")?)?;
        let is_file = |part: &Posted<'_>| part.name.is_some();
        // A browser sends an empty file for a field without a chosen file.
        let at = parts.iter().position(|part| is_file(part) && !part.bytes.is_empty());
        let at = at.or_else(|| parts.iter().position(is_file));
        let at = at.or((parts.len() == 1).then_some(0));
        at.map(|at| parts.swap_remove(at)).ok_or("The form has no file.")
    }
}

/// The parts of a form.
fn parts<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<Posted<'a>>, &'static str> {
    const CUT: &str = "The form is incomplete.";
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    // Nothing, not even a line break, has to come before the first delimiter.
    let mut rest = if body.starts_with(&delimiter[2..]) {
        &body[delimiter.len() - 2..]
    } else {
        split(body, &delimiter).ok_or(CUT)?.1
    };
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        if parts.len() == MOST_PARTS {
            return Err("The form has too many parts.");
        }
        let (_, after_line) = split(rest, b"\r\n").ok_or(CUT)?;
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let head = &after_line[..after_line.len().min(MOST_HEAD_BYTES)];
        let Ok(httparse::Status::Complete((length, headers))) = httparse::parse_headers(head, &mut headers) else {
            return Err("A part of the form has an invalid head.");
        };
        let disposition = headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case("Content-Disposition"));
        let name = disposition.and_then(|header| file_name(&String::from_utf8_lossy(header.value)));
        let (bytes, after) = split(&after_line[length..], &delimiter).ok_or(CUT)?;
        parts.push(Posted { name, bytes });
        rest = after;
    }
    Ok(parts)
}

/// What is before and after the first `mark` in `bytes`.
fn split<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(mark.len()).position(|window| window == mark)?;
    Some((&bytes[..at], &bytes[at + mark.len()..]))
}

/// The name of the file in a Content-Disposition: `form-data; name="image"; filename="cat.jpg"`.
fn file_name(disposition: &str) -> Option<String> {
    const KEY: &str = "filename=";
    let at = disposition.to_ascii_lowercase().find(KEY)?;
    let value = &disposition[at + KEY.len()..];
    let name = match value.strip_prefix('"') {
        // Browsers write a quote in a name as %22.
        Some(quoted) => quoted.split('"').next(),
        None => value.split(';').next(),
    };
    Some(name?.chars().take(MOST_NAME).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "multipart/form-data; boundary=\"x-y\"";

    fn file(parts: &str) -> Result<Posted<'_>, &'static str> {
        Posted::of(FORM, parts.as_bytes())
    }

    #[test]
    fn the_file_is_the_body_itself_or_a_part_of_a_form() {
        for kind in [
            "",
            "image/png",
            "application/x-www-form-urlencoded",
            "nonsense; boundary=x",
        ] {
            assert_eq!(
                Posted::of(kind, b"bytes"),
                Ok(Posted {
                    name: None,
                    bytes: b"bytes"
                })
            );
        }
        let text = "--x-y\r\nContent-Disposition: form-data; name=\"top\"\r\n\r\n3\r\n";
        let image = "--x-y\r\nContent-Type: image/png\r\ncontent-disposition: form-data; name=\"a\"; FileName=\"a b.png\"\r\n\r\n\r\n--x\r\n\r\n";
        let found = file(&format!("{text}{image}--x-y--\r\n")).map(|posted| (posted.name, posted.bytes.to_vec()));
        assert_eq!(found, Ok((Some("a b.png".to_owned()), b"\r\n--x\r\n".to_vec())));
        // With words before and after.
        let found = file(&format!("hello\r\n{image}--x-y-- bye")).map(|posted| posted.bytes.len());
        assert_eq!(found, Ok(7));
        let alone = file(&format!("{text}--x-y--")).map(|posted| posted.bytes.to_vec());
        assert_eq!(alone, Ok(b"3".to_vec()));
    }

    #[test]
    fn a_field_without_a_file_is_skipped() {
        let field = |name: &str, bytes: &str| {
            format!("--x-y\r\nContent-Disposition: form-data; name=\"a\"; filename=\"{name}\"\r\n\r\n{bytes}\r\n")
        };
        let form = [field("", ""), field("b.png", "bytes"), field("c.png", "others")].concat() + "--x-y--";
        assert_eq!(file(&form).unwrap().bytes, b"bytes");
        let empty = field("b.png", "") + "--x-y--";
        assert_eq!(file(&empty).unwrap().name.as_deref(), Some("b.png"));
    }

    #[test]
    fn damaged_forms_are_refused() {
        let part = "--x-y\r\nA: b\r\n\r\n1\r\n";
        assert_eq!(
            Posted::of("multipart/form-data", b""),
            Err("The form has no valid boundary.")
        );
        for cut in ["", "--x-y", "--x-y\r\n\r\n", &part[..part.len() - 2], part] {
            assert!(file(cut).is_err(), "{cut}");
        }
        assert_eq!(file("--x-y--\r\n"), Err("The form has no file."));
        assert_eq!(file(&format!("{part}{part}--x-y--")), Err("The form has no file."));
        assert_eq!(file(&part.repeat(17)), Err("The form has too many parts."));
        let long = format!("--x-y\r\nA: {}\r\n\r\n1\r\n--x-y--", "b".repeat(5000));
        assert_eq!(file(&long), Err("A part of the form has an invalid head."));
    }
}
