//! ONNX: one file with the graph, the weights and the constants of preprocessing.
//!
//! Reference: the Open Neural Network Exchange, onnx.ai, operator set 17. Contract: the input
//! `images` is float32, `[batch, channels, height, width]` with any batch, preprocessed; the output
//! `logits` is `[batch, classes]`. `metadata_props` hold what is done to a picture before:
//! `channels`, `image_size`, `centre_crop`, `mean`, `std`, `class_names`; and `genotype`.

mod graph;
mod layers;
mod messages;
mod norm;

use prost::Message;

use self::graph::Attribute;
use self::layers::{Layers, Value};
use self::messages::{
    Dimension, FLOAT, GraphProto, IR_VERSION, ModelProto, OPERATOR_SET, OperatorSetIdProto, StringStringEntryProto,
    TensorShapeProto, TensorType, TypeProto, ValueInfoProto,
};
use super::{ExportError, ExportOptions};
use crate::backbone::Source;
use crate::network::Trained;

/// Name of the input.
const IMAGES: &str = "images";
/// Name of the output.
const LOGITS: &str = "logits";
/// Name of the dimension that is not fixed.
const BATCH: &str = "batch";

/// The file.
pub(super) fn bytes(trained: &Trained, options: ExportOptions) -> Result<Vec<u8>, ExportError> {
    Ok(model(trained, options)?.encode_to_vec())
}

fn model(trained: &Trained, options: ExportOptions) -> Result<ModelProto, ExportError> {
    let size = &trained.description.size;
    let side = size.image_size;
    let graph = GraphProto {
        name: "da2s".to_owned(),
        input: vec![value_info(IMAGES, &[size.image_channels, side, side])],
        output: vec![value_info(LOGITS, &[size.classes])],
        ..network(trained, options)?
    };
    Ok(ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: "da2s".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto {
            domain: Some(String::new()),
            version: Some(OPERATOR_SET),
        }],
        metadata_props: metadata(trained),
    })
}

/// Nodes and constants of the stages, the global mean and the classifier.
fn network(trained: &Trained, options: ExportOptions) -> Result<GraphProto, ExportError> {
    let network = &trained.network;
    let side = trained.description.size.image_size;
    let tensors = trained.tensors();
    let mut layers = Layers::new(&tensors, options.fold_batch_norms);
    let image = Value {
        name: IMAGES.to_owned(),
        size: (side, side),
    };
    let mut outputs: Vec<Value> = Vec::with_capacity(network.stages().len());
    for stage in network.stages() {
        let read = stage.sources.iter().map(|source| match source {
            Source::Image => image.clone(),
            Source::Stage(earlier) => outputs[*earlier].clone(),
        });
        let read: Vec<Value> = read.collect();
        let output = layers.stage(stage, &read)?;
        outputs.push(output);
    }
    let mut last = outputs.pop().unwrap_or(image).name;
    if network.has_last_relu() {
        last = layers.graph.relu(&last);
    }
    let (matrix, bias) = (layers.weight("classifier.weight")?, layers.weight("classifier.bias")?);
    let graph = &mut layers.graph;
    let mean = graph.node("global_mean", "GlobalAveragePool", &[&last], []);
    let features = graph.node("global_mean", "Flatten", &[&mean], [("axis", Attribute::Int(1))]);
    let transposed = [("transB", Attribute::Int(1))];
    graph.node_to(LOGITS, "Gemm", &[&features, &matrix, &bias], transposed);
    Ok(GraphProto {
        node: layers.graph.nodes,
        initializer: layers.graph.constants,
        ..GraphProto::default()
    })
}

/// A float tensor of any batch.
fn value_info(name: &str, shape: &[usize]) -> ValueInfoProto {
    let batch = Dimension {
        dim_value: None,
        dim_param: Some(BATCH.to_owned()),
    };
    let fixed = shape.iter().map(|&length| Dimension {
        dim_value: Some(length as i64),
        dim_param: None,
    });
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorType {
                elem_type: Some(FLOAT),
                shape: Some(TensorShapeProto {
                    dim: std::iter::once(batch).chain(fixed).collect(),
                }),
            }),
        }),
    }
}

/// Lists are JSON.
fn metadata(trained: &Trained) -> Vec<StringStringEntryProto> {
    let what = &trained.description.preprocessing;
    let rows = [
        ("channels", what.channels.to_string()),
        ("image_size", what.image_size.to_string()),
        ("centre_crop", what.centre_crop.to_string()),
        ("mean", serde_json::json!(what.mean).to_string()),
        ("std", serde_json::json!(what.std).to_string()),
        ("class_names", serde_json::json!(what.classes).to_string()),
        ("genotype", trained.description.genotype.clone()),
    ];
    let entry = |(key, value): (&str, String)| StringStringEntryProto {
        key: key.to_owned(),
        value,
    };
    rows.map(entry).into()
}
