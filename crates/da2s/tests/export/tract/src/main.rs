//! Runs the ONNX model of the first argument with tract on the images in the safetensors file of the second, and prints how far its
//! logits are from those in the file, and its accuracy in percent, as JSON.

use std::env::args_os;
use std::fs;

use anyhow::{Context, Result};
use safetensors::SafeTensors;
use tract_onnx::prelude::*;

fn main() -> Result<()> {
    let mut paths = args_os().skip(1);
    let (model, expected) = (
        paths.next().context("a model")?,
        paths.next().context("a safetensors file")?,
    );
    let bytes = fs::read(expected)?;
    let file = SafeTensors::deserialize(&bytes)?;
    let tensor = |name: &str| -> Result<Tensor> {
        let view = file.tensor(name)?;
        let values = view
            .data()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        Tensor::from_shape(view.shape(), &values.collect::<Vec<f32>>())
    };
    let (images, logits, labels) = (tensor("images")?, tensor("logits")?, tensor("labels")?);
    // The batch stays a symbol: the model is made for any.
    let model = tract_onnx::onnx()
        .model_for_path(model)?
        .into_optimized()?
        .into_runnable()?;
    let outputs = model.run(tvec!(images.into()))?;
    let (ours, theirs) = (
        logits.try_as_plain_ram()?.as_slice::<f32>()?,
        outputs[0].try_as_plain_ram()?.as_slice::<f32>()?,
    );
    let difference = ours
        .iter()
        .zip(theirs)
        .fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
    let classes = logits.shape()[1];
    let best = |row: &[f32]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]));
    let right = theirs
        .chunks(classes)
        .zip(labels.try_as_plain_ram()?.as_slice::<f32>()?);
    let right = right.filter(|(row, label)| best(row) == Some(**label as usize)).count();
    let accuracy = 100.0 * right as f64 / logits.shape()[0] as f64;
    println!("{{\"difference\": {difference:e}, \"accuracy\": {accuracy}}}");
    Ok(())
}
