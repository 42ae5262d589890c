//! Tests of the crate through its public API, one room a subject. One binary, so that it links once.

mod decoding;
mod detection;
mod garments;
mod jpeg_parts;
mod loading;
mod mixing;
mod placements;
mod randaugment;
mod readers;
mod real_data;
mod scenes;
mod shards;
mod sheet;
mod stats;
mod support;
mod transforms;
#[cfg(unix)]
mod traps;
