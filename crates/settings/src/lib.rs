//! Settings, each declared once.
//!
//! [`settings!`](settings) declares a table of settings: for each its documentation, name, type,
//! default, range, and the short name under which front ends offer it. From the declaration follow
//! the struct, its `Default` and `serde`, and a [`Table`] of what was declared. From the table
//! follow the checks ([`Table::check`]), the reference ([`reference()`]), the JSON schema
//! ([`schema`]), the flags of the command line and the keyword arguments of the Python package.
//! [`words!`](words) declares an enum that is written as a word.
//!
//! Contract: a value that [`Table::check`] accepts is one that `serde` reads. This crate knows no
//! front end and no setting.

#![forbid(unsafe_code)]

mod allowed;
mod check;
mod declare;
mod reference;
mod schema;
mod setting;
mod table;

pub use allowed::{
    Allowed, BELOW_1, COUNT, COUNT_OR_0, FROM_1, NOT_NEGATIVE, POSITIVE, Range, SHARE, UP_TO_1, Word, at_least,
    interval, up_to, whole, within_1,
};
pub use check::Problem;
pub use reference::reference;
pub use schema::schema;
pub use setting::Setting;
pub use table::{Entry, Field, FieldKind, Table};

#[doc(hidden)]
pub use strum;

// The macros name this crate as its users do.
#[cfg(test)]
extern crate self as da2s_settings;
