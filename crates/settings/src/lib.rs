//! Settings, each declared once.
//!
//! [`settings!`](settings) declares a table of settings: for each its documentation, name, type,
//! default, range, and the short name used by front ends. The declaration generates the struct, its
//! `Default` and `serde` implementations, and a [`Table`] that describes it. The table in turn
//! generates the checks ([`Table::check`]), the reference ([`reference()`]), the JSON schema
//! ([`schema`]), the flags of the command line and the keyword arguments of the Python package.
//! [`words!`](words) declares an enum whose variants are written as words.
//!
//! Contract: every value that [`Table::check`] accepts can be read by `serde`. This crate knows
//! neither front ends nor particular settings.

#![forbid(unsafe_code)]

mod allowed;
mod check;
mod declare;
mod quantity;
mod reference;
mod schema;
mod setting;
mod table;

pub use allowed::{
    Allowed, BELOW_1, COUNT, COUNT_OR_0, FROM_1, NOT_NEGATIVE, POSITIVE, Range, SHARE, UP_TO_1, Word, at_least,
    interval, positive_up_to, up_to, whole,
};
pub use check::Problem;
pub use quantity::{ByteCount, Milliseconds, Quantity};
pub use reference::reference;
pub use schema::schema;
pub use setting::Setting;
pub use table::{Entry, Field, FieldKind, Table};

#[doc(hidden)]
pub use strum;

// The macros refer to this crate by the name that its users have for it.
#[cfg(test)]
extern crate self as da2s_settings;
