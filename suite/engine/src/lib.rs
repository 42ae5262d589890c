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
mod plan;
mod predict;
mod probes;
mod progress;
pub mod schedule;
mod speed;
mod stream;
mod train;
mod upgrade;

pub use cell::{Context, cell_key_of, check_data, run_cell, task_costs};
pub use config::{BatchSizes, CellConfig, EvaluationConfig, Precision, ScheduleConfig, TrainingConfig};
pub use environment::describe as describe_environment;
pub use error::EngineError;
pub use features::{FeaturesBackbone, FeaturesConfig, features};
pub use plan::{CellPlan, PhasePlan, Work, plan};
pub use predict::{DrawOptions, PredictSummary, predict};
pub use probes::ProbesConfig;
pub use progress::Progress;
pub use speed::{MeasuredSpeed, Speed, measure};
