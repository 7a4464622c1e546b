//! Reads literals of Python and JSON: used for all texts of genotypes except those of
//! NAS-Bench-201.
//!
//! Accepts everything unambiguous: quotes of either kind, escaped or curly; comments; trailing
//! commas; `True` and `true`; `np.int64(2)` and `OrderedDict([…])` as the value they contain;
//! whitespace of every kind, including `\n` as an escape. Contract: a call only reads forward, at
//! most [`DEEPEST`] nested brackets and [`MOST_VALUES`] values, so its time and memory are bounded
//! by the length of the text.

use super::mistake::Mistake;

/// Maximum depth of nested brackets. A genotype needs at most seven.
const DEEPEST: usize = 10;
/// Maximum length of a comment and of a quoted text in bytes. Without it, a text with many unclosed
/// quotes would be scanned to its end from each of them.
const LONGEST_COMMENT: usize = 1 << 12;
const LONGEST_TEXT: usize = 1 << 16;
/// Maximum number of values of one literal: more than the entries of the largest genotype.
const MOST_VALUES: usize = 1 << 17;
/// Calls that are replaced by their argument, by the last part of their name.
const WRAPPERS: [&str; 19] = [
    "float", "float16", "float32", "float64", "int", "int8", "int16", "int32", "int64", "uint8", "intp", "str", "str_",
    "bool", "bool_", "array", "list", "tuple", "tensor",
];

/// Quotes in JSON's escapes, after the backslash, and whether they are double.
const ESCAPED_QUOTES: [(&str, bool); 6] = [
    ("u0027", false),
    ("u0022", true),
    ("u2018", false),
    ("u2019", false),
    ("u201c", true),
    ("u201d", true),
];

/// A value and its offset.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value<'a> {
    pub(super) at: usize,
    pub(super) kind: Kind<'a>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind<'a> {
    /// `None` or `null`.
    Null,
    Bool(bool),
    Whole(usize),
    /// A finite number with a decimal point or an exponent.
    Fraction(f64),
    /// Any other number.
    Number,
    /// The text between quotes, unchanged.
    Text(&'a str),
    /// An unquoted name.
    Name(&'a str),
    /// A list or a tuple.
    List(Vec<Value<'a>>),
    /// A JSON object or a Python dictionary.
    Object(Vec<Field<'a>>),
    /// A call, such as `range(2, 6)`.
    Call(&'a str, Vec<Field<'a>>),
}

/// A value with its key; the key of a positional argument is empty.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field<'a> {
    pub(super) at: usize,
    pub(super) key: &'a str,
    pub(super) value: Value<'a>,
}

impl<'a> Value<'a> {
    /// The items, if it is a list.
    pub(super) fn list(&self) -> Option<&[Value<'a>]> {
        match &self.kind {
            Kind::List(items) => Some(items),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&'a str> {
        match self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is an integer.
    pub(super) fn whole(&self) -> Option<usize> {
        match self.kind {
            Kind::Whole(number) => Some(number),
            _ => None,
        }
    }

    /// The index of the only `true`, and the length, if it is a list of truth values with exactly
    /// one.
    pub(super) fn one_of_mask(&self) -> Option<(usize, usize)> {
        let chosen = self.mask()?;
        match chosen[..] {
            [one] => Some((one, self.list().map_or(0, <[_]>::len))),
            _ => None,
        }
    }

    /// The indices of `true`, if it is a list of truth values.
    pub(super) fn mask(&self) -> Option<Vec<usize>> {
        let items = self.list().filter(|items| !items.is_empty())?;
        let mut chosen = Vec::new();
        for (place, item) in items.iter().enumerate() {
            match item.kind {
                Kind::Bool(true) => chosen.push(place),
                Kind::Bool(false) => {}
                _ => return None,
            }
        }
        Some(chosen)
    }
}

/// The kind of a quote: single or double, and its level of escaping.
#[derive(Clone, Copy, PartialEq)]
struct Quote {
    double: bool,
    escapes: usize,
    length: usize,
}

/// Reads literals of a text from a position on.
pub(super) struct Reader<'a> {
    text: &'a str,
    /// The current position.
    pub(super) at: usize,
    /// Whether the literal is in a comment, so that each of its lines begins with `#`.
    commented: bool,
    deep: usize,
    values: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, at: usize, commented: bool) -> Self {
        Self {
            text,
            at,
            commented,
            deep: 0,
            values: 0,
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn fail<T>(&self, problem: impl Into<String>) -> Result<T, Mistake> {
        Err(Mistake::new(self.at, problem))
    }

    /// Skips whitespace, including escaped whitespace, and comments.
    pub(super) fn space(&mut self) {
        loop {
            let rest = self.rest();
            let mut characters = rest.chars();
            match characters.next() {
                Some('\n') => {
                    self.at += 1;
                    if self.commented {
                        let line = self.rest();
                        let text = line.trim_start_matches([' ', '\t']).trim_start_matches('#');
                        self.at += line.len() - text.len();
                    }
                }
                Some(blank) if blank.is_whitespace() || matches!(blank, '\u{feff}' | '\u{200b}') => {
                    self.at += blank.len_utf8();
                }
                Some('#') => match rest.bytes().take(LONGEST_COMMENT).position(|byte| byte == b'\n') {
                    Some(end) => self.at += end,
                    None if rest.len() <= LONGEST_COMMENT => self.at += rest.len(),
                    None => return,
                },
                Some('\\') => match characters.next() {
                    Some('n' | 'r' | 't' | '\n' | '\r') => self.at += 2,
                    _ => return,
                },
                _ => return,
            }
        }
    }

    /// Skips `token` if it is next.
    pub(super) fn take(&mut self, token: char) -> bool {
        self.space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len_utf8();
        }
        found
    }

    fn expect(&mut self, token: char) -> Result<(), Mistake> {
        match self.take(token) {
            true => Ok(()),
            false => self.fail(format!("expected {token}")),
        }
    }

    /// The name that begins here, which may contain dots; empty if there is none.
    pub(super) fn name(&self) -> &'a str {
        let rest = self.rest();
        let begins = rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'));
        if begins { &rest[..end.unwrap_or(rest.len())] } else { "" }
    }

    /// Reads the value that begins here.
    pub(super) fn value(&mut self) -> Result<Value<'a>, Mistake> {
        self.space();
        self.values += 1;
        if self.values > MOST_VALUES {
            return self.fail(format!("more than {MOST_VALUES} values"));
        }
        let at = self.at;
        let rest = self.rest();
        let kind = match rest.chars().next() {
            Some('(' | '[') => {
                let end = if rest.starts_with('(') { ')' } else { ']' };
                Kind::List(self.within(end, Self::value)?)
            }
            Some('{') => Kind::Object(self.within('}', Self::pair)?),
            Some(c) if c.is_ascii_digit() || matches!(c, '-' | '+' | '.') => self.number(),
            _ => {
                if let Some(quote) = quote(rest) {
                    Kind::Text(self.quoted(quote)?)
                } else {
                    return self.named();
                }
            }
        };
        Ok(Value { at, kind })
    }

    /// The items between the bracket at the current position and `end`.
    fn within<T>(
        &mut self,
        end: char,
        mut item: impl FnMut(&mut Self) -> Result<T, Mistake>,
    ) -> Result<Vec<T>, Mistake> {
        if self.deep == DEEPEST {
            return self.fail(format!("more than {DEEPEST} nested brackets"));
        }
        self.deep += 1;
        self.at += 1;
        let mut items = Vec::new();
        while !self.take(end) {
            items.push(item(self)?);
            if !self.take(',') {
                self.expect(end)?;
                break;
            }
        }
        self.deep -= 1;
        Ok(items)
    }

    /// `key: value`.
    fn pair(&mut self) -> Result<Field<'a>, Mistake> {
        self.space();
        let at = self.at;
        let key = match self.value()?.kind {
            Kind::Text(key) => key,
            _ => self.text[at..self.at].trim_end(),
        };
        self.expect(':')?;
        let value = self.value()?;
        Ok(Field { at, key, value })
    }

    /// `key=value`, or a value alone.
    fn argument(&mut self) -> Result<Field<'a>, Mistake> {
        self.space();
        let (at, name) = (self.at, self.name());
        if !name.is_empty() {
            self.at += name.len();
            if self.take('=') {
                let value = self.value()?;
                return Ok(Field { at, key: name, value });
            }
            self.at = at;
        }
        let value = self.value()?;
        Ok(Field { at, key: "", value })
    }

    fn number(&mut self) -> Kind<'a> {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | '_')));
        let word = &rest[..end.unwrap_or(rest.len())];
        self.at += word.len();
        let digits = word.strip_suffix('L').unwrap_or(word);
        let whole = digits
            .bytes()
            .all(|digit| digit.is_ascii_digit())
            .then(|| digits.parse());
        if let Some(Ok(whole)) = whole {
            return Kind::Whole(whole);
        }
        let fraction = word.contains(['.', 'e', 'E']).then(|| word.parse::<f64>());
        match fraction {
            Some(Ok(fraction)) if fraction.is_finite() => Kind::Fraction(fraction),
            _ => Kind::Number,
        }
    }

    /// The text between `quote`, which begins here, and the next identical quote.
    fn quoted(&mut self, quote: Quote) -> Result<&'a str, Mistake> {
        let start = self.at + quote.length;
        let mut at = start;
        while let Some(found) = self.text[at..].find(|c: char| matches!(c, '\\' | '\n') || is_quote(c)) {
            at += found;
            if at - start > LONGEST_TEXT {
                break;
            }
            let rest = &self.text[at..];
            match self::quote(rest) {
                Some(other) => {
                    let even = quote.escapes == 0 && other.escapes % 2 == 0;
                    if other.double == quote.double && (other.escapes == quote.escapes || even) {
                        self.at = at + other.length;
                        return Ok(&self.text[start..at]);
                    }
                    at += other.length;
                }
                None if rest.starts_with('\n') => break,
                // Skips a run of other escapes at once.
                None => at += rest.len() - rest.trim_start_matches('\\').len(),
            }
        }
        self.fail("a quote is not closed")
    }

    /// A constant, a name, a call, or a text with a prefix letter.
    fn named(&mut self) -> Result<Value<'a>, Mistake> {
        let (at, name) = (self.at, self.name());
        if name.is_empty() {
            return self.fail("expected a value");
        }
        self.at += name.len();
        let kind = match name {
            "None" | "null" => Kind::Null,
            "True" | "true" => Kind::Bool(true),
            "False" | "false" => Kind::Bool(false),
            "u" | "b" | "r" if quote(self.rest()).is_some() => {
                let text = self.value()?.kind;
                return Ok(Value { at, kind: text });
            }
            _ if self.take('(') => {
                self.at -= 1;
                return Ok(unwrapped(at, name, self.within(')', Self::argument)?));
            }
            _ => Kind::Name(name),
        };
        Ok(Value { at, kind })
    }
}

/// Whether a call of `name` only gives the type of its argument.
pub(super) fn is_wrapper(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    WRAPPERS.contains(&last) || matches!(last, "dict" | "OrderedDict" | "range")
}

/// The value of a call: its argument, if the call only gives the type.
fn unwrapped<'a>(at: usize, name: &'a str, mut arguments: Vec<Field<'a>>) -> Value<'a> {
    let last = name.rsplit('.').next().unwrap_or(name);
    let positional = arguments.first().is_some_and(|first| first.key.is_empty());
    if positional && WRAPPERS.contains(&last) {
        return arguments.swap_remove(0).value;
    }
    if last == "dict" && !positional {
        return Value {
            at,
            kind: Kind::Object(arguments),
        };
    }
    if matches!(last, "dict" | "OrderedDict") && arguments.len() == 1 {
        let inner = &arguments[0].value;
        if matches!(inner.kind, Kind::Object(_)) {
            return arguments.swap_remove(0).value;
        }
        let field = |item: &Value<'a>| match item.list() {
            Some([key, value]) => Some(Field {
                at: item.at,
                key: key.text()?,
                value: value.clone(),
            }),
            _ => None,
        };
        if let Some(fields) = inner.list().and_then(|items| items.iter().map(field).collect()) {
            return Value {
                at,
                kind: Kind::Object(fields),
            };
        }
    }
    Value {
        at,
        kind: Kind::Call(name, arguments),
    }
}

fn is_quote(c: char) -> bool {
    matches!(c, '\'' | '"' | '‘' | '’' | '“' | '”')
}

/// The quote at the beginning of `text`, if there is one.
fn quote(text: &str) -> Option<Quote> {
    let mark = text.trim_start_matches('\\');
    let escapes = text.len() - mark.len();
    if escapes > 0 {
        let written = mark.get(..ESCAPED_QUOTES[0].0.len()).unwrap_or_default();
        let known = ESCAPED_QUOTES.iter().find(|(own, _)| own.eq_ignore_ascii_case(written));
        if let Some(&(_, double)) = known {
            return Some(Quote {
                double,
                escapes: escapes - 1,
                length: escapes + written.len(),
            });
        }
    }
    let mark = mark.chars().next().filter(|&c| is_quote(c))?;
    Some(Quote {
        double: matches!(mark, '"' | '“' | '”'),
        escapes,
        length: escapes + mark.len_utf8(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Value<'_>, Mistake> {
        Reader::new(text, 0, false).value()
    }

    /// The value without positions, as JSON.
    fn plain(value: &Value<'_>) -> String {
        let fields = |fields: &[Field<'_>]| {
            let field = |field: &Field<'_>| format!("{}:{}", field.key, plain(&field.value));
            fields.iter().map(field).collect::<Vec<_>>().join(",")
        };
        match &value.kind {
            Kind::Null => "null".to_owned(),
            Kind::Bool(value) => value.to_string(),
            Kind::Whole(number) => number.to_string(),
            Kind::Fraction(number) => number.to_string(),
            Kind::Number => "number".to_owned(),
            Kind::Text(text) => format!("'{text}'"),
            Kind::Name(name) => (*name).to_owned(),
            Kind::List(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(",")),
            Kind::Object(own) => format!("{{{}}}", fields(own)),
            Kind::Call(name, own) => format!("{name}({})", fields(own)),
        }
    }

    #[test]
    fn python_and_json_are_read_alike() {
        for (text, means) in [
            ("(1, [2L], )", "[1,[2]]"),
            (
                "[0.5, 1., 2e-3, -.25, 1e999, 1.2.3, 0x1e2]",
                "[0.5,1,0.002,-0.25,number,number,number]",
            ),
            (r"['a', \u2019b\u2019, \u201Cc\u201D]", "['a','b','c']"),
            ("{'a': True, \"b\": null, 3: -1,}", "{a:true,b:null,3:number}"),
            (
                r#"[\"a\", \'b\', ‘c’, “d”, \u0027e\u0027, u'f']"#,
                "['a','b','c','d','e','f']",
            ),
            (r#"["say \"a\"", 'it\'s']"#, r#"['say \"a\"','it\'s']"#),
            ("[1, # one\r\n\u{a0}\u{feff}2]", "[1,2]"),
            (r"[1,\n\t2]", "[1,2]"),
            ("f(2, a = g.h)", "f(:2,a:g.h)"),
            (
                "(np.int64(3), list(range(2, 6)), np.array([1, 2], dtype=int))",
                "[3,range(:2,:6),[1,2]]",
            ),
            ("OrderedDict([('a', 1), ('b', 2)])", "{a:1,b:2}"),
            ("dict(a=1)", "{a:1}"),
        ] {
            assert_eq!(plain(&read(text).unwrap()), means, "{text}");
        }
        let commented = Reader::new("(1,\n  #   2, # two\n# 3)", 0, true).value().unwrap();
        assert_eq!(plain(&commented), "[1,2,3]");
    }

    #[test]
    fn anything_but_a_literal_is_refused_with_its_position() {
        for (text, at, says) in [
            ("[1 2]", 3, "expected ]"),
            ("[1", 2, "expected ]"),
            ("['a]", 1, "a quote is not closed"),
            ("['a\n']", 1, "a quote is not closed"),
            ("{1}", 2, "expected :"),
            ("?", 0, "expected a value"),
            (&"[".repeat(100), DEEPEST, "nested brackets"),
            (
                &format!("[{}", "1,".repeat(MOST_VALUES)),
                2 * MOST_VALUES - 1,
                "more than 131072 values",
            ),
        ] {
            let mistake = read(text).unwrap_err();
            assert!(
                mistake.at == at && mistake.problem.contains(says),
                "{text:.20}: {mistake:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\](){}'\"\\\\,:=#é\\na-c0-9 .]{0,60}") {
            let _ = read(&text);
        }
    }
}
