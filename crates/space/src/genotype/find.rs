//! Finds genotypes in all kinds of text: a line of a log, a whole `genotypes.py`, a dictionary
//! printed by Python, a JSON file with results, a listing in a paper.
//!
//! A genotype is recognised by its beginning: `…Genotype(`, a text of NAS-Bench-201, an object with
//! keys of a known tool. Lists of numbers count only if there is nothing else. Comments count only
//! if nothing outside of comments is found, and code that computes a genotype never counts.
//! Contract: a single genotype, however often it is repeated, is the result. If there are several,
//! none is chosen, but they are listed with their names and lines, and a name or a line number
//! selects one. A text with quotes of HTML or CSV, or with joined strings, is also read in its
//! plain form, see [`Plain`]. Time is linear in the length of the text, and memory is bounded,
//! except for a single literal and the plain form.

use std::ops::Range;

use super::literal::{Field, Kind, Reader, Value, is_wrapper};
use super::mistake::Mistake;
use super::nni_text::Object;
use super::plain::Plain;
use super::{Genotype, GenotypeError, darts_text, mobile_text, nas_bench_201_text, naslib_text, nni_text};

/// Maximum number of names, and of lines without a name, listed in a message.
const MOST_LISTED: usize = 16;
/// Longest name of a genotype, and maximum number of bytes between the name and its genotype.
const LONGEST_NAME: usize = 64;
/// Maximum length of a chain of aliases.
const MOST_ALIASES: usize = 8;

impl Genotype {
    /// Reads the genotype in `text`, in any of the [forms](super::GenotypeForm), wherever it is in
    /// the text.
    ///
    /// # Errors
    /// If there is none, or it is invalid: syntax, an unknown operation, an edge that does not go
    /// forward; if there are several, with their names.
    pub fn parse(text: &str) -> Result<Self, GenotypeError> {
        search(text, None)
    }

    /// Like [`Genotype::parse`], for the genotype with this name, or the one that begins in the
    /// line with this number, from 1.
    ///
    /// # Errors
    /// Like [`Genotype::parse`]; if no genotype has this name, or several have.
    pub fn parse_named(text: &str, name: &str) -> Result<Self, GenotypeError> {
        search(text, Some(name))
    }
}

/// The requested genotype. It is read from the plain form of the text, unless that contains no
/// genotype, or fewer valid ones than the text itself.
fn search(text: &str, pick: Option<&str>) -> Result<Genotype, GenotypeError> {
    let own = Search::new(text, pick);
    let Some(plain) = Plain::of(text) else {
        return own.genotype();
    };
    let search = Search::of(text, Some(&plain), pick);
    // Rows of quoted cells look like adjacent strings, which Python joins. Joining them would hide
    // some of their genotypes.
    if search.valid() < own.valid() || search.found.iter().all(|found| found.all.listed.is_empty()) {
        return own.genotype();
    }
    match (own.genotype(), search.genotype()) {
        (Ok(own), Ok(other)) if own != other => Err(GenotypeError::whole(
            "the text contains one genotype as it stands, and another after joining its strings and decoding its quotes: pass only one of them",
        )),
        (_, plain) => plain,
    }
}

/// A pass through a text, with its results.
struct Search<'a> {
    text: &'a str,
    /// The text in which offsets and lines are counted.
    original: &'a str,
    /// The plain form of `original`, if `text` is its text.
    plain: Option<&'a Plain>,
    pick: Option<&'a str>,
    /// The genotypes outside of comments, and those inside.
    found: [Found<'a>; 2],
    /// If no genotype was found: why the text that looked like one is invalid.
    missed: Option<Mistake>,
    /// How far lines have been counted, the current line, and whether a comment began in it.
    counted: usize,
    line: usize,
    commented: bool,
    /// Offset of the first visible byte.
    begin: usize,
    /// Number of bytes that readers have processed, some of them several times.
    #[cfg(test)]
    read_bytes: usize,
}

/// The genotypes of a text: the first one that was requested, how many there are, and their names.
#[derive(Default)]
struct Found<'a> {
    first: Option<Result<Genotype, Mistake>>,
    several: bool,
    /// Number of valid ones.
    valid: usize,
    picked: Names<'a>,
    all: Names<'a>,
}

/// Names with the first of their lines; beyond [`MOST_LISTED`] they are only counted.
#[derive(Default)]
struct Names<'a> {
    listed: Vec<(Option<&'a str>, usize)>,
    others: usize,
}

impl<'a> Names<'a> {
    fn add(&mut self, name: Option<&'a str>, line: usize) {
        if self.listed.len() < MOST_LISTED {
            self.listed.push((name, line));
        } else {
            self.others += 1;
        }
    }

    /// Whether all have the same name, if any, and the same line.
    fn are_alike(&self) -> bool {
        self.others == 0 && self.listed.windows(2).all(|two| two[0] == two[1])
    }

    /// The list for a message, with each name and line once.
    fn words(&self) -> String {
        let one = |&(name, line): &(Option<&str>, usize)| match name {
            Some(name) => format!("{name} (line {line})"),
            None => format!("line {line}"),
        };
        let mut listed: Vec<String> = self.listed.iter().map(one).collect();
        listed.dedup();
        let mut words = listed.join(", ");
        if self.others > 0 {
            words += &format!(" and {} more", self.others);
        }
        words
    }
}

impl<'a> Search<'a> {
    fn new(text: &'a str, pick: Option<&'a str>) -> Self {
        Self::of(text, None, pick)
    }

    /// Searches `original`, or its plain form.
    fn of(original: &'a str, plain: Option<&'a Plain>, pick: Option<&'a str>) -> Self {
        let text = plain.map_or(original, |plain| plain.text.as_str());
        let mut search = Self {
            text,
            original,
            plain,
            pick: pick.map(|name| meant(text, name)),
            found: <[Found<'_>; 2]>::default(),
            missed: None,
            counted: 0,
            line: 1,
            commented: false,
            begin: text.len() - text.trim_start_matches(is_blank).len(),
            #[cfg(test)]
            read_bytes: 0,
        };
        search.certain();
        if search.found.iter().all(|found| found.all.listed.is_empty()) {
            (search.counted, search.line, search.commented) = (0, 1, false);
            search.numbers();
        }
        search
    }

    /// Number of valid genotypes, requested or not.
    fn valid(&self) -> usize {
        self.found.iter().map(|found| found.valid).sum()
    }

    /// The requested genotype.
    fn genotype(self) -> Result<Genotype, GenotypeError> {
        let original = self.original;
        let place = |mistake: Mistake| {
            let at = self.plain.map_or(mistake.at, |plain| plain.origin(mistake.at));
            Mistake { at, ..mistake }.of(original)
        };
        let [live, commented] = self.found;
        let found = if live.all.listed.is_empty() { commented } else { live };
        if found.all.listed.is_empty() {
            return Err(place(self.missed.unwrap_or_else(|| nothing(self.text))));
        }
        match (found.first, self.pick) {
            (Some(_), _) if found.several => {
                let names = found.picked.words();
                // No name or line number can select one of them.
                if found.picked.are_alike() {
                    return Err(GenotypeError::whole(format!(
                        "there are several in {names}, and neither a name nor a line number distinguishes them: give one of them alone"
                    )));
                }
                let mut error =
                    GenotypeError::whole(format!("there are several, say which by its name or line: {names}"));
                error.several = true;
                Err(error)
            }
            (Some(first), _) => first.map_err(place),
            (None, name) => {
                let (name, names) = (name.unwrap_or_default(), found.all.words());
                Err(GenotypeError::whole(format!(
                    "no genotype is called {name:.64}; found: {names}"
                )))
            }
        }
    }

    /// Counts the bytes that a reader has processed.
    #[cfg(test)]
    fn count(&mut self, bytes: usize) {
        self.read_bytes += bytes;
    }

    /// Counts lines up to `at`, which only increases: those of the original text.
    fn go_to(&mut self, at: usize) {
        for byte in self.text.as_bytes().get(self.counted..at).unwrap_or_default() {
            match byte {
                b'\n' => (self.line, self.commented) = (self.line + 1, false),
                b'#' => self.commented = true,
                _ => {}
            }
        }
        let from = self.counted.min(at);
        self.counted = self.counted.max(at);
        if let Some(plain) = self.plain {
            let passed = self.original.as_bytes();
            let passed = passed.get(plain.origin(from)..plain.origin(at)).unwrap_or_default();
            let kept = &self.text.as_bytes()[from..at];
            let lines = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == b'\n').count();
            self.line = self.line + lines(passed) - lines(kept);
        }
    }

    /// Adds the genotype that begins at `start`, up to which lines have been counted.
    fn add(&mut self, start: usize, genotype: Result<Genotype, Mistake>) {
        let (name, line) = (name_before(self.text, start), self.line);
        let found = &mut self.found[usize::from(self.commented)];
        found.all.add(name, line);
        found.valid += usize::from(genotype.is_ok());
        let picked = match self.pick {
            None => true,
            Some(pick) => name == Some(pick) || pick.parse() == Ok(line),
        };
        if !picked {
            return;
        }
        found.picked.add(name, line);
        match &found.first {
            None => found.first = Some(genotype),
            // Two invalid ones do not count as equal.
            Some(first) => found.several |= first.is_err() || *first != genotype,
        }
    }

    /// Finds texts that are certainly meant as genotypes.
    fn certain(&mut self) {
        let text = self.text;
        let mut at = 0;
        while let Some(next) = text[at..].find(['{', '|', '(']) {
            let open = at + next;
            at = open + 1;
            let start = match text.as_bytes()[open] {
                b'(' => match caller(text, open) {
                    Some(start) => start,
                    None => continue,
                },
                _ => open,
            };
            self.go_to(start);
            let mut reader = Reader::new(text, start, self.commented);
            let (end, genotype) = match text.as_bytes()[open] {
                b'|' if begins_201(&text[open..]) => {
                    let (end, genotype) = nas_bench_201_text::read(text, open);
                    (end, Some(genotype))
                }
                b'|' => continue,
                b'(' if is_genotype(&text[start..open]) => (at, self.call(&mut reader, open)),
                _ => {
                    let genotype = self.object(&mut reader);
                    (if genotype.is_some() { reader.at } else { at }, genotype)
                }
            };
            #[cfg(test)]
            self.count(reader.at.max(end) - start);
            at = at.max(end);
            if let Some(genotype) = genotype {
                self.add(start, genotype);
            }
        }
    }

    /// Reads a call that creates a genotype; `None` if its arguments are code.
    fn call(&mut self, reader: &mut Reader<'a>, open: usize) -> Option<Result<Genotype, Mistake>> {
        let code = is_code(Reader::new(self.text, open + 1, self.commented));
        let read = match reader.value() {
            Ok(Value {
                kind: Kind::Call(_, fields),
                ..
            }) => mobile_text::read(&fields).unwrap_or_else(|| darts_text::read(&fields, reader.at - 1)),
            Ok(value) => Err(Mistake::new(value.at, "expected the fields of a genotype")),
            Err(mistake) => Err(mistake),
        };
        match read {
            Err(mistake) if code => {
                self.missed.get_or_insert(mistake);
                None
            }
            read => Some(read),
        }
    }

    /// Reads an object; `None` if it is not from a known tool.
    fn object(&mut self, reader: &mut Reader<'a>) -> Option<Result<Genotype, Mistake>> {
        let start = reader.at;
        let whole = start <= self.begin;
        match reader.value() {
            Ok(Value {
                kind: Kind::Object(fields),
                ..
            }) => {
                let known = of_object(start, &fields);
                if known.is_none() && whole {
                    let keys = "\"genotype\" (da2s), \"normal/op_2_0\" (NNI 3), \"normal_n2_switch\" (NNI 2), \"0_1\" (NNI, \
                                NAS-Bench-201), \"…:darts:edge_normal_0\" (NAS-Bench-301), \"normal_concat\" (DARTS)";
                    let problem = format!("the object has none of the keys {keys}, nor the text of a genotype in it");
                    self.missed.get_or_insert(Mistake::new(start, problem));
                }
                known
            }
            Ok(_) => None,
            Err(mistake) => {
                let read = self.text.get(start..mistake.at).unwrap_or_default();
                if ["_switch", "/op_", naslib_text::EDGE, "normal_concat"]
                    .iter()
                    .any(|key| read.contains(key))
                {
                    return Some(Err(mistake));
                }
                if whole {
                    let problem = format!("it begins like an object, but {}", mistake.problem);
                    self.missed.get_or_insert(Mistake::new(mistake.at, problem));
                }
                None
            }
        }
    }

    /// Finds lists that describe an architecture by numbers, or by pairs of names and numbers.
    fn numbers(&mut self) {
        let text = self.text;
        let mut at = 0;
        while let Some(next) = text[at..].find(['(', '[']) {
            let start = at + next;
            at = start + 1;
            self.go_to(start);
            let mut reader = Reader::new(text, start, self.commented);
            let value = reader.value();
            #[cfg(test)]
            self.count(reader.at - start);
            let Ok(value) = value else { continue };
            let read = naslib_text::read(&value).or_else(|| nas_bench_201_text::read_lists(&value));
            if let Some(genotype) = read {
                at = reader.at;
                self.add(start, genotype);
            }
        }
    }
}

/// The genotype of an object that begins at `at`, if its keys are those of a known tool.
fn of_object(at: usize, fields: &[Field<'_>]) -> Option<Result<Genotype, Mistake>> {
    let keys = || fields.iter().map(|field| field.key);
    let some = |is: fn(&str) -> bool| keys().any(is);
    let read: fn(Object<'_, '_>) -> Result<Genotype, Mistake> = if some(|key| key.contains("/op_")) {
        nni_text::parse
    } else if some(|key| key.ends_with("_switch")) {
        nni_text::parse_2
    } else if some(|key| key.contains(naslib_text::EDGE)) {
        naslib_text::read_301
    } else if some(|key| key == "normal_concat") && some(|key| key == "normal") {
        return Some(darts_text::read(fields, at));
    } else if nas_bench_201_text::is_nni(keys()) {
        return Some(nas_bench_201_text::read_nni(at, fields));
    } else {
        return None;
    };
    Some(Object::new(at, fields).and_then(read))
}

/// The error for a text without anything similar to a genotype.
fn nothing(text: &str) -> Mistake {
    let inner = text.trim_start_matches(is_blank);
    let at = text.len() - inner.len();
    if inner.starts_with(['(', '[']) {
        return Mistake::new(at, format!("expected {}", naslib_text::NUMBERS));
    }
    if inner.trim_end().parse::<usize>().is_ok() {
        let problem = "a number alone is not a genotype: an index of NAS-Bench-201 has a meaning only with its table";
        return Mistake::new(at, problem);
    }
    Mistake::new(
        at,
        "expected Genotype(normal=…, normal_concat=…, reduce=…, reduce_concat=…), Genotype(stages=…), an architecture of NAS-Bench-201 as \
         |op~0|+|op~0|op~1|+|op~0|op~1|op~2|, or an object of NNI or NAS-Bench-301, and found none of them",
    )
}

/// Whether the character is invisible.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}' | '\'' | '"')
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.'
}

/// The last bytes of `bytes`, at most `most`.
fn last(bytes: &[u8], most: usize) -> &[u8] {
    &bytes[bytes.len().saturating_sub(most)..]
}

/// Whether the text begins with an edge of NAS-Bench-201: `|name~0`.
fn begins_201(text: &str) -> bool {
    let text = text.as_bytes().get(1..LONGEST_NAME.min(text.len())).unwrap_or_default();
    let name = text.iter().take_while(|&&byte| is_name(byte)).count();
    name > 0 && text.get(name) == Some(&b'~') && text.get(name + 1).is_some_and(u8::is_ascii_digit)
}

/// The offset of the name in a call such as `Genotype(` or `dict(`, whose parenthesis is at `open`;
/// `None` if the call creates neither a genotype nor a dictionary.
fn caller(text: &str, open: usize) -> Option<usize> {
    let before = last(&text.as_bytes()[..open], 2 * LONGEST_NAME);
    let blanks = before
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_whitespace())
        .count();
    let before = &before[..before.len() - blanks];
    let length = before.iter().rev().take_while(|&&byte| is_name(byte)).count();
    let (rest, name) = before.split_at(before.len() - length);
    let start = open - blanks - length;
    let known = is_genotype(&text[start..open]) || name.ends_with(b"dict") || name.ends_with(b"OrderedDict");
    // A definition is not a call.
    let defined = [&b"class "[..], b"def "].iter().any(|word| rest.ends_with(word));
    (known && !defined && name.first().is_some_and(|first| !first.is_ascii_digit())).then_some(start)
}

fn is_genotype(name: &str) -> bool {
    name.rsplit('.').next().is_some_and(|last| last.contains("Genotype"))
}

/// Whether the first argument at the position of `reader` is not a literal.
fn is_code(mut reader: Reader<'_>) -> bool {
    reader.space();
    let name = reader.name();
    reader.at += name.len();
    let value = match reader.take('=') {
        true => {
            reader.space();
            reader.name()
        }
        false => name,
    };
    !value.is_empty() && !is_wrapper(value)
}

/// The name in `text` of the value that begins at `start`: `NAME = …`, `"NAME": …`.
fn name_before(text: &str, start: usize) -> Option<&str> {
    let (name, sign) = name_and_sign(text, start)?;
    // The type of an assignment is not its name: `NAME: Genotype = …`.
    let typed = (sign == b'=').then(|| name_and_sign(text, name.start)).flatten();
    let name = typed.filter(|&(_, sign)| sign == b':').map_or(name, |(name, _)| name);
    text.get(name)
}

/// The sign `=` or `:` that precedes `start`, and the range of the name before that sign.
fn name_and_sign(text: &str, start: usize) -> Option<(Range<usize>, u8)> {
    let before = last(&text.as_bytes()[..start], 2 * LONGEST_NAME);
    let trim = |bytes: &[u8], is: fn(u8) -> bool| bytes.iter().rev().take_while(|&&byte| is(byte)).count();
    let blank = |byte| matches!(byte, b' ' | b'\t' | b'\'' | b'"' | b'\\');
    let (sign, before) = before[..before.len() - trim(before, blank)].split_last()?;
    let doubled = matches!(before.last(), Some(b'=' | b'!' | b':'));
    if !matches!(sign, b'=' | b':') || doubled {
        return None;
    }
    let before = &before[..before.len() - trim(before, blank)];
    let length = trim(before, |byte| is_name(byte) || byte == b'-');
    let end = start - (last(&text.as_bytes()[..start], 2 * LONGEST_NAME).len() - before.len());
    (1..=LONGEST_NAME)
        .contains(&length)
        .then_some((end - length..end, *sign))
}

/// The name for which `name` is an alias in a text of Python: `DARTS = DARTS_V2`.
fn meant<'a>(text: &'a str, name: &'a str) -> &'a str {
    let mut meant = name;
    for _ in 0..MOST_ALIASES {
        let other = text.lines().find_map(|line| {
            let (left, right) = line.split_once('=')?;
            let right = right.split('#').next().unwrap_or_default().trim();
            let is = left.trim() == meant && right.bytes().all(is_name) && right != meant;
            (is && right.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')).then_some(right)
        });
        match other {
            Some(other) => meant = other,
            None => break,
        }
    }
    meant
}

#[cfg(test)]
#[path = "../tests/find.rs"]
mod tests;
