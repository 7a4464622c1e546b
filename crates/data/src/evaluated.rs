//! The preprocessing of images in the evaluation, for programs that use a trained network.

use da2s_records::schema::{Preprocessing, PreprocessingRules};

use super::dataset::{Dataset, Normalisation};

/// The preprocessing of `dataset`; `centre_crop` is the fraction of the image that the evaluation
/// uses.
pub fn preprocessing(dataset: &Dataset, centre_crop: f32) -> Preprocessing {
    let Normalisation { mean, std } = dataset.normalisation.clone();
    Preprocessing {
        rules: PreprocessingRules::default(),
        channels: dataset.shape.channels,
        centre_crop,
        image_size: dataset.shape.height,
        mean,
        std,
        classes: dataset.class_names.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DataOptions, Format, Loader, Part, open};
    use super::*;

    #[test]
    fn a_picture_has_the_values_of_the_evaluation() {
        let options = DataOptions {
            image_size: Some(12),
            ..DataOptions::default()
        };
        let native = open(Format::Digits, None, &DataOptions::default()).unwrap();
        let dataset = open(Format::Digits, None, &options).unwrap();
        let batch = Loader::evaluation(&dataset, Part::Test, vec![3, 9], 2)
            .unwrap()
            .batch(0, 0)
            .unwrap();
        let preprocessing = preprocessing(&dataset, 1.0);
        assert_eq!(preprocessing.check(), Ok(()));
        let values = [3, 9].map(|index| native.test.image(index).unwrap().preprocessed(&preprocessing));
        assert!(batch.planar().eq(values));
    }
}
