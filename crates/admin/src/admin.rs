//! The Admin API: which request goes where (`apisix/admin/init.lua`, `http_admin` in `apisix/init.lua`).

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::Path as FilePath,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use lockgate_keyring::{Keyring, PluginSecrets, Unread};
use lockgate_store::{Author, Expect, Put, Store, StoreError};
use serde_json::{Value, json};

use crate::{
    auth, config_validate,
    envelope::Envelope,
    environment::Environment,
    json as json_reader,
    limits::{BODY_BYTES, CONFIGURATION_BYTES, TTL_SECONDS_MAX},
    log_limit::LogLimit,
    lua_value::to_number,
    options::AdminOptions,
    plugins::{self, Plugins},
    request::{BodyError, Call, read_away, read_body},
    resources::{self, Demand, Holders, KINDS, Kind, Misplaced, Place, Rules},
    response::Answer,
    schema_api,
    schemas::Schemas,
    server::Api,
    standalone::{Configs, InForce},
    ui,
};

/// The key of the lists of plugins.
const PLUGINS_KEY: &str = "plugins";

/// Tells the time in unix seconds.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The Admin API over a store.
pub struct Admin {
    options: AdminOptions,
    store: Arc<dyn Store>,
    holders: Holders,
    schemas: Schemas,
    plugins: Arc<Plugins>,
    environment: Environment,
    secrets: PluginSecrets,
    envelope: Envelope,
    server: HeaderValue,
    clock: Clock,
    log_limit: LogLimit,
    unread_limit: LogLimit,
    ui_limit: LogLimit,
    /// The configuration, where it comes as a whole and no object can be written alone.
    configs: Option<(Arc<Configs>, InForce)>,
}

impl Admin {
    /// An Admin API that writes to `store`.
    pub fn new(options: AdminOptions, store: Arc<dyn Store>) -> Self {
        let names = KINDS.iter().flat_map(Kind::schema_names);
        let environment = Environment::default();
        Self {
            schemas: Schemas::load(names),
            plugins: Arc::default(),
            secrets: environment.plugin_secrets(),
            environment,
            envelope: Envelope {
                is_v3: options.is_v3,
                prefix: options.prefix.clone(),
            },
            server: server_value(&options.server),
            clock: Arc::new(unix_seconds),
            log_limit: LogLimit::default(),
            unread_limit: LogLimit::default(),
            ui_limit: LogLimit::default(),
            configs: None,
            options,
            holders: Holders::new(store.clone()),
            store,
        }
    }

    /// An Admin API through which the configuration is pushed as a whole; `in_force` tells when a revision of its store is in force.
    pub fn standalone(options: AdminOptions, configs: Arc<Configs>, in_force: InForce) -> Self {
        let admin = Self::new(options, configs.store());
        Self {
            configs: Some((configs, in_force)),
            ..admin
        }
    }

    /// Takes the times that it stores from `clock` instead of the system's.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Checks objects as a process with these settings does.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.secrets = environment.plugin_secrets();
        self.environment = environment;
        self
    }

    /// Knows these plugins.
    #[must_use]
    pub fn with_plugins(mut self, plugins: Arc<Plugins>) -> Self {
        self.plugins = plugins;
        self
    }

    /// Stores the lists of plugins where others are stored, as the reference does when it starts. Nodes without an Admin API
    /// take them from there.
    ///
    /// # Errors
    /// The store failed.
    pub async fn reset_plugins(&self) -> Result<(), StoreError> {
        let Some(entry) = self.store.get(PLUGINS_KEY).await? else {
            return Ok(());
        };
        let stored: Value = serde_json::from_slice(&entry.value).unwrap_or_default();
        if is_same_list(&stored, &self.plugins.stored()) {
            return Ok(());
        }
        self.store_plugins(Author::default(), Expect::ModRevision(entry.mod_revision))
            .await
    }

    async fn store_plugins(&self, author: Author, expect: Expect) -> Result<(), StoreError> {
        let put = Put {
            key: PLUGINS_KEY.into(),
            value: self.plugins.stored().to_string().into_bytes(),
            expect,
            ttl: None,
            author,
        };
        self.store.put(put).await.map(drop)
    }

    /// Loads the lists of plugins again and stores them. Other verbs are told what to use.
    async fn reload(&self, call: &Call) -> Result<Answer, Answer> {
        let author = self.author(call)?;
        if call.method != Method::PUT {
            let message = format!(
                "please use PUT method to reload the plugins, {} method is not allowed.",
                call.method
            );
            return Err(Answer::error(StatusCode::METHOD_NOT_ALLOWED, message));
        }
        self.plugins.reload().await;
        if let Err(error) = self.store_plugins(author, Expect::Any).await {
            tracing::error!(%error, "failed to set plugins");
        }
        Ok(Answer::text(StatusCode::OK, "done"))
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Who has which keys of consumers.
    pub(crate) fn holders(&self) -> &Holders {
        &self.holders
    }

    /// What checks of objects look at.
    pub(crate) fn rules(&self) -> Rules<'_> {
        Rules {
            store: &*self.store,
            holders: Some(&self.holders),
            schemas: &self.schemas,
            plugins: &self.plugins,
            environment: &self.environment,
            secrets: &self.secrets,
            now: self.now(),
            skips_references: false,
            takes_modified_index: false,
        }
    }

    /// What checks of a whole configuration look at.
    fn rules_of_whole(&self) -> Rules<'_> {
        Rules {
            skips_references: true,
            takes_modified_index: self.configs.is_some(),
            ..self.rules()
        }
    }

    /// Encrypts and decrypts the secret fields of plugins.
    pub(crate) fn secrets(&self) -> &PluginSecrets {
        &self.secrets
    }

    /// Encrypts private keys, and decrypts them.
    pub(crate) fn keyring(&self) -> &Keyring {
        &self.environment.keyring
    }

    /// Notes secrets of a stored object that no key opens.
    pub(crate) fn log_unread(&self, key: &str, unread: &[Unread]) {
        if let Some(Unread { plugin, field }) = unread.first()
            && let Some(withheld) = self.unread_limit.take(self.now())
        {
            tracing::warn!(%key, %plugin, %field, withheld, "no key of data_encryption.keyring decrypts a stored secret: it is taken as it is");
        }
    }

    pub(crate) fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    pub(crate) fn now(&self) -> u64 {
        (self.clock)()
    }

    /// Answers for the dashboard and the API.
    async fn served(&self, call: &Call, body: &mut Incoming) -> Answer {
        let unreadable = |path: &FilePath, error: &std::io::Error| {
            if let Some(withheld) = self.ui_limit.take(self.now()) {
                tracing::error!(path = %path.display(), %error, withheld, "cannot read a file of the dashboard");
            }
        };
        if let Some(root) = &self.options.ui
            && let Some(answer) = ui::answer(root, call, &unreadable).await
        {
            return answer;
        }
        self.answer(call, body).await
    }

    async fn answer(&self, call: &Call, body: &mut Incoming) -> Answer {
        let segments = call.path.segments();
        let ["apisix", "admin", inside @ ..] = segments.as_slice() else {
            return Answer::page(StatusCode::NOT_FOUND);
        };
        if call.method == Method::OPTIONS && self.options.has_cors {
            return preflight();
        }
        let answer = match &self.configs {
            Some((configs, in_force)) => {
                self.answer_whole(configs, in_force, call, body, inside)
                    .await
            }
            None => self.answer_single(call, body, inside).await,
        };
        let answer = answer.unwrap_or_else(|refused| refused);
        if self.options.has_cors {
            with_cors(answer)
        } else {
            answer
        }
    }

    /// What there is where every object can be written alone.
    async fn answer_single(
        &self,
        call: &Call,
        body: &mut Incoming,
        inside: &[&str],
    ) -> Result<Answer, Answer> {
        let is_directory = call.path.ends_with_slash();
        match (&call.method, inside) {
            (&Method::HEAD, []) if !is_directory => Ok(Answer::empty(StatusCode::OK)),
            (&Method::POST, ["schema", "validate", _, ..]) => {
                self.validate(call, body, inside).await
            }
            (&Method::POST, ["configs", "validate"]) if !is_directory => {
                self.validate_configuration(call, body).await
            }
            (&Method::GET, ["plugins", "list"]) if !is_directory => self
                .author(call)
                .map(|_| plugins::api::list(&self.plugins, &call.args)),
            (method, ["plugins", "reload"]) if !is_directory && is_verb(method) => {
                self.reload(call).await
            }
            (method, inside) if (is_directory || !inside.is_empty()) && is_verb(method) => {
                self.run(call, body, inside).await
            }
            _ => Ok(Answer::page(StatusCode::NOT_FOUND)),
        }
    }

    /// What there is where the configuration comes as a whole.
    async fn answer_whole(
        &self,
        configs: &Configs,
        in_force: &InForce,
        call: &Call,
        body: &mut Incoming,
        inside: &[&str],
    ) -> Result<Answer, Answer> {
        if call.path.ends_with_slash() {
            return Ok(Answer::page(StatusCode::NOT_FOUND));
        }
        match (&call.method, inside) {
            (&Method::HEAD, []) => Ok(Answer::empty(StatusCode::OK)),
            (&Method::GET | &Method::HEAD, ["configs"]) => {
                self.author(call)?;
                Ok(configs.show(call))
            }
            (&Method::PUT, ["configs"]) => {
                self.author(call)?;
                let text = body_text(call, body, CONFIGURATION_BYTES).await?;
                let rules = self.rules_of_whole();
                let (answer, revision) = configs.replace(&rules, call, text.as_deref()).await?;
                in_force(revision).await;
                Ok(answer)
            }
            (&Method::POST, ["configs", "validate"]) => {
                self.validate_configuration(call, body).await
            }
            _ => Ok(Answer::page(StatusCode::NOT_FOUND)),
        }
    }

    async fn run(
        &self,
        call: &Call,
        body: &mut Incoming,
        inside: &[&str],
    ) -> Result<Answer, Answer> {
        let author = self.author(call)?;
        let target = Target::of(inside, &self.environment)?;
        if !target.has_verb(&call.method) {
            return Err(Answer::error(StatusCode::NOT_FOUND, "not found"));
        }
        let conf = conf(call, body).await?;
        let ttl = ttl(call)?;
        let answer = match target {
            Target::Schema(name) => schema_api::describe(&self.plugins, name.unwrap_or_default()),
            Target::Plugin(name) => plugins::api::describe(&self.plugins, name, &call.args),
            Target::Objects(place) => {
                let demand = Demand {
                    place,
                    conf,
                    args: &call.args,
                    ttl,
                    author,
                };
                resources::answer(self, &call.method, demand).await
            }
        };
        Ok(self.envelope.mark(answer))
    }

    async fn validate(
        &self,
        call: &Call,
        body: &mut Incoming,
        inside: &[&str],
    ) -> Result<Answer, Answer> {
        self.author(call)?;
        let name = inside.get(2).copied().unwrap_or_default();
        let kind = Kind::find(name).ok_or_else(|| unsupported(name))?;
        let conf = conf(call, body).await?;
        schema_api::validate(&self.schemas, &self.plugins, kind, conf)
    }

    async fn validate_configuration(
        &self,
        call: &Call,
        body: &mut Incoming,
    ) -> Result<Answer, Answer> {
        self.author(call)?;
        let text = body_text(call, body, BODY_BYTES).await?;
        let content_type = call.header(header::CONTENT_TYPE.as_str());
        let is_yaml = content_type.is_some_and(|kind| kind.starts_with("application/yaml"));
        let rules = self.rules_of_whole();
        Ok(config_validate::validate(&rules, is_yaml, text.as_deref()).await)
    }

    /// Notes refused keys and failures of the store.
    fn log(&self, call: &Call, answer: &Answer) {
        let is_noted = matches!(
            answer.status(),
            StatusCode::UNAUTHORIZED | StatusCode::SERVICE_UNAVAILABLE
        );
        if !is_noted {
            return;
        }
        if let Some(withheld) = self.log_limit.take(self.now()) {
            let (client, method, status) = (call.client, &call.method, answer.status().as_u16());
            let answer = answer.as_text();
            tracing::warn!(%client, %method, status, %answer, withheld, "a request failed");
        }
    }

    fn author(&self, call: &Call) -> Result<Author, Answer> {
        auth::check(&self.options, call)
    }
}

impl Api for Admin {
    type Body = Full<Bytes>;

    async fn respond(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Full<Bytes>> {
        let (head, mut body) = request.into_parts();
        let answer = match Call::new(head, peer) {
            Err(_malformed) => Answer::page(StatusCode::BAD_REQUEST).closing(),
            Ok(mut call) => {
                call.client = self.options.real_ip.of(call.client, &call.headers);
                let answer = if auth::is_allowed(self.options.allow.as_deref(), &call) {
                    self.served(&call, &mut body).await
                } else {
                    Answer::page(StatusCode::FORBIDDEN)
                };
                self.log(&call, &answer);
                if read_away(&call, &mut body).await {
                    answer
                } else {
                    answer.closing()
                }
            }
        };
        answer.into_response(&self.server, "application/json")
    }

    fn server(&self) -> &HeaderValue {
        &self.server
    }
}

/// What a path below `/apisix/admin` is about.
enum Target<'a> {
    /// A schema by name.
    Schema(Option<&'a str>),
    /// A plugin by name.
    Plugin(Option<&'a str>),
    /// Objects of a kind.
    Objects(Place<'a>),
}

impl<'a> Target<'a> {
    fn of(inside: &'a [&'a str], environment: &Environment) -> Result<Self, Answer> {
        match inside {
            ["schema", "plugins", rest @ ..] | ["plugins", rest @ ..] => {
                Ok(Self::Plugin(rest.first().copied()))
            }
            ["schema", rest @ ..] => Ok(Self::Schema(rest.first().copied())),
            ["stream_routes", ..] if !environment.has_stream_mode => Err(Answer::refusal(
                "stream mode is disabled, can not add stream routes",
            )),
            inside => match Place::of(inside) {
                Ok(place) => Ok(Self::Objects(place)),
                Err(Misplaced(name)) => Err(unsupported(name)),
            },
        }
    }

    fn has_verb(&self, method: &Method) -> bool {
        match self {
            Self::Schema(_) | Self::Plugin(_) => method == Method::GET,
            Self::Objects(_) => true,
        }
    }
}

/// Reads the body as JSON; `None` where there is none.
async fn conf(call: &Call, body: &mut Incoming) -> Result<Option<Value>, Answer> {
    let Some(text) = body_text(call, body, BODY_BYTES).await? else {
        return Ok(None);
    };
    json_reader::decode(&text).map(Some).map_err(|error| {
        Answer::json(
            StatusCode::BAD_REQUEST,
            &json!({
                "error_msg": format!("invalid request body: {error}"),
                "req_body": String::from_utf8_lossy(&text),
            }),
        )
    })
}

/// Reads a body of at most `bytes_max`; `None` where there is none.
async fn body_text(
    call: &Call,
    body: &mut Incoming,
    bytes_max: u64,
) -> Result<Option<Bytes>, Answer> {
    let read = read_body(call, body, bytes_max).await;
    read.map_err(|error| match error {
        BodyError::TooLarge(bytes) => Answer::refusal(format!(
            "invalid request body: request size {bytes} is greater than the maximum size {bytes_max} allowed"
        )),
        BodyError::Slow => Answer::page(StatusCode::REQUEST_TIMEOUT).closing(),
        BodyError::Broken => Answer::page(StatusCode::BAD_REQUEST).closing(),
    })
}

/// The argument `ttl`. Bounds are etcd's: a lease lasts a second at least, and too large ones are cut.
fn ttl(call: &Call) -> Result<Option<Duration>, Answer> {
    if !call.args.has("ttl") {
        return Ok(None);
    }
    let Some(seconds) = call.args.only("ttl").and_then(to_number) else {
        return Err(Answer::refusal("invalid argument ttl: should be a number"));
    };
    let seconds = seconds.clamp(1.0, TTL_SECONDS_MAX);
    Ok(Some(Duration::from_secs_f64(seconds)))
}

fn unsupported(name: &str) -> Answer {
    let message = format!("Unsupported resource type: {name}");
    Answer::error(StatusCode::NOT_FOUND, message)
}

/// Whether two stored lists name the same plugins, in whatever order.
fn is_same_list(one: &Value, other: &Value) -> bool {
    let plugins = |list: &Value| -> BTreeSet<(String, bool)> {
        let plugins = list.as_array().into_iter().flatten();
        let plugins = plugins.filter_map(|plugin| {
            let name = plugin.get("name")?.as_str()?.to_owned();
            Some((name, plugin.get("stream") == Some(&Value::Bool(true))))
        });
        plugins.collect()
    };
    plugins(one) == plugins(other)
}

fn is_verb(method: &Method) -> bool {
    [
        Method::GET,
        Method::PUT,
        Method::POST,
        Method::DELETE,
        Method::PATCH,
    ]
    .contains(method)
}

fn preflight() -> Answer {
    let field = HeaderValue::from_static;
    Answer::empty(StatusCode::OK)
        .with(header::ACCESS_CONTROL_ALLOW_ORIGIN, field("*"))
        .with(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            field("POST, GET, PUT, OPTIONS, DELETE, PATCH"),
        )
        .with(header::ACCESS_CONTROL_MAX_AGE, field("3600"))
        .with(header::ACCESS_CONTROL_ALLOW_HEADERS, field("*"))
        .with(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, field("true"))
        .with(header::CONTENT_TYPE, field("text/plain; charset=utf-8"))
}

fn with_cors(answer: Answer) -> Answer {
    let fields: [(HeaderName, &'static str); 4] = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "*"),
        (header::ACCESS_CONTROL_MAX_AGE, "3600"),
    ];
    fields.into_iter().fold(answer, |answer, (name, value)| {
        answer.with(name, HeaderValue::from_static(value))
    })
}

/// The value of the `Server` field; nothing where the setting cannot be one.
pub(crate) fn server_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|error| {
        tracing::warn!(%error, "the server name cannot be sent in a header");
        HeaderValue::from_static("APISIX")
    })
}

fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}
