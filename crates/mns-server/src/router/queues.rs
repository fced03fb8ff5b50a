//! Operations on queues and on the account.

use headwater_mns_proto::{
    AccountAttributes, Answer, ErrorCode, ListQueues, ListedQueue, QueueAttributes, QueueList, QueueNameError, Request,
    numbers,
};

use super::{Done, Router, argument, error};
use crate::state::{CreateQueueError, Created, Millis, Queue, SetAttributesError};

impl Router {
    pub(super) fn about_queues(&mut self, now: Millis, base: &str, request: Request) -> Done<'static> {
        match request {
            Request::CreateQueue { queue, settings } => {
                let location = url(base, &queue);
                match self.account.create_queue(now, &queue, &settings) {
                    Ok(Created::New) => Answer::QueueCreated { location }.into(),
                    Ok(Created::Existing) => Answer::QueueExists { location }.into(),
                    Err(refusal) => refused_create(refusal),
                }
            }
            Request::SetQueueAttributes { queue, settings } => {
                match self.account.set_attributes(now, &queue, &settings) {
                    Ok(()) => Answer::Done.into(),
                    Err(SetAttributesError::Queue(_)) => error(ErrorCode::QueueNotExist),
                    Err(SetAttributesError::Settings(refusal)) => Answer::Error(refusal).into(),
                }
            }
            Request::GetQueueAttributes { queue: name } => match self.account.queue(&name) {
                Ok(queue) => Answer::QueueAttributes(attributes(&name, queue, now)).into(),
                Err(_) => error(ErrorCode::QueueNotExist),
            },
            Request::DeleteQueue { queue } => match self.account.delete_queue(now, &queue) {
                Ok(()) => {
                    self.plan.forget(&queue);
                    Answer::Done.into()
                }
                Err(_) => error(ErrorCode::QueueNotExist),
            },
            Request::ListQueues(list) => Answer::QueueList(self.list(now, base, &list)).into(),
            Request::GetAccountAttributes => {
                let logging_bucket = self.account.logging_bucket().to_owned();
                Answer::AccountAttributes(AccountAttributes { logging_bucket }).into()
            }
            Request::SetAccountAttributes(attributes) => {
                self.account.set_logging_bucket(attributes.logging_bucket);
                Answer::Done.into()
            }
            _ => error(ErrorCode::InvalidRequestURL),
        }
    }

    fn list(&mut self, now: Millis, base: &str, list: &ListQueues) -> QueueList {
        let max = list.limit.unwrap_or(numbers::DEFAULT_LIST_PAGE) as usize;
        let page = self.account.list(
            list.prefix.as_deref().unwrap_or_default(),
            list.marker.as_deref().unwrap_or_default(),
            max,
        );
        let names: Vec<String> = page.queues.iter().map(|name| (*name).to_owned()).collect();
        let next_marker = page.next.map(ToOwned::to_owned);
        let queues = names
            .into_iter()
            .map(|name| ListedQueue {
                url: url(base, &name),
                attributes: list
                    .with_attributes
                    .then(|| self.account.queue(&name).ok().map(|queue| attributes(&name, queue, now)))
                    .flatten(),
            })
            .collect();
        QueueList { queues, next_marker }
    }
}

fn url(base: &str, queue: &str) -> String {
    format!("{base}/queues/{queue}")
}

fn refused_create(refusal: CreateQueueError) -> Done<'static> {
    match refusal {
        CreateQueueError::Name(QueueNameError::Length { .. }) => error(ErrorCode::QueueNameLengthError),
        CreateQueueError::Name(_) => error(ErrorCode::InvalidQueueName),
        CreateQueueError::Settings(refusal) => Answer::Error(refusal).into(),
        CreateQueueError::ExistsWithOtherAttributes => error(ErrorCode::QueueAlreadyExist),
        CreateQueueError::DeletedRecently => error(ErrorCode::QueueDeletedRecently),
        CreateQueueError::TooManyQueues(limit) => {
            argument(format!("The number of queues should not be larger than {limit}."))
        }
    }
}

/// All twelve attributes; the official Python client takes no fewer.
fn attributes(name: &str, queue: &mut Queue, now: Millis) -> QueueAttributes {
    let counts = queue.counts(now);
    let attributes = queue.attributes();
    QueueAttributes {
        queue_name: name.to_owned(),
        create_time: queue.created() / 1_000,
        last_modify_time: queue.modified() / 1_000,
        delay_seconds: attributes.delay_seconds,
        maximum_message_size: attributes.maximum_message_size,
        message_retention_period: attributes.message_retention_period,
        visibility_timeout: attributes.visibility_timeout,
        polling_wait_seconds: attributes.polling_wait_seconds,
        active_messages: counts.visible as u64,
        inactive_messages: counts.leased as u64,
        delay_messages: counts.delayed as u64,
        logging_enabled: attributes.logging_enabled,
    }
}
