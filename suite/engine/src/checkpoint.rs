//! Where a cell's training stands, on disk: weights, optimizer, average, generator and position. What is written here
//! and read back gives the same run, bit for bit.
//!
//! `position.json` names the files that belong to it and is renamed into place last: a kill at any moment leaves the
//! previous checkpoint whole.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use adamv_models::params::Params;
use adamv_models::weights;
use adamv_native::{rng_state, set_rng_state};
use adamv_store::{now_rfc3339, write_bytes_atomic};
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use crate::aes::Aes;
use crate::error::EngineError;
use crate::optimizer::Optimizer;

/// The weights that a finished cell was evaluated with.
pub const FINAL: &str = "final.safetensors";
const POSITION: &str = "position.json";

/// How far training is, and at what expense.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Key of the configuration that this is a checkpoint of.
    pub config: String,
    /// Phases that are over.
    pub phase: usize,
    /// Steps of the next phase that are over.
    pub step: u64,
    /// Rows that the history had.
    pub history_rows: usize,
    pub started_at: String,
    pub train_seconds: f64,
    pub data_wait_seconds: f64,
    pub images: u64,
    pub steps: u64,
    /// Adaptive expert selection of the phase, and after the last one.
    pub aes: Option<Aes>,
    /// Samples that could not be read: a resumed run counts them too.
    pub skipped: Skipped,
    /// File of the weights.
    weights: String,
    /// File of optimizer, average and generator; none between phases.
    state: Option<String>,
}

/// Indices of the samples that were skipped, ascending, by task: those trained on, and D_val's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    pub classification: Vec<usize>,
    pub classification_held_out: Vec<usize>,
    pub detection: Vec<usize>,
    pub detection_held_out: Vec<usize>,
}

impl Position {
    /// The beginning of a cell whose configuration has the key `config`.
    pub fn start(config: &str) -> Self {
        Self { config: config.into(), started_at: now_rfc3339(), ..Self::default() }
    }
}

/// The checkpoints of a cell.
pub struct Checkpoints {
    dir: PathBuf,
}

impl Checkpoints {
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The file of the final weights.
    pub fn final_weights(&self) -> PathBuf {
        self.dir.join(FINAL)
    }

    /// Where training stands, or `None` before the first checkpoint. A checkpoint of another configuration is an error.
    pub fn position(&self, config: &str) -> Result<Option<Position>, EngineError> {
        let path = self.dir.join(POSITION);
        let bad = |reason: String, mend| EngineError::Checkpoint { path: path.clone(), reason, mend };
        let text = match fs::read(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|e| bad(e.to_string(), "make it readable"))?,
        };
        let position: Position = serde_json::from_slice(&text)
            .map_err(|e| bad(e.to_string(), "delete the cell's folder to start it anew"))?;
        if position.config != config {
            return Err(bad(
                "it belongs to a cell of another configuration or other data".into(),
                "give another --out, or delete the cell's folder to start it anew",
            ));
        }
        Ok(Some(position))
    }

    /// Writes a checkpoint; afterwards the files of earlier ones are removed. Without `state` (that of the optimizer and whatever
    /// else goes on within a phase): between two phases; with `done`: after the last.
    pub fn save(
        &self,
        position: &mut Position,
        params: &Params,
        state: Option<BTreeMap<String, Tensor>>,
        device: Device,
        done: bool,
    ) -> Result<(), EngineError> {
        let stem = format!("phase{}-step{:07}", position.phase, position.step);
        position.weights = if done { FINAL.into() } else { format!("{stem}.weights.safetensors") };
        position.state = (!done).then(|| format!("{stem}.state.safetensors"));
        write_bytes_atomic(&self.dir.join(&position.weights), &weights::to_bytes(params.saved())?)?;
        if let Some(file) = &position.state {
            let mut state = state.unwrap_or_default();
            for (name, device) in generators(device) {
                state.insert(name.into(), rng_state(device)?);
            }
            let state = weights::to_bytes(state.iter().map(|(name, tensor)| (name.as_str(), tensor)))?;
            write_bytes_atomic(&self.dir.join(file), &state)?;
        }
        let text = serde_json::to_vec_pretty(position).map_err(|e| EngineError::Checkpoint {
            path: self.dir.join(POSITION),
            reason: e.to_string(),
            mend: "report this as a bug",
        })?;
        write_bytes_atomic(&self.dir.join(POSITION), &text)?;
        self.remove_others(position)
    }

    /// Puts the weights and buffers of `position` into `params`.
    pub fn load_weights(&self, position: &Position, params: &Params) -> Result<(), EngineError> {
        load(&self.dir.join(&position.weights), params)
    }

    /// Puts the state of `position` into the optimizer (none between phases) and the generators, and returns all of it by name.
    pub fn load_state(
        &self,
        position: &Position,
        optimizer: Option<&Optimizer>,
        device: Device,
    ) -> Result<BTreeMap<String, Tensor>, EngineError> {
        let Some(file) = &position.state else { return Ok(BTreeMap::new()) };
        let path = self.dir.join(file);
        let saved = weights::read(&path)?;
        let named = |name: &str| {
            saved.get(name).ok_or_else(|| EngineError::Checkpoint {
                path: path.clone(),
                reason: format!("it has no tensor {name}"),
                mend: "delete the cell's folder to start it anew",
            })
        };
        let state: BTreeMap<String, Tensor> = optimizer.map(Optimizer::state).unwrap_or_default();
        for (name, target) in &state {
            tch::no_grad(|| target.shallow_clone().f_copy_(named(name)?).map_err(EngineError::from))?;
        }
        for (name, device) in generators(device) {
            set_rng_state(device, named(name)?)?;
        }
        Ok(saved)
    }

    /// Removes what no longer belongs to `position`.
    fn remove_others(&self, position: &Position) -> Result<(), EngineError> {
        let failed = |e: std::io::Error| EngineError::Checkpoint {
            path: self.dir.clone(),
            reason: e.to_string(),
            mend: "make the folder writable",
        };
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let ours = name == POSITION || name == position.weights || Some(&name) == position.state.as_ref();
            if !ours && name.ends_with(".safetensors") {
                fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// Puts the weights and buffers of a file into `params`, each by its own name.
pub fn load(path: &Path, params: &Params) -> Result<(), EngineError> {
    let saved = weights::read(path)?;
    Ok(weights::assign(params, path, |name| saved.get(name))?)
}

/// The generators that training draws from, with the names of their states.
pub fn generators(device: Device) -> Vec<(&'static str, Device)> {
    let mut all = vec![("generator.cpu", Device::Cpu)];
    if device != Device::Cpu {
        all.push(("generator.device", device));
    }
    all
}
