//! The families, who counts in them, and what is shown.

use std::{
    borrow::Cow,
    ops::Range,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lockgate_batch::Processors;
use lockgate_expr::{Lookup as _, Variable};
use lockgate_metrics::{
    Buckets, Collector, Counter, CounterSeries, DeclareError, Gauge, Histogram, HistogramSeries,
    Key, Recording, Registry, Samples, Workers,
    apisix::{self, Known},
};
use lockgate_plugin::{Exchange, Node};
use tokio::sync::Semaphore;

use super::{
    attributes::Attributes,
    dictionaries::DICTIONARIES,
    labels::{Disabled, mask},
};
use crate::{REFERENCE, batching, limits};

/// What is counted and shown, for the process.
pub struct Metrics {
    registry: Arc<Registry>,
    families: Families,
    workers: Workers<Series>,
    extra: [Vec<Variable>; 3],
    /// The texts that may be begun at once.
    scrapes: Arc<Semaphore>,
    runtime: tokio::runtime::Handle,
    /// The registry asks it as long as it is here.
    _own: Arc<dyn Collector>,
}

/// Families whose values come from elsewhere, for collectors.
#[derive(Debug, Clone)]
pub struct Families {
    status: Counter,
    latency: Histogram,
    bandwidth: Counter,
    /// Requests of clients so far.
    pub requests: Gauge,
    /// Connections of clients.
    pub connections: Gauge,
    /// Errors in counting.
    metric_errors: Counter,
    /// Whether the store can be reached.
    pub etcd_reachable: Gauge,
    /// Revisions of the store.
    pub etcd_modify_indexes: Gauge,
    node_info: Gauge,
    dictionary_bytes: Gauge,
    dictionary_free_bytes: Gauge,
    /// Nodes that are checked.
    pub upstream_status: Gauge,
    batch_entries: Gauge,
}

/// The series of a request: its status, latencies (the last of the upstream, where one was asked), bytes received and sent.
type Series = (
    CounterSeries,
    ([HistogramSeries; 2], Option<HistogramSeries>),
    [CounterSeries; 2],
);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Metrics")
            .field("registry", &self.registry)
            .finish_non_exhaustive()
    }
}

/// All metrics that a configuration of the process has, with what they were made for: around a reload there are two configurations, and
/// each has its own until its end. The one before is there until the next one serves, so that what it has counted is not lost.
#[derive(Debug, Default)]
struct AllMade(Mutex<Vec<Made>>);

#[derive(Debug)]
struct Made {
    attributes: Attributes,
    workers: usize,
    metrics: Weak<Metrics>,
}

/// The metrics of a configuration, which keeps them.
struct Held(Arc<Metrics>);

impl Metrics {
    /// The metrics of a configuration of the process. After a reload they are what they were, unless `plugin_attr` asks for others: then
    /// they begin anew.
    pub fn of(node: &Node) -> Arc<Self> {
        let held = node.shared_until_reload(|node| Held(Self::find_or_make(node)));
        held.0.clone()
    }

    fn find_or_make(node: &Node) -> Arc<Self> {
        let known = node.shared(|_| AllMade::default());
        let (attributes, workers) = (Attributes::of(node).of_metrics(), node.workers());
        let mut known = known.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|made| made.metrics.strong_count() > 0);
        let same = known.iter().filter(|made| made.attributes == attributes);
        let same = same.filter_map(|made| Some((made.workers, made.metrics.upgrade()?)));
        let same: Vec<_> = same.collect();
        if let Some((_, metrics)) = same.iter().find(|(count, _)| *count == workers) {
            return metrics.clone();
        }
        let registry = match same.first() {
            // What was counted goes on to be shown.
            Some((_, metrics)) => metrics.registry.clone(),
            None => Registry::new(&attributes.metric_prefix),
        };
        let made = Self::new(node, registry, &attributes).unwrap_or_else(|error| {
            tracing::error!(%error, "plugin_attr.prometheus cannot be honoured");
            let plain = attributes.plain();
            let registry = Registry::new(&plain.metric_prefix);
            // Invariant: the families of the reference can be declared.
            Self::new(node, registry, &plain)
                .expect("invariant: the reference's families are valid")
        });
        let made = Arc::new(made);
        known.push(Made {
            attributes,
            workers,
            metrics: Arc::downgrade(&made),
        });
        made
    }

    fn new(
        node: &Node,
        registry: Arc<Registry>,
        attributes: &Attributes,
    ) -> Result<Self, DeclareError> {
        let extra = [
            &apisix::HTTP_STATUS,
            &apisix::HTTP_LATENCY,
            &apisix::BANDWIDTH,
        ]
        .map(|family| attributes.extra_labels(family.name));
        let families = Families::declare(&registry, attributes)?;
        let own: Arc<dyn Collector> = Arc::new(Own {
            families: families.clone(),
            hostname: node.options().hostname.clone(),
            processors: batching::processors(node),
        });
        registry.register(&own);
        let weak = Arc::downgrade(&registry);
        // Ends with the registry.
        node.runtime().spawn(async move {
            loop {
                tokio::time::sleep(limits::EXPIRE_INTERVAL).await;
                let Some(registry) = weak.upgrade() else {
                    return;
                };
                registry.expire(now_ms());
            }
        });
        Ok(Self {
            workers: Workers::new(&registry, node.workers()),
            families,
            registry,
            extra: extra.map(|labels| labels.into_iter().map(|(_, variable)| variable).collect()),
            scrapes: Arc::new(Semaphore::new(1)),
            runtime: node.runtime().clone(),
            _own: own,
        })
    }

    /// The families that collectors report to.
    pub fn families(&self) -> &Families {
        &self.families
    }

    /// Where collectors are registered.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// All metrics as text, in pieces that are made as they are asked for, a tenth of a millisecond of work each. What takes longer is done
    /// before, elsewhere and for one text at a time: new series are put in their order.
    pub async fn text(&self) -> impl Iterator<Item = Vec<u8>> + Send + use<> {
        // Never closed.
        let permit = self.scrapes.clone().acquire_owned().await;
        let registry = self.registry.clone();
        let begun = self.runtime.spawn_blocking(move || {
            let scrape = registry.scrape(now_ms());
            // Whoever asked may have left: it is done all the same, and only then is it another's turn.
            drop(permit);
            scrape
        });
        let mut scrape = begun
            .await
            .inspect_err(|error| tracing::error!(%error, "metrics cannot be shown"))
            .ok();
        std::iter::from_fn(move || {
            let mut piece = Vec::new();
            scrape.as_mut()?.next_chunk(&mut piece).then_some(piece)
        })
    }

    /// Counts a request that has ended; `text` is memory to write into.
    pub(super) fn count(
        &self,
        prefers_name: bool,
        disabled: Option<&Disabled>,
        ex: &Exchange<'_>,
        text: &mut Vec<u8>,
    ) {
        let disabled = disabled.copied().unwrap_or_default();
        let status = append(ex, &Variable::Status, text);
        let node = append(ex, &Variable::BalancerIp, text);
        let extra = self.extra.each_ref().map(|variables| {
            let values = variables.iter().map(|variable| append(ex, variable, text));
            values.collect::<Vec<_>>()
        });
        let text = &*text;
        let at = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default();
        let request = Request::of(ex, prefers_name, at(&status), at(&node));
        let timing = ex.timing();
        let now_ms = u64::try_from(ex.now().as_millis()).unwrap_or(u64::MAX);
        self.workers.with(ex.worker(), |recorder, memo| {
            let mut recording = recorder.at(now_ms);
            let (status, (latency, upstream), bytes) = memo.get(
                &mut recording,
                |key| {
                    key.number(disabled.version);
                    request.write_key(timing.upstream.is_some(), key);
                    for range in extra.iter().flatten() {
                        key.bytes(at(range));
                    }
                },
                |recording| {
                    let extra = extra
                        .each_ref()
                        .map(|ranges| ranges.iter().map(at).collect::<Vec<_>>());
                    let has_upstream = timing.upstream.is_some();
                    self.open(recording, &request, has_upstream, &disabled, &extra)
                },
            );
            let total = milliseconds(timing.total);
            let upstream_ms = timing.upstream.map_or(0.0, milliseconds);
            recording.add(status, 1);
            let [by_request, by_gateway] = latency;
            recording.observe(by_request, total);
            recording.observe(by_gateway, (total - upstream_ms).max(0.0));
            if let Some(upstream) = upstream {
                recording.observe(upstream, upstream_ms);
            }
            let [ingress, egress] = bytes;
            recording.add(ingress, timing.received);
            recording.add(egress, timing.sent);
        });
    }

    #[cold]
    fn open(
        &self,
        recording: &mut Recording<'_>,
        of: &Request<'_>,
        has_upstream: bool,
        disabled: &Disabled,
        extra: &[Vec<&[u8]>; 3],
    ) -> Series {
        let [status_extra, latency_extra, bandwidth_extra] = extra;
        let mut labels = vec![
            of.status,
            of.route,
            of.matched_uri,
            of.matched_host,
            of.service,
            of.consumer,
            of.node,
            &of.kind,
            &of.asked_model,
            &of.model,
            of.source.as_bytes(),
        ];
        mask(&mut labels, disabled.status);
        labels.extend(status_extra);
        let status = recording.counter(&self.families.status, &labels);
        let by_type = |name: &'static str, disabled: u32, extra: &[_]| {
            let mut labels = vec![
                name.as_bytes(),
                of.route,
                of.service,
                of.consumer,
                of.node,
                &*of.kind,
                &*of.asked_model,
                &*of.model,
            ];
            mask(&mut labels, disabled);
            labels.extend(extra);
            labels
        };
        let mut latency = |name| {
            let labels = by_type(name, disabled.latency, latency_extra);
            recording.histogram(&self.families.latency, &labels)
        };
        let latencies = (
            [latency("request"), latency("apisix")],
            has_upstream.then(|| latency("upstream")),
        );
        let bytes = ["ingress", "egress"].map(|name| {
            let labels = by_type(name, disabled.bandwidth, bandwidth_extra);
            recording.counter(&self.families.bandwidth, &labels)
        });
        (status, latencies, bytes)
    }
}

/// What a request is counted under.
struct Request<'a> {
    status: &'a [u8],
    route: &'a [u8],
    matched_uri: &'a [u8],
    matched_host: &'a [u8],
    service: &'a [u8],
    consumer: &'a [u8],
    node: &'a [u8],
    kind: Cow<'a, [u8]>,
    asked_model: Cow<'a, [u8]>,
    model: Cow<'a, [u8]>,
    source: &'static str,
}

impl<'a> Request<'a> {
    fn of(ex: &'a Exchange<'_>, prefers_name: bool, status: &'a [u8], node: &'a [u8]) -> Self {
        let route = ex.route();
        let of_route = |text: Option<&'a str>| text.unwrap_or_default().as_bytes();
        let (id, service) = match &route {
            None => (None, None),
            Some(route) if prefers_name => (
                route.name.or(Some(route.id)),
                route
                    .service_id
                    .and(route.service_name.or(route.service_id)),
            ),
            Some(route) => (Some(route.id), route.service_id),
        };
        // Other than this only where a plugin has said so.
        let mut kind = Cow::Borrowed(&b"traditional_http"[..]);
        let (mut asked_model, mut model) = (Cow::default(), Cow::default());
        if ex.has_set_variables() {
            kind = ex.lookup(&Variable::RequestType).unwrap_or(kind);
            asked_model = label_of_model(ex.lookup(&Variable::RequestLlmModel));
            model = label_of_model(ex.lookup(&Variable::LlmModel));
        }
        Self {
            status,
            route: of_route(id),
            matched_uri: of_route(route.as_ref().map(|route| route.matched_uri)),
            matched_host: of_route(route.as_ref().and_then(|route| route.matched_host)),
            service: of_route(service),
            consumer: ex
                .consumer()
                .map_or(b"", |consumer| consumer.name.as_bytes()),
            node,
            kind,
            asked_model,
            model,
            source: source(ex),
        }
    }

    fn write_key(&self, has_upstream: bool, key: &mut Key) {
        let source = self.source.as_bytes().first().copied().unwrap_or_default();
        key.number(u64::from(source) << 1 | u64::from(has_upstream));
        for part in [
            self.status,
            self.route,
            self.matched_uri,
            self.matched_host,
            self.service,
            self.consumer,
            self.node,
            &self.kind,
            &self.asked_model,
            &self.model,
        ] {
            key.bytes(part);
        }
    }
}

/// Who made the response: the upstream, the gateway in place of an upstream that gave none, or the gateway
/// (`get_response_source` in `apisix/core/response.lua`).
fn source(ex: &Exchange<'_>) -> &'static str {
    if ex.is_upstreams() {
        "upstream"
    } else if ex.timing().upstream.is_some() {
        "nginx"
    } else {
        "apisix"
    }
}

fn label_of_model(model: Option<Cow<'_, [u8]>>) -> Cow<'_, [u8]> {
    match model {
        None => Cow::default(),
        Some(Cow::Borrowed(model)) => {
            Cow::Borrowed(model.get(..apisix::MODEL_LABEL_BYTES).unwrap_or(model))
        }
        Some(Cow::Owned(mut model)) => {
            model.truncate(apisix::MODEL_LABEL_BYTES);
            Cow::Owned(model)
        }
    }
}

/// Appends the text of a variable; where it lies.
fn append(ex: &Exchange<'_>, variable: &Variable, text: &mut Vec<u8>) -> Range<usize> {
    let begin = text.len();
    if !ex.append(variable, text)
        && let Some(value) = ex.value(variable)
    {
        value.write_text(text);
    }
    begin..text.len()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The clock that workers count by.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

impl Families {
    fn declare(registry: &Registry, attributes: &Attributes) -> Result<Self, DeclareError> {
        let declaration = |family: &Known| {
            let extra = attributes.extra_labels(family.name);
            family
                .declaration()
                .extra_labels(extra.into_iter().map(|(name, _)| name))
                .expire(attributes.expire(family.name))
        };
        let counter = |family: &Known| registry.counter(&declaration(family));
        let gauge = |family: &Known| registry.gauge(&family.declaration());
        let buckets = match &attributes.default_buckets {
            Some(bounds) => Buckets::new(bounds.iter().copied()),
            None => apisix::HTTP_LATENCY.default_buckets(),
        };
        Ok(Self {
            status: counter(&apisix::HTTP_STATUS)?,
            latency: registry.histogram(&declaration(&apisix::HTTP_LATENCY), &buckets)?,
            bandwidth: counter(&apisix::BANDWIDTH)?,
            requests: gauge(&apisix::HTTP_REQUESTS_TOTAL)?,
            connections: gauge(&apisix::NGINX_HTTP_CURRENT_CONNECTIONS)?,
            metric_errors: counter(&apisix::NGINX_METRIC_ERRORS_TOTAL)?,
            etcd_reachable: gauge(&apisix::ETCD_REACHABLE)?,
            etcd_modify_indexes: gauge(&apisix::ETCD_MODIFY_INDEXES)?,
            node_info: gauge(&apisix::NODE_INFO)?,
            dictionary_bytes: gauge(&apisix::SHARED_DICT_CAPACITY_BYTES)?,
            dictionary_free_bytes: gauge(&apisix::SHARED_DICT_FREE_SPACE_BYTES)?,
            upstream_status: gauge(&apisix::UPSTREAM_STATUS)?,
            batch_entries: gauge(&apisix::BATCH_PROCESS_ENTRIES)?,
        })
    }
}

/// What this crate knows by itself.
struct Own {
    families: Families,
    hostname: Arc<str>,
    processors: Arc<Processors>,
}

impl Collector for Own {
    fn collect(&self, samples: &mut Samples) {
        let Families {
            node_info,
            metric_errors,
            dictionary_bytes,
            dictionary_free_bytes,
            batch_entries,
            ..
        } = &self.families;
        samples.gauge(node_info, &[&*self.hostname, REFERENCE], 1.0);
        samples.counter::<&str>(metric_errors, &[], 0);
        for (name, bytes) in DICTIONARIES {
            for family in [dictionary_bytes, dictionary_free_bytes] {
                samples.gauge(family, &[name], f64::from(*bytes));
            }
        }
        for report in self.processors.reports() {
            let labels = [&*report.name, &*report.route_id, &*report.server_addr];
            // As the reference: only where it is known where the entries come from.
            if !report.route_id.is_empty() && !report.server_addr.is_empty() {
                samples.gauge(batch_entries, &labels, report.waiting as f64);
            }
        }
    }
}
