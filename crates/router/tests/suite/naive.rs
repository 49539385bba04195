//! The order rules of the reference, written down as slowly and plainly as possible.

use std::cmp::Reverse;

use lockgate_router::{Mode, Request};

use crate::request::{Get, Spec};

/// All routes, in the order of their ids' first coming.
pub(crate) struct Naive {
    pub(crate) mode: Mode,
    pub(crate) routes: Vec<Spec>,
}

impl Naive {
    pub(crate) fn insert(&mut self, spec: Spec) {
        match self.routes.iter_mut().find(|known| known.id == spec.id) {
            Some(known) => *known = spec,
            None => self.routes.push(spec),
        }
    }

    pub(crate) fn remove(&mut self, id: &str) {
        self.routes.retain(|known| known.id != id);
    }

    /// The value and the configured path of the route that wins.
    pub(crate) fn find(&self, request: &Get) -> Option<(u32, String)> {
        let mut candidates = Vec::new();
        for (position, spec) in self.routes.iter().enumerate() {
            for (index, text) in spec.paths.iter().enumerate() {
                let hosts = spec.hosts.iter().map(|host| self.host_rank(host, request));
                let best = if spec.hosts.is_empty() {
                    Some(0)
                } else {
                    hosts.flatten().max()
                };
                let (Some(host_rank), Some(path_rank)) =
                    (best, self.path_rank(text, &request.path))
                else {
                    continue;
                };
                let rank = (
                    host_rank,
                    path_rank,
                    spec.priority,
                    text.len(),
                    usize::MAX - position,
                    usize::MAX - index,
                );
                candidates.push((rank, spec, text));
            }
        }
        candidates.sort_by_key(|(rank, ..)| Reverse(*rank));
        let winner = candidates
            .into_iter()
            .find(|(_, spec, _)| holds(spec, request))?;
        Some((winner.1.value, winner.2.clone()))
    }

    /// Nothing for another host; else the higher the earlier it is tried. Always 0 where the path decides.
    fn host_rank(&self, rule: &str, request: &Get) -> Option<usize> {
        let full = request.host.as_deref()?;
        let host = std::str::from_utf8(request.host()?).ok()?;
        let host = if rule.contains(':') { full } else { host };
        let rank = match rule.strip_prefix('*') {
            Some(suffix) => host.ends_with(suffix).then_some(1 + suffix.len()),
            None => (host == rule).then_some(10_000 + usize::from(rule.contains(':'))),
        }?;
        Some(if self.mode == Mode::HostUri { rank } else { 0 })
    }

    /// Nothing for another path; else the higher the earlier it is tried.
    fn path_rank(&self, text: &str, path: &str) -> Option<usize> {
        let colon = (self.mode == Mode::UriWithParameter)
            .then(|| text.find(':'))
            .flatten();
        let Some(key) = colon.or(text.find('*')) else {
            return (text == path).then_some(10_000);
        };
        (path.starts_with(&text[..key]) && fits(text, path)).then_some(key)
    }
}

/// Segment by segment, if a segment is a parameter.
fn fits(text: &str, path: &str) -> bool {
    let items: Vec<&str> = text.split('/').collect();
    let segments: Vec<&str> = path.split('/').collect();
    !items.iter().any(|item| item.starts_with([':', '*'])) || segments_fit(&items, &segments)
}

fn segments_fit(items: &[&str], segments: &[&str]) -> bool {
    let Some((item, items)) = items.split_first() else {
        return segments.is_empty();
    };
    let takes = match item.chars().next() {
        Some('*') => 1..=segments.len(),
        _ => 1..=1,
    };
    let fits_one = |segment: &str| match item.chars().next() {
        Some('*') => true,
        Some(':') => !segment.is_empty(),
        _ => segment == *item,
    };
    segments.first().is_some_and(|segment| fits_one(segment))
        && takes
            .into_iter()
            .any(|taken| segments_fit(items, segments.get(taken..).unwrap_or_default()))
}

fn holds(spec: &Spec, request: &Get) -> bool {
    let method = spec.methods.is_empty() || spec.methods.names().any(|name| name == request.method);
    let address = spec.remote_addrs.is_empty()
        || spec.remote_addrs.contains(&request.remote_addr.to_string());
    method && address && spec.vars.as_ref().is_none_or(|vars| vars.eval(request))
}
