//! The plan of a comparison: methods × varied settings × seeds, as stored in `compare.toml`.
//!
//! Contract: a plan may grow (more seeds, more methods) but never shrinks or changes. So every run
//! in the directory belongs to it, and no run with other settings is compared.

use da2s::search::{Drive, Method, SearchSettings};
use da2s::space::PlainNetwork;
use da2s_report::comparison::Setup;
use serde::{Deserialize, Serialize};

use super::planned::{Given, Planned};
use super::vary::{Varied, combinations, first_twice};

/// The methods compared by default.
const METHODS: [Method; 2] = [Method::Da2s, Method::Darts];
/// The setting varied by `--drives`.
const DRIVE: &str = "search.drive";
/// The default number of seeds.
const SEEDS: u64 = 3;
/// More runs than this are a mistake, and their list alone would take gigabytes.
const MOST_RUNS: u64 = 100_000;
/// The largest seed that a configuration can store.
const LAST_SEED: u64 = i64::MAX as u64;

/// A comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Names of the methods.
    pub methods: Vec<String>,
    /// The first seed.
    pub first_seed: u64,
    /// Number of consecutive seeds.
    pub seeds: u64,
    /// Whether retraining of the networks is skipped.
    pub search_only: bool,
    /// Varied settings; every combination of their values is run.
    #[serde(default)]
    pub vary: Vec<Varied>,
    /// Names of published genotypes that are trained in addition to those found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub genotypes: Vec<String>,
    /// Number of random genotypes to train.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub random: u64,
    /// The method that the others are tested against; `None` for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// Plain networks to train, each as wide as the cost of the first setup's networks allows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub baselines: Vec<PlainNetwork>,
}

/// The arguments that affect a plan; absent ones keep the stored or the default value.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Methods.
    pub methods: Vec<String>,
    /// Number of seeds.
    pub seeds: Option<u64>,
    /// Whether retraining of the networks is skipped.
    pub search_only: bool,
    /// Varied settings, as `KEY=VALUE,…`.
    pub vary: Vec<String>,
    /// Published genotypes.
    pub genotypes: Vec<String>,
    /// Number of random genotypes.
    pub random: Option<u64>,
    /// The method that the others are tested against.
    pub baseline: Option<String>,
    /// Plain networks.
    pub baselines: Vec<PlainNetwork>,
}

impl Plan {
    /// A new plan, or `stored` extended by the arguments.
    ///
    /// # Errors
    /// A description of what is invalid.
    pub fn new(asked: &Asked, first_seed: u64, stored: Option<&Self>) -> Result<Self, String> {
        let vary: Vec<Varied> = asked
            .vary
            .iter()
            .map(|text| Varied::parse(text))
            .collect::<Result<_, _>>()?;
        let mut plan = stored.cloned().unwrap_or_else(|| Self {
            methods: METHODS.map(|method| method.name().to_owned()).to_vec(),
            first_seed,
            seeds: SEEDS,
            search_only: asked.search_only,
            vary: vary.clone(),
            genotypes: Vec::new(),
            random: 0,
            baseline: None,
            baselines: Vec::new(),
        });
        if !asked.methods.is_empty() {
            plan.methods.clone_from(&asked.methods);
        }
        plan.seeds = asked.seeds.unwrap_or(plan.seeds);
        plan.random = asked.random.unwrap_or(plan.random);
        plan.baseline = asked.baseline.clone().or(plan.baseline);
        if !asked.genotypes.is_empty() {
            plan.genotypes.clone_from(&asked.genotypes);
        }
        if !asked.baselines.is_empty() {
            plan.baselines.clone_from(&asked.baselines);
        }
        if let Some(stored) = stored {
            stored.allows(&plan, asked, &vary)?;
        }
        let keys = plan.vary.iter().map(|varied| &varied.key);
        if let Some(twice) = first_twice(plan.methods.iter().chain(keys)).or_else(|| first_twice(plan.genotypes.iter()))
        {
            return Err(format!("{twice} is given twice"));
        }
        if plan.search_only && (plan.random > 0 || !plan.genotypes.is_empty() || !plan.baselines.is_empty()) {
            return Err(
                "--search-only trains no network, but --genotypes, --random and --baselines only train: leave them out"
                    .to_owned(),
            );
        }
        let given = plan.random > 0 || !plan.genotypes.is_empty();
        let of_search = |key: &str| key.starts_with("search.") || key.starts_with("discretize.");
        if let Some(other) = plan.vary.iter().find(|varied| given && !of_search(&varied.key)) {
            return Err(format!(
                "--vary {}: the networks of --genotypes and --random have only the shared settings, so this setting would not vary for them; make a separate comparison for each value",
                other.key
            ));
        }
        plan.fits()?;
        let runs = plan.runs();
        match first_twice(runs.iter().map(|run| &run.name)) {
            Some(name) => Err(format!("two of the varied values would use the same directory, {name}")),
            None => Ok(plan),
        }
    }

    /// Refuses a new plan that would drop or change something in this one.
    fn allows(&self, plan: &Self, asked: &Asked, vary: &[Varied]) -> Result<(), String> {
        if let Some(method) = self.methods.iter().find(|method| !plan.methods.contains(method)) {
            return Err(format!(
                "it compares {method}, which is not among the requested --methods"
            ));
        }
        if plan.seeds < self.seeds {
            return Err(format!(
                "it has {} seeds, but {} were requested",
                self.seeds, plan.seeds
            ));
        }
        if let Some(name) = self.genotypes.iter().find(|name| !plan.genotypes.contains(name)) {
            return Err(format!(
                "it trains {name}, which is not among the requested --genotypes"
            ));
        }
        if let Some(network) = self.baselines.iter().find(|network| !plan.baselines.contains(network)) {
            return Err(format!(
                "it trains {network}, which is not among the requested --baselines"
            ));
        }
        if let (false, Some(first)) = (self.baselines.is_empty(), self.methods.first())
            && plan.methods.first() != Some(first)
        {
            return Err(format!(
                "its baselines are as wide as the networks of {first}, which is no longer the first of --methods"
            ));
        }
        if plan.random < self.random {
            return Err(format!(
                "it has {} random genotypes, but {} were requested",
                self.random, plan.random
            ));
        }
        if asked.search_only && !self.search_only {
            return Err("its networks are retrained, but --search-only was requested".to_owned());
        }
        if !vary.is_empty() && vary != self.vary {
            return Err("it varies other settings".to_owned());
        }
        Ok(())
    }

    /// Refuses plans with too many runs, and seeds that a configuration cannot store.
    fn fits(&self) -> Result<(), String> {
        let (first, seeds) = (self.first_seed, self.seeds);
        let most = seeds.max(self.random);
        if most > 0 && first.checked_add(most - 1).is_none_or(|last| last > LAST_SEED) {
            return Err(format!(
                "{most} seeds from {first} go beyond {LAST_SEED}, the largest seed"
            ));
        }
        let setups = self.vary.iter().map(|varied| varied.values.len());
        let setups = setups.chain([self.methods.len()]).map(|count| count as u64);
        let searched = setups.chain([seeds]).try_fold(1, u64::checked_mul);
        let given = seeds.checked_mul((self.genotypes.len() + self.baselines.len()) as u64);
        let given = given.and_then(|given| given.checked_add(self.random));
        let runs = searched
            .zip(given)
            .and_then(|(searched, given)| searched.checked_add(given));
        match runs {
            Some(0..=MOST_RUNS) => Ok(()),
            _ => Err(format!("it would have more than {MOST_RUNS} runs")),
        }
    }

    /// Every setup with a search, including combinations that make no sense.
    fn setups(&self) -> impl Iterator<Item = Setup> {
        self.methods.iter().flat_map(|method| {
            combinations(&self.vary).into_iter().map(|settings| Setup {
                method: method.clone(),
                settings,
            })
        })
    }

    /// Descriptions of the setups that are skipped, because the method cannot be combined with the
    /// drive.
    pub fn left_out(&self) -> Vec<String> {
        let reason = |setup: Setup| Some(format!("{} is left out: {}", setup.label(), refusal(&setup)?));
        self.setups().filter_map(reason).collect()
    }

    /// Every run, setup by setup; then the given genotypes; then the baselines, which follow from
    /// the runs of the first setup.
    pub fn runs(&self) -> Vec<Planned> {
        let seeds = |count: u64| self.first_seed..self.first_seed.saturating_add(count);
        let setups: Vec<Setup> = self.setups().filter(|setup| refusal(setup).is_none()).collect();
        let mut runs = Vec::new();
        for setup in &setups {
            runs.extend(seeds(self.seeds).map(|seed| Planned::searched(setup, seed)));
        }
        let published = self
            .genotypes
            .iter()
            .map(|name| (Given::Published(name.clone()), self.seeds));
        for (given, count) in published.chain([(Given::Random, self.random)]) {
            runs.extend(seeds(count).map(|seed| Planned::given(given.clone(), seed)));
        }
        if let Some(first) = setups.first() {
            for &network in &self.baselines {
                let beside = |seed| Given::Baseline {
                    network,
                    searched: Planned::searched(first, seed).name,
                };
                runs.extend(seeds(self.seeds).map(|seed| Planned::given(beside(seed), seed)));
            }
        }
        runs
    }
}

/// Why the method of `setup` cannot be combined with its drive; `None` if it can.
fn refusal(setup: &Setup) -> Option<&'static str> {
    let method = Method::from_name(&setup.method)?;
    let (_, drive) = setup.settings.iter().find(|(key, _)| key == DRIVE)?;
    let drive = Drive::from_name(drive.trim_matches(['"', '\'']))?;
    method.build(&SearchSettings::default()).refuses(drive)
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use da2s::config::Config;
    use da2s::space::PublishedGenotype;

    use super::*;

    fn asked(methods: &[&str], seeds: Option<u64>, vary: &[&str]) -> Asked {
        Asked {
            methods: methods.iter().map(|&method| method.to_owned()).collect(),
            seeds,
            vary: vary.iter().map(|&vary| vary.to_owned()).collect(),
            ..Asked::default()
        }
    }

    #[test]
    fn every_combination_is_a_run() {
        let plan = Plan::new(&Asked::default(), 1, None).unwrap();
        let names: Vec<String> = plan.runs().into_iter().map(|run| run.name).collect();
        assert_eq!(
            names,
            ["da2s-s1", "da2s-s2", "da2s-s3", "darts-s1", "darts-s2", "darts-s3"]
        );
        let vary = ["target.edges=1,[1,2,1,3]", "search.alpha_rate=auto,0.1"];
        let plan = Plan::new(&asked(&["da2s"], Some(1), &vary), 7, None).unwrap();
        let runs = plan.runs();
        let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "da2s-target.edges=1-search.alpha_rate=auto-s7",
                "da2s-target.edges=1-search.alpha_rate=0.1-s7",
                "da2s-target.edges=1_2_1_3-search.alpha_rate=auto-s7",
                "da2s-target.edges=1_2_1_3-search.alpha_rate=0.1-s7",
            ]
        );
        let config = runs[3].config(&Config::default()).unwrap();
        assert_eq!((config.run.seed, config.search.method), (7, Method::Da2s));
        assert_eq!(
            toml::Value::try_from(config.target.edges).unwrap().to_string(),
            "[1, 2, 1, 3]"
        );
        assert!(
            Planned {
                setup: Setup {
                    settings: vec![("a.b".into(), "1".into())],
                    ..runs[0].setup.clone()
                },
                ..runs[0].clone()
            }
            .config(&Config::default())
            .is_err()
        );
    }

    #[test]
    fn methods_that_make_no_sense_with_a_drive_are_left_out_and_genotypes_come_last() {
        let asked = Asked {
            genotypes: vec!["darts-v2".to_owned()],
            random: Some(2),
            ..asked(&["darts", "random"], Some(1), &["search.drive=none,path"])
        };
        let plan = Plan::new(&asked, 5, None).unwrap();
        let names: Vec<String> = plan.runs().into_iter().map(|run| run.name).collect();
        assert_eq!(
            names,
            [
                "darts-search.drive=none-s5",
                "darts-search.drive=path-s5",
                "random-search.drive=none-s5",
                "published_darts-v2-s5",
                "random_genotype-s5",
                "random_genotype-s6",
            ]
        );
        let left_out = plan.left_out();
        assert!(left_out.len() == 1 && left_out[0].contains("random, search.drive=path is left out: it learns no"));
        assert_eq!(toml::from_str::<Plan>(&toml::to_string(&plan).unwrap()).unwrap(), plan);

        let config = plan.runs()[4].config(&Config::default()).unwrap();
        let text = |at: usize| plan.runs()[at].genotype(&config).unwrap();
        assert_eq!((config.run.seed, text(0)), (5, None));
        assert_eq!(text(3).unwrap(), PublishedGenotype::DartsV2.text());
        assert_ne!(text(4), text(5));
        let search_only = Asked {
            search_only: true,
            ..asked
        };
        assert!(Plan::new(&search_only, 5, None).unwrap_err().contains("--search-only"));
    }

    #[test]
    fn baselines_follow_the_first_setup_that_is_run() {
        let asked = Asked {
            baselines: vec![PlainNetwork::Resnet8, PlainNetwork::DsCnn],
            ..asked(&["random", "darts"], Some(2), &["search.drive=path,none"])
        };
        let plan = Plan::new(&asked, 5, None).unwrap();
        let baselines: Vec<(String, String)> = plan
            .runs()
            .into_iter()
            .filter_map(|run| match run.given {
                Some(Given::Baseline { searched, .. }) => Some((run.name, searched)),
                _ => None,
            })
            .collect();
        let expected = [
            ("resnet8-s5", "random-search.drive=none-s5"),
            ("resnet8-s6", "random-search.drive=none-s6"),
            ("ds-cnn-s5", "random-search.drive=none-s5"),
            ("ds-cnn-s6", "random-search.drive=none-s6"),
        ];
        assert_eq!(
            baselines,
            expected.map(|(name, searched)| (name.to_owned(), searched.to_owned()))
        );
        assert_eq!(toml::from_str::<Plan>(&toml::to_string(&plan).unwrap()).unwrap(), plan);
        let fewer = Asked {
            baselines: vec![PlainNetwork::DsCnn],
            ..Asked::default()
        };
        assert!(
            Plan::new(&fewer, 5, Some(&plan))
                .unwrap_err()
                .contains("it trains resnet8")
        );
        let others_first = Asked {
            methods: ["darts", "random"].map(str::to_owned).to_vec(),
            ..Asked::default()
        };
        assert!(
            Plan::new(&others_first, 5, Some(&plan))
                .unwrap_err()
                .contains("no longer the first of --methods")
        );
        let search_only = Asked {
            search_only: true,
            ..asked
        };
        assert!(Plan::new(&search_only, 5, None).unwrap_err().contains("--baselines"));
    }

    #[test]
    fn a_plan_is_written_and_read() {
        let plan = Plan::new(&asked(&["gdas"], Some(2), &["target.edges=1,2"]), 3, None).unwrap();
        assert_eq!(toml::from_str::<Plan>(&toml::to_string(&plan).unwrap()).unwrap(), plan);
    }

    #[test]
    fn a_plan_grows_and_does_not_shrink() {
        let stored = Plan::new(&asked(&["da2s", "darts"], Some(3), &[]), 1, None).unwrap();
        let grown = |asked: &Asked| Plan::new(asked, 1, Some(&stored));
        assert_eq!(grown(&Asked::default()).unwrap(), stored);
        let more = grown(&asked(&["gdas", "darts", "da2s"], Some(5), &[])).unwrap();
        assert_eq!(more.runs().len(), 15);
        for (asked, said) in [
            (asked(&["da2s"], None, &[]), "compares darts"),
            (asked(&[], Some(2), &[]), "3 seeds, but 2"),
            (asked(&[], None, &["target.edges=1,2"]), "varies other"),
            (
                Asked {
                    search_only: true,
                    ..Asked::default()
                },
                "retrained",
            ),
        ] {
            let problem = grown(&asked).unwrap_err();
            assert!(problem.contains(said), "{problem}");
        }
    }

    #[test]
    fn seeds_and_runs_have_a_limit() {
        let plan = |first_seed, seeds, vary: &[&str]| {
            let asked = asked(&["da2s"], Some(seeds), vary);
            Plan::new(&asked, first_seed, None).map(|plan| plan.runs().len())
        };
        assert_eq!(plan(LAST_SEED - 1, 2, &[]), Ok(2));
        for first in [LAST_SEED - 1, u64::MAX] {
            let problem = plan(first, 5, &[]).unwrap_err();
            assert!(problem.contains("the largest seed"), "{problem}");
        }
        let problem = plan(1, 60_000, &["a=1,2"]).unwrap_err();
        assert!(problem.contains("more than 100000 runs"), "{problem}");
        assert!(plan(1, u64::MAX / 2, &["a=1,2,3"]).is_err());
    }

    #[test]
    fn what_cannot_be_varied_is_refused() {
        for (vary, said) in [
            ("target.edges", "expected KEY=VALUE"),
            ("search.method=darts", "use --methods"),
            ("run.seed=1,2", "use --seeds"),
            ("a=1,,2", "empty"),
            ("a=1,1", "1 is given twice"),
            ("a=[1,2],1_2", "same directory"),
        ] {
            let problem = Plan::new(&asked(&["da2s"], None, &[vary]), 1, None).unwrap_err();
            assert!(problem.contains(said), "{vary}: {problem}");
        }
        let with_published = |vary: &str| {
            let asked = Asked {
                genotypes: vec!["darts-v2".into()],
                ..asked(&["da2s"], None, &[vary])
            };
            Plan::new(&asked, 1, None)
        };
        let problem = with_published("target.edges=1,2").unwrap_err();
        assert!(problem.contains("only the shared settings"), "{problem}");
        assert!(with_published("discretize.rule=strongest,perturbation").is_ok());
        assert!(Plan::new(&asked(&["da2s", "da2s"], None, &[]), 1, None).is_err());
    }
}
