//! The command line: every subcommand and flag, each defined once with its help. Does nothing itself.

use std::path::PathBuf;

use adamv_datasets::{PackOptions, Task};
use adamv_models::config::Classes;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Where the paper's claims and numbers lie below the root of the repository.
pub const CLAIMS: &str = "baselines/claims.yaml";
pub const PUBLISHED_COST: &str = "baselines/published/cost.yaml";
pub const PUBLISHED: &str = "baselines/published/adamv-moe-iccv2023.yaml";

/// Trains and evaluates multi-task vision systems on the same data with the same budget, and reports which is better.
#[derive(Debug, Parser)]
#[command(
    name = "adamv-bench",
    version = concat!(env!("CARGO_PKG_VERSION"), " (", env!("ADAMV_COMMIT"), ")"),
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 fine; 1 anything not named here; 2 wrong arguments, suite or configuration; 3 regression; \
                  4 nothing was measured; 5 environment or set-up."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say what is here (libtorch, devices, threads, memory, disk), what is missing, and how to mend it
    Doctor(DoctorArgs),
    /// Make and check data sets
    #[command(subcommand)]
    Data(DataCommand),
    /// Train and evaluate every cell of a suite
    Run(RunArgs),
    /// Say which cells of a run are done, failed, skipped, running or waiting
    Status(StatusArgs),
    /// Evaluate results that are already there
    #[command(subcommand)]
    Eval(EvalCommand),
    /// Run a trained cell on a folder of images: class scores and COCO results
    Predict(PredictArgs),
    /// Run a backbone's weights on a tensor of images and write tokens and pooled features
    Features(FeaturesArgs),
    /// Count activated parameters, multiply-adds and FLOPs of systems on backbones
    Cost(CostArgs),
    /// Write report.md, a self-contained report.html, tables and figures of a run
    Report(ReportArgs),
    /// Hold results against a baseline: did anything get worse, or is a variant better than a reference system?
    Compare(CompareArgs),
    /// Judge the paper's claims by our runs: supported, contradicted, undecided or not run, with the evidence
    Claims(ClaimsArgs),
    /// Store finished runs as baselines, and look at those that are stored
    #[command(subcommand)]
    Baseline(BaselineCommand),
    /// Print the JSON Schema of a cell's record.json
    Schema,
}

/// Where tensors are computed.
#[derive(Debug, Args)]
pub struct DeviceArg {
    /// Device: cpu, cuda (the first GPU) or cuda:N; never falls back to another one
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub device: String,
}

#[derive(Debug, Args)]
#[command(
    after_help = "A missing libtorch shows before this program starts, as the loader's message (libtorch_cpu.so: cannot open \
                  shared object file); `make setup` fetches it."
)]
pub struct DoctorArgs {
    /// A device that must be usable: cpu, cuda or cuda:N; exit 5 when it isn't
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Make a built-in data set on disk
    #[command(subcommand)]
    Make(MakeCommand),
    /// Read every file of a data set and print what is broken; exit 1 if anything is
    Check(CheckArgs),
    /// Draw a contact sheet: samples with boxes, masks and class names
    Show(ShowArgs),
    /// Count images and instances of each class, and sizes
    Stats(StatsArgs),
    /// Write a data set as WebDataset shards (.tar), which a suite can name in place of folders
    Pack(PackArgs),
}

#[derive(Debug, Subcommand)]
pub enum MakeCommand {
    /// Scenes of drawn shapes or of Fashion-MNIST's garments, with exact boxes and masks, in ImageNet's and in COCO's layout
    Scenes(ScenesArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  adamv-bench data make scenes --out .data/scenes --images 2000 --size 64
  adamv-bench data make scenes --out .data/garments --sprites fashion-mnist

Garments need the four files of Fashion-MNIST: `apt-get install dataset-fashion-mnist`, or a folder given with \
--fashion-mnist. Classification is then the original 60,000 and 10,000 images; --images and --size are those of the scenes.")]
pub struct ScenesArgs {
    /// Folder to write to; made if missing
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Training scenes, and of shapes as many classification images; a quarter as many for validation [default: as in a suite]
    #[arg(long, value_name = "N")]
    pub images: Option<usize>,
    /// Side of the square images in pixels [default: as in a suite]
    #[arg(long, value_name = "PX")]
    pub size: Option<u32>,
    /// Everything drawn is a function of it [default: as in a suite]
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// What is drawn
    #[arg(long, value_enum, default_value_t = SpritesArg::Shapes)]
    pub sprites: SpritesArg,
    /// Folder with Fashion-MNIST's four files, plain or gzipped [default: where the Debian package puts them]
    #[arg(long, value_name = "DIR")]
    pub fashion_mnist: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum SpritesArg {
    /// Six drawn shapes
    Shapes,
    /// Ten kinds of garment
    FashionMnist,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// A folder in ImageNet's layout (train/<class>/), in COCO's (images and instances JSON), of shards, or made by `data make`
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  adamv-bench data show coco --out sheet.png
  adamv-bench data show coco --out seen.png --augmented --suite suite/suites/real.yaml

Open the picture to see whether images are upright, boxes tight and masks on their objects.")]
pub struct ShowArgs {
    /// A folder that `data check` reads
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Picture to write
    #[arg(long, value_name = "FILE.png")]
    pub out: PathBuf,
    /// Show what a model receives: training samples augmented, validation samples as evaluated
    #[arg(long)]
    pub augmented: bool,
    /// Suite whose sizes and augmentation are used; without it the defaults of a suite
    #[arg(long, value_name = "SUITE", requires = "augmented")]
    pub suite: Option<PathBuf>,
    /// Samples of each split
    #[arg(long, value_name = "N", default_value_t = 24)]
    pub count: usize,
    /// Choose samples at random by this seed, which augmentation uses too [default: evenly spread ones, seed 0]
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  adamv-bench data pack imagenet --out imagenet-shards
  adamv-bench data pack coco --out coco-shards --shard-mb 512

Equal data gives equal bytes. A suite names shards as it names folders: data.imagenet.root=imagenet-shards.")]
pub struct PackArgs {
    /// A folder that `data check` reads
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Folder to write to; made if missing, else empty
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Images of a shard, megabytes (2^20 bytes)
    #[arg(long, value_name = "N", default_value_t = PackOptions::default().shard_bytes >> 20, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub shard_mb: u64,
}

#[derive(Debug, Args)]
pub struct StatsArgs {
    /// A folder that `data check` reads
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  adamv-bench run suite/suites/smoke.yaml
  adamv-bench run suite/suites/smoke.yaml --only system=stl,seed=0 --dry-run
  adamv-bench run suite/suites/real.yaml --set data.imagenet.root=/data/imagenet --device cuda

A finished cell is skipped, an unfinished one goes on from its last checkpoint: run the same command again after a stop.")]
pub struct RunArgs {
    /// Suite file (YAML); relative paths in its `data` are relative to the current directory
    #[arg(value_name = "SUITE")]
    pub suite: PathBuf,
    /// Run directory; made if missing [default: runs/<suite name>]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Run only some cells: system=, backbone=, variant= or seed=; values of one key widen, keys narrow
    #[arg(long, value_name = "KEY=VALUE,..", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Change one value of every cell, VALUE as YAML: data., model., training. or evaluation. and the path below it; may
    /// be given several times
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// CPU threads for tensors and for decoding images [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    #[command(flatten)]
    pub device: DeviceArg,
    /// Print the cells, their steps and sizes, and what is missing to run them, and stop; writes nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Run directory
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  adamv-bench compare runs/smoke --baseline smoke
  adamv-bench compare runs/my-variant --baseline smoke --reference adamv-moe --markdown > comparison.md

Without --reference each cell is held against the stored cell of the same system, backbone, variant and seed, and a row that is
worse ends the command with 3. With it each system is held against the stored results of one, over the seeds that both have: a
finding, not a regression. Nothing to compare ends it with 4.")]
pub struct CompareArgs {
    /// Run directory or stored baseline
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// What to compare with: a baseline in baselines/stored, or a folder (a run or a stored baseline)
    #[arg(long, value_name = "NAME|DIR")]
    pub baseline: String,
    /// Compare every system with this one's stored results
    #[arg(long, value_name = "SYSTEM")]
    pub reference: Option<String>,
    /// Compare cells of different protocols (data, evaluation, budget) too
    #[arg(long)]
    pub across: bool,
    /// Tolerance of a metric (accuracy, AP, AP50, AP75, APmask) in percentage points, in place of the suite's; may be given several times
    #[arg(long, value_name = "METRIC=POINTS")]
    pub gate: Vec<String>,
    /// Resamples of the images for intervals
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub resamples: u32,
    /// Write comparison.md and comparison.json into this folder too
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Print Markdown
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  adamv-bench claims mini runs/ablation-router --markdown > claims.md

A claim that no run has the cells for is `not run`. When that is all of them, the command ends with 4.")]
pub struct ClaimsArgs {
    /// Runs: baselines in baselines/stored, or folders (runs or stored baselines)
    #[arg(value_name = "NAME|DIR", required = true)]
    pub runs: Vec<String>,
    /// The claims
    #[arg(long, value_name = "FILE", default_value = CLAIMS)]
    pub claims: PathBuf,
    /// What papers report: margins that stand beside ours
    #[arg(long, value_name = "FILE", default_value = PUBLISHED)]
    pub published: PathBuf,
    /// Resamples of the images for intervals
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub resamples: u32,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Print Markdown
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
}

#[derive(Debug, Subcommand)]
pub enum BaselineCommand {
    /// Store the finished cells of a run as baselines/stored/NAME, small enough for git
    #[command(after_help = "Example:\n  adamv-bench baseline store runs/smoke --as smoke")]
    Store(BaselineStoreArgs),
    /// List the stored baselines
    List(BaselineListArgs),
    /// Show the cells of a stored baseline and where they came from
    Show(BaselineShowArgs),
}

#[derive(Debug, Args)]
pub struct BaselineStoreArgs {
    /// Run directory, all of whose cells are done
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Name of the baseline
    #[arg(long = "as", value_name = "NAME")]
    pub name: String,
    /// Replace a baseline of that name
    #[arg(long)]
    pub replace: bool,
}

#[derive(Debug, Args)]
pub struct BaselineListArgs {
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct BaselineShowArgs {
    /// Name in baselines/stored, or a folder
    #[arg(value_name = "NAME|DIR")]
    pub name: String,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum EvalCommand {
    /// The COCO API's twelve numbers for a results file
    Coco(CocoArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  adamv-bench eval coco --gt instances_val2017.json --dt detections.json --iou-type segm"
)]
pub struct CocoArgs {
    /// Ground truth: a COCO instances JSON file
    #[arg(long, value_name = "FILE")]
    pub gt: PathBuf,
    /// Detections: a COCO results JSON file, a list of {image_id, category_id, bbox or segmentation, score}
    #[arg(long, value_name = "FILE")]
    pub dt: PathBuf,
    /// What overlaps: boxes or masks
    #[arg(long, value_enum)]
    pub iou_type: IouArg,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum IouArg {
    Bbox,
    Segm,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  adamv-bench predict --cell runs/smoke/stl-vit-micro-s0 --images photos --out predictions\n  \
                  adamv-bench predict --cell runs/smoke/stl-vit-micro-s0 --images photos --out predictions --draw"
)]
pub struct PredictArgs {
    /// Folder of a finished cell
    #[arg(long, value_name = "DIR")]
    pub cell: PathBuf,
    /// Folder of JPEG or PNG images
    #[arg(long, value_name = "DIR")]
    pub images: PathBuf,
    /// Folder for classification.json, detection.json and images.json; made if missing
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Draw boxes, masks and classes on each image, as drawn/<file name>.png in the folder of --out
    #[arg(long)]
    pub draw: bool,
    /// Lowest score of a detection that is drawn, 0 to 1; detection.json has all of them
    #[arg(long, value_name = "SCORE", default_value_t = 0.3, requires = "draw")]
    pub draw_score: f64,
    #[command(flatten)]
    pub device: DeviceArg,
}

#[derive(Debug, Args)]
#[command(
    after_help = "A YAML backbone: {image_size: 224, patch_size: 16, depth: 12, width: 384, heads: 6, mlp: 1536, pool: mean}
Input: tensor `images` [B,3,Y,X] float32. Output: `tokens` [B,N,D] after the last norm, `pooled` [B,D]."
)]
pub struct FeaturesArgs {
    /// Name of a preset (such as vit-small) or a YAML file
    #[arg(long, value_name = "NAME|YAML")]
    pub backbone: String,
    /// Weights under timm's names
    #[arg(long, value_name = "FILE.safetensors")]
    pub weights: PathBuf,
    /// Images
    #[arg(long, value_name = "FILE.safetensors")]
    pub input: PathBuf,
    /// Features
    #[arg(long, value_name = "FILE.safetensors")]
    pub out: PathBuf,
    /// Whose embeddings are used
    #[arg(long, value_enum, default_value_t = TaskArg::Classification)]
    pub task: TaskArg,
    #[command(flatten)]
    pub device: DeviceArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum TaskArg {
    Classification,
    Detection,
}

impl From<TaskArg> for Task {
    fn from(task: TaskArg) -> Self {
        match task {
            TaskArg::Classification => Task::Classification,
            TaskArg::Detection => Task::Detection,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  adamv-bench cost --backbone vit-small
  adamv-bench cost --system adamv-moe --backbone vit-base --k 1,2,4,8
  adamv-bench cost --system mtl-vit --backbone vit-small --set model.backbone.pool=token

Counted from the configuration alone; no weights are made. Activated: what one image of the task can touch, with K of the E \
experts. MACs: convolutions, linear layers, both attention products, routers, K experts, box heads for every proposal, the mask \
head for evaluation.detections detections. FLOPs = 2 x MACs; much literature calls MACs FLOPs. TAPS is counted with every delta on, as it starts.")]
pub struct CostArgs {
    /// Only this system; may be given several times [default: all]
    #[arg(long, value_name = "S")]
    pub system: Vec<String>,
    /// Only this backbone; may be given several times [default: all]
    #[arg(long, value_name = "B")]
    pub backbone: Vec<String>,
    /// Experts that a token uses, in systems that have experts [default: what each starts with]
    #[arg(long, value_name = "K,..", value_delimiter = ',')]
    pub k: Vec<usize>,
    /// Classes to classify and to detect
    #[arg(long, value_name = "N,M", default_value = "1000,80", value_parser = classes)]
    pub classes: Classes,
    /// Change a value of the model, VALUE as YAML: model. or evaluation. and the path below it; may be given several times
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// Print a table in Markdown of what papers and libraries publish beside our counts instead, from this file
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = PUBLISHED_COST,
          conflicts_with_all = ["system", "backbone", "k", "set", "json"])]
    pub published: Option<PathBuf>,
    /// Print one JSON document: a list
    #[arg(long)]
    pub json: bool,
}

/// Two counts with a comma between.
fn classes(text: &str) -> Result<Classes, String> {
    // Far more than any data set has, and few enough for every product to be a number.
    const MOST: usize = 1_000_000;
    let count = |part: &str| part.trim().parse().ok().filter(|n| (1..=MOST).contains(n));
    let counts: Option<Vec<usize>> = text.split(',').map(count).collect();
    match counts.as_deref() {
        Some(&[classification, detection]) => Ok(Classes { classification, detection }),
        _ => Err(format!("give two whole numbers from 1 to {MOST}, such as 1000,80")),
    }
}

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Run directories or stored baselines, by name or folder; several become one report
    #[arg(value_name = "NAME|DIR", required = true)]
    pub runs: Vec<String>,
    /// Hold the run (one only) against this baseline too: a name in baselines/stored, or a folder
    #[arg(long, value_name = "NAME|DIR")]
    pub baseline: Option<String>,
    /// Compare cells of different protocols (data, evaluation, budget) too
    #[arg(long, requires = "baseline")]
    pub across: bool,
    /// Claims to judge by the runs; baselines/claims.yaml where it is there
    #[arg(long, value_name = "FILE")]
    pub claims: Option<PathBuf>,
    /// What papers report: margins that stand beside ours; baselines/published/adamv-moe-iccv2023.yaml where it is there
    #[arg(long, value_name = "FILE")]
    pub published: Option<PathBuf>,
    /// Folder to write to; made if missing
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
