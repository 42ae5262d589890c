//! Line figures as SVG, by plotters: stacked panels over one step axis, a legend on top. Colours are plain ones for light paper;
//! a style sheet inside the SVG gives each its dark counterpart and its dash pattern, so that a figure reads alone, inside the
//! HTML, in dark mode and without colours. Knows no record.

use std::fmt::Write;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::error::{ReportError, Result};

pub(crate) const WIDTH: u32 = 600;
/// Heights of the first panel, of each further one, of a row of the legend, of the axis' numbers and title.
const FIRST: u32 = 250;
const NEXT: u32 = 120;
const LEGEND: u32 = 24;
pub(crate) const AXIS: u32 = 44;
/// Width of the numbers and title on the left.
pub(crate) const LEFT: u32 = 70;
/// plotters writes 1/1.24 of it as the SVG's font size.
pub(crate) const FONT: u32 = 16;
const LONGEST_LABEL: usize = 36;

pub(crate) const INK: RGBColor = RGBColor(0x3a, 0x44, 0x4e);
pub(crate) const RULE: RGBColor = RGBColor(0xd9, 0xde, 0xe3);
/// The same for dark paper.
pub(crate) const INK_DARK: &str = "#c3cad2";
pub(crate) const RULE_DARK: &str = "#3a424b";

/// Colours on light and on dark paper, each 3:1 or more against its paper.
pub(crate) const COLOURS: [(u32, &str); 8] = [
    (0x0b62a4, "#6db4f2"),
    (0xb3500a, "#f2a65a"),
    (0x1a7f4b, "#5fcb8d"),
    (0xa3357a, "#ef93c9"),
    (0x5b4bb7, "#aea2f7"),
    (0x7a5c00, "#d9bd58"),
    (0x4d6470, "#a9bcc8"),
    (0xb3261e, "#f4897f"),
];
const DASHES: [&str; 4] = ["none", "7 3", "2 3", "9 3 2 3"];

/// One line of a panel.
pub(crate) struct Line {
    /// Which entry of the legend it belongs to.
    pub entry: usize,
    /// Step and value, finite, in order of the step.
    pub points: Vec<(f64, f64)>,
}

pub(crate) struct Panel {
    pub title: &'static str,
    pub lines: Vec<Line>,
    /// Points that are marked: entry of the legend, step and value.
    pub marks: Vec<(usize, (f64, f64))>,
    /// The axis goes from 0 to this at the least; None: it goes from the lowest value to the highest.
    pub axis: Option<f64>,
    /// How the axis shows a value.
    pub format: fn(&f64) -> String,
}

pub(crate) struct LineFigure<'a> {
    /// Part of file names and ids: letters, digits, `-`.
    pub name: &'a str,
    pub title: &'a str,
    pub description: &'a str,
    /// The legend: text, and a number that fixes colour and dashes.
    pub entries: Vec<(String, usize)>,
    pub panels: Vec<Panel>,
}

/// Colour of a legend entry. After eight, the colours come again a shade off, with other dashes.
pub(crate) fn colour(style: usize) -> RGBColor {
    let rgb = COLOURS[style % COLOURS.len()].0 ^ (style / COLOURS.len()) as u32 & 0x0f;
    RGBColor((rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8)
}

fn dash(style: usize) -> &'static str {
    DASHES[(style + style / COLOURS.len()) % DASHES.len()]
}

/// Draws a figure.
///
/// # Errors
/// A defect of the drawing, with the figure's name.
pub(crate) fn draw(figure: &LineFigure) -> Result<String> {
    let failed = |detail: String| ReportError::Figure { name: figure.name.to_owned(), detail };
    let rows = legend_rows(&figure.entries);
    let legend = LEGEND * rows.len() as u32 + 6;
    let height = legend + FIRST + NEXT * (figure.panels.len() as u32).saturating_sub(1) + AXIS;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        let (top, mut rest) = root.split_vertically(legend);
        draw_legend(&top, &rows).map_err(failed)?;
        let steps = figure.panels.iter().flat_map(|panel| &panel.lines).flat_map(|line| &line.points);
        let last = steps.map(|point| point.0).fold(1.0, f64::max);
        for (i, panel) in figure.panels.iter().enumerate() {
            let is_last = i + 1 == figure.panels.len();
            let own = if i == 0 { FIRST } else { NEXT } + if is_last { AXIS } else { 0 };
            let (area, below) = rest.split_vertically(own);
            draw_panel(&area, panel, &figure.entries, last, is_last).map_err(failed)?;
            rest = below;
        }
        root.present().map_err(|e| failed(e.to_string()))?;
    }
    let (_, body) = svg.split_once('>').ok_or_else(|| failed("plotters made no SVG".to_owned()))?;
    let styles: Vec<usize> = figure.entries.iter().map(|entry| entry.1).collect();
    let mut dashes = String::from(".adamv polyline{stroke-linejoin:round}");
    for style in &styles {
        let _ =
            write!(dashes, ".adamv polyline[stroke=\"{}\"]{{stroke-dasharray:{}}}", hex(colour(*style)), dash(*style));
    }
    Ok(head([figure.name, figure.title, figure.description], height, &styles, &dashes) + body)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw_panel(
    area: &Area,
    panel: &Panel,
    entries: &[(String, usize)],
    last: f64,
    is_last: bool,
) -> std::result::Result<(), String> {
    let values = || panel.lines.iter().flat_map(|line| &line.points).map(|point| point.1);
    let (low, high) = match panel.axis {
        Some(top) => (values().fold(0.0, f64::min), values().fold(top.max(f64::MIN_POSITIVE), f64::max)),
        None => {
            let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
            let margin = if high > low { 0.05 * (high - low) } else { 0.5 };
            (low - margin, high)
        }
    };
    let font = || ("sans-serif", FONT).into_font().color(&INK);
    let mut chart = ChartBuilder::on(area)
        .margin_top(10)
        .margin_right(16)
        .y_label_area_size(LEFT)
        .x_label_area_size(if is_last { AXIS } else { 6 })
        .build_cartesian_2d(0.0..last, low..low + (high - low) * 1.04)
        .map_err(|e| e.to_string())?;
    let step = |step: &f64| if is_last { format!("{step:.0}") } else { String::new() };
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT)
        .bold_line_style(RULE)
        .axis_style(RULE)
        .x_labels(6)
        .y_labels(if is_last && panel.lines.len() > 1 { 4 } else { 6 })
        .label_style(font())
        .axis_desc_style(font())
        .y_desc(panel.title)
        .x_label_formatter(&step)
        .y_label_formatter(&panel.format);
    if is_last {
        mesh.x_desc("Step");
    }
    mesh.draw().map_err(|e| e.to_string())?;
    for line in &panel.lines {
        let style = entries.get(line.entry).map_or(0, |entry| entry.1);
        let series = LineSeries::new(line.points.iter().copied(), colour(style).stroke_width(2));
        chart.draw_series(series).map_err(|e| e.to_string())?;
        // A line of one point is no line.
        if let [point] = line.points[..] {
            chart.draw_series([Circle::new(point, 3, colour(style).filled())]).map_err(|e| e.to_string())?;
        }
    }
    for (entry, point) in &panel.marks {
        let style = entries.get(*entry).map_or(0, |entry| entry.1);
        chart.draw_series([Circle::new(*point, 4, colour(style).filled())]).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// An entry at its place in the row.
struct Placed {
    x: i32,
    text: String,
    style: usize,
}

fn legend_rows(entries: &[(String, usize)]) -> Vec<Vec<Placed>> {
    let mut rows: Vec<Vec<Placed>> = Vec::new();
    let mut x = 0;
    for (text, style) in entries {
        let text = short(text);
        // 30 for the sample of the line, 22 between entries.
        let width = 30 + text_width(&text) + 22;
        if rows.is_empty() || x + width > (WIDTH - LEFT) as i32 {
            rows.push(Vec::new());
            x = 0;
        }
        if let Some(row) = rows.last_mut() {
            row.push(Placed { x: LEFT as i32 + x, text, style: *style });
        }
        x += width;
    }
    rows
}

/// A label as it is drawn: without control characters, and of a bounded length.
pub(crate) fn short(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    if text.chars().count() <= LONGEST_LABEL {
        return text;
    }
    text.chars().take(LONGEST_LABEL - 1).chain(['…']).collect()
}

/// Pixels that a label may take: 7.2 a letter of 13 px sans-serif (a wide one).
pub(crate) fn text_width(text: &str) -> i32 {
    (7.2 * text.chars().count() as f64) as i32
}

fn draw_legend(area: &Area, rows: &[Vec<Placed>]) -> std::result::Result<(), String> {
    use plotters::style::text_anchor::{HPos, Pos, VPos};
    let style = ("sans-serif", FONT).into_font().color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
    for (row, entries) in rows.iter().enumerate() {
        let y = LEGEND as i32 * row as i32 + LEGEND as i32 / 2 + 4;
        for entry in entries {
            let sample = PathElement::new(vec![(entry.x, y), (entry.x + 24, y)], colour(entry.style).stroke_width(2));
            area.draw(&sample).map_err(|e| e.to_string())?;
            area.draw(&Text::new(entry.text.clone(), (entry.x + 30, y), style.clone())).map_err(|e| e.to_string())?;
        }
    }
    Ok(())
}

/// The opening tag with name, title and description, the style sheet of the colours in use, and further rules of `light`.
pub(crate) fn head([name, title, description]: [&str; 3], height: u32, styles: &[usize], light: &str) -> String {
    let mut dark = String::new();
    for style in styles {
        let (on_light, on_dark) = (hex(colour(*style)), COLOURS[style % COLOURS.len()].1);
        let _ = write!(
            dark,
            ".adamv [stroke=\"{on_light}\"]{{stroke:{on_dark}}}.adamv [fill=\"{on_light}\"]{{fill:{on_dark}}}"
        );
    }
    let _ = write!(dark, ".adamv text{{fill:{INK_DARK}}}.adamv [stroke=\"{}\"]{{stroke:{RULE_DARK}}}", hex(RULE));
    let (title, description) = (escape(title), escape(description));
    format!(
        "<svg class=\"adamv\" role=\"img\" aria-labelledby=\"{name}-title {name}-desc\" viewBox=\"0 0 {WIDTH} {height}\" \
         xmlns=\"http://www.w3.org/2000/svg\">\n<title id=\"{name}-title\">{title}</title>\n<desc id=\"{name}-desc\">{description}</desc>\n\
         <style>.adamv text{{font-family:system-ui,sans-serif}}{light}\
         @media screen and (prefers-color-scheme:dark){{{dark}}}</style>"
    )
}

/// As plotters writes colours: in capitals.
pub(crate) fn hex(RGBColor(r, g, b): RGBColor) -> String {
    format!("#{r:02X}{g:02X}{b:02X}")
}

pub(crate) fn escape(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
