//! Finds the images that a COCO file names: files in a folder, or members of shards. Opens no image.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::error::{Error, Finding};
use crate::imagenet::{has_image_extension, leaves, link_out};
use crate::place::{Place, Shard};
use crate::shards::{self, Member, clean, inside, key_of};

/// Where the images of a COCO file may lie.
pub(crate) struct Images {
    path: PathBuf,
    /// `path` resolved, if it is a folder.
    inside: Option<PathBuf>,
    /// Number of shards.
    pub shards: usize,
    members: Vec<(Arc<Shard>, Member)>,
    /// Positions in `members` by name.
    exact: HashMap<String, usize>,
    /// By key, with and without its folders; `None` where several members share it.
    keys: HashMap<String, Option<usize>>,
}

impl Images {
    /// Looks into a folder, reading the headers of the shards in it, or into one shard. Damaged shards are findings.
    ///
    /// # Errors
    /// When there is neither, or the folder cannot be read.
    pub fn open(path: &Path) -> Result<(Self, Vec<Finding>), Error> {
        let mut images = Images {
            path: path.to_path_buf(),
            inside: None,
            shards: 0,
            members: Vec::new(),
            exact: HashMap::new(),
            keys: HashMap::new(),
        };
        let paths = if shards::is_shard(path) {
            vec![path.to_path_buf()]
        } else {
            let inside = path.canonicalize().map_err(|e| Error::io(path, "read the folder of images", e))?;
            let paths = shards::in_folder(path, &inside)?;
            images.inside = Some(inside);
            paths
        };
        images.shards = paths.len();
        let mut findings = Vec::new();
        let opened: Vec<_> = paths.par_iter().map(|path| shards::open(path)).collect();
        for (path, (shard, members, found)) in paths.iter().zip(opened) {
            findings.extend(found);
            for member in members.into_iter().filter(|m| has_image_extension(Path::new(&m.name)) && !m.is_link) {
                let Some(shard) = &shard else { continue };
                if let Some(&first) = images.exact.get(&member.name) {
                    findings.push(Finding::fatal(
                        &inside(path, &member.name),
                        format!("a member of this name is also in {}", images.members[first].0.path().display()),
                        "Keep one of the two",
                    ));
                    continue;
                }
                images.add(Arc::clone(shard), member);
            }
        }
        Ok((images, findings))
    }

    fn add(&mut self, shard: Arc<Shard>, member: Member) {
        let at = self.members.len();
        let key = key_of(&member.name);
        let base = base_of(&key).to_string();
        for name in if base == key { vec![key] } else { vec![key, base] } {
            self.keys.entry(name).and_modify(|found| *found = None).or_insert(Some(at));
        }
        self.exact.insert(member.name.clone(), at);
        self.members.push((shard, member));
    }

    /// The image with a record's `file_name`, and its size in bytes. In shards it is the member of that name, else the
    /// only one of that key, with or without folders.
    pub fn find(&self, id: u64, name: &str, json: &Path) -> Result<(Place, u64), Finding> {
        if self.shards > 0 {
            let key = key_of(name);
            let by_key = || self.keys.get(&key).or_else(|| self.keys.get(base_of(&key)));
            match self.exact.get(&clean(name)).map(|at| Some(*at)).or_else(|| by_key().copied()) {
                Some(Some(at)) => {
                    let (shard, member) = &self.members[at];
                    let (name, bytes) = (member.name.clone(), member.bytes);
                    return Ok((Place::Member { shard: Arc::clone(shard), name, offset: member.offset, bytes }, bytes));
                }
                Some(None) => {
                    return Err(Finding::fatal(
                        &self.path,
                        format!("several members could be `{name}` (image {id} of {})", json.display()),
                        "Name the members as file_name does, with its folders",
                    ));
                }
                None => {}
            }
        }
        match &self.inside {
            Some(inside) => self.find_file(id, name, json, inside),
            None => Err(self.missing(id, name, json)),
        }
    }

    /// An image file, which must be there and inside the folder.
    fn find_file(&self, id: u64, name: &str, json: &Path, inside: &Path) -> Result<(Place, u64), Finding> {
        let normal = |c: Component| matches!(c, Component::Normal(_) | Component::CurDir);
        if name.is_empty() || !Path::new(name).components().all(normal) {
            let what = format!("image {id}: file_name `{name}` leads out of the folder of images");
            return Err(Finding::fatal(json, what, "Give a name relative to that folder, without `..`"));
        }
        let file = self.path.join(name);
        // A link may stand anywhere in the name. Only links are resolved, which is slow on a network disk.
        let mut step = self.path.clone();
        let through_link = Path::new(name).components().any(|part| {
            step.push(part);
            step.symlink_metadata().is_ok_and(|m| m.is_symlink())
        });
        if through_link && leaves(&file, inside) {
            return Err(link_out(&file));
        }
        match std::fs::metadata(&file) {
            Ok(meta) if meta.is_file() => Ok((Place::File(file), meta.len())),
            Ok(_) => {
                let what = format!("the image is not a file (image {id} of {})", json.display());
                Err(Finding::fatal(&file, what, "Restore it, or remove its record"))
            }
            Err(_) => Err(self.missing(id, name, json)),
        }
    }

    fn missing(&self, id: u64, name: &str, json: &Path) -> Finding {
        if self.shards == 0 {
            let what = format!("the image is missing (image {id} of {})", json.display());
            return Finding::fatal(&self.path.join(name), what, "Restore it, or remove its record");
        }
        let shards = shards::count(self.shards);
        let what = format!("`{name}` is not in its {shards} (image {id} of {})", json.display());
        Finding::fatal(&self.path, what, "Pack the image too, or remove its record")
    }
}

/// The last component.
fn base_of(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}
