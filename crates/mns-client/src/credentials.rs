//! Where keys come from.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use headwater_mns_proto::AccessKey;

/// The environment variables of the official chain.
const ID_VARIABLE: &str = "ALIBABA_CLOUD_ACCESS_KEY_ID";
const SECRET_VARIABLE: &str = "ALIBABA_CLOUD_ACCESS_KEY_SECRET";
const TOKEN_VARIABLE: &str = "ALIBABA_CLOUD_SECURITY_TOKEN";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CredentialsError {
    message: String,
    transient: bool,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl CredentialsError {
    /// An error with its whole text, which must not hold a secret.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: false, source: None }
    }

    /// Says that asking again later may help: a metadata service that does not answer.
    #[must_use]
    pub fn transient(mut self) -> Self {
        self.transient = true;
        self
    }

    /// Adds the cause, which `Display` does not repeat.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Whether asking again later may help.
    pub fn is_transient(&self) -> bool {
        self.transient
    }
}

/// A source of keys, possibly temporary ones.
///
/// # Contract
/// [`key`](Self::key) is called for every request, so implementations keep the key and fetch it anew only when it is
/// about to end. Neither the value's `Debug` nor its errors may show a secret.
#[async_trait]
pub trait CredentialsProvider: fmt::Debug + Send + Sync + 'static {
    /// The key to sign with now.
    ///
    /// # Errors
    /// [`CredentialsError`] when there is none; the request fails with it.
    async fn key(&self) -> Result<AccessKey, CredentialsError>;

    /// Called once for a request that was refused because the service does not know (any more) the key it was signed
    /// with. Returning another key lets the request be made again with it; returning the same one ends it.
    ///
    /// # Errors
    /// As [`key`](Self::key).
    async fn refresh(&self, refused: &AccessKey) -> Result<AccessKey, CredentialsError> {
        let _ = refused;
        self.key().await
    }
}

/// Credentials: a key, or a provider of keys. Cheap to clone; `Debug` shows no secret.
#[derive(Clone)]
pub struct Credentials {
    provider: Arc<dyn CredentialsProvider>,
    /// Whether the provider always gives the same key.
    fixed: bool,
}

impl Credentials {
    /// A permanent key pair.
    pub fn key(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self::fixed(AccessKey::new(id, secret))
    }

    /// A temporary key with its security token (STS). It works until it expires; use a
    /// [`provider`](Self::provider) to follow its renewal.
    pub fn sts(id: impl Into<String>, secret: impl Into<String>, token: impl Into<String>) -> Self {
        Self::fixed(AccessKey::with_token(id, secret, token))
    }

    /// A key that is there already.
    pub fn fixed(key: AccessKey) -> Self {
        Self { provider: Arc::new(Fixed(Ok(key))), fixed: true }
    }

    /// The key in `ALIBABA_CLOUD_ACCESS_KEY_ID` and `ALIBABA_CLOUD_ACCESS_KEY_SECRET`, with
    /// `ALIBABA_CLOUD_SECURITY_TOKEN` if it is set. The environment is read once, now; what is missing is said by the
    /// first request, or by [`check`](Self::check).
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// As [`from_env`](Self::from_env), from other variables.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        // A variable that is set to nothing is a variable somebody forgot to fill.
        let variable = |name: &str| variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let key = match (variable(ID_VARIABLE), variable(SECRET_VARIABLE)) {
            (Some(id), Some(secret)) => Ok(match variable(TOKEN_VARIABLE) {
                Some(token) => AccessKey::with_token(id, secret, token),
                None => AccessKey::new(id, secret),
            }),
            (None, Some(_)) => Err(vec![ID_VARIABLE]),
            (Some(_), None) => Err(vec![SECRET_VARIABLE]),
            (None, None) => Err(vec![ID_VARIABLE, SECRET_VARIABLE]),
        };
        Self { provider: Arc::new(Fixed(key)), fixed: true }
    }

    /// Keys of a provider.
    pub fn provider(provider: impl CredentialsProvider) -> Self {
        Self { provider: Arc::new(provider), fixed: false }
    }

    /// Whether there is a key.
    ///
    /// # Errors
    /// [`CredentialsError`] if not.
    pub async fn check(&self) -> Result<(), CredentialsError> {
        self.provider.key().await.map(|_| ())
    }

    pub(crate) fn inner(&self) -> &dyn CredentialsProvider {
        self.provider.as_ref()
    }

    /// Whether there is never another key, so that nobody need be asked twice.
    pub(crate) fn are_fixed(&self) -> bool {
        self.fixed
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.provider.fmt(f)
    }
}

/// A key, or the environment variables that are missing for one.
#[derive(Debug)]
struct Fixed(Result<AccessKey, Vec<&'static str>>);

#[async_trait]
impl CredentialsProvider for Fixed {
    async fn key(&self) -> Result<AccessKey, CredentialsError> {
        self.0.clone().map_err(|missing| {
            let verb = if missing.len() == 1 { "is" } else { "are" };
            CredentialsError::new(format!("no access key: {} {verb} not set", missing.join(" and ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &'static [(&'static str, &'static str)]) -> Credentials {
        Credentials::from_variables(|name| {
            variables.iter().find(|(have, _)| *have == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn key(credentials: &Credentials) -> Result<AccessKey, String> {
        let mut future = credentials.inner().key();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(key) => key.map_err(|error| error.to_string()),
            std::task::Poll::Pending => panic!("a fixed key is there at once"),
        }
    }

    #[test]
    fn the_environment_gives_a_pair_or_a_triple() {
        let pair = from(&[(ID_VARIABLE, "id"), (SECRET_VARIABLE, " secret\n")]);
        assert_eq!(key(&pair), Ok(AccessKey::new("id", "secret")));
        let triple = from(&[(ID_VARIABLE, "id"), (SECRET_VARIABLE, "secret"), (TOKEN_VARIABLE, "token")]);
        assert_eq!(key(&triple), Ok(AccessKey::with_token("id", "secret", "token")));
    }

    #[test]
    fn what_is_missing_is_named() {
        let none = key(&from(&[])).unwrap_err();
        assert!(none.contains(ID_VARIABLE) && none.contains(SECRET_VARIABLE), "{none}");
        let half = key(&from(&[(ID_VARIABLE, "id"), (SECRET_VARIABLE, "")])).unwrap_err();
        assert!(!half.contains(ID_VARIABLE) && half.contains(SECRET_VARIABLE), "{half}");
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", Credentials::sts("the-id", "hush", "hush"));
        assert!(shown.contains("the-id") && !shown.contains("hush"), "{shown}");
    }
}
