//! Certificates.

use serde_json::{Value, json};

use crate::{gateway::Gateway, rules::pem};

#[tokio::test]
async fn checks_certificates_and_hides_keys() {
    let gateway = Gateway::start().await;
    let (certificate, key) = (pem("CERTIFICATE"), pem("PRIVATE KEY"));
    let junk = "a".repeat(256);
    let server = |fields: Value| {
        let mut ssl = json!({"sni": "a.b", "cert": certificate, "key": key});
        let all = ssl.as_object_mut().unwrap();
        all.extend(fields.as_object().unwrap().clone());
        ssl
    };
    gateway
        .check_refusals(&[
            ("PUT ssls/1", server(json!({"cert": junk})), "failed to parse cert: PEM_read_bio_X509_AUX() failed"),
            (
                "PUT ssls/1",
                server(json!({"key": format!("---{junk}")})),
                "failed to parse key: PEM_read_bio_PrivateKey() failed",
            ),
            ("PUT ssls/1", server(json!({"certs": [certificate]})), "mismatched number of certs and keys"),
            (
                "PUT ssls/1",
                server(json!({"certs": [certificate, junk], "keys": [key, key]})),
                "failed to handle cert-key pair[2]: failed to parse cert: PEM_read_bio_X509_AUX() failed",
            ),
            (
                "PUT ssls/1",
                server(json!({"client": {"ca": junk}})),
                "failed to validate client_cert: failed to parse cert: PEM_read_bio_X509_AUX() failed",
            ),
            ("PUT ssls/1", json!({"sni": "a.b", "cert": certificate}), "invalid configuration: then clause did not match"),
        ])
        .await;
    for ssl in [
        server(json!({"certs": [certificate], "keys": [key]})),
        server(json!({"client": {"ca": certificate}})),
        server(json!({"cert": "$secret://vault/1/cert", "key": "$env://KEY"})),
        json!({"type": "client", "cert": certificate, "key": key}),
    ] {
        let reply = gateway
            .ask("PUT /apisix/admin/ssls/1", &ssl.to_string())
            .await;
        assert!(reply.status < 300, "{ssl}: {}", reply.body);
    }
    let ssl = server(json!({"certs": [certificate], "keys": [key]}));
    gateway
        .ask("PUT /apisix/admin/ssls/1", &ssl.to_string())
        .await;
    for path in ["ssls/1", "ssls"] {
        let reply = gateway.ask(&format!("GET /apisix/admin/{path}"), "").await;
        let shown: Value = serde_json::from_str(&reply.body).unwrap();
        let value = if path == "ssls" {
            &shown["list"][0]["value"]
        } else {
            &shown["value"]
        };
        assert_eq!(value["cert"], json!(certificate), "{path}");
        assert_eq!(
            (&value["key"], &value["keys"]),
            (&Value::Null, &Value::Null),
            "{path}"
        );
    }
    assert!(gateway.store.value("ssls/1").unwrap().contains("\"key\""));
}
