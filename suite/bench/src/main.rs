//! The adamv-bench binary: reads the command line, calls the room of the command, and turns its end into an exit code.
//!
//! Architecture invariant: this crate holds no mathematics. Training and evaluation are the engine's, numbers are the
//! metrics', records are the store's, pages are the reports'.

#![allow(rustdoc::invalid_html_tags, reason = "the help of a flag is its doc comment, and help is plain text")]

mod baseline;
mod claims;
mod cli;
mod compare;
mod cost;
mod data;
mod doctor;
mod dry_run;
mod errors;
mod eval;
mod exit;
mod explain;
mod features;
mod given;
mod json;
mod locate;
mod matrix;
mod nearest;
mod overrides;
mod plan;
mod preflight;
mod progress;
mod published_cost;
mod report;
mod run;
mod status;
mod suite_file;
mod task_version;
mod text_table;
mod torch;
mod yaml;

use std::process::ExitCode;

use clap::Parser;

use cli::{BaselineCommand, Cli, Command, DataCommand, EvalCommand, MakeCommand};
use exit::Failure;

fn main() -> ExitCode {
    // clap itself ends with 0 for --help and with 2 for wrong arguments.
    let cli = Cli::parse();
    match dispatch(&cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(failure.code)
        }
    }
}

fn dispatch(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Doctor(args) => doctor::doctor(args),
        Command::Data(DataCommand::Make(MakeCommand::Scenes(args))) => data::make_scenes(args),
        Command::Data(DataCommand::Check(args)) => data::check(args),
        Command::Data(DataCommand::Show(args)) => data::show(args),
        Command::Data(DataCommand::Stats(args)) => data::stats(args),
        Command::Data(DataCommand::Pack(args)) => data::pack(args),
        Command::Run(args) => run::run(args),
        Command::Status(args) => status::status(args),
        Command::Eval(EvalCommand::Coco(args)) => eval::coco(args),
        Command::Predict(args) => features::predict(args),
        Command::Features(args) => features::features(args),
        Command::Cost(args) => cost::cost(args),
        Command::Report(args) => report::report(args),
        Command::Compare(args) => compare::compare(args),
        Command::Claims(args) => claims::claims(args),
        Command::Baseline(BaselineCommand::Store(args)) => baseline::store(args),
        Command::Baseline(BaselineCommand::List(args)) => baseline::list(args),
        Command::Baseline(BaselineCommand::Show(args)) => baseline::show(args),
        Command::Schema => json::print(&adamv_store::schema()),
    }
}
