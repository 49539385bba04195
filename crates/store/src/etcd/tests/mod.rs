//! Tests of the parts, without an etcd.

mod local_copy;
mod proto;
mod stream;
