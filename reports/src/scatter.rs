//! The paper's figure 1: accuracy against the mean of AP and APmask, a marker per system and variant, a figure per backbone and
//! protocol. Places labels so that they overlap neither each other nor a marker.

use std::f64::consts::PI;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::curves::{Figure, plain, styles};
use crate::error::{ReportError, Result};
use crate::figure::{AXIS, FONT, INK, LEFT, RULE, WIDTH, colour, head, short, text_width};
use crate::group::{Group, Metric, label};
use crate::number::{Estimate, count};
use crate::verdict::{SetNames, sets};

/// Drawn as a star, as in the paper.
const STAR: &str = "adamv-moe";
const HEIGHT: u32 = 420;
/// Pixels: the radius of the largest marker, the smallest that is drawn, one where nothing is known of its cost.
const LARGEST: f64 = 15.0;
const SMALLEST: f64 = 3.0;
const UNKNOWN: f64 = 6.0;
/// Pixels that a line of a label takes.
const LINE: i32 = 16;

struct Point {
    label: String,
    style: usize,
    star: bool,
    /// Mean of AP and APmask, percent, over the seeds that have all three.
    x: Estimate,
    /// Accuracy, percent, over the same seeds.
    y: Estimate,
    /// Multiply-adds of an image of each task together, millions.
    macs: Option<f64>,
}

/// A figure per backbone and protocol where two markers or more can be drawn.
///
/// # Errors
/// A defect of the drawing.
pub(crate) fn scatter(groups: &[Group]) -> Result<Vec<Figure>> {
    let styles = styles(groups);
    let names = SetNames::new(groups);
    let mut figures = Vec::new();
    for set in sets(groups) {
        let points: Vec<Point> = set.iter().filter_map(|group| point(group, &styles)).collect();
        if points.len() < 2 {
            continue;
        }
        let left_out: Vec<String> =
            set.iter().filter(|group| point(group, &styles).is_none()).map(|group| group.label()).collect();
        figures.push(figure(&points, &left_out, &names.of(&set), &set[0].id.backbone, figures.len())?);
    }
    Ok(figures)
}

fn point(group: &Group, styles: &[String]) -> Option<Point> {
    let of = |record| {
        let [accuracy, ap, mask] = [Metric::Accuracy, Metric::Ap, Metric::ApMask].map(|metric| metric.of(record).ok());
        Some((0.5 * (ap? + mask?), accuracy?))
    };
    let (x, y): (Vec<f64>, Vec<f64>) = group.done().filter_map(of).unzip();
    let name = label(group.id);
    let macs = ["classification", "detection"].map(|task| group.macs(task).ok().map(|macs| macs.mean));
    Some(Point {
        label: group.label(),
        style: styles.iter().position(|other| *other == name).unwrap_or(0),
        star: group.id.system == STAR,
        x: Estimate::of(&x)?,
        y: Estimate::of(&y)?,
        macs: macs[0].zip(macs[1]).map(|(a, b)| a + b),
    })
}

fn figure(points: &[Point], left_out: &[String], set: &str, backbone: &str, number: usize) -> Result<Figure> {
    let name = format!("figure-1-{}-{}", number + 1, plain(backbone));
    let title = format!("Accuracy against the mean of AP and APmask, {set}");
    let macs = |point: &Point| point.macs.map_or_else(|| "MACs not recorded".to_owned(), |m| format!("{m:.0} M MACs"));
    let told: Vec<String> = points
        .iter()
        .map(|p| format!("{}: accuracy {}%, mean of AP and APmask {}%, {}", p.label, p.y.text(), p.x.text(), macs(p)))
        .collect();
    let description = format!("{}. {}.", count(points.len(), "marker"), told.join("; "));
    let bars = if points.iter().any(|point| point.y.deviation.is_some()) {
        " Bars: one standard deviation over seeds, to both sides."
    } else {
        ""
    };
    let largest = points.iter().filter_map(|point| point.macs).fold(0.0, f64::max);
    let area = if largest > 0.0 {
        let smallest = points.iter().filter_map(|point| point.macs).fold(f64::INFINITY, f64::min);
        let range = if format!("{smallest:.0}") == format!("{largest:.0}") {
            format!("{largest:.0} M for all here")
        } else {
            format!("{smallest:.0} to {largest:.0} M here")
        };
        format!("A marker's area is proportional to its MACs, of one image of each task together: {range}.")
    } else {
        "No record has MACs, so all markers are equal.".to_owned()
    };
    let missing = if left_out.is_empty() {
        String::new()
    } else {
        format!(" Not drawn, for want of one of the three numbers: {}.", left_out.join(", "))
    };
    let caption = format!(
        "The paper's figure 1 by our cells, {set}: accuracy against the mean of AP and APmask; up and to the right is better. The star is {STAR}. {area}{bars}{missing}"
    );
    let svg = draw(points, largest, [&name, &title, &description])?;
    Ok(Figure { name, title, description, caption, svg })
}

/// Pixels, of a circle of the marker's area.
fn radius(point: &Point, largest: f64) -> f64 {
    let of = |macs: f64| (LARGEST * (macs / largest).sqrt()).max(SMALLEST);
    point.macs.filter(|_| largest > 0.0).map_or(UNKNOWN, of)
}

/// An axis around the values and their bars, never of no length.
fn range(of: impl Iterator<Item = Estimate> + Clone) -> std::ops::Range<f64> {
    let ends = of.map(|e| (e.mean - e.deviation.unwrap_or(0.0), e.mean + e.deviation.unwrap_or(0.0)));
    let (low, high) = ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), (low, high)| (a.min(low), b.max(high)));
    let room = (0.16 * (high - low)).max(0.05);
    low - room..high + room
}

fn draw(points: &[Point], largest: f64, names: [&str; 3]) -> Result<String> {
    let failed = |detail: String| ReportError::Figure { name: names[0].to_owned(), detail };
    let mut svg = String::new();
    draw_into(&mut svg, points, largest).map_err(failed)?;
    let (_, body) = svg.split_once('>').ok_or_else(|| failed("plotters made no SVG".to_owned()))?;
    let mut styles: Vec<usize> = points.iter().map(|point| point.style).collect();
    styles.sort_unstable();
    styles.dedup();
    Ok(head(names, HEIGHT, &styles, "") + body)
}

fn draw_into(svg: &mut String, points: &[Point], largest: f64) -> std::result::Result<(), String> {
    let error = |e: DrawingAreaErrorKind<_>| e.to_string();
    let root = SVGBackend::with_string(svg, (WIDTH, HEIGHT)).into_drawing_area();
    let font = || ("sans-serif", FONT).into_font().color(&INK);
    let mut chart = ChartBuilder::on(&root)
        .margin_top(12)
        .margin_right(16)
        .y_label_area_size(LEFT)
        .x_label_area_size(AXIS)
        .build_cartesian_2d(range(points.iter().map(|p| p.x)), range(points.iter().map(|p| p.y)))
        .map_err(error)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RULE)
        .axis_style(RULE)
        .x_labels(6)
        .y_labels(6)
        .label_style(font())
        .axis_desc_style(font())
        .x_desc("Mean of AP and APmask (%)")
        .y_desc("Accuracy (%)")
        .x_label_formatter(&|value| format!("{value:.1}"))
        .y_label_formatter(&|value| format!("{value:.1}"))
        .draw()
        .map_err(error)?;
    let at = |x: f64, y: f64| chart.backend_coord(&(x, y));
    let mut bars: Vec<Area> = Vec::new();
    for point in points {
        // Bars are thin boxes: lines have a style of their own in these figures.
        let mut bar = |a: (i32, i32), b: (i32, i32)| {
            bars.push([a.0.min(b.0), a.1.min(b.1), a.0.max(b.0) + 1, a.1.max(b.1) + 1]);
            let [left, top, right, bottom] = bars[bars.len() - 1];
            root.draw(&Rectangle::new([(left, top), (right, bottom)], colour(point.style).filled())).map_err(error)
        };
        let (x, y) = (point.x, point.y);
        if let Some(d) = x.deviation {
            bar(at(x.mean - d, y.mean), at(x.mean + d, y.mean))?;
        }
        if let Some(d) = y.deviation {
            bar(at(x.mean, y.mean - d), at(x.mean, y.mean + d))?;
        }
    }
    let markers: Vec<(i32, i32, i32)> = points
        .iter()
        .map(|point| {
            let (x, y) = at(point.x.mean, point.y.mean);
            (x, y, radius(point, largest).round() as i32)
        })
        .collect();
    for (point, (x, y, radius)) in points.iter().zip(&markers) {
        let fill = colour(point.style).mix(0.8).filled();
        if point.star {
            let corners = star(*radius).into_iter().map(|(dx, dy)| (x + dx, y + dy)).collect::<Vec<_>>();
            root.draw(&Polygon::new(corners, fill)).map_err(error)?;
        } else {
            root.draw(&Circle::new((*x, *y), *radius, fill)).map_err(error)?;
        }
    }
    let texts: Vec<String> = points.iter().map(|point| short(&point.label)).collect();
    let widths: Vec<i32> = texts.iter().map(|text| text_width(text)).collect();
    for ((text, (x, y)), (marker_x, marker_y, radius)) in
        texts.iter().zip(placed(&markers, &bars, &widths)).zip(&markers)
    {
        let style = font().pos(Pos::new(HPos::Left, VPos::Center));
        root.draw(&Text::new(text.clone(), (x, y), style)).map_err(error)?;
        // A label that had to go further away is tied to its marker.
        let width = text_width(text);
        let near = (x.clamp(*marker_x - width, *marker_x), y);
        let end = ((*marker_x).clamp(x, x + width), y);
        let (dx, dy) = (end.0 - marker_x, near.1 - marker_y);
        if f64::from(dx * dx + dy * dy).sqrt() > f64::from(radius + 2 * LINE) {
            let tie = PathElement::new(vec![(*marker_x, *marker_y), end], RULE.stroke_width(1));
            root.draw(&tie).map_err(error)?;
        }
    }
    root.present().map_err(error)
}

/// The ten corners of a star with the area of a circle of this radius, around 0. A star's inner corners lie at 0.45 of its outer radius; its
/// area is then 5 x 0.45 x sin(36°) of the outer radius squared.
fn star(radius: i32) -> Vec<(i32, i32)> {
    let inner = 0.45;
    let outer = f64::from(radius) * (PI / (5.0 * inner * (PI / 5.0).sin())).sqrt();
    (0..10)
        .map(|corner| {
            let angle = PI / 5.0 * f64::from(corner);
            let far = if corner % 2 == 0 { outer } else { inner * outer };
            ((far * angle.sin()).round() as i32, (-far * angle.cos()).round() as i32)
        })
        .collect()
}

/// Left, top, right, bottom.
type Area = [i32; 4];

fn overlap(a: &Area, b: &Area) -> i64 {
    let width = a[2].min(b[2]) - a[0].max(b[0]);
    let height = a[3].min(b[3]) - a[1].max(b[1]);
    i64::from(width.max(0)) * i64::from(height.max(0))
}

/// Where labels of these widths begin, at half their height: each at the first place around its marker, near ones first, that is free of markers, bars
/// and labels; where none is free, at the one with the least in its way.
fn placed(markers: &[(i32, i32, i32)], bars: &[Area], widths: &[i32]) -> Vec<(i32, i32)> {
    // Stars reach further than circles of their area.
    let taken: Vec<Area> = markers
        .iter()
        .map(|(x, y, radius)| {
            let reach = radius * 3 / 2 + 1;
            [x - reach, y - reach, x + reach, y + reach]
        })
        .collect();
    let frame = [LEFT as i32 + 2, 12, WIDTH as i32 - 4, (HEIGHT - AXIS) as i32 - 4];
    let taken: Vec<Area> = taken.into_iter().chain(bars.iter().copied()).collect();
    let mut labels: Vec<Area> = Vec::new();
    for ((x, y, radius), width) in markers.iter().zip(widths) {
        let gap = radius * 3 / 2 + 4;
        let mut best: Option<(i64, Area)> = None;
        for far in 0..8 {
            let away = far * LINE;
            let (right, left) = (x + gap + away / 2, x - gap - away / 2 - width);
            let middle = x - width / 2;
            let up = y - gap - LINE / 2 - away;
            let down = y + gap + LINE / 2 + away;
            let beside = if far == 0 { vec![(right, *y), (left, *y)] } else { Vec::new() };
            let around = [(middle, up), (middle, down), (right, up), (right, down), (left, up), (left, down)];
            for (left, centre) in beside.into_iter().chain(around) {
                let area = [left, centre - LINE / 2, left + width, centre + LINE / 2];
                let outside = i64::from(*width) * i64::from(LINE) - overlap(&area, &frame);
                let others = taken.iter().chain(&labels).map(|other| overlap(&area, other)).sum::<i64>();
                let in_way = 4 * outside + others;
                if best.as_ref().is_none_or(|(least, _)| in_way < *least) {
                    best = Some((in_way, area));
                }
            }
            if matches!(best, Some((0, _))) {
                break;
            }
        }
        labels.push(best.map_or([*x, *y, x + width, y + LINE], |(_, area)| area));
    }
    labels.iter().map(|area| (area[0], (area[1] + area[3]) / 2)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_free_of_each_other_and_of_markers() {
        // Six markers in a heap, and one in the upper right corner.
        let markers = [
            (300, 200, 15),
            (306, 204, 12),
            (312, 196, 12),
            (298, 210, 10),
            (303, 190, 9),
            (310, 207, 8),
            (590, 14, 15),
        ];
        let widths = [100, 80, 120, 60, 90, 150, 110];
        let bars = [[280, 203, 380, 204], [304, 150, 305, 260]];
        let places = placed(&markers, &bars, &widths);
        let area = |at: usize| {
            let (x, y) = places[at];
            [x, y - LINE / 2, x + widths[at], y + LINE / 2]
        };
        for one in 0..places.len() {
            let [left, top, right, bottom] = area(one);
            assert!(left >= LEFT as i32 && top >= 12 && right <= WIDTH as i32 && bottom <= HEIGHT as i32, "{one}");
            for (x, y, radius) in markers {
                assert_eq!(overlap(&area(one), &[x - radius, y - radius, x + radius, y + radius]), 0, "{one}");
            }
            for bar in bars {
                assert_eq!(overlap(&area(one), &bar), 0, "{one}");
            }
            for other in 0..one {
                assert_eq!(overlap(&area(one), &area(other)), 0, "{one} and {other}");
            }
        }
    }

    /// By the shoelace formula; whole pixels leave a few percent.
    #[test]
    fn a_star_has_the_area_of_its_circle() {
        let corners = star(40);
        let area: i32 = (0..10)
            .map(|i| {
                let ((x0, y0), (x1, y1)) = (corners[i], corners[(i + 1) % 10]);
                x0 * y1 - x1 * y0
            })
            .sum();
        assert!((0.5 * f64::from(area).abs() / (PI * 1600.0) - 1.0).abs() < 0.03, "{area}");
    }

    #[test]
    fn areas_are_proportional_to_macs() {
        let point = |macs| Point {
            label: String::new(),
            style: 0,
            star: false,
            x: Estimate { mean: 0.0, deviation: None },
            y: Estimate { mean: 0.0, deviation: None },
            macs,
        };
        assert_eq!(radius(&point(Some(400.0)), 400.0), LARGEST);
        assert_eq!(radius(&point(Some(100.0)), 400.0), LARGEST / 2.0);
        assert_eq!(radius(&point(None), 400.0), UNKNOWN);
    }
}
