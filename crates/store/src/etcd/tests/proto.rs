//! Messages against bytes written out by hand from the numbers in etcd's `rpc.proto` and `kv.proto`.

use prost::Message as _;

use crate::etcd::proto::{
    AuthenticateRequest, Compare, DeleteRangeRequest, Event, KeyValue, LeaseGrantRequest,
    PutRequest, RangeRequest, RangeResponse, RequestOp, ResponseHeader, StatusResponse,
    TARGET_CREATE, TARGET_MOD, TxnRequest, TxnResponse, WatchCreateRequest, WatchProgressRequest,
    WatchRequest, WatchResponse, compare, watch_request::Union,
};

#[test]
fn writes_questions_as_etcd_reads_them() {
    let check = |message: Vec<u8>, expected: &[u8]| assert_eq!(message, expected);
    let range = RangeRequest {
        key: b"/a/".to_vec(),
        range_end: b"/a0".to_vec(),
        limit: 500,
        revision: 7,
        count_only: true,
    };
    check(
        range.encode_to_vec(),
        b"\x0a\x03/a/\x12\x03/a0\x18\xf4\x03\x20\x07\x48\x01",
    );
    let put = PutRequest {
        key: b"/a/b".to_vec(),
        value: b"{}".as_slice().into(),
        lease: 300,
        prev_kv: true,
    };
    check(
        put.encode_to_vec(),
        b"\x0a\x04/a/b\x12\x02{}\x18\xac\x02\x20\x01",
    );
    let delete = DeleteRangeRequest {
        key: b"/a/b".to_vec(),
        prev_kv: true,
    };
    check(delete.encode_to_vec(), b"\x0a\x04/a/b\x18\x01");
    check(LeaseGrantRequest { ttl_s: 60 }.encode_to_vec(), b"\x08\x3c");
    let authenticate = AuthenticateRequest {
        name: "jack".to_owned(),
        password: "x".to_owned(),
    };
    check(authenticate.encode_to_vec(), b"\x0a\x04jack\x12\x01x");
}

#[test]
fn writes_transactions_as_etcd_reads_them() {
    let check = |target: i32, union: compare::Union, expected: &[u8]| {
        let put = PutRequest {
            key: b"k".to_vec(),
            value: b"v".as_slice().into(),
            ..PutRequest::default()
        };
        let question = TxnRequest {
            compare: vec![Compare {
                target,
                key: b"k".to_vec(),
                union: Some(union),
            }],
            success: vec![RequestOp { put: Some(put) }],
        };
        let message = question.encode_to_vec();
        let (condition, write) = message.split_at(expected.len());
        assert_eq!(condition, expected);
        assert_eq!(write, b"\x12\x08\x12\x06\x0a\x01k\x12\x01v");
    };
    // What is compared with is written even where it is 0.
    check(
        TARGET_CREATE,
        compare::Union::CreateRevision(0),
        b"\x0a\x07\x10\x01\x1a\x01k\x28\x00",
    );
    check(
        TARGET_MOD,
        compare::Union::ModRevision(5),
        b"\x0a\x07\x10\x02\x1a\x01k\x30\x05",
    );
}

#[test]
fn writes_watch_requests_as_etcd_reads_them() {
    let request = |union| WatchRequest { union: Some(union) }.encode_to_vec();
    let create = WatchCreateRequest {
        key: b"/a/".to_vec(),
        range_end: b"/a0".to_vec(),
        start_revision: 9,
        fragment: true,
    };
    assert_eq!(
        request(Union::Create(create)),
        b"\x0a\x0e\x0a\x03/a/\x12\x03/a0\x18\x09\x40\x01"
    );
    assert_eq!(
        request(Union::Progress(WatchProgressRequest {})),
        b"\x1a\x00"
    );
}

#[test]
fn reads_what_etcd_answers() {
    // cluster_id 1, member_id 2 (not read), revision 9, raft_term 3.
    let header = b"\x0a\x08\x08\x01\x10\x02\x18\x09\x20\x03";
    let expected_header = Some(ResponseHeader {
        cluster_id: 1,
        revision: 9,
        raft_term: 3,
    });
    // key, create_revision 4, mod_revision 8, version 2 (not read), value, lease 7 (not read).
    let kv = b"\x0a\x01k\x10\x04\x18\x08\x20\x02\x2a\x01v\x30\x07";
    let expected_kv = KeyValue {
        key: b"k".as_slice().into(),
        create_revision: 4,
        mod_revision: 8,
        value: b"v".as_slice().into(),
    };

    let bytes = [&header[..], b"\x12\x0e", kv, b"\x18\x01\x20\x05"].concat();
    let range = RangeResponse::decode(&bytes[..]).unwrap();
    assert_eq!((range.header, range.more), (expected_header, true));
    assert_eq!(range.kvs, std::slice::from_ref(&expected_kv));

    let put = [b"\x12\x10\x12\x0e", &kv[..]].concat();
    let bytes = [&header[..], b"\x10\x01\x1a\x12", &put[..]].concat();
    let transaction = TxnResponse::decode(&bytes[..]).unwrap();
    assert_eq!(transaction.header, expected_header);
    assert!(transaction.succeeded);
    let put = transaction.responses[0].put.as_ref().unwrap();
    assert_eq!(put.prev_kv, Some(expected_kv));

    let bytes = b"\x12\x063.4.23\x18\x64\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x50\x01";
    let status = StatusResponse::decode(&bytes[..]).unwrap();
    assert_eq!(
        (&*status.version, status.leader, status.is_learner),
        ("3.4.23", u64::MAX, true)
    );
}

#[test]
fn reads_what_a_watch_brings() {
    // watch_id -1 (not read), as answers to progress requests have it.
    let progress = b"\x0a\x02\x18\x09\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    let progress = WatchResponse::decode(&progress[..]).unwrap();
    assert_eq!(progress.header.map(|header| header.revision), Some(9));
    assert!(progress.events.is_empty() && !progress.canceled);

    let bytes = b"\x18\x01\x20\x01\x28\x07\x32\x02no\x38\x01";
    let canceled = WatchResponse::decode(&bytes[..]).unwrap();
    assert_eq!((canceled.created, canceled.canceled), (true, true));
    assert_eq!(
        (canceled.compact_revision, &*canceled.cancel_reason),
        (7, "no")
    );
    assert!(canceled.fragment);

    let put = b"\x5a\x0b\x12\x09\x0a\x01k\x10\x04\x18\x08\x2a\x00";
    let delete = b"\x5a\x09\x08\x01\x12\x05\x0a\x01k\x18\x09";
    let events = WatchResponse::decode(&[&put[..], delete].concat()[..]).unwrap();
    let event = |kind, create_revision, mod_revision| Event {
        kind,
        kv: Some(KeyValue {
            key: b"k".as_slice().into(),
            create_revision,
            mod_revision,
            ..KeyValue::default()
        }),
    };
    assert_eq!(events.events, [event(0, 4, 8), event(1, 0, 9)]);
}
