//! Where two JSON documents differ, to tell a person. Knows nothing of what they mean.

use serde_json::Value;

/// One place at which two documents differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Dotted path, empty for the documents themselves.
    pub path: String,
    /// The values there; null where there is none.
    pub first: Value,
    pub second: Value,
}

/// Every place at which two documents differ; lists and scalars are compared whole.
pub fn differences(first: &Value, second: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk("", first, second, &mut found);
    found
}

fn walk(path: &str, first: &Value, second: &Value, found: &mut Vec<Difference>) {
    if let (Value::Object(a), Value::Object(b)) = (first, second) {
        let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            walk(&path, a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), found);
        }
    } else if first != second {
        found.push(Difference { path: path.to_owned(), first: first.clone(), second: second.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_place_is_named() {
        let a = json!({"training": {"joint": {"steps": 4}}, "seed": 0});
        let b = json!({"training": {"joint": {"steps": 5}}, "seed": 0, "new": [true]});
        let found = differences(&a, &b);
        let places: Vec<_> = found.iter().map(|d| (d.path.as_str(), &d.first, &d.second)).collect();
        assert_eq!(places, [("new", &Value::Null, &json!([true])), ("training.joint.steps", &json!(4), &json!(5))]);
        assert!(differences(&a, &a).is_empty());
    }
}
