//! The command that makes a cell again, as text for a shell. Starts nothing.

use adamv_store::CellId;

/// Options of `run` that say which cells, where and how fast, not what a cell is.
const DROPPED: [&str; 3] = ["--only", "--out", "--jobs"];

/// The arguments of the run without those that chose its cells and folder.
pub fn run_command(arguments: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if DROPPED.contains(&argument.as_str()) {
            arguments.next();
        } else if argument != "--dry-run" && !DROPPED.iter().any(|name| is_assignment(argument, name)) {
            kept.push(argument.clone());
        }
    }
    kept
}

/// `--only=x` for `--only`.
fn is_assignment(argument: &str, name: &str) -> bool {
    argument.strip_prefix(name).is_some_and(|rest| rest.starts_with('='))
}

/// The command for one cell. Without a plan the suite's name stands for its file.
pub(crate) fn reproduce(base: Option<&[String]>, id: &CellId) -> String {
    let named = ["run".to_owned(), id.suite.clone()];
    let mut words = vec!["adamv-bench".to_owned()];
    words.extend(base.filter(|base| !base.is_empty()).unwrap_or(&named).iter().map(|word| quote(word)));
    words.push("--only".to_owned());
    words
        .push(quote(&format!("system={},backbone={},variant={},seed={}", id.system, id.backbone, id.variant, id.seed)));
    words.join(" ")
}

/// A word as a POSIX shell reads it back; plain words stay as they are. Line breaks become spaces: a command is one line.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        let line: String = word.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!("'{}'", line.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(variant: &str) -> CellId {
        CellId {
            suite: "smoke".into(),
            system: "stl".into(),
            backbone: "vit-micro".into(),
            variant: variant.into(),
            seed: 3,
        }
    }

    #[test]
    fn keeps_what_makes_the_cell_and_drops_the_rest() {
        let given = [
            "run",
            "suite/suites/smoke.yaml",
            "--only",
            "seed=0",
            "--set",
            "training.joint.steps=5",
            "--out=x",
            "--jobs",
            "2",
        ];
        let base = run_command(&given.map(str::to_owned));
        assert_eq!(
            reproduce(Some(&base), &id("base")),
            "adamv-bench run suite/suites/smoke.yaml --set training.joint.steps=5 --only system=stl,backbone=vit-micro,variant=base,seed=3"
        );
        assert_eq!(
            reproduce(None, &id("$(rm -rf ~) 'x'")),
            r"adamv-bench run smoke --only 'system=stl,backbone=vit-micro,variant=$(rm -rf ~) '\''x'\'',seed=3'"
        );
    }
}
