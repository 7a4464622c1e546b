//! Untrusted names and values as text that is safe for a terminal: without control characters.
//!
//! Contract: a message about a failure is one line of bounded length ([`one_line`]); part of a
//! result keeps its length ([`escaped`]). All other characters are unchanged.

/// Maximum number of characters of a message.
const MOST: usize = 1000;
/// Number of characters kept from the end of a longer one.
const END: usize = 300;

/// `text` with an escape such as `\n` or `\u001b` for each character that controls a terminal or
/// the direction of text. JSON and TOML have the same escapes, so text in these formats stays
/// valid.
pub fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if c.is_control() || reorders(c) => line.extend(format!("\\u{:04x}", u32::from(c)).chars()),
            c => line.push(c),
        }
    }
    line
}

/// Whether the character ends a line or changes the direction of text, so that one name can look
/// like another (Boucher and Anderson, "Trojan Source: Invisible Vulnerabilities", 2023).
const fn reorders(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Like [`escaped`], and without its middle if it is too long to read.
pub fn one_line(text: &str) -> String {
    let line = escaped(text);
    let count = line.chars().count();
    if count <= MOST {
        return line;
    }
    let first: String = line.chars().take(MOST - END).collect();
    let last: String = line.chars().skip(count - END).collect();
    format!("{first} … {last}")
}

/// A count with its noun: "1 image", "3 images".
pub fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// `error` and its sources in one line. A source is added unless the preceding text already
/// contains it. Names and values in it cannot control a terminal.
pub fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let reason = error.to_string();
        if !text.contains(&reason) {
            text.push_str(": ");
            text.push_str(&reason);
        }
        source = error.source();
    }
    one_line(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        assert_eq!(one_line("a/\u{1b}[31m\n.png: é …"), "a/\\u001b[31m\\n.png: é …");
        let line = one_line(&format!("begin {} end", "ß".repeat(100_000)));
        assert!(line.starts_with("begin ß") && line.ends_with("ß end") && line.chars().count() < 1010);
    }

    #[test]
    fn a_name_cannot_look_like_another() {
        assert_eq!(escaped("a\u{202e}gnp.exe"), "a\\u202egnp.exe");
        assert_eq!(escaped("نام\u{200c}ها 猫 é"), "نام\u{200c}ها 猫 é");
    }

    #[test]
    fn a_result_keeps_its_length() {
        let name = "ß".repeat(5000);
        assert_eq!(escaped(&format!("{name}\u{9b}2J\r")), format!("{name}\\u009b2J\\r"));
    }
}
