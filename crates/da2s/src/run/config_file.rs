//! `config.toml`: the settings of a run, below remarks on how they were chosen.
//!
//! Contract: a stage that changes a setting keeps the remarks; they are comments, so every reader
//! of TOML ignores them.

use da2s_records::files::{CONFIG, MOST_WHOLE_BYTES};
use da2s_records::one_line;

use super::{Error, RunDirectory};
use crate::config::{Config, Layer, resolve_stored};

/// What a line of a remark begins with.
const REMARK: &str = "# ";

impl RunDirectory {
    /// The configuration of the run.
    ///
    /// # Errors
    /// If `config.toml` cannot be read; [`Error::DamagedConfig`] if it is not a configuration.
    pub fn config(&self) -> Result<Config, Error> {
        resolve_stored(&[self.config_layer()?]).map_err(Error::DamagedConfig)
    }

    /// The configuration as a layer.
    ///
    /// # Errors
    /// Like [`Self::config`].
    pub(crate) fn config_layer(&self) -> Result<Layer, Error> {
        let text = self.text(CONFIG, MOST_WHOLE_BYTES)?;
        let text = text.ok_or_else(|| Error::NotARun {
            path: self.path().to_owned(),
        })?;
        Layer::of_run(&self.file(CONFIG), &text).map_err(Error::DamagedConfig)
    }

    /// Writes the resolved configuration.
    ///
    /// # Errors
    /// An I/O error.
    pub fn write_config(&self, config: &Config) -> Result<(), Error> {
        self.write_config_with(&[], config)
    }

    /// Writes the resolved configuration with further remarks.
    ///
    /// # Errors
    /// An I/O error.
    pub(super) fn write_config_with(&self, remarks: &[String], config: &Config) -> Result<(), Error> {
        let stored = self.text(CONFIG, MOST_WHOLE_BYTES)?.unwrap_or_default();
        let mut text = String::new();
        let kept = stored.lines().take_while(|line| line.starts_with(REMARK));
        let more = remarks.iter().map(|remark| format!("{REMARK}{}", one_line(remark)));
        for line in kept.map(str::to_owned).chain(more) {
            text += &line;
            text.push('\n');
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text += &config.to_toml()?;
        self.write(CONFIG, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_an_earlier_version_keeps_the_width_of_its_network() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = RunDirectory::create(&temporary.path().join("run")).unwrap();
        let config = Config::default();
        directory.write_config(&config).unwrap();
        assert_eq!(directory.config().unwrap(), config);
        let text = config.to_toml().unwrap().replace("widen_up_to = 2.0\n", "");
        directory.write(CONFIG, text.as_bytes()).unwrap();
        assert_eq!(directory.config().unwrap().network.shape.widen_up_to, 1.0);
    }

    #[test]
    fn remarks_stay_when_a_setting_changes() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = RunDirectory::create(&temporary.path().join("run")).unwrap();
        let mut config = Config::default();
        let text = || directory.text(CONFIG, MOST_WHOLE_BYTES).unwrap().unwrap();
        directory.write_config(&config).unwrap();
        assert_eq!(text(), config.to_toml().unwrap());
        directory
            .write_config_with(&["chosen for\n30 min".to_owned()], &config)
            .unwrap();
        config.search.epochs = 12;
        directory.write_config(&config).unwrap();
        directory.write_config_with(&["more".to_owned()], &config).unwrap();
        assert!(text().starts_with("# chosen for"), "{}", text());
        assert!(text().contains("\n# more\n\n["), "{}", text());
        assert_eq!(text().matches("chosen").count(), 1);
        assert_eq!(directory.config().unwrap(), config);
    }
}
