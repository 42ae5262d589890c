//! The task version that results are of, beside that of their suite as it is now.

use std::collections::BTreeSet;
use std::path::Path;

use adamv_store::Record;

/// Where the project's suites lie below the current directory, which is the root of the repository as a rule.
const SUITES: &str = "suite/suites";

/// Says so where records of `suite` are of an older task version than the suite: they can't be compared with what it makes
/// now. None for a suite that isn't the project's. `name` is that of the run.
pub fn outdated<'a>(name: &str, suite: &str, records: impl Iterator<Item = &'a Record>) -> Option<String> {
    let text = std::fs::read_to_string(Path::new(SUITES).join(format!("{suite}.yaml"))).ok()?;
    let file: serde_yaml::Value = serde_yaml::from_str(&text).ok()?;
    let now = file.get("task_version")?.as_u64()?;
    let older: BTreeSet<u64> = records.filter_map(Record::task_version).filter(|version| *version < now).collect();
    let older: Vec<String> = older.iter().map(u64::to_string).collect();
    (!older.is_empty()).then(|| {
        format!(
            "The results of {name} are of task version {}; the suite {suite} is of version {now} now, whose numbers mean something else: they can't be compared.",
            older.join(", ")
        )
    })
}
