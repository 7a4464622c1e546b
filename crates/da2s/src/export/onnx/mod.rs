//! ONNX: one file with the graph, the weights and the constants of preprocessing.
//!
//! Reference: the Open Neural Network Exchange, onnx.ai, operator set 17. Contract: the input
//! `images` is float32, `[batch, channels, height, width]` with any batch, preprocessed; or, if the
//! graph preprocesses, uint8, `[batch, height, width, 3]` with any batch, height and width. The
//! output `logits` is `[batch, classes]`. `metadata_props` contain the fields of
//! `preprocessing.json`, with `classes` renamed to `class_names`; `preprocessing`, which is `graph`
//! or `caller`, whichever applies the preprocessing; and `genotype`. The model's `doc_string`
//! describes the inputs, the preprocessing and the output for people.
//!
//! The last entry is `sha256`: the file's last 76 bytes are this entry, and end with the SHA-256 of
//! all preceding bytes in hexadecimal.

mod block;
mod graph;
mod layers;
mod messages;
mod norm;
mod preprocessing;
mod quantised;

use da2s_infer::int8::Int8Network;
use da2s_records::Sha256;
use prost::Message;

pub use self::block::BLOCK_COPIES;
pub(super) use self::block::bytes as block_bytes;
use self::graph::Attribute;
use self::layers::{Layers, Value};
use self::messages::{
    Dimension, FLOAT, GraphProto, IR_VERSION, ModelProto, OPERATOR_SET, OperatorSetIdProto, StringStringEntryProto,
    TensorShapeProto, TensorType, TypeProto, UINT8, ValueInfoProto,
};
use super::{ExportError, ExportOptions};
use crate::backbone::Source;
use crate::network::Trained;

/// Name of the input.
const IMAGES: &str = "images";
/// Name of the output.
const LOGITS: &str = "logits";
/// Name of the variable batch dimension.
const BATCH: &str = "batch";

/// The file.
pub(super) fn bytes(trained: &Trained, options: ExportOptions) -> Result<Vec<u8>, ExportError> {
    Ok(summed(model(trained, options)?.encode_to_vec()))
}

/// `bytes` of a model with its checksum appended: concatenated messages are merged into one, and
/// their lists are joined.
fn summed(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = ModelProto {
        metadata_props: vec![StringStringEntryProto {
            key: "sha256".to_owned(),
            value: Sha256::over(&bytes).hex(),
        }],
        ..ModelProto::default()
    };
    bytes.extend(sum.encode_to_vec());
    bytes
}

/// The file of a network in int8, in QDQ form.
pub(super) fn quantised_bytes(trained: &Trained, network: &Int8Network) -> Result<Vec<u8>, ExportError> {
    let model = of_graph(trained, ExportOptions::default(), quantised::network(network))?;
    Ok(summed(model.encode_to_vec()))
}

fn model(trained: &Trained, options: ExportOptions) -> Result<ModelProto, ExportError> {
    of_graph(trained, options, network(trained, options)?)
}

/// The model with these nodes and constants.
fn of_graph(trained: &Trained, options: ExportOptions, graph: GraphProto) -> Result<ModelProto, ExportError> {
    let size = &trained.description.size;
    let input = if options.with_preprocessing {
        let shape = [named(BATCH), named("height"), named("width"), fixed(3)];
        value_info(IMAGES, UINT8, shape.into())
    } else {
        let image = [size.image_channels, size.image_size, size.image_size];
        let shape = std::iter::once(named(BATCH)).chain(image.map(fixed));
        value_info(IMAGES, FLOAT, shape.collect())
    };
    let graph = GraphProto {
        name: "da2s".to_owned(),
        input: vec![input],
        output: vec![value_info(LOGITS, FLOAT, vec![named(BATCH), fixed(size.classes)])],
        ..graph
    };
    Ok(ModelProto {
        doc_string: documentation(trained, options),
        metadata_props: metadata(trained, options)?,
        ..of_this_version(graph)
    })
}

/// The model of `graph`, without a description.
fn of_this_version(graph: GraphProto) -> ModelProto {
    ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: "da2s".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto {
            domain: Some(String::new()),
            version: Some(OPERATOR_SET),
        }],
        ..ModelProto::default()
    }
}

/// Nodes and constants of the stages, the global mean and the classifier.
fn network(trained: &Trained, options: ExportOptions) -> Result<GraphProto, ExportError> {
    let network = &trained.network;
    let side = trained.description.size.image_size;
    let tensors = trained.tensors();
    let mut layers = Layers::new(&tensors, options.fold_batch_norms);
    let image = Value {
        name: if options.with_preprocessing {
            preprocessing::preprocessed(&mut layers.graph, IMAGES, &trained.description.preprocessing)
        } else {
            IMAGES.to_owned()
        },
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
    classify(&mut layers, "classifier", &last, LOGITS)?;
    Ok(layers.graph.into_proto())
}

/// Adds the mean over the image `x` and the classifier called `name`, which outputs `logits`.
fn classify(layers: &mut Layers<'_>, name: &str, x: &str, logits: &str) -> Result<(), ExportError> {
    let weights = ["weight", "bias"].map(|part| layers.weight(&format!("{name}.{part}")));
    let [matrix, bias] = weights;
    let (matrix, bias) = (matrix?, bias?);
    let graph = &mut layers.graph;
    let mean = graph.node("global_mean", "GlobalAveragePool", &[x], []);
    let features = graph.node("global_mean", "Flatten", &[&mean], [("axis", Attribute::Int(1))]);
    let transposed = [("transB", Attribute::Int(1))];
    graph.node_to(logits, "Gemm", &[&features, &matrix, &bias], transposed);
    Ok(())
}

/// A dimension of any length.
fn named(name: &str) -> Dimension {
    Dimension {
        dim_value: None,
        dim_param: Some(name.to_owned()),
    }
}

fn fixed(length: usize) -> Dimension {
    Dimension {
        dim_value: Some(length as i64),
        dim_param: None,
    }
}

fn value_info(name: &str, kind: i32, dim: Vec<Dimension>) -> ValueInfoProto {
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorType {
                elem_type: Some(kind),
                shape: Some(TensorShapeProto { dim }),
            }),
        }),
    }
}

/// Describes the preprocessing for people.
fn documentation(trained: &Trained, options: ExportOptions) -> String {
    let steps = trained.description.preprocessing.steps();
    // The graph only sees the pixels of a file.
    let (input, steps) = if options.with_preprocessing {
        let input = "images: uint8, batch × height × width × 3 (red, green, blue), of any one size, turned upright as the EXIF \
            orientation of their files says. The graph does the rest:";
        (input, &steps[1..])
    } else {
        let input = "images: float32, batch × channels × rows × columns. What is to be done to an image before:";
        (input, &steps[..])
    };
    let steps: String = steps.iter().map(|step| format!("\n- {step}")).collect();
    format!("{input}{steps}\nlogits: batch × classes, whose names are the metadata class_names.")
}

/// Texts are written as they are, everything else as JSON.
fn metadata(trained: &Trained, options: ExportOptions) -> Result<Vec<StringStringEntryProto>, ExportError> {
    let entry = |key: &str, value: String| StringStringEntryProto {
        key: key.to_owned(),
        value,
    };
    // Converted by way of text, so that numbers keep their digits.
    let text = serde_json::to_string(&trained.description.preprocessing)?;
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text)?;
    let fields = fields.iter().map(|(key, value)| {
        let key = if key == "classes" { "class_names" } else { key };
        entry(key, value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    });
    let who = if options.with_preprocessing { "graph" } else { "caller" };
    let others = [
        entry("preprocessing", who.to_owned()),
        entry("genotype", trained.description.genotype.clone()),
    ];
    Ok(fields.chain(others).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_ends_the_file_and_is_its_last_entry() {
        let entry = |key: &str| StringStringEntryProto {
            key: key.to_owned(),
            value: "x".to_owned(),
        };
        let model = ModelProto {
            producer_name: "da2s".to_owned(),
            metadata_props: vec![entry("genotype")],
            ..ModelProto::default()
        };
        let bytes = summed(model.encode_to_vec());
        let (rest, sum) = bytes.split_at(bytes.len() - 76);
        assert_eq!(rest, model.encode_to_vec());
        assert_eq!(&sum[12..], Sha256::over(rest).hex().as_bytes());
        let read = ModelProto::decode(bytes.as_slice()).unwrap();
        assert_eq!(read.producer_name, "da2s");
        let keys: Vec<&str> = read.metadata_props.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["genotype", "sha256"]);
    }
}
