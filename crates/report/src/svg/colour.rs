//! Colours that people with any kind of colour vision can distinguish.
//!
//! Operations and curves: based on the eight colours of Okabe & Ito, "Color Universal Design"
//! (2008). One of them is black, which becomes white on a dark background. Heat maps: cividis,
//! Nuñez, Anderton, Renslow, "Optimizing colormaps with consideration for color vision deficiency"
//! (2018), from colorous.

/// Number of colours for operations.
pub(crate) const SLOTS: usize = 10;

/// Number of steps of the heat map.
pub(crate) const LEVELS: usize = 25;

/// Colours of the operation slots on a light and on a dark background.
pub(crate) const OPERATION_COLOURS: [(&str, &str); SLOTS] = [
    ("#6b6b6b", "#b4b4b4"),
    ("#e69f00", "#e69f00"),
    ("#d55e00", "#e8743b"),
    ("#0072b2", "#2f95d8"),
    ("#56b4e9", "#8fd0f7"),
    ("#009e73", "#1fbf92"),
    ("#cc79a7", "#dd92bb"),
    ("#b3a200", "#f0e442"),
    ("#1a1d20", "#e9e7e2"),
    ("#8c564b", "#b98577"),
];

/// Number of lines that can be distinguished.
pub(crate) const LINES: usize = 8;

/// Colours of the lines of a chart on a light and on a dark background, and their dashes, which
/// distinguish them in print.
pub(crate) const LINE_STYLES: [(&str, &str, &str); LINES] = [
    ("#0072b2", "#56b4e9", "none"),
    ("#d55e00", "#f0843c", "7 4"),
    ("#00805d", "#2cc79b", "1.5 4"),
    ("#b05a8a", "#dd92bb", "9 4 1.5 4"),
    ("#5c6269", "#a2a7ad", "2 2"),
    ("#8f6f00", "#e6c229", "14 4"),
    ("#7a4fbf", "#b79cf0", "5 2 1 2"),
    ("#1a1d20", "#e9e7e2", "1 7"),
];

/// The colour slot of an operation: fixed for those of the known spaces, so that runs look alike.
pub(crate) fn slot(operation: &str) -> usize {
    match operation {
        "skip_connect" | "mbconv_k3_e1" => 0,
        "max_pool_3x3" | "mbconv_k3_e3" => 1,
        "avg_pool_3x3" | "mbconv_k3_e6" => 2,
        "sep_conv_3x3" | "nor_conv_3x3" | "mbconv_k5_e1" => 3,
        "sep_conv_5x5" | "nor_conv_1x1" | "mbconv_k5_e3" => 4,
        "dil_conv_3x3" | "mbconv_k5_e6" => 5,
        "dil_conv_5x5" | "mbconv_k7_e1" => 6,
        "none" | "mbconv_k7_e3" => 7,
        "mbconv_k7_e6" => 8,
        "resblock_k3" => 9,
        other => other.bytes().map(usize::from).sum::<usize>() % SLOTS,
    }
}

/// The heat level of a share between 0 and 1; NaN counts as 0.
pub(crate) fn level(share: f64) -> usize {
    let top = (LEVELS - 1) as f64;
    // `as` saturates and maps NaN to 0.
    (share.clamp(0.0, 1.0) * top).round() as usize
}

/// The colour of a heat level, and that of text on it.
pub(crate) fn heat(level: usize) -> (String, &'static str) {
    let colour = colorous::CIVIDIS.eval_rational(level.min(LEVELS - 1), LEVELS);
    let luma = 0.299 * f64::from(colour.r) + 0.587 * f64::from(colour.g) + 0.114 * f64::from(colour.b);
    (format!("#{colour:x}"), if luma > 125.0 { "#111" } else { "#fff" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_operations_of_the_mobile_space_share_a_colour() {
        let bottlenecks = [3, 5, 7].map(|kernel| [1, 3, 6].map(|expansion| format!("mbconv_k{kernel}_e{expansion}")));
        let names = bottlenecks.into_iter().flatten().chain(["resblock_k3".to_owned()]);
        let slots: std::collections::BTreeSet<usize> = names.map(|name| slot(&name)).collect();
        assert_eq!(slots.len(), 10);
    }

    #[test]
    fn levels_cover_the_map() {
        assert_eq!(
            (level(0.0), level(1.0), level(f64::NAN), level(7.0)),
            (0, LEVELS - 1, 0, LEVELS - 1)
        );
        assert_eq!(heat(0).1, "#fff");
        assert_eq!(heat(LEVELS - 1).1, "#111");
        assert_eq!(heat(3).0.len(), 7);
    }
}
