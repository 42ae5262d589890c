//! Looks inside the cells, from probes made by hand: the picture is the right one, and nobody's name becomes markup.

mod fixture;
mod looks;

use adamv_reports::{load, write};
use adamv_store::{DetectionError, History, Place, Probes};
use fixture::{HOSTILE, id};
use looks::*;

fn close(got: f64, want: f64, bound: f64, what: &str) {
    assert!((got - want).abs() <= bound, "{what}: {got} instead of {want}");
}

/// The corners and the sides of the squares of a path `Mx yhavbh-az..`.
fn squares(path: &str) -> Vec<[f64; 4]> {
    let number = |text: &str| text.parse::<f64>().unwrap();
    attribute(path, "d")
        .split_terminator('z')
        .map(|square| {
            let (corner, sides) = square.strip_prefix('M').unwrap().split_once('h').unwrap();
            let (x, y) = corner.split_once(' ').unwrap();
            let (width, rest) = sides.split_once('v').unwrap();
            let (height, back) = rest.split_once('h').unwrap();
            assert_eq!(back, format!("-{width}"));
            [number(x), number(y), number(width), number(height)]
        })
        .collect()
}

/// The picture is 268 px wide and starts at y 24, so a patch of 8 x 8 has 33.5 px. Its border, 3 px, lies inside: 1.5 px from its edge
/// to the middle of the stroke.
#[test]
fn two_experts_split_an_image_in_halves() {
    let left = |n: u32| n % 8 < 4;
    let first = (0..64).map(|n| u32::from(!left(n))).collect();
    let second = (0..64).map(|n| u32::from(left(n))).collect();
    let report = report_of(Probes { routed_images: vec![routed(first, second, 8, 8)], ..Probes::default() });
    let svg = figure(&report, "patches-");
    // Colours A and B in the first and in the last MoE layer, which is 292 px to the right; the one between is not drawn.
    let a = elements(svg, "path", "class=\"first\" fill=\"none\" stroke=\"#e69f00\"");
    let b = elements(svg, "path", "class=\"first\" fill=\"none\" stroke=\"#56b4e9\"");
    assert_eq!((a.len(), b.len(), elements(svg, "path", "class=\"first\"").len()), (2, 2, 4));
    for (panel, offset) in [0.0, 292.0].into_iter().enumerate() {
        for (path, from) in [(a[panel], 0), (b[panel], 4)] {
            let wanted: Vec<[f64; 4]> = (0..8)
                .flat_map(|row| (from..from + 4).map(move |column| (row, column)))
                .map(|(row, column)| {
                    [offset + 33.5 * f64::from(column) + 1.5, 24.0 + 33.5 * f64::from(row) + 1.5, 30.5, 30.5]
                })
                .collect();
            assert_eq!(squares(path), wanted);
        }
        // The second choice fills the other half's patches, up to their edge.
        let fills = elements(svg, "path", "class=\"second\" fill=\"#56b4e9\"");
        assert_eq!(squares(fills[panel])[0], [offset, 24.0, 33.5, 33.5]);
        assert_eq!(squares(fills[panel]).len(), 32);
    }
    assert!(svg.contains("First MoE layer (block 1)") && svg.contains("Last MoE layer (block 5)"));
    assert!(svg.contains("patches by first choice: expert 0 in 32, expert 1 in 32"));
    // One copy of the picture, which needs nothing from outside.
    assert_eq!(svg.matches("data:image/jpeg;base64,/9j/").count(), 1);
}

#[test]
fn more_experts_than_colours_have_numbers_and_one_expert_per_token_has_no_fill() {
    let probes = Probes { routed_images: vec![routed((0..16).collect(), vec![], 4, 4)], ..Probes::default() };
    let report = report_of(probes);
    let svg = figure(&report, "patches-");
    assert_eq!(elements(svg, "text", "class=\"small on\"").len(), 32);
    assert!(svg.contains(">15</text>") && svg.contains(">0, 8</text>") && svg.contains("Colours come again"));
    assert!(elements(svg, "path", "class=\"second\"").is_empty());
}

/// 30 of 40 pairs are 75%: the axis goes to 80%, 180 px high, so that bars have 168.75 and 56.25 px.
#[test]
fn usage_has_shares_that_sum_to_one_and_bars_of_their_height() {
    let mut probes = Probes { classes: vec![class("classification", 2, "Ring")], ..Probes::default() };
    probes.expert_use = used("classification", 1, None, &[5, 5, 0, 0]);
    probes.expert_use.extend(used("classification", 5, None, &[30, 10, 0, 0]));
    probes.expert_use.extend(used("classification", 5, Some(2), &[1, 3, 0, 0]));
    let report = report_of(probes);
    let svg = figure(&report, "expert-use-1-adamv-moe");
    let bars: Vec<f64> =
        elements(svg, "rect", "class=\"s0\"").into_iter().skip(1).map(|bar| number(bar, "height")).collect();
    assert_eq!(bars, [168.75, 56.25, 0.0, 0.0]);
    let heat =
        report.figures.iter().find(|(name, _)| name == "expert-use-1-adamv-moe-classification").map(|(_, svg)| svg);
    let heat = heat.unwrap();
    // The largest share of the map is the full colour: 25% of 75% is a third of it.
    let opacities: Vec<f64> = elements(heat, "rect", "fill=\"#1d5fa8\"")
        .into_iter()
        .take(4)
        .map(|tile| number(tile, "fill-opacity"))
        .collect();
    assert_eq!(opacities, [0.33, 1.0, 0.0, 0.0]);
    assert!(heat.contains(">Ring</text>") && heat.contains(">75%</text>"));
    let mut sums = std::collections::BTreeMap::<String, f64>::new();
    for line in table(&report, "expert-use").lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        *sums.entry(fields[2..5].join(",")).or_default() += fields[8].trim().parse::<f64>().unwrap();
    }
    assert_eq!(sums.len(), 3);
    sums.values().for_each(|sum| close(*sum, 1.0, 1e-12, "shares"));
}

/// Boxes of 240 / 2 px from (22, 34) on.
#[test]
fn similarities_are_symmetric_and_have_their_colours() {
    let rows = vec![
        alike("detection", 5, 0, 0, Some(0.98)),
        alike("detection", 5, 0, 1, Some(-0.25)),
        alike("detection", 5, 1, 1, None),
    ];
    let report = report_of(Probes { similarities: rows, ..Probes::default() });
    let svg = figure(&report, "similarities-");
    let tiles: Vec<(&str, f64, f64, f64)> = elements(svg, "rect", "width=\"119\"")
        .into_iter()
        .map(|tile| (attribute(tile, "fill"), number(tile, "fill-opacity"), number(tile, "x"), number(tile, "y")))
        .collect();
    let wanted = [("#c2410c", 0.98, 22.5, 34.5), ("#1d5fa8", 0.25, 142.5, 34.5), ("#1d5fa8", 0.25, 22.5, 154.5)];
    assert_eq!(tiles, wanted);
    assert_eq!(elements(svg, "path", "class=\"rule none\"").len(), 1);
    assert_eq!(svg.matches(">−.25</text>").count(), 2);
    // White on the strong colour: luminance 0.16 on white paper; black on the pale one.
    assert!(svg.contains("class=\"small strong\">.98</text>") && svg.contains("class=\"small deep\">−.25</text>"));
}

/// The axis of steps is 44 px above the lower edge.
#[test]
fn routing_that_never_changes_is_a_flat_line_at_zero() {
    let changes = |wide: f64| -> Vec<_> {
        (100..=400)
            .step_by(100)
            .flat_map(|step| [moved(step, "detection", 1, 0.0), moved(step, "detection", 5, wide)])
            .collect()
    };
    let seeds = [0.2, 0.4].map(|wide| Probes { routing_changes: changes(wide), ..Probes::default() });
    let [one, two] = seeds;
    let report = report(&results(vec![("adamv-moe", 0, one), ("adamv-moe", 1, two)]));
    let svg = figure(&report, "routing-changes-");
    let height: f64 = svg.split("viewBox=\"0 0 600 ").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
    let lines: Vec<_> = elements(svg, "polyline", "stroke-width=\"2\"")
        .into_iter()
        .map(points)
        .filter(|line| line.len() == 4)
        .collect();
    let [shallow, deep] = &lines[..] else { panic!("{svg}") };
    shallow.iter().for_each(|point| close(point[1], height - 44.0, 1.0, "the line at 0"));
    // The mean of both seeds, 0.3, is the highest value, and 4% below the top of the axis: the panel starts below a row of the
    // legend, 30 px, and a margin of 10, and is 240 px high.
    deep.iter().for_each(|point| close(point[1], 30.0 + 10.0 + 240.0 * (1.0 - 1.0 / 1.04), 1.0, "the line at 0.3"));
    assert!(svg.contains("last MoE layer (block 5): from 0.30 at step 100 to 0.30 at step 400"));
    assert!(
        report.markdown.contains("Joint phase, mean of 2 seeds: first MoE layer (block 1), last MoE layer (block 5).")
    );
}

/// Cosines lie between x 132 and 550; a bin has 10.45 px.
#[test]
fn equal_gradients_lie_at_one_and_opposite_ones_at_minus_one() {
    // Gradients (2, 4) of both tasks, on two weights; then (2, 4) and (-2, -4).
    let same = |sign: f64| vec![pair(10, "a", sign * 4.0, 2.0, 2.0), pair(10, "b", sign * 16.0, 4.0, 4.0)];
    for (sign, x) in [(1.0, 132.0 + 39.0 * 10.45), (-1.0, 132.0)] {
        let report = report_of(Probes { gradients: same(sign), ..Probes::default() });
        let bars = elements(figure(&report, "gradients"), "rect", "class=\"s0\"");
        assert_eq!(bars.len(), 1);
        close(number(bars[0], "x"), x, 0.01, "the bar");
        close(number(bars[0], "height"), 54.0, 0.01, "all of it");
        assert_eq!(table(&report, "gradients").lines().nth(1), Some(&*format!("adamv-moe,0,10,{sign}")));
        let negative = if sign < 0.0 { "| −1.000 | 100.0 | 1 | 1 |" } else { "| 1.000 | 0.0 | 1 | 1 |" };
        assert!(report.markdown.contains(negative), "{}", report.markdown);
    }
}

/// 0.0325 is in bin 33 of 40 between -0.05 and 0.05, -0.0125 in bin 15; the axis ends at 0.1 once a step reaches 0.06.
#[test]
fn the_axis_of_cosines_ends_where_they_do() {
    let cosines = |cosines: &[f64]| -> Vec<f64> {
        let gradients = (1..).zip(cosines).map(|(step, cosine)| pair(step, "a", *cosine, 1.0, 1.0)).collect();
        let report = report_of(Probes { gradients, ..Probes::default() });
        elements(figure(&report, "gradients"), "rect", "class=\"s0\"").into_iter().map(|bar| number(bar, "x")).collect()
    };
    assert_eq!(cosines(&[0.0325, -0.0125]), [288.75, 476.85]);
    assert_eq!(cosines(&[0.0325, -0.0125, 0.0601]), [132.0 + 17.0 * 10.45, 132.0 + 26.0 * 10.45, 132.0 + 32.0 * 10.45]);
}

/// Weight a agrees, weight b does not: (1 - 6) / (sqrt(1 + 4) sqrt(1 + 9)) = -0.7071; the mean of both cosines would be 0.
#[test]
fn the_cosine_is_that_of_the_whole_gradient() {
    let mut gradients = vec![pair(10, "a", 1.0, 1.0, 1.0), pair(10, "b", -6.0, 2.0, 3.0)];
    // A step without a gradient has no cosine.
    gradients.extend([pair(20, "a", 0.0, 0.0, 1.0), pair(20, "b", 0.0, 0.0, 1.0)]);
    let report = report_of(Probes { gradients, ..Probes::default() });
    let lines: Vec<&str> = table(&report, "gradients").lines().skip(1).collect();
    assert_eq!(lines.len(), 1);
    close(lines[0].rsplit(',').next().unwrap().parse().unwrap(), -0.5f64.sqrt(), 1e-12, "cosine");
}

/// Steps 0 to 400 lie between x 70 and 584.
#[test]
fn k_rises_where_the_history_says() {
    let mut results = results(vec![("adamv-moe", 0, Probes::default())]);
    let mut history = History::default();
    history.push(400, "joint", "detection", "mask", 1.0);
    aes(
        &mut history,
        "detection",
        &[(100, 2.0, 1.0, None, 0.0), (200, 3.0, 1.1, Some(1.0), 2.0), (300, 2.0, 1.2, Some(1.0), 3.0)],
    );
    results.runs[0].cells[0].history = history;
    let report = report(&results);
    let svg = figure(&report, "aes-");
    let lines: Vec<_> = elements(svg, "polyline", "stroke-width=\"2\"").into_iter().map(points).collect();
    let stairs = lines.iter().find(|line| line.len() == 6).unwrap();
    for (point, step) in stairs.iter().zip([0.0, 200.0, 200.0, 300.0, 300.0, 400.0]) {
        close(point[0], 70.0 + 514.0 * step / 400.0, 1.5, "step");
    }
    let heights: Vec<f64> = stairs.iter().map(|point| point[1]).collect();
    assert!(
        heights[0] == heights[1] && heights[1] > heights[2] && heights[2] == heights[3] && heights[4] == heights[0]
    );
    // Two moves, marked in the panel of K and in that of the loss.
    assert_eq!(elements(svg, "circle", "r=\"4\"").len(), 4);
    assert!(
        report
            .markdown
            .contains("| detection | joint | 200 | 1.1000 | 1.0000 | 3 | loss did not fall: one more expert |")
    );
    assert!(table(&report, "aes").contains("adamv-moe,0,detection,joint,300,1.2,1,2,3,\"no better with"));
    assert!(report.markdown.contains("K after training: detection 2 (seed 0)."));
    // No probes: the line that says so, and what the history tells all the same.
    assert!(report.markdown.contains("This run recorded no probes"));
}

/// A recall of 0.5 reaches 51 of 101 recalls: 50.50%. Five of ten thresholds are 50%.
#[test]
fn average_precision_class_by_class() {
    let classes =
        vec![class("detection", 1, "Disc"), class("detection", 4, "Star"), class("classification", 2, "other")];
    let mut results = results(vec![
        ("mtl-vit", 0, Probes::default()),
        ("adamv-moe", 0, Probes { classes, ..Probes::default() }),
        ("adamv-moe", 1, Probes::default()),
    ]);
    for cell in &mut results.runs[0].cells {
        cell.matches = (cell.id.system == "adamv-moe").then(matches);
    }
    // Nothing is found of class 1 with seed 1: the mean is half.
    results.runs[0].cells[2].matches.as_mut().unwrap().detections.remove(0);
    let report = report(&results);
    let markdown = &report.markdown;
    let (boxes, masks) = markdown.split_once("AP of masks by class").unwrap();
    assert!(boxes.contains("| Disc | 2 | 25.25 ± 35.71 |"), "{boxes}");
    assert!(boxes.contains("| 2 | 1 | 50.00 ± 0.00 |") && masks.contains("| 2 | 1 | 0.00 ± 0.00 |"));
    assert!(boxes.contains("| 3 | 1 | 0.00 ± 0.00 |") && boxes.contains("| Star | 0 | — no objects |"));
    assert!(markdown.contains("mtl-vit stored no matched detections."));
    let line = table(&report, "classes").lines().find(|line| line.contains("Disc")).unwrap();
    close(line.split(',').nth(5).unwrap().parse().unwrap(), 100.0 * 51.0 / 101.0 / 2.0, 1e-9, "Disc");
    assert!(table(&report, "classes").contains("adamv-moe,4,Star,0,0,,,,\r\n"));
}

#[test]
fn errors_have_bars_of_their_height_and_words() {
    let error = |iou: &str, kind: &str, delta_ap50| DetectionError {
        iou_type: iou.into(),
        kind: kind.into(),
        delta_ap50,
        count: Some(3),
    };
    let errors = |cls| vec![error("bbox", "Cls", cls), error("segm", "Cls", 0.05), error("bbox", "Miss", 0.08)];
    let seeds = [0.05, 0.15].map(|cls| Probes { errors: errors(cls), ..Probes::default() });
    let [one, two] = seeds;
    let report = report(&results(vec![("adamv-moe", 0, one), ("adamv-moe", 1, two)]));
    // The highest is the mean of 5 and 15 points; the axis ends there, 180 px high.
    let svg = figure(&report, "errors-");
    let heights = |series: &str| -> Vec<f64> {
        elements(svg, "rect", series).into_iter().skip(1).map(|bar| number(bar, "height")).collect()
    };
    assert_eq!((heights("class=\"s0\""), heights("class=\"s1\"")), (vec![180.0, 144.0], vec![90.0]));
    assert!(
        report.markdown.contains("| adamv-moe | 10.00 ± 7.07 | — | — | — | — | 8.00 ± 0.00 |"),
        "{}",
        report.markdown
    );
    assert!(report.markdown.contains("- Dupe: the object is found a second time."));
}

/// 67 px are drawn as 268: four times as large, from y 24 on; what was found is 292 px to the right.
#[test]
fn outlines_of_the_gallery_are_where_the_numbers_say() {
    let classes = vec![class("detection", 1, "Square"), class("detection", 2, "Disc")];
    let gallery = vec![shown(Place::Worst, vec![outlined(2, Some(0.875))], 0.125)];
    let report = report_of(Probes { classes, gallery, ..Probes::default() });
    let svg = figure(&report, "gallery-");
    let masks = elements(svg, "path", "fill-rule=\"evenodd\"");
    let paths: Vec<&str> = masks.iter().map(|mask| attribute(mask, "d")).collect();
    let diamond = "M184 112L232 160L184 208L136 160Z";
    let square = "M40 64L120 64L120 144L40 144ZM60 84L80 84L80 104L60 104Z";
    assert_eq!(paths, [diamond, square, "M476 112L524 160L476 208L428 160Z"]);
    let boxes: Vec<[f64; 4]> = elements(svg, "rect", "class=\"box\"")
        .into_iter()
        .map(|one| ["x", "y", "width", "height"].map(|name| number(one, name)))
        .collect();
    assert_eq!(boxes, [[136.0, 112.0, 96.0, 96.0], [40.0, 64.0, 80.0, 80.0], [428.0, 112.0, 96.0, 96.0]]);
    // One colour a class, on both sides.
    assert_eq!((attribute(masks[0], "fill"), attribute(masks[2], "fill")), ("#56b4e9", "#56b4e9"));
    assert!(svg.contains("Ground truth: Square, Disc. Detected: Disc 0.88.") && svg.contains(">Disc 0.88</text>"));
    assert!(report.markdown.contains("Worst: val/000007.jpg, AP 12.5%"));
}

#[test]
fn what_is_absent_says_why() {
    let old = report(&results(vec![("mtl-vit", 0, Probes::default()), ("adamv-moe", 0, Probes::default())]));
    let line = "This run recorded no probes: there are no looks inside the experts, at the tasks' gradients and at single images.";
    assert!(old.markdown.contains(line) && old.html.contains("This run recorded no probes"));
    assert!(!old.html.contains("<svg class=\"look\"") && !old.html.contains("Inside the experts"));

    let experts = Probes { expert_use: used("detection", 1, None, &[1, 1]), ..Probes::default() };
    let dense = Probes { gradients: vec![pair(1, "a", 1.0, 1.0, 1.0)], ..Probes::default() };
    let cells = vec![
        ("stl", 0, Probes::default()),
        ("mtl-vit", 0, dense.clone()),
        ("taps", 0, dense),
        ("adamv-moe", 0, experts),
    ];
    let markdown = report(&results(cells)).markdown;
    for words in [
        "stl, mtl-vit and taps have no experts.",
        "adamv-moe recorded no pictures with the experts of their patches.",
        "stl recorded no probes.",
        "adamv-moe recorded no step in which both tasks move a weight that they share.",
        "K is fixed in adamv-moe: no adaptive expert selection.",
    ] {
        assert!(markdown.contains(words), "{words}\n{markdown}");
    }
    let dense = Probes { gradients: vec![pair(1, "a", 1.0, 1.0, 1.0)], ..Probes::default() };
    assert!(report(&results(vec![("mtl-vit", 0, dense)])).markdown.contains("No system of this run has experts."));
}

#[test]
fn the_paper_s_system_is_shown_and_others_are_opened() {
    let probes = || Probes { routed_images: vec![routed(vec![0; 4], vec![], 2, 2)], ..Probes::default() };
    let html = report(&results(vec![("mtl-moe", 0, probes()), ("adamv-moe", 1, probes())])).html;
    let part = html.split_once("id=\"patches-title\"").unwrap().1;
    let (shown, folded) = part.split_once("<details>").unwrap();
    assert!(shown.contains("<h4>adamv-moe</h4>") && shown.contains("href=\"#cell-2\""));
    assert!(folded.contains("<summary>mtl-moe</summary>") && folded.contains("href=\"#cell-1\""));
    // Alone it is shown.
    let html = report(&results(vec![("mtl-moe", 0, probes())])).html;
    assert!(html.contains("<h4>mtl-moe</h4>") && !html.contains("<details>"));
}

#[test]
fn hostile_names_stay_text() {
    let formula = "=HYPERLINK(\"http://x\")";
    let mut probes = rich(0, 4);
    for class in &mut probes.classes {
        class.name = HOSTILE.into();
    }
    probes.classes[1].name = formula.into();
    for image in &mut probes.routed_images {
        (image.image, image.task) = (HOSTILE.into(), HOSTILE.into());
    }
    probes.gallery.iter_mut().for_each(|image| image.image = HOSTILE.into());
    probes.expert_use.iter_mut().filter(|row| row.task == "detection").for_each(|row| row.task = HOSTILE.into());
    probes.similarities.iter_mut().for_each(|row| row.task = HOSTILE.into());
    probes.routing_changes.iter_mut().for_each(|row| row.task = HOSTILE.into());
    probes.routing_changes.iter_mut().for_each(|row| row.phase = HOSTILE.into());
    let mut results = results(vec![("adamv-moe", 0, probes)]);
    let cell = &mut results.runs[0].cells[0];
    cell.matches = Some(matches());
    cell.id.system = HOSTILE.into();
    aes(&mut cell.history, HOSTILE, &[(100, 2.0, 1.0, None, 0.0)]);
    let report = report(&results);
    let formats = [("html", &report.html), ("markdown", &report.markdown)];
    for (format, text) in formats.into_iter().chain(report.figures.iter().map(|(name, svg)| (name.as_str(), svg))) {
        let text: String = text.lines().filter(|line| !(format == "markdown" && line.starts_with("    "))).collect();
        assert!(!text.contains("<img"), "{format}");
    }
    for start in
        ["patches-", "gallery-", "aes-", "routing-changes-", "similarities-", "expert-use-", "errors-", "gradients"]
    {
        let mut of = report.figures.iter().filter(|(name, _)| name.starts_with(start)).peekable();
        assert!(of.peek().is_some(), "{start}");
        assert!(of.all(|(_, svg)| svg.contains("&lt;img")), "{start}");
    }
    for (name, _) in &report.figures {
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{name}");
    }
    assert!(table(&report, "classes").contains(HOSTILE) && table(&report, "classes").contains("\"'=HYPERLINK"));
    assert!(!report.markdown.contains("\n# x") && report.markdown.contains("&lt;img"));
}

#[test]
fn the_page_is_well_formed_self_contained_and_the_same_again() {
    let results = everything();
    let one = report(&results);
    assert_eq!(one, report(&results));
    for outside in ["src=\"", "@import", "url(", "href=\"http", "<iframe", "fetch("] {
        assert!(!one.html.contains(outside), "{outside}");
    }
    let ids: Vec<&str> = one.html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), ids.len());
    for target in one.html.split("href=\"#").chain(one.html.split("aria-labelledby=\"")).skip(1) {
        let target = target.split('"').next().unwrap();
        assert!(target.starts_with("<!DOCTYPE") || target.split(' ').all(|id| ids.contains(&id)), "{target}");
    }
    for tag in ["section", "details", "summary", "figure", "svg", "table", "ul", "p", "h3", "h4"] {
        let open = one.html.matches(&format!("<{tag}>")).count() + one.html.matches(&format!("<{tag} ")).count();
        assert_eq!(open, one.html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    for (name, svg) in &one.figures {
        assert!(
            svg.contains(&format!("<title id=\"{name}-title\">"))
                && svg.contains(&format!("<desc id=\"{name}-desc\">"))
        );
        assert!(svg.contains("prefers-color-scheme:dark"), "{name}");
        assert!(one.markdown.contains(&format!("(figures/{name}.svg)")), "{name}");
    }
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    for (above, line) in one.markdown.lines().zip(one.markdown.lines().skip(1)) {
        assert!(above.is_empty() || columns(above) == columns(line) || !line.starts_with('|'), "{above}\n{line}");
    }
}

/// What a run left is what a report shows: the way through the files.
#[test]
fn probes_are_read_from_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let run = fixture::store(
        dir.path(),
        "run",
        vec![fixture::ends(fixture::done(id("adamv-moe", "base", 0), 0.7, 0.2, 0.1))],
    );
    let probes = rich(0, 8);
    probes.write(&run.join("adamv-moe-vit-micro-s0/probes")).unwrap();
    let of_files = report(&load(&[&run]).unwrap());
    assert_eq!(of_files.figures, report_of(probes).figures);
}

/// For eyes: left in the target folder, with the path printed.
#[test]
fn looks_to_look_at() {
    let html = write(&report(&everything()), &out("looks")).unwrap();
    println!("{}", html.display());
    assert!(html.is_file() && out("looks").join("tables/gradients.csv").is_file());
}
