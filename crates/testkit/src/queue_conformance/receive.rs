//! Receiving: how many, how soon, when nothing is there, side by side, abandoned.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::future::{Either, join, select};
use headwater_core::{DeleteOutcome, QueueError, QueueErrorKind, ReceiveRequest, Received};

use super::bench::{Bench, by_id};
use super::harness::QueueHarness;
use crate::trial::{Halt, ensure, trials};

trials!(dyn QueueHarness, Bench: [
    receive_brings_no_more_than_asked,
    the_largest_batch_can_be_asked_for,
    a_batch_above_the_limit_is_clamped_or_refused,
    receive_does_not_wait_to_fill_up,
    every_message_comes_once_within_its_lease,
    an_empty_poll_without_a_wait_is_empty_at_once,
    an_empty_poll_ends_empty_after_its_wait,
    a_parked_receive_wakes_on_a_send,
    several_parked_receives_get_what_is_sent,
    concurrent_receives_share_no_message,
    a_cancelled_parked_receive_loses_nothing,
    a_receive_cancelled_at_any_step_loses_nothing,
    a_parked_receive_does_not_delay_a_delete,
    a_parked_receive_does_not_delay_an_extend,
]);

async fn receive_brings_no_more_than_asked(bench: &Bench) -> Result<(), Halt> {
    let max = bench.queue.capabilities().max_receive.min(3);
    let count = max as usize * 2 + 1;
    bench.send_many(count).await?;
    let mut messages = Vec::new();
    let mut polls = 0;
    while messages.len() < count {
        let received = bench.ask(max, bench.settings.wait).await??.messages;
        ensure!(received.len() <= max as usize, "asked for {max}, got {}", received.len());
        messages.extend(received);
        polls += 1;
        ensure!(polls < 20, "{} of {count} messages came in {polls} polls", messages.len());
    }
    by_id(messages).map(drop)
}

async fn the_largest_batch_can_be_asked_for(bench: &Bench) -> Result<(), Halt> {
    let max = bench.queue.capabilities().max_receive;
    bench.send_many(max as usize + 2).await?;
    let received = bench.ask(max, bench.settings.wait).await??.messages;
    ensure!((1..=max as usize).contains(&received.len()), "asked for {max} of {}, got {}", max + 2, received.len());
    by_id(received).map(drop)
}

async fn a_batch_above_the_limit_is_clamped_or_refused(bench: &Bench) -> Result<(), Halt> {
    let max = bench.queue.capabilities().max_receive;
    bench.send_many(max as usize + 2).await?;
    match bench.ask(max + 1, bench.settings.wait).await? {
        Ok(received) => ensure!(received.messages.len() <= max as usize, "it brought {}", received.messages.len()),
        Err(error) => ensure!(error.kind == QueueErrorKind::Refused, "the kind is {:?}, not Refused", error.kind),
    }
    Ok(())
}

async fn receive_does_not_wait_to_fill_up(bench: &Bench) -> Result<(), Halt> {
    bench.need_wait()?;
    bench.send("a").await?;
    let request = ReceiveRequest { max: bench.queue.capabilities().max_receive, wait: bench.settings.wait };
    let half = bench.settings.wait / 2;
    let received = bench.within(half, bench.queue.receive(request)).await;
    let received = received.ok_or_else(|| Halt::failed("one message is there and the receive still waits"))??;
    ensure!(received.messages.len() == 1, "{} messages, one was sent", received.messages.len());
    Ok(())
}

async fn every_message_comes_once_within_its_lease(bench: &Bench) -> Result<(), Halt> {
    let sent = bench.send_many(40).await?;
    let messages = by_id(bench.receive(sent.len()).await?)?;
    for (number, id) in sent.iter().enumerate() {
        let message = messages.get(id.as_str()).ok_or_else(|| Halt::failed(format!("{id} did not come")))?;
        let expected = format!("message {number}");
        ensure!(message.body == expected.as_bytes(), "{id} came with the body of another message");
    }
    bench.expect_nothing("everything is under lease").await
}

async fn an_empty_poll_without_a_wait_is_empty_at_once(bench: &Bench) -> Result<(), Halt> {
    bench.expect_nothing("nothing was sent").await
}

async fn an_empty_poll_ends_empty_after_its_wait(bench: &Bench) -> Result<(), Halt> {
    let received = bench.ask(1, bench.settings.wait).await??;
    ensure!(received.messages.is_empty(), "{} messages came, none was sent", received.messages.len());
    Ok(())
}

async fn a_parked_receive_wakes_on_a_send(bench: &Bench) -> Result<(), Halt> {
    bench.need_wait()?;
    let quarter = bench.settings.wait / 4;
    let parked = bench.queue.receive(ReceiveRequest { max: 1, wait: bench.settings.wait });
    let send = async {
        bench.pass(quarter).await;
        let id = bench.send("a").await?;
        // Half of the wait is still to come: an answer in this quarter is one that the send caused.
        bench.pass(quarter).await;
        Ok::<_, Halt>(id)
    };
    match select(pin!(parked), pin!(send)).await {
        Either::Left((received, send)) => {
            let messages = received?.messages;
            ensure!(!messages.is_empty(), "the parked receive ended empty long before its wait was over");
            let id = send.await?;
            ensure!(messages.len() == 1 && *messages[0].id == *id, "{id} was sent, others came");
            Ok(())
        }
        Either::Right((sent, _)) => Err(Halt::failed(format!("{} was sent and the parked receive slept on", sent?))),
    }
}

async fn several_parked_receives_get_what_is_sent(bench: &Bench) -> Result<(), Halt> {
    let request = ReceiveRequest { max: 1, wait: bench.settings.wait };
    let both = join(bench.queue.receive(request), bench.queue.receive(request));
    let send = async {
        bench.pass(bench.settings.wait / 4).await;
        bench.send_many(2).await
    };
    let limit = bench.settings.wait + bench.settings.slack;
    let answers = bench.within(limit, join(both, send)).await;
    let ((first, second), sent) = answers.ok_or_else(|| Halt::failed("the parked receives did not end"))?;
    let mut messages = first?.messages;
    messages.extend(second?.messages);
    // One receive may have ended before the second message was sent; what it missed is still there.
    let missing = sent?.len() - messages.len().min(2);
    messages.extend(bench.receive(missing).await?);
    by_id(messages).map(drop)
}

async fn concurrent_receives_share_no_message(bench: &Bench) -> Result<(), Halt> {
    bench.send_many(30).await?;
    let max = bench.queue.capabilities().max_receive.min(5);
    let request = ReceiveRequest { max, wait: bench.settings.wait };
    let calls = (0..6).map(|_| bench.queue.receive(request));
    let limit = bench.settings.wait + bench.settings.slack;
    let answers = bench.within(limit, futures::future::join_all(calls)).await;
    let mut messages = Vec::new();
    for answer in answers.ok_or_else(|| Halt::failed("the receives did not end"))? {
        messages.extend(answer?.messages);
    }
    ensure!(messages.len() <= 30, "{} messages came, 30 were sent", messages.len());
    let rest = 30 - messages.len();
    messages.extend(bench.receive(rest).await?);
    by_id(messages).map(drop)
}

async fn a_cancelled_parked_receive_loses_nothing(bench: &Bench) -> Result<(), Halt> {
    {
        let parked = bench.queue.receive(ReceiveRequest { max: 1, wait: bench.settings.wait });
        let ended = bench.within(bench.settings.wait / 4, parked).await;
        ensure!(ended.is_none_or(|answer| answer.is_ok_and(|received| received.messages.is_empty())), "it ended early");
    }
    let id = bench.send("a").await?;
    bench.expect_back(BTreeSet::from([id])).await
}

async fn a_receive_cancelled_at_any_step_loses_nothing(bench: &Bench) -> Result<(), Halt> {
    let sent = bench.send_many(8).await?;
    let mut missing: BTreeSet<String> = sent.iter().cloned().collect();
    for polls in 1..=sent.len() {
        let mut call = bench.queue.receive(ReceiveRequest { max: 1, wait: bench.settings.wait });
        for _ in 0..polls {
            if let Poll::Ready(answer) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                answer?.messages.iter().for_each(|message| _ = missing.remove(&*message.id));
                break;
            }
        }
    }
    // An abandoned receive may have leased a message: it is back when that lease is over.
    bench.expect_back(missing).await
}

async fn a_parked_receive_does_not_delay_a_delete(bench: &Bench) -> Result<(), Halt> {
    let message = bench.lease_one("a").await?;
    let parked = bench.queue.receive(ReceiveRequest { max: 1, wait: bench.settings.wait });
    let delete = async {
        bench.pass(bench.settings.wait / 4).await;
        let call = bench.queue.delete(std::slice::from_ref(&message.handle));
        bench.within(bench.settings.wait / 4, call).await
    };
    let outcomes = bench.while_parked(parked, delete).await?;
    let outcomes = outcomes.ok_or_else(|| Halt::failed("a delete waits for a parked receive"))??;
    ensure!(outcomes == [DeleteOutcome::Deleted], "{outcomes:?}");
    Ok(())
}

async fn a_parked_receive_does_not_delay_an_extend(bench: &Bench) -> Result<(), Halt> {
    bench.need_extend()?;
    let message = bench.lease_one("a").await?;
    let parked = bench.queue.receive(ReceiveRequest { max: 1, wait: bench.settings.wait });
    let extend = async {
        bench.pass(bench.settings.wait / 4).await;
        let call = bench.queue.extend(&message.handle, bench.settings.lease * 2);
        bench.within(bench.settings.wait / 4, call).await
    };
    let extended = bench.while_parked(parked, extend).await?;
    extended.ok_or_else(|| Halt::failed("an extend waits for a parked receive"))??;
    Ok(())
}

impl Bench {
    fn need_wait(&self) -> Result<(), Halt> {
        let zero = self.queue.capabilities().max_wait.is_zero();
        (!zero).then_some(()).ok_or_else(|| Halt::skipped("the queue cannot wait"))
    }

    /// Runs `call` beside a parked receive.
    async fn while_parked<T>(
        &self,
        parked: impl Future<Output = Result<Received, QueueError>>,
        call: impl Future<Output = T>,
    ) -> Result<T, Halt> {
        match select(pin!(call), pin!(parked)).await {
            Either::Left((answer, _)) => Ok(answer),
            Either::Right((received, call)) => {
                received?;
                Ok(call.await)
            }
        }
    }

    /// Ends the trial unless these messages come, now or once a lease is over.
    async fn expect_back(&self, mut missing: BTreeSet<String>) -> Result<(), Halt> {
        let limit = self.settings.lease + self.settings.slack * 2;
        let mut waited = Duration::ZERO;
        while !missing.is_empty() {
            ensure!(waited <= limit, "after a receive was abandoned {missing:?} did not come back in {limit:?}");
            self.look().await?.iter().for_each(|message| _ = missing.remove(&*message.id));
            self.pass(self.settings.slack).await;
            waited += self.settings.slack;
        }
        Ok(())
    }
}
