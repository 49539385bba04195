//! Control plane and data plane, which meet in etcd.

use std::net::TcpStream;

use super::{
    node::{NODES, Node, reaches},
    server::Etcd,
};

#[test]
fn one_writes_and_the_other_serves() {
    let etcd = Etcd::start();
    let data = Node::start_as("data_plane", &etcd);
    assert!(
        TcpStream::connect(data.gateway.admin).is_err(),
        "it has no Admin API"
    );
    assert!(etcd.everything().is_empty(), "a data plane writes nothing");
    let control = Node::start_as("control_plane", &etcd);
    assert!(
        TcpStream::connect(control.gateway.proxy).is_err(),
        "it takes no traffic"
    );
    control.put("routes/1", &format!(r#"{{"uri": "/ours", {NODES}}}"#));
    reaches(&data.gateway, "/ours", true);
}
