//! Numbers that JSON cannot hold. Python writes `NaN`, `Infinity` and `-Infinity` into JSON, and a
//! number like `1e999` overflows; a plain parser calls all of them syntax errors. Works on the
//! bytes of a file; it may not touch what they mean.

use std::borrow::Cow;

/// Replaces each such number outside strings with a JSON string of the same length, so that lines
/// and columns stay true; [`original`] reads it back.
///
/// `NaN` becomes `"N"`, `Infinity` `"I....."`, `-Infinity` `"-I....."`, `1e999` `"^.."`.
pub(super) fn quote(text: &[u8]) -> Cow<'_, [u8]> {
    let mut fixed: Option<Vec<u8>> = None;
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'"' => at = end_of_string(text, at),
            byte if is_token(byte) => {
                let end = at + text[at..].iter().take_while(|&&b| is_token(b)).count();
                let lead: &[u8] = match &text[at..end] {
                    b"NaN" => b"N",
                    b"Infinity" => b"I",
                    b"-Infinity" => b"-I",
                    token if overflows(token) => b"^",
                    _ => b"",
                };
                if !lead.is_empty() {
                    let out = &mut fixed.get_or_insert_with(|| text.to_vec())[at..end];
                    out.fill(b'.');
                    out[1..=lead.len()].copy_from_slice(lead);
                    out[0] = b'"';
                    out[end - at - 1] = b'"';
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    fixed.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// What a string written by [`quote`] stood for; `None` for any other string.
pub(super) fn original(text: &str) -> Option<&'static str> {
    match text.trim_end_matches('.') {
        "N" => Some("NaN"),
        "I" => Some("infinite"),
        "-I" => Some("minus infinite"),
        "^" => Some("too large for a 64-bit number"),
        _ => None,
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

fn overflows(token: &[u8]) -> bool {
    token.len() >= 3
        && token.iter().any(u8::is_ascii_digit)
        && token.iter().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte))
        && std::str::from_utf8(token).ok().and_then(|token| token.parse::<f64>().ok()).is_some_and(f64::is_infinite)
}

/// One past the closing quote of the string that opens at `at`.
fn end_of_string(text: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while end < text.len() {
        match text[end] {
            b'\\' => end += 2,
            b'"' => return end + 1,
            _ => end += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_length_and_leaves_strings_alone() {
        let text = br#"[NaN, Infinity, -Infinity, 1e999, -1E+400, 1e9, "NaN \" Infinity", true]"#;
        let fixed = quote(text);
        assert_eq!(fixed.len(), text.len());
        let values: Vec<serde_json::Value> = serde_json::from_slice(&fixed).unwrap();
        let found: Vec<_> = values.iter().map(|value| value.as_str().and_then(original)).collect();
        assert_eq!(
            found,
            [
                Some("NaN"),
                Some("infinite"),
                Some("minus infinite"),
                Some("too large for a 64-bit number"),
                Some("too large for a 64-bit number"),
                None,
                None,
                None
            ]
        );
        assert!(matches!(quote(b"[1, 2.5e3]"), Cow::Borrowed(_)));
    }
}
