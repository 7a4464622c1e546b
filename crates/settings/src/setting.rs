//! What the type of a setting defines.

use std::path::PathBuf;

use crate::allowed::{Allowed, Range};
use crate::table::FieldKind;

/// The type of a setting, or of a table of settings.
pub trait Setting {
    /// The kind of values, and which are allowed unless the declaration narrows them.
    const KIND: FieldKind;

    /// Whether the setting is absent instead of having a value.
    fn is_absent(&self) -> bool {
        false
    }
}

impl<T: Setting> Setting for Option<T> {
    const KIND: FieldKind = T::KIND;

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

/// The kind of a list's items.
struct Item<T>(std::marker::PhantomData<T>);

impl<T: Setting> Item<T> {
    const ALLOWED: Allowed = T::KIND.value();
}

impl<T: Setting> Setting for Vec<T> {
    const KIND: FieldKind = FieldKind::Value(Allowed::List {
        item: &Item::<T>::ALLOWED,
        least: 0,
        distinct: false,
    });
}

macro_rules! kinds {
    ($($type:ty => $allowed:expr;)+) => {$(
        impl Setting for $type {
            const KIND: FieldKind = FieldKind::Value($allowed);
        }
    )+};
}

/// `usize` and `u64` have larger numbers than TOML.
const FROM_0: Allowed = Allowed::Whole {
    least: 0,
    most: i64::MAX,
};

kinds! {
    bool => Allowed::Flag;
    String => Allowed::Text;
    PathBuf => Allowed::Path;
    usize => FROM_0;
    u64 => FROM_0;
    f64 => Allowed::Number(Range::ALL);
    f32 => Allowed::Number(Range::ALL).in_f32();
    [f64; 2] => Allowed::Interval(Range::ALL);
    [f32; 2] => Allowed::Interval(Range::ALL).in_f32();
}
