//! Classification samples of shards: an image and a label under each key. Reads labels, no pixels.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use serde::Deserialize;

use super::{Member, Walk, inside, key_and_extension};
use crate::error::{Error, Finding};
use crate::imagenet::{EXTENSIONS, Listing, Sample};
use crate::place::{Place, Shard};
use crate::task::Split;

/// Names the classes, one a line; labels count its lines from 0.
pub(crate) const CLASSES: &str = "classes.txt";

/// Longest `.cls` member in bytes.
const MAX_LABEL: u64 = 1 << 12;

const MEND_PACK: &str = "Mend the sample, then pack the shard again";

/// A label as a shard gives it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(untagged)]
enum Label {
    Number(u64),
    Name(String),
}

/// An image and its label, before the classes are known.
struct Raw {
    member: Member,
    label: Label,
}

/// What a key's members have in common.
#[derive(Default)]
struct Group {
    image: Option<Member>,
    class: Option<Label>,
    json: Option<Member>,
}

/// Lists a split's shards: samples in the order of shards and positions, collecting what is wrong with them. Labels are
/// lines of `classes.txt` where there is one; else classes are the labels that occur, in order.
///
/// # Errors
/// Only when `classes.txt` cannot be used.
pub(crate) fn list(root: &Path, split: Split, shards: &[PathBuf]) -> Result<(Listing, Vec<Finding>), Error> {
    let named = read_classes(&root.join(CLASSES))?;
    let read: Vec<_> = shards.par_iter().map(|path| samples(path)).collect();
    let has_list = named.is_some();
    let classes = match named {
        Some(classes) => classes,
        None => {
            let labels: BTreeSet<&Label> = read.iter().flat_map(|(_, raw, _)| raw).map(|raw| &raw.label).collect();
            labels.into_iter().map(Label::to_string).collect()
        }
    };
    let number: HashMap<&str, usize> = classes.iter().enumerate().map(|(i, c)| (c.as_str(), i)).collect();
    let (mut samples, mut findings) = (Vec::new(), Vec::new());
    for (path, (shard, raws, found)) in shards.iter().zip(read) {
        findings.extend(found);
        let Some(shard) = shard else { continue };
        let relative = path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/");
        for Raw { member, label } in raws {
            let position = match &label {
                Label::Number(n) if has_list => usize::try_from(*n).ok().filter(|n| *n < classes.len()),
                _ => number.get(label.to_string().as_str()).copied(),
            };
            let Some(label) = position else {
                findings.push(Finding::fatal(
                    &inside(path, &member.name),
                    format!("its label `{label}` is not among the {} classes of {CLASSES}", classes.len()),
                    format!("Mend the label, or {CLASSES}: labels count its lines from 0, or are one of them"),
                ));
                continue;
            };
            let name = format!("{relative}/{}", member.name);
            let at = Some((Arc::clone(&shard), member.offset));
            samples.push(Sample { name, label, bytes: member.bytes, shard: at });
        }
    }
    if has_list && split == Split::Train && findings.is_empty() {
        findings.extend(unused(&root.join(CLASSES), &classes, &samples));
    }
    Ok((Listing { classes, samples, shards: shards.len() }, findings))
}

/// Classes without training images.
fn unused(path: &Path, classes: &[String], samples: &[Sample]) -> Option<Finding> {
    let mut used = vec![false; classes.len()];
    samples.iter().for_each(|sample| used[sample.label] = true);
    let first = used.iter().position(|used| !used)?;
    let count = used.iter().filter(|used| !**used).count();
    Some(Finding::remark(
        path,
        format!("{count} of its {} classes have no training image, the first is `{}`", classes.len(), classes[first]),
        "Add the missing shards, or remove those lines and number the labels anew",
    ))
}

fn read_classes(path: &Path) -> Result<Option<Vec<String>>, Error> {
    if !path.is_file() {
        return Ok(None);
    }
    let text = fs::read_to_string(path).map_err(|e| Error::io(path, "read the class names", e))?;
    let classes: Vec<String> = text.lines().map(str::to_string).collect();
    let mut seen = HashMap::new();
    for (i, class) in classes.iter().enumerate() {
        if class.trim().is_empty() {
            return Err(Error::data(path, format!("line {} is empty", i + 1), "Give one class name a line"));
        }
        if let Some(first) = seen.insert(class, i) {
            let what = format!("`{class}` is in line {} and line {}", first + 1, i + 1);
            return Err(Error::data(path, what, "Give each class a name of its own"));
        }
    }
    if classes.is_empty() {
        return Err(Error::data(path, "it names no classes", "Give one class name a line, or remove the file"));
    }
    Ok(Some(classes))
}

/// The samples of one shard, in its order.
fn samples(path: &Path) -> (Option<Arc<Shard>>, Vec<Raw>, Vec<Finding>) {
    let mut groups: HashMap<String, Group> = HashMap::new();
    let (mut findings, mut bad_labels) = (Vec::new(), HashSet::new());
    let (shard, error) = super::read(path, |walk, member| {
        let Some((key, extension)) = key_and_extension(&member.name) else {
            return Ok(());
        };
        let is_image = EXTENSIONS.contains(&extension.as_str());
        if !is_image && extension != "cls" && extension != "json" {
            return Ok(());
        }
        if member.is_link {
            findings.push(Finding::fatal(
                &inside(path, &member.name),
                "a link, which holds no bytes of its own",
                "Pack the shard again with `tar --dereference --hard-dereference`",
            ));
            return Ok(());
        }
        let group = groups.entry(key.to_string()).or_default();
        let taken = match extension.as_str() {
            "cls" => group.class.is_some(),
            "json" => group.json.is_some(),
            _ => group.image.is_some(),
        };
        if taken {
            let what = format!("the key `{key}` has more than one {}", if is_image { "image" } else { &extension });
            findings.push(Finding::fatal(&inside(path, &member.name), what, "Give each sample a key of its own"));
        } else if is_image {
            group.image = Some(member);
        } else if extension == "json" {
            group.json = Some(member);
        } else {
            match class_label(path, walk, &member) {
                Ok(label) => group.class = Some(label),
                Err(finding) => {
                    findings.push(finding);
                    bad_labels.insert(key.to_string());
                }
            }
        }
        Ok(())
    });
    let damaged = error.is_some();
    findings.extend(error.map(Finding::from_error));
    let Some(shard) = shard else { return (None, Vec::new(), findings) };
    let mut raws = Vec::with_capacity(groups.len());
    let mut incomplete = Vec::new();
    for (key, group) in groups {
        match (group.image, group.class, group.json) {
            (Some(member), Some(label), _) => raws.push(Raw { member, label }),
            (Some(member), None, json) => match json.map_or(Ok(None), |json| json_label(path, &shard, &json)) {
                Ok(Some(label)) => raws.push(Raw { member, label }),
                // A label that could not be read was reported.
                Ok(None) if bad_labels.contains(&key) => {}
                Ok(None) => incomplete.push((key, true)),
                Err(finding) => findings.push(finding),
            },
            (None, Some(_), _) => incomplete.push((key, false)),
            // A JSON file alone is about the data set.
            (None, None, _) => {}
        }
    }
    raws.sort_by_key(|raw| raw.member.offset);
    incomplete.sort();
    // What is cut off is not missing: the damage was reported.
    if !damaged && findings.is_empty() && raws.is_empty() {
        findings.push(nothing(path, &incomplete));
    } else if !damaged {
        findings.extend(incomplete.iter().map(|(key, no_label)| missing(path, key, *no_label)));
    }
    (Some(shard), raws, findings)
}

fn missing(path: &Path, key: &str, no_label: bool) -> Finding {
    let what = if no_label {
        "no label: neither a .cls member nor a .json member with `label`"
    } else {
        "a label without an image (.jpg, .jpeg, .png)"
    };
    Finding::fatal(&inside(path, key), what, MEND_PACK)
}

/// A shard without a single sample has one cause, not one for each key.
fn nothing(path: &Path, incomplete: &[(String, bool)]) -> Finding {
    match incomplete.first() {
        Some((key, true)) => Finding::fatal(
            path,
            format!("none of its {} samples has a label (.cls, or .json with `label`), as `{key}`", incomplete.len()),
            "Pack the labels too. An archive of one class, such as ImageNet's n01440764.tar, is not a shard: unpack it \
             into a folder named after the class",
        ),
        Some((key, false)) => Finding::fatal(
            path,
            format!("none of its {} samples has an image (.jpg, .jpeg, .png), as `{key}`", incomplete.len()),
            MEND_PACK,
        ),
        None => Finding::fatal(
            path,
            "the shard holds no samples",
            "Remove it, or pack KEY.jpg and KEY.cls, with no dot in KEY",
        ),
    }
}

/// The text of a `.cls` member: a whole number or a name.
fn class_label(path: &Path, walk: &mut Walk, member: &Member) -> Result<Label, Finding> {
    let path = inside(path, &member.name);
    let text = walk.contents(member, MAX_LABEL).map_err(Finding::from_error)?;
    let text =
        std::str::from_utf8(text).map_err(|_| Finding::fatal(&path, "the label is not valid UTF-8", MEND_PACK))?;
    label(&path, text.trim())
}

/// `label` of a `.json` member, if it has one.
fn json_label(path: &Path, shard: &Arc<Shard>, json: &Member) -> Result<Option<Label>, Finding> {
    #[derive(Deserialize)]
    struct Labelled {
        label: Option<Label>,
    }
    let path = inside(path, &json.name);
    let place =
        Place::Member { shard: Arc::clone(shard), name: json.name.clone(), offset: json.offset, bytes: json.bytes };
    let text = place.read().map_err(Finding::from_error)?;
    let found: Labelled = serde_json::from_slice(&text).map_err(|e| {
        Finding::from_error(Error::json(&path, &e, "Give an object whose `label` is a whole number or a class name"))
    })?;
    match found.label {
        Some(Label::Name(text)) => label(&path, &text).map(Some),
        other => Ok(other),
    }
}

fn label(path: &Path, text: &str) -> Result<Label, Finding> {
    if text.is_empty() || text.parse::<i64>().is_ok_and(|n| n < 0) {
        return Err(Finding::fatal(path, format!("`{text}` is no label"), "Give a number from 0 or a class name"));
    }
    Ok(text.parse().map_or_else(|_| Label::Name(text.to_string()), Label::Number))
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Label::Number(n) => write!(f, "{n}"),
            Label::Name(name) => f.write_str(name),
        }
    }
}
