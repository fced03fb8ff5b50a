//! All queues of one account and region, by name.

use std::collections::BTreeMap;
use std::ops::Bound;

use headwater_mns_proto::numbers::MAX_QUEUES;
use headwater_mns_proto::{QueueSettings, check_queue_name};

use super::attributes::Attributes;
use super::error::{CreateQueueError, QueueNotExist, SetAttributesError};
use super::message::Millis;
use super::queue::Queue;
use crate::random::Random;

/// Names of deleted queues remembered for `deleted_recently`; the oldest deletions are forgotten beyond it.
const MAX_DELETED_NAMES: usize = 10_000;

/// Whether a create made a queue or found one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// There is a new, empty queue.
    New,
    /// The queue was there, with the same attributes.
    Existing,
}

/// One page of queue names, in byte order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<'a> {
    /// The queues.
    pub queues: Vec<&'a str>,
    /// Where the next page starts; absent on the last page.
    pub next: Option<&'a str>,
}

/// All queues of one account and region.
#[derive(Debug)]
pub struct Account {
    queues: BTreeMap<String, Queue>,
    random: Random,
    created_ever: u64,
    deleted: BTreeMap<String, Millis>,
    deleted_recently: Option<Millis>,
    logging_bucket: String,
}

impl Account {
    /// An account without queues, whose ids and handles follow from `random`.
    #[must_use]
    pub fn new(random: Random) -> Self {
        Self {
            queues: BTreeMap::new(),
            random,
            created_ever: 0,
            deleted: BTreeMap::new(),
            deleted_recently: None,
            logging_bucket: String::new(),
        }
    }

    /// Refuses to create a queue within `period` milliseconds of the deletion of its namesake, as the service does;
    /// `None`, the default, allows it at once.
    pub fn refuse_recently_deleted(&mut self, period: Option<Millis>) {
        self.deleted_recently = period;
    }

    /// Creates `name`, or finds it with exactly these attributes (absent ones counting as their defaults).
    ///
    /// # Errors
    /// See [`CreateQueueError`].
    pub fn create_queue(
        &mut self,
        now: Millis,
        name: &str,
        settings: &QueueSettings,
    ) -> Result<Created, CreateQueueError> {
        check_queue_name(name).map_err(CreateQueueError::Name)?;
        settings.check().map_err(CreateQueueError::Settings)?;
        let attributes = Attributes::default().with(settings);
        if let Some(existing) = self.queues.get(name) {
            let same = *existing.attributes() == attributes;
            return if same { Ok(Created::Existing) } else { Err(CreateQueueError::ExistsWithOtherAttributes) };
        }
        if let (Some(period), Some(&at)) = (self.deleted_recently, self.deleted.get(name))
            && now < at + period
        {
            return Err(CreateQueueError::DeletedRecently);
        }
        if self.queues.len() >= MAX_QUEUES {
            return Err(CreateQueueError::TooManyQueues(MAX_QUEUES));
        }
        self.deleted.remove(name);
        // Each queue draws from a generator of its own: traffic on one does not change the ids on another.
        let random = self.random.fork(self.created_ever);
        let queue = Queue::new(now, attributes, random, self.created_ever as u16);
        self.created_ever += 1;
        self.queues.insert(name.to_owned(), queue);
        Ok(Created::New)
    }

    /// Deletes `name` with all its messages.
    ///
    /// # Errors
    /// There is no such queue.
    pub fn delete_queue(&mut self, now: Millis, name: &str) -> Result<(), QueueNotExist> {
        self.queues.remove(name).ok_or(QueueNotExist)?;
        if self.deleted.len() >= MAX_DELETED_NAMES {
            let oldest = self.deleted.iter().min_by_key(|&(_, &at)| at).map(|(name, _)| name.clone());
            oldest.and_then(|name| self.deleted.remove(&name));
        }
        self.deleted.insert(name.to_owned(), now);
        Ok(())
    }

    /// The queue called `name`.
    ///
    /// # Errors
    /// There is no such queue.
    pub fn queue(&mut self, name: &str) -> Result<&mut Queue, QueueNotExist> {
        self.queues.get_mut(name).ok_or(QueueNotExist)
    }

    /// Changes the attributes that `settings` names.
    ///
    /// # Errors
    /// There is no such queue, or a value is outside its range; nothing is changed then.
    pub fn set_attributes(
        &mut self,
        now: Millis,
        name: &str,
        settings: &QueueSettings,
    ) -> Result<(), SetAttributesError> {
        let queue = self.queue(name)?;
        settings.check().map_err(SetAttributesError::Settings)?;
        queue.set_attributes(now, queue.attributes().with(settings));
        Ok(())
    }

    /// The queues whose names begin with `prefix`, from `marker` on, at most `max` of them.
    #[must_use]
    pub fn list(&self, prefix: &str, marker: &str, max: usize) -> Page<'_> {
        let start = marker.max(prefix);
        let mut matching = self
            .queues
            .range::<str, _>((Bound::Included(start), Bound::Unbounded))
            .map(|(name, _)| name.as_str())
            .take_while(|name| name.starts_with(prefix));
        let queues = matching.by_ref().take(max).collect();
        Page { queues, next: matching.next() }
    }

    /// The account's LoggingBucket: stored and returned, without effect here.
    #[must_use]
    pub fn logging_bucket(&self) -> &str {
        &self.logging_bucket
    }

    /// Sets the LoggingBucket.
    pub fn set_logging_bucket(&mut self, bucket: String) {
        self.logging_bucket = bucket;
    }
}
