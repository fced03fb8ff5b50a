//! Certificates are checked, proxies followed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::{Arc, Mutex};

use headwater_core::QueueErrorKind;
use headwater_mns_client::{Credentials, Endpoint, MnsClient, Proxies, TlsRoots};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use support::{Server, Step, attributes, follow, key, raw, settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// An authority and a certificate of it for a name.
fn certificate_for(name: &str) -> (CertificateDer<'static>, TlsAcceptor) {
    certificate(CertificateParams::new(vec![name.to_owned()]).unwrap())
}

/// An authority and a certificate of it.
fn certificate(wanted: CertificateParams) -> (CertificateDer<'static>, TlsAcceptor) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let root = authority.self_signed(&authority_key).unwrap().der().clone();
    let server_key = KeyPair::generate().unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let server = wanted.signed_by(&server_key, &issuer).unwrap();
    (root, acceptor(server.der().clone(), &server_key))
}

fn acceptor(certificate: CertificateDer<'static>, key: &KeyPair) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Certificates that must not be accepted for `localhost`, with a word of the cause.
fn bad_certificates() -> Vec<(&'static str, &'static str, CertificateDer<'static>, TlsAcceptor)> {
    let for_localhost = || CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let (mut expired, mut early) = (for_localhost(), for_localhost());
    (expired.not_before, expired.not_after) = (rcgen::date_time_ymd(2019, 1, 1), rcgen::date_time_ymd(2020, 1, 1));
    (early.not_before, early.not_after) = (rcgen::date_time_ymd(2999, 1, 1), rcgen::date_time_ymd(3000, 1, 1));
    let (root, expired) = certificate(expired);
    let (early_root, early) = certificate(early);
    let (other_root, other) = certificate_for("mns.example");
    let key = KeyPair::generate().unwrap();
    let own = for_localhost().self_signed(&key).unwrap().der().clone();
    let (unrelated, _) = certificate_for("localhost");
    vec![
        ("expired", "expired", root, expired),
        ("not yet valid", "not valid yet", early_root, early),
        ("for another host", "not valid for", other_root, other),
        ("signed by itself", "invalid peer certificate", unrelated, acceptor(own, &key)),
    ]
}

#[tokio::test]
async fn certificates_that_are_expired_early_of_another_or_of_nobody_are_refused_with_the_cause() {
    for (name, word, root, acceptor) in bad_certificates() {
        let (port, _, _tasks) = tls_server(acceptor, false).await;
        let client = client(&format!("https://localhost:{port}"), vec![root], Proxies::none());
        let refused = client.queue_attributes("q").await.unwrap_err();
        assert_eq!(refused.kind(), QueueErrorKind::Refused, "{name}: {refused}");
        assert!(!refused.may_have_happened(), "{name}: nothing was sent");
        let cause = std::error::Error::source(&refused).unwrap().to_string();
        assert!(cause.contains(word), "{name}: {cause}");
    }
}

/// A server behind TLS that answers one request per connection; with `tunnel` it is reached through `CONNECT`, whose
/// head it hands out.
async fn tls_server(acceptor: TlsAcceptor, tunnel: bool) -> (u16, mpsc::UnboundedReceiver<String>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (acceptor, tell) = (acceptor.clone(), tell.clone());
            connections.spawn(async move {
                if tunnel {
                    let _ = tell.send(read_head(&mut stream).await);
                    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                }
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let script = vec![Step::Say(attributes())];
                follow(stream, 0, script, mpsc::unbounded_channel().0, Arc::new(Mutex::default())).await;
            });
        }
    });
    (port, told, tasks)
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

fn client(endpoint: &str, roots: Vec<CertificateDer<'static>>, proxies: Proxies) -> MnsClient {
    MnsClient::builder(Endpoint::parse(endpoint).unwrap(), Credentials::fixed(key()))
        .settings(settings())
        .tls_roots(TlsRoots::Certificates(roots))
        .proxies(proxies)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_certificate_of_a_known_authority_is_accepted() {
    let (root, acceptor) = certificate_for("localhost");
    let (port, _, _tasks) = tls_server(acceptor, false).await;
    let client = client(&format!("https://localhost:{port}"), vec![root], Proxies::none());
    assert_eq!(client.queue_attributes("q").await.unwrap().queue_name, "q");
}

#[tokio::test]
async fn other_certificates_are_refused_for_good() {
    let (other_root, _) = certificate_for("localhost");
    let (root, acceptor) = certificate_for("localhost");
    let (port, _, _tasks) = tls_server(acceptor, false).await;
    for (endpoint, root) in [("localhost", other_root), ("127.0.0.1", root)] {
        let client = client(&format!("https://{endpoint}:{port}"), vec![root], Proxies::none());
        let refused = client.queue_attributes("q").await.unwrap_err();
        assert_eq!(refused.kind(), QueueErrorKind::Refused, "{refused}");
        assert!(refused.to_string().contains("SSL_CERT_FILE") && !refused.may_have_happened(), "{refused}");
        assert!(std::error::Error::source(&refused).is_some());
    }
}

fn proxies(port: u16) -> Proxies {
    let url = format!("http://user:pa%20ss@127.0.0.1:{port}");
    Proxies::from_variables(move |name| (name == "ALL_PROXY").then(|| url.clone()))
}

#[tokio::test]
async fn https_goes_through_a_tunnel() {
    let (root, acceptor) = certificate_for("mns.example");
    let (port, mut told, _tasks) = tls_server(acceptor, true).await;
    let client = client("https://mns.example", vec![root], proxies(port));
    client.queue_attributes("q").await.unwrap();
    let head = told.recv().await.unwrap();
    assert!(head.starts_with("CONNECT mns.example:443 HTTP/1.1\r\nhost: mns.example:443\r\n"), "{head}");
    assert!(head.contains("proxy-authorization: Basic dXNlcjpwYSBzcw==\r\n"), "{head}");
}

#[tokio::test]
async fn http_is_sent_to_the_proxy_whole_and_signed_without_the_origin() {
    let mut server = Server::start(vec![vec![Step::Say(attributes())]]).await;
    let client = client("http://mns.example:8080", Vec::new(), proxies(server.port));
    client.queue_attributes("q").await.unwrap();
    let mut asked = server.next_asked().await;
    assert_eq!(asked.target, "http://mns.example:8080/queues/q");
    assert_eq!(asked.header("host"), Some("mns.example:8080"));
    assert_eq!(asked.header("proxy-authorization"), Some("Basic dXNlcjpwYSBzcw=="));
    asked.target = "/queues/q".into();
    asked.verify(&key());
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_with_its_status() {
    let server = Server::start(vec![(0..4).map(|_| Step::SayAndClose(raw(407, "", ""))).collect()]).await;
    let (root, _) = certificate_for("mns.example");
    let mut once = settings();
    once.max_attempts = 1;
    let client = MnsClient::builder(Endpoint::parse("https://mns.example").unwrap(), Credentials::fixed(key()))
        .settings(once)
        .tls_roots(TlsRoots::Certificates(vec![root]))
        .proxies(proxies(server.port))
        .build()
        .unwrap();
    let refused = client.queue_attributes("q").await.unwrap_err().to_string();
    for part in ["mns.example:443", "407", "HTTPS_PROXY"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    assert!(!refused.contains("pa%20ss") && !refused.contains("pa ss"), "{refused}");
}

#[test]
fn a_proxy_of_another_kind_is_refused_when_the_client_is_made() {
    let proxies = Proxies::from_variables(|name| (name == "HTTP_PROXY").then(|| "socks5://127.0.0.1:1".to_owned()));
    let builder = MnsClient::builder(Endpoint::parse("http://mns.example").unwrap(), Credentials::fixed(key()));
    let refused = builder.proxies(proxies).build().unwrap_err().to_string();
    assert!(refused.contains("HTTP_PROXY") && refused.contains("socks5"), "{refused}");
}
