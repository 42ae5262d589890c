//! Where a value stands in a YAML text, and messages that show the place. Knows nothing of suites.
//!
//! The YAML reader tells positions only in its errors, so a search is one more reading that fails on purpose at the
//! place it was looking for.

use std::fmt;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// One step of a path through a YAML document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Index(usize),
}

/// The steps of a dotted path such as `training.joint.steps` or `variants[1].name`.
pub fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let mut pieces = part.split('[');
        if let Some(key) = pieces.next().filter(|key| !key.is_empty()) {
            steps.push(Step::Key(key.into()));
        }
        steps.extend(pieces.filter_map(|piece| piece.trim_end_matches(']').parse().ok()).map(Step::Index));
    }
    steps
}

/// Line and column, both from 1, of the key (or list element) that the path leads to; None when it isn't in the text.
pub fn position(text: &str, path: &[Step]) -> Option<(usize, usize)> {
    let error = Seek(path).deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
    if !error.to_string().contains(FOUND) {
        return None;
    }
    // A place at the very start of the text has no location in the reader's words.
    Some(error.location().map_or((1, 1), |location| (location.line(), location.column())))
}

const FOUND: &str = "the place that was looked for";

/// Goes down the path; the error FOUND stops it at the end.
struct Seek<'a>(&'a [Step]);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((first, rest)) = self.0.split_first() else { return Err(A::Error::custom(FOUND)) };
        while let Some(here) = map.next_key_seed(SeekKey { step: first, last: rest.is_empty() })? {
            if here {
                map.next_value_seed(Seek(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Some((first, rest)) = self.0.split_first() else { return Err(A::Error::custom(FOUND)) };
        for index in 0.. {
            let more = if *first == Step::Index(index) {
                seq.next_element_seed(Seek(rest))?.is_some()
            } else {
                seq.next_element::<IgnoredAny>()?.is_some()
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.scalar()
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.scalar()
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.scalar()
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.scalar()
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.scalar()
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar()
    }
    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.scalar()
    }
}

impl Seek<'_> {
    fn scalar<E: Error>(self) -> Result<(), E> {
        if self.0.is_empty() { Err(E::custom(FOUND)) } else { Ok(()) }
    }
}

/// Reads a key; says whether it is the step's, and stops there when it is the last of the path.
struct SeekKey<'a> {
    step: &'a Step,
    last: bool,
}

impl<'de> DeserializeSeed<'de> for SeekKey<'_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for SeekKey<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        let here = matches!(self.step, Step::Key(wanted) if wanted == key);
        if here && self.last { Err(E::custom(FOUND)) } else { Ok(here) }
    }
}

/// `file:line:column: what`, and the line itself with a mark under the column.
pub fn message(file: &Path, text: &str, at: Option<(usize, usize)>, what: &str) -> String {
    let Some((line, column)) = at else { return format!("{}: {what}", file.display()) };
    let mut message = format!("{}:{line}:{column}: {what}", file.display());
    if let Some(source) = text.lines().nth(line - 1) {
        let number = line.to_string();
        // Long lines are cut, or one line of a machine-made file would flood the terminal.
        let shown: String = source.chars().take(120).collect();
        let pad = " ".repeat(number.len());
        message += &format!("\n {number} | {shown}");
        if column <= shown.chars().count() + 1 {
            message += &format!("\n {pad} | {}^", " ".repeat(column - 1));
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
name: x
training:
  joint: {steps: 3, batch: {detection: 2}}
variants:
  - name: a
  - {name: b, set: {model.detector.stages: 3}}
";

    #[test]
    fn finds_keys_and_elements() {
        assert_eq!(position(TEXT, &steps("name")), Some((1, 1)));
        assert_eq!(position(TEXT, &steps("training.joint.steps")), Some((3, 11)));
        assert_eq!(position(TEXT, &steps("training.joint.batch.detection")), Some((3, 29)));
        assert_eq!(position(TEXT, &steps("variants[1].name")), Some((6, 6)));
        assert_eq!(position(TEXT, &steps("variants[0]")), Some((5, 5)));
        let dotted = [
            Step::Key("variants".into()),
            Step::Index(1),
            Step::Key("set".into()),
            Step::Key("model.detector.stages".into()),
        ];
        assert_eq!(position(TEXT, &dotted), Some((6, 21)));
        assert_eq!(position(TEXT, &steps("training.detection.steps")), None);
    }

    #[test]
    fn shows_the_place() {
        let shown = message(Path::new("s.yaml"), TEXT, Some((3, 11)), "bad");
        assert_eq!(shown, "s.yaml:3:11: bad\n 3 |   joint: {steps: 3, batch: {detection: 2}}\n   |           ^");
    }
}
