//! The two macros that declare settings.
//!
//! Contract: each fact is written once. A range that does not fit the type, or two defaults, do not
//! compile.

/// Declares a table of settings.
///
/// ```
/// use da2s_settings::{POSITIVE, settings, whole};
///
/// settings! {
///     /// How bread is baked.
///     pub struct Baking {
///         /// Minutes in the oven.
///         minutes: usize = 40, in whole(1..=600), named "minutes";
///         /// Kilograms of flour.
///         flour: f64 = 0.5, in POSITIVE;
///         /// Whether the door stays shut.
///         shut: bool = true, may_change on resume;
///     }
/// }
/// assert_eq!(Baking::default().minutes, 40);
/// assert_eq!(Baking::TABLE.fields[1].doc(), "Kilograms of flour.");
/// ```
///
/// The first paragraph of a field's documentation appears on the command line; the reference
/// contains all of it. `in` narrows what the type allows. `named` is the setting's short name in
/// front ends, with underscores. `may_change on resume` marks settings that may change when a run
/// resumes. A field whose type is also declared by this macro is a nested table; `Option` makes a
/// setting or a table optional.
///
/// A table may also include others, `..bread: Baking;`. Their settings become settings of this
/// table, so several structs can share one table of a file.
#[macro_export]
macro_rules! settings {
    (
        $(#[doc = $about:literal])*
        $(#[derive($($derived:ident),+)])?
        $visibility:vis struct $name:ident {
            $(
                $(#[doc = $doc:literal])*
                $field:ident: $type:ty = $default:expr
                    $(, in $allowed:expr)?
                    $(, named $short:literal)?
                    $(, may_change on $when:ident)?
                ;
            )+
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq, ::serde::Serialize, ::serde::Deserialize, $($($derived),+)?)]
        #[serde(deny_unknown_fields, default)]
        $visibility struct $name {
            $(
                $(#[doc = $doc])*
                #[serde(skip_serializing_if = "::da2s_settings::Setting::is_absent")]
                pub $field: $type,
            )+
        }

        impl $name {
            /// The declaration of these settings.
            pub const TABLE: &'static $crate::Table = &$crate::Table {
                name: ::core::stringify!($name),
                text: ::core::concat!($($about, "\n"),*),
                parts: &[],
                fields: &[$(
                    $crate::Field {
                        name: ::core::stringify!($field),
                        text: ::core::concat!($($doc, "\n"),*),
                        kind: <$type as $crate::Setting>::KIND$(.narrowed($allowed))?,
                        short: $crate::settings!(@short $($short)?),
                        may_change: $crate::settings!(@may_change $($when)?),
                    },
                )+],
            };
        }

        impl ::core::default::Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        impl $crate::Setting for $name {
            const KIND: $crate::FieldKind = $crate::FieldKind::Table(Self::TABLE);
        }
    };
    (
        $(#[doc = $about:literal])*
        $visibility:vis struct $name:ident {
            $( ..$part:ident: $type:ident; )+
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, Default, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(default)]
        $visibility struct $name {
            $(
                #[doc = ::core::concat!("The settings of [`", ::core::stringify!($type), "`].")]
                #[serde(flatten)]
                pub $part: $type,
            )+
        }

        impl $name {
            /// The declaration of these settings.
            pub const TABLE: &'static $crate::Table = &$crate::Table {
                name: ::core::stringify!($name),
                text: ::core::concat!($($about, "\n"),*),
                fields: &[],
                parts: &[$($type::TABLE),+],
            };
        }

        impl $crate::Setting for $name {
            const KIND: $crate::FieldKind = $crate::FieldKind::Table(Self::TABLE);
        }
    };
    (@short) => { ::core::option::Option::None };
    (@short $short:literal) => { ::core::option::Option::Some($short) };
    (@may_change) => { false };
    (@may_change resume) => { true };
}

/// Declares an enum whose variants are written as words, with `strum` for the names.
///
/// ```
/// da2s_settings::words! {
///     /// How bread is leavened.
///     #[strum(serialize_all = "kebab-case")]
///     pub enum Leaven {
///         /// With yeast.
///         Yeast,
///         /// With a culture.
///         SourDough,
///     }
/// }
/// assert_eq!(Leaven::SourDough.name(), "sour-dough");
/// assert_eq!(Leaven::from_name("yeast"), Some(Leaven::Yeast));
/// assert_eq!(Leaven::ALL.len(), 2);
/// ```
///
/// `serde` reads and writes the word; the documentation of a variant is its description in the
/// reference.
#[macro_export]
macro_rules! words {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $name:ident { $($variants:tt)+ }
    ) => {
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash,
            $crate::strum::EnumCount, $crate::strum::EnumMessage, $crate::strum::EnumString,
            $crate::strum::IntoStaticStr, $crate::strum::VariantArray,
        )]
        #[strum(crate = "::da2s_settings::strum")]
        $(#[$attribute])*
        $visibility enum $name { $($variants)+ }

        impl $name {
            /// All variants, in the order of the declaration.
            pub const ALL: [Self; <Self as $crate::strum::EnumCount>::COUNT] =
                match <Self as $crate::strum::VariantArray>::VARIANTS.first_chunk() {
                    ::core::option::Option::Some(all) => *all,
                    ::core::option::Option::None => ::core::unreachable!(),
                };

            /// The word of this variant.
            pub fn name(self) -> &'static str {
                self.into()
            }

            /// The variant with that name.
            pub fn from_name(name: &str) -> ::core::option::Option<Self> {
                name.parse().ok()
            }

            fn words() -> ::std::vec::Vec<$crate::Word> {
                let word = |one: &Self| $crate::Word {
                    name: one.name(),
                    doc: $crate::strum::EnumMessage::get_documentation(one),
                };
                Self::ALL.iter().map(word).collect()
            }
        }

        impl $crate::Setting for $name {
            const KIND: $crate::FieldKind = $crate::FieldKind::Value($crate::Allowed::Words(Self::words));
        }

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.pad(self.name())
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> ::core::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> ::core::result::Result<Self, D::Error> {
                let word = <::std::string::String as ::serde::Deserialize>::deserialize(deserializer)?;
                Self::from_name(&word).ok_or_else(|| {
                    let expected = $crate::Allowed::Words(Self::words);
                    ::serde::de::Error::custom(::std::format!("unknown word `{word}`: expected {expected}"))
                })
            }
        }
    };
}
