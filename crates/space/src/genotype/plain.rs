//! Undoes the quoting of HTML, CSV and Python in a text with a genotype.
//!
//! `&quot;` and `&#39;` are quotes, and so is `""` next to a name, as in a quoted cell of CSV. Two
//! strings with the same quotes are joined if only whitespace, a line continuation or a `+` is
//! between them. So are two lines of a notebook, which end with `\n` within their quotes. Contract:
//! one pass; the text is copied once, and every offset can be mapped back to the original.

/// Entities, without the `&`, and their characters.
const ENTITIES: [(&str, &str); 14] = [
    ("quot;", "\""),
    ("#34;", "\""),
    ("#x22;", "\""),
    ("apos;", "'"),
    ("#39;", "'"),
    ("#039;", "'"),
    ("#x27;", "'"),
    ("lsquo;", "'"),
    ("rsquo;", "'"),
    ("#8217;", "'"),
    ("ldquo;", "\""),
    ("rdquo;", "\""),
    ("nbsp;", " "),
    ("#124;", "|"),
];

/// A text without such quotes and string boundaries.
pub(super) struct Plain {
    pub(super) text: String,
    /// Offsets in `text`, ascending, and the corresponding ones in the original.
    origins: Vec<(usize, usize)>,
}

impl Plain {
    /// The plain form of `text`; `None` if it is plain itself.
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut plain = Self {
            text: String::new(),
            origins: Vec::new(),
        };
        let mut copied = 0;
        let mut at = 0;
        while let Some(next) = text[at..].find(['&', '"', '\'']) {
            at += next;
            let Some((from, to, instead)) = replaced(text, at) else {
                at += 1;
                continue;
            };
            // The boundary of two strings may begin before its quote, but not before what was
            // already replaced.
            let from = from.max(copied);
            plain.text.push_str(&text[copied..from]);
            plain.text.push_str(instead);
            plain.origins.push((plain.text.len(), to));
            (copied, at) = (to, to);
        }
        if plain.origins.is_empty() {
            return None;
        }
        plain.text.push_str(&text[copied..]);
        Some(plain)
    }

    /// The offset in the original text.
    pub(super) fn origin(&self, at: usize) -> usize {
        let after = self.origins.partition_point(|&(plain, _)| plain <= at);
        match after.checked_sub(1).map(|last| self.origins[last]) {
            Some((plain, origin)) => origin + (at - plain),
            None => at,
        }
    }
}

/// The range to replace that contains the character at `at`, and its replacement; `None` if that
/// character stays.
fn replaced(text: &str, at: usize) -> Option<(usize, usize, &'static str)> {
    let bytes = text.as_bytes();
    let after = at + 1;
    if bytes[at] == b'&' {
        let rest = &bytes[after..];
        let is = |name: &str| {
            rest.get(..name.len())
                .is_some_and(|own| own.eq_ignore_ascii_case(name.as_bytes()))
        };
        let (name, character) = ENTITIES.iter().find(|(name, _)| is(name))?;
        return Some((at, after + name.len(), character));
    }
    let quote = bytes[at];
    let escapes = bytes[..at]
        .iter()
        .rev()
        .take(3)
        .take_while(|&&byte| byte == b'\\')
        .count();
    // A quote doubled in a cell stands at one end of a name.
    if quote == b'"' && escapes == 0 && bytes.get(after) == Some(&quote) {
        let is_name = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        let (before, next) = (
            at.checked_sub(1).and_then(|before| bytes.get(before)),
            bytes.get(after + 1),
        );
        return (is_name(before) != is_name(next) && before != Some(&quote) && next != Some(&quote)).then_some((
            at,
            after + 1,
            "\"",
        ));
    }
    let line_ends =
        escapes == 0 && at >= 2 && &bytes[at - 2..at] == b"\\n" && bytes.get(at.wrapping_sub(3)) != Some(&b'\\');
    if line_ends && bytes.get(after) == Some(&b',') {
        let next = skip_blank(bytes, after + 1);
        return (bytes.get(next) == Some(&quote)).then_some((at - 2, next + 1, "\n"));
    }
    if escapes > 0 {
        return None;
    }
    let mut next = skip_blank(bytes, after);
    if bytes.get(next) == Some(&b'+') {
        next = skip_blank(bytes, next + 1);
    }
    (next > after && bytes.get(next) == Some(&quote)).then_some((at, next + 1, ""))
}

/// The offset after whitespace and line continuations.
fn skip_blank(bytes: &[u8], mut at: usize) -> usize {
    loop {
        match bytes.get(at..).unwrap_or_default() {
            [b'\\', b'\n' | b'\r', ..] => at += 2,
            [blank, ..] if blank.is_ascii_whitespace() => at += 1,
            _ => return at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_and_string_boundaries_are_replaced() {
        for (text, means) in [
            ("a&#39;b&quot;&QUOT;&amp;&apos", "a'b\"\"&amp;&apos"),
            ("(\"\"ab\"\", \"\"c\"\")", "(\"ab\", \"c\")"),
            ("'a' \\\n 'b'", "'ab'"),
            ("'a' \\\r\n 'b'", "'ab'"),
            ("'a'\n\t'b' + 'c'+'d'", "'abcd'"),
            ("\"a\\n\",\n  \"b\"", "\"a\nb\""),
        ] {
            assert_eq!(
                Plain::of(text).map(|plain| plain.text).as_deref(),
                Some(means),
                "{text}"
            );
        }
    }

    #[test]
    fn other_quotes_stay() {
        for text in [
            "",
            "'a', 'b'",
            "'a' \"b\"",
            "'a''b'",
            "\"a\"\"b\"",
            "\"\"\"a\"\"\"",
            "['', \"\"]",
            "'a' ++ 'b'",
            "'a' b 'c'",
            "'a\\' 'b'",
            "'a\\\\n', 'b'",
            "'a\nb', 'c'",
            "&a;",
            "&quot",
        ] {
            assert_eq!(Plain::of(text).map(|plain| plain.text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn offsets_are_mapped_back(text in "(&#39;|&quot;|\"|'|[ +\\\\\n]|\\\\n|,|[a-cé]){0,40}") {
            if let Some(plain) = Plain::of(&text) {
                let mut last = 0;
                for (at, character) in plain.text.char_indices() {
                    let origin = plain.origin(at);
                    prop_assert!(origin >= last && text.is_char_boundary(origin));
                    if character.is_alphabetic() {
                        prop_assert!(text[origin..].starts_with(character));
                    }
                    last = origin;
                }
                prop_assert_eq!(plain.origin(plain.text.len()), text.len());
            }
        }
    }
}
