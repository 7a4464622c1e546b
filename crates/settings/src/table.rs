//! Declared settings, as data.

use crate::allowed::Allowed;

/// A table of settings.
#[derive(Debug)]
pub struct Table {
    /// The name of its Rust struct.
    pub name: &'static str,
    /// Its documentation, as written.
    pub text: &'static str,
    /// The settings and tables declared in it, in order.
    pub fields: &'static [Field],
    /// The tables that it includes. Their settings also belong to this table and follow `fields`.
    pub parts: &'static [&'static Self],
}

/// A setting, or a nested table.
#[derive(Debug)]
pub struct Field {
    /// The last part of its key.
    pub name: &'static str,
    /// Its documentation, as written.
    pub text: &'static str,
    /// Its kind.
    pub kind: FieldKind,
    /// Its short name in front ends, if it has one.
    pub short: Option<&'static str>,
    /// Whether it may change when a run resumes.
    pub may_change: bool,
}

/// The kind of a field.
#[derive(Clone, Copy, Debug)]
pub enum FieldKind {
    /// A setting with a value.
    Value(Allowed),
    /// A table.
    Table(&'static Table),
}

/// A field and its position.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its key, including its tables, for example `search.epochs`.
    pub key: String,
    /// The field.
    pub field: &'static Field,
}

impl FieldKind {
    /// The allowed values of this kind.
    ///
    /// # Panics
    /// If it is a table. In a declaration, this is a compile-time error.
    pub const fn value(self) -> Allowed {
        match self {
            Self::Value(allowed) => allowed,
            Self::Table(_) => panic!("a table is not a value"),
        }
    }

    /// The same kind, narrowed to `to`.
    ///
    /// # Panics
    /// If the type cannot hold what `to` allows. In a declaration, this is a compile-time error.
    #[must_use]
    pub const fn narrowed(self, to: Allowed) -> Self {
        Self::Value(match (self.value(), to) {
            (
                Allowed::Whole { least, most },
                Allowed::Whole {
                    least: new_least,
                    most: new_most,
                },
            ) => {
                assert!(
                    least <= new_least && new_most <= most,
                    "the type of a setting cannot hold its range"
                );
                to
            }
            (Allowed::Number(of_type), Allowed::Number(_)) | (Allowed::Interval(of_type), Allowed::Interval(_)) => {
                if of_type.in_f32 {
                    to.in_f32()
                } else {
                    to
                }
            }
            (Allowed::List { .. }, Allowed::List { .. }) => to,
            _ => panic!("the range of a setting does not fit its type"),
        })
    }
}

impl Table {
    /// All settings with a value, in order; those of a nested table are at its position.
    pub fn entries(&self) -> Vec<Entry> {
        let mut found = Vec::new();
        self.collect("", &mut found);
        found
    }

    fn collect(&self, prefix: &str, found: &mut Vec<Entry>) {
        for field in self.fields() {
            let key = join(prefix, field.name);
            match field.kind {
                FieldKind::Table(inner) => inner.collect(&key, found),
                FieldKind::Value(_) => found.push(Entry { key, field }),
            }
        }
    }

    /// The setting with the short name `short`.
    pub fn named(&self, short: &str) -> Option<Entry> {
        self.entries()
            .into_iter()
            .find(|entry| entry.field.short == Some(short))
    }

    /// Its settings and nested tables, in order.
    pub fn fields(&self) -> Vec<&'static Field> {
        let of_parts = self.parts.iter().flat_map(|part| part.fields());
        self.fields.iter().chain(of_parts).collect()
    }

    /// The names of its settings and nested tables.
    pub fn names(&self) -> Vec<String> {
        self.fields().iter().map(|field| field.name.to_owned()).collect()
    }

    /// Its documentation, one paragraph per line.
    pub fn doc(&self) -> String {
        paragraphs(self.text).join("\n")
    }
}

impl Field {
    /// Its documentation, one paragraph per line.
    pub fn doc(&self) -> String {
        paragraphs(self.text).join("\n")
    }

    /// The first paragraph of its documentation.
    pub fn summary(&self) -> String {
        paragraphs(self.text).into_iter().next().unwrap_or_default()
    }
}

/// The key `name` in the table `prefix`; the prefix of the whole document is "".
pub(crate) fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}.{name}")
    }
}

fn paragraphs(text: &str) -> Vec<String> {
    let mut found = vec![Vec::new()];
    for line in text.lines().map(str::trim) {
        match found.last_mut() {
            Some(paragraph) if !line.is_empty() => paragraph.push(line),
            _ => found.push(Vec::new()),
        }
    }
    found
        .into_iter()
        .filter(|lines| !lines.is_empty())
        .map(|lines| lines.join(" "))
        .collect()
}
