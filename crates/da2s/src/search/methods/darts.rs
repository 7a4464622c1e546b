//! First-order DARTS: a plain softmax over the operations, edges with equal weights, nothing added
//! to the loss.
//!
//! Reference: Liu, Simonyan, Yang, "DARTS: Differentiable Architecture Search", ICLR 2019, equation
//! 2; section 2.4: at each node the edges with the strongest operation (except `none`) are kept.
//! These are the defaults of [`SearchMethod`].

use crate::search::method::SearchMethod;

/// The method; it has no settings of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Darts;

impl SearchMethod for Darts {}
