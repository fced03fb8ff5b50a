//! Reaching a queue from command-line arguments.

use clap::Args;
use headwater_core::QueueErrorKind;
use headwater_mns_client::{Credentials, Endpoint, MnsClient, MnsError};
use headwater_mns_proto::check_queue_name;

use crate::exit::{Exit, Failure};

/// Which queue, and who asks.
#[derive(Args, Debug)]
pub(crate) struct ConnectArgs {
    /// The service, for example http://123456789.mns.cn-hangzhou.aliyuncs.com
    #[arg(long, value_name = "URL", value_parser = |text: &str| Endpoint::parse(text))]
    pub(crate) endpoint: Endpoint,

    /// The queue
    #[arg(long, value_name = "NAME", value_parser = queue_name)]
    pub(crate) queue: String,

    /// The access key's id; without it, ALIBABA_CLOUD_ACCESS_KEY_ID
    #[arg(long, value_name = "ID", requires = "access_key_secret")]
    access_key_id: Option<String>,

    /// The access key's secret; without it, ALIBABA_CLOUD_ACCESS_KEY_SECRET (other users can see a command line)
    #[arg(long, value_name = "SECRET", requires = "access_key_id")]
    access_key_secret: Option<Hidden>,

    /// The token of a temporary key; beside a key from the environment, ALIBABA_CLOUD_SECURITY_TOKEN
    #[arg(long, value_name = "TOKEN", requires = "access_key_id")]
    security_token: Option<Hidden>,
}

/// Text that `Debug` does not show.
#[derive(Clone)]
pub(crate) struct Hidden(pub(crate) String);

impl From<&str> for Hidden {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl ConnectArgs {
    /// Who asks.
    pub(crate) fn credentials(&self) -> Credentials {
        match (&self.access_key_id, &self.access_key_secret, &self.security_token) {
            (Some(id), Some(secret), None) => Credentials::key(id, &secret.0),
            (Some(id), Some(secret), Some(token)) => Credentials::sts(id, &secret.0, &token.0),
            _ => Credentials::from_env(),
        }
    }

    /// A client for the endpoint. Connects to nothing yet.
    pub(crate) fn client(&self) -> Result<MnsClient, Failure> {
        MnsClient::builder(self.endpoint.clone(), self.credentials()).build().map_err(|e| Failure::of(Exit::Usage, &e))
    }
}

impl From<MnsError> for Failure {
    fn from(error: MnsError) -> Self {
        let exit = match error.kind() {
            QueueErrorKind::Denied | QueueErrorKind::Credentials => Exit::Denied,
            QueueErrorKind::NoSuchQueue | QueueErrorKind::Refused => Exit::Usage,
            _ => Exit::Failed,
        };
        Self::of(exit, &error)
    }
}

fn queue_name(text: &str) -> Result<String, String> {
    check_queue_name(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}
