//! What was declared of settings, as data.

use crate::allowed::Allowed;

/// A table of settings.
#[derive(Debug)]
pub struct Table {
    /// The struct that it is in Rust.
    pub name: &'static str,
    /// Its documentation, as written.
    pub text: &'static str,
    /// Settings and tables that are declared in it, in their order.
    pub fields: &'static [Field],
    /// What else it consists of: tables whose settings are its own, after `fields`.
    pub parts: &'static [&'static Self],
}

/// A setting, or a table in a table.
#[derive(Debug)]
pub struct Field {
    /// The last part of its key.
    pub name: &'static str,
    /// Its documentation, as written.
    pub text: &'static str,
    /// What it is.
    pub kind: FieldKind,
    /// Its short name in front ends, if it has one.
    pub short: Option<&'static str>,
    /// Whether a run may change it when it resumes.
    pub may_change: bool,
}

/// What a field is.
#[derive(Clone, Copy, Debug)]
pub enum FieldKind {
    /// A setting with a value.
    Value(Allowed),
    /// A table.
    Table(&'static Table),
}

/// A field and where it stands.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its key with the tables it is in, as `search.epochs`.
    pub key: String,
    /// The field.
    pub field: &'static Field,
}

impl FieldKind {
    /// What a value of this kind must be.
    ///
    /// # Panics
    /// If it is a table. In a declaration that is an error of the compiler.
    pub const fn value(self) -> Allowed {
        match self {
            Self::Value(allowed) => allowed,
            Self::Table(_) => panic!("a table is no value"),
        }
    }

    /// The same kind, which allows no more than `to`.
    ///
    /// # Panics
    /// If the type cannot hold what `to` allows. In a declaration that is an error of the compiler.
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
    /// Every setting with a value, in their order, those of the tables in this one in place.
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

    /// The setting of the short name `short`.
    pub fn named(&self, short: &str) -> Option<Entry> {
        self.entries()
            .into_iter()
            .find(|entry| entry.field.short == Some(short))
    }

    /// Its settings and the tables in it, in their order.
    pub fn fields(&self) -> Vec<&'static Field> {
        let of_parts = self.parts.iter().flat_map(|part| part.fields());
        self.fields.iter().chain(of_parts).collect()
    }

    /// The names of its settings and of the tables in it.
    pub fn names(&self) -> Vec<String> {
        self.fields().iter().map(|field| field.name.to_owned()).collect()
    }

    /// Its documentation: paragraphs, each in a line of its own.
    pub fn doc(&self) -> String {
        paragraphs(self.text).join("\n")
    }
}

impl Field {
    /// Its documentation: paragraphs, each in a line of its own.
    pub fn doc(&self) -> String {
        paragraphs(self.text).join("\n")
    }

    /// The first paragraph of its documentation.
    pub fn summary(&self) -> String {
        paragraphs(self.text).into_iter().next().unwrap_or_default()
    }
}

/// The key `name` of the table `prefix`; the whole document has the prefix "".
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
