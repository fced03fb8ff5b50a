//! Making a connection: address, TCP, proxy, TLS.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use headwater_core::{Alarm, Clock, Mono};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

use crate::endpoint::Endpoint;
use crate::net::NetError;
use crate::net::answer::Rooms;
use crate::net::connection::Connection;
use crate::net::proxy::Proxy;

/// What a connection runs over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Makes connections to one endpoint.
pub(crate) struct Connector {
    endpoint: Endpoint,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    proxy: Option<Proxy>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
    rooms: Arc<Rooms>,
}

impl Connector {
    /// A connector for an endpoint; `tls` must be given for an https one.
    pub(crate) fn new(
        endpoint: Endpoint,
        tls: Option<Arc<rustls::ClientConfig>>,
        proxy: Option<Proxy>,
        clock: Arc<dyn Clock>,
        timeout: Duration,
    ) -> Result<Self, NetError> {
        let tls = match tls {
            None => None,
            Some(config) => {
                let host = endpoint.host().trim_start_matches('[').trim_end_matches(']').to_owned();
                let name = ServerName::try_from(host).map_err(|e| NetError::connect(endpoint.to_string(), e))?;
                Some((TlsConnector::from(config), name))
            }
        };
        Ok(Self { endpoint, tls, proxy, clock, timeout, rooms: Arc::default() })
    }

    /// What goes before the path on the request line: nothing, or the origin for a proxy that forwards plain HTTP.
    pub(crate) fn target_prefix(&self) -> String {
        if self.proxy.is_some() && self.tls.is_none() { self.endpoint.to_string() } else { String::new() }
    }

    /// The proxy's own header, for requests that it reads.
    pub(crate) fn proxy_authorization(&self) -> Option<&str> {
        let proxy = self.proxy.as_ref().filter(|_| self.tls.is_none())?;
        proxy.authorization.as_deref()
    }

    /// Makes a connection, by the connect time-out or `deadline`, whichever comes first.
    pub(crate) async fn connect(&self, deadline: Mono) -> Result<Connection, NetError> {
        let now = self.clock.now();
        let by = deadline.min(now + self.timeout);
        let to = || self.proxy.as_ref().map_or_else(|| self.endpoint.to_string(), ToString::to_string);
        match Alarm::new(self.clock.clone()).within(by, Box::pin(self.connect_stream(by))).await {
            Some(stream) => Ok(Connection::new(stream?, self.clock.clone(), self.rooms.clone())),
            None => {
                let timeout = std::io::Error::new(
                    std::io::ErrorKind::TimedOut,
                    format!("no connection within {:?}", by.since(now)),
                );
                Err(NetError::connect(to(), timeout))
            }
        }
    }

    async fn connect_stream(&self, by: Mono) -> Result<Box<dyn Stream>, NetError> {
        let stream = match &self.proxy {
            None => self.connect_tcp(self.endpoint.host(), self.endpoint.port(), by).await?,
            Some(proxy) => {
                let stream = self.connect_tcp(&proxy.host, proxy.port, by).await?;
                if self.tls.is_some() { self.tunnel(proxy, stream).await? } else { stream }
            }
        };
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some((connector, name)) => {
                let encrypted = connector.connect(name.clone(), stream).await;
                Ok(Box::new(encrypted.map_err(|error| self.tls_error(error))?))
            }
        }
    }

    fn tls_error(&self, error: std::io::Error) -> NetError {
        let to = self.endpoint.to_string();
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(_)) => NetError::Untrusted { to, source: Arc::new(error) },
            _ => NetError::connect(to, error),
        }
    }

    /// Tries the host's addresses in turn, each with its share of the time: one dead address does not use it up.
    async fn connect_tcp(&self, host: &str, port: u16, by: Mono) -> Result<TcpStream, NetError> {
        let to = || format!("{host}:{port}");
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let addresses: Vec<_> =
            lookup_host((name, port)).await.map_err(|error| NetError::connect(to(), error))?.collect();
        let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
        let mut alarm = Alarm::new(self.clock.clone());
        for (tried, address) in addresses.iter().enumerate() {
            let now = self.clock.now();
            let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let share = now + by.since(now) / left;
            match alarm.within(share, TcpStream::connect(address)).await {
                Some(Ok(stream)) => {
                    // Small requests must not wait for the acknowledgement of the last one.
                    stream.set_nodelay(true).map_err(|error| NetError::connect(to(), error))?;
                    return Ok(stream);
                }
                Some(Err(error)) => last = error,
                None => last = std::io::Error::new(std::io::ErrorKind::TimedOut, format!("{address} does not answer")),
            }
        }
        Err(NetError::connect(to(), last))
    }

    /// Asks the proxy for a tunnel.
    async fn tunnel(&self, proxy: &Proxy, mut stream: TcpStream) -> Result<TcpStream, NetError> {
        let to = format!("{}:{}", self.endpoint.host(), self.endpoint.port());
        let failed = |error| NetError::connect(proxy.to_string(), error);
        let mut request = format!("CONNECT {to} HTTP/1.1\r\nhost: {to}\r\n");
        if let Some(authorization) = &proxy.authorization {
            request.push_str(&format!("proxy-authorization: {authorization}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await.map_err(failed)?;

        // Byte by byte, so that nothing of what follows the head is taken; a tunnel is made once per connection.
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() == MAX_TUNNEL_HEAD {
                return Err(failed(std::io::Error::other("the proxy's answer has no end")));
            }
            head.push(stream.read_u8().await.map_err(failed)?);
        }
        let head = String::from_utf8_lossy(&head);
        let status = head.lines().next().unwrap_or_default().split_whitespace().nth(1).unwrap_or_default();
        if status.len() == 3 && status.starts_with('2') {
            return Ok(stream);
        }
        let status = status.chars().filter(char::is_ascii_digit).take(3).collect();
        Err(NetError::ProxyRefused { proxy: proxy.to_string(), to, status })
    }
}

/// 8 KiB: the usual limit of servers for a head.
const MAX_TUNNEL_HEAD: usize = 8 * 1_024;

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("endpoint", &self.endpoint)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}
