//! Length of source files, paths of somebody's machine, and one test command for README and CI.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

/// Lines above which a source file must be split (CONTRIBUTING.md).
const LINES_MAX: usize = 800;

/// Beginnings of paths that exist on one machine only. Written in two parts, so that this file does not find itself.
const PRIVATE: &[&str] = &[
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/wo", "rk/"),
];

/// The files that git tracks, relative to `root`.
///
/// # Errors
/// git cannot be run.
pub(crate) fn tracked(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root)
        .output()
        .context("running git ls-files")?;
    ensure!(output.status.success(), "git ls-files failed");
    Ok(String::from_utf8_lossy(&output.stdout)
        .split('\0')
        .filter(|path| !path.is_empty() && root.join(path).is_file())
        .map(str::to_owned)
        .collect())
}

/// Whether a path ends in `.extension`.
pub(crate) fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|found| found == extension)
}

/// Checks every tracked file.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn check(root: &Path, files: &[String]) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for path in files {
        let bytes = fs::read(root.join(path)).with_context(|| format!("reading {path}"))?;
        let Ok(text) = std::str::from_utf8(&bytes) else {
            continue;
        };
        if has_extension(path, "rs") && text.lines().count() > LINES_MAX {
            findings.push(format!("{path} has more than {LINES_MAX} lines: split it"));
        }
        if !path.starts_with("fuzz/corpus/") && !has_extension(path, "lock") {
            findings.extend(private_paths(path, text));
        }
    }
    let read =
        |path: &str| fs::read_to_string(root.join(path)).with_context(|| format!("reading {path}"));
    findings.extend(test_command(&read("README.md")?, &read(".ci/run")?));
    Ok(findings)
}

fn private_paths(path: &str, text: &str) -> Vec<String> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| {
            PRIVATE.iter().any(|private| {
                line.match_indices(private).any(|(at, _)| {
                    // `https://host/home/` is an address, not a path of this machine.
                    !line[..at].ends_with(|before: char| {
                        before.is_alphanumeric() || ".-_}".contains(before)
                    })
                })
            })
        })
        .map(|(number, _)| format!("{path}:{}: a path of one machine", number + 1))
        .collect()
}

/// The README's line behind `<!-- test command -->` must be what CI runs.
fn test_command(readme: &str, ci: &str) -> Option<String> {
    let command = readme
        .split_once("<!-- test command -->")
        .and_then(|(_, rest)| rest.split_once("```sh\n"))
        .and_then(|(_, block)| block.lines().next());
    match command {
        None => Some("README.md names no test command".into()),
        Some(command) if ci.lines().any(|line| line == command) => None,
        Some(command) => Some(format!(".ci/run does not run the README's `{command}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_paths_of_one_machine() {
        let text = format!("a {}x\nhttps://a.b{}c\n", PRIVATE[0], PRIVATE[1]);
        assert_eq!(private_paths("f", &text), ["f:1: a path of one machine"]);
    }

    #[test]
    fn compares_the_test_command() {
        let readme = "x\n<!-- test command -->\n```sh\ncargo test\n```\n";
        assert_eq!(test_command(readme, "set -e\ncargo test\n"), None);
        assert!(test_command(readme, "cargo test --lib\n").is_some());
        assert!(test_command("", "cargo test\n").is_some());
    }
}
