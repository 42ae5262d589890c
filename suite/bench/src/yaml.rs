//! Reads a YAML file of ours safely: size, UTF-8 and aliases are checked before anything is built from it.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_yaml::Value;

use crate::exit::Failure;
use crate::explain::explain;
use crate::locate;

/// Largest file in bytes; real suites have a few thousand.
const MOST_BYTES: u64 = 1 << 20;
/// Most values once every alias is written out.
const MOST_VALUES: usize = 50_000;

/// The text of a YAML file that is small, UTF-8 and no alias bomb.
pub fn read(path: &Path) -> Result<String, Failure> {
    let what = |e: &std::io::Error| {
        Failure::usage(format!("{}: cannot be read: {e}; give the path of a YAML file", path.display()))
    };
    let meta = fs::metadata(path).map_err(|e| what(&e))?;
    if !meta.is_file() {
        return Err(Failure::usage(format!("{}: is not a file; give the path of a YAML file", path.display())));
    }
    if meta.len() > MOST_BYTES {
        return Err(Failure::usage(format!(
            "{}: has {} bytes, more than the {MOST_BYTES} that a suite may have; is it the right file?",
            path.display(),
            meta.len()
        )));
    }
    let bytes = fs::read(path).map_err(|e| what(&e))?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Failure::usage(format!("{}: is not UTF-8 text (byte {at}); save it as UTF-8", path.display()))
    })?;
    parse::<Bounded>(path, &text)?;
    Ok(text)
}

/// Reads a typed value; an error shows file, line, column and the nearest known key.
pub fn parse<'a, T: Deserialize<'a>>(path: &Path, text: &'a str) -> Result<T, Failure> {
    serde_yaml::from_str(text).map_err(|error| {
        let explained = explain(&error);
        Failure::usage(locate::message(path, text, explained.at, &explained.what))
    })
}

/// Reads a value given on the command line; the text is as little trusted as a file.
pub fn value(text: &str) -> Result<Value, String> {
    serde_yaml::from_str::<Bounded>(text).and_then(|_| serde_yaml::from_str(text)).map_err(|e| explain(&e).what)
}

/// Reads everything and keeps nothing, so that it can count the values that aliases multiply.
struct Bounded;

const TOO_MANY: &str = "aliases (`*name`) make this file far too large; write the values out";

impl<'de> Deserialize<'de> for Bounded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Count(&mut 0).go(deserializer)?;
        Ok(Self)
    }
}

struct Count<'a>(&'a mut usize);

impl Count<'_> {
    fn go<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        *self.0 += 1;
        if *self.0 > MOST_VALUES {
            return Err(D::Error::custom(TOO_MANY));
        }
        // The reader has a limit of its own on jumps, with an error that has no place and few words.
        deserializer.deserialize_any(self).map_err(|e| match e.to_string().as_str() {
            "repetition limit exceeded" => D::Error::custom(TOO_MANY),
            _ => e,
        })
    }
}

impl<'de> serde::de::DeserializeSeed<'de> for Count<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.go(deserializer)
    }
}

impl<'de> Visitor<'de> for Count<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without a tag (`!name`)")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while map.next_key_seed(Key(&mut seen))?.is_some() {
            map.next_value_seed(Count(self.0))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Count(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_i128<E>(self, _: i128) -> Result<(), E> {
        Ok(())
    }
    fn visit_u128<E>(self, _: u128) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Reads a key, so that the same one a second time is an error with the place of the second.
struct Key<'a>(&'a mut BTreeSet<String>);

impl<'de> serde::de::DeserializeSeed<'de> for Key<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<(), E> {
        if self.0.insert(key.into()) {
            return Ok(());
        }
        Err(E::custom(format_args!("duplicate field `{key}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounded(text: &str) -> Result<(), String> {
        parse::<Bounded>(Path::new("s.yaml"), text).map(|_| ()).map_err(|e| e.message)
    }

    #[test]
    fn ordinary_aliases_are_fine() {
        bounded("a: &x {b: 1}\nc: *x\nd: [*x, *x]\n").unwrap();
    }

    #[test]
    fn bombs_are_refused_before_they_grow() {
        let laughs: String =
            (1..10).map(|i| format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(","))).collect();
        let quadratic = format!("a: &a [{}]\nb: [{}]\n", vec!["1"; 20_000].join(","), vec!["*a"; 20_000].join(","));
        for bomb in [format!("a0: &a0 [x]\n{laughs}"), quadratic] {
            let message = bounded(&bomb).unwrap_err();
            assert!(message.contains(TOO_MANY) && message.starts_with("s.yaml:"), "{message}");
            let mut values = 0;
            Count(&mut values).go(serde_yaml::Deserializer::from_str(&bomb)).unwrap_err();
            assert!(values <= MOST_VALUES + 1, "{values} values were read");
        }
    }

    #[test]
    fn a_key_twice_is_refused_at_the_second() {
        let message = bounded("a: 1\nb: {c: 1, c: 2}\n").unwrap_err();
        assert!(message.starts_with("s.yaml:2:11: the key `c` is here twice"), "{message}");
    }

    #[test]
    fn deep_nesting_is_refused() {
        let message = bounded(&"[".repeat(500)).unwrap_err();
        assert!(message.contains("nested too deeply") || message.contains("did not find expected"), "{message}");
    }
}
