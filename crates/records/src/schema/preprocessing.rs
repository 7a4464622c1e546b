//! `preprocessing.json`: how an image is prepared for a network.
//!
//! Contract: unlike other records this one is used in computations, so a reader accepts it
//! completely or not at all. Only the rules may be absent: earlier versions followed them without
//! writing them down. An unknown rule is an error. The metadata of every export contain the same
//! record.

use serde::{Deserialize, Serialize};

/// The preparation of an image, in the order of the fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// The rules shared by all networks.
    #[serde(flatten)]
    pub rules: PreprocessingRules,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// Side of the centred crop, as a fraction of the image's shorter side.
    pub centre_crop: f32,
    /// Rows and columns of the network's input.
    pub image_size: usize,
    /// Mean of each channel on the scale 0 to 1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel on the scale 0 to 1.
    pub std: Vec<f32>,
    /// Names of the classes, in the order of the logits.
    pub classes: Vec<String>,
}

/// The rules shared by all networks: written so that nobody has to guess them, read so that a
/// network with other rules is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PreprocessingRules {
    /// How the image is oriented.
    pub orientation: Orientation,
    /// Order of the channels, and of the weights in `grey`.
    pub colour_order: ColourOrder,
    /// Weights of the colours in a single grey channel, whose values are rounded to bytes.
    pub grey: [f32; 3],
    /// How the image is cropped.
    pub crop: Crop,
    /// How the square is resized; the result is rounded to bytes.
    pub filter: Filter,
    /// Whether the filter widens when the image shrinks.
    pub antialias: bool,
}

/// How an image is oriented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Orientation {
    /// Upright, as the EXIF orientation in its file says.
    #[default]
    Exif,
}

/// Order of colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ColourOrder {
    /// Red, green, blue.
    #[default]
    #[serde(rename = "RGB")]
    Rgb,
}

/// How an image is cropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Crop {
    /// The square in its centre.
    #[default]
    CentreSquare,
}

/// How a square is resized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// A triangle: linear between the centres of pixels.
    #[default]
    Bilinear,
}

impl PreprocessingRules {
    /// Weights of red, green and blue in grey, in ten-thousandths: sRGB luma.
    pub const GREY: [u16; 3] = [2126, 7152, 722];
}

impl Default for PreprocessingRules {
    fn default() -> Self {
        Self {
            orientation: Orientation::default(),
            colour_order: ColourOrder::default(),
            grey: Self::GREY.map(|weight| f32::from(weight) / 1e4),
            crop: Crop::default(),
            filter: Filter::default(),
            antialias: true,
        }
    }
}

impl Preprocessing {
    /// Checks constants that were read from a file.
    ///
    /// # Errors
    /// A description of the problem.
    pub fn check(&self) -> Result<(), String> {
        let Self {
            channels, mean, std, ..
        } = self;
        if self.rules != PreprocessingRules::default() {
            return Err("grey or antialias differs from da2s's rule".to_owned());
        }
        if !matches!(channels, 1 | 3) {
            return Err(format!("channels is {channels}, not 1 or 3"));
        }
        if mean.len() != *channels || std.len() != *channels {
            return Err(format!("mean and std must have {channels} numbers, one per channel"));
        }
        if !(1..=4096).contains(&self.image_size) {
            return Err(format!("image_size is {}, not 1 to 4096", self.image_size));
        }
        if !(self.centre_crop > 0.0 && self.centre_crop <= 1.0) {
            return Err(format!(
                "centre_crop is {}, but must be more than 0 and at most 1",
                self.centre_crop
            ));
        }
        let usable = |number: &f32| number.is_finite();
        if !mean.iter().all(usable) || !std.iter().all(|std| usable(std) && *std > 0.0) {
            return Err("mean and std must be finite, and std more than 0".to_owned());
        }
        if self.classes.is_empty() {
            return Err("it names no classes".to_owned());
        }
        Ok(())
    }

    /// Number of input values of the network per image.
    pub fn len(&self) -> usize {
        self.channels * self.image_size * self.image_size
    }

    /// Whether the network has no input values; never true after [`Self::check`].
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The steps in words. The first is about files, all others about pixels.
    pub fn steps(&self) -> Vec<String> {
        let [red, green, blue] = self.rules.grey;
        let colours = match self.channels {
            1 => format!("8 bits of grey: {red} R + {green} G + {blue} B, rounded"),
            _ => "8 bits each of red, green and blue, in this order".to_owned(),
        };
        let (side, fraction) = (self.image_size, self.centre_crop);
        vec![
            "Turn the image upright, as its EXIF orientation says.".to_owned(),
            format!("Convert it to {colours}."),
            format!(
                "Cut out the centred square whose side is {fraction} of the shorter side, rounded to whole pixels."
            ),
            format!(
                "Resize it to {side}×{side}: bilinear, antialiased where it shrinks (the weights of Pillow's BILINEAR), rounded once, to 8 bits."
            ),
            format!(
                "Divide by 255, subtract the mean {:?} and divide by the standard deviation {:?} of each channel.",
                self.mean, self.std
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut Preprocessing);

    fn good() -> Preprocessing {
        Preprocessing {
            rules: PreprocessingRules::default(),
            channels: 1,
            centre_crop: 0.9,
            image_size: 8,
            mean: vec![0.1],
            std: vec![0.25],
            classes: vec!["a".to_owned()],
        }
    }

    #[test]
    fn invalid_constants_are_named() {
        assert_eq!(good().check(), Ok(()));
        let cases: [(&str, Change); 8] = [
            ("channels is 2", |bad| bad.channels = 2),
            ("one per channel", |bad| bad.std.push(1.0)),
            ("image_size is 0", |bad| bad.image_size = 0),
            ("centre_crop is 0", |bad| bad.centre_crop = 0.0),
            ("more than 0", |bad| bad.std = vec![0.0]),
            ("no classes", |bad| bad.classes.clear()),
            ("antialias", |bad| bad.rules.antialias = false),
            ("grey", |bad| bad.rules.grey = [0.299, 0.587, 0.114]),
        ];
        for (say, change) in cases {
            let mut bad = good();
            change(&mut bad);
            assert!(bad.check().unwrap_err().contains(say), "{say}");
        }
    }

    #[test]
    fn the_rules_are_written_but_old_files_may_lack_them() {
        let text = serde_json::to_string(&good()).unwrap();
        assert_eq!(
            text,
            r#"{"orientation":"exif","colour_order":"RGB","grey":[0.2126,0.7152,0.0722],"crop":"centre_square","#
                .to_owned()
                + r#""filter":"bilinear","antialias":true,"channels":1,"centre_crop":0.9,"image_size":8,"#
                + r#""mean":[0.1],"std":[0.25],"classes":["a"]}"#
        );
        assert_eq!(serde_json::from_str::<Preprocessing>(&text).unwrap(), good());
        let earlier = format!("{{{}", &text[text.find("\"channels\"").unwrap()..]);
        assert_eq!(serde_json::from_str::<Preprocessing>(&earlier).unwrap(), good());
        let other = serde_json::from_str::<Preprocessing>(&text.replace("bilinear", "lanczos"));
        assert!(
            other
                .unwrap_err()
                .to_string()
                .contains("`lanczos`, expected `bilinear`")
        );
    }

    #[test]
    fn the_steps_say_the_constants() {
        let steps = good().steps().join("\n");
        for part in ["0.2126 R", "is 0.9 of", "8×8", "mean [0.1]", "deviation [0.25]"] {
            assert!(steps.contains(part), "{part}: {steps}");
        }
    }
}
