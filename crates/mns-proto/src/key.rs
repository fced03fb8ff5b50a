//! Access keys.

use std::fmt;

/// An access key pair, with the token if it is a temporary one.
///
/// `Debug` shows the id alone: keys end up in logs through `Debug` of whatever holds them.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    id: String,
    secret: String,
    token: Option<String>,
}

impl AccessKey {
    /// A permanent key pair.
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { id: id.into(), secret: secret.into(), token: None }
    }

    /// A temporary key: the pair with its security token (STS).
    pub fn with_token(id: impl Into<String>, secret: impl Into<String>, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..Self::new(id, secret) }
    }

    /// The id, which is not a secret: it travels in every request.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The secret.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The security token of a temporary key.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.as_ref().map(|_| "<redacted>");
        f.debug_struct("AccessKey").field("id", &self.id).field("secret", &"<redacted>").field("token", &token).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_secret_nor_token() {
        let shown = format!("{:?}", AccessKey::with_token("the-id", "the-secret", "the-token"));
        assert!(shown.contains("the-id") && !shown.contains("the-secret") && !shown.contains("the-token"), "{shown}");
    }
}
