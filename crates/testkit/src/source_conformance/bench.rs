//! What every trial needs: one fresh queue, messages with known rows, and waits that end.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{Either, select};
use headwater_core::Source;

use super::harness::{Disturbance, SourceHarness, SourceSettings, TestSource};
use super::job::Job;
use crate::trial::{Halt, ensure};

/// Steps into which a wait for a promise is cut, to look whether it is kept.
const LOOKS: u32 = 100;

/// One fresh queue and the means to try sources on it.
pub(super) struct Bench {
    pub(super) test: Box<dyn TestSource>,
    pub(super) settings: SourceSettings,
    sent: Mutex<BTreeMap<String, Vec<i64>>>,
}

impl Bench {
    pub(super) async fn fresh(harness: &(dyn SourceHarness + 'static)) -> Result<Self, Halt> {
        Ok(Self { test: harness.fresh().await?, settings: harness.settings(), sent: Mutex::default() })
    }

    /// Opens a source and makes it a job's.
    pub(super) async fn start(&self) -> Result<Job<'_>, Halt> {
        Ok(Job::new(self, self.open().await?))
    }

    pub(super) async fn open(&self) -> Result<Box<dyn Source>, Halt> {
        Ok(self.ended("opening a source", self.test.open()).await??)
    }

    /// What was sent: the rows of every message.
    pub(super) fn sent(&self) -> MutexGuard<'_, BTreeMap<String, Vec<i64>>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message with so many rows, numbered on from the last ones.
    pub(super) async fn send(&self, rows: usize) -> Result<String, Halt> {
        let from = i64::try_from(self.sent().values().map(Vec::len).sum::<usize>()).unwrap_or(0);
        let rows: Vec<i64> = (from..).take(rows).collect();
        let id = self.test.send(&rows).await?;
        self.sent().insert(id.clone(), rows);
        Ok(id)
    }

    /// Sends messages with one row each.
    pub(super) async fn send_many(&self, count: usize) -> Result<Vec<String>, Halt> {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(self.send(1).await?);
        }
        Ok(ids)
    }

    /// How many of the messages sent have rows.
    pub(super) fn with_rows(&self) -> usize {
        self.sent().values().filter(|rows| !rows.is_empty()).count()
    }

    pub(super) async fn pass(&self, time: Duration) {
        self.test.pass(time).await;
    }

    /// Lets time pass in which nothing may happen.
    pub(super) async fn quiet(&self) {
        self.pass(self.settings.quiet).await;
    }

    /// Runs `future` while up to `limit` passes; `None` if it has not ended by then.
    pub(super) async fn within<T>(&self, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
        match select(pin!(future), pin!(self.test.pass(limit))).await {
            Either::Left((answer, _)) => Some(answer),
            Either::Right(_) => None,
        }
    }

    /// Runs `future`, which must end.
    pub(super) async fn ended<T>(&self, what: &str, future: impl Future<Output = T>) -> Result<T, Halt> {
        let answer = self.within(self.settings.eventually, future).await;
        answer.ok_or_else(|| Halt::failed(format!("{what} has not ended after {:?}", self.settings.eventually)))
    }

    /// Waits until these messages are deleted, with nobody calling the source.
    pub(super) async fn expect_deleted(&self, ids: &[String]) -> Result<(), Halt> {
        for _ in 0..LOOKS {
            if self.undeleted(ids).await?.is_empty() {
                return Ok(());
            }
            self.pass(self.settings.eventually / LOOKS).await;
        }
        let undeleted = self.undeleted(ids).await?;
        let limit = self.settings.eventually;
        ensure!(undeleted.is_empty(), "after {limit:?} {undeleted:?} of {} are not deleted", ids.len());
        Ok(())
    }

    /// Those of these messages that are not deleted.
    pub(super) async fn undeleted(&self, ids: &[String]) -> Result<Vec<String>, Halt> {
        let left = self.test.left().await?;
        Ok(ids.iter().filter(|id| left.contains(id)).cloned().collect())
    }

    /// Waits until no message is leased, or fails.
    pub(super) async fn expect_leased_at_most(&self, most: u64, within: Duration, why: &str) -> Result<(), Halt> {
        for _ in 0..LOOKS {
            if self.test.leased().await? <= most {
                return Ok(());
            }
            self.pass(within / LOOKS).await;
        }
        let leased = self.test.leased().await?;
        ensure!(leased <= most, "{leased} messages are leased after {within:?}, {most} expected: {why}");
        Ok(())
    }

    /// Delivers a leased message again, or skips the trial.
    pub(super) async fn redeliver(&self, id: &str) -> Result<(), Halt> {
        let can = self.test.redeliver(id).await?;
        can.then_some(()).ok_or_else(|| Halt::skipped("the harness cannot end a lease"))
    }

    /// Breaks the queue in one way, or skips the trial.
    pub(super) fn disturb(&self, disturbance: Disturbance) -> Result<(), Halt> {
        let can = self.test.disturb(Some(disturbance));
        can.then_some(()).ok_or_else(|| Halt::skipped(format!("the harness cannot make {disturbance:?}")))
    }

    pub(super) fn mend(&self) {
        self.test.disturb(None);
    }
}
