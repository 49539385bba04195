//! Relative links of the Markdown pages lead to files that are there.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use super::files::has_extension;

/// Checks the links of every tracked page.
///
/// # Errors
/// A page cannot be read.
pub(crate) fn check(root: &Path, files: &[String]) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for path in files.iter().filter(|path| has_extension(path, "md")) {
        let text =
            fs::read_to_string(root.join(path)).with_context(|| format!("reading {path}"))?;
        let folder = root.join(path);
        let folder = folder.parent().unwrap_or(root);
        for target in targets(&text) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !folder.join(file).exists() {
                findings.push(format!("{path}: the link to {target} leads nowhere"));
            }
        }
    }
    Ok(findings)
}

/// Targets of inline links that stay in the repository, outside of code.
fn targets(text: &str) -> Vec<&str> {
    let mut is_code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        if is_code {
            continue;
        }
        // Odd pieces stand between backquotes.
        for prose in line.split('`').step_by(2) {
            found.extend(
                prose
                    .split("](")
                    .skip(1)
                    .filter_map(|rest| rest.split_once(')'))
                    .map(|(target, _)| target)
                    .filter(|target| !target.contains("://") && !target.starts_with("mailto:")),
            );
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_links_outside_of_code() {
        let text = "[a](b.md#c) `[x](y)` [d](https://e)\n```\n[f](g)\n```\n[h](i/)\n";
        assert_eq!(targets(text), ["b.md#c", "i/"]);
    }
}
