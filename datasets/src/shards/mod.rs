//! WebDataset shards: tar files whose members belong together where they share a key. `walk` reads tar, `listing` makes
//! classification samples of it; this room finds the shards and knows the rules for their names.

mod listing;
mod walk;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use self::listing::{CLASSES, list};
pub(crate) use self::walk::{Member, Walk, clean, inside};
use crate::coco::CATEGORIES;
use crate::error::{Error, Finding, stop_at_fatal};
use crate::imagenet::{leaves, link_out};
use crate::place::Shard;
use crate::task::Split;

/// `1 shard`, `3 shards`.
pub(crate) fn count(shards: usize) -> String {
    if shards == 1 { "1 shard".to_string() } else { format!("{shards} shards") }
}

/// Whether a path is named like a shard and is a file.
pub(crate) fn is_shard(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    !hidden && path.extension().is_some_and(|e| e == "tar") && path.is_file()
}

/// The shards that lie directly in a folder, sorted by name; none when there is no such folder.
///
/// # Errors
/// When the folder cannot be listed, or a shard is a link that leads out of `inside`.
pub(crate) fn in_folder(folder: &Path, inside: &Path) -> Result<Vec<PathBuf>, Error> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let wrap = |e| Error::io(folder, "list the folder", e);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(wrap)? {
        let path = entry.map_err(wrap)?.path();
        if !is_shard(&path) {
            continue;
        }
        if path.is_symlink() && leaves(&path, inside) {
            stop_at_fatal(&[link_out(&path)])?;
        }
        found.push(path);
    }
    found.sort();
    Ok(found)
}

/// The shards of a split: those in `root/<split>/` when there are no class folders, or else, when that folder is
/// missing, those in `root` whose name says the split. Shards beside [`CATEGORIES`] are for detection.
///
/// # Errors
/// As [`in_folder`]; a name that says both splits.
pub(crate) fn of_split(root: &Path, split: Split) -> Result<Vec<PathBuf>, Error> {
    let Ok(within) = root.canonicalize() else {
        return Ok(Vec::new());
    };
    let folder = root.join(split.as_str());
    if folder.is_dir() {
        let wrap = |e| Error::io(&folder, "list the folder", e);
        for entry in fs::read_dir(&folder).map_err(wrap)? {
            let entry = entry.map_err(wrap)?;
            if !entry.file_name().to_string_lossy().starts_with('.') && entry.path().is_dir() {
                return Ok(Vec::new());
            }
        }
        return if folder.join(CATEGORIES).is_file() { Ok(Vec::new()) } else { in_folder(&folder, &within) };
    }
    let mut found = Vec::new();
    let shards = if root.join(CATEGORIES).is_file() { Vec::new() } else { in_folder(root, &within)? };
    for path in shards {
        let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
        let says = |split: Split| name.contains(split.as_str());
        if says(Split::Train) && says(Split::Val) {
            return Err(Error::data(
                &path,
                "the name contains both `train` and `val`",
                "Rename it, or put the shards into the folders train/ and val/",
            ));
        }
        if says(split) {
            found.push(path);
        }
    }
    Ok(found)
}

/// A shard and its members up to the first damage, which is a finding.
pub(crate) fn open(path: &Path) -> (Option<Arc<Shard>>, Vec<Member>, Vec<Finding>) {
    let mut members = Vec::new();
    let shard = read(path, |_, member| {
        members.push(member);
        Ok(())
    });
    let (shard, error) = shard;
    (shard, members, error.into_iter().map(Finding::from_error).collect())
}

/// Hands each member to `take`, up to the first damage.
pub(crate) fn read(
    path: &Path,
    mut take: impl FnMut(&mut Walk, Member) -> Result<(), Error>,
) -> (Option<Arc<Shard>>, Option<Error>) {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) => return (None, Some(Error::io(path, "read the shard", e))),
    };
    let walked = Walk::new(&file, path).and_then(|mut walk| {
        while let Some(member) = walk.next_member()? {
            take(&mut walk, member)?;
        }
        Ok(())
    });
    (Some(Arc::new(Shard::new(path.to_path_buf(), file))), walked.err())
}

/// WebDataset's rule: the key is the path up to the first dot of its last component, the extension all after that dot,
/// in lower case. Members without either (`README`, `.DS_Store`) belong to no sample.
pub(crate) fn key_and_extension(name: &str) -> Option<(&str, String)> {
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = base + name[base..].find('.')?;
    let extension = &name[dot + 1..];
    (dot > base && !extension.is_empty()).then(|| (&name[..dot], extension.to_lowercase()))
}

/// The key under which a file is packed, by its name relative to its data set: without the extension, and with `_` for
/// dots in the last component, where a dot would end the key.
pub(crate) fn key_of(name: &str) -> String {
    // A tar writer refuses `..`.
    let name = clean(name).replace("../", "__/");
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    let path = Path::new(&name[base..]);
    let has_extension = crate::imagenet::has_image_extension(path);
    let stem = path.file_stem().filter(|_| has_extension).map_or(&name[base..], |stem| stem.to_str().unwrap_or(""));
    format!("{}{}", &name[..base], stem.replace('.', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_end_at_the_first_dot_of_the_last_component() {
        let split = |name| key_and_extension(name).map(|(key, extension)| (key.to_string(), extension));
        let some = |key: &str, extension: &str| Some((key.to_string(), extension.to_string()));
        assert_eq!(split("a.jpg"), some("a", "jpg"));
        assert_eq!(split("v1.0/a.SEG.PNG"), some("v1.0/a", "seg.png"));
        assert_eq!([split("README"), split("a/.jpg"), split("v1.0/a"), split("a.")], [None, None, None, None]);
    }

    #[test]
    fn packed_keys_hold_no_dot_in_their_last_component() {
        let keys = ["a.jpg", "./b//a.b.JPEG", "v1.0/a.png", "a.b", ".jpg"].map(key_of);
        assert_eq!(keys, ["a", "b/a_b", "v1.0/a", "a_b", "_jpg"]);
    }
}
