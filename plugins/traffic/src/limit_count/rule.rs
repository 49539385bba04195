//! Which limits apply to a request.

use lockgate_expr::Template;
use lockgate_limit::Quota;
use lockgate_plugin::{ConfigError, Exchange};
use smallvec::{SmallVec, smallvec};

use super::{config, headers::Names};
use crate::limiting::{Amount, Number, Source};

/// The limits of a configuration.
#[derive(Debug)]
pub(super) enum Rules {
    /// One, for every request.
    One(Rule),
    /// Several (`rules`), of which those apply whose keys have a value.
    Several(Box<[(Template, Rule)]>),
}

/// A limit.
#[derive(Debug)]
pub(super) struct Rule {
    count: Amount,
    time_window: Amount,
    /// Of several rules, what they count by is rendered to see whether they apply.
    pub(super) key: Source,
    /// What stands in the names of its fields.
    pub(super) prefix: Option<Box<str>>,
    /// Names of its fields where no metadata says others.
    pub(super) names: Names,
}

/// A limit that applies to a request.
pub(super) struct Applied<'r> {
    pub(super) rule: &'r Rule,
    pub(super) quota: Quota,
    /// What it counts by, where that is known already.
    pub(super) value: Option<Vec<u8>>,
}

impl Rules {
    pub(super) fn new(config: config::Config) -> Result<Self, ConfigError> {
        if let Some(rules) = config.rules {
            let rules = rules.into_iter().zip(1..).map(|(rule, number)| {
                let prefix = rule.header_prefix.unwrap_or_else(|| number.to_string());
                let limit = Rule {
                    count: rule.count.into(),
                    time_window: rule.time_window.into(),
                    key: Source::Constant("".into()),
                    names: Names::default().prefixed(&prefix),
                    prefix: Some(prefix.into()),
                };
                (Template::parse(&rule.key), limit)
            });
            return Ok(Self::Several(rules.collect()));
        }
        let given = |number: Option<Number>, name: &str| {
            let missing = || ConfigError(format!("property \"{name}\" is required"));
            number.map(Amount::from).ok_or_else(missing)
        };
        Ok(Self::One(Rule {
            count: given(config.count, "count")?,
            time_window: given(config.time_window, "time_window")?,
            key: Source::new(&config.key, config.key_type),
            prefix: None,
            names: Names::default(),
        }))
    }

    /// The limits that apply to a request: at least one.
    ///
    /// # Errors
    /// None applies, or what one allows is no number.
    #[inline]
    pub(super) fn apply(&self, ex: &Exchange<'_>) -> Result<SmallVec<[Applied<'_>; 1]>, String> {
        match self {
            Self::One(rule) => Ok(smallvec![rule.applied(None, ex)?]),
            Self::Several(rules) => {
                let mut applied = SmallVec::new();
                for (key, rule) in rules {
                    let mut value = Vec::new();
                    // A key of which nothing is there is no reason to refuse; a limit that is no number is one, or clients could
                    // lift limits.
                    if key.render(ex, &mut value) > 0 {
                        applied.push(rule.applied(Some(value), ex)?);
                    }
                }
                if applied.is_empty() {
                    return Err("nil".into());
                }
                Ok(applied)
            }
        }
    }
}

impl Rule {
    #[inline]
    fn applied(&self, value: Option<Vec<u8>>, ex: &Exchange<'_>) -> Result<Applied<'_>, String> {
        let count = self.count.resolve(1, ex)?;
        let window_s = self.time_window.resolve(1, ex)?;
        let quota = Quota::new(count, window_s).ok_or("a limit of 0")?;
        Ok(Applied {
            rule: self,
            quota,
            value,
        })
    }
}
