//! Parts of a JSON text as they are written, for records that are copied and not understood. Judges nothing: the text was
//! parsed before.

use serde::de::IgnoredAny;

/// The elements of a list; what is not a list has none.
pub(crate) fn elements(list: &str) -> impl Iterator<Item = &str> {
    values(list, '[')
}

/// The value of a key of an object.
pub(crate) fn member<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    let mut values = values(object, '{');
    while let (Some(name), Some(value)) = (values.next(), values.next()) {
        if serde_json::from_str::<String>(name).is_ok_and(|name| name == key) {
            return Some(value);
        }
    }
    None
}

/// The values after an opening bracket, keys among them, up to the closing one.
fn values(text: &str, bracket: char) -> impl Iterator<Item = &str> {
    let mut rest = text.trim_start().strip_prefix(bracket).unwrap_or("");
    std::iter::from_fn(move || {
        let from = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',' || c == ':');
        let mut parser = serde_json::Deserializer::from_str(from).into_iter::<IgnoredAny>();
        // The closing bracket is no value.
        parser.next()?.ok()?;
        let (value, after) = from.split_at(parser.byte_offset());
        rest = after;
        Some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_as_they_are_written() {
        let text = r#" {"a]" : [ 1.50,{"x": [2]} , "\"],", null ], "b":-0,"c\u0064": {} , "e": true}"#;
        let a = member(text, "a]").unwrap();
        assert_eq!(elements(a).collect::<Vec<_>>(), ["1.50", r#"{"x": [2]}"#, r#""\"],""#, "null"]);
        assert_eq!(["b", "cd", "e", "x"].map(|key| member(text, key)), [Some("-0"), Some("{}"), Some("true"), None]);
        assert_eq!((elements("{}").count(), elements("[]").count(), member("[]", "a")), (0, 0, None));
    }
}
