//! How many epochs a stage may have, from the number of its steps.

/// Numbers of epochs of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epochs {
    /// The fewest that make sense.
    pub least: usize,
    /// Enough: a larger network is chosen only if there is time for this number.
    pub good: usize,
    /// The maximum.
    pub most: usize,
}

impl Epochs {
    /// A requested number.
    pub const fn fixed(epochs: usize) -> Self {
        Self {
            least: epochs,
            good: epochs,
            most: epochs,
        }
    }

    /// The numbers for epochs of `steps` steps each. `least` is the minimum number of epochs and
    /// that of steps; both must be reached. `good` has three numbers: the usual number of epochs;
    /// the minimum number of steps (if epochs have few steps, there are more epochs than usual);
    /// and a number of steps that is always enough (if epochs have many steps, there are fewer
    /// epochs than usual). No number is above `most` epochs.
    pub fn of_steps(steps: usize, least: [usize; 2], good: [usize; 3], most: usize) -> Self {
        let steps = steps.max(1);
        let [good_epochs, fewest_steps, enough_steps] = good;
        let least = least[0].max(least[1].div_ceil(steps)).min(most);
        let good = good_epochs
            .max(fewest_steps.div_ceil(steps))
            .min((enough_steps / steps).max(least));
        Self {
            least,
            good: good.clamp(least, most),
            most,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_epochs_follow_from_steps() {
        let of = |steps| Epochs::of_steps(steps, [5, 60], [60, 1000, 20_000], 600);
        let epochs = |least, good, most| Epochs { least, good, most };
        assert_eq!(of(52), epochs(5, 60, 600));
        // Few images need many epochs, many images few of them.
        assert_eq!(of(3), epochs(20, 334, 600));
        assert_eq!(of(1000), epochs(5, 20, 600));
        assert_eq!(of(1_000_000), epochs(5, 5, 600));
        assert_eq!(Epochs::of_steps(1, [5, 60], [60, 1000, 20_000], 25), epochs(25, 25, 25));
    }
}
