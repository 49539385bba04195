//! `export`, `import`, `diff` and `apply`: all objects of a running gateway as one file.
//!
//! They speak to its Admin API (`remote`), which checks what is written. The files and the comparison are
//! [`lockgate_declare`]'s.

mod carry_out;
mod remote;

use std::{fs, io::Read as _, path::Path};

use anyhow::{Context as _, bail};
use lockgate_declare::{Action, Change, Document, Kind, changes};
use serde_json::Value;

use self::remote::Remote;
use crate::{
    cli::{Access, Apply, Diff, Export, Flags, Import, Selection},
    replace, say,
};

use super::Outcome;

/// Writes what the gateway has into a file, or to the standard output stream.
pub(super) fn export(flags: &Flags, options: &Export) -> anyhow::Result<Outcome> {
    let selected = Selected::of(&options.selection)?;
    let mut document = block_on(async {
        let remote = remote(flags, &options.access)?;
        remote.read(&selected.kinds).await
    })?;
    selected.apply(&mut document);
    let path = options
        .file
        .as_deref()
        .filter(|path| *path != Path::new("-"));
    let is_json = path.is_some_and(|path| path.extension().is_some_and(|end| end == "json"));
    let text = if is_json {
        document.to_json()
    } else {
        document.to_yaml().context("cannot write YAML")?
    };
    match path {
        None => say(&text),
        Some(path) => {
            // There are keys in it.
            replace::file(path, &text, None)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(Outcome::Done)
}

/// Makes and replaces what the file has; removes nothing.
pub(super) fn import(flags: &Flags, options: &Import) -> anyhow::Result<Outcome> {
    carry_out(
        flags,
        &options.access,
        &options.selection,
        &options.file,
        false,
    )
}

/// Makes the gateway have what the file has, and nothing else.
pub(super) fn apply(flags: &Flags, options: &Apply) -> anyhow::Result<Outcome> {
    let (access, selection, file) = (&options.access, &options.selection, &options.file);
    if options.dry_run {
        let changes = block_on(async {
            let remote = remote(flags, access)?;
            to_do(&remote, selection, file, true).await
        })?;
        show(&changes, false);
        return Ok(Outcome::Done);
    }
    carry_out(flags, access, selection, file, true)
}

/// Says what `apply` would do.
pub(super) fn diff(flags: &Flags, options: &Diff) -> anyhow::Result<Outcome> {
    let changes = block_on(async {
        let remote = remote(flags, &options.access)?;
        to_do(&remote, &options.selection, &options.file, true).await
    })?;
    show(&changes, options.values);
    Ok(if changes.is_empty() {
        Outcome::Done
    } else {
        Outcome::Differs
    })
}

fn carry_out(
    flags: &Flags,
    access: &Access,
    selection: &Selection,
    file: &Path,
    removes: bool,
) -> anyhow::Result<Outcome> {
    block_on(async {
        let remote = remote(flags, access)?;
        let changes = to_do(&remote, selection, file, removes).await?;
        carry_out::carry_out(&remote, changes).await?;
        Ok(Outcome::Done)
    })
}

/// What makes the gateway have what a file has.
async fn to_do(
    remote: &Remote,
    selection: &Selection,
    file: &Path,
    removes: bool,
) -> anyhow::Result<Vec<Change>> {
    let selected = Selected::of(selection)?;
    let mut wanted = read(file)?;
    let mut actual = remote.read(&selected.kinds).await?;
    selected.apply(&mut wanted);
    selected.apply(&mut actual);
    if !removes {
        let wanted = &wanted;
        actual.retain(|id, _| wanted.objects().any(|(other, _)| other == id));
    }
    Ok(changes(&actual, &wanted))
}

fn remote(flags: &Flags, access: &Access) -> anyhow::Result<Remote> {
    Remote::of(&super::lifecycle::with_started(flags), access)
}

/// The objects that a command is about.
struct Selected<'a> {
    kinds: Vec<&'static Kind>,
    label: Option<(&'a str, &'a str)>,
}

impl<'a> Selected<'a> {
    fn of(selection: &'a Selection) -> anyhow::Result<Self> {
        let mut kinds = Vec::new();
        for name in &selection.only_kinds {
            let kind = Kind::named(name);
            kinds.push(kind.with_context(|| format!("there is no kind of object named {name}"))?);
        }
        if kinds.is_empty() {
            kinds.extend(lockgate_declare::KINDS);
        }
        let label = selection.label.as_deref().map(|label| {
            let split = label.split_once('=');
            split.with_context(|| format!("{label:?} is not of the form KEY=VALUE"))
        });
        Ok(Self {
            kinds,
            label: label.transpose()?,
        })
    }

    fn apply(&self, document: &mut Document) {
        document.retain(|id, object| {
            let label = |key: &str| object.get("labels")?.get(key)?.as_str();
            let has_label = |(key, value)| label(key) == Some(value);
            self.kinds.contains(&id.kind) && self.label.is_none_or(has_label)
        });
    }
}

/// A change in one line: what is done, with what, and in which fields it differs.
fn line(change: &Change) -> String {
    match &change.action {
        Action::Create(_) => format!("+ {}\n", change.id),
        Action::Delete => format!("- {}\n", change.id),
        Action::Replace { differences, .. } => {
            let fields: Vec<_> = differences.iter().map(ToString::to_string).collect();
            format!("~ {}: {}\n", change.id, fields.join(", "))
        }
    }
}

/// Says what is to be done. Values are shown where they are asked for only, for some are secret.
fn show(changes: &[Change], has_values: bool) {
    let shown = |value: &Option<Value>| {
        value
            .as_ref()
            .map_or("nothing".to_owned(), Value::to_string)
    };
    for change in changes {
        say(&line(change));
        if let Action::Replace { differences, .. } = &change.action
            && has_values
        {
            for found in differences {
                let (before, after) = (shown(&found.before), shown(&found.after));
                say(&format!("    {found}: {before} -> {after}\n"));
            }
        }
    }
    say(&match changes.len() {
        0 => "nothing to change\n".to_owned(),
        1 => "1 change to make\n".to_owned(),
        count => format!("{count} changes to make\n"),
    });
}

fn read(file: &Path) -> anyhow::Result<Document> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    let document = Document::parse(&text);
    document.with_context(|| format!("{} cannot be used", file.display()))
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => bail!("cannot start a runtime: {error}"),
    }
}
