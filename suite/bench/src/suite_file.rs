//! The suite file: its shape, and reading one, and those that it extends, with an error that names file, line, column and the
//! nearest known key. Knows nothing of cells (see `matrix`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use adamv_datasets::DataConfig;
use adamv_engine::ProbesConfig;
use adamv_engine::config::{EvaluationConfig, TrainingConfig};
use adamv_models::config::{BACKBONES, ModelConfig};
use adamv_models::systems::SYSTEMS;
use adamv_store::Gates;
use serde::Deserialize;
use serde_yaml::Value;

use crate::exit::Failure;
use crate::explain::unknown;
use crate::locate::{self, Step, steps};
use crate::matrix::typed;
use crate::overrides::merge;
use crate::yaml;

/// A suite: a matrix of cells and what they share. Relative paths in `data` are relative to the current directory.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteFile {
    /// Another suite file, relative to this one, that this one is laid over: mappings key by key, lists and values whole. Name,
    /// description and task_version are never another's.
    #[serde(default, rename = "extends")]
    _extends: Option<PathBuf>,
    /// Name of the suite, part of every record; also of its folder in `runs/`.
    pub name: String,
    /// What it shows, the expected result, hardware, wall time and command.
    pub description: String,
    /// Raised by hand when the meaning of the suite's numbers changes.
    pub task_version: u32,
    pub systems: Vec<String>,
    pub backbones: Vec<String>,
    pub seeds: Vec<u64>,
    /// Only read for its errors, as are the next four: what counts is `raw`, which says what was written and what wasn't.
    #[serde(rename = "data")]
    _data: DataConfig,
    /// A part of the model's configuration, laid over the preset of the cell's backbone.
    #[serde(default, rename = "model")]
    _model: ModelConfig,
    #[serde(default, rename = "training")]
    _training: TrainingConfig,
    #[serde(default, rename = "evaluation")]
    _evaluation: EvaluationConfig,
    #[serde(default, rename = "probes")]
    _probes: ProbesConfig,
    /// How large a difference matters to `compare`, in percentage points.
    #[serde(default)]
    pub gates: Gates,
    /// Changes by dotted path that only the cells of one system get, by its name.
    #[serde(default)]
    pub by_system: BTreeMap<String, BTreeMap<String, Value>>,
    /// Named changes; without any there is one variant, `base`, that changes nothing.
    #[serde(default)]
    pub variants: Vec<Variant>,
}

/// A named set of changes by dotted path.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    pub name: String,
    /// Systems that have cells of it; all without any.
    #[serde(default)]
    pub systems: Vec<String>,
    #[serde(default)]
    pub set: BTreeMap<String, Value>,
}

/// A suite with the texts it came from, so that later errors can show the place.
#[derive(Debug)]
pub struct Suite {
    pub file: SuiteFile,
    /// The same document as plain values: keys that were left out are absent.
    pub raw: Value,
    /// The suite's own file, then what it extends.
    sources: Vec<Source>,
}

/// One file.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    text: String,
}

impl Suite {
    /// Reads and checks everything about a suite that needs no cell.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = yaml::read(path)?;
        Self::from_text(path, text)
    }

    fn from_text(path: &Path, text: String) -> Result<Self, Failure> {
        let own: Value = yaml::parse(path, &text)?;
        let mut sources = vec![Source { path: path.into(), text }];
        let raw = extended(&own, &mut sources)?;
        // A file that stands alone is read as it is: then even a key's place is the reader's own.
        let file: SuiteFile = match &sources[..] {
            [alone] => yaml::parse(&alone.path, &alone.text)?,
            _ => {
                for key in ["name", "description", "task_version"] {
                    if own.get(key).is_none() {
                        let what = format!("the key `{key}` is missing; a suite that extends another one has its own");
                        return Err(at(&sources, &steps("extends"), &what));
                    }
                }
                typed(&raw).map_err(|(path, what)| at(&sources, &steps(&path), &what))?
            }
        };
        let mut suite = Self { file, raw, sources };
        if suite.file.variants.is_empty() {
            suite.file.variants.push(Variant { name: "base".into(), systems: Vec::new(), set: BTreeMap::new() });
        }
        suite.check()?;
        Ok(suite)
    }

    fn check(&self) -> Result<(), Failure> {
        let plain = |name: &str| {
            !name.is_empty()
                && name.len() <= 64
                && !name.starts_with(['.', '-'])
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        const PLAIN: &str = "a name of at most 64 letters, digits, `-`, `_` and `.`, for it is also a folder's name";
        if !plain(&self.file.name) {
            return Err(self.at(&steps("name"), &format!("name `{}` is not possible; give {PLAIN}", self.file.name)));
        }
        self.known("systems", "system", &self.file.systems, &SYSTEMS.map(|entry| entry.name))?;
        self.known("backbones", "backbone", &self.file.backbones, &BACKBONES)?;
        self.distinct("seeds", &self.file.seeds)?;
        if let Some((metric, points)) = self.file.gates.wrong() {
            let what = format!("a tolerance of {points} is not possible; give percentage points from 0 to 100");
            return Err(self.at(&steps(&format!("gates.{metric}")), &what));
        }
        let systems: Vec<&str> = self.file.systems.iter().map(String::as_str).collect();
        if let Some(name) = self.file.by_system.keys().find(|name| !systems.contains(&name.as_str())) {
            let place = [Step::Key("by_system".into()), Step::Key(name.clone())];
            return Err(self.at(&place, &unknown("system of this suite", name, &systems)));
        }
        let names: Vec<&String> = self.file.variants.iter().map(|variant| &variant.name).collect();
        for (index, name) in names.iter().enumerate() {
            let place = steps(&format!("variants[{index}].name"));
            if !plain(name) {
                return Err(self.at(&place, &format!("variant name `{name}` is not possible; give {PLAIN}")));
            }
            if names[..index].contains(name) {
                return Err(
                    self.at(&place, &format!("the variant `{name}` is here twice; rename or remove one of them"))
                );
            }
            let chosen = &self.file.variants[index].systems;
            if let Some(wrong) = chosen.iter().position(|system| !systems.contains(&system.as_str())) {
                let place = steps(&format!("variants[{index}].systems[{wrong}]"));
                return Err(self.at(&place, &unknown("system of this suite", &chosen[wrong], &systems)));
            }
        }
        Ok(())
    }

    fn known(&self, list: &str, what: &str, names: &[String], known: &[&str]) -> Result<(), Failure> {
        for (index, name) in names.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(self.at(&steps(&format!("{list}[{index}]")), &unknown(what, name, known)));
            }
        }
        self.distinct(list, names)
    }

    /// One element or more, none of them twice.
    fn distinct<T: PartialEq + std::fmt::Display>(&self, list: &str, values: &[T]) -> Result<(), Failure> {
        if values.is_empty() {
            return Err(self.at(&steps(list), &format!("`{list}` is empty; give one or more")));
        }
        for (index, value) in values.iter().enumerate() {
            if values[..index].contains(value) {
                let place = steps(&format!("{list}[{index}]"));
                return Err(self.at(&place, &format!("`{value}` is in `{list}` twice; remove one of them")));
            }
        }
        Ok(())
    }

    /// A usage error that shows the path's place in the file that has it, or of the nearest part of it that is there.
    pub fn at(&self, path: &[Step], what: &str) -> Failure {
        at(&self.sources, path, what)
    }
}

fn at(sources: &[Source], path: &[Step], what: &str) -> Failure {
    let found = (1..=path.len()).rev().find_map(|length| {
        sources.iter().find_map(|source| Some((source, locate::position(&source.text, &path[..length])?)))
    });
    let (source, place) = found.map_or((&sources[0], None), |(source, place)| (source, Some(place)));
    Failure::usage(locate::message(&source.path, &source.text, place, what))
}

/// `own`, the document of the last of `sources`, laid over what it extends; the files that were read join `sources`.
fn extended(own: &Value, sources: &mut Vec<Source>) -> Result<Value, Failure> {
    let Some(other) = own.get("extends").filter(|other| !other.is_null()) else { return Ok(own.clone()) };
    let extending = &sources[sources.len() - 1..];
    let Some(other) = other.as_str() else {
        return Err(at(extending, &steps("extends"), "`extends` is not the name of a suite file"));
    };
    let path = extending[0].path.parent().unwrap_or(Path::new("")).join(other);
    let same = |source: &Source| match (source.path.canonicalize(), path.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    };
    if sources.iter().any(same) {
        return Err(at(
            extending,
            &steps("extends"),
            &format!("`{other}` extends this file in turn; leave one of them out"),
        ));
    }
    if !path.is_file() {
        let what =
            format!("there is no suite `{}` to extend; its name is relative to this file's folder", path.display());
        return Err(at(extending, &steps("extends"), &what));
    }
    let text = yaml::read(&path)?;
    let document: Value = yaml::parse(&path, &text)?;
    sources.push(Source { path, text });
    let mut whole = extended(&document, sources)?;
    // What the other one changes for systems that this one leaves out changes nothing here.
    if let (Some(systems), Some(Value::Mapping(by_system))) =
        (own.get("systems").and_then(Value::as_sequence).cloned(), whole.get_mut("by_system"))
    {
        by_system.retain(|system, _| systems.contains(system));
    }
    merge(&mut whole, own);
    Ok(whole)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub const SMALL: &str = "\
name: small
description: a test
task_version: 1
systems: [stl, mtl-vit]
backbones: [vit-micro]
seeds: [0, 1]
data:
  scenes: {images: 32, size: 64}
training:
  joint: {steps: 4, warmup: 1}
  classification: {steps: 4, warmup: 1}
  detection: {steps: 4, warmup: 1}
variants:
  - name: base
  - {name: cascade, set: {model.detector.stages: 3}}
";

    pub fn suite(text: &str) -> Result<Suite, String> {
        Suite::from_text(Path::new("s.yaml"), text.into()).map_err(|e| e.message)
    }

    #[test]
    fn a_good_suite_is_read() {
        let suite = suite(SMALL).unwrap();
        assert_eq!(suite.file.systems, ["stl", "mtl-vit"]);
        assert_eq!(suite.file.variants.len(), 2);
    }

    /// Writes `own` beside a file `base.yaml` that it extends, and reads it.
    fn extending(own: &str) -> Result<Suite, String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("base.yaml"), SMALL).unwrap();
        let path = dir.path().join("own.yaml");
        std::fs::write(&path, own).unwrap();
        Suite::read(&path).map_err(|e| e.message)
    }

    const OWN: &str = "\
extends: base.yaml
name: own
description: another test
task_version: 3
seeds: [4]
training:
  joint: {steps: 9}
variants:
  - {name: wide, systems: [mtl-vit], set: {model.backbone.width: 120}}
";

    #[test]
    fn a_suite_is_laid_over_the_one_it_extends() {
        let suite = extending(OWN).unwrap();
        let file = &suite.file;
        assert_eq!((file.name.as_str(), file.task_version, &file.seeds[..]), ("own", 3, &[4][..]));
        assert_eq!(file.systems, ["stl", "mtl-vit"]);
        let joint = &suite.raw["training"]["joint"];
        assert_eq!((joint["steps"].as_u64(), joint["warmup"].as_u64()), (Some(9), Some(1)));
        assert_eq!(file.variants.len(), 1, "lists are replaced whole");
        // Changes for a system that was left out are left out.
        let base = SMALL.to_owned() + "by_system: {mtl-vit: {training.joint.steps: 2}}\n";
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("base.yaml"), base).unwrap();
        let path = dir.path().join("own.yaml");
        std::fs::write(&path, OWN.replace("[mtl-vit]", "[stl]") + "systems: [stl]\n").unwrap();
        assert!(Suite::read(&path).unwrap().file.by_system.is_empty());
    }

    #[test]
    fn mistakes_in_extending_are_shown_where_they_were_made() {
        for (from, to, wanted) in [
            ("base.yaml", "bose.yaml", "own.yaml:1:1: there is no suite `"),
            ("base.yaml", "own.yaml", "own.yaml:1:1: `own.yaml` extends this file in turn"),
            ("base.yaml", "[base.yaml]", "own.yaml:1:1: `extends` is not the name"),
            ("name: own\n", "", "own.yaml:1:1: the key `name` is missing"),
            ("{steps: 9}", "{steps: x}", "own.yaml:7:11: "),
            ("{steps: 9}", "{stesp: 9}", "unknown key `stesp`; the nearest known key is `steps`"),
            ("seeds: [4]", "systems: [stl]", "own.yaml:9:28: unknown system of this suite `mtl-vit`"),
        ] {
            assert!(OWN.contains(from), "{from}");
            let error = extending(&OWN.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(wanted), "{to}:\n{error}");
        }
        // A value that the other file wrote is shown there.
        let error = extending(OWN).unwrap().at(&steps("training.joint.warmup"), "wrong").message;
        assert!(error.contains("base.yaml:10:21: wrong"), "{error}");
    }

    #[test]
    fn every_mistake_has_its_place() {
        for (from, to, wanted) in [
            ("seeds:", "seed:", "s.yaml:6:1: unknown key `seed`; the nearest known key is `seeds`"),
            ("joint: {steps", "joint: {stesp", "s.yaml:10:11: unknown key `stesp`; the nearest known key is `steps`"),
            ("steps: 4, warmup", "steps: -4, warmup", "s.yaml:10:18: `-4` is not possible here; give a whole number"),
            (
                "[stl, mtl-vit]",
                "[stl, mtl-vut]",
                "s.yaml:4:16: unknown system `mtl-vut`; the nearest known system is `mtl-vit`",
            ),
            (
                "[vit-micro]",
                "[vit-mikro]",
                "s.yaml:5:13: unknown backbone `vit-mikro`; the nearest known backbone is `vit-micro`",
            ),
            ("seeds: [0, 1]", "seeds: [0, 0]", "s.yaml:6:12: `0` is in `seeds` twice"),
            ("seeds: [0, 1]", "seeds: []", "s.yaml:6:1: `seeds` is empty"),
            ("seeds: [0, 1]", "seeds: many", "s.yaml:6:8: the text \"many\" is not possible here; give a list"),
            ("name: cascade", "name: base", "the variant `base` is here twice"),
            (
                "variants:",
                "by_system: {taps: {training.joint.steps: 3}}\nvariants:",
                "s.yaml:13:13: unknown system of this suite `taps`",
            ),
            ("seeds:", "gates: {AP: -1}\nseeds:", "s.yaml:6:9: a tolerance of -1 is not possible"),
            ("seeds:", "gates: {APmsk: 1}\nseeds:", "unknown key `APmsk`; the nearest known key is `APmask`"),
            ("name: small", "name: ../up", "s.yaml:1:1: name `../up` is not possible"),
            ("description: a test\n", "", "the key `description` is missing"),
            (
                "  scenes: {images: 32, size: 64}",
                "  scenes: {images: 32, size: [64]}",
                "s.yaml:8:30: a list is not possible here",
            ),
        ] {
            assert!(SMALL.contains(from), "{from}");
            let error = suite(&SMALL.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(wanted), "{to}:\n{error}");
        }
    }
}
