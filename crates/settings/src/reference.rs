//! The reference of a table of settings, in Markdown.

use std::fmt::Write as _;

use toml::Value;

use crate::allowed::Allowed;
use crate::table::{Field, FieldKind, Table, join};

/// Tables with the same declaration and the same defaults, which the reference describes once.
struct Section<'a> {
    table: &'static Table,
    /// The keys of the tables.
    paths: Vec<String>,
    defaults: Option<&'a Value>,
}

/// One section for every table within `table`: its settings with their defaults, allowed values and
/// descriptions. `defaults` is the document in which every setting has its default; settings that
/// are absent from it are absent by default.
pub fn reference(table: &Table, defaults: &toml::Table) -> String {
    let mut sections = Vec::new();
    collect(table, "", Some(defaults), &mut sections);
    sections.iter().map(Section::to_string).collect::<Vec<_>>().join("\n")
}

fn collect<'a>(table: &Table, prefix: &str, defaults: Option<&'a toml::Table>, sections: &mut Vec<Section<'a>>) {
    for field in table.fields() {
        let FieldKind::Table(inner) = field.kind else { continue };
        let path = join(prefix, field.name);
        let defaults = defaults.and_then(|defaults| defaults.get(field.name));
        let same = |section: &&mut Section<'_>| section.table.name == inner.name && section.defaults == defaults;
        match sections.iter_mut().find(same) {
            Some(section) => section.paths.push(path.clone()),
            None => sections.push(Section {
                table: inner,
                paths: vec![path.clone()],
                defaults,
            }),
        }
        collect(inner, &path, defaults.and_then(Value::as_table), sections);
    }
}

impl std::fmt::Display for Section<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let titles: Vec<String> = self.paths.iter().map(|path| format!("`[{path}]`")).collect();
        write!(f, "## {}\n\n{}\n", titles.join(", "), self.table.doc())?;
        let mut values = self
            .table
            .fields()
            .into_iter()
            .filter(|field| matches!(field.kind, FieldKind::Value(_)))
            .peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        f.write_str("\n| key | default | allowed | what it is |\n|---|---|---|---|\n")?;
        for field in values {
            let keys: Vec<String> = self
                .paths
                .iter()
                .map(|path| format!("`{}`", join(path, field.name)))
                .collect();
            let mut key = keys.join(", ");
            if let Some(short) = field.short {
                let _ = write!(key, ", short `{short}`");
            }
            let default = self.defaults.and_then(|defaults| defaults.get(field.name));
            let default = default.map_or_else(|| "unset".to_owned(), |value| format!("`{value}`"));
            let cells = [key, default, allowed(field), field.doc()];
            let cells = cells.map(|cell| cell.replace('|', "\\|").replace('\n', "<br>"));
            writeln!(f, "| {} |", cells.join(" | "))?;
        }
        Ok(())
    }
}

/// The allowed values of a setting: its words with their meanings, or the text of the error
/// message.
fn allowed(field: &Field) -> String {
    match field.kind {
        FieldKind::Value(Allowed::Words(words)) => {
            let describe = |word: crate::Word| match word.doc {
                Some(doc) => format!("`{}`: {}", word.name, doc.trim().replace('\n', " ")),
                None => format!("`{}`", word.name),
            };
            words().into_iter().map(describe).collect::<Vec<_>>().join("\n")
        }
        FieldKind::Value(allowed) => allowed.to_string(),
        FieldKind::Table(_) => String::new(),
    }
}
