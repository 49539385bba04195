//! The part of etcd's protocol that is spoken here, written by hand so that no `protoc` is needed.
//!
//! Names and numbers are those of `rpc.proto` and `kv.proto` of the etcd v3 API; fields that are neither set nor read are left
//! out, which protobuf allows. What is `int64` there is `uint64` here: none of it is ever negative, and the bytes are the same.

use bytes::Bytes;

/// What etcd says about itself with each answer.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct ResponseHeader {
    #[prost(uint64, tag = "1")]
    pub(super) cluster_id: u64,
    /// Newest revision of the store when it answered.
    #[prost(uint64, tag = "3")]
    pub(super) revision: u64,
    #[prost(uint64, tag = "4")]
    pub(super) raft_term: u64,
}

/// `mvccpb.KeyValue`
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct KeyValue {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
    #[prost(uint64, tag = "2")]
    pub(super) create_revision: u64,
    #[prost(uint64, tag = "3")]
    pub(super) mod_revision: u64,
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) value: Bytes,
}

/// `mvccpb.Event`
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct Event {
    /// 0: the key was put; 1: it was removed.
    #[prost(int32, tag = "1")]
    pub(super) kind: i32,
    #[prost(message, optional, tag = "2")]
    pub(super) kv: Option<KeyValue>,
}

/// `Event.kind` of a removal.
pub(super) const REMOVED: i32 = 1;

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) key: Vec<u8>,
    /// First key that is not meant; empty for `key` alone.
    #[prost(bytes = "vec", tag = "2")]
    pub(super) range_end: Vec<u8>,
    /// 0: all.
    #[prost(uint64, tag = "3")]
    pub(super) limit: u64,
    /// 0: the newest.
    #[prost(uint64, tag = "4")]
    pub(super) revision: u64,
    #[prost(bool, tag = "9")]
    pub(super) count_only: bool,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct RangeResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<ResponseHeader>,
    #[prost(message, repeated, tag = "2")]
    pub(super) kvs: Vec<KeyValue>,
    /// There are more keys than the limit.
    #[prost(bool, tag = "3")]
    pub(super) more: bool,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) key: Vec<u8>,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) value: Bytes,
    /// 0: none.
    #[prost(uint64, tag = "3")]
    pub(super) lease: u64,
    #[prost(bool, tag = "4")]
    pub(super) prev_kv: bool,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct PutResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<ResponseHeader>,
    #[prost(message, optional, tag = "2")]
    pub(super) prev_kv: Option<KeyValue>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct DeleteRangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) key: Vec<u8>,
    #[prost(bool, tag = "3")]
    pub(super) prev_kv: bool,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct DeleteRangeResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<ResponseHeader>,
    #[prost(message, repeated, tag = "3")]
    pub(super) prev_kvs: Vec<KeyValue>,
}

/// A condition of a transaction. `result` (1) stays 0, which is EQUAL.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct Compare {
    /// [`TARGET_CREATE`] or [`TARGET_MOD`].
    #[prost(int32, tag = "2")]
    pub(super) target: i32,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) key: Vec<u8>,
    #[prost(oneof = "compare::Union", tags = "5, 6")]
    pub(super) union: Option<compare::Union>,
}

/// `Compare.target` of `create_revision`.
pub(super) const TARGET_CREATE: i32 = 1;
/// `Compare.target` of `mod_revision`.
pub(super) const TARGET_MOD: i32 = 2;

pub(super) mod compare {
    #[derive(Clone, Copy, PartialEq, Eq, prost::Oneof)]
    pub(in crate::etcd) enum Union {
        #[prost(uint64, tag = "5")]
        CreateRevision(u64),
        #[prost(uint64, tag = "6")]
        ModRevision(u64),
    }
}

/// `RequestOp`, of which only a put is used.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct RequestOp {
    #[prost(message, optional, tag = "2")]
    pub(super) put: Option<PutRequest>,
}

/// `ResponseOp`, of which only a put is used.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct ResponseOp {
    #[prost(message, optional, tag = "2")]
    pub(super) put: Option<PutResponse>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct TxnRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) compare: Vec<Compare>,
    #[prost(message, repeated, tag = "2")]
    pub(super) success: Vec<RequestOp>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct TxnResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<ResponseHeader>,
    #[prost(bool, tag = "2")]
    pub(super) succeeded: bool,
    #[prost(message, repeated, tag = "3")]
    pub(super) responses: Vec<ResponseOp>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct WatchRequest {
    #[prost(oneof = "watch_request::Union", tags = "1, 3")]
    pub(super) union: Option<watch_request::Union>,
}

pub(super) mod watch_request {
    #[derive(Clone, PartialEq, Eq, prost::Oneof)]
    pub(in crate::etcd) enum Union {
        #[prost(message, tag = "1")]
        Create(super::WatchCreateRequest),
        #[prost(message, tag = "3")]
        Progress(super::WatchProgressRequest),
    }
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct WatchCreateRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) range_end: Vec<u8>,
    /// First revision that is wanted.
    #[prost(uint64, tag = "3")]
    pub(super) start_revision: u64,
    /// Whether a large answer may come in parts.
    #[prost(bool, tag = "8")]
    pub(super) fragment: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct WatchProgressRequest {}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct WatchResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<ResponseHeader>,
    #[prost(bool, tag = "3")]
    pub(super) created: bool,
    #[prost(bool, tag = "4")]
    pub(super) canceled: bool,
    /// Not 0 where the start revision has been compacted: the oldest that has not.
    #[prost(uint64, tag = "5")]
    pub(super) compact_revision: u64,
    #[prost(string, tag = "6")]
    pub(super) cancel_reason: String,
    /// More of the same answer follows.
    #[prost(bool, tag = "7")]
    pub(super) fragment: bool,
    #[prost(message, repeated, tag = "11")]
    pub(super) events: Vec<Event>,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct LeaseGrantRequest {
    #[prost(uint64, tag = "1")]
    pub(super) ttl_s: u64,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct LeaseGrantResponse {
    #[prost(uint64, tag = "2")]
    pub(super) id: u64,
    /// Empty where it was granted.
    #[prost(string, tag = "4")]
    pub(super) error: String,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct LeaseRevokeRequest {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct LeaseRevokeResponse {}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct AuthenticateRequest {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) password: String,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct AuthenticateResponse {
    #[prost(string, tag = "2")]
    pub(super) token: String,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct StatusRequest {}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct StatusResponse {
    /// Of this member, such as `3.4.23`.
    #[prost(string, tag = "2")]
    pub(super) version: String,
    /// 0: this member knows of none.
    #[prost(uint64, tag = "4")]
    pub(super) leader: u64,
    /// Learners answer no reads.
    #[prost(bool, tag = "10")]
    pub(super) is_learner: bool,
}
