//! `docs/config.md`, from the table.

use std::fmt::Write as _;

use super::{OPTIONS, Status};
use crate::boot::{defaults, tree::Node};

const HEAD: &str = "\
# config.yaml

<!-- Generated from crates/model/src/boot/options; `UPDATE=1 cargo test -p lockgate-model` writes it anew. -->

The file is `conf/config.yaml` below the prefix (`-p DIR`, by default the current directory), or the one named by `-c FILE`.
It is read at start, and anew on a reload ([cli.md](cli.md)).
Options, names and defaults are those of Apache APISIX 3.18; [cli.md](cli.md) says how the file is found and what happens without one.

How a value comes about:

- What the file says is laid over the defaults below.
  Maps merge key by key, everything else replaces, and `null` removes a default.
- `${{NAME}}` in a key or value stands for a variable of the environment, `${{NAME:=value}}` for one with a default.
  A variable that is not set and has no default ends the start.
- Times are written as in nginx: `60`, `60s`, `500ms`, `1m30s`.
  So are sizes: `16384`, `16k`, `512m`, `1g`.

The last column says whether the option has its effect:
*yes*, *not yet* (a warning names it at start if the file asks for something else than what happens), or *no* (it configures nginx or Lua; the warning says what to use instead).
";

/// The page.
pub fn document() -> String {
    let defaults = defaults::built_in();
    let mut page = HEAD.to_owned();
    for (title, options) in ["apisix", "nginx_config", "deployment", "Everything else"]
        .into_iter()
        .zip(OPTIONS)
    {
        let title = if title.contains(' ') {
            title.to_owned()
        } else {
            format!("`{title}`")
        };
        let _infallible = write!(
            page,
            "\n## {title}\n\n| option | value | default | what it does | effect |\n|---|---|---|---|---|\n"
        );
        for option in options {
            let effect = match option.status {
                Status::Honoured => "yes".to_owned(),
                Status::Later(missing) | Status::LaterThoughOn(missing) => {
                    format!("not yet: {missing}")
                }
                Status::Never(instead) => format!("no: {instead}"),
            };
            let default = defaults.at(option.path).map_or_else(String::new, short);
            let _infallible = writeln!(
                page,
                "| `{}` | {} | {default} | {} | {effect} |",
                option.path, option.kind, option.about
            );
        }
    }
    page
}

/// A default as a cell of a table.
fn short(default: &Node) -> String {
    /// Longer ones are better looked up.
    const LONGEST: usize = 80;
    let text = default.to_json().to_string();
    if text.len() > LONGEST {
        return "see [defaults.yaml](../crates/model/src/boot/defaults.yaml)".to_owned();
    }
    format!("`{}`", text.replace('|', "\\|"))
}
