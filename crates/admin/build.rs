//! Lists what is recorded of each plugin: of those that are built in from their own folders, of the others from `schemas/`.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// One plugin: priority, name, where its record lies, whether it is built in.
type Found = (i64, String, PathBuf, bool);

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let plugins = here.join("../../plugins");
    let recorded = here.join("schemas");
    for watched in [&plugins, &recorded] {
        println!("cargo:rerun-if-changed={}", watched.display());
    }
    let mut text = String::new();
    for (table, folder, own) in [
        ("HTTP", "http", "schema.json"),
        ("STREAM", "stream", "stream_schema.json"),
    ] {
        let mut found = Vec::new();
        for file in entries(&recorded.join(folder))? {
            if file
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                take(&file, stem(&file), false, &mut found)?;
            }
        }
        for family in entries(&plugins)? {
            for plugin in entries(&family.join("src"))? {
                let file = plugin.join(own);
                if file.is_file() {
                    take(&file, stem(&plugin).replace('_', "-"), true, &mut found)?;
                }
            }
        }
        // By falling priority; names decide among equals, so that builds are the same everywhere.
        found.sort_by(|one, other| (other.0, &one.1).cmp(&(one.0, &other.1)));
        writeln!(
            text,
            "/// Plugins of the subsystem `{folder}`.\npub(super) const {table}: Records = &["
        )?;
        for (_, name, file, is_built) in found {
            let file = file.canonicalize()?;
            let file = file.to_str().ok_or("a path is not UTF-8")?;
            writeln!(text, "    ({name:?}, include_str!({file:?}), {is_built}),")?;
        }
        writeln!(text, "];")?;
    }
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("records.rs"), text)?;
    Ok(())
}

fn take(
    file: &Path,
    name: String,
    is_built: bool,
    found: &mut Vec<Found>,
) -> Result<(), Box<dyn Error>> {
    let record: Value = serde_json::from_str(&fs::read_to_string(file)?)
        .map_err(|error| format!("{}: {error}", file.display()))?;
    let priority = record.get("priority").and_then(Value::as_i64);
    let priority = priority.ok_or_else(|| format!("{}: no priority", file.display()))?;
    if found.iter().any(|(_, known, ..)| *known == name) {
        return Err(format!("{name} is recorded twice").into());
    }
    found.push((priority, name, file.to_owned(), is_built));
    Ok(())
}

/// What lies in a folder; nothing where it is none.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    Ok(entries.collect::<Result<_, _>>()?)
}

fn stem(file: &Path) -> String {
    file.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
