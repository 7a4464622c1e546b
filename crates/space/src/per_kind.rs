//! A value for each kind of cell that a space has.
//!
//! Contract: every space has normal cells. If it has no reduction cells, their value is that of the
//! normal cells.

use serde::{Deserialize, Serialize};

use super::CellKind;

/// One value per kind of cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerKind<T> {
    /// The value of normal cells, or of the only kind.
    pub normal: T,
    /// The value of reduction cells, if the space has them.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub reduction: Option<T>,
}

impl<T> PerKind<T> {
    /// One value for each of `kinds`, the normal one first.
    pub fn new(kinds: &[CellKind], mut of: impl FnMut(CellKind) -> T) -> Self {
        Self {
            normal: of(CellKind::Normal),
            reduction: kinds.contains(&CellKind::Reduction).then(|| of(CellKind::Reduction)),
        }
    }

    /// The same, if creating a value can fail.
    ///
    /// # Errors
    /// The first error of `of`.
    pub fn try_new<E>(kinds: &[CellKind], mut of: impl FnMut(CellKind) -> Result<T, E>) -> Result<Self, E> {
        let normal = of(CellKind::Normal)?;
        let reduction = match kinds.contains(&CellKind::Reduction) {
            true => Some(of(CellKind::Reduction)?),
            false => None,
        };
        Ok(Self { normal, reduction })
    }

    /// The value of one kind.
    pub fn kind(&self, kind: CellKind) -> &T {
        match kind {
            CellKind::Normal => &self.normal,
            CellKind::Reduction => self.reduction.as_ref().unwrap_or(&self.normal),
        }
    }

    /// The value of one kind, mutable.
    pub fn kind_mut(&mut self, kind: CellKind) -> &mut T {
        match kind {
            CellKind::Normal => &mut self.normal,
            CellKind::Reduction => self.reduction.as_mut().unwrap_or(&mut self.normal),
        }
    }

    /// Every value with its kind.
    pub fn iter(&self) -> impl Iterator<Item = (CellKind, &T)> {
        let reduction = self.reduction.iter().map(|value| (CellKind::Reduction, value));
        std::iter::once((CellKind::Normal, &self.normal)).chain(reduction)
    }

    /// Every value.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.iter().map(|(_, value)| value)
    }

    /// Applies a function to every value.
    pub fn map<U>(&self, mut of: impl FnMut(CellKind, &T) -> U) -> PerKind<U> {
        PerKind {
            normal: of(CellKind::Normal, &self.normal),
            reduction: self.reduction.as_ref().map(|value| of(CellKind::Reduction, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_space_of_one_kind_has_one_value_for_all() {
        let one = PerKind::new(&[CellKind::Normal], CellKind::name);
        assert_eq!(
            (one.kind(CellKind::Normal), one.kind(CellKind::Reduction)),
            (&"normal", &"normal")
        );
        assert_eq!(one.iter().count(), 1);
        let both = PerKind::new(&CellKind::ALL, CellKind::name);
        assert_eq!(both.values().copied().collect::<Vec<_>>(), ["normal", "reduction"]);
        assert_eq!(both.map(|_, name| name.len()).kind(CellKind::Reduction), &9);
    }
}
