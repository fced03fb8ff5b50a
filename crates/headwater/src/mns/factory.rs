//! The `mns` connector for engines that know sources by name.

use std::sync::Arc;

use async_trait::async_trait;
use headwater_core::{
    Clock, Delivery, OptionErrors, Queue, Source, SourceCheck, SourceError, SourceErrorKind, SourceFactory,
    SourceRequest, SystemClock,
};
use headwater_mns_client::{Credentials, MnsClient};
use headwater_queue_source::QueueSource;

use super::config::MnsConfig;

/// Makes sources that read Simple Message Queue (MNS).
#[derive(Clone, Debug)]
pub struct MnsSourceFactory {
    clock: Arc<dyn Clock>,
}

impl MnsSourceFactory {
    /// A factory on the machine's clocks.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(SystemClock::shared())
    }

    /// A factory on another clock.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }

    pub(super) async fn open(&self, config: MnsConfig) -> Result<QueueSource, SourceError> {
        let credentials = match config.credentials {
            Some(credentials) => credentials,
            None => {
                let credentials = Credentials::from_env();
                credentials.check().await.map_err(|error| {
                    let text = "`accessKeyId` and `accessKeySecret` are neither given nor in the environment";
                    SourceError::new(SourceErrorKind::Configuration, text).with_source(error)
                })?;
                credentials
            }
        };
        let client = MnsClient::builder(config.endpoint, credentials)
            .clock(Arc::clone(&self.clock))
            .seed(config.source.seed)
            .build()
            .map_err(|error| SourceError::new(SourceErrorKind::Configuration, error.to_string()).with_source(error))?;
        let queue: Arc<dyn Queue> = Arc::new(client.queue(&config.queue).verify_bodies(config.verifies));
        let target = match &config.dead_letters {
            Some(place) => {
                let owner = queue.identity().to_string();
                Some(place.open(&client, &self.clock, &owner, &config.context).await?)
            }
            None => None,
        };
        let mut source = config.source;
        if let Some(log) = config.commit_log {
            source.log = Some(log.config(&queue.identity(), &config.context)?);
        }
        QueueSource::open_with(queue, Arc::clone(&self.clock), source, target).await
    }
}

impl Default for MnsSourceFactory {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl SourceFactory for MnsSourceFactory {
    fn connector(&self) -> &'static str {
        "mns"
    }

    fn check(&self, request: &SourceRequest) -> Result<SourceCheck, OptionErrors> {
        let config = MnsConfig::of(request)?;
        let identity = config.identity().to_string();
        Ok(SourceCheck { identity, delivery: Delivery::ExactlyOnce, notices: config.notices })
    }

    async fn create(&self, request: &SourceRequest) -> Result<Box<dyn Source>, SourceError> {
        let config = MnsConfig::of(request)
            .map_err(|errors| SourceError::new(SourceErrorKind::Configuration, errors.to_string()))?;
        Ok(Box::new(self.open(config).await?))
    }
}
