//! A server that says what a script tells it to, word for word, and remembers what it was asked.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test binary uses a part")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use headwater_mns_client::{ClientSettings, Credentials, Endpoint, MnsClient, MnsClientBuilder, Proxies};
use headwater_mns_proto::{AccessKey, Answer, Signer, WireAnswer, verify};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

/// What the server does when the next request of a connection has come.
pub(crate) enum Step {
    /// Answers with these bytes.
    Say(Vec<u8>),
    /// Answers with these bytes and closes.
    SayAndClose(Vec<u8>),
    /// Closes without a word.
    Close,
    /// Says nothing until told, then answers with these bytes.
    Hold(Arc<Notify>, Vec<u8>),
    /// Says nothing for ever.
    Hang,
    /// Answers with a head, then with a body that does not end.
    Flood(Vec<u8>),
    /// Answers with these bytes, then with those again and again.
    FloodWith(Vec<u8>, Vec<u8>),
    /// Answers with these bytes, one each time it is told.
    Drip(Arc<Notify>, Vec<u8>),
}

/// A request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) connection: usize,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, wanted: &str) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    pub(crate) fn header_bytes(&self) -> impl Iterator<Item = (&str, &[u8])> + Clone {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
    }

    pub(crate) fn verify(&self, key: &AccessKey) {
        let signer = Signer::new(key.clone());
        verify(&self.method, &self.target, self.header_bytes(), |id| (id == key.id()).then_some(&signer), None)
            .unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.target));
    }
}

/// A running server; dropping it closes everything.
pub(crate) struct Server {
    pub(crate) port: u16,
    asked: mpsc::UnboundedReceiver<Asked>,
    log: Arc<Mutex<Vec<Asked>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// A server whose first connection follows the first script, and so on; what is beyond them is closed at once.
    pub(crate) async fn start(scripts: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, asked) = mpsc::unbounded_channel();
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        let writes = log.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            let mut scripts = scripts.into_iter();
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let Some(script) = scripts.next() else { continue };
                connections.spawn(follow(stream, connection, script, tell.clone(), writes.clone()));
            }
        });
        Self { port, asked, log, _tasks: tasks }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::parse(&format!("http://127.0.0.1:{}", self.port)).unwrap()
    }

    pub(crate) fn builder(&self) -> MnsClientBuilder {
        MnsClient::builder(self.endpoint(), Credentials::fixed(key())).settings(settings()).proxies(Proxies::none())
    }

    pub(crate) fn client(&self) -> MnsClient {
        self.builder().build().unwrap()
    }

    /// Waits for the next request that is not yet spoken of.
    pub(crate) async fn next_asked(&mut self) -> Asked {
        self.asked.recv().await.unwrap()
    }

    /// Everything asked so far.
    pub(crate) fn all_asked(&self) -> Vec<Asked> {
        self.log.lock().unwrap().clone()
    }

    /// The connection each request so far came over.
    pub(crate) fn connections(&self) -> Vec<usize> {
        self.all_asked().iter().map(|asked| asked.connection).collect()
    }
}

/// The default settings without pauses, so that no test waits.
pub(crate) fn settings() -> ClientSettings {
    let mut settings = ClientSettings::default();
    settings.first_backoff = Duration::ZERO;
    settings
}

pub(crate) fn key() -> AccessKey {
    AccessKey::new("testid", "testsecret")
}

pub(crate) async fn follow<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    connection: usize,
    script: Vec<Step>,
    tell: mpsc::UnboundedSender<Asked>,
    log: Arc<Mutex<Vec<Asked>>>,
) {
    for step in script {
        let Some(mut asked) = read_request(&mut stream).await else { return };
        asked.connection = connection;
        log.lock().unwrap().push(asked.clone());
        let _ = tell.send(asked);
        match step {
            Step::Say(bytes) => stream.write_all(&bytes).await.unwrap(),
            Step::SayAndClose(bytes) => {
                // A client may have had enough before the end.
                let _ = stream.write_all(&bytes).await;
                return;
            }
            Step::Close => return,
            Step::Hold(told, bytes) => {
                told.notified().await;
                stream.write_all(&bytes).await.unwrap();
            }
            Step::Hang => std::future::pending().await,
            Step::Flood(head) => return flood(&mut stream, &head, &[b' '; 4_096]).await,
            Step::FloodWith(head, again) => return flood(&mut stream, &head, &again).await,
            Step::Drip(told, bytes) => {
                for byte in bytes {
                    told.notified().await;
                    if stream.write_all(&[byte]).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
    // The script is at its end: the connection stays open, and silent.
    let _ = stream.read(&mut [0]).await;
}

async fn flood<S: AsyncWrite + Unpin>(stream: &mut S, head: &[u8], again: &[u8]) {
    if stream.write_all(head).await.is_ok() {
        while stream.write_all(again).await.is_ok() {}
    }
}

async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let mut request_line = lines.next().unwrap().split(' ');
    let (method, target) = (request_line.next().unwrap().to_owned(), request_line.next().unwrap().to_owned());
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Asked { connection: 0, method, target, headers, body })
}

/// An answer as bytes, with a length.
pub(crate) fn raw(status: u16, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// An answer of the protocol as bytes.
pub(crate) fn answer(answer: &Answer<'_>) -> Vec<u8> {
    let WireAnswer { status, body, .. } = answer.write();
    raw(status, "x-mns-request-id: 6732A1B04DB7BBA3B5E9A001\r\n", body.as_deref().unwrap_or_default())
}

pub(crate) fn error(code: headwater_mns_proto::ErrorCode) -> Vec<u8> {
    let mut error = headwater_mns_proto::ServiceError::new(code);
    error.request_id = Some("6732A1B04DB7BBA3B5E9A001".to_owned());
    answer(&Answer::Error(error))
}

pub(crate) fn attributes() -> Vec<u8> {
    let attributes = headwater_mns_proto::QueueAttributes {
        queue_name: "q".into(),
        visibility_timeout: 30,
        message_retention_period: 345_600,
        maximum_message_size: 65_536,
        ..Default::default()
    };
    answer(&Answer::QueueAttributes(attributes))
}

pub(crate) fn received(bodies: &[&str]) -> Vec<u8> {
    let received = |(at, body): (usize, &&str)| headwater_mns_proto::Received {
        receipt_handle: format!("h{at}+/=").into(),
        next_visible_time: 2_000,
        message: headwater_mns_proto::Message {
            id: format!("m{at}").into(),
            body_md5: headwater_mns_proto::message_body_md5(body).into(),
            body: body.as_bytes().to_vec().into(),
            enqueue_time: 1_000,
            first_dequeue_time: 1_500,
            dequeue_count: 1,
            priority: 8,
            message_group_id: Some("g".into()),
            user_properties: vec![headwater_mns_proto::Property::string("n", "v")],
            system_properties: Vec::new(),
        },
    };
    answer(&Answer::BatchReceived(bodies.iter().enumerate().map(received).collect()))
}
