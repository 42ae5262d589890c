//! The text of an instances file: as it is, or put together from the records that shards keep beside their images.

use std::fs;
use std::path::Path;

use rayon::prelude::*;
use serde::Deserialize;

use super::parse::{Annotation, Category, Image};
use super::raw::{elements, member as value_of};
use crate::error::Error;
use crate::shards::{self, inside, key_and_extension};

/// Lies beside shards that hold records: a list of COCO categories.
pub(crate) const CATEGORIES: &str = "categories.json";

/// Most bytes of one image's records.
const MAX_RECORD: u64 = 1 << 28;

/// The instances file at a path. For a folder of shards, or one shard, it is put together: each `KEY.json` member is
/// `{"image": .., "annotations": [..]}` with COCO records, and `categories.json` lies beside the shards.
///
/// # Errors
/// [`Error::Io`]; [`Error::Json`] naming the member; [`Error::Data`] for a damaged shard or a folder without shards.
pub fn instances_json(path: &Path) -> Result<Vec<u8>, Error> {
    let (folder, paths) = if shards::is_shard(path) {
        (path.parent().unwrap_or(Path::new("")), vec![path.to_path_buf()])
    } else if path.is_dir() {
        let inside = path.canonicalize().map_err(|e| Error::io(path, "read the folder of shards", e))?;
        (path, shards::in_folder(path, &inside)?)
    } else {
        return fs::read(path).map_err(|e| Error::io(path, "read the annotations", e));
    };
    if paths.is_empty() {
        return Err(Error::data(
            path,
            "a folder without shards",
            "Name an instances JSON, or a folder of shards (.tar)",
        ));
    }
    let list = folder.join(CATEGORIES);
    let categories = fs::read_to_string(&list).map_err(|e| Error::io(&list, "read the shards' categories", e))?;
    // Read for its errors, which here can name the file; so below.
    let _: Vec<Category> = serde_json::from_str(&categories)
        .map_err(|e| Error::json(&list, &e, "It must be a list of COCO categories"))?;
    let read: Vec<Result<Records, Error>> = paths.par_iter().map(|path| records(path)).collect();
    let (mut images, mut annotations) = (Vec::new(), Vec::new());
    for records in read {
        let mut records = records?;
        images.append(&mut records.images);
        annotations.append(&mut records.annotations);
    }
    let (images, annotations) = (images.join(",\n"), annotations.join(",\n"));
    Ok(format!("{{\"images\": [\n{images}],\n\"annotations\": [\n{annotations}],\n\"categories\": {categories}}}\n")
        .into())
}

/// Records as they are written.
#[derive(Default)]
struct Records {
    images: Vec<String>,
    annotations: Vec<String>,
}

/// The records in a shard, in its order.
fn records(path: &Path) -> Result<Records, Error> {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "image")]
        _image: Image,
        #[serde(rename = "annotations")]
        _annotations: Vec<Annotation>,
    }
    let mut records = Records::default();
    let (_, error) = shards::read(path, |walk, member| {
        if key_and_extension(&member.name).is_none_or(|(_, extension)| extension != "json") {
            return Ok(());
        }
        let text = walk.contents(&member, MAX_RECORD)?;
        let path = inside(path, &member.name);
        let _: Typed = serde_json::from_slice(text).map_err(|e| {
            let mend = "Give {\"image\": .., \"annotations\": [..]}, or point the config at an instances JSON";
            Error::json(&path, &e, mend)
        })?;
        let text = utf8(text, &path)?;
        records.images.extend(value_of(text, "image").map(str::to_string));
        records.annotations.extend(elements(value_of(text, "annotations").unwrap_or("")).map(str::to_string));
        Ok(())
    });
    error.map_or(Ok(records), Err)
}

/// Text of a file that parsed as JSON, where only strings that are not read may still be no UTF-8.
pub(crate) fn utf8<'a>(text: &'a [u8], path: &Path) -> Result<&'a str, Error> {
    std::str::from_utf8(text).map_err(|e| Error::data(path, e.to_string(), "Write it as UTF-8"))
}
