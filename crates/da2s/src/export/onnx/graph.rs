//! An ONNX graph under construction: nodes, constants, names.
//!
//! Contract: nodes are in the order of computation; every value has a unique name, that of the
//! layer that computes it followed by the operator; equal integers and equal ReLUs are added only
//! once.

use std::collections::HashMap;

use da2s_engine::ActivationFunction;

use super::messages::{
    AttributeProto, AttributeType, FLOAT, GraphProto, INT8, INT32, INT64, NodeProto, TensorProto, UINT8,
};

/// Nodes and constants.
#[derive(Default)]
pub(super) struct Graph {
    pub nodes: Vec<NodeProto>,
    pub(super) constants: Vec<TensorProto>,
    /// How many nodes have each name.
    named: HashMap<String, usize>,
    /// ReLU of a value.
    rectified: HashMap<String, String>,
}

/// An attribute of an operator.
pub(super) enum Attribute {
    Float(f32),
    Int(i64),
    Ints(Vec<i64>),
    /// One float, as a tensor.
    Tensor(f32),
}

impl Attribute {
    fn named(self, name: &str) -> AttributeProto {
        let mut proto = AttributeProto {
            name: name.to_owned(),
            ..AttributeProto::default()
        };
        let kind = match self {
            Self::Float(value) => {
                proto.f = Some(value);
                AttributeType::Float
            }
            Self::Int(value) => {
                proto.i = Some(value);
                AttributeType::Int
            }
            Self::Ints(values) => {
                proto.ints = values;
                AttributeType::Ints
            }
            Self::Tensor(value) => {
                proto.t = Some(floats("", &[1], &[value]));
                AttributeType::Tensor
            }
        };
        proto.r#type = Some(kind as i32);
        proto
    }
}

impl Graph {
    /// The nodes and constants as they are stored, without inputs and outputs.
    pub(super) fn into_proto(self) -> GraphProto {
        GraphProto {
            node: self.nodes,
            initializer: self.constants,
            ..GraphProto::default()
        }
    }

    /// Adds a node of the layer `place`; returns the name of its output.
    pub(super) fn node<const N: usize>(
        &mut self,
        place: &str,
        operator: &str,
        inputs: &[&str],
        attributes: [(&str, Attribute); N],
    ) -> String {
        let name = format!("{place}/{operator}");
        let count = self.named.entry(name.clone()).or_default();
        *count += 1;
        let name = if *count == 1 { name } else { format!("{name}_{count}") };
        self.node_to(&name, operator, inputs, attributes);
        name
    }

    /// Adds a node with `output` as the name of its output.
    pub(crate) fn node_to<const N: usize>(
        &mut self,
        output: &str,
        operator: &str,
        inputs: &[&str],
        attributes: [(&str, Attribute); N],
    ) {
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            name: output.to_owned(),
            op_type: operator.to_owned(),
            attribute: attributes.into_iter().map(|(name, value)| value.named(name)).collect(),
        });
    }

    /// ReLU of `x`, which several layers may share.
    pub(super) fn relu(&mut self, x: &str) -> String {
        if let Some(known) = self.rectified.get(x) {
            return known.clone();
        }
        let output = self.activation(x, x, ActivationFunction::Relu);
        self.rectified.insert(x.to_owned(), output.clone());
        output
    }

    /// Adds an activation function of the layer `place` that reads `x`.
    pub(super) fn activation(&mut self, place: &str, x: &str, function: ActivationFunction) -> String {
        match function {
            ActivationFunction::Relu => self.node(place, "Relu", &[x], []),
            ActivationFunction::Relu6 => {
                let (least, most) = (self.number(0.0), self.number(6.0));
                self.node(place, "Clip", &[x, &least, &most], [])
            }
            ActivationFunction::HardSwish => self.node(place, "HardSwish", &[x], []),
        }
    }

    /// Adds a tensor under a unique name.
    pub(super) fn constant(&mut self, name: &str, shape: &[usize], data: &[f32]) -> String {
        self.constants.push(floats(name, shape, data));
        name.to_owned()
    }

    /// The scalar `value`, added if it does not exist yet.
    pub(super) fn number(&mut self, value: f32) -> String {
        let name = format!("number.{value}");
        if !self.has(&name) {
            self.constants.push(floats(&name, &[], &[value]));
        }
        name
    }

    /// The uint8 scalar `value`, added if it does not exist yet.
    pub(super) fn byte(&mut self, value: u8) -> String {
        let name = format!("byte.{value}");
        if !self.has(&name) {
            self.raw(&name, &[], UINT8, vec![value]);
        }
        name
    }

    /// Adds an int8 tensor under a unique name.
    pub(super) fn int8(&mut self, name: &str, shape: &[usize], data: &[i8]) -> String {
        let bytes = data.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.raw(name, shape, INT8, bytes)
    }

    /// Adds an int32 vector under a unique name.
    pub(super) fn int32(&mut self, name: &str, data: &[i32]) -> String {
        let bytes = data.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.raw(name, &[data.len()], INT32, bytes)
    }

    fn raw(&mut self, name: &str, shape: &[usize], data_type: i32, bytes: Vec<u8>) -> String {
        self.constants.push(TensorProto {
            dims: shape.iter().map(|&length| length as i64).collect(),
            data_type: Some(data_type),
            name: name.to_owned(),
            raw_data: Some(bytes),
        });
        name.to_owned()
    }

    /// Zeros for as many images as `like` has.
    pub(super) fn zeros(
        &mut self,
        place: &str,
        like: &str,
        channels: usize,
        (height, width): (usize, usize),
    ) -> String {
        let first = [("start", Attribute::Int(0)), ("end", Attribute::Int(1))];
        let batch = self.node(place, "Shape", &[like], first);
        let rest = self.integers(&[channels, height, width].map(|length| length as i64));
        let axis = [("axis", Attribute::Int(0))];
        let shape = self.node(place, "Concat", &[&batch, &rest], axis);
        let value = [("value", Attribute::Tensor(0.0))];
        self.node(place, "ConstantOfShape", &[&shape], value)
    }

    fn has(&self, name: &str) -> bool {
        self.constants.iter().any(|constant| constant.name == name)
    }

    /// The vector `values`, added if it does not exist yet.
    pub(super) fn integers(&mut self, values: &[i64]) -> String {
        let words: Vec<String> = values.iter().map(i64::to_string).collect();
        self.integer_tensor(format!("integers.{}", words.join(".")), &[values.len()], values)
    }

    /// The scalar `value`, added if it does not exist yet.
    pub(super) fn integer(&mut self, value: i64) -> String {
        self.integer_tensor(format!("integer.{value}"), &[], &[value])
    }

    /// The integer tensor `name`, added if it does not exist yet.
    pub(super) fn integer_tensor(&mut self, name: String, shape: &[usize], values: &[i64]) -> String {
        if !self.has(&name) {
            self.constants.push(TensorProto {
                dims: shape.iter().map(|&length| length as i64).collect(),
                data_type: Some(INT64),
                name: name.clone(),
                raw_data: Some(values.iter().flat_map(|value| value.to_le_bytes()).collect()),
            });
        }
        name
    }
}

fn floats(name: &str, shape: &[usize], data: &[f32]) -> TensorProto {
    TensorProto {
        dims: shape.iter().map(|&length| length as i64).collect(),
        data_type: Some(FLOAT),
        name: name.to_owned(),
        raw_data: Some(data.iter().flat_map(|value| value.to_le_bytes()).collect()),
    }
}
