//! `eval coco`: the COCO API's twelve numbers for files.

use adamv_metrics::{CocoEvaluator, CocoStats, GroundTruth, Hotcoco, IouType, format_table, read_detections};
use serde::Serialize;

use crate::cli::{CocoArgs, IouArg};
use crate::exit::Failure;
use crate::{given, json};

/// Evaluates a results file and prints the COCO API's table, or JSON.
pub fn coco(args: &CocoArgs) -> Result<(), Failure> {
    given::file("--gt", &args.gt, "give a COCO instances file")?;
    given::file("--dt", &args.dt, "give a COCO results file")?;
    let iou = match args.iou_type {
        IouArg::Bbox => IouType::Bbox,
        IouArg::Segm => IouType::Segm,
    };
    let truth = GroundTruth::read(&args.gt)?;
    let detections = read_detections(&args.dt, &truth, iou)?;
    let stats = Hotcoco.evaluate(&truth, &detections, iou)?;
    if args.json {
        return json::print(&Numbers { iou_type: iou, stats });
    }
    json::line(format_table(&stats).trim_end())
}

#[derive(Serialize)]
struct Numbers {
    iou_type: IouType,
    stats: CocoStats,
}
