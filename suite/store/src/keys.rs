//! The two hashes of a cell. Both are blake3 of canonical JSON, in hexadecimal, cut to 16 digits (64 bits).

use serde_json::Value;

/// Digits of a key.
const DIGITS: usize = 16;

/// Names the whole resolved config of a cell, its seed and data fingerprint included: the same cell is never run twice.
pub fn cell_key(config: &Value) -> String {
    key("cell", config)
}

/// Names what must be equal for two results to be comparable: data fingerprint, evaluation settings, training budget, task
/// version. A system's own fields are not part of it.
pub fn protocol_key(protocol: &Value) -> String {
    key("protocol", protocol)
}

fn key(kind: &str, value: &Value) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(kind.as_bytes());
    hasher.update(b"\n");
    hasher.update(canonical_json(value).as_bytes());
    hasher.finalize().to_hex()[..DIGITS].to_owned()
}

/// JSON without spaces, object keys sorted by their bytes: equal values give equal text, whatever the order of insertion.
/// `1` and `1.0` are different values, so the input should come from typed structs, not from a user's file.
pub fn canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(name, _)| name.as_bytes());
            text.push('{');
            for (i, (name, value)) in entries.into_iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn canonical_text_is_sorted_and_tight() {
        let value = json!({"b": [1, 2.5, null], "a": {"z": "q\"\n", "é": true}});
        assert_eq!(canonical_json(&value), r#"{"a":{"z":"q\"\n","é":true},"b":[1,2.5,null]}"#);
    }

    /// A change of these numbers makes every stored result incomparable. Made with Python's blake3 1.0.5:
    /// `blake3.blake3(b'cell\n{"lr":0.001,"seed":0,"system":"stl"}').hexdigest()[:16]`, and the same with `protocol\n`.
    #[test]
    fn keys_are_stable_and_independent_of_order() {
        let one: Value = serde_json::from_str(r#"{"system":"stl","seed":0,"lr":1e-3}"#).unwrap();
        let two: Value = serde_json::from_str(r#"{"lr":0.001,"seed":0,"system":"stl"}"#).unwrap();
        assert_eq!(cell_key(&one), cell_key(&two));
        assert_eq!(cell_key(&one), "64206d01b747dcfa");
        assert_eq!(protocol_key(&one), "0af15ed477f1d03b");
    }

    #[test]
    fn another_value_gives_another_key() {
        assert_ne!(cell_key(&json!({"seed": 0})), cell_key(&json!({"seed": 1})));
        assert_ne!(cell_key(&json!({"a": null})), cell_key(&json!({})));
    }
}
