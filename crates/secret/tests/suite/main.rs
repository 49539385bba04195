//! Secret references, against stand-ins of the managers over real sockets.

#![expect(
    clippy::indexing_slicing,
    reason = "a test may panic, and JSON is read by key"
)]

mod aws;
mod gcp;
mod resolve;
mod rotation;
mod vault;

use lockgate_net::dns::{DnsOptions, Resolver};
use lockgate_secret::{Answer, Environment, Options, Secrets};
use lockgate_testkit::PATIENCE;
use serde_json::Value;

/// Secrets with a task that asks managers, these variables, and settings changed.
fn secrets(variables: &[(&str, &str)], change: impl FnOnce(&mut Options)) -> Secrets {
    let environment: Environment = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let mut options = Options::new(environment, Resolver::new(DnsOptions::default()));
    change(&mut options);
    let secrets = Secrets::new(options);
    // Ends with the runtime of the test.
    tokio::spawn(secrets.clone().run());
    secrets
}

/// Stores a manager.
fn put(secrets: &Secrets, id: &str, stored: &Value) {
    secrets
        .put_manager(id, stored.to_string().as_bytes())
        .expect("a manager");
}

/// The value of a reference, waited for, or why it has none.
async fn value(secrets: &Secrets, reference: &str) -> Result<Value, String> {
    let _used = secrets.look_up(reference).expect("a reference").1;
    secrets.settled(PATIENCE).await;
    match secrets.look_up(reference).expect("a reference").0 {
        Answer::Found(value) => Ok(value),
        Answer::Failed(error) => Err(error.to_string()),
        Answer::Pending => panic!("no answer for {reference}"),
    }
}

/// A response with a JSON body.
fn response(status: u16, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}
