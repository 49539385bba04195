//! What lies between a client and etcd, to be cut.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// What it does to what is sent over it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Brings it.
    Whole,
    /// Ends every connection.
    Cut,
    /// Swallows it.
    Silent,
}

/// A cable to one port.
pub(super) struct Cable {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Cable {
    pub(super) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mode = watch::Sender::new(Mode::Whole);
        let connections = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(accept(
            listener,
            port,
            mode.subscribe(),
            connections.clone(),
        ));
        Self {
            address,
            mode,
            connections,
            task,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections there have been.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(super) fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }

    pub(super) fn silence(&self) {
        self.mode.send_replace(Mode::Silent);
    }

    pub(super) fn mend(&self) {
        self.mode.send_replace(Mode::Whole);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    port: u16,
    mode: watch::Receiver<Mode>,
    connections: Arc<AtomicUsize>,
) {
    loop {
        let (near, _) = listener.accept().await.unwrap();
        if *mode.borrow() == Mode::Cut {
            continue;
        }
        connections.fetch_add(1, Ordering::SeqCst);
        let mut mode = mode.clone();
        tokio::spawn(async move {
            let far = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
            let Ok(far) = far else { return };
            let (near_in, near_out) = near.into_split();
            let (far_in, far_out) = far.into_split();
            let there = pump(near_in, far_out, mode.clone());
            let back = pump(far_in, near_out, mode.clone());
            let cut = mode.wait_for(|mode| *mode == Mode::Cut);
            tokio::select! {
                () = there => {}
                () = back => {}
                _ = cut => {}
            }
        });
    }
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mode: watch::Receiver<Mode>,
) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if *mode.borrow() != Mode::Silent && to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
