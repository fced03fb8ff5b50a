//! Keeps what a request carried out of what its answer is quoted with.
//!
//! An error repeats the service's own words, a gateway's page or a redirect's target, and any of them may repeat the
//! request: debug pages print all its headers, the security token and the proxy's password among them.

use headwater_mns_proto::{AccessKey, ErrorCode, Failure};

/// Shorter texts are no secrets, and replacing them would garble everything.
const SHORTEST: usize = 4;
const HIDDEN: &str = "<redacted>";

/// What must not be repeated of one request.
#[derive(Clone)]
pub(crate) struct Secrets<'a>(Vec<&'a str>);

impl<'a> Secrets<'a> {
    pub(crate) fn of(key: &'a AccessKey, proxy_authorization: Option<&'a str>) -> Self {
        let proxy = proxy_authorization.map(|value| value.trim_start_matches("Basic "));
        let mut secrets: Vec<_> = [Some(key.secret()), key.token(), proxy].into_iter().flatten().collect();
        secrets.retain(|secret| secret.len() >= SHORTEST);
        // The longest first: one may be a part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// The failure without the secrets.
    pub(crate) fn hide_in(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Service(mut error) => {
                error.message = self.hide(error.message);
                error.request_id = error.request_id.map(|id| self.hide(id));
                error.host_id = error.host_id.map(|id| self.hide(id));
                if let ErrorCode::Other(code) = error.code {
                    error.code = ErrorCode::Other(self.hide(code));
                }
                Failure::Service(error)
            }
            Failure::Foreign { status, excerpt } => Failure::Foreign { status, excerpt: self.hide(excerpt) },
            other => other,
        }
    }

    /// The text without the secrets, nor the beginning of one where the text was cut.
    pub(crate) fn hide(&self, mut text: String) -> String {
        for secret in &self.0 {
            if text.contains(secret) {
                text = text.replace(secret, HIDDEN);
            }
            let cut = (SHORTEST..secret.len())
                .rev()
                .find(|length| secret.get(..*length).is_some_and(|beginning| text.ends_with(beginning)));
            if let Some(length) = cut {
                text.truncate(text.len() - length);
                text.push_str(HIDDEN);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_secrets_and_cut_ones_disappear() {
        let key = AccessKey::with_token("the-id", "the-secret", "the-secret-token");
        let secrets = Secrets::of(&key, Some("Basic dXNlcjpwYXNz"));
        for (text, shown) in [
            ("token the-secret-token, secret the-secret.", "token <redacted>, secret <redacted>."),
            ("cut: the-secret-tok", "cut: <redacted>"),
            ("cut: the-sec", "cut: <redacted>"),
            ("proxy-authorization: Basic dXNlcjpwYXNz", "proxy-authorization: Basic <redacted>"),
            ("the id is the-id, the", "the id is the-id, the"),
            ("", ""),
        ] {
            assert_eq!(secrets.hide(text.to_owned()), shown);
        }
        let none = AccessKey::new("id", "");
        assert_eq!(Secrets::of(&none, None).hide("unchanged".to_owned()), "unchanged");
    }
}
