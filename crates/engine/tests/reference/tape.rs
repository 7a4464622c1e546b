//! Values in f64 on a tape that propagates their gradients; the operations on them are in the
//! other files of this folder.

/// A value on the tape: its position.
pub type Value = usize;

pub(super) type Backward = Box<dyn Fn(&[f64], &[Vec<f64>], &mut [Vec<f64>])>;

/// Values in the order of their computation, each with the step that propagates its gradient.
#[derive(Default)]
pub struct Tape {
    pub(super) values: Vec<Vec<f64>>,
    steps: Vec<Option<Backward>>,
}

/// An image batch on the tape, NHWC.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    pub value: Value,
    pub batch: usize,
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

impl Tape {
    pub fn leaf(&mut self, value: Vec<f64>) -> Value {
        self.push(value, None)
    }

    /// Puts a value on the tape, with the step that propagates its gradient, if it has inputs.
    pub(super) fn push(&mut self, value: Vec<f64>, step: Option<Backward>) -> Value {
        self.values.push(value);
        self.steps.push(step);
        self.values.len() - 1
    }

    pub fn value(&self, value: Value) -> &[f64] {
        &self.values[value]
    }

    /// Gradients of Σ `seed` · `output` with respect to everything on the tape.
    pub fn gradients(&self, output: Value, seed: &[f64]) -> Vec<Vec<f64>> {
        let mut gradients: Vec<Vec<f64>> = self.values.iter().map(|value| vec![0.0; value.len()]).collect();
        gradients[output].copy_from_slice(seed);
        for at in (0..self.values.len()).rev() {
            if let Some(step) = &self.steps[at] {
                let gradient = std::mem::take(&mut gradients[at]);
                step(&gradient, &self.values, &mut gradients);
                gradients[at] = gradient;
            }
        }
        gradients
    }
}
