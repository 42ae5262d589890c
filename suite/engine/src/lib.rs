//! Trains and evaluates one cell: read data, build the model, train, evaluate, record. Knows nothing of suites, of other
//! cells, or of how a report looks.

mod adapt;
pub mod aes;
pub mod batch;
mod cell;
mod checkpoint;
pub mod config;
mod data;
mod drawing;
mod environment;
mod error;
mod evaluate;
mod experts;
mod features;
mod guard;
mod indicators;
pub mod optimizer;
mod predict;
mod progress;
pub mod schedule;
mod train;

pub use cell::{CellPlan, Context, PhasePlan, cell_key_of, check_data, plan, run_cell, task_costs};
pub use config::{BatchSizes, CellConfig, EvaluationConfig, Precision, ScheduleConfig, TrainingConfig};
pub use environment::describe as describe_environment;
pub use error::EngineError;
pub use features::{FeaturesBackbone, FeaturesConfig, features};
pub use predict::{DrawOptions, PredictSummary, predict};
pub use progress::Progress;
