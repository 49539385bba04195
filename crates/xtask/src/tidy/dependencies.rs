//! Every outside crate of the workspace table has its reason in `docs/dependencies.md`.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

/// Compares the workspace table with the page.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn check(root: &Path) -> Result<Vec<String>> {
    let read =
        |path: &str| fs::read_to_string(root.join(path)).with_context(|| format!("reading {path}"));
    Ok(compare(
        &read("Cargo.toml")?,
        &read("docs/dependencies.md")?,
    ))
}

fn compare(manifest: &str, page: &str) -> Vec<String> {
    let used: Vec<&str> = manifest
        .lines()
        .skip_while(|line| *line != "[workspace.dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once(" = ").map(|(name, _)| name.trim()))
        .filter(|name| !name.starts_with("lockgate-") && !name.starts_with('#'))
        .collect();
    let explained: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    let missing = used
        .iter()
        .filter(|name| !explained.contains(name))
        .map(|name| format!("docs/dependencies.md gives no reason for `{name}`"));
    let stale = explained
        .iter()
        .filter(|name| !used.contains(name))
        .map(|name| format!("docs/dependencies.md explains `{name}`, which is not used"));
    missing.chain(stale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_missing_and_what_is_stale() {
        let manifest = "[workspace.dependencies]\nlockgate-x = { path = \"x\" }\n\na = \"1\"\nb = \"2\"\n[profile.dev]\nc = 1\n";
        let page = "# Dependencies\n| crate | why |\n| `a` | one |\n| `d` | gone |\n";
        assert_eq!(
            compare(manifest, page),
            [
                "docs/dependencies.md gives no reason for `b`",
                "docs/dependencies.md explains `d`, which is not used"
            ]
        );
    }
}
