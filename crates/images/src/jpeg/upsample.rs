//! Scales subsampled components to the size of the image.
//!
//! As in libjpeg by default: if a component has half of the samples, those in between are weighted
//! means of their neighbours, 3 to 1, rounded like libjpeg; otherwise samples are repeated.

/// A component's samples.
pub struct Plane<'a> {
    /// Row by row.
    pub samples: &'a [u8],
    /// Distance from one row to the next.
    pub stride: usize,
    /// Rows and columns within the image.
    pub height: usize,
    pub width: usize,
    /// Columns and rows of the image per sample.
    pub across: usize,
    pub down: usize,
}

impl Plane<'_> {
    fn row(&self, row: usize) -> &[u8] {
        &self.samples[row * self.stride..][..self.width]
    }

    /// Writes row `row` of the image to `out`, which has room for all pixels of the last sample,
    /// also those beyond the image.
    pub(crate) fn upsample(&self, row: usize, out: &mut [u8]) {
        let near = self.row(row / self.down);
        // Half of the rows are closer to the previous sample, half to the next.
        let after = row % 2 == 1;
        let far = || {
            let row = row / 2;
            self.row(if after {
                (row + 1).min(self.height - 1)
            } else {
                row.saturating_sub(1)
            })
        };
        let sums = |near: &[u8], far: &[u8]| -> Vec<u16> {
            let sum = |(&near, &far): (&u8, &u8)| 3 * u16::from(near) + u16::from(far);
            near.iter().zip(far).map(sum).collect()
        };
        match (self.across, self.down) {
            (1, 1) => out[..self.width].copy_from_slice(near),
            (1, 2) => {
                let rounding = if after { 2 } else { 1 };
                for (out, sum) in out.iter_mut().zip(sums(near, far())) {
                    *out = ((sum + rounding) >> 2) as u8;
                }
            }
            (2, 1) if self.width > 2 => {
                let samples: Vec<u16> = near.iter().map(|&near| near.into()).collect();
                across::<2>(&samples, [1, 2], out);
            }
            (2, 2) if self.width > 2 => across::<4>(&sums(near, far()), [8, 7], out),
            (across, _) => {
                for (out, &near) in out.chunks_mut(across).zip(near) {
                    out.fill(near);
                }
            }
        }
    }
}

/// Doubles the number of samples in a row. Each sample becomes a left and a right one; `left` or
/// `right` is added for rounding, and the sum is divided by 2^`BITS`.
fn across<const BITS: u32>(samples: &[u16], [left, right]: [u16; 2], out: &mut [u8]) {
    let pair = |before: u16, sample: u16, after: u16| {
        [
            (3 * sample + before + left) >> BITS,
            (3 * sample + after + right) >> BITS,
        ]
        .map(|value| value as u8)
    };
    let (out, _) = out.as_chunks_mut::<2>();
    let last = samples.len() - 1;
    out[0] = pair(samples[0], samples[0], samples[1]);
    out[last] = pair(samples[last - 1], samples[last], samples[last]);
    let neighbours = samples.iter().zip(&samples[1..]).zip(&samples[2..]);
    for (out, ((&before, &sample), &after)) in out[1..last].iter_mut().zip(neighbours) {
        *out = pair(before, sample, after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upsampled(samples: &[u8], width: usize, across: usize, down: usize, row: usize) -> Vec<u8> {
        let plane = Plane {
            samples,
            stride: width,
            height: samples.len() / width,
            width,
            across,
            down,
        };
        let mut out = vec![0; width * across];
        plane.upsample(row, &mut out);
        out
    }

    #[test]
    fn pixels_between_two_samples_are_closer_to_the_nearer_one() {
        assert_eq!(upsampled(&[0, 40, 80], 3, 2, 1, 0), [0, 10, 30, 50, 70, 80]);
        let columns = [0, 0, 0, 80, 80, 80];
        assert_eq!(
            [0, 1, 2, 3].map(|row| upsampled(&columns, 3, 1, 2, row)[1]),
            [0, 20, 60, 80]
        );
        assert_eq!(
            [0, 1, 2, 3].map(|row| upsampled(&columns, 3, 2, 2, row)[1]),
            [0, 20, 60, 80]
        );
    }

    #[test]
    fn samples_are_repeated_at_other_ratios_and_in_narrow_components() {
        assert_eq!(upsampled(&[1, 9], 2, 2, 1, 0), [1, 1, 9, 9]);
        assert_eq!(upsampled(&[1, 9, 5], 3, 4, 1, 0), [1, 1, 1, 1, 9, 9, 9, 9, 5, 5, 5, 5]);
    }
}
