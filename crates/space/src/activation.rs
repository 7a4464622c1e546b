//! The setting for the activation function of a chain.

use da2s_plan::ActivationFunction;
use da2s_settings::words;

words! {
    /// The activation functions of a network of the space `mobile`.
    #[strum(serialize_all = "snake_case")]
    pub enum ActivationName {
        /// max(x, 0).
        Relu,
        /// min(max(x, 0), 6), as in MobileNetV2.
        Relu6,
        /// x · min(max(x + 3, 0), 6) / 6, as in MobileNetV3.
        HardSwish,
    }
}

impl ActivationName {
    /// The function.
    pub const fn function(self) -> ActivationFunction {
        match self {
            Self::Relu => ActivationFunction::Relu,
            Self::Relu6 => ActivationFunction::Relu6,
            Self::HardSwish => ActivationFunction::HardSwish,
        }
    }
}
