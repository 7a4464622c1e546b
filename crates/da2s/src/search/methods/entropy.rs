//! DARTS with the entropy of its mixture added to the loss: the effect of the regulariser alone,
//! without strengthening functions and edge weights.
//!
//! Reference: the ablation of Tian et al. 2021, section 4.1; entropy of the mixture as in ASAP (Noy
//! et al. 2019) and in equation 3 of Tian et al. p_ij = softmax(α_ij), L = CE + λ λ_c(t) λ_α(t)
//! Σ_edges H(p_ij): the operations' half of the drive `regulariser`.

use crate::objective::Halves;
use crate::search::Drive;
use crate::search::method::SearchMethod;

/// The method; it uses only λ, λ_c and λ_α of the regulariser.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entropy;

impl SearchMethod for Entropy {
    fn own_drive(&self) -> Drive {
        Drive::Regulariser
    }

    fn halves(&self) -> Halves {
        Halves {
            operations: true,
            edges: false,
        }
    }

    fn refuses(&self, drive: Drive) -> Option<&'static str> {
        (drive == Drive::None).then_some("without one it is darts")
    }
}
