//! Says in plain words what serde found wrong. The only file that reads the text of serde's messages.

use crate::nearest::nearest;

/// What serde said, taken apart.
pub struct Explained {
    /// Dotted path of the place, as far as serde knows it; empty at the root.
    pub path: String,
    /// What is wrong, with the nearest known name where there is one.
    pub what: String,
    /// Line and column in the text that was read, from 1.
    pub at: Option<(usize, usize)>,
}

const OPENINGS: [&str; 7] = [
    "unknown field",
    "unknown variant",
    "invalid type",
    "invalid value",
    "invalid length",
    "missing field",
    "duplicate field",
];

/// Takes an error of the YAML reader apart.
pub fn explain(error: &serde_yaml::Error) -> Explained {
    let at = error.location().map(|location| (location.line(), location.column()));
    let mut text = error.to_string();
    if let Some((line, column)) = at {
        // The reader's own errors say the place in the middle of the sentence.
        text = text.replacen(&format!(" at line {line} column {column}"), "", 1);
    }
    let (path, text) = split_path(&text);
    Explained { path: path.to_string(), what: plain(text), at }
}

/// The path is what comes before the first known opening, or before the first `: ` if it has no spaces.
fn split_path(text: &str) -> (&str, &str) {
    let opening = OPENINGS.iter().filter_map(|opening| text.find(opening)).min();
    let end = match opening {
        Some(start) => start,
        None => text.find(": ").map_or(0, |colon| colon + 2),
    };
    match text[..end].strip_suffix(": ") {
        Some(path) if !path.contains(' ') => (path, &text[end..]),
        _ => ("", text),
    }
}

fn plain(text: &str) -> String {
    let names: Vec<&str> = text.split('`').skip(1).step_by(2).collect();
    if text.starts_with("unknown field") || text.starts_with("unknown variant") {
        let what = if text.starts_with("unknown field") { "key" } else { "value" };
        return match names.split_first() {
            Some((name, known)) => unknown(what, name, known),
            None => text.to_string(),
        };
    }
    if let (true, Some(name)) = (text.starts_with("missing field"), names.first()) {
        return format!("the key `{name}` is missing; add it");
    }
    if let (true, Some(name)) = (text.starts_with("duplicate field"), names.first()) {
        return format!("the key `{name}` is here twice; keep one of them");
    }
    if let Some((found, expected)) = text
        .strip_prefix("invalid type: ")
        .or(text.strip_prefix("invalid value: "))
        .and_then(|s| s.split_once(", expected "))
    {
        return format!("{} is not possible here; give {}", found_words(found), expected_words(expected));
    }
    if text == "recursion limit exceeded" {
        return "the file is nested too deeply; write it flat".into();
    }
    text.to_string()
}

/// `unknown key `x`; the nearest known one is `y` (known here: ...)`.
pub fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    if known.is_empty() {
        return format!("unknown {what} `{name}`; nothing is known here: leave it out");
    }
    let near = match nearest(name, known.iter().copied()) {
        Some(near) => format!("; the nearest known {what} is `{near}`"),
        None => String::new(),
    };
    format!("unknown {what} `{name}`{near}; known here: {}", known.join(", "))
}

fn found_words(found: &str) -> String {
    for (kind, word) in [("integer ", ""), ("floating point ", ""), ("boolean ", ""), ("string ", "the text ")] {
        if let Some(value) = found.strip_prefix(kind) {
            return format!("{word}{value}");
        }
    }
    match found {
        "unit value" | "Option value" => "nothing".into(),
        "sequence" => "a list".into(),
        "map" => "a mapping (key: value)".into(),
        other => other.into(),
    }
}

fn expected_words(expected: &str) -> String {
    match expected {
        "u64" | "u32" | "u16" | "u8" | "usize" => "a whole number, 0 or more".into(),
        "i64" | "i32" | "isize" => "a whole number".into(),
        "f64" | "f32" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a string" | "path string" => "text".into(),
        "a sequence" => "a list".into(),
        "a map" => "a mapping (key: value)".into(),
        other if other.starts_with("struct ") => "a mapping (key: value)".into(),
        other if other.starts_with("an array of length ") => {
            other.replace("an array of length", "a list of this many values:")
        }
        other if other.starts_with("a tuple of size ") => {
            other.replace("a tuple of size", "a list of this many values:")
        }
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // only read for its errors
    struct Outer {
        inner: Inner,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // only read for its errors
    struct Inner {
        steps: u64,
        rates: Option<Vec<f64>>,
    }

    fn explained(text: &str) -> (String, String, Option<(usize, usize)>) {
        let e = explain(&serde_yaml::from_str::<Outer>(text).unwrap_err());
        (e.path, e.what, e.at)
    }

    #[test]
    fn unknown_key() {
        let (path, what, at) = explained("inner:\n  stesp: 3\n");
        assert_eq!(path, "inner");
        assert_eq!(what, "unknown key `stesp`; the nearest known key is `steps`; known here: steps, rates");
        assert_eq!(at, Some((2, 3)));
    }

    #[test]
    fn negative_and_wrong_type() {
        let (path, what, at) = explained("inner:\n  steps: -3\n");
        assert_eq!((path.as_str(), at), ("inner.steps", Some((2, 10))));
        assert_eq!(what, "`-3` is not possible here; give a whole number, 0 or more");
        let (path, what, _) = explained("inner:\n  steps: 3\n  rates: [1, x]\n");
        assert_eq!(path, "inner.rates[1]");
        assert_eq!(what, "the text \"x\" is not possible here; give a number");
    }

    #[test]
    fn missing_and_duplicate() {
        assert_eq!(explained("inner: {}\n").1, "the key `steps` is missing; add it");
        let (_, what, _) = explained("inner:\n  steps: 1\n  steps: 2\n");
        assert_eq!(what, "the key `steps` is here twice; keep one of them");
    }

    #[test]
    fn broken_yaml_keeps_its_words() {
        let (_, what, at) = explained("inner: \n  'steps: 1\n");
        assert!(what.contains("unexpected end of stream"), "{what}");
        assert!(at.is_some());
    }
}
