//! The least a consumer can do: receive, delete, throw away. Nothing is parsed, signed or kept.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::bodies::BATCH;
use crate::sample::{CONNECTIONS, Sample, Window};

/// Receives and deletes until the window is over.
pub(crate) async fn run(address: &str, messages: u64) -> Result<Sample, Box<dyn Error>> {
    let window = Arc::new(Window::new(messages));
    let received = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (address, window, received) = (address.to_owned(), Arc::clone(&window), Arc::clone(&received));
        tasks.spawn(async move {
            let failed = connection(&address, &window, &received).await.err();
            failed.map(|error| error.to_string())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        if let Some(error) = ended? {
            return Err(error.into());
        }
    }
    window.sample().ok_or_else(|| "too few messages".into())
}

async fn connection(address: &str, window: &Window, received: &AtomicU64) -> Result<(), Box<dyn Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, driver) = http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await?;
    let mut driver = std::pin::pin!(driver);
    let handles: String = (0..BATCH).map(|n| format!("<ReceiptHandle>8-{n:032X}</ReceiptHandle>")).collect();
    let delete = Bytes::from(format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><ReceiptHandles xmlns=\"http://mns.aliyuncs.com/doc/v1/\">{handles}</ReceiptHandles>"
    ));
    let receive = format!("http://{address}/queues/q/messages?numOfMessages=16&waitseconds=10");
    let queue = format!("http://{address}/queues/q/messages");
    let work = async {
        loop {
            let request = Request::get(&receive).header("host", address).body(Full::default())?;
            discard(&mut sender, request).await?;
            let request = Request::delete(&queue).header("host", address).body(Full::new(delete.clone()))?;
            discard(&mut sender, request).await?;
            if !window.reached(received.fetch_add(BATCH as u64, Ordering::Relaxed) + BATCH as u64) {
                return Ok(());
            }
        }
    };
    tokio::select! {
        biased;
        done = work => done,
        ended = &mut driver => Err(format!("the connection ended: {ended:?}").into()),
    }
}

async fn discard(
    sender: &mut http1::SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    sender.ready().await?;
    let mut body = sender.send_request(request).await?.into_body();
    while let Some(frame) = body.frame().await {
        drop(frame?);
    }
    Ok(())
}
