//! Proxies, by the usual environment variables.
//!
//! An `https` endpoint is reached through the proxy's `CONNECT`, an `http` endpoint by sending the proxy the whole
//! URL; the signature covers path and query and is the same in both. Proxies themselves are spoken to over plain
//! HTTP; other kinds (`https://`, `socks5://`) are refused when the client is built rather than passed by in silence.
//! This machine itself (`localhost`, 127.0.0.0/8, `::1`) is never reached through a proxy.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::endpoint::Endpoint;

/// Which proxies to use for what.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    http: Option<Setting>,
    https: Option<Setting>,
    all: Option<Setting>,
    none: Vec<String>,
}

/// A variable's name and its value; the value may hold a password.
#[derive(Clone)]
struct Setting {
    variable: &'static str,
    value: String,
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.variable)
    }
}

/// A proxy setting that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} is set but {problem}; set it to http://host:port, or add the endpoint's host to NO_PROXY")]
pub struct ProxyError {
    variable: &'static str,
    problem: String,
}

impl Proxies {
    /// No proxy for anything.
    pub fn none() -> Self {
        Self::default()
    }

    /// As `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` say, the lower-case spelling of each first.
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// As [`from_env`](Self::from_env), from other variables.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let either = |name: &str| {
            let set = variable(&name.to_ascii_lowercase()).or_else(|| variable(name))?;
            Some(set.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let setting = |variable: &'static str| either(variable).map(|value| Setting { variable, value });
        let none = either("NO_PROXY").unwrap_or_default();
        Self {
            http: setting("HTTP_PROXY"),
            https: setting("HTTPS_PROXY"),
            all: setting("ALL_PROXY"),
            none: none.split(',').map(|host| host.trim().to_ascii_lowercase()).filter(|h| !h.is_empty()).collect(),
        }
    }

    /// The proxy to reach an endpoint through.
    pub(crate) fn for_endpoint(&self, endpoint: &Endpoint) -> Result<Option<Proxy>, ProxyError> {
        if is_this_machine(endpoint.host()) || self.none.iter().any(|entry| exempts(entry, endpoint)) {
            return Ok(None);
        }
        let own = if endpoint.is_tls() { &self.https } else { &self.http };
        own.as_ref().or(self.all.as_ref()).map(Proxy::parse).transpose()
    }
}

/// A proxy spoken to over plain HTTP.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The value of `Proxy-Authorization`, if the URL names a user.
    pub(crate) authorization: Option<String>,
}

impl Proxy {
    fn parse(setting: &Setting) -> Result<Self, ProxyError> {
        let error = |problem: &str| ProxyError { variable: setting.variable, problem: problem.to_owned() };
        // `host:port` alone is common, and is read as a URL with the scheme `host`.
        let url =
            if setting.value.contains("://") { setting.value.clone() } else { format!("http://{}", setting.value) };
        let url = Url::parse(&url).map_err(|_| error("is not a URL"))?;
        if url.scheme() != "http" {
            return Err(error(&format!("proxies of the kind {}:// are not supported", url.scheme())));
        }
        let host = url.host_str().ok_or_else(|| error("names no host"))?.to_owned();
        let user = percent_decode_str(url.username()).decode_utf8_lossy();
        let authorization = (!user.is_empty()).then(|| {
            let password = percent_decode_str(url.password().unwrap_or_default()).decode_utf8_lossy();
            format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
        });
        Ok(Self { host, port: url.port().unwrap_or(80), authorization })
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", self.host, self.port)
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || address(host).is_some_and(|address| address.is_loopback())
}

fn address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Whether an entry of `NO_PROXY` covers the endpoint: `*`, a host, a domain with everything under it (with or
/// without a leading dot or `*.`), each optionally with a port.
fn exempts(entry: &str, endpoint: &Endpoint) -> bool {
    if entry == "*" {
        return true;
    }
    let (name, port) = match entry.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') => (name, port.parse::<u16>().ok()),
        _ => (entry, None),
    };
    if port.is_some_and(|port| port != endpoint.port()) {
        return false;
    }
    let host = endpoint.host();
    if let (Some(one), Some(other)) = (address(name), address(host)) {
        return one == other;
    }
    let domain = name.trim_start_matches('*').trim_start_matches('.');
    !domain.is_empty() && host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(variables: &[(&str, &str)], endpoint: &str) -> Result<Option<String>, String> {
        let proxies = Proxies::from_variables(|name| {
            variables.iter().find(|(have, _)| *have == name).map(|(_, value)| (*value).to_owned())
        });
        let proxy = proxies.for_endpoint(&Endpoint::parse(endpoint).unwrap());
        proxy.map(|proxy| proxy.map(|proxy| proxy.to_string())).map_err(|error| error.to_string())
    }

    #[test]
    fn the_variable_of_the_scheme_comes_first() {
        let all = [("HTTP_PROXY", "http://a:1"), ("https_proxy", "b:2"), ("HTTPS_PROXY", "http://no:1")];
        assert_eq!(chosen(&all, "http://q.example"), Ok(Some("http://a:1".into())));
        assert_eq!(chosen(&all, "https://q.example"), Ok(Some("http://b:2".into())));
        let one = [("ALL_PROXY", "http://c")];
        assert_eq!(chosen(&one, "https://q.example"), Ok(Some("http://c:80".into())));
        assert_eq!(chosen(&[], "https://q.example"), Ok(None));
        assert_eq!(chosen(&[("HTTP_PROXY", " ")], "http://q.example"), Ok(None));
    }

    #[test]
    fn no_proxy_and_this_machine_are_exempt() {
        for (none, host, direct) in [
            ("", "http://127.0.0.1:99", true),
            ("", "http://localhost", true),
            ("", "http://[::1]:5", true),
            ("*", "http://q.example", true),
            ("a.example, q.example", "http://q.example", true),
            (".example", "http://q.example", true),
            ("*.example", "http://q.example", true),
            ("example", "http://q.example", true),
            ("ample", "http://q.example", false),
            ("q.example:80", "http://q.example", true),
            ("q.example:81", "http://q.example", false),
            ("10.0.0.1", "http://10.0.0.1", true),
            ("10.0.0.2", "http://10.0.0.1", false),
            ("2001:db8::1", "http://[2001:db8::1]", true),
        ] {
            let got = chosen(&[("ALL_PROXY", "http://p:1"), ("NO_PROXY", none)], host).unwrap();
            assert_eq!(got.is_none(), direct, "{none} {host}");
        }
    }

    #[test]
    fn proxies_of_other_kinds_are_refused_without_their_password() {
        for value in ["socks5://u:hush@p:1", "https://u:hush@p", "http://u:hush@"] {
            let refused = chosen(&[("ALL_PROXY", value)], "http://q.example").unwrap_err();
            assert!(refused.contains("ALL_PROXY") && !refused.contains("hush"), "{refused}");
        }
        // For an endpoint that needs no proxy it does not matter.
        assert_eq!(chosen(&[("ALL_PROXY", "socks5://p:1")], "http://localhost:1"), Ok(None));
    }

    #[test]
    fn user_and_password_become_a_header_and_stay_hidden() {
        let proxies = Proxies::from_variables(|name| (name == "HTTP_PROXY").then(|| "http://u:p%40ss@h:1".to_owned()));
        let proxy = proxies.for_endpoint(&Endpoint::parse("http://q.example").unwrap()).unwrap().unwrap();
        assert_eq!(proxy.authorization.as_deref(), Some("Basic dTpwQHNz"));
        assert!(!format!("{proxies:?} {proxy:?}").contains("p%40ss"));
    }
}
