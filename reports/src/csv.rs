//! CSV (RFC 4180). A text cell never starts a formula: spreadsheets execute what begins with `=`, `+`, `-` or `@`.

/// One field of a CSV line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Field {
    Text(String),
    /// A number in full precision; negative ones stay numbers.
    Number(f64),
    Count(u64),
    Empty,
}

/// Lines end in CR LF, as the standard has it.
pub(crate) fn csv(header: &[&str], rows: impl IntoIterator<Item = Vec<Field>>) -> String {
    let mut text = line(header.iter().map(|name| quoted(name)));
    for row in rows {
        text.push_str(&line(row.into_iter().map(|field| match field {
            Field::Text(text) => quoted(&harmless(&text)),
            Field::Number(value) => value.to_string(),
            Field::Count(value) => value.to_string(),
            Field::Empty => String::new(),
        })));
    }
    text
}

fn line(fields: impl Iterator<Item = String>) -> String {
    fields.collect::<Vec<_>>().join(",") + "\r\n"
}

/// `'` in front makes it text for a spreadsheet. Leading blanks are looked through: some programs drop them first.
fn harmless(text: &str) -> String {
    let starts_formula = text.starts_with(['\t', '\r', '\n'])
        || text.trim_start().starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    if starts_formula { format!("'{text}") } else { text.to_owned() }
}

fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_quotes_and_numbers() {
        let rows = ["=1+1", "@x", "+1", "-1", " =1", "\t=1", "a,b", "say \"x\"", "stl"]
            .map(|text| vec![Field::Text(text.into()), Field::Number(-1.5), Field::Count(3), Field::Empty]);
        let text = csv(&["name", "value", "count", "none"], rows);
        let first: Vec<&str> = text.split("\r\n").map(|line| line.strip_suffix(",-1.5,3,").unwrap_or(line)).collect();
        assert_eq!(
            first,
            [
                "name,value,count,none",
                "'=1+1",
                "'@x",
                "'+1",
                "'-1",
                "' =1",
                "'\t=1",
                "\"a,b\"",
                "\"say \"\"x\"\"\"",
                "stl",
                ""
            ]
        );
    }
}
