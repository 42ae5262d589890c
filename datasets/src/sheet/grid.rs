//! Puts tiles into grids, each below a heading. Knows no samples.

use super::tile::Tile;
use crate::draw::{self, CHIP_HEIGHT, TEXT_HEIGHT};
use crate::image::Image;

/// Tiles side by side at most.
const COLUMNS: usize = 6;
/// Columns that headings take at least.
const FEWEST: usize = 4;
/// Free pixels around a tile.
const GAP: u32 = 8;
/// Rows of a heading.
const HEADING: u32 = TEXT_HEIGHT + 12;
/// Ground of a heading.
const BAR: draw::Colour = [45, 45, 60];

/// Tiles of one split, below their heading.
pub(super) struct Block {
    pub heading: String,
    pub tiles: Vec<Tile>,
}

/// Blocks below each other; each tile lies within `side` x `side` pixels, with two lines of text below.
pub(super) fn sheet(blocks: &[Block], side: u32) -> Image {
    let most = blocks.iter().map(|b| b.tiles.len()).max().unwrap_or(0);
    let columns = most.clamp(FEWEST, COLUMNS) as u32;
    let [across, down] = [side + GAP, side + CHIP_HEIGHT + TEXT_HEIGHT + GAP + 4];
    let rows = |block: &Block| (block.tiles.len() as u32).div_ceil(columns);
    let height = blocks.iter().map(|b| HEADING + rows(b) * down + GAP).sum();
    let mut sheet = draw::blank(columns * across + GAP, height, draw::GROUND);
    let width = sheet.width;
    let mut top = 0;
    for block in blocks {
        draw::fill(&mut sheet, [0, i64::from(top)], [width, HEADING], BAR);
        let heading = draw::fitted(&block.heading, width - 2 * GAP);
        draw::text(&mut sheet, [i64::from(GAP), i64::from(top) + 6], &heading, draw::text_on(BAR));
        for (i, tile) in (0u32..).zip(&block.tiles) {
            let corner = [GAP + i % columns * across, top + HEADING + GAP + i / columns * down];
            put(&mut sheet, corner, tile, side);
        }
        top += HEADING + rows(block) * down + GAP;
    }
    sheet
}

/// A picture at the bottom of its square, so that the lines below belong to it.
fn put(sheet: &mut Image, [x, y]: [u32; 2], tile: &Tile, side: u32) {
    let [w, h] = [tile.picture.width, tile.picture.height];
    draw::paste(sheet, [x + (side - w) / 2, y + side - h], &tile.picture);
    let below = y + side + 2;
    // Chips side by side, as many as there is room for.
    let mut left = x;
    for (name, colour) in &tile.legend {
        let room = (x + side).saturating_sub(left + draw::chip_width(""));
        let short = draw::fitted(name, room);
        // Two dots and nothing else would name no class.
        if short != *name && short.len() <= 2 {
            break;
        }
        draw::chip(sheet, [i64::from(left), i64::from(below)], &short, *colour);
        left += draw::chip_width(&short) + 2;
    }
    let caption = draw::fitted(&tile.caption, side);
    draw::text(sheet, [i64::from(x), i64::from(below + CHIP_HEIGHT)], &caption, draw::INK);
}
