//! One small run, with the power failing before each of its file operations in turn, and with the process dying at each of its
//! await points in turn: every row is committed once, and no delete is asked for before its record is durable.

use super::*;
use crate::outside::Outside;

const BODIES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// From start to end: restore, take what comes for a while, with a checkpoint after every batch.
async fn run(disk: &Disk, outside: &mut Outside) -> Result<(), SourceError> {
    let mut config = disk.small_segments();
    config.batch_rows = 2;
    let mut source = disk.open(config).await?;
    if let Some(saved) = outside.recover() {
        source.restore(saved.id, saved.state).await?;
        outside.commit(saved.id).expect("once");
        source.commit(saved.id).await?;
    }
    while let Some(event) = disk.world.next(&mut source, SECOND * 35).await {
        if let Some(Event::Batch(batch)) = event? {
            let id = outside.next_id();
            let state = source.checkpoint(id).await?;
            outside.stage(id, lines_of(&batch));
            settle().await;
            outside.save(id, state);
            settle().await;
            outside.commit(id).expect("once");
            source.commit(id).await?;
        }
    }
    assert_eq!(source.check(), Ok(()));
    Ok(())
}

fn filled() -> (Disk, Outside) {
    let disk = Disk::new();
    for body in BODIES {
        disk.world.queue.send(body);
    }
    (disk, Outside::default())
}

/// After whatever happened: a run that nothing disturbs ends with everything committed once and the queue empty.
async fn quiet_end(disk: &Disk, outside: &mut Outside, what: &str) {
    run(disk, outside).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let missing: Vec<_> = BODIES.iter().filter(|body| !outside.has(body)).collect();
    assert!(
        missing.is_empty() && outside.rows() == BODIES.len(),
        "{what}: missing {missing:?}, {} rows",
        outside.rows()
    );
    let early: Vec<_> = disk.watch.early().into_iter().filter(|id| disk.world.queue.remaining().contains(id)).collect();
    assert!(early.is_empty(), "{what}: deletes before they were durable: {early:?}");
    assert!(disk.world.queue.remaining().is_empty(), "{what}: left in the queue");
}

#[tokio::test]
async fn the_power_may_fail_before_every_file_operation() {
    let (disk, mut outside) = filled();
    quiet_end(&disk, &mut outside, "undisturbed").await;
    let operations = disk.fs.operations();
    assert!(operations > 40, "{operations}");
    let mut failures = 0;
    for operation in 0..operations {
        for loss in [Loss::Nothing, Loss::Unsynced, Loss::Seeded(operation), Loss::Seeded(operation + 1_000)] {
            let what = format!("operation {operation}, {loss:?}");
            let (disk, mut outside) = filled();
            disk.fs.crash_before(operation);
            failures += u32::from(run(&disk, &mut outside).await.is_err());
            settle().await;
            disk.fs.restart(loss);
            // And once more, while it is being put right.
            disk.fs.crash_before(disk.fs.operations() + operation % 7);
            let _ = run(&disk, &mut outside).await;
            settle().await;
            disk.fs.restart(loss);
            quiet_end(&disk, &mut outside, &what).await;
        }
    }
    println!("{operations} operations, {failures} failures");
    assert!(u64::from(failures) > operations * 3, "{failures} of {}", operations * 4);
}

#[tokio::test]
async fn the_process_may_die_at_every_await_point() {
    let mut survived = 0;
    let mut points = 0;
    for point in (0..3_000).step_by(7) {
        let (disk, mut outside) = filled();
        let yields = async {
            for _ in 0..point {
                tokio::task::yield_now().await;
            }
        };
        points += 1;
        let ended = tokio::select! { biased; ended = run(&disk, &mut outside) => Some(ended), () = yields => None };
        survived = if ended.is_some() { survived + 1 } else { 0 };
        settle().await;
        disk.fs.restart(Loss::Nothing);
        quiet_end(&disk, &mut outside, &format!("point {point}")).await;
        if survived > 2 {
            break;
        }
    }
    println!("{points} points");
    assert!(points > 50, "{points}");
}
