//! The twelve numbers of the COCO API and the table it prints. Numbers in, text out; it may not
//! touch detections.

use serde::{Deserialize, Serialize};

/// COCO's summary. AP is averaged over IoU 0.50:0.05:0.95 where the name gives none; small is below
/// 32^2 pixels, medium below 96^2, large above; AR1, AR10 and AR100 allow that many detections an
/// image. Fractions in 0..=1; -1 where the ground truth has no object of the kind, as in the COCO API.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CocoStats {
    #[serde(rename = "AP")]
    pub ap: f64,
    #[serde(rename = "AP50")]
    pub ap50: f64,
    #[serde(rename = "AP75")]
    pub ap75: f64,
    #[serde(rename = "APs")]
    pub aps: f64,
    #[serde(rename = "APm")]
    pub apm: f64,
    #[serde(rename = "APl")]
    pub apl: f64,
    #[serde(rename = "AR1")]
    pub ar1: f64,
    #[serde(rename = "AR10")]
    pub ar10: f64,
    #[serde(rename = "AR100")]
    pub ar100: f64,
    #[serde(rename = "ARs")]
    pub ars: f64,
    #[serde(rename = "ARm")]
    pub arm: f64,
    #[serde(rename = "ARl")]
    pub arl: f64,
}

/// Name, measure, IoU, area and detections an image of each number, in the COCO API's order.
const ROWS: [(&str, &str, &str, &str, u32); 12] = [
    ("AP", "Average Precision", "0.50:0.95", "all", 100),
    ("AP50", "Average Precision", "0.50", "all", 100),
    ("AP75", "Average Precision", "0.75", "all", 100),
    ("APs", "Average Precision", "0.50:0.95", "small", 100),
    ("APm", "Average Precision", "0.50:0.95", "medium", 100),
    ("APl", "Average Precision", "0.50:0.95", "large", 100),
    ("AR1", "Average Recall", "0.50:0.95", "all", 1),
    ("AR10", "Average Recall", "0.50:0.95", "all", 10),
    ("AR100", "Average Recall", "0.50:0.95", "all", 100),
    ("ARs", "Average Recall", "0.50:0.95", "small", 100),
    ("ARm", "Average Recall", "0.50:0.95", "medium", 100),
    ("ARl", "Average Recall", "0.50:0.95", "large", 100),
];

impl CocoStats {
    /// The names of the numbers, in the COCO API's order.
    pub fn names() -> [&'static str; 12] {
        ROWS.map(|(name, ..)| name)
    }

    /// The numbers, in the COCO API's order.
    pub fn values(&self) -> [f64; 12] {
        [
            self.ap, self.ap50, self.ap75, self.aps, self.apm, self.apl, self.ar1, self.ar10, self.ar100, self.ars,
            self.arm, self.arl,
        ]
    }

    /// From the numbers in the COCO API's order.
    pub fn from_values(values: [f64; 12]) -> Self {
        let [ap, ap50, ap75, aps, apm, apl, ar1, ar10, ar100, ars, arm, arl] = values;
        Self { ap, ap50, ap75, aps, apm, apl, ar1, ar10, ar100, ars, arm, arl }
    }
}

/// The twelve lines of pycocotools' `COCOeval.summarize()`, each ended by a newline.
pub fn format_table(stats: &CocoStats) -> String {
    let mut table = String::new();
    for ((name, measure, iou, area, detections), value) in ROWS.iter().zip(stats.values()) {
        let short = &name[..2];
        table.push_str(&format!(
            " {measure:<18} ({short}) @[ IoU={iou:<9} | area={area:>6} | maxDets={detections:>3} ] = {value:0.3}\n"
        ));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_the_lines_of_pycocotools() {
        let stats =
            CocoStats::from_values([0.505, 0.697, 0.573, 0.586, 0.519, -1.0, 0.387, 0.594, 0.595, 0.640, 0.566, 0.564]);
        let table = format_table(&stats);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 12);
        // pycocotools 2.0.11, COCOeval.summarize()
        assert_eq!(lines[0], " Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.505");
        assert_eq!(lines[1], " Average Precision  (AP) @[ IoU=0.50      | area=   all | maxDets=100 ] = 0.697");
        assert_eq!(lines[5], " Average Precision  (AP) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = -1.000");
        assert_eq!(lines[6], " Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets=  1 ] = 0.387");
    }

    #[test]
    fn serialises_under_the_published_names() {
        let values = std::array::from_fn(|index| index as f64);
        let json = serde_json::to_value(CocoStats::from_values(values)).unwrap();
        for (index, name) in CocoStats::names().iter().enumerate() {
            assert_eq!(json[name], index as f64);
        }
        let back: CocoStats = serde_json::from_value(json).unwrap();
        assert_eq!(back.values(), values);
    }
}
