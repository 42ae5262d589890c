//! Rows of the tables held against each other: differences over the seeds and images that both have, by the machinery of `compare`.
//! Has no statistics of its own.

use std::cell::RefCell;

use crate::compare::{ApCache, Noted, ONE_SEED, Row, Source, SourceCell, judge};
use crate::error::{ReportError, Result};
use crate::group::{Group, Metric};
use crate::load::{Results, RunCell};

/// A difference, or why there is none.
pub(crate) type Difference = std::result::Result<Row, String>;

/// What differences are made of.
pub(crate) struct Pairing<'a, 'c> {
    pub results: &'a Results,
    /// The runs of `results`, in their order.
    pub sources: &'a [Source],
    pub cache: &'c RefCell<ApCache<'a>>,
}

impl<'a> Pairing<'a, '_> {
    /// The cells of a group as they are compared.
    fn cells(&self, group: &Group) -> Vec<&'a SourceCell> {
        let all = || self.results.runs[group.run].cells.iter().zip(&self.sources[group.run].cells);
        let of = |cell: &RunCell| all().find(|(other, _)| std::ptr::eq(*other, cell)).map(|(_, source)| source);
        group.cells.iter().copied().filter_map(of).collect()
    }

    /// `group` minus `than` by metric, in the order of [`Metric::ALL`], with the tolerances of the group's suite; not yet adjusted or
    /// judged.
    ///
    /// # Errors
    /// Those of a comparison, but for one that cannot be made, which is the reason why there is no difference.
    pub(crate) fn differences(
        &self,
        group: &Group,
        than: std::result::Result<&Group, &str>,
        noted: &mut Noted,
    ) -> Result<Vec<Difference>> {
        let than = match than {
            Ok(than) => than,
            Err(why) => {
                let own = |metric: Metric| group.metric(metric).err().unwrap_or_else(|| why.to_owned());
                return Ok(Metric::ALL.map(|metric| Err(own(metric))).into());
            }
        };
        let gates = &self.sources[group.run].gates;
        let (ours, theirs) = (self.cells(group), self.cells(than));
        let (rows, refused) =
            match crate::compare::rows_between(&ours, &theirs, gates, &mut self.cache.borrow_mut(), noted) {
                Ok(rows) => (rows, None),
                Err(ReportError::Comparison { detail }) => (Vec::new(), Some(detail)),
                Err(error) => return Err(error),
            };
        let common = group.done().any(|a| than.done().any(|b| a.cell.seed == b.cell.seed));
        let why = |metric: Metric| {
            let of_reference = || than.metric(metric).err().map(|why| format!("{}: {why}", than.label()));
            let mut known = group.metric(metric).err().or_else(of_reference).or_else(|| refused.clone());
            if known.is_none() && !common {
                known = Some("no seed in common".to_owned());
            }
            known.unwrap_or_else(|| "no predictions of single images".to_owned())
        };
        let of =
            |metric: Metric| rows.iter().find(|row| row.metric == metric.key()).cloned().ok_or_else(|| why(metric));
        Ok(Metric::ALL.map(of).into())
    }
}

/// Adjusts and judges differences that are looked at together.
pub(crate) fn judge_together<'d>(differences: impl Iterator<Item = &'d mut Difference>) {
    judge(differences.filter_map(|difference| difference.as_mut().ok()));
}

/// What to know when reading differences.
pub(crate) fn notes<'d>(noted: Noted, mut differences: impl Iterator<Item = &'d Difference>) -> Vec<String> {
    let one = differences.any(|difference| difference.as_ref().is_ok_and(|row| row.seeds.len() == 1));
    one.then(|| ONE_SEED.to_owned()).into_iter().chain(noted.sentences()).collect()
}
