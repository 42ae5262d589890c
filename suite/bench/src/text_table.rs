//! A plain table for the terminal: columns as wide as their widest cell. Knows nothing of what it shows.

use std::fmt;

/// Rows of text below a header; columns after the given number of left-aligned ones are right-aligned.
pub struct TextTable {
    rows: Vec<Vec<String>>,
    left: usize,
}

impl TextTable {
    pub fn new(header: &[&str], left: usize) -> Self {
        Self { rows: vec![header.iter().map(|title| title.to_string()).collect()], left }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for TextTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
                if column < self.left { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// A count with thousands separated: `12 345 678`.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let first = digits.len() % 3;
    let mut groups: Vec<&str> = Vec::new();
    if first > 0 {
        groups.push(&digits[..first]);
    }
    groups.extend((first..digits.len()).step_by(3).map(|at| &digits[at..at + 3]));
    groups.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = TextTable::new(&["cell", "n"], 1);
        table.row(["a".into(), "10".into()]);
        table.row(["abcdef".into(), "3".into()]);
        assert_eq!(table.to_string(), "cell     n\na       10\nabcdef   3\n");
    }

    #[test]
    fn groups_of_three() {
        assert_eq!(
            ["0", "999", "1 000", "12 345 678"],
            [0, 999, 1000, 12_345_678].map(grouped).each_ref().map(String::as_str)
        );
    }
}
