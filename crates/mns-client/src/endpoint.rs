//! Where the service is: a URL, and what its host says of account and region.

use std::fmt;

use url::{Host, Url};

/// The address of the service, for example `http://123456789.mns.cn-hangzhou.aliyuncs.com`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    tls: bool,
    host: String,
    port: u16,
    account: Option<String>,
    region: Option<String>,
}

/// Why a text is not an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Not a URL.
    #[error("{text:?} is not a URL; an endpoint looks like http://123456789.mns.cn-hangzhou.aliyuncs.com")]
    NotAUrl {
        /// The text.
        text: String,
        /// What the parser says.
        #[source]
        source: url::ParseError,
    },
    /// Neither http nor https, or without a host.
    #[error("an endpoint starts with http:// or https:// and a host; this one has the scheme {scheme:?}")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// More than scheme, host and port.
    #[error("an endpoint is scheme, host and port alone; remove its {part}{hint}")]
    Extra {
        /// What is too much.
        part: &'static str,
        /// What it may have been meant for.
        hint: &'static str,
    },
}

impl Endpoint {
    /// Reads an endpoint.
    ///
    /// # Errors
    /// [`EndpointError`] if it is not an http or https URL of host and port alone. User, password and query are not
    /// repeated in the message.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let url = Url::parse(text.trim())
            .map_err(|source| EndpointError::NotAUrl { text: without_userinfo(text).to_owned(), source })?;
        let scheme = || EndpointError::Scheme { scheme: url.scheme().to_owned() };
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(scheme()),
        };
        let (host, port) = url.host().zip(url.port_or_known_default()).ok_or_else(scheme)?;
        let extra = |part, hint| Err(EndpointError::Extra { part, hint });
        if !url.username().is_empty() || url.password().is_some() {
            return extra("user and password", "; keys are given as credentials");
        }
        if url.path() != "/" {
            return extra("path", "; the queue is given by its name");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return extra("query", "");
        }
        let (account, region) = match &host {
            Host::Domain(name) => account_and_region(name).unzip(),
            _ => (None, None),
        };
        Ok(Self { tls, host: host.to_string(), port, account, region })
    }

    /// Whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The host: a name, or an address (IPv6 in brackets).
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The account that owns the queues, if the host is one of Alibaba Cloud's.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// The region, if the host is one of Alibaba Cloud's.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Host and port as in a `Host` header: without the port where it is the scheme's own.
    pub(crate) fn authority(&self) -> String {
        let default = if self.tls { 443 } else { 80 };
        if self.port == default { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}

/// `{account}.mns.{region}[-internal[-vpc]].aliyuncs.com`, in its parts.
fn account_and_region(host: &str) -> Option<(String, String)> {
    let (account, rest) = host.split_once(".mns.")?;
    let region = rest.strip_suffix(".aliyuncs.com")?;
    let region = region.strip_suffix("-vpc").unwrap_or(region);
    let region = region.strip_suffix("-internal").unwrap_or(region);
    let whole = !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_digit()) && !region.contains('.');
    whole.then(|| (account.to_owned(), region.to_owned()))
}

/// The text behind the last `@`: what is before it may be a password.
fn without_userinfo(text: &str) -> &str {
    text.rsplit('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_and_region_are_read_from_every_known_form() {
        for (host, region) in [
            ("http://123.mns.cn-hangzhou.aliyuncs.com", "cn-hangzhou"),
            ("https://123.mns.cn-hangzhou-internal.aliyuncs.com/", "cn-hangzhou"),
            ("http://123.mns.ap-southeast-1-internal-vpc.aliyuncs.com", "ap-southeast-1"),
        ] {
            let endpoint = Endpoint::parse(host).unwrap();
            assert_eq!((endpoint.account(), endpoint.region()), (Some("123"), Some(region)), "{host}");
        }
        for host in ["http://127.0.0.1:8080", "http://mns.example.com", "http://x.mns.cn-hangzhou.aliyuncs.com"] {
            assert_eq!(Endpoint::parse(host).unwrap().account(), None, "{host}");
        }
    }

    #[test]
    fn an_endpoint_shows_itself_without_its_default_port() {
        for (text, shown, port) in [
            ("http://a.example", "http://a.example", 80),
            ("HTTPS://A.example:443/", "https://a.example", 443),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080", 8080),
            (" http://[::1]:1 ", "http://[::1]:1", 1),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!((endpoint.to_string().as_str(), endpoint.port()), (shown, port));
        }
    }

    #[test]
    fn what_is_no_endpoint_is_told_why() {
        for (text, part) in [
            ("127.0.0.1:80", "not a URL"),
            ("", "not a URL"),
            ("ftp://a.example", "\"ftp\""),
            ("http://user:hush@a.example", "user and password"),
            ("http://a.example/queues/q", "path"),
            ("http://a.example?hush", "query"),
            ("user:hush@nowhere", "\"user\""),
            ("http://user:hush@[nowhere", "not a URL"),
        ] {
            let error = Endpoint::parse(text).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("hush"), "{text}: {error}");
        }
    }
}
