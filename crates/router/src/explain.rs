//! Why a request takes a route and not another: the walk of [`Routes::find`] without its end, and what else is near.
//!
//! Each condition is judged by the code that judges it for traffic. What is added is what an unknown value leaves open, and routes that
//! the walk never meets because host or path is another. Slow and allocating: for people, not for traffic.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use lockgate_expr::{Blamed, PartialLookup, Verdict};

use crate::{
    Match, Methods, Mode, Params, Request, Routes,
    host::HostRule,
    limits::{MISSES_KEPT, NEAR_PATH_BYTES},
    path::{Kind, PathRule},
    route::{Route, WithParams},
    routes::Candidate,
};

/// Which route a request takes, and why others do not.
#[derive(Debug)]
pub struct Explanation<'r, T> {
    /// The first route whose conditions are known to hold: the one of [`Routes::find`], unless one of `undecided` is taken.
    pub found: Option<(Match<'r, T>, Params)>,
    /// Routes that come before it, and whose conditions hold or not by what is not known, in the order in which they are tried.
    pub undecided: Vec<Undecided<'r, T>>,
    /// Other routes, the nearest first.
    pub misses: Vec<Miss<'r, T>>,
    /// How many more near misses there are.
    pub left_out: usize,
}

/// A route that may take the request.
#[derive(Debug)]
pub struct Undecided<'r, T> {
    /// The route.
    pub matched: Match<'r, T>,
    /// Names of the variables that it depends on.
    pub needs: Vec<String>,
}

/// A route that does not take the request.
#[derive(Debug)]
pub struct Miss<'r, T> {
    /// The route, and the path of it that comes nearest.
    pub matched: Match<'r, T>,
    /// Every condition that does not hold; or the one reason why it comes too late.
    pub whys: Vec<Why<'r>>,
}

/// Why a route does not take a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why<'r> {
    /// It has other hosts, these.
    Host(Vec<&'r str>),
    /// It has another path, which [`Match::path`] tells.
    Path,
    /// It has other methods, these.
    Method(Methods),
    /// It has other client addresses, these.
    RemoteAddr(Vec<String>),
    /// These comparisons do not come out as they should.
    Vars(Vec<Blamed>),
    /// All conditions hold, but another is tried before.
    Later(Later),
}

/// Why a route is tried after the one that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Later {
    /// The host of the other is more exact.
    Host,
    /// The path of the other is exact, or its prefix is longer.
    Path,
    /// The other has a higher priority.
    Priority {
        /// Of this route.
        own: i64,
        /// Of the other.
        of_found: i64,
    },
    /// The path of the other is the longer text.
    Length,
    /// The other is older, or names its path before.
    Age,
}

/// A route as seen for a request.
struct Judged<'r, T> {
    candidate: Candidate<'r, T>,
    /// Where it comes in the walk; `None` where it does not.
    place: Option<usize>,
    whys: Vec<Why<'r>>,
    needs: Vec<String>,
    params: Params,
    /// How alike path and host are.
    alike: (usize, usize),
}

impl<'r, T> Judged<'r, T> {
    /// The smaller the nearer.
    fn distance(&self) -> impl Ord + use<T> {
        (
            self.whys.len(),
            !self.needs.is_empty(),
            Reverse(self.alike),
            self.place.unwrap_or(usize::MAX),
            self.candidate.route.sequence,
        )
    }

    fn matched(&self) -> Match<'r, T> {
        let Candidate { route, rule, host } = self.candidate;
        Match { route, rule, host }
    }
}

impl<T> Routes<T> {
    /// Explains which route a request takes, with at most so many near misses.
    pub fn explain<'r, R: Request + PartialLookup + ?Sized>(
        &'r self,
        request: &R,
        limit: usize,
    ) -> Explanation<'r, T> {
        let (mut by_route, found) = self.judge_candidates(request);
        let met: BTreeSet<u64> = by_route.keys().copied().collect();
        let found = found.and_then(|sequence| by_route.remove(&sequence));
        let (mut undecided, misses): (Vec<_>, Vec<_>) = by_route
            .into_values()
            .partition(|judged| judged.whys.is_empty());
        undecided.sort_by_key(|judged| judged.place);
        let (misses, left_out) = self.nearest(request, misses, met, limit);
        Explanation {
            found: found.map(|found| (found.matched(), found.params)),
            undecided: undecided
                .into_iter()
                .map(|judged| Undecided {
                    matched: judged.matched(),
                    needs: judged.needs,
                })
                .collect(),
            misses: misses
                .into_iter()
                .map(|judged| Miss {
                    matched: judged.matched(),
                    whys: judged.whys,
                })
                .collect(),
            left_out,
        }
    }

    /// The routes that the walk meets, each as its best path has it, and which of them is taken, all by their sequence.
    fn judge_candidates<'r, R: Request + PartialLookup + ?Sized>(
        &'r self,
        request: &R,
    ) -> (BTreeMap<u64, Judged<'r, T>>, Option<u64>) {
        let mut candidates = Vec::new();
        let _all = self.walk(request, &mut |candidate: Candidate<'r, T>| {
            candidates.push(candidate);
            ControlFlow::<()>::Continue(())
        });
        let mut by_route = BTreeMap::new();
        let mut found: Option<Candidate<'r, T>> = None;
        for (place, candidate) in candidates.into_iter().enumerate() {
            let sequence = candidate.route.sequence;
            let mut judged = self.judge(candidate, Some(place), request);
            if judged.whys.is_empty() {
                match &found {
                    Some(found) => judged.whys.push(Why::Later(self.later(&judged, found))),
                    None if judged.needs.is_empty() => {
                        let Candidate { route, rule, host } = judged.candidate;
                        found = Some(Candidate { route, rule, host });
                    }
                    None => {}
                }
            }
            let known = by_route.get(&sequence).map(Judged::distance);
            if known.is_none_or(|known| judged.distance() < known) {
                by_route.insert(sequence, judged);
            }
        }
        (by_route, found.map(|found| found.route.sequence))
    }

    /// Judges a route, by one of its paths; `place` is where the walk meets it, if it does.
    fn judge<'r, R: Request + PartialLookup + ?Sized>(
        &self,
        mut candidate: Candidate<'r, T>,
        place: Option<usize>,
        request: &R,
    ) -> Judged<'r, T> {
        let (route, rule) = (candidate.route, candidate.rule);
        let mut whys = Vec::new();
        let mut needs = Vec::new();
        let mut params = Params::new();
        let has_key = place.is_some() || rule.has_key_of(request.path());
        let is_met = match place {
            Some(_) => self
                .host_of(&candidate, request)
                .map(|host| candidate.host = host)
                .is_ok(),
            // Else the walk would have met it.
            None if has_key => false,
            None => route.hosts.is_empty() || route.matching_host(request).is_some(),
        };
        if !is_met {
            whys.push(Why::Host(route.hosts.iter().map(HostRule::text).collect()));
        }
        let fits = has_key && rule.fits(request.path(), &mut params);
        if !fits {
            whys.push(Why::Path);
        }
        if !route.takes_method(request) {
            whys.push(Why::Method(route.methods));
        }
        if !route.takes_remote_addr(request) {
            if request.remote_addr().is_none() {
                needs.push("remote_addr".to_owned());
            } else {
                let set = route.remote_addrs.as_ref();
                whys.push(Why::RemoteAddr(set.map_or(Vec::new(), |set| set.texts())));
            }
        }
        // Without parameters of the path nobody knows.
        if fits && let Some(vars) = &route.vars {
            match vars.explain(&WithParams::new(request, rule, &params)) {
                Verdict::Holds => {}
                Verdict::Fails(blamed) => whys.push(Why::Vars(blamed)),
                Verdict::Depends(names) => needs.extend(names),
            }
        }
        let path_alike = if fits {
            usize::MAX
        } else {
            alike(rule, request.path())
        };
        let host_alike = match request.host() {
            Some(host) if !is_met => hosts_alike(route, host),
            _ => usize::MAX,
        };
        Judged {
            candidate,
            place,
            whys,
            needs,
            params,
            alike: (path_alike, host_alike),
        }
    }

    /// The nearest of the misses that were met and of those that were not.
    fn nearest<'r, R: Request + PartialLookup + ?Sized>(
        &'r self,
        request: &R,
        met: Vec<Judged<'r, T>>,
        mut seen: BTreeSet<u64>,
        limit: usize,
    ) -> (Vec<Judged<'r, T>>, usize) {
        let mut count = met.len();
        let mut misses = met;
        self.for_each(&mut |route| {
            if !seen.insert(route.sequence) {
                return;
            }
            let judged = route.paths.iter().map(|rule| {
                let host = None;
                self.judge(Candidate { route, rule, host }, None, request)
            });
            let Some(nearest) = judged.min_by_key(Judged::distance) else {
                return;
            };
            if is_near(&nearest) {
                count += 1;
                misses.push(nearest);
                if misses.len() >= MISSES_KEPT.max(limit.saturating_mul(2)) {
                    misses.sort_by_key(Judged::distance);
                    misses.truncate(limit);
                }
            }
        });
        misses.sort_by_key(Judged::distance);
        misses.truncate(limit);
        let left_out = count - misses.len();
        (misses, left_out)
    }

    /// Why a candidate comes after another. The order is that of the walk and of the buckets.
    fn later(&self, judged: &Judged<'_, T>, found: &Candidate<'_, T>) -> Later {
        let own = &judged.candidate;
        let in_walk = |rule: &'_ PathRule| (rule.kind() == Kind::Exact, rule.key().len());
        if self.mode == Mode::HostUri && own.host != found.host {
            Later::Host
        } else if in_walk(own.rule) != in_walk(found.rule) {
            Later::Path
        } else if own.route.priority != found.route.priority {
            Later::Priority {
                own: own.route.priority,
                of_found: found.route.priority,
            }
        } else if own.rule.text().len() != found.rule.text().len() {
            Later::Length
        } else {
            Later::Age
        }
    }
}

/// Whether a route that the walk does not meet is worth showing: its path fits, or is the only thing that does not.
fn is_near<T>(judged: &Judged<'_, T>) -> bool {
    !judged.whys.contains(&Why::Path) || judged.whys.len() == 1 && judged.alike.0 >= NEAR_PATH_BYTES
}

/// How many bytes a path shares with a configured one, from the beginning, in any case.
fn alike(rule: &PathRule, path: &[u8]) -> usize {
    common(rule.key().iter(), path.iter())
}

/// How many bytes a host shares with one of a route's, from the end.
fn hosts_alike<T>(route: &Route<T>, host: &[u8]) -> usize {
    let alike = |rule: &HostRule| {
        let text = rule.text().trim_start_matches('*');
        common(text.as_bytes().iter().rev(), host.iter().rev())
    };
    route.hosts.iter().map(alike).max().unwrap_or(0)
}

fn common<'a>(left: impl Iterator<Item = &'a u8>, right: impl Iterator<Item = &'a u8>) -> usize {
    left.zip(right)
        .take_while(|(left, right)| left.eq_ignore_ascii_case(right))
        .count()
}
