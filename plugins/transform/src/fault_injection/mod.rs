//! `fault-injection`: delays requests, or answers them in the upstream's place, to see how clients take it.
//!
//! Runs in `rewrite`, before nearly everything else.

use std::{sync::Arc, time::Duration};

use lockgate_expr::{Expr, Template};
use lockgate_plugin::{
    About, Body, Compile, ConfigError, Exchange, FieldName, Flow, Hooks, Plugin, Reply, Rewrite,
    RewriteAsync,
};
use serde::Deserialize;
use serde_json::Value;

use crate::fields::{Text, response_name, texts};

/// The configuration as users write it.
#[derive(Debug, Deserialize)]
pub struct Config {
    /// An answer in the upstream's place.
    pub abort: Option<AbortConfig>,
    /// A wait.
    pub delay: Option<DelayConfig>,
}

/// An answer in the upstream's place, as users write it.
#[derive(Debug, Deserialize)]
pub struct AbortConfig {
    /// Its status.
    pub http_status: u16,
    /// Its body, with variables.
    pub body: Option<String>,
    /// Its fields; texts have variables.
    pub headers: Option<Value>,
    /// How many requests of a hundred get it.
    pub percentage: Option<u8>,
    /// Expressions of which one must hold.
    pub vars: Option<Vec<Value>>,
}

/// A wait, as users write it.
#[derive(Debug, Deserialize)]
pub struct DelayConfig {
    /// Seconds.
    pub duration: f64,
    /// How many requests of a hundred wait.
    pub percentage: Option<u8>,
    /// Expressions of which one must hold.
    pub vars: Option<Vec<Value>>,
}

/// `fault-injection`, compiled.
#[derive(Debug)]
pub struct FaultInjection {
    abort: Option<Abort>,
    delay: Option<Delay>,
}

#[derive(Debug)]
struct Abort {
    who: Who,
    status: u16,
    body: Option<Template>,
    headers: Vec<(FieldName, Text)>,
}

#[derive(Debug)]
struct Delay {
    who: Who,
    duration: Duration,
}

/// On which requests to act.
#[derive(Debug)]
struct Who {
    percentage: Option<u8>,
    vars: Option<Box<[Expr]>>,
}

impl Plugin for FaultInjection {
    const ABOUT: About = About::new("fault-injection", 11000, include_str!("schema.json"));

    type Config = Config;

    fn compile(config: Config, _: &Compile<'_>) -> Result<Self, ConfigError> {
        let abort = config.abort.map(|abort| {
            Ok(Abort {
                who: Who::compile(abort.percentage, abort.vars.as_deref())?,
                status: abort.http_status,
                body: abort.body.as_deref().map(Template::parse),
                headers: texts(abort.headers.as_ref())
                    .filter_map(|(name, text)| Some((response_name(name).ok()?, Text::new(&text))))
                    .collect(),
            })
        });
        let delay = config.delay.map(|delay| {
            Ok(Delay {
                who: Who::compile(delay.percentage, delay.vars.as_deref())?,
                duration: Duration::try_from_secs_f64(delay.duration).unwrap_or(Duration::MAX),
            })
        });
        Ok(Self {
            abort: abort.transpose()?,
            delay: delay.transpose()?,
        })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        if self.delay.is_some() {
            on.rewrite_async(self);
        } else {
            on.rewrite(self);
        }
    }
}

impl Rewrite for FaultInjection {
    fn rewrite(&self, ex: &mut Exchange<'_>) -> Flow {
        let aborts = self.abort.as_ref().filter(|abort| abort.who.has(ex));
        aborts.map_or(Flow::Next, |abort| abort.answer(ex))
    }
}

impl RewriteAsync for FaultInjection {
    async fn rewrite(&self, ex: &mut Exchange<'_>) -> Flow {
        // Whom it meets is decided before the wait.
        let aborts = self.abort.as_ref().filter(|abort| abort.who.has(ex));
        if let Some(delay) = self.delay.as_ref().filter(|delay| delay.who.has(ex)) {
            tokio::time::sleep(delay.duration).await;
        }
        aborts.map_or(Flow::Next, |abort| abort.answer(ex))
    }
}

impl Who {
    fn compile(percentage: Option<u8>, vars: Option<&[Value]>) -> Result<Self, ConfigError> {
        let compile =
            |rules: &Value| Expr::compile(rules).map_err(|error| ConfigError(error.to_string()));
        let vars = vars.map(|vars| vars.iter().map(compile).collect());
        Ok(Self {
            percentage,
            vars: vars.transpose()?,
        })
    }

    fn has(&self, ex: &Exchange<'_>) -> bool {
        let is_meant = |vars: &[Expr]| vars.iter().any(|one| one.eval(ex));
        self.vars.as_deref().is_none_or(is_meant)
            && self
                .percentage
                .is_none_or(|percentage| rand::random_range(0..100) < percentage)
    }
}

impl Abort {
    fn answer(&self, ex: &Exchange<'_>) -> Flow {
        let body = match &self.body {
            Some(body) => Body::Bytes(ex.render(body).into()),
            None => Body::Page,
        };
        let mut reply = Reply::new(self.status, body);
        let mut value = Vec::new();
        for (name, text) in &self.headers {
            text.render(ex, None, &mut value);
            if !value.is_empty() {
                reply.headers.set_field(name, &value);
            }
        }
        reply.into()
    }
}

#[cfg(test)]
mod tests;
