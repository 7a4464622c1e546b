//! Converts the components of a JPEG file to red, green and blue, rounded as in libjpeg
//! (`jdcolor.c`) and Pillow.

/// What the components mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Meaning {
    Grey,
    Rgb,
    /// Full-range ITU-R BT.601, used by nearly every file.
    YCbCr,
    /// Inverted, as all programs write it, Adobe's included.
    Cmyk,
    /// Inverted like `Cmyk`; red, green and blue, the inverses of cyan, magenta and yellow, are
    /// stored as YCbCr.
    Ycck,
}

impl Meaning {
    /// Determines the meaning from the component ids, the presence of a JFIF segment, and the
    /// transform in Adobe's segment if there is one.
    pub fn of(ids: &[u8], is_jfif: bool, adobe_transform: Option<u8>) -> Self {
        match (ids, adobe_transform) {
            ([_], _) => Self::Grey,
            ([_, _, _], Some(0)) if !is_jfif => Self::Rgb,
            (b"RGB", None) if !is_jfif => Self::Rgb,
            ([_, _, _], _) => Self::YCbCr,
            (_, None | Some(0)) => Self::Cmyk,
            _ => Self::Ycck,
        }
    }

    /// Number of channels of the image: 1 or 3.
    pub fn channels(self) -> usize {
        if self == Self::Grey { 1 } else { 3 }
    }

    /// Converts the components of a row to channels, in place.
    pub fn convert(self, rows: &mut [Vec<u8>]) {
        match (self, rows) {
            (Self::YCbCr, [luma, blue, red]) => rgb(luma, blue, red),
            (Self::Cmyk, [cyan, magenta, yellow, light]) => {
                for ink in [cyan, magenta, yellow] {
                    darken(ink, light);
                }
            }
            (Self::Ycck, [luma, blue, red, light]) => {
                rgb(luma, blue, red);
                for ink in [luma, blue, red] {
                    ink.iter_mut().for_each(|ink| *ink = 255 - *ink);
                    darken(ink, light);
                }
            }
            _ => {}
        }
    }
}

/// Converts luma and chroma to red, green and blue.
fn rgb(luma: &mut [u8], blue: &mut [u8], red: &mut [u8]) {
    for ((luma, blue), red) in luma.iter_mut().zip(blue).zip(red) {
        let (y, cb, cr) = (i32::from(*luma), i32::from(*blue) - 128, i32::from(*red) - 128);
        let half = 1 << 15;
        let clamped = |value: i32| value.clamp(0, 255) as u8;
        *luma = clamped(y + ((91_881 * cr + half) >> 16));
        *blue = clamped(y + ((-22_554 * cb - 46_802 * cr + half) >> 16));
        *red = clamped(y + ((116_130 * cb + half) >> 16));
    }
}

/// `colour` · `light` / 255, where `light` is 255 − K.
fn darken(colour: &mut [u8], light: &[u8]) {
    for (colour, &light) in colour.iter_mut().zip(light) {
        let dark = (255 - u32::from(*colour)) * u32::from(light) + 128;
        *colour = light - ((dark + (dark >> 8)) >> 8) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_decide_before_the_names_of_components() {
        assert_eq!(Meaning::of(&[1, 2, 3], true, None), Meaning::YCbCr);
        assert_eq!(Meaning::of(b"RGB", false, None), Meaning::Rgb);
        assert_eq!(Meaning::of(b"RGB", true, None), Meaning::YCbCr);
        assert_eq!(Meaning::of(&[1, 2, 3], false, Some(0)), Meaning::Rgb);
        assert_eq!(Meaning::of(&[1, 2, 3, 4], false, None), Meaning::Cmyk);
        assert_eq!(Meaning::of(&[1, 2, 3, 4], false, Some(2)), Meaning::Ycck);
    }

    #[test]
    fn grey_has_no_colour_and_black_no_light() {
        let converted = |meaning: Meaning, pixel: &[u8]| -> Vec<u8> {
            let mut rows: Vec<Vec<u8>> = pixel.iter().map(|&sample| vec![sample]).collect();
            meaning.convert(&mut rows);
            rows[..meaning.channels()].concat()
        };
        assert_eq!(converted(Meaning::YCbCr, &[77, 128, 128]), [77; 3]);
        assert_eq!(converted(Meaning::YCbCr, &[76, 85, 255]), [254, 0, 0]);
        assert_eq!(converted(Meaning::Cmyk, &[255, 128, 0, 255]), [255, 128, 0]);
        assert_eq!(converted(Meaning::Cmyk, &[255, 128, 0, 0]), [0; 3]);
        assert_eq!(converted(Meaning::Ycck, &[77, 128, 128, 255]), [178; 3]);
    }
}
