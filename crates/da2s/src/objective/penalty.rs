//! The terms added to the loss of both half-steps, with their names.
//!
//! Contract: a term's value is differentiable in α and β and has no gradient in the weights; the
//! loss is the sum of weight × value, first over the terms of a kind of cell, then over the kinds.

use burn::tensor::Tensor;

use crate::space::PerKind;

/// One term of the loss.
#[derive(Clone, Debug)]
pub struct Term {
    /// Its name, in the metrics and in the report.
    pub name: &'static str,
    /// The factor of its value.
    pub weight: f64,
    /// Its value for every kind of cell, one element each.
    pub values: PerKind<Tensor<1>>,
}

/// The terms added to the loss at one moment; may be empty.
#[derive(Clone, Debug, Default)]
pub struct Penalty {
    /// The terms.
    pub terms: Vec<Term>,
}

impl Penalty {
    /// A single term.
    pub fn of(name: &'static str, weight: f64, values: PerKind<Tensor<1>>) -> Self {
        let term = Term { name, weight, values };
        Self { terms: vec![term] }
    }

    /// The terms of both.
    pub fn and(mut self, other: Self) -> Self {
        self.terms.extend(other.terms);
        self
    }

    /// The sum of weight × value, one element; `None` if there are no terms.
    pub fn loss(&self) -> Option<Tensor<1>> {
        let mut sums: Vec<Tensor<1>> = Vec::new();
        for term in &self.terms {
            for (kind, value) in term.values.values().enumerate() {
                let part = value.clone() * term.weight;
                match sums.get_mut(kind) {
                    Some(sum) => *sum = sum.clone() + part,
                    None => sums.push(part),
                }
            }
        }
        sums.into_iter().reduce(|total, kind| total + kind)
    }
}
