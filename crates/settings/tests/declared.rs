//! What a declaration generates: defaults, serde, checks, reference, schema.

#![allow(clippy::unwrap_used)]

use std::ops::Bound::Unbounded;
use std::path::PathBuf;

use da2s_settings::{
    Allowed, BELOW_1, FROM_1, FieldKind, NOT_NEGATIVE, POSITIVE, Problem, Setting, at_least, interval, reference,
    schema, settings, whole, words,
};
use proptest::prelude::*;
use toml::{Table, Value};

words! {
    /// How bread is leavened.
    #[strum(serialize_all = "kebab-case")]
    pub enum Leaven {
        /// With yeast.
        Yeast,
        /// With a culture,
        /// for days.
        SourDough,
    }
}

const SIZES: Allowed = Allowed::List {
    item: &Leaven::KIND.value(),
    least: 1,
    distinct: true,
};

settings! {
    /// The oven.
    #[derive(Copy)]
    pub struct Oven {
        /// Degrees, falling.
        degrees: [f32; 2] = [180.0, 250.0], in interval(Unbounded);
        /// Share of steam.
        steam: f64 = 0.5, in BELOW_1.in_f32();
    }
}

settings! {
    /// How bread is baked.
    ///
    /// A second paragraph.
    pub struct Baking {
        /// Minutes in the oven.
        ///
        /// More with a | crust.
        minutes: usize = 40, in whole(1..=600), named "minutes", may_change on resume;
        /// Leaven.
        leaven: Leaven = Leaven::SourDough, named "leaven";
        /// Leavens at hand.
        all: Option<Vec<Leaven>> = None, in SIZES;
        /// Where the recipe is.
        recipe: Option<PathBuf> = None;
        /// Kilograms of flour.
        flour: f64 = 0.5, in POSITIVE.in_f32();
        /// Salt.
        salt: f64 = 0.0, in NOT_NEGATIVE;
        /// Largest bubble.
        bubble: f64 = 1.0, in at_least(1e-30);
        /// Guests.
        guests: Option<u64> = None, in FROM_1;
        /// The first oven.
        first: Oven = Oven::default();
        /// The second oven.
        second: Oven = Oven::default();
        /// The oven of a neighbour.
        other: Option<Oven> = None;
    }
}

fn problems(text: &str) -> Vec<String> {
    let document: Table = text.parse().unwrap();
    Baking::TABLE.check(&document).iter().map(Problem::to_string).collect()
}

fn defaults() -> Table {
    Table::try_from(Baking::default()).unwrap()
}

#[test]
fn the_struct_has_its_defaults_and_round_trips() {
    let baking: Baking = toml::from_str("minutes = 3\nleaven = \"yeast\"\n[other]\nsteam = 0.25").unwrap();
    assert_eq!((baking.minutes, baking.leaven, baking.flour), (3, Leaven::Yeast, 0.5));
    assert_eq!(baking.other.map(|oven| oven.degrees), Some([180.0, 250.0]));
    assert_eq!(
        toml::from_str::<Baking>(&toml::to_string(&baking).unwrap()).unwrap(),
        baking
    );
    assert!(!defaults().contains_key("recipe"), "what is absent is not written");
    assert!(toml::from_str::<Baking>("minuets = 3").is_err());
    let error = toml::from_str::<Baking>("leaven = \"soda\"").unwrap_err().to_string();
    assert!(
        error.contains("unknown word `soda`: expected one of yeast, sour-dough"),
        "{error}"
    );
}

#[test]
fn words_have_one_name() {
    assert_eq!(Leaven::ALL.map(Leaven::name), ["yeast", "sour-dough"]);
    assert_eq!(Leaven::from_name("sour-dough"), Some(Leaven::SourDough));
    assert_eq!(
        (Leaven::from_name("SourDough"), Leaven::Yeast.to_string()),
        (None, "yeast".to_owned())
    );
}

#[test]
fn the_table_has_every_setting() {
    let entries = Baking::TABLE.entries();
    let keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys[..3], ["minutes", "leaven", "all"]);
    assert_eq!(keys[8..10], ["first.degrees", "first.steam"]);
    let minutes = Baking::TABLE.named("minutes").unwrap().field;
    assert_eq!(minutes.summary(), "Minutes in the oven.");
    assert_eq!(minutes.doc(), "Minutes in the oven.\nMore with a | crust.");
    assert!(minutes.may_change && !entries[1].field.may_change);
    assert!(Baking::TABLE.named("flour").is_none());
    assert!(matches!(entries[8].field.kind, FieldKind::Value(Allowed::Interval(range)) if range.in_f32));
}

#[test]
fn problems_name_the_key_and_what_is_allowed() {
    for (text, expected) in [
        ("minutse = 3", "unknown key minutse: did you mean minutes?"),
        ("x = 3", "unknown key x: expected one of minutes, leaven, all, recipe"),
        (
            "steam = 0.1",
            "unknown key steam: did you mean first.steam or second.steam?",
        ),
        ("minutes = 0", "minutes = 0: expected a whole number from 1 to 600"),
        ("minutes = 3.0", "minutes = 3.0: expected a whole number from 1 to 600"),
        ("leaven = 3", "leaven = 3: expected one of yeast, sour-dough"),
        (
            "all = []",
            "all = []: expected a list of one or more different words out of yeast, sour-dough",
        ),
        ("all = [\"yeast\", \"yeast\"]", "one or more different words"),
        ("recipe = 3", "recipe = 3: expected a path in quotes"),
        ("flour = nan", "flour = nan: expected a number, more than 0"),
        (
            "flour = 1e300",
            "expected at most 3.4028235e38, the largest 32-bit number",
        ),
        ("flour = 1e-60", "expected a 32-bit number from 1e-45 to 3.4028235e38"),
        ("bubble = 1e-40", "bubble = 1e-40: expected a number, at least 1e-30"),
        ("guests = 0", "guests = 0: expected a whole number from 1"),
        ("first = 3", "first = 3: expected a table of degrees, steam"),
        (
            "first.steam = 1",
            "first.steam = 1: expected a number, at least 0 and less than 1",
        ),
        (
            "first.steam = 0.99999999",
            "first.steam = 0.99999999: expected less than 1 as a 32-bit number: at most 0.99999994",
        ),
        (
            "other.degrees = [2, 1]",
            "other.degrees = [2, 1]: expected [minimum, maximum], both more than 0",
        ),
        ("other.degrees = [1]", "expected [minimum, maximum]"),
    ] {
        let found = problems(text);
        assert!(
            found.len() == 1 && found[0].contains(expected),
            "{text}\n  {found:?}\n  {expected}"
        );
    }
    let fine = "minutes = 600\nall = [\"yeast\"]\nflour = 1\nsalt = 0\nother.degrees = [1, 2.5]\n";
    assert_eq!(problems(fine), [""; 0]);
}

#[test]
fn the_reference_has_a_row_for_every_setting() {
    let text = reference(
        Document::TABLE,
        &Table::from_iter([("baking".to_owned(), Value::Table(defaults()))]),
    );
    let expected = "\
## `[baking]`

How bread is baked.
A second paragraph.

| key | default | allowed | what it is |
|---|---|---|---|
| `baking.minutes`, short `minutes` | `40` | a whole number from 1 to 600 | Minutes in the oven.<br>More with a \\| crust. |
| `baking.leaven`, short `leaven` | `\"sour-dough\"` | `yeast`: With yeast.<br>`sour-dough`: With a culture, for days. | Leaven. |
| `baking.all` | unset |";
    assert!(text.starts_with(expected), "{text}");
    assert!(
        text.contains("## `[baking.first]`, `[baking.second]`\n\nThe oven.\n"),
        "{text}"
    );
    assert!(
        text.contains("| `baking.first.steam`, `baking.second.steam` | `0.5` |"),
        "{text}"
    );
    assert!(text.contains("| `baking.other.steam` | unset |"), "{text}");
}

settings! {
    /// A document.
    pub struct Document {
        /// Baking.
        baking: Baking = Baking::default();
    }
}

#[test]
fn the_schema_lists_what_is_allowed() {
    let text = schema("Bread", Baking::TABLE, &defaults()).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let of = |key: &str| &json["properties"][key];
    assert_eq!(
        (&json["title"], &json["additionalProperties"]),
        (&"Bread".into(), &false.into())
    );
    assert_eq!(
        (&of("minutes")["minimum"], &of("minutes")["maximum"]),
        (&1.into(), &600.into())
    );
    assert_eq!(of("minutes")["default"], 40);
    assert_eq!(of("leaven")["enum"], serde_json::json!(["yeast", "sour-dough"]));
    assert_eq!(of("flour")["exclusiveMinimum"], 0.0);
    assert_eq!(of("flour")["maximum"], f64::from(f32::MAX));
    assert_eq!(of("all")["uniqueItems"], true);
    assert_eq!(of("guests").get("maximum"), None);
    assert_eq!(of("other")["properties"]["steam"].get("default"), None);
    assert_eq!(of("first")["properties"]["steam"]["default"], 0.5);
}

settings! {
    /// A loaf: its shape, and how it is baked.
    pub struct Loaf {
        ..oven: Oven;
        ..leavening: Leavening;
    }
}

settings! {
    /// How it rises.
    pub struct Leavening {
        /// Hours.
        hours: f64 = 2.0, in POSITIVE;
        /// The oven in which it rises.
        proofing: Option<Oven> = None;
    }
}

#[test]
fn a_table_can_include_others() {
    assert_eq!(Loaf::TABLE.names(), ["degrees", "steam", "hours", "proofing"]);
    let text = "steam = 0.25\nhours = 3\n[proofing]\nsteam = 0\n";
    assert_eq!(Loaf::TABLE.check(&text.parse().unwrap()), []);
    let loaf: Loaf = toml::from_str(text).unwrap();
    assert_eq!(
        (loaf.oven.steam, loaf.oven.degrees, loaf.leavening.hours),
        (0.25, [180.0, 250.0], 3.0)
    );
    let written = Table::try_from(&loaf).unwrap();
    assert_eq!(
        (written["steam"].as_float(), written["hours"].as_float()),
        (Some(0.25), Some(3.0))
    );
    assert_eq!(toml::from_str::<Loaf>(&toml::to_string(&loaf).unwrap()).unwrap(), loaf);
    let problems = Loaf::TABLE.check(&"hour = 3".parse().unwrap());
    assert_eq!(problems[0].to_string(), "unknown key hour: did you mean hours?");
}

proptest! {
    /// The contract of the crate.
    #[test]
    fn accepted_values_can_be_read(
        minutes in prop_oneof![-5i64..1000, any::<i64>()],
        flour in any::<f64>(),
        steam in -0.5f64..1.5,
        low in -1.0f64..3.0,
        high in -1.0f64..1e40,
    ) {
        let mut document = Table::new();
        document.insert("minutes".to_owned(), minutes.into());
        document.insert("flour".to_owned(), flour.into());
        let oven = [("steam".to_owned(), steam.into()), ("degrees".to_owned(), vec![low, high].into())];
        document.insert("first".to_owned(), Value::Table(Table::from_iter(oven)));
        let accepted = Baking::TABLE.check(&document).is_empty();
        let read = document.try_into::<Baking>();
        if accepted {
            let baking = read.unwrap();
            prop_assert!((1..=600).contains(&baking.minutes) && baking.flour as f32 > 0.0);
            prop_assert!((baking.first.steam as f32) < 1.0 && baking.first.degrees[1].is_finite());
        }
    }
}
