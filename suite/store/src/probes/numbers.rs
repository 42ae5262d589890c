//! Probes that are numbers.

use polars::prelude::*;

use super::Rows;
use crate::table;

/// The name of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassName {
    pub task: String,
    /// Its label in classification, COCO's number of its category in detection: as predictions have it.
    pub number: u64,
    pub name: String,
}

/// How far the routing of the probe images moved since the look before.
#[derive(Debug, Clone, PartialEq)]
pub struct RoutingChange {
    /// Steps of the phase that were done at the later look; the earlier one is the row before (the phase's start for the first).
    pub step: u64,
    pub phase: String,
    pub task: String,
    /// Block of the MoE layer.
    pub layer: u32,
    /// Hamming distance between the selections as E bits, over the number of selected experts in both, mean over the tokens: 0 the
    /// same experts, 1 none in common.
    pub distance: f64,
}

/// The gradients of the two tasks' losses in a training step, on one weight that both tasks use.
#[derive(Debug, Clone, PartialEq)]
pub struct GradientPair {
    /// Steps of the phase that were done with it.
    pub step: u64,
    pub phase: String,
    pub weight: String,
    /// Product of both gradients, and their norms; as they reach the optimizer, before clipping.
    pub dot: f64,
    pub classification_norm: f64,
    pub detection_norm: f64,
}

/// How many tokens of the validation split used an expert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpertUse {
    pub task: String,
    /// Block of the MoE layer.
    pub layer: u32,
    /// A class's number: of the image's class, or of the objects that the token's patch has its middle in the box of. None: all
    /// tokens.
    pub class: Option<u64>,
    pub expert: u32,
    /// Pairs of a token and one of its K experts.
    pub pairs: u64,
}

/// How alike the features that the router sends to two experts are.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureSimilarity {
    pub task: String,
    /// Block of the MoE layer.
    pub layer: u32,
    pub expert_a: u32,
    pub expert_b: u32,
    /// Mean cosine of all pairs of different tokens of which one has a, one has b as first choice, -1 to 1; None without such a pair.
    pub cosine: Option<f64>,
}

/// What AP50 loses to a kind of error (TIDE: Bolya et al., ECCV 2020).
#[derive(Debug, Clone, PartialEq)]
pub struct DetectionError {
    /// `bbox` or `segm`.
    pub iou_type: String,
    /// `Cls`, `Loc`, `Both`, `Dupe`, `Bkg`, `Miss`; `FP` and `FN` for all of a side.
    pub kind: String,
    /// AP50 with this kind mended, less AP50: 0 to 1.
    pub delta_ap50: f64,
    /// Detections, or objects for `Miss`; None for `FP` and `FN`, which are sums.
    pub count: Option<u64>,
}

impl Rows for ClassName {
    const NAME: &'static str = "classes";

    fn columns(rows: &[Self]) -> Vec<Column> {
        vec![
            texts("task", rows, |row| &row.task),
            Column::new("number".into(), rows.iter().map(|row| row.number).collect::<Vec<_>>()),
            texts("name", rows, |row| &row.name),
        ]
    }

    fn from_frame(frame: &DataFrame) -> PolarsResult<Vec<Self>> {
        let (tasks, names) = (table::texts(frame, "task")?, table::texts(frame, "name")?);
        let numbers = table::u64s(frame, "number")?;
        let rows = tasks.into_iter().zip(numbers).zip(names);
        Ok(rows.map(|((task, number), name)| Self { task, number, name }).collect())
    }
}

impl Rows for RoutingChange {
    const NAME: &'static str = "routing_changes";

    fn columns(rows: &[Self]) -> Vec<Column> {
        vec![
            Column::new("step".into(), rows.iter().map(|row| row.step).collect::<Vec<_>>()),
            texts("phase", rows, |row| &row.phase),
            texts("task", rows, |row| &row.task),
            Column::new("layer".into(), rows.iter().map(|row| row.layer).collect::<Vec<_>>()),
            Column::new("distance".into(), rows.iter().map(|row| row.distance).collect::<Vec<_>>()),
        ]
    }

    fn from_frame(frame: &DataFrame) -> PolarsResult<Vec<Self>> {
        let (phases, tasks) = (table::texts(frame, "phase")?, table::texts(frame, "task")?);
        let (layers, distances) = (u32s(frame, "layer")?, f64s(frame, "distance")?);
        let rows = table::u64s(frame, "step")?.into_iter().zip(phases).zip(tasks).zip(layers).zip(distances);
        Ok(rows.map(|((((step, phase), task), layer), distance)| Self { step, phase, task, layer, distance }).collect())
    }
}

impl Rows for GradientPair {
    const NAME: &'static str = "gradients";

    fn columns(rows: &[Self]) -> Vec<Column> {
        let numbers =
            |name: &str, of: fn(&Self) -> f64| Column::new(name.into(), rows.iter().map(of).collect::<Vec<_>>());
        vec![
            Column::new("step".into(), rows.iter().map(|row| row.step).collect::<Vec<_>>()),
            texts("phase", rows, |row| &row.phase),
            texts("weight", rows, |row| &row.weight),
            numbers("dot", |row| row.dot),
            numbers("classification_norm", |row| row.classification_norm),
            numbers("detection_norm", |row| row.detection_norm),
        ]
    }

    fn from_frame(frame: &DataFrame) -> PolarsResult<Vec<Self>> {
        let (phases, weights) = (table::texts(frame, "phase")?, table::texts(frame, "weight")?);
        let (dots, classification) = (f64s(frame, "dot")?, f64s(frame, "classification_norm")?);
        let detection = f64s(frame, "detection_norm")?;
        let rows = table::u64s(frame, "step")?.into_iter().zip(phases).zip(weights).enumerate();
        Ok(rows
            .map(|(row, ((step, phase), weight))| Self {
                step,
                phase,
                weight,
                dot: dots[row],
                classification_norm: classification[row],
                detection_norm: detection[row],
            })
            .collect())
    }
}

impl Rows for ExpertUse {
    const NAME: &'static str = "expert_use";

    fn columns(rows: &[Self]) -> Vec<Column> {
        vec![
            texts("task", rows, |row| &row.task),
            Column::new("layer".into(), rows.iter().map(|row| row.layer).collect::<Vec<_>>()),
            Column::new("class".into(), rows.iter().map(|row| row.class).collect::<Vec<_>>()),
            Column::new("expert".into(), rows.iter().map(|row| row.expert).collect::<Vec<_>>()),
            Column::new("pairs".into(), rows.iter().map(|row| row.pairs).collect::<Vec<_>>()),
        ]
    }

    fn from_frame(frame: &DataFrame) -> PolarsResult<Vec<Self>> {
        let (tasks, layers, experts) = (table::texts(frame, "task")?, u32s(frame, "layer")?, u32s(frame, "expert")?);
        let classes = frame.column("class")?.u64()?;
        let rows = tasks.into_iter().zip(layers).zip(classes.iter()).zip(experts).zip(table::u64s(frame, "pairs")?);
        Ok(rows.map(|((((task, layer), class), expert), pairs)| Self { task, layer, class, expert, pairs }).collect())
    }
}

impl Rows for FeatureSimilarity {
    const NAME: &'static str = "similarities";

    fn columns(rows: &[Self]) -> Vec<Column> {
        vec![
            texts("task", rows, |row| &row.task),
            Column::new("layer".into(), rows.iter().map(|row| row.layer).collect::<Vec<_>>()),
            Column::new("expert_a".into(), rows.iter().map(|row| row.expert_a).collect::<Vec<_>>()),
            Column::new("expert_b".into(), rows.iter().map(|row| row.expert_b).collect::<Vec<_>>()),
            Column::new("cosine".into(), rows.iter().map(|row| row.cosine).collect::<Vec<_>>()),
        ]
    }

    fn from_frame(frame: &DataFrame) -> PolarsResult<Vec<Self>> {
        let (tasks, layers) = (table::texts(frame, "task")?, u32s(frame, "layer")?);
        let (a, b) = (u32s(frame, "expert_a")?, u32s(frame, "expert_b")?);
        let cosines = frame.column("cosine")?.f64()?;
        let rows = tasks.into_iter().zip(layers).zip(a).zip(b).zip(cosines.iter());
        Ok(rows
            .map(|((((task, layer), expert_a), expert_b), cosine)| Self { task, layer, expert_a, expert_b, cosine })
            .collect())
    }
}

impl Rows for DetectionError {
    const NAME: &'static str = "errors";

    fn columns(rows: &[Self]) -> Vec<Column> {
        vec![
            texts("iou_type", rows, |row| &row.iou_type),
            texts("kind", rows, |row| &row.kind),
            Column::new("delta_ap50".into(), rows.iter().map(|row| row.delta_ap50).collect::<Vec<_>>()),
            Column::new("count".into(), rows.iter().map(|row| row.count).collect::<Vec<_>>()),
        ]
    }

    fn from_frame(frame: &DataFrame) -> PolarsResult<Vec<Self>> {
        let (types, kinds) = (table::texts(frame, "iou_type")?, table::texts(frame, "kind")?);
        let counts = frame.column("count")?.u64()?;
        let rows = types.into_iter().zip(kinds).zip(f64s(frame, "delta_ap50")?).zip(counts.iter());
        Ok(rows.map(|(((iou_type, kind), delta_ap50), count)| Self { iou_type, kind, delta_ap50, count }).collect())
    }
}

pub(super) fn texts<R>(name: &str, rows: &[R], of: impl Fn(&R) -> &String) -> Column {
    Column::new(name.into(), rows.iter().map(|row| of(row).as_str()).collect::<Vec<_>>())
}

pub(super) fn u32s(frame: &DataFrame, name: &str) -> PolarsResult<Vec<u32>> {
    Ok(table::full(frame, name)?.u32()?.iter().flatten().collect())
}

pub(super) fn f64s(frame: &DataFrame, name: &str) -> PolarsResult<Vec<f64>> {
    Ok(table::full(frame, name)?.f64()?.iter().flatten().collect())
}
