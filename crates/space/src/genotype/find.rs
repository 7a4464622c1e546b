//! Finds genotypes in the texts in which people have them: a line of a log, a whole `genotypes.py`,
//! a dictionary that Python printed, a JSON file with results, the listing of a paper.
//!
//! What is found is told by how it begins: `…Genotype(`, a text of NAS-Bench-201, an object with
//! keys of a known tool; lists of numbers count only where there is nothing else. What is commented
//! out counts only where nothing else is there, and code that computes a genotype never does.
//! Contract: one genotype, however often it is repeated, is the answer; of several none is chosen,
//! but they are listed with their names and lines, and a name or a line picks one. Time is linear
//! in the text, and memory beyond that of one literal bounded.

use std::ops::Range;

use super::literal::{Field, Kind, Reader, Value, is_wrapper};
use super::mistake::Mistake;
use super::nni_text::Object;
use super::{Genotype, GenotypeError, darts_text, mobile_text, nas_bench_201_text, naslib_text, nni_text};

/// Most names, and lines without one, that a sentence lists.
const MOST_LISTED: usize = 16;
/// Longest name of a genotype, and most bytes between it and its genotype.
const LONGEST_NAME: usize = 64;
/// Most names that stand for each other.
const MOST_ALIASES: usize = 8;

impl Genotype {
    /// Reads the genotype in `text`, in any of the [forms](super::GenotypeForm), wherever it stands
    /// there.
    ///
    /// # Errors
    /// If there is none, or it is wrong: syntax, an unknown operation, an edge that does not go
    /// forward; if there are several, with their names.
    pub fn parse(text: &str) -> Result<Self, GenotypeError> {
        Search::new(text, None).genotype()
    }

    /// As [`Genotype::parse`], the one of that name, or that begins in the line of that number,
    /// from 1.
    ///
    /// # Errors
    /// As [`Genotype::parse`]; if no genotype has this name, or several have.
    pub fn parse_named(text: &str, name: &str) -> Result<Self, GenotypeError> {
        Search::new(text, Some(name)).genotype()
    }
}

/// A way through a text, and what was found on it.
struct Search<'a> {
    text: &'a str,
    pick: Option<&'a str>,
    /// What stands in the text, and what is commented out there.
    found: [Found<'a>; 2],
    /// Why what looks like a genotype is none, if nothing is one.
    missed: Option<Mistake>,
    /// How far lines are counted, that line, and whether a comment began in it.
    counted: usize,
    line: usize,
    commented: bool,
    /// Where the first byte is of which something is to be seen.
    begin: usize,
    /// Bytes that readers went through, some of them several times.
    #[cfg(test)]
    read_bytes: usize,
}

/// The genotypes of a text: the first that is asked for, how many there are, and what they are
/// called.
#[derive(Default)]
struct Found<'a> {
    first: Option<Result<Genotype, Mistake>>,
    several: bool,
    picked: Names<'a>,
    all: Names<'a>,
}

/// Names with the first of their lines; beyond [`MOST_LISTED`] they are counted.
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

    /// Whether all have one name, if any, and one line.
    fn are_alike(&self) -> bool {
        self.others == 0 && self.listed.windows(2).all(|two| two[0] == two[1])
    }

    /// What is listed, each name and line once.
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
        let mut search = Self {
            text,
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

    /// The one genotype that is asked for.
    fn genotype(self) -> Result<Genotype, GenotypeError> {
        let text = self.text;
        let [live, commented] = self.found;
        let found = if live.all.listed.is_empty() { commented } else { live };
        if found.all.listed.is_empty() {
            return Err(self.missed.unwrap_or_else(|| nothing(text)).of(text));
        }
        match (found.first, self.pick) {
            (Some(_), _) if found.several => {
                let names = found.picked.words();
                // No name and no line picks one of them.
                if found.picked.are_alike() {
                    return Err(GenotypeError::whole(format!(
                        "there are several in {names}, which no name or line tells apart: give one of them alone"
                    )));
                }
                let mut error =
                    GenotypeError::whole(format!("there are several, say which by its name or line: {names}"));
                error.several = true;
                Err(error)
            }
            (Some(first), _) => first.map_err(|mistake| mistake.of(text)),
            (None, name) => {
                let (name, names) = (name.unwrap_or_default(), found.all.words());
                Err(GenotypeError::whole(format!(
                    "none is called {name:.64}; there are: {names}"
                )))
            }
        }
    }

    /// Counts what a reader went through.
    #[cfg(test)]
    fn count(&mut self, bytes: usize) {
        self.read_bytes += bytes;
    }

    /// Counts lines up to `at`, which only grows.
    fn go_to(&mut self, at: usize) {
        for byte in self.text.as_bytes().get(self.counted..at).unwrap_or_default() {
            match byte {
                b'\n' => (self.line, self.commented) = (self.line + 1, false),
                b'#' => self.commented = true,
                _ => {}
            }
        }
        self.counted = self.counted.max(at);
    }

    /// Adds the genotype that begins at `start`, up to which lines are counted.
    fn add(&mut self, start: usize, genotype: Result<Genotype, Mistake>) {
        let (name, line) = (name_before(self.text, start), self.line);
        let found = &mut self.found[usize::from(self.commented)];
        found.all.add(name, line);
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
            // Two that are wrong are not the same.
            Some(first) => found.several |= first.is_err() || *first != genotype,
        }
    }

    /// Finds what is meant as a genotype beyond doubt.
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

    /// Reads the call of a genotype; `None` if it is code, which computes one.
    fn call(&mut self, reader: &mut Reader<'a>, open: usize) -> Option<Result<Genotype, Mistake>> {
        let code = is_code(Reader::new(self.text, open + 1, self.commented));
        let read = match reader.value() {
            Ok(Value {
                kind: Kind::Call(_, fields),
                ..
            }) if fields.iter().any(|field| field.key == mobile_text::STAGES) => mobile_text::read(&fields),
            Ok(Value {
                kind: Kind::Call(_, fields),
                ..
            }) => darts_text::read(&fields, reader.at - 1),
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

    /// Reads an object; `None` if it is not one of a known tool.
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

    /// Finds lists that say an architecture in numbers, or as pairs of names and numbers.
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

/// What is said of a text in which nothing is like a genotype.
fn nothing(text: &str) -> Mistake {
    let inner = text.trim_start_matches(is_blank);
    let at = text.len() - inner.len();
    if inner.starts_with(['(', '[']) {
        return Mistake::new(at, format!("expected {}", naslib_text::NUMBERS));
    }
    if inner.trim_end().parse::<usize>().is_ok() {
        let problem = "a number alone is no genotype: an index of NAS-Bench-201 means something only beside its table";
        return Mistake::new(at, problem);
    }
    Mistake::new(
        at,
        "expected Genotype(normal=…, normal_concat=…, reduce=…, reduce_concat=…), Genotype(stages=…), an architecture of NAS-Bench-201 as \
         |op~0|+|op~0|op~1|+|op~0|op~1|op~2|, or an object of NNI or NAS-Bench-301, and found none of them",
    )
}

/// Whether nothing is to be seen of it.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}' | '\'' | '"')
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.'
}

/// The last of at most `most` bytes of `bytes`.
fn last(bytes: &[u8], most: usize) -> &[u8] {
    &bytes[bytes.len().saturating_sub(most)..]
}

/// Whether the text begins with an edge of NAS-Bench-201: `|name~0`.
fn begins_201(text: &str) -> bool {
    let text = text.as_bytes().get(1..LONGEST_NAME.min(text.len())).unwrap_or_default();
    let name = text.iter().take_while(|&&byte| is_name(byte)).count();
    name > 0 && text.get(name) == Some(&b'~') && text.get(name + 1).is_some_and(u8::is_ascii_digit)
}

/// Where the name of the genotype or dictionary begins that is called with the parenthesis at
/// `open`, if it is one.
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
    // Its definition is none.
    let defined = [&b"class "[..], b"def "].iter().any(|word| rest.ends_with(word));
    (known && !defined && name.first().is_some_and(|first| !first.is_ascii_digit())).then_some(start)
}

fn is_genotype(name: &str) -> bool {
    name.rsplit('.').next().is_some_and(|last| last.contains("Genotype"))
}

/// Whether the first argument that `reader` is before is no literal.
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

/// The name that `text` gives to what begins at `start`: `NAME = …`, `"NAME": …`.
fn name_before(text: &str, start: usize) -> Option<&str> {
    let (name, sign) = name_and_sign(text, start)?;
    // The type of an assignment is not its name: `NAME: Genotype = …`.
    let typed = (sign == b'=').then(|| name_and_sign(text, name.start)).flatten();
    let name = typed.filter(|&(_, sign)| sign == b':').map_or(name, |(name, _)| name);
    text.get(name)
}

/// Where the name before the `=` or `:` before `start` stands, and which of the two it is.
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

/// The name that `name` stands for in a text of Python: `DARTS = DARTS_V2`.
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
