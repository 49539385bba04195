//! HTTP servers of registries, written for the test.

use std::{
    collections::HashMap,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: HashMap<String, String>,
    /// By names in lower case.
    pub(crate) headers: HashMap<String, String>,
}

/// An answer.
pub(crate) enum Reply {
    Whole {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// 200, in pieces, to the end of the channel.
    Pieces(mpsc::UnboundedReceiver<String>),
    /// The connection is closed.
    None,
}

impl Reply {
    pub(crate) fn with(status: u16, body: &impl ToString) -> Self {
        Self::Whole {
            status,
            headers: Vec::new(),
            body: body.to_string(),
        }
    }
}

type Answering = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// A server.
pub(crate) struct Web {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Web {
    pub(crate) async fn start<F>(answer: impl Fn(Asked) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        Self::at("127.0.0.1:0".parse().expect("an address"), answer).await
    }

    /// On an address that was another server's before.
    pub(crate) async fn at<F>(
        address: SocketAddr,
        answer: impl Fn(Asked) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        let answer: Arc<dyn Fn(Asked) -> Answering + Send + Sync> =
            Arc::new(move |asked| Box::pin(answer(asked)));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, answer.clone(), log.clone()));
            }
        });
        Self {
            address,
            asked,
            task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("sound").clone()
    }

    /// Ends the server and its connections.
    pub(crate) async fn stop(self) -> SocketAddr {
        self.task.abort();
        let address = self.address;
        // An aborted task has closed its sockets when it is joined.
        let mut this = self;
        let _ended = (&mut this.task).await;
        address
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: Arc<dyn Fn(Asked) -> Answering + Send + Sync>,
    log: Arc<Mutex<Vec<Asked>>>,
) {
    let mut read = Vec::new();
    loop {
        let head = loop {
            let text = String::from_utf8_lossy(&read).into_owned();
            if let Some((head, _)) = text.split_once("\r\n\r\n") {
                read.drain(..head.len() + 4);
                break head.to_owned();
            }
            if !matches!(stream.read_buf(&mut read).await, Ok(count) if count > 0) {
                return;
            }
        };
        let asked = parse(&head);
        log.lock().expect("sound").push(asked.clone());
        let sent = match answer(asked).await {
            Reply::None => return,
            Reply::Whole {
                status,
                headers,
                body,
            } => {
                let length = body.len();
                let headers = headers
                    .iter()
                    .map(|(name, value)| format!("{name}: {value}\r\n"));
                let headers: String = headers.collect();
                let text = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
                );
                stream.write_all(text.as_bytes()).await
            }
            Reply::Pieces(mut pieces) => {
                let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
                let mut sent = stream.write_all(head.as_bytes()).await;
                while let Some(piece) = pieces.recv().await {
                    let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
                    sent = sent.and(stream.write_all(chunk.as_bytes()).await);
                }
                sent.and(stream.write_all(b"0\r\n\r\n").await)
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

fn parse(head: &str) -> Asked {
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let method = first.next().unwrap_or_default().to_owned();
    let target = first.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    let headers = lines.filter_map(|line| line.split_once(": "));
    Asked {
        method,
        path: path.to_owned(),
        query: query
            .map(|(name, value)| (name.to_owned(), decoded(value)))
            .collect(),
        headers: headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect(),
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}
