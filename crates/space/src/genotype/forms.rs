//! The forms in which other tools write genotypes, and conversion to them.
//!
//! Contract: [`Genotype::parse`] reads every form; [`Genotype::to_form`] is an error if a form
//! cannot express the genotype. PC-DARTS, GDAS and most others use the form of DARTS.

use da2s_settings::words;

use super::{Genotype, naslib_text, nni_text};
use crate::SpaceName;

words! {
    /// A form of genotypes.
    #[strum(serialize_all = "lowercase")]
    pub enum GenotypeForm {
        /// `Genotype(normal=[('sep_conv_3x3', 0), …], normal_concat=…, …)`.
        Darts,
        /// `Genotype(stages=[['mbconv_k3_e3', None, 'mbconv_k5_e6'], …])`, of the spaces `mobile`
        /// and `plain`.
        Mobile,
        /// `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`.
        #[strum(serialize = "nas-bench-201")]
        NasBench201,
        /// Of NNI 3: `{"normal/op_2_0": "sep_conv_3x3", "normal/input_2_0": 0, …}`.
        Nni,
        /// Of NNI 2: `{"normal_n2_p0": "sepconv3x3", …, "normal_n2_switch": ["normal_n2_p0", …],
        /// …}`.
        Nni2,
        /// Of NASLib: `(((0, 3), (1, 3), …), (…))` in the DARTS space, `(4, 0, 3, 1, 4, 3)` in that
        /// of NAS-Bench-201.
        Naslib,
        /// Of NASLib and NAS-Bench-301: `{"NetworkSelectorDatasetInfo:darts:edge_normal_0":
        /// "sep_conv_3x3", …}`.
        #[strum(serialize = "nas-bench-301")]
        NasBench301,
    }
}

/// A genotype that a form cannot express.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the form {form} cannot express this genotype: {problem}")]
pub struct FormError {
    /// The form.
    pub form: GenotypeForm,
    /// The reason.
    pub problem: String,
}

impl Genotype {
    /// The form in which da2s writes it.
    pub fn own_form(&self) -> GenotypeForm {
        match self.space() {
            SpaceName::Darts => GenotypeForm::Darts,
            SpaceName::NasBench201 => GenotypeForm::NasBench201,
            SpaceName::Mobile | SpaceName::Plain => GenotypeForm::Mobile,
        }
    }

    /// Writes the genotype in a form.
    ///
    /// # Errors
    /// If the form cannot express it.
    pub fn to_form(&self, form: GenotypeForm) -> Result<String, FormError> {
        let written = match (form, self.space()) {
            (GenotypeForm::Darts | GenotypeForm::Mobile | GenotypeForm::NasBench201, _) if form == self.own_form() => {
                Ok(self.to_string())
            }
            (_, SpaceName::Mobile | SpaceName::Plain) => Err("it is a chain of layers".to_owned()),
            (GenotypeForm::Darts, _) => Err("it is an architecture of NAS-Bench-201".to_owned()),
            (GenotypeForm::NasBench201, _) => Err("it has reduction cells".to_owned()),
            (GenotypeForm::Mobile, _) => Err("it has cells, not stages of layers".to_owned()),
            (GenotypeForm::Nni, _) => nni_text::write(self),
            (GenotypeForm::Nni2, _) => nni_text::write_2(self),
            (GenotypeForm::Naslib, _) => naslib_text::write(self),
            (GenotypeForm::NasBench301, _) => naslib_text::write_301(self),
        };
        written.map_err(|problem| FormError { form, problem })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CellGenotype, Operation, PerKind, darts_operations};
    use proptest::prelude::*;

    /// Four nodes with two edges each, any operations of the DARTS space, inputs in ascending
    /// order.
    fn darts_cell() -> impl Strategy<Value = CellGenotype> {
        let node = |to: usize| {
            let pair = prop::sample::subsequence((0..to).collect::<Vec<_>>(), 2);
            (
                pair,
                prop::collection::vec(prop::sample::select(darts_operations(false)), 2),
            )
        };
        (node(2), node(3), node(4), node(5)).prop_map(|(a, b, c, d)| {
            let entries: Vec<(Operation, usize)> = [a, b, c, d]
                .into_iter()
                .flat_map(|(from, operations)| operations.into_iter().zip(from))
                .collect();
            CellGenotype::from_entries(&entries, &[2; 4], vec![2, 3, 4, 5]).unwrap()
        })
    }

    const FORMS_OF_DARTS: [GenotypeForm; 5] = [
        GenotypeForm::Darts,
        GenotypeForm::Nni,
        GenotypeForm::Nni2,
        GenotypeForm::Naslib,
        GenotypeForm::NasBench301,
    ];

    proptest! {
        #[test]
        fn every_form_is_read_back(normal in darts_cell(), reduction in darts_cell()) {
            let genotype = Genotype { cells: PerKind { normal, reduction: Some(reduction) } };
            for form in FORMS_OF_DARTS {
                let text = genotype.to_form(form).unwrap();
                prop_assert_eq!(Genotype::parse(&text).unwrap(), genotype.clone(), "{}: {}", form.name(), text);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "[\\[({]\\PC{0,60}") {
            let _ = Genotype::parse(&text);
        }

        #[test]
        fn no_damage_makes_it_panic(normal in darts_cell(), at in any::<prop::sample::Index>(), byte in any::<char>()) {
            let genotype = Genotype { cells: PerKind { normal: normal.clone(), reduction: Some(normal) } };
            for form in FORMS_OF_DARTS {
                let mut text: Vec<char> = genotype.to_form(form).unwrap().chars().collect();
                let at = at.index(text.len());
                text[at] = byte;
                let _ = Genotype::parse(&text.iter().collect::<String>());
                let _ = Genotype::parse(&text[..at].iter().collect::<String>());
            }
        }
    }

    #[test]
    fn what_a_form_cannot_express_is_refused() {
        let bench = Genotype::parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|").unwrap();
        let skip = "[('skip_connect', 0)]";
        let small = format!(
            "Genotype(normal={skip}, normal_concat=[2], normal_nodes=[1], reduce={skip}, reduce_concat=[2], reduce_nodes=[1])"
        );
        let small = Genotype::parse(&small).unwrap();
        let chain = Genotype::parse("Genotype(stages=[['mbconv_k3_e1']])").unwrap();
        for form in GenotypeForm::ALL {
            let fits_bench = matches!(form, GenotypeForm::NasBench201 | GenotypeForm::Naslib);
            assert_eq!(bench.to_form(form).is_ok(), fits_bench, "{}", form.name());
            let fits_chain = form == GenotypeForm::Mobile;
            assert_eq!(chain.to_form(form).is_ok(), fits_chain, "{}", form.name());
            assert_eq!(
                small.to_form(form).is_ok(),
                form == GenotypeForm::Darts,
                "{}",
                form.name()
            );
        }
        let error = small.to_form(GenotypeForm::Nni).unwrap_err().to_string();
        assert_eq!(
            error,
            "the form nni cannot express this genotype: node 2 of normal cells has 1 entries, not 2"
        );
    }

    #[test]
    fn an_invalid_object_is_named() {
        for (text, say) in [
            ("{", "it begins like an object"),
            ("{\"a\": 1}", "none of the keys"),
            ("{\"genotype\": \"{}\"}", "nor the text of a genotype in it"),
            ("{\"genotype\": \"Genotype(\"}", "a quote is not closed"),
        ] {
            let error = Genotype::parse(text).unwrap_err().to_string();
            assert!(error.contains(say), "{text}: {error}");
        }
    }
}
