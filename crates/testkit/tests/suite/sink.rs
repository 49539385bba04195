//! The sink, by the client and the batch processor that loggers are made of.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::Request;
use lockgate_batch::{Failed, Flushed, Processors, Sender, Sending, Settings};
use lockgate_client::{Client, Endpoint, Failure, Options};
use lockgate_net::{
    dns::{DnsOptions, Resolver},
    tls::ClientTls,
};
use lockgate_testkit::{Certificate, PATIENCE, Reply, Sink};
use serde_json::json;
use tokio::{runtime::Handle, time::Instant};

fn client(change: impl FnOnce(&mut Options)) -> Client {
    let mut options = Options::new(Resolver::new(DnsOptions::default()));
    change(&mut options);
    Client::new(options).expect("a client")
}

fn post(url: &str, body: &'static str) -> Request<Bytes> {
    let request = Request::post(url).header("x-a", "1");
    request
        .body(Bytes::from_static(body.as_bytes()))
        .expect("a request")
}

#[tokio::test]
async fn writes_down_what_it_is_sent_and_answers_as_told() {
    let sink = Sink::start();
    let url = sink.url("/logs?a=b");
    sink.replies([
        Reply::Says(500, "full".into()),
        Reply::SaysAfter(Duration::from_millis(1), 201, String::new()),
        Reply::Raw(b"HTTP/1.1 202 Cut\r\n\r\nrest".to_vec()),
        Reply::Closes,
    ]);
    let client = client(|_| {});
    for (status, text) in [(500, "full"), (201, ""), (202, "rest")] {
        let answer = client.send(post(&url, "[1]")).await.expect("an answer");
        assert_eq!(
            (answer.status().as_u16(), &answer.body()[..]),
            (status, text.as_bytes())
        );
        let seen = sink.next().await;
        assert_eq!((seen.method(), seen.target()), ("POST", "/logs?a=b"));
        assert_eq!((seen.field("x-a"), seen.json()), (Some("1"), json!([1])));
    }
    let closed = client.send(post(&url, "x")).await.expect_err("closed");
    assert!(matches!(closed.failure, Failure::Broken(_)), "{closed}");
    let answer = client.send(post(&url, "y")).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(
        (sink.next().await.text(), sink.wait().text()),
        ("x".into(), "y".into())
    );
    assert_eq!(sink.take(), None);
}

#[tokio::test]
async fn a_silent_sink_ends_with_the_test() {
    let sink = Sink::start();
    sink.replies([
        Reply::Silent,
        Reply::SaysAfter(10 * PATIENCE, 200, String::new()),
    ]);
    let client = client(|_| {}).within_each(Duration::from_millis(50));
    for body in ["a", "b"] {
        let failure = client
            .send(post(&sink.url("/"), body))
            .await
            .expect_err("silence");
        assert!(matches!(failure.failure, Failure::NoAnswer), "{failure}");
        assert_eq!(sink.next().await.text(), body);
    }
    let began = Instant::now();
    drop(sink);
    assert!(began.elapsed() < PATIENCE);
}

#[tokio::test]
async fn takes_logs_over_tls() {
    let sink = Sink::start_tls(&Certificate::of(&["host.test"]));
    let files = tempfile::tempdir().expect("a directory");
    let trusted = files.path().join("ca.pem");
    let own = Certificate::of(&["host.test"]);
    std::fs::write(&trusted, &own.pem).expect("written");
    let trusting = Sink::start_tls(&own);
    let verified = |name: &str| {
        client(|options| {
            options.tls.trusted = Some(trusted.clone());
            options.sni = Some(name.into());
        })
    };
    for (client, sink, is_taken) in [
        (
            client(|options| options.tls = ClientTls::default()),
            &sink,
            true,
        ),
        (client(|_| {}), &sink, false),
        (verified("host.test"), &sink, false),
        (verified("host.test"), &trusting, true),
        (verified("other.test"), &trusting, false),
    ] {
        let answer = client.send(post(&sink.url("/"), "x")).await;
        assert_eq!(answer.is_ok(), is_taken, "{answer:?}");
        match answer {
            Ok(_) => assert_eq!(sink.next().await.text(), "x"),
            Err(error) => assert!(matches!(error.failure, Failure::Tls(..)), "{error}"),
        }
    }
    assert_eq!((sink.take(), trusting.take()), (None, None));
}

/// What a logger does with a batch, in short.
struct Posting {
    client: Client,
    endpoint: Endpoint,
}

impl Sender<u32> for Posting {
    fn send<'a>(&'a self, batch: &'a [u32]) -> Sending<'a> {
        Box::pin(async move {
            let request = Request::post(self.endpoint.uri().clone());
            let request = request.body(Bytes::from(json!(batch).to_string()));
            let answer = self.client.stream(request.expect("a request")).await;
            let answer = answer.map_err(|error| Failed::whole(error.to_string()))?;
            let status = answer.status();
            let said = answer.into_body().excerpt(1024, PATIENCE).await;
            if status.is_success() {
                return Ok(());
            }
            let said = String::from_utf8_lossy(&said);
            Err(Failed::whole(format!("{status}: {said}")))
        })
    }
}

#[tokio::test]
async fn batches_arrive_on_one_connection_though_the_first_attempt_failed() {
    let sink = Sink::start();
    sink.replies([Reply::Says(503, "later".into())]);
    let processors = Processors::new(Handle::current());
    let settings = Settings {
        batch_max_size: 2,
        max_retry_count: 1,
        retry_delay: Duration::ZERO,
        ..Settings::named("test logger")
    };
    let sender = || {
        Ok::<_, Infallible>(Posting {
            client: client(|_| {}).within_each(PATIENCE),
            endpoint: Endpoint::parse(&sink.url("/logs")).expect("an address"),
        })
    };
    let processor = processors.get("test-logger", "a", settings, sender);
    let processor = processor.expect("infallible");
    assert!(processor.push(1, 8) && processor.push(2, 8));
    for _attempt in 0..2 {
        assert_eq!(sink.next().await.json(), json!([1, 2]));
    }
    let answered = tokio::time::timeout(PATIENCE, async {
        while processor.report().sent < 2 {
            tokio::task::yield_now().await;
        }
    });
    answered.await.expect("the second attempt succeeds");
    assert!(processor.push(3, 8));
    let flushed = processors.flush(Instant::now() + PATIENCE).await;
    assert_eq!(flushed, Flushed { sent: 1, lost: 0 });
    assert_eq!(sink.next().await.json(), json!([3]));
    assert_eq!(sink.origin().connections(), 1);
}
