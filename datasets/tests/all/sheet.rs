//! The contact sheet through its public door: what is drawn where, broken samples, and equal bytes every time.

use adamv_datasets::image::write_png;
use adamv_datasets::{Image, ShowOptions, show};
use serde_json::json;

use crate::support::{coco, fixtures, imagenet, on_threads, write_annotations};

/// Rows of a heading and the free rows below it; columns left of the first tile.
const TOP: usize = 28 + 8;
const LEFT: usize = 8;
/// Ground of a broken sample's tile.
const BROKEN: [u8; 3] = [120, 20, 20];
const SKY_BLUE: [u8; 3] = [86, 180, 233];

fn at(sheet: &Image, x: usize, y: usize) -> [u8; 3] {
    let from = 3 * (y * sheet.width as usize + x);
    sheet.rgb[from..from + 3].try_into().unwrap()
}

/// Two pixels of the sheet for one of an image of 40 x 30.
fn options(augmented: bool) -> ShowOptions {
    let mut options = ShowOptions { tile: 80, augmented, detection_size: 80, ..Default::default() };
    options.detection.scale_jitter = [1.0, 1.0];
    options.detection.flip = false;
    options
}

#[test]
fn a_box_and_its_mask_are_drawn_where_the_object_is() {
    let dir = tempfile::tempdir().unwrap();
    write_annotations(dir.path(), &coco(dir.path()));
    let white = Image { width: 40, height: 30, rgb: vec![255; 3 * 40 * 30] };
    write_png(&dir.path().join("train/a.png"), &white).unwrap();
    // Image 3 comes first; its toothbrush, label 1, covers columns and rows 5 to 15, at four pixels each. As stored, the
    // picture stands at the bottom of its square; the model's is square, the image in its upper part.
    for (augmented, top) in [(false, TOP + 40), (true, TOP)] {
        let sheet = show(dir.path(), &ShowOptions { tile: 160, detection_size: 160, ..options(augmented) }).unwrap();
        let (left, top) = (LEFT + 20, top + 20);
        for k in 0..40 {
            for (x, y) in [(left + k, top), (left + k, top + 39), (left, top + k), (left + 39, top + k)] {
                assert_eq!(at(&sheet, x, y), SKY_BLUE, "{augmented}: edge {k}");
            }
        }
        let inside = at(&sheet, left + 20, top + 20);
        let tint = SKY_BLUE.map(|v| (255.0 + 0.3 * (f64::from(v) - 255.0)).round() as u8);
        assert!(inside.iter().zip(tint).all(|(a, b)| a.abs_diff(b) <= 1), "{augmented}: {inside:?}, want {tint:?}");
        assert_eq!([at(&sheet, left + 42, top + 20), at(&sheet, left + 20, top + 42)], [[255; 3]; 2]);
        // The crowd on columns 0 and 1 is shown as stored; the model does not see it.
        let grey = (0..80).filter(|&y| at(&sheet, LEFT, top - 20 + y) == [150; 3]).count();
        assert_eq!(grey > 20, !augmented, "{grey} grey pixels");
        // Below the image the canvas is padded with the mean.
        if augmented {
            assert_eq!(at(&sheet, LEFT + 60, TOP + 140), [124, 116, 104]);
        }
    }
}

#[test]
fn broken_samples_have_a_tile_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let (folders, files) = (dir.path().join("b"), dir.path().join("a"));
    imagenet(&folders, &[("ant", 2), ("bee", 2)]);
    std::fs::copy(fixtures().join("truncated.jpg"), folders.join("train/ant/1.png")).unwrap();
    let mut file = coco(&files);
    file["annotations"][1]["image_id"] = json!(7);
    file["annotations"][1]["category_id"] = json!(5);
    write_annotations(&files, &file);
    for augmented in [false, true] {
        let sheet = show(dir.path(), &options(augmented)).unwrap();
        let corners: Vec<(usize, usize)> = (TOP..sheet.height as usize - 1)
            .flat_map(|y| (0..6).map(move |column| (LEFT + 88 * column, y)))
            .filter(|&(x, y)| x < sheet.width as usize && at(&sheet, x, y) == BROKEN && at(&sheet, x, y - 1) != BROKEN)
            .collect();
        // As stored, the second image's annotation is broken; a model would not get the file at all.
        let column = |broken: usize| LEFT + 88 * broken;
        let columns: Vec<usize> = corners.iter().map(|c| c.0).collect();
        assert_eq!(columns, [column(usize::from(!augmented)), column(1)], "{augmented}");
        let text = (0..80).filter(|&x| at(&sheet, corners[0].0 + x, corners[0].1 + 14)[1] > 150).count();
        assert!(text > 5, "{text} bright pixels in a line of text");
    }
}

#[test]
fn equal_options_give_equal_bytes() {
    let dir = tempfile::tempdir().unwrap();
    imagenet(dir.path(), &[("ant", 6), ("bee", 5)]);
    let draw = |threads, options: &ShowOptions| on_threads(threads, || show(dir.path(), options).unwrap());
    for augmented in [false, true] {
        let some = ShowOptions { count: 4, seed: Some(7), ..options(augmented) };
        let first = draw(1, &some);
        assert_eq!(first, draw(4, &some));
        assert_ne!(first, draw(1, &ShowOptions { seed: Some(8), ..some.clone() }));
        // Four and two tiles, two blocks.
        assert_eq!((first.width, first.height), (4 * 88 + 8, 2 * (28 + 80 + 15 + 16 + 8 + 4 + 8)));
    }
}

#[test]
fn classification_is_drawn_without_its_normalisation_and_cropped_as_evaluated() {
    let dir = tempfile::tempdir().unwrap();
    imagenet(dir.path(), &[("ant", 3)]);
    let plain = show(dir.path(), &options(true)).unwrap();
    let mut other = options(true);
    (other.classification.mean, other.classification.std) = ([0.5; 3], [0.5; 3]);
    assert_eq!(plain, show(dir.path(), &other).unwrap());
    // Training's tiles come first: one row of them, below a heading.
    other.classification.eval_crop = None;
    let squashed = show(dir.path(), &other).unwrap();
    let row = 3 * plain.width as usize * (TOP + 80);
    assert_eq!(plain.rgb[..row], squashed.rgb[..row]);
    assert_ne!(plain.rgb[row..], squashed.rgb[row..]);
}

#[test]
fn options_out_of_range_are_named() {
    let dir = tempfile::tempdir().unwrap();
    imagenet(dir.path(), &[("ant", 1)]);
    let message = |options: ShowOptions| show(dir.path(), &options).unwrap_err().to_string();
    assert!(message(ShowOptions { count: 0, ..Default::default() }).contains("count is 0"));
    assert!(message(ShowOptions { tile: 8, ..Default::default() }).contains("tile is 8"));
    assert!(
        show(&dir.path().join("gone"), &ShowOptions::default()).unwrap_err().to_string().contains("no such folder")
    );
}
