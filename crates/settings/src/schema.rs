//! The JSON schema of a table of settings, for editors.
//!
//! Reference: JSON Schema, draft 7, which TOML editors support. Contract: whatever the schema
//! rejects, [`Table::check`] rejects. The schema does not check rounding to 32 bits. It only sets
//! a maximum for 32-bit numbers without an upper limit: the largest 32-bit number.

use std::ops::Bound::{Excluded, Included, Unbounded};

use serde::ser::{Serialize, SerializeMap, Serializer};
use toml::Value;

use crate::allowed::{Allowed, Range};
use crate::table::{FieldKind, Table};

/// A schema or a part of one: keywords and their values, in the order in which they are written.
struct Node(Vec<(&'static str, KeywordValue)>);

/// The value of a keyword.
enum KeywordValue {
    Value(Value),
    Node(Node),
    Nodes(Vec<Node>),
    Properties(Vec<(&'static str, Node)>),
}

/// The schema of documents with the settings of `table`, as JSON. `defaults` is the document in
/// which every setting has its default.
///
/// # Errors
/// If a default cannot be represented in JSON.
pub fn schema(title: &str, table: &Table, defaults: &toml::Table) -> Result<String, serde_json::Error> {
    let mut root = vec![
        ("$schema", value("http://json-schema.org/draft-07/schema#")),
        ("title", value(title)),
    ];
    root.extend(object(table, Some(defaults)).0);
    let mut text = serde_json::to_string_pretty(&Node(root))?;
    text.push('\n');
    Ok(text)
}

fn value(value: impl Into<Value>) -> KeywordValue {
    KeywordValue::Value(value.into())
}

fn object(table: &Table, defaults: Option<&toml::Table>) -> Node {
    let property = |field: &crate::Field| {
        let default = defaults.and_then(|defaults| defaults.get(field.name));
        let node = match field.kind {
            FieldKind::Table(inner) => object(inner, default.and_then(Value::as_table)),
            FieldKind::Value(allowed) => {
                let mut node = vec![("description", value(field.doc()))];
                node.extend(of(allowed).0);
                node.extend(default.map(|default| ("default", value(default.clone()))));
                Node(node)
            }
        };
        (field.name, node)
    };
    Node(vec![
        ("description", value(table.doc())),
        ("type", value("object")),
        ("additionalProperties", value(false)),
        (
            "properties",
            KeywordValue::Properties(table.fields().into_iter().map(property).collect()),
        ),
    ])
}

fn of(allowed: Allowed) -> Node {
    Node(match allowed {
        Allowed::Flag => vec![("type", value("boolean"))],
        Allowed::Text | Allowed::Path => vec![("type", value("string"))],
        Allowed::Words(words) => {
            let names: Vec<&str> = words().iter().map(|word| word.name).collect();
            vec![("enum", value(names))]
        }
        Allowed::Whole { least, most } => {
            let most = (most < i64::MAX).then(|| ("maximum", value(most)));
            [("type", value("integer")), ("minimum", value(least))]
                .into_iter()
                .chain(most)
                .collect()
        }
        Allowed::Quantity(_) => vec![("type", value(vec!["number", "string"]))],
        Allowed::Number(range) => number(range).0,
        Allowed::Interval(range) => vec![
            ("type", value("array")),
            ("items", KeywordValue::Node(number(range))),
            ("minItems", value(2)),
            ("maxItems", value(2)),
        ],
        Allowed::List { item, least, distinct } => vec![
            ("type", value("array")),
            ("items", KeywordValue::Node(of(*item))),
            ("minItems", value(least as i64)),
            ("uniqueItems", value(distinct)),
        ],
        Allowed::Named(each) => vec![
            ("type", value("object")),
            ("additionalProperties", KeywordValue::Node(of(*each))),
        ],
        Allowed::AnyOf(choices) => {
            vec![(
                "anyOf",
                KeywordValue::Nodes(choices.iter().map(|choice| of(*choice)).collect()),
            )]
        }
    })
}

fn number(range: Range) -> Node {
    let mut node = vec![("type", value("number"))];
    node.extend(match range.least {
        Included(least) => Some(("minimum", value(least))),
        Excluded(least) => Some(("exclusiveMinimum", value(least))),
        Unbounded => None,
    });
    node.extend(match range.most {
        Included(most) => Some(("maximum", value(most))),
        Excluded(most) => Some(("exclusiveMaximum", value(most))),
        Unbounded if range.in_f32 => Some(("maximum", value(f64::from(f32::MAX)))),
        Unbounded => None,
    });
    Node(node)
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, part)| (name, part)))
    }
}

impl Serialize for KeywordValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Node(node) => node.serialize(serializer),
            Self::Nodes(nodes) => nodes.serialize(serializer),
            Self::Properties(nodes) => {
                let mut map = serializer.serialize_map(Some(nodes.len()))?;
                for (name, node) in nodes {
                    map.serialize_entry(name, node)?;
                }
                map.end()
            }
        }
    }
}
