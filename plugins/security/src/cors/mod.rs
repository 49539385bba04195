//! `cors`: answers preflight requests, and tells browsers which origins may read responses.
//!
//! `rewrite` takes note of the origin, as plugins that follow may change the field, and answers `OPTIONS`; `header_filter` writes the fields.
//! Differences from the reference are in `README.md`.

mod origins;

use std::{collections::BTreeMap, sync::Arc};

use lockgate_pattern::{Flags, Pattern};
use lockgate_plugin::{
    About, Compile, ConfigError, Exchange, FieldName, Flow, HeaderFilter, Hooks, Metadata,
    MetadataHandle, MetadataType, Plugin, Rewrite,
};
use serde::Deserialize;

use origins::Origins;

/// The configuration as users write it.
#[derive(Debug, Deserialize)]
pub struct Config {
    /// Origins that may read responses.
    pub allow_origins: String,
    /// Methods that they may use.
    pub allow_methods: String,
    /// Fields that they may send.
    pub allow_headers: String,
    /// Fields that they may read.
    pub expose_headers: Option<String>,
    /// Seconds for which a browser keeps the answer to a preflight request.
    pub max_age: i64,
    /// Whether cookies and the like may be sent.
    pub allow_credential: bool,
    /// Patterns of origins that may read responses.
    pub allow_origins_by_regex: Option<Vec<String>>,
    /// Names of lists of origins in the plugin's metadata.
    pub allow_origins_by_metadata: Option<Vec<String>>,
    /// Origins that may see how long things took.
    pub timing_allow_origins: Option<String>,
    /// Patterns of origins that may see how long things took.
    pub timing_allow_origins_by_regex: Option<Vec<String>>,
}

/// `cors`, compiled.
#[derive(Debug)]
pub struct Cors {
    origins: Origins,
    by_regex: Option<Pattern>,
    by_metadata: Option<Box<[Box<str>]>>,
    metadata: MetadataHandle<AllowOrigins>,
    methods: Box<str>,
    headers: AllowHeaders,
    expose_headers: Option<Box<str>>,
    max_age: Box<str>,
    allow_credential: bool,
    timing: Timing,
}

/// `Access-Control-Allow-Headers`.
#[derive(Debug)]
enum AllowHeaders {
    These(Box<str>),
    /// Those that were asked for (`**`).
    Asked,
}

/// Who may see how long things took.
#[derive(Debug)]
enum Timing {
    Nobody,
    Origins(Origins),
    Pattern(Pattern),
}

/// The metadata as users write it.
#[derive(Debug, Deserialize)]
pub struct AllowOriginsConfig {
    #[serde(default)]
    allow_origins: BTreeMap<String, String>,
}

/// The metadata: lists of origins by their names.
#[derive(Debug)]
pub struct AllowOrigins(BTreeMap<String, Origins>);

/// The origin of a request, as it came.
#[derive(Default)]
struct Asked(Vec<u8>);

impl Metadata for AllowOrigins {
    type Config = AllowOriginsConfig;

    fn compile(config: AllowOriginsConfig, _: &Compile<'_>) -> Result<Self, ConfigError> {
        let lists = config.allow_origins.into_iter();
        let lists = lists.map(|(name, origins)| (name, Origins::parse(&origins)));
        Ok(Self(lists.collect()))
    }
}

impl Plugin for Cors {
    const ABOUT: About = About::new("cors", 4000, include_str!("schema.json"));

    const METADATA: Option<MetadataType> = Some(MetadataType::of::<AllowOrigins>());

    type Config = Config;

    fn compile(config: Config, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        if config.allow_credential {
            let lists = [
                Some(&config.allow_origins),
                Some(&config.allow_methods),
                Some(&config.allow_headers),
                config.expose_headers.as_ref(),
                config.timing_allow_origins.as_ref(),
            ];
            if lists.into_iter().flatten().any(|list| list == "*") {
                return Err(ConfigError::new(
                    "you can not set '*' for other option when 'allow_credential' is true",
                ));
            }
        }
        let by_regex = one_pattern(config.allow_origins_by_regex.as_deref())?;
        let timing_by_regex = one_pattern(config.timing_allow_origins_by_regex.as_deref())?;
        let by_metadata = config.allow_origins_by_metadata;
        Ok(Self {
            origins: Origins::parse(&config.allow_origins),
            by_regex,
            by_metadata: by_metadata.map(|names| names.into_iter().map(Into::into).collect()),
            metadata: cx.metadata(),
            methods: match config.allow_methods.as_str() {
                "**" => ALL_METHODS.into(),
                methods => methods.into(),
            },
            headers: match config.allow_headers.as_str() {
                "**" => AllowHeaders::Asked,
                headers => AllowHeaders::These(headers.into()),
            },
            expose_headers: config
                .expose_headers
                .filter(|headers| !headers.is_empty())
                .map(Into::into),
            max_age: config.max_age.to_string().into(),
            allow_credential: config.allow_credential,
            timing: match (timing_by_regex, config.timing_allow_origins) {
                (Some(pattern), _) => Timing::Pattern(pattern),
                (None, Some(origins)) => Timing::Origins(Origins::parse(&origins)),
                (None, None) => Timing::Nobody,
            },
        })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        on.rewrite(self.clone());
        on.header_filter(self);
    }
}

const VARY: FieldName = FieldName::from_static("Vary");
const TIMING_ALLOW_ORIGIN: FieldName = FieldName::from_static("Timing-Allow-Origin");
const ALLOW_ORIGIN: FieldName = FieldName::from_static("Access-Control-Allow-Origin");
const ALLOW_METHODS: FieldName = FieldName::from_static("Access-Control-Allow-Methods");
const MAX_AGE: FieldName = FieldName::from_static("Access-Control-Max-Age");
const EXPOSE_HEADERS: FieldName = FieldName::from_static("Access-Control-Expose-Headers");
const ALLOW_CREDENTIALS: FieldName = FieldName::from_static("Access-Control-Allow-Credentials");
const ALLOW_HEADERS: FieldName = FieldName::from_static("Access-Control-Allow-Headers");

/// What `**` stands for among methods.
const ALL_METHODS: &str = "GET,POST,PUT,DELETE,PATCH,HEAD,OPTIONS,CONNECT,TRACE";

impl Rewrite for Cors {
    fn rewrite(&self, ex: &mut Exchange<'_>) -> Flow {
        if let Some(origin) = ex.header("origin") {
            let origin = Asked(origin.to_vec());
            ex.keep(self, origin);
        }
        if ex.method() == b"OPTIONS" {
            return lockgate_plugin::Reply::bytes(200, &b""[..]).into();
        }
        Flow::Next
    }
}

impl HeaderFilter for Cors {
    fn header_filter(&self, ex: &mut Exchange<'_>) {
        let asked = ex.kept::<_, Asked>(self).map(std::mem::take);
        let origin = asked.as_ref().map(|asked| &*asked.0);
        let is_allowed = self.allowed(origin);
        if !self.origins.is_any() {
            ex.add_response_header(&VARY, b"Origin");
        }
        if let Some(allowed) = is_allowed {
            self.write(allowed, ex);
        }
        let timing = match &self.timing {
            Timing::Nobody => None,
            Timing::Origins(origins) => origins.answer(origin),
            Timing::Pattern(pattern) => origin.filter(|origin| pattern.is_match(origin)),
        };
        if let Some(timing) = timing.filter(|answer| is_match(origin, Some(answer))) {
            ex.set_response_header(&TIMING_ALLOW_ORIGIN, Some(timing));
        }
        // There may be another response in place of this one.
        if let (Some(asked), Some(kept)) = (asked, ex.kept(self)) {
            *kept = asked;
        }
    }
}

impl Cors {
    /// What `Access-Control-Allow-Origin` says; nothing where the origin is not allowed.
    ///
    /// The order in which lists are asked is that of the reference, whose lists of one origin allow nobody but are the answer first.
    fn allowed<'a>(&'a self, origin: Option<&'a [u8]>) -> Option<&'a [u8]> {
        let by_metadata = self.allowed_by_metadata(origin);
        let asks_own = self.by_metadata.is_none()
            || (!is_match(origin, by_metadata) && !self.origins.is_any());
        let mut answer = by_metadata;
        if asks_own {
            answer = match &self.by_regex {
                Some(pattern) => origin.filter(|origin| pattern.is_match(origin)),
                None => self.origins.answer(origin),
            };
        }
        if is_match(origin, answer) {
            answer
        } else {
            by_metadata
        }
    }

    fn allowed_by_metadata<'a>(&self, origin: Option<&'a [u8]>) -> Option<&'a [u8]> {
        let names = self.by_metadata.as_ref()?;
        self.metadata.with(|metadata| {
            let lists = &metadata?.0;
            let mut asked = names.iter().filter_map(|name| lists.get(&**name));
            asked
                .any(|list| is_match(origin, list.answer(origin)))
                .then_some(origin)?
        })
    }

    fn write(&self, origin: &[u8], ex: &mut Exchange<'_>) {
        let mut set = |name: &FieldName, value: &[u8]| {
            // The reference takes a field away that it gives an empty value.
            let value = Some(value).filter(|value| !value.is_empty());
            ex.set_response_header(name, value);
        };
        set(&ALLOW_ORIGIN, origin);
        set(&ALLOW_METHODS, self.methods.as_bytes());
        set(&MAX_AGE, self.max_age.as_bytes());
        if let Some(headers) = &self.expose_headers {
            set(&EXPOSE_HEADERS, headers.as_bytes());
        }
        if self.allow_credential {
            set(&ALLOW_CREDENTIALS, b"true");
        }
        match &self.headers {
            AllowHeaders::These(headers) => {
                set(&ALLOW_HEADERS, headers.as_bytes());
            }
            AllowHeaders::Asked => {
                let asked = ex.header("access-control-request-headers");
                let asked = asked.unwrap_or_default().to_vec();
                let asked = Some(&*asked).filter(|asked| !asked.is_empty());
                ex.set_response_header(&ALLOW_HEADERS, asked);
            }
        }
    }
}

/// Whether an answer allows the origin.
fn is_match(origin: Option<&[u8]>, answer: Option<&[u8]>) -> bool {
    origin == answer || answer == Some(b"*")
}

fn one_pattern(patterns: Option<&[String]>) -> Result<Option<Pattern>, ConfigError> {
    let Some(patterns) = patterns else {
        return Ok(None);
    };
    let parse = |pattern: &str| {
        Pattern::parse(pattern, Flags::default()).map_err(|why| ConfigError(why.to_string()))
    };
    for pattern in patterns {
        parse(pattern)?;
    }
    parse(&patterns.join("|")).map(Some)
}

#[cfg(test)]
mod tests;
