//! No file descriptors left: nobody dies, and service goes on when there are some again.

use lockgate_testkit::{Client, Gateway, Origin, eventually};

use crate::{alone::alone, route};

#[test]
fn survives_the_end_of_file_descriptors() {
    let shell = "ulimit -n 80; exec \"$0\" \"$@\"";
    alone(
        "descriptors::survives_the_end_of_file_descriptors",
        shell,
        || {
            let origin = Origin::saying("hello");
            let gateway = Gateway::to(&origin);
            let mut old = gateway.client();
            assert_eq!(old.get("/").text(), "hello");
            let mut crowd = Vec::new();
            while let Ok(client) = Client::try_connect(gateway.address) {
                crowd.push(client);
                assert!(crowd.len() < 1000, "the limit has no effect");
            }
            // Who is connected is served on connections that are there.
            assert_eq!(old.get("/").text(), "hello");
            // A node that would need a new one cannot be reached.
            let other = crowd.pop().map(|client| {
                drop(client);
                Origin::saying("other")
            });
            if let Some(other) = &other {
                gateway.put("routes/1", &route("/*", other));
                while let Ok(client) = Client::try_connect(gateway.address) {
                    crowd.push(client);
                }
                let answer = old.get("/");
                assert!([200, 502].contains(&answer.status()), "{}", answer.start);
            }
            crowd.clear();
            eventually("new clients are served", || {
                gateway.get("/").status() == 200
            });
            eventually("the crowd is gone", || gateway.counts().open == 1);
            assert_eq!(old.get("/").status(), 200);
        },
    );
}
