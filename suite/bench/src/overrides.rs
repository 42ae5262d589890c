//! Changes of single values by their dotted path: `--set training.joint.steps=10` and the `set` of a variant. Works on
//! plain YAML values; knows no configuration type.

use serde_yaml::{Mapping, Value};

use crate::exit::Failure;
use crate::nearest::nearest;
use crate::yaml;

/// The parts of a cell's configuration that may be changed by path.
pub const PARTS: [&str; 5] = ["data", "model", "training", "evaluation", "probes"];

/// One change: a dotted path and its new value.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    pub path: String,
    pub value: Value,
}

impl Override {
    /// Reads `PATH=VALUE`, VALUE as YAML.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (path, value) = text
            .split_once('=')
            .filter(|(path, _)| !path.trim().is_empty())
            .ok_or_else(|| format!("`{text}` is not PATH=VALUE; write for example training.joint.steps=10"))?;
        let value = yaml::value(value).map_err(|e| format!("the value of `{path}` is not YAML: {e}"))?;
        Ok(Self { path: path.trim().into(), value })
    }

    /// Reads every `--set` of a command line.
    pub fn parse_all(sets: &[String]) -> Result<Vec<Self>, Failure> {
        sets.iter().map(|set| Self::parse(set).map_err(|e| Failure::usage(format!("--set {set}: {e}")))).collect()
    }
}

/// Lays `over` on `base`: mappings key by key, anything else replaces.
pub fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Mapping(base), Value::Mapping(over)) => {
            for (key, value) in over {
                match base.get_mut(key) {
                    Some(old) => merge(old, value),
                    None => {
                        base.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (base, over) => *base = over.clone(),
    }
}

/// Sets one path in a configuration that has every key; the error names the nearest known path.
pub fn apply(config: &mut Value, change: &Override) -> Result<(), String> {
    let path = &change.path;
    let parts: Vec<&str> = path.split('.').collect();
    if !PARTS.contains(&parts[0]) {
        return Err(unknown_path(config, path));
    }
    let mut at = &mut *config;
    for (depth, part) in parts.iter().enumerate() {
        let parent = parts[..depth].join(".");
        if at.is_null() {
            // An optional part that is not there yet, such as data.coco; the typed reading afterwards knows its keys.
            *at = Value::Mapping(Mapping::new());
        }
        let last = depth + 1 == parts.len();
        let fresh = matches!(at, Value::Mapping(map) if map.is_empty());
        let Value::Mapping(map) = at else {
            return Err(format!("`{path}`: `{parent}` is a single value and has no `{part}`; set `{parent}` itself"));
        };
        if !fresh && !map.contains_key(*part) && !optional_parent(&parts[..depth]) {
            return Err(unknown_path(config, path));
        }
        let slot = map.entry(Value::String((*part).into())).or_insert(Value::Null);
        if last {
            merge(slot, &change.value);
            return Ok(());
        }
        at = slot;
    }
    Ok(())
}

/// A part that was null in the base and that an earlier change has begun to fill has only the keys of that change.
fn optional_parent(parts: &[&str]) -> bool {
    matches!(parts, ["data", _] | ["data", _, "randaugment"] | ["model", "backbone", "moe"] | ["training", "aes"])
}

fn unknown_path(config: &Value, path: &str) -> String {
    let known = paths(config);
    let near = match nearest(path, known.iter().map(String::as_str)) {
        Some(near) => format!("the nearest known path is `{near}`"),
        None => format!("paths begin with {}", PARTS.map(|part| format!("{part}.")).join(", ")),
    };
    let matrix = ["system", "backbone", "variant", "seed", "systems", "backbones", "variants", "seeds"];
    let only = if matrix.contains(&path) { "; choose cells with --only, or edit the suite" } else { "" };
    format!("unknown path `{path}`; {near}{only}")
}

/// Every dotted path below the four parts, branches included.
fn paths(config: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, paths: &mut Vec<String>) {
        let Value::Mapping(map) = value else { return };
        for (key, value) in map {
            if let Some(key) = key.as_str() {
                let path = if at.is_empty() { key.to_string() } else { format!("{at}.{key}") };
                walk(value, &path, paths);
                paths.push(path);
            }
        }
    }
    let mut all = Vec::new();
    walk(config, "", &mut all);
    all.retain(|path| PARTS.contains(&path.split('.').next().unwrap_or_default()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Value {
        serde_yaml::from_str("{training: {joint: {steps: 5, batch: {a: 1, b: 2}}}, data: {coco: null}, name: x}")
            .unwrap()
    }

    fn set(config: &mut Value, text: &str) -> Result<(), String> {
        apply(config, &Override::parse(text)?)
    }

    #[test]
    fn sets_values_mappings_and_absent_parts() {
        let mut config = base();
        set(&mut config, "training.joint.steps=7").unwrap();
        set(&mut config, "training.joint.batch={a: 3}").unwrap();
        set(&mut config, "data.coco.images=x/y").unwrap();
        set(&mut config, "data.coco.other=z").unwrap();
        let wanted: Value = serde_yaml::from_str(
            "{training: {joint: {steps: 7, batch: {a: 3, b: 2}}}, data: {coco: {images: x/y, other: z}}, name: x}",
        )
        .unwrap();
        assert_eq!(config, wanted);
    }

    #[test]
    fn unknown_paths_name_the_nearest() {
        for (text, wanted) in [
            ("training.joint.stepss=7", "nearest known path is `training.joint.steps`"),
            ("trainin.joint.steps=7", "nearest known path is `training.joint.steps`"),
            ("training.joint.steps.x=7", "set `training.joint.steps` itself"),
            ("name=y", "paths begin with data., model."),
            ("seed=y", "choose cells with --only"),
            ("nothing", "is not PATH=VALUE"),
            ("training.joint.steps=[", "is not YAML"),
        ] {
            let error = set(&mut base(), text).unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
