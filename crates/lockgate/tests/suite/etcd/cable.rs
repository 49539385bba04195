//! What lies between the gateway and etcd, to be cut.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// A cable to one port. Its threads end with the test.
pub(super) struct Cable {
    pub(super) address: SocketAddr,
    is_cut: Arc<AtomicBool>,
    /// Both ends of every connection.
    ends: Arc<Mutex<Vec<TcpStream>>>,
}

impl Cable {
    pub(super) fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("free port");
        let cable = Self {
            address: listener.local_addr().expect("bound"),
            is_cut: Arc::default(),
            ends: Arc::default(),
        };
        let (is_cut, ends) = (cable.is_cut.clone(), cable.ends.clone());
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                if let Ok(far) = TcpStream::connect(target)
                    && let (Ok(near2), Ok(far2)) = (near.try_clone(), far.try_clone())
                {
                    let mut ends = ends.lock().expect("whole");
                    ends.extend([near.try_clone(), far.try_clone()].into_iter().flatten());
                    thread::spawn(|| bring(near, far));
                    thread::spawn(|| bring(far2, near2));
                }
            }
        });
        cable
    }

    /// Ends every connection, and takes no new ones.
    pub(super) fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        for end in self.ends.lock().expect("whole").drain(..) {
            let _gone = end.shutdown(Shutdown::Both);
        }
    }

    pub(super) fn mend(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }
}

fn bring(mut from: TcpStream, mut to: TcpStream) {
    let _ended = io::copy(&mut from, &mut to);
    let _gone = to.shutdown(Shutdown::Both);
}
