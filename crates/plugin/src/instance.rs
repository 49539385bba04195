//! Configured plugins, and sets of them as objects hold them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use lockgate_expr::Expr;
use serde_json::Value;

use crate::{About, Compile, ConfigError, Descriptor, Exchange, Hooks, node::Part};

/// One configuration of one plugin, compiled, with what its `_meta` says.
#[derive(Debug)]
pub struct Instance {
    /// The plugin.
    pub about: &'static About,
    /// Key of the object that configures it, such as `routes/1`.
    pub from: Arc<str>,
    pub(crate) hooks: Hooks,
    pub(crate) priority: i64,
    filter: Option<Expr>,
    /// The body that answers of 400 and above have instead of their own.
    pub(crate) error_body: Option<Bytes>,
    /// The second of the Unix epoch in which it was last warned of a refusal.
    warned: AtomicU64,
}

/// What an object says of a plugin.
#[derive(Debug, Clone)]
pub enum Slot {
    /// It runs.
    On(Arc<Instance>),
    /// It does not (`_meta.disable`), also where an object of less weight says so. The key is that of the object that switches it off.
    Off(Arc<str>),
}

impl Slot {
    /// Compiles the configuration of a plugin.
    ///
    /// # Errors
    /// It cannot be honoured.
    pub fn compile(
        plugin: &Descriptor,
        config: &Value,
        cx: &Compile<'_>,
    ) -> Result<Self, ConfigError> {
        let meta = config.get("_meta").and_then(Value::as_object);
        let member = |name: &str| meta.and_then(|meta| meta.get(name));
        if member("disable") == Some(&Value::Bool(true)) {
            return Ok(Self::Off(cx.parent.key.clone()));
        }
        if member("pre_function").is_some() {
            return Err(ConfigError::new(
                "_meta.pre_function needs Lua, which is not built in",
            ));
        }
        let filter = member("filter").map(Expr::compile).transpose();
        let filter = filter.map_err(|error| {
            ConfigError(format!("failed to validate the 'vars' expression: {error}"))
        })?;
        let error_body = member("error_response").map(|body| match body {
            Value::String(text) => Bytes::copy_from_slice(text.as_bytes()),
            other => {
                let mut text = other.to_string().into_bytes();
                text.push(b'\n');
                Bytes::from(text)
            }
        });
        let filled = cx.node.fill(plugin.about, Part::Plugin, config)?;
        Ok(Self::On(Arc::new(Instance {
            about: plugin.about,
            from: cx.parent.key.clone(),
            hooks: plugin.compile(
                &filled,
                &Compile {
                    config: &filled,
                    ..*cx
                },
            )?,
            priority: member("priority")
                .and_then(Value::as_i64)
                .unwrap_or(i64::from(plugin.about.priority)),
            filter,
            error_body,
            warned: AtomicU64::new(0),
        })))
    }
}

impl Instance {
    /// Its place among others: its own `_meta.priority`, else that of the plugin.
    pub fn priority(&self) -> i64 {
        self.priority
    }

    /// On which requests it runs (`_meta.filter`); `None` for all.
    pub fn filter(&self) -> Option<&Expr> {
        self.filter.as_ref()
    }

    /// Whether a refusal at this time is worth a warning: the first in a second is, so that clients cannot fill the log.
    pub(crate) fn warns_at(&self, now: Duration) -> bool {
        // Looked at first: a flood of refusals should not make the workers wait for each other to write.
        self.warned.load(Ordering::Relaxed) != now.as_secs()
            && self.warned.swap(now.as_secs(), Ordering::Relaxed) != now.as_secs()
    }

    /// Whether it runs on this request (`_meta.filter`). Asked once per request, whatever changes meanwhile.
    #[inline]
    pub(crate) fn applies(&self, ex: &mut Exchange<'_>) -> bool {
        self.filter
            .as_ref()
            .is_none_or(|filter| self.applies_by(filter, ex))
    }

    fn applies_by(&self, filter: &Expr, ex: &mut Exchange<'_>) -> bool {
        let place = std::ptr::from_ref(self).addr();
        let known = ex
            .state()
            .verdicts
            .iter()
            .find(|(whose, _)| *whose == place);
        if let Some((_, verdict)) = known {
            return *verdict;
        }
        let verdict = filter.eval(ex);
        ex.state_mut().verdicts.push((place, verdict));
        verdict
    }
}

/// The plugins of an object, by name.
#[derive(Debug, Clone, Default)]
pub struct PluginSet {
    slots: BTreeMap<&'static str, Slot>,
}

impl PluginSet {
    /// Adds what an object says of a plugin.
    pub fn insert(&mut self, name: &'static str, slot: Slot) {
        self.slots.insert(name, slot);
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// What it says of a plugin.
    pub fn get(&self, name: &str) -> Option<&Slot> {
        self.slots.get(name)
    }

    /// This set with another laid over it: of a plugin in both, the other's configuration counts, whole.
    #[must_use]
    pub fn under(&self, over: &Self) -> Self {
        let mut slots = self.slots.clone();
        slots.extend(over.slots.iter().map(|(name, slot)| (*name, slot.clone())));
        Self { slots }
    }

    /// Name and configuration of each plugin, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Slot)> + Clone {
        self.slots.iter().map(|(name, slot)| (*name, slot))
    }
}
