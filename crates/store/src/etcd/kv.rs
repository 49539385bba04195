//! Reads and writes.

use std::time::Duration;

use bytes::Bytes;

use super::{
    cluster::{Cluster, Repeat},
    failure::Failure,
    keys::Keys,
    limits,
    proto::{
        Compare, DeleteRangeRequest, DeleteRangeResponse, KeyValue, LeaseGrantRequest,
        LeaseGrantResponse, LeaseRevokeRequest, LeaseRevokeResponse, PutRequest, PutResponse,
        RangeRequest, RangeResponse, RequestOp, ResponseHeader, TARGET_CREATE, TARGET_MOD,
        TxnRequest, TxnResponse, compare,
    },
};
use crate::{Entry, Expect, Listing, Put, Revision, StoreError, Written};

pub(super) const RANGE: &str = "/etcdserverpb.KV/Range";

/// Reads one key.
pub(super) async fn get(
    cluster: &Cluster,
    keys: &Keys,
    key: &str,
) -> Result<Option<Entry>, Failure> {
    let question = RangeRequest {
        key: keys.full(key),
        ..RangeRequest::default()
    };
    let answer: RangeResponse = cluster.call(RANGE, question, Repeat::Harmless).await?;
    Ok(answer.kvs.first().and_then(|kv| keys.entry(kv)))
}

/// Reads all keys with a prefix, page by page, all of the same revision.
pub(super) async fn list(cluster: &Cluster, keys: &Keys, prefix: &str) -> Result<Listing, Failure> {
    for _ in 1..limits::LISTINGS {
        match list_once(cluster, keys, prefix).await {
            Err(Failure::Compacted) => {
                tracing::debug!("a revision was compacted while it was read");
            }
            outcome => return outcome,
        }
    }
    list_once(cluster, keys, prefix).await
}

async fn list_once(cluster: &Cluster, keys: &Keys, prefix: &str) -> Result<Listing, Failure> {
    let (start, end) = keys.range(prefix);
    let mut question = RangeRequest {
        key: start,
        range_end: end,
        limit: limits::FIRST_PAGE_KEYS,
        ..RangeRequest::default()
    };
    let mut pages = Pages::default();
    let mut entries = Vec::new();
    loop {
        let page: RangeResponse = cluster
            .call(RANGE, question.clone(), Repeat::Harmless)
            .await?;
        if question.revision == 0 {
            question.revision = revision(page.header)?;
        }
        entries.extend(page.kvs.iter().filter_map(|kv| keys.entry(kv)));
        let Some(last) = page.kvs.last().filter(|_| page.more) else {
            break;
        };
        // The least key after the last one.
        question.key = [&last.key[..], &[0]].concat();
        question.limit = pages.next_limit(&page.kvs);
    }
    // Stable: keys that one transaction made stay in their order.
    entries.sort_by_key(|entry| entry.create_revision);
    Ok(Listing {
        revision: question.revision,
        entries,
    })
}

/// What is known of the size of values.
#[derive(Debug, Default)]
struct Pages {
    keys: u64,
    bytes: u64,
}

impl Pages {
    /// How many keys to ask for after this page.
    fn next_limit(&mut self, page: &[KeyValue]) -> u64 {
        self.keys += page.len() as u64;
        let bytes = page
            .iter()
            .map(|kv| kv.key.len() + kv.value.len())
            .sum::<usize>();
        self.bytes += bytes as u64;
        let mean = self.bytes / self.keys.max(1);
        (limits::PAGE_BYTES / mean.max(1)).clamp(1, limits::PAGE_KEYS)
    }
}

/// Writes one key.
pub(super) async fn put(cluster: &Cluster, keys: &Keys, put: Put) -> Result<Written, StoreError> {
    let action = || format!("writing {}", put.key);
    let lease = match put.ttl {
        None => 0,
        Some(ttl) => grant(cluster, ttl)
            .await
            .map_err(|failure| failure.in_action(action()))?,
    };
    let request = PutRequest {
        key: keys.full(&put.key),
        value: Bytes::from(put.value),
        lease,
        prev_kv: true,
    };
    let written = match condition(put.expect, &request.key) {
        None => put_anyway(cluster, keys, request).await.map(Some),
        Some(condition) => put_if(cluster, keys, condition, request).await,
    };
    match written {
        Ok(Some(written)) => Ok(written),
        Ok(None) => {
            if lease != 0 {
                revoke(cluster, lease).await;
            }
            Err(StoreError::Conflict)
        }
        Err(failure) => Err(failure.in_action(action())),
    }
}

fn condition(expect: Expect, key: &[u8]) -> Option<Compare> {
    let (target, union) = match expect {
        Expect::Any => return None,
        Expect::Absent => (TARGET_CREATE, compare::Union::CreateRevision(0)),
        Expect::ModRevision(revision) => (TARGET_MOD, compare::Union::ModRevision(revision)),
    };
    Some(Compare {
        target,
        key: key.to_vec(),
        union: Some(union),
    })
}

async fn put_anyway(
    cluster: &Cluster,
    keys: &Keys,
    request: PutRequest,
) -> Result<Written, Failure> {
    let answer: PutResponse = cluster
        .call("/etcdserverpb.KV/Put", request, Repeat::Never)
        .await?;
    Ok(Written {
        revision: revision(answer.header)?,
        previous: answer.prev_kv.and_then(|kv| keys.entry(&kv)),
    })
}

/// Writes where a condition holds; `None` where it does not.
async fn put_if(
    cluster: &Cluster,
    keys: &Keys,
    condition: Compare,
    request: PutRequest,
) -> Result<Option<Written>, Failure> {
    let question = TxnRequest {
        compare: vec![condition],
        success: vec![RequestOp { put: Some(request) }],
    };
    let answer: TxnResponse = cluster
        .call("/etcdserverpb.KV/Txn", question, Repeat::Never)
        .await?;
    if !answer.succeeded {
        return Ok(None);
    }
    let put = answer
        .responses
        .into_iter()
        .find_map(|response| response.put);
    let previous = put.and_then(|put| put.prev_kv);
    Ok(Some(Written {
        revision: revision(answer.header)?,
        previous: previous.and_then(|kv| keys.entry(&kv)),
    }))
}

/// Makes a lease; its id.
async fn grant(cluster: &Cluster, ttl: Duration) -> Result<u64, Failure> {
    // etcd counts whole seconds.
    let ttl_s = ttl
        .as_secs()
        .saturating_add(u64::from(ttl.subsec_nanos() > 0));
    let question = LeaseGrantRequest {
        ttl_s: ttl_s.max(1),
    };
    // A lease that nobody heard of goes away by itself.
    let answer: LeaseGrantResponse = cluster
        .call("/etcdserverpb.Lease/LeaseGrant", question, Repeat::Harmless)
        .await?;
    if answer.error.is_empty() {
        Ok(answer.id)
    } else {
        Err(Failure::Refused(answer.error))
    }
}

/// Gives a lease back that was not used. Left alone, it ends by itself.
async fn revoke(cluster: &Cluster, id: u64) {
    let question = LeaseRevokeRequest { id };
    let answer: Result<LeaseRevokeResponse, Failure> = cluster
        .call(
            "/etcdserverpb.Lease/LeaseRevoke",
            question,
            Repeat::Harmless,
        )
        .await;
    if let Err(failure) = answer {
        tracing::debug!(?failure, "a lease was not given back");
    }
}

/// Removes one key.
pub(super) async fn delete(cluster: &Cluster, keys: &Keys, key: &str) -> Result<Written, Failure> {
    let question = DeleteRangeRequest {
        key: keys.full(key),
        prev_kv: true,
    };
    let answer: DeleteRangeResponse = cluster
        .call("/etcdserverpb.KV/DeleteRange", question, Repeat::Never)
        .await?;
    Ok(Written {
        revision: revision(answer.header)?,
        previous: answer.prev_kvs.first().and_then(|kv| keys.entry(kv)),
    })
}

fn revision(header: Option<ResponseHeader>) -> Result<Revision, Failure> {
    match header {
        Some(header) => Ok(header.revision),
        None => Err(Failure::Away("the answer has no header".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_for_pages_by_the_size_of_values() {
        let check = |keys: usize, value: usize, expected: u64| {
            let kv = KeyValue {
                value: vec![0; value].into(),
                ..KeyValue::default()
            };
            let limit = Pages::default().next_limit(&vec![kv; keys]);
            assert_eq!(limit, expected, "{keys} of {value} bytes");
        };
        check(500, 0, 10_000);
        check(500, 1_024, 10_000);
        check(500, 16_384, 1_024);
        check(20, 1_500_000, 11);
        check(1, 32 << 20, 1);
    }
}
