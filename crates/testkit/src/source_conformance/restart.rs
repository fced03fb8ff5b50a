//! Restarts: what was durable does not come again, what was not does, and a state is only taken where it belongs.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_core::{CheckpointId, SourceErrorKind, SourceState};

use super::bench::Bench;
use super::harness::{Disturbance, SourceHarness};
use super::job::Job;
use crate::trial::{Halt, ensure, trials};

trials!(dyn SourceHarness, Bench: [
    a_restored_checkpoint_is_not_deleted_before_its_commit,
    what_was_committed_before_is_deleted_at_once_after_a_restore,
    a_state_holds_every_id_not_yet_deleted,
    what_was_saved_and_aborted_does_not_come_again,
    a_state_of_another_source_is_refused,
    a_state_under_another_id_is_refused,
    a_damaged_state_is_refused,
    a_restore_comes_first_or_not_at_all,
    ids_grow_over_a_restart,
    parts_of_one_name_have_one_content,
] even under faults [
    what_was_not_durable_comes_again,
    what_was_durable_does_not_come_again,
    a_crash_between_save_and_commit_repeats_nothing,
]);

async fn what_was_not_durable_comes_again(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send_many(3).await?;
    job.take(3).await?;
    job.checkpoint().await?;
    bench.send_many(3).await?;
    job.take(3).await?;
    job.restart().await?;
    job.finish().await
}

async fn what_was_durable_does_not_come_again(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send_many(5).await?;
    job.take(5).await?;
    let cut = job.cut().await?;
    job.save(&cut);
    job.commit(cut.id).await?;
    // Before a delete may have been sent, or after some were.
    job.restart().await?;
    job.run(bench.settings.lease * 2).await?;
    job.finish().await
}

async fn a_crash_between_save_and_commit_repeats_nothing(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send_many(3).await?;
    job.take(3).await?;
    let cut = job.cut().await?;
    job.save(&cut);
    job.crash();
    bench.pass(bench.settings.lease * 2).await;
    job.restart().await?;
    job.finish().await
}

async fn a_restored_checkpoint_is_not_deleted_before_its_commit(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    let ids = bench.send_many(3).await?;
    job.take(3).await?;
    let cut = job.cut().await?;
    job.save(&cut);
    job.crash();
    job.reopen().await?;
    // Longer than a lease: the messages come back to the new source while their commit is outstanding.
    for _ in 0..4 {
        job.watch(bench.settings.lease / 2).await?;
        job.check_deletes().await?;
    }
    job.commit(cut.id).await?;
    bench.expect_deleted(&ids).await
}

async fn what_was_committed_before_is_deleted_at_once_after_a_restore(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    let first = bench.send_many(3).await?;
    job.take(3).await?;
    bench.disturb(Disturbance::DeletesLost)?;
    job.checkpoint().await?;
    let second = bench.send_many(3).await?;
    job.take(3).await?;
    let cut = job.cut().await?;
    job.save(&cut);
    job.crash();
    bench.mend();
    // The leases of the first epoch still run: its handles work, and the new source knows them from the state.
    job.reopen().await?;
    for _ in 0..20 {
        bench.pass(bench.settings.quiet / 20).await;
    }
    let left = bench.undeleted(&first).await?;
    ensure!(left.is_empty(), "committed before the restored checkpoint and not deleted: {left:?}");
    job.check_deletes().await?;
    job.commit(cut.id).await?;
    job.finish().await?;
    bench.expect_deleted(&second).await
}

async fn a_state_holds_every_id_not_yet_deleted(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.disturb(Disturbance::DeletesLost)?;
    for _ in 0..6 {
        bench.send_many(2).await?;
        job.take(2).await?;
        job.checkpoint().await?;
    }
    job.crash();
    bench.mend();
    bench.pass(bench.settings.lease * 2).await;
    // Every message of six epochs is visible again; the newest state alone must tell that none is new.
    job.restart().await?;
    job.run(bench.settings.quiet).await?;
    job.finish().await
}

async fn what_was_saved_and_aborted_does_not_come_again(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send_many(3).await?;
    job.take(3).await?;
    let cut = job.cut().await?;
    // The store said that it failed; in truth the state is there, and the next process finds it.
    job.abort(cut.id).await?;
    job.crash();
    job.save(&cut);
    job.restart().await?;
    job.finish().await
}

async fn a_state_of_another_source_is_refused(bench: &Bench) -> Result<(), Halt> {
    let (id, mut state) = saved(bench).await?;
    state.identity += "-other";
    expect_refused(bench, id, state, "a state of another identity").await?;
    let Some(mut other) = bench.test.open_other().await? else { return Ok(()) };
    let (id, state) = saved(bench).await?;
    let answer = bench.ended("restore", other.restore(id, state)).await?;
    ensure!(
        matches!(&answer, Err(error) if error.kind == SourceErrorKind::State),
        "the source of another queue took the state: {answer:?}"
    );
    Ok(())
}

async fn a_state_under_another_id_is_refused(bench: &Bench) -> Result<(), Halt> {
    let (id, state) = saved(bench).await?;
    expect_refused(bench, CheckpointId(id.0 + 1), state, "a state under another id").await
}

async fn a_damaged_state_is_refused(bench: &Bench) -> Result<(), Halt> {
    let (id, state) = saved(bench).await?;
    for part in 0..state.parts.len() {
        let whole = &state.parts[part].bytes;
        for at in [0, whole.len() / 2, whole.len().saturating_sub(1)] {
            let mut bytes = whole.to_vec();
            let Some(byte) = bytes.get_mut(at) else { continue };
            *byte ^= 0x10;
            let mut damaged = state.clone();
            damaged.parts[part].bytes = Arc::from(bytes);
            expect_refused(bench, id, damaged, &format!("a state with byte {at} of part {part} changed")).await?;
        }
        let mut short = state.clone();
        short.parts[part].bytes = Arc::from(&whole[..whole.len() / 2]);
        expect_refused(bench, id, short, &format!("a state with part {part} cut in half")).await?;
        let mut missing = state.clone();
        missing.parts.remove(part);
        expect_refused(bench, id, missing, &format!("a state without part {part}")).await?;
    }
    Ok(())
}

async fn a_restore_comes_first_or_not_at_all(bench: &Bench) -> Result<(), Halt> {
    let (id, state) = saved(bench).await?;
    let mut job = bench.start().await?;
    bench.send_many(2).await?;
    job.take(2).await?;
    let answer = job.restore(id, state).await?;
    ensure!(answer.is_err(), "a state was restored into a source that had handed out rows");
    Ok(())
}

async fn ids_grow_over_a_restart(bench: &Bench) -> Result<(), Halt> {
    let (id, state) = saved(bench).await?;
    let mut job = bench.start().await?;
    job.restore(id, state).await??;
    let answer = bench.ended("checkpoint", job.source()?.checkpoint(CheckpointId(id.0 - 1))).await?;
    ensure!(answer.is_err(), "checkpoint {} was taken after a restore of {id}", id.0 - 1);
    Ok(())
}

async fn parts_of_one_name_have_one_content(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    let mut contents: BTreeMap<String, Arc<[u8]>> = BTreeMap::new();
    for _ in 0..8 {
        bench.send_many(4).await?;
        job.take(4).await?;
        let cut = job.cut().await?;
        for part in &cut.state.parts {
            let safe = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            ensure!(!part.name.is_empty() && part.name.chars().all(safe), "no name for a file: {:?}", part.name);
            let known = contents.entry(part.name.clone()).or_insert_with(|| Arc::clone(&part.bytes));
            ensure!(*known == part.bytes, "two parts named {} with different contents", part.name);
        }
        job.save(&cut);
        job.commit(cut.id).await?;
        job.run(bench.settings.quiet / 8).await?;
    }
    Ok(())
}

/// A state with several epochs in it, from a process that has died. The queue is left as it is.
async fn saved(bench: &Bench) -> Result<(CheckpointId, SourceState), Halt> {
    let mut job: Job<'_> = bench.start().await?;
    for _ in 0..3 {
        bench.send_many(2).await?;
        job.take(2).await?;
        job.checkpoint().await?;
    }
    let saved = job.saved().cloned();
    job.crash();
    saved.ok_or_else(|| Halt::failed("nothing was saved"))
}

async fn expect_refused(bench: &Bench, id: CheckpointId, state: SourceState, what: &str) -> Result<(), Halt> {
    let mut source = bench.open().await?;
    let answer = bench.ended("restore", source.restore(id, state)).await?;
    match answer {
        Err(error) if error.kind == SourceErrorKind::State => Ok(()),
        Err(error) => Err(Halt::failed(format!("{what}: the kind is {:?}, not State: {error}", error.kind))),
        Ok(()) => Err(Halt::failed(format!("{what} was accepted"))),
    }
}
