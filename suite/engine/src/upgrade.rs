//! Brings the configuration in an older record up to date, so that its cell can still be run on images: keys that came later
//! get the value that says what the cell was, keys that moved are moved.

use serde_json::{Value, json};

/// Changes a configuration of any earlier version into one of this; one of this version is left as it is.
pub fn upgrade(config: &mut Value) {
    // Task version 1 had windows of the backbone, the same for both tasks.
    if let Some(windows) = part(config, "/model/backbone").and_then(|backbone| backbone.remove("windows")) {
        for task in ["classification", "detection"] {
            add(config, &format!("/model/inputs/{task}"), "windows", windows.clone());
        }
    }
    // Its detector had no norms, and adaptive selection judged K from the first steps on.
    add(config, "/model/detector", "norm", json!("none"));
    add(config, "/training/aes", "start_after", json!(0));
}

/// The mapping at a JSON pointer; none where there is none or it is null.
fn part<'a>(config: &'a mut Value, pointer: &str) -> Option<&'a mut serde_json::Map<String, Value>> {
    config.pointer_mut(pointer)?.as_object_mut()
}

/// Adds a key where its mapping is there and lacks it.
fn add(config: &mut Value, pointer: &str, key: &str, value: Value) {
    if let Some(part) = part(config, pointer) {
        part.entry(key).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use adamv_models::config::NormKind;

    use super::*;
    use crate::config::CellConfig;

    /// `tests/golden/configs_v1.json` has the configurations of the first seed of `baselines/stored/mini` of task version 1
    /// (`adamv-bench baseline show mini --json`) and is never written again.
    #[test]
    fn configurations_of_task_version_1_are_read() {
        let old: Vec<Value> = serde_json::from_str(include_str!("../tests/golden/configs_v1.json")).unwrap();
        assert_eq!(old.len(), 6);
        for mut config in old {
            let system = config["system"].clone();
            assert!(serde_json::from_value::<CellConfig>(config.clone()).is_err(), "{system}: nothing to upgrade");
            upgrade(&mut config);
            let config: CellConfig = serde_json::from_value(config).unwrap();
            config.validate().unwrap();
            assert_eq!(config.model.detector.norm, NormKind::None);
            assert_eq!(config.data.classification.eval_crop, Some(0.875));
            assert!(config.training.aes.is_none_or(|aes| aes.first_step(40) == 0));
        }
    }

    #[test]
    fn what_is_missing_gets_what_it_was_and_what_is_there_stays() {
        let mut old = json!({
            "model": {
                "backbone": { "depth": 4, "windows": 2 },
                "inputs": { "classification": { "patch_size": 16 }, "detection": { "patch_size": 8 } },
                "detector": { "stages": 1 },
            },
            "training": { "aes": { "every": 50 } },
        });
        upgrade(&mut old);
        let new = json!({
            "model": {
                "backbone": { "depth": 4 },
                "inputs": {
                    "classification": { "patch_size": 16, "windows": 2 },
                    "detection": { "patch_size": 8, "windows": 2 },
                },
                "detector": { "stages": 1, "norm": "none" },
            },
            "training": { "aes": { "every": 50, "start_after": 0 } },
        });
        assert_eq!(old, new);
        let mut other = new.clone();
        other["model"]["detector"]["norm"] = json!("layer");
        other["training"]["aes"] = Value::Null;
        let before = other.clone();
        upgrade(&mut other);
        assert_eq!(other, before);
    }
}
