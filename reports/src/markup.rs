//! Templates and their escaping: HTML by minijinja's rules, Markdown by ours. A template cannot forget to escape: what it prints
//! is text unless it says `safe`.

use minijinja::{AutoEscape, Environment, Output, State, Value, escape_formatter};
use serde::Serialize;

use crate::error::{ReportError, Result};

const MARKDOWN: AutoEscape = AutoEscape::Custom("markdown");

const TEMPLATES: [(&str, &str); 19] = [
    ("report.html", include_str!("../templates/report.html.jinja")),
    ("results.html", include_str!("../templates/results.html.jinja")),
    ("ablations.html", include_str!("../templates/ablations.html.jinja")),
    ("claims.html", include_str!("../templates/claims.html.jinja")),
    ("numbers.html", include_str!("../templates/numbers.html.jinja")),
    ("report.css", include_str!("../templates/report.css")),
    ("probes.html", include_str!("../templates/probes.html.jinja")),
    ("probes.css", include_str!("../templates/probes.css")),
    ("probes.md", include_str!("../templates/probes.md.jinja")),
    ("results.css", include_str!("../templates/results.css")),
    ("sort.js", include_str!("../templates/sort.js")),
    ("results.md", include_str!("../templates/results.md.jinja")),
    ("ablations.md", include_str!("../templates/ablations.md.jinja")),
    ("claim_list.md", include_str!("../templates/claim_list.md.jinja")),
    ("numbers.md", include_str!("../templates/numbers.md.jinja")),
    ("report.md", include_str!("../templates/report.md.jinja")),
    ("comparison.md", include_str!("../templates/comparison.md.jinja")),
    ("compare.md", include_str!("../templates/compare.md.jinja")),
    ("claims.md", include_str!("../templates/claims.md.jinja")),
];

/// Fills the template `name`.
///
/// # Errors
/// A defect of the template, with its line.
pub(crate) fn fill(name: &str, context: impl Serialize) -> Result<String> {
    let failed = |e: minijinja::Error| ReportError::Template { name: name.to_owned(), detail: format!("{e:#}") };
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_keep_trailing_newline(true);
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| if name.ends_with(".md") { MARKDOWN } else { AutoEscape::Html });
    environment.set_formatter(format);
    for (name, source) in TEMPLATES {
        environment.add_template(name, source).map_err(failed)?;
    }
    environment.get_template(name).and_then(|template| template.render(context)).map_err(failed)
}

fn format(out: &mut Output, state: &State, value: &Value) -> std::result::Result<(), minijinja::Error> {
    if state.auto_escape() != MARKDOWN {
        return escape_formatter(out, state, value);
    }
    let text = value.to_string();
    out.write_str(&if value.is_safe() { text } else { markdown(&text) })?;
    Ok(())
}

/// Text that Markdown shows as it is, also in a table cell: nothing of it is markup, HTML, a column or a new line.
fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' => escaped.extend(['\\', c]),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_shows_text_as_it_is() {
        assert_eq!(markdown("mtl-vit 71.20 ± 0.31"), "mtl-vit 71.20 ± 0.31");
        assert_eq!(markdown("<b>a|b</b>\n# x"), "&lt;b&gt;a\\|b&lt;/b&gt; \\# x");
        assert_eq!(markdown("![x](y) `c` *d* _e_"), "!\\[x\\](y) \\`c\\` \\*d\\* \\_e\\_");
    }
}
