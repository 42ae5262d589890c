//! From a suite to its cells: system x backbone x variant x seed, each with its whole configuration resolved.
//!
//! Layers, the later over the earlier: the defaults on the configuration's fields (for the model: the backbone's preset with
//! what the system has of its own), the suite file, its `by_system`, the variant's `set`, `--set`.

use std::collections::BTreeMap;
use std::fmt::Display;

use adamv_engine::CellConfig;
use adamv_engine::ProbesConfig;
use adamv_engine::config::EvaluationConfig;
use adamv_models::systems::preset;
use serde::Serialize;
use serde_yaml::Value;

use crate::exit::Failure;
use crate::explain::explain;
use crate::locate::{Step, steps};
use crate::overrides::{Override, PARTS, apply, merge};
use crate::suite_file::{Suite, Variant};

/// The cells of a suite that `only` chooses, in the order in which they run, resolved and valid.
pub fn cells(suite: &Suite, sets: &[Override], only: &Only) -> Result<Vec<CellConfig>, Failure> {
    only.choose(places(suite))?.iter().map(|place| resolve(suite, sets, place)).collect()
}

/// A cell's place in the matrix.
#[derive(Clone, Debug)]
struct Place<'a> {
    system: &'a str,
    backbone: &'a str,
    /// Position in the suite's list, and the variant.
    variant: (usize, &'a Variant),
    seed: u64,
}

/// Systems side by side: a run that is stopped half-way has whole groups to compare.
fn places(suite: &Suite) -> Vec<Place<'_>> {
    let file = &suite.file;
    let mut places = Vec::new();
    for backbone in &file.backbones {
        for variant in file.variants.iter().enumerate() {
            for &seed in &file.seeds {
                let has_it = |system: &&String| variant.1.systems.is_empty() || variant.1.systems.contains(system);
                let systems = file.systems.iter().filter(has_it);
                places.extend(systems.map(|system| Place { system, backbone, variant, seed }));
            }
        }
    }
    places
}

/// The configuration of one cell.
fn resolve(suite: &Suite, sets: &[Override], place: &Place) -> Result<CellConfig, Failure> {
    let Place { system, backbone, variant: (index, variant), seed } = *place;
    let own = suite.file.by_system.get(system);
    let blame = Blame { suite, sets, system, own, index, variant };
    let model = preset(system, backbone).map_err(|e| Failure::usage(e.to_string()))?;
    let training = CellConfig::default_training(system)?;
    let mut config = plain(&serde_json::json!({
        "suite": suite.file.name,
        "task_version": suite.file.task_version,
        "system": system,
        "backbone": backbone,
        "variant": variant.name,
        "seed": seed,
    }))?;
    for (part, defaults) in PARTS.iter().zip([
        plain(&adamv_datasets::DataConfig::default())?,
        plain(&model)?,
        plain(&training)?,
        plain(&EvaluationConfig::default())?,
        plain(&ProbesConfig::default())?,
    ]) {
        config[*part] = defaults;
        if let Some(written) = suite.raw.get(part).filter(|written| !written.is_null()) {
            merge(&mut config[*part], written);
        }
    }
    // An optional part that the suite wrote in part, such as `scenes: {images: 9}`, gets its other keys: paths can name them.
    let data: adamv_datasets::DataConfig =
        typed(&config["data"]).map_err(|(path, what)| blame.failure(&format!("data.{path}"), &what))?;
    config["data"] = plain(&data)?;

    for (path, value) in own.into_iter().flatten() {
        apply(&mut config, &Override { path: path.clone(), value: value.clone() })
            .map_err(|what| suite.at(&blame.in_system(path), &what))?;
    }
    for (path, value) in &variant.set {
        apply(&mut config, &Override { path: path.clone(), value: value.clone() })
            .map_err(|what| suite.at(&blame.in_variant(path), &what))?;
    }
    for set in sets {
        apply(&mut config, set).map_err(|what| Failure::usage(format!("--set {what}")))?;
    }
    let cell: CellConfig = typed(&config).map_err(|(path, what)| blame.failure(&path, &what))?;
    cell.validate().map_err(|error| {
        let message = error.to_string();
        // These messages begin with the key: `training.joint.steps: 0 is not possible; ...`, `data.prefetch is 0: ...`.
        let key: String = message.chars().take_while(|c| c.is_ascii_alphanumeric() || "._".contains(*c)).collect();
        blame.failure(&key, &message)
    })?;
    Ok(cell)
}

/// Who wrote a value: the command line, a variant, the changes of a system, or the file.
struct Blame<'a> {
    suite: &'a Suite,
    sets: &'a [Override],
    system: &'a str,
    own: Option<&'a BTreeMap<String, Value>>,
    index: usize,
    variant: &'a Variant,
}

impl Blame<'_> {
    fn in_system(&self, path: &str) -> Vec<Step> {
        ["by_system", self.system, path].map(|key| Step::Key(key.into())).into()
    }

    fn in_variant(&self, path: &str) -> Vec<Step> {
        let mut place = steps(&format!("variants[{}].set", self.index));
        place.push(Step::Key(path.into()));
        place
    }

    /// The message `what` about the value at `key`, said where the value was given.
    fn failure(&self, key: &str, what: &str) -> Failure {
        let what = if what.starts_with(key) { what.to_string() } else { format!("{key}: {what}") };
        let about = |path: &str| {
            let longer =
                |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            longer(key, path) || longer(path, key)
        };
        if let Some(set) = self.sets.iter().rev().find(|set| about(&set.path)) {
            return Failure::usage(format!("--set {}: {what}", set.path));
        }
        if let Some(path) = self.variant.set.keys().find(|path| about(path)) {
            return self.suite.at(&self.in_variant(path), &what);
        }
        if let Some(path) = self.own.and_then(|own| own.keys().find(|path| about(path))) {
            return self.suite.at(&self.in_system(path), &what);
        }
        self.suite.at(&steps(key), &what)
    }
}

/// A typed value as plain YAML values.
pub fn plain(value: &impl Serialize) -> Result<Value, Failure> {
    serde_yaml::to_value(value)
        .map_err(|e| Failure::new(crate::exit::OTHER, format!("a configuration can't be written as YAML: {e}")))
}

/// A plain value as a typed one; the error is the dotted path and what is wrong. It goes through text because only
/// the reader of text tells the path.
pub fn typed<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, (String, String)> {
    let text = serde_yaml::to_string(value).map_err(|e| (String::new(), e.to_string()))?;
    serde_yaml::from_str(&text).map_err(|e| {
        let explained = explain(&e);
        (explained.path, explained.what)
    })
}

/// A choice of cells: `--only system=stl,seed=0`. Values of one key widen the choice, keys narrow it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Only(Vec<(String, String)>);

const KEYS: [&str; 4] = ["system", "backbone", "variant", "seed"];

impl Only {
    pub fn parse(filters: &[String]) -> Result<Self, Failure> {
        let pairs = filters.iter().map(|filter| match filter.split_once('=') {
            Some((key, value)) if KEYS.contains(&key.trim()) => Ok((key.trim().to_string(), value.trim().to_string())),
            Some((key, _)) => {
                Err(Failure::usage(format!("--only {filter}: {}", crate::explain::unknown("key", key, &KEYS))))
            }
            None => Err(Failure::usage(format!("--only {filter}: is not KEY=VALUE; keys are {}", KEYS.join(", ")))),
        });
        pairs.collect::<Result<_, _>>().map(Self)
    }

    /// The chosen places; a filter that none has is an error.
    fn choose<'a>(&self, cells: Vec<Place<'a>>) -> Result<Vec<Place<'a>>, Failure> {
        for (key, value) in &self.0 {
            let mut there: Vec<String> = Vec::new();
            for cell in &cells {
                let has = field(cell, key);
                if !there.contains(&has) {
                    there.push(has);
                }
            }
            if !there.contains(value) {
                return Err(Failure::usage(format!(
                    "--only {key}={value}: no cell of the suite has it; its values of {key} are: {}",
                    there.join(", ")
                )));
            }
        }
        let chosen = |cell: &Place| {
            KEYS.iter().all(|key| {
                let mut wanted = self.0.iter().filter(|(k, _)| k == key).peekable();
                wanted.peek().is_none() || wanted.any(|(_, value)| *value == field(cell, key))
            })
        };
        Ok(cells.into_iter().filter(chosen).collect())
    }
}

fn field(place: &Place, key: &str) -> String {
    let value: &dyn Display = match key {
        "system" => &place.system,
        "backbone" => &place.backbone,
        "variant" => &place.variant.1.name,
        _ => &place.seed,
    };
    value.to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::suite_file::tests::{SMALL, suite};

    fn resolved(text: &str, sets: &[&str]) -> Result<Vec<CellConfig>, String> {
        let sets: Vec<Override> = sets.iter().map(|set| Override::parse(set).unwrap()).collect();
        cells(&suite(text).unwrap(), &sets, &Only::default()).map_err(|e| e.message)
    }

    #[test]
    fn layers_lie_in_order() {
        let cells = resolved(SMALL, &["training.joint.steps=9", "data.scenes.seed=5"]).unwrap();
        assert_eq!(cells.len(), 8);
        let names: Vec<_> = cells.iter().map(|c| format!("{} {} {}", c.variant, c.seed, c.system)).collect();
        assert_eq!(names[..4], ["base 0 stl", "base 0 mtl-vit", "base 1 stl", "base 1 mtl-vit"]);
        assert_eq!(cells[0].training.joint.steps, 9); // --set
        assert_eq!(cells[0].training.detection.steps, 4); // suite
        assert_eq!(cells[0].training.detection.weight_decay, 1e-4); // default of this schedule, not of any
        assert_eq!((cells[0].model.detector.stages, cells[4].model.detector.stages), (1, 3)); // preset, variant
        let scenes = cells[0].data.scenes.as_ref().unwrap();
        assert_eq!((scenes.images, scenes.seed), (32, 5));
    }

    #[test]
    fn a_variant_may_be_for_some_systems_only() {
        let text = SMALL.replace("{name: cascade,", "{name: cascade, systems: [mtl-vit],");
        let cells = resolved(&text, &[]).unwrap();
        let names: Vec<_> = cells.iter().map(|c| format!("{} {} {}", c.variant, c.seed, c.system)).collect();
        let wanted =
            ["base 0 stl", "base 0 mtl-vit", "base 1 stl", "base 1 mtl-vit", "cascade 0 mtl-vit", "cascade 1 mtl-vit"];
        assert_eq!(names, wanted);
    }

    #[test]
    fn a_system_has_its_own_experts_and_changes() {
        let text = SMALL.replace("[stl, mtl-vit]", "[stl, mtl-moe, adamv-moe]")
            + "by_system:\n  adamv-moe: {training.aes.every: 2, model.backbone.moe.k: 1}\n";
        let cells = resolved(&text, &["model.backbone.width=64", "model.backbone.heads=2"]).unwrap();
        let experts = |cell: &CellConfig| cell.model.backbone.moe.as_ref().map(|moe| (moe.experts, moe.k));
        let aes = |cell: &CellConfig| cell.training.aes.as_ref().map(|aes| aes.every);
        let found: Vec<_> = cells[..3].iter().map(|cell| (cell.system.as_str(), experts(cell), aes(cell))).collect();
        let wanted = [("stl", None, None), ("mtl-moe", Some((16, 4)), None), ("adamv-moe", Some((8, 1)), Some(2))];
        assert_eq!(found, wanted);
        assert!(cells[..3].iter().all(|cell| cell.model.backbone.width == 64));
        // What a dense system can't have is an error, unless only others were chosen.
        let suite = suite(&text).unwrap();
        let sets = [
            Override::parse("training.aes.every=3").unwrap(),
            Override::parse("training.aes.mode=released").unwrap(),
            Override::parse("training.aes.patience=3").unwrap(),
        ];
        let error = super::cells(&suite, &sets, &Only::default()).unwrap_err().message;
        assert!(error.contains("--set training.aes") && error.contains("null: stl has no experts"), "{error}");
        let only = Only::parse(&["system=adamv-moe".to_string()]).unwrap();
        assert_eq!(aes(&super::cells(&suite, &sets, &only).unwrap()[0]), Some(3));
        let wrong = text.replace("training.aes.every: 2", "training.aes.every: 9");
        let error = resolved(&wrong, &[]).unwrap_err();
        assert!(
            error.contains("s.yaml:") && error.contains("training.aes.every: 9 is not possible; give 1 to 4"),
            "{error}"
        );
    }

    #[test]
    fn experts_are_laid_over_the_systems_own() {
        let text = SMALL.replace("[stl, mtl-vit]", "[mtl-moe, adamv-moe]")
            + "by_system: {adamv-moe: {training.aes.mode: off}}\n";
        let cells = resolved(&text, &["model.backbone.moe.experts=8", "model.backbone.moe.layers=[0]"]).unwrap();
        let moe = |system: &str| {
            let cell = cells.iter().find(|cell| cell.system == system).unwrap();
            let moe = cell.model.backbone.moe.as_ref().unwrap();
            (moe.layers.to_string(), moe.experts, moe.k, moe.load_weight)
        };
        assert_eq!(moe("mtl-moe"), ("[0]".into(), 8, 4, 0.01));
        assert_eq!(moe("adamv-moe"), ("[0]".into(), 8, 2, 0.005));
        let error = resolved(SMALL, &["model.backbone.moe.experts=8"]).unwrap_err();
        assert!(error.contains("--set model.backbone.moe.experts") && error.contains("stl has no experts"), "{error}");
    }

    #[test]
    fn wrong_values_say_where_they_were_given() {
        let variant = SMALL.replace("model.detector.stages: 3", "model.detector.stages: 9");
        let odd = SMALL.replace("training:", "model: {inputs: {classification: {image_size: 65}}}\ntraining:");
        for (text, sets, wanted) in [
            (
                SMALL,
                vec!["training.joint.steps=-1"],
                "--set training.joint.steps: training.joint.steps: `-1` is not possible here",
            ),
            (
                SMALL,
                vec!["training.joint.steps=0"],
                "--set training.joint.steps: training.joint.steps: 0 is not possible",
            ),
            (SMALL, vec!["training.joint.stepz=1"], "--set unknown path `training.joint.stepz`; the nearest"),
            (SMALL, vec!["data.coco.rood=1"], "--set data.coco.rood: data.coco: unknown key `rood`"),
            (&variant, vec![], "s.yaml:15:27: model.detector.stages: 9 is not possible"),
            (
                &odd,
                vec![],
                "s.yaml:9:35: model.inputs.classification.image_size: 65 is not possible; give a multiple of patch_size (8)",
            ),
            (
                &SMALL.replace("warmup: 1}\n  class", "warmup: 7}\n  class"),
                vec![],
                "s.yaml:10:21: training.joint.warmup: 7 is not possible",
            ),
            (
                &SMALL.replace("model.detector.stages", "model.detector.stage"),
                vec![],
                "s.yaml:15:27: unknown path `model.detector.stage`; the nearest",
            ),
            (&SMALL.replace("images: 32", "images: 3"), vec![], "s.yaml:8:12: data.scenes.images"),
        ] {
            let error = resolved(text, &sets).unwrap_err();
            assert!(error.contains(wanted), "{sets:?}:\n{error}");
        }
    }

    #[test]
    fn only_narrows_and_widens() {
        let choose = |filters: &[&str]| {
            let filters: Vec<String> = filters.iter().map(|f| f.to_string()).collect();
            Only::parse(&filters).and_then(|only| cells(&suite(SMALL).unwrap(), &[], &only)).map_err(|e| e.message)
        };
        assert_eq!(choose(&[]).unwrap().len(), 8);
        assert_eq!(choose(&["system=stl", "seed=1"]).unwrap().len(), 2);
        assert_eq!(choose(&["seed=0", "seed=1", "variant=base"]).unwrap().len(), 4);
        assert!(choose(&["system=taps"]).unwrap_err().contains("values of system are: stl, mtl-vit"));
        assert!(choose(&["sistem=stl"]).unwrap_err().contains("nearest known key is `system`"));
        assert!(choose(&["stl"]).unwrap_err().contains("is not KEY=VALUE"));
    }

    fn of_file(name: &str) -> Vec<CellConfig> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../suites").join(name);
        let cells = Suite::read(&path).and_then(|suite| cells(&suite, &[], &Only::default()));
        cells.unwrap_or_else(|failure| panic!("{failure}"))
    }

    #[test]
    fn every_cell_of_every_suite_file_resolves() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../suites");
        let mut found = BTreeMap::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            let cells = of_file(&name);
            let stem = name.strip_suffix(".yaml").unwrap();
            assert!(cells.iter().all(|cell| cell.suite == stem), "{name} has another name inside");
            found.insert(stem.to_string(), cells.len());
        }
        let wanted = [
            ("ablation-experts", 5),
            ("ablation-experts-paper", 5),
            ("ablation-position", 4),
            ("ablation-position-paper", 4),
            ("ablation-router", 15),
            ("ablation-router-paper", 5),
            ("ablation-steps", 6),
            ("ablation-steps-paper", 6),
            ("full-size", 24),
            ("mini", 18),
            ("paper", 24),
            ("real", 6),
            ("smoke", 18),
        ];
        assert_eq!(found, wanted.map(|(name, cells)| (name.to_string(), cells)).into());
    }

    #[test]
    fn an_ablation_has_one_budget_at_each_size_and_the_rows_of_its_table() {
        let rows = |name: &str| -> Vec<_> {
            let cells = of_file(name);
            let row = |cell: &CellConfig| {
                let moe = cell.model.backbone.moe.as_ref();
                let moe = moe.map(|moe| (moe.layers.to_string(), moe.experts, moe.k, format!("{:?}", moe.router)));
                let adapts = cell.training.aes.as_ref().is_some_and(|aes| !aes.is_off());
                (cell.system.clone(), cell.variant.clone(), moe, adapts)
            };
            cells.iter().filter(|cell| cell.seed == 0).map(row).collect()
        };
        let moe = |layers: &str, experts, k, router: &str| Some((layers.to_string(), experts, k, router.to_string()));
        let every = "every-second";
        let row = |system: &str, variant: &str, moe, adapts| (system.into(), variant.into(), moe, adapts);
        for (table, wanted) in [
            (
                "ablation-router",
                vec![
                    row("mtl-vit", "base", None, false),
                    row("mtl-moe", "base", moe(every, 16, 4, "PerTask"), false),
                    row("adamv-moe", "base", moe(every, 8, 2, "PerTask"), true),
                    row("adamv-moe", "shared-router", moe(every, 8, 2, "Shared"), false),
                    row("adamv-moe", "without-aes", moe(every, 8, 2, "PerTask"), false),
                ],
            ),
            (
                "ablation-experts",
                vec![
                    row("adamv-moe", "experts-1", moe(every, 1, 1, "PerTask"), false),
                    row("adamv-moe", "experts-4", moe(every, 4, 2, "PerTask"), true),
                    row("adamv-moe", "base", moe(every, 8, 2, "PerTask"), true),
                    row("adamv-moe", "experts-16", moe(every, 16, 2, "PerTask"), true),
                    row("adamv-moe", "experts-32", moe(every, 32, 2, "PerTask"), true),
                ],
            ),
            (
                "ablation-position",
                ["early", "middle", "late", "base"]
                    .map(|name| {
                        let layers = if name == "base" { every } else { name };
                        row("adamv-moe", name, moe(layers, 8, 2, "PerTask"), true)
                    })
                    .into(),
            ),
        ] {
            for name in [format!("{table}.yaml"), format!("{table}-paper.yaml")] {
                assert_eq!(rows(&name), wanted, "{name}");
                let cells = of_file(&name);
                let budget = |cell: &CellConfig| (cell.training.joint.clone(), cell.training.first_stage.clone());
                assert!(cells.iter().all(|cell| budget(cell) == budget(&cells[0])), "{name}");
            }
        }
    }

    #[test]
    fn mini_trains_every_system_on_as_many_images() {
        for cell in of_file("mini.yaml") {
            let training = &cell.training;
            let images = match cell.system.as_str() {
                "stl" => [
                    training.classification.steps * training.classification.batch.classification as u64,
                    training.detection.steps * training.detection.batch.detection as u64,
                ],
                _ => {
                    let (first, joint) = (&training.first_stage, &training.joint);
                    let first = u64::from(training.two_stages) * first.steps * first.batch.classification as u64;
                    let classification = first + joint.steps * joint.batch.classification as u64;
                    [classification, joint.steps * joint.batch.detection as u64]
                }
            };
            assert_eq!(images, [600 * 128, 400 * 8], "{}", cell.system);
        }
    }

    #[test]
    fn the_papers_suites_prepare_classification_as_the_released_code_does() {
        for table in [
            "paper",
            "ablation-router-paper",
            "ablation-experts-paper",
            "ablation-position-paper",
            "ablation-steps-paper",
        ] {
            for cell in of_file(&format!("{table}.yaml")) {
                let options = &cell.data.classification;
                assert_eq!((options.mean, options.std, options.eval_crop), ([0.5; 3], [0.5; 3], None), "{table}");
                assert_eq!(options.cutmix_box, adamv_datasets::CutMixBox::Side, "{table}");
            }
        }
    }

    #[test]
    fn the_papers_suite_has_the_papers_schedule() {
        for cell in of_file("paper.yaml") {
            let training = &cell.training;
            assert_eq!(
                training.two_stages,
                ["taps", "mtl-moe", "adamv-moe"].contains(&cell.system.as_str()),
                "{}",
                cell.system
            );
            let schedule = |s: &adamv_engine::config::ScheduleConfig| (s.steps, s.warmup, s.weight_decay);
            assert_eq!(schedule(&training.first_stage), (300_000, 20_000, 6e-3));
            assert_eq!(schedule(&training.joint), (200_000, 10_000, 5e-4));
            assert_eq!((training.joint.batch.classification, training.joint.batch.detection), (1024, 128));
            assert_eq!(schedule(&training.classification), (300_000, 20_000, 6e-3));
            assert_eq!(schedule(&training.detection), (200_000, 2_000, 1e-4));
            assert_eq!(training.aes.as_ref().map(|aes| aes.every), (cell.system == "adamv-moe").then_some(2000));
        }
    }
}
