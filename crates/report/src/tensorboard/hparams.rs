//! The configuration of a run as hyperparameters, and its results as the metrics to compare runs
//! by.
//!
//! Reference: tensorboard/plugins/hparams/summary_v2.py: three summaries without values, whose
//! metadata contain the data.

use std::collections::BTreeMap;

use toml::{Table, Value as Setting};

use super::message::{
    Experiment, Hparam, HparamInfo, HparamKind, Hparams, HparamsData, MetricInfo, MetricName, PluginData, SessionEnd,
    SessionStart, Summary, SummaryMetadata, SummaryValue,
};

/// The settings in `config` by their key, for example `search.epochs`. Lists become text.
pub(super) fn of_config(config: &Table) -> BTreeMap<String, Hparam> {
    let mut hparams = BTreeMap::new();
    add(&mut hparams, "", config);
    hparams
}

fn add(hparams: &mut BTreeMap<String, Hparam>, prefix: &str, table: &Table) {
    for (name, setting) in table {
        let key = format!("{prefix}{name}");
        let kind = match setting {
            Setting::Table(table) => {
                add(hparams, &format!("{key}."), table);
                continue;
            }
            Setting::Integer(number) => HparamKind::Number(*number as f64),
            Setting::Float(number) => HparamKind::Number(*number),
            Setting::Boolean(truth) => HparamKind::Truth(*truth),
            Setting::String(word) => HparamKind::Text(word.clone()),
            Setting::Array(_) | Setting::Datetime(_) => HparamKind::Text(setting.to_string()),
        };
        hparams.insert(key, Hparam { kind: Some(kind) });
    }
}

/// Tells TensorBoard which columns exist, and the values of this run.
pub(super) fn start(hparams: BTreeMap<String, Hparam>, metrics: &[String], start_time_s: f64) -> Summary {
    let kind = |hparam: &Hparam| match hparam.kind {
        Some(HparamKind::Text(_)) | None => 1,
        Some(HparamKind::Truth(_)) => 2,
        Some(HparamKind::Number(_)) => 3,
    };
    let experiment = Experiment {
        hparam_infos: hparams
            .iter()
            .map(|(name, hparam)| HparamInfo {
                name: name.clone(),
                kind: kind(hparam),
            })
            .collect(),
        metric_infos: metrics
            .iter()
            .map(|tag| MetricInfo {
                name: Some(MetricName { tag: tag.clone() }),
            })
            .collect(),
    };
    let start = SessionStart {
        hparams,
        start_time_secs: start_time_s,
    };
    Summary {
        value: vec![
            value("_hparams_/experiment", Hparams::Experiment(experiment)),
            value("_hparams_/session_start_info", Hparams::Start(start)),
        ],
    }
}

/// How the run ended.
pub(super) fn end(succeeded: bool, end_time_s: f64) -> Summary {
    let end = SessionEnd {
        status: if succeeded { 1 } else { 2 },
        end_time_secs: end_time_s,
    };
    Summary {
        value: vec![value("_hparams_/session_end_info", Hparams::End(end))],
    }
}

fn value(tag: &str, data: Hparams) -> SummaryValue {
    let data = HparamsData {
        version: 0,
        data: Some(data),
    };
    SummaryValue {
        tag: tag.to_owned(),
        metadata: Some(SummaryMetadata {
            plugin_data: Some(PluginData {
                plugin_name: "hparams".to_owned(),
                content: prost::Message::encode_to_vec(&data),
            }),
        }),
        value: None,
    }
}
