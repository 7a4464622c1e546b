//! Names, shapes and offsets of the weights and statistics of a backbone, part by part.
//!
//! Names are those of the DARTS family of PyTorch code, so that weights can be exchanged with it. A
//! part stores its weights in one flat vector and its statistics in two.

use burn::tensor::{Device, Tensor, TensorData};
use da2s_engine::{CellPlan, Norm, Weight, WeightRole};
use da2s_records::Named;

/// The layout of one part: a stage, a classifier or an auxiliary head.
#[derive(Clone, Debug)]
pub struct PartLayout {
    prefix: String,
    /// Its weights in order; names without the prefix.
    pub weights: Vec<Weight>,
    /// Its batch norms in order; names without the prefix.
    pub norms: Vec<Norm>,
    /// Length of the flat weight vector.
    pub weight_count: usize,
    /// Length of the flat statistics.
    pub norm_channels: usize,
}

/// A set of named tensors that does not fit a backbone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// A missing tensor.
    #[error("the tensor {name} is missing")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A tensor of another shape.
    #[error("the tensor {name} has the shape {found:?} where {expected:?} is needed")]
    Shape {
        /// Its name.
        name: String,
        /// Shape in the file.
        found: Vec<usize>,
        /// Shape of the backbone.
        expected: Vec<usize>,
    },
}

impl PartLayout {
    /// The layout of a stage.
    pub(crate) fn of_plan(prefix: &str, plan: &CellPlan) -> Self {
        Self {
            prefix: prefix.to_owned(),
            weights: plan.weights.clone(),
            norms: plan.norms.clone(),
            weight_count: plan.weight_count,
            norm_channels: plan.norm_channels,
        }
    }

    /// The layout of a linear classifier.
    pub fn classifier(prefix: &str, features: usize, classes: usize) -> Self {
        let weight = Weight {
            name: ".weight".into(),
            shape: vec![classes, features],
            offset: 0,
            role: WeightRole::Kernel { fan_in: features },
        };
        let bias = Weight {
            name: ".bias".into(),
            shape: vec![classes],
            offset: classes * features,
            role: WeightRole::Bias { fan_in: features },
        };
        Self {
            prefix: prefix.to_owned(),
            weights: vec![weight, bias],
            norms: Vec::new(),
            weight_count: classes * (features + 1),
            norm_channels: 0,
        }
    }

    /// Full name of a weight of this part.
    pub(crate) fn weight_name(&self, weight: &Weight) -> String {
        format!("{}{}", self.prefix, weight.name)
    }

    /// Full names of the mean and the variance of a batch norm of this part.
    pub(crate) fn norm_names(&self, norm: &Norm) -> [String; 2] {
        ["running_mean", "running_var"].map(|part| format!("{}{}.{part}", self.prefix, norm.name))
    }

    /// Splits the flat weights `data` into named tensors.
    pub(crate) fn name_weights(&self, data: &[f32]) -> Vec<Named> {
        let named = |weight: &Weight| {
            let size: usize = weight.shape.iter().product();
            Named {
                name: self.weight_name(weight),
                shape: weight.shape.clone(),
                data: data[weight.offset..weight.offset + size].to_vec(),
            }
        };
        self.weights.iter().map(named).collect()
    }

    /// Joins named tensors into the flat weights of this part.
    pub(super) fn join_weights<'a>(&self, find: impl Fn(&str) -> Option<&'a Named>) -> Result<TensorData, LoadError> {
        let mut data = Vec::with_capacity(self.weight_count);
        for weight in &self.weights {
            data.extend_from_slice(take(&find, self.weight_name(weight), &weight.shape)?);
        }
        Ok(TensorData::new(data, [self.weight_count]))
    }

    /// Splits flat statistics into named tensors.
    pub(crate) fn name_norms(&self, mean: &[f32], variance: &[f32]) -> Vec<Named> {
        let named = |norm: &Norm| {
            let range = norm.offset..norm.offset + norm.channels;
            let [mean_name, variance_name] = self.norm_names(norm);
            [(mean_name, &mean[range.clone()]), (variance_name, &variance[range])].map(|(name, data)| Named {
                name,
                shape: vec![norm.channels],
                data: data.to_vec(),
            })
        };
        self.norms.iter().flat_map(named).collect()
    }

    /// Joins named tensors into flat statistics: means, variances.
    pub(super) fn join_norms<'a>(
        &self,
        find: impl Fn(&str) -> Option<&'a Named>,
    ) -> Result<[TensorData; 2], LoadError> {
        let (mut means, mut variances) = (Vec::new(), Vec::new());
        for norm in &self.norms {
            let [mean, variance] = self.norm_names(norm);
            means.extend_from_slice(take(&find, mean, &[norm.channels])?);
            variances.extend_from_slice(take(&find, variance, &[norm.channels])?);
        }
        Ok([means, variances].map(|data| TensorData::new(data, [self.norm_channels])))
    }
}

/// The tensor called `name` among `tensors`.
///
/// # Errors
/// If it is missing or has another shape.
pub(crate) fn find_tensor<const D: usize>(
    tensors: &[Named],
    name: &str,
    shape: [usize; D],
    device: &Device,
) -> Result<Tensor<D>, LoadError> {
    let find = |name: &str| tensors.iter().find(|tensor| tensor.name == name);
    let data = take(find, name.to_owned(), &shape)?.to_vec();
    Ok(Tensor::from_data(TensorData::new(data, shape), device))
}

fn take<'a>(find: impl Fn(&str) -> Option<&'a Named>, name: String, shape: &[usize]) -> Result<&'a [f32], LoadError> {
    match find(&name) {
        None => Err(LoadError::Missing { name }),
        Some(named) if named.shape != shape => Err(LoadError::Shape {
            name,
            found: named.shape.clone(),
            expected: shape.to_vec(),
        }),
        Some(named) => Ok(&named.data),
    }
}
