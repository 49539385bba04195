//! Every option of the reference's `config.yaml`: what it is, and whether it has its effect here.
//!
//! This table is the source of `docs/config.md` and of the warnings at start. The defaults are not repeated here: they are
//! read from `defaults.yaml`.

mod apisix;
mod deployment;
mod document;
mod nginx;
mod rest;
mod suggest;
mod warn;

pub use document::document;
pub use warn::Warning;
pub(super) use warn::warnings;

/// All options, by their block.
pub const OPTIONS: [&[ConfigOption]; 4] = [
    apisix::OPTIONS,
    nginx::OPTIONS,
    deployment::OPTIONS,
    rest::OPTIONS,
];

/// One option, or everything below one (`plugin_attr.*`).
#[derive(Debug, Clone, Copy)]
pub struct ConfigOption {
    /// Keys from the root, separated by dots; `.*` at the end stands for all below.
    pub path: &'static str,
    /// What may be written.
    pub kind: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Whether it does so here.
    pub status: Status,
}

/// Whether an option has its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It has.
    Honoured,
    /// Not yet. A value other than the default is named in a warning that says this.
    Later(&'static str),
    /// Not yet, although it is on by default: a warning says this wherever a file turns it on.
    LaterThoughOn(&'static str),
    /// It cannot have: nginx or Lua is configured by it. The warning says what to use instead.
    Never(&'static str),
}

const fn honoured(path: &'static str, kind: &'static str, about: &'static str) -> ConfigOption {
    let status = Status::Honoured;
    ConfigOption {
        path,
        kind,
        about,
        status,
    }
}

const fn later(
    path: &'static str,
    kind: &'static str,
    about: &'static str,
    missing: &'static str,
) -> ConfigOption {
    let status = Status::Later(missing);
    ConfigOption {
        path,
        kind,
        about,
        status,
    }
}

const fn later_though_on(
    path: &'static str,
    kind: &'static str,
    about: &'static str,
    missing: &'static str,
) -> ConfigOption {
    let status = Status::LaterThoughOn(missing);
    ConfigOption {
        path,
        kind,
        about,
        status,
    }
}

const fn never(
    path: &'static str,
    kind: &'static str,
    about: &'static str,
    instead: &'static str,
) -> ConfigOption {
    let status = Status::Never(instead);
    ConfigOption {
        path,
        kind,
        about,
        status,
    }
}

/// All options.
pub(super) fn all() -> impl Iterator<Item = &'static ConfigOption> {
    OPTIONS.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::boot::defaults;

    #[test]
    fn each_option_is_listed_once() {
        let mut seen = HashSet::new();
        for option in all() {
            assert!(seen.insert(option.path), "{} is listed twice", option.path);
        }
    }

    #[test]
    fn every_default_belongs_to_a_listed_option() {
        let known = defaults::built_in();
        let strays = warn::unlisted(&known);
        assert!(strays.is_empty(), "{strays:?}");
    }
}
