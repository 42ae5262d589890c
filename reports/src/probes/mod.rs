//! Looks inside the cells: where the experts send what, whether the tasks agree, which classes are found and where detection fails.
//! A topic is a file: from the probes, matches and histories of some cells to figures and tables; what is absent says why.
//!
//! ```text
//! Results --looked--> one finished cell per system, backbone, variant --patches, usage, ..--> Topic
//!                                                                            |
//!                                  html, markdown, csv, svg <-- templates <-- Looks
//! ```

mod aes;
mod bars;
mod canvas;
mod classes;
mod colours;
mod errors;
mod gallery;
mod gradients;
mod heat;
mod looked;
mod patches;
mod settling;
mod similarity;
mod usage;

pub(crate) use gradients::cosines;

use serde::Serialize;

use crate::curves::Figure;
use crate::details::Link;
use crate::error::Result;
use crate::group::Group;
use crate::load::Results;
use looked::{Looked, looked};

/// Everything that the report shows of the inside of its cells.
#[derive(Debug, Serialize)]
pub(crate) struct Looks {
    pub sections: Vec<Section>,
    /// Why there is nothing, or less than there could be.
    pub absent: Option<String>,
    /// Name without ending, CSV.
    #[serde(skip)]
    pub tables: Vec<(String, String)>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Section {
    /// Its id in the page.
    pub id: &'static str,
    pub title: &'static str,
    pub topics: Vec<Topic>,
    /// What holds for all its topics, and all there is to say where it has none.
    pub note: Option<String>,
}

/// One question, with what there is to see of each system.
#[derive(Debug, Serialize)]
pub(crate) struct Topic {
    /// Its id in the page.
    pub id: &'static str,
    pub title: &'static str,
    /// What is shown and how it is read.
    pub lead: String,
    pub parts: Vec<Part>,
    /// Which systems are missing, and why.
    pub absent: Vec<String>,
    #[serde(skip)]
    pub table: Option<String>,
}

/// What there is to see of a system, or of all of them together.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Part {
    /// The system; empty for all together.
    pub label: String,
    /// The cells that it was taken from.
    pub cells: Vec<Link>,
    /// Whether it has to be opened to be seen.
    pub folded: bool,
    pub figures: Vec<Figure>,
    pub tables: Vec<Table>,
    pub notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Table {
    /// Its id in the page.
    pub id: String,
    pub title: String,
    pub columns: Vec<Heading>,
    /// The first entry names the row.
    pub rows: Vec<Vec<Entry>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Heading {
    pub name: String,
    pub unit: &'static str,
    pub number: bool,
}

/// A text, and the number to sort by.
#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    pub text: String,
    pub value: Option<f64>,
}

impl Heading {
    fn text(name: &str) -> Self {
        Self { name: name.to_owned(), unit: "", number: false }
    }

    fn number(name: &str, unit: &'static str) -> Self {
        Self { name: name.to_owned(), unit, number: true }
    }
}

impl Entry {
    fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), value: None }
    }

    fn number(text: impl Into<String>, value: f64) -> Self {
        Self { text: text.into(), value: Some(value) }
    }
}

/// The section of what systems without experts lack.
const EXPERTS: &str = "experts";

/// Looks at all cells that are done.
///
/// # Errors
/// A defect of a figure.
pub(crate) fn looks(results: &Results, groups: &[Group]) -> Result<Looks> {
    let looked = looked(results, groups);
    let any_probes = looked.iter().any(Looked::has_probes);
    let any_experts = looked.iter().any(|one| one.has_experts);
    let inside = [
        patches::topic(&looked),
        usage::topic(&looked),
        similarity::topic(&looked),
        settling::topic(&looked)?,
        aes::topic(&looked)?,
    ];
    let tasks = [gradients::topic(&looked)];
    let detection = [classes::topic(&looked), errors::topic(&looked), gallery::topic(&looked)];
    let dense = match any_experts {
        true => looked::dense(&looked),
        false => any_probes.then(|| "No system of this run has experts.".to_owned()),
    };
    let mut sections = vec![
        Section { id: EXPERTS, title: "Inside the experts", topics: inside.into(), note: dense },
        Section { id: "agreement", title: "Do the tasks agree?", topics: tasks.into(), note: None },
        Section { id: "found", title: "What detection finds", topics: detection.into(), note: None },
    ];
    let mut tables = Vec::new();
    for section in &mut sections {
        // Without any probes one line says so, and only what other files tell is shown; without any experts there is nothing inside.
        section.topics.retain(|topic| !topic.parts.is_empty() || any_probes && (any_experts || section.id != EXPERTS));
        for topic in &mut section.topics {
            topic.parts.sort_by_key(|part| part.folded);
        }
        tables.extend(section.topics.iter_mut().filter_map(|topic| Some((topic.id.to_owned(), topic.table.take()?))));
    }
    sections.retain(|section| any_probes && section.note.is_some() || !section.topics.is_empty());
    let absent = (!looked.is_empty() && !any_probes).then(|| {
        "This run recorded no probes: there are no looks inside the experts, at the tasks' gradients and at single images."
            .to_owned()
    });
    Ok(Looks { sections, absent, tables })
}

impl Looks {
    /// All figures, in the order of the page.
    pub(crate) fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.sections
            .iter()
            .flat_map(|section| &section.topics)
            .flat_map(|topic| &topic.parts)
            .flat_map(|part| &part.figures)
    }
}
