//! Gradients of α and β.

use burn::tensor::{Gradients, Tensor};

use crate::arch::ArchParams;
use crate::device::host;
use crate::finite::NotFinite;
use crate::parallel::Group;
use crate::space::PerKind;

/// Gradients of α and β; `None` for one that is not part of the loss.
#[derive(Debug)]
pub(super) struct ArchGradients {
    pub kinds: PerKind<KindGradients>,
}

/// The gradients of one kind of cell.
#[derive(Clone, Debug)]
pub(super) struct KindGradients {
    pub alpha: Option<Tensor<2>>,
    pub beta: Option<Tensor<1>>,
}

impl ArchGradients {
    /// Takes the gradients of the leaves `arch` from `gradients`.
    pub(super) fn of(arch: &ArchParams, gradients: &mut Gradients) -> Self {
        Self {
            kinds: arch.kinds().map(|_, leaf| KindGradients {
                alpha: leaf.alpha.grad_remove(gradients),
                beta: leaf.beta.grad_remove(gradients),
            }),
        }
    }

    /// Returns an error if one is not finite.
    pub(super) fn check(&self) -> Result<(), NotFinite> {
        for (kind, of_kind) in self.kinds.iter() {
            let name = |letter| format!("the gradient of {letter} of the {} cells", kind.name());
            if let Some(alpha) = &of_kind.alpha {
                NotFinite::check(|| name("α"), &host(alpha))?;
            }
            if let Some(beta) = &of_kind.beta {
                NotFinite::check(|| name("β"), &host(beta))?;
            }
        }
        Ok(())
    }

    /// Their means over the processes of `group`.
    pub(super) fn averaged(self, group: &Group) -> Self {
        let flat = self.kinds.values().flat_map(|kind| {
            let alpha = kind.alpha.clone().map(|alpha| alpha.flatten(0, 1));
            [alpha, kind.beta.clone()]
        });
        let mut averaged = group.average(flat.collect()).into_iter();
        let kinds = self.kinds.map(|_, kind| {
            let (alpha, beta) = (averaged.next().flatten(), averaged.next().flatten());
            let shape = kind.alpha.as_ref().map(Tensor::dims);
            KindGradients {
                alpha: alpha.zip(shape).map(|(alpha, shape)| alpha.reshape(shape)),
                beta,
            }
        });
        Self { kinds }
    }
}
