//! The end of a job that cannot end itself: a call that does not return (rows printed to a reader that does not read, a write to a
//! disk that hangs) holds up everything in its task, and so the answer to signals.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use headwater_core::Clock;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use crate::exit::Exit;
use crate::signals::Signals;

/// Beyond the time that a job has for its end. 4 s: sinks are closed after that time, and the default of 25 s stays within the 30 s
/// of Kubernetes.
const GRACE: Duration = Duration::from_secs(4);

/// After a second signal, which a job that is not stuck obeys at once.
const AT_ONCE: Duration = Duration::from_millis(500);

/// How long the last line may take: standard error may be what does not take anything.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Ends the process after signals that the job does not obey, as safely as `kill -9` would. Dropped, it does nothing more.
#[derive(Debug)]
pub(super) struct Watchdog(#[expect(dead_code, reason = "the thread ends when it is dropped")] oneshot::Sender<()>);

impl Watchdog {
    /// Watches on a thread and a runtime of its own: a call that does not return holds up whatever shares a thread with it, on a machine
    /// of one core every other task. `deadline` is the time for the end after a first signal.
    pub(super) fn start(clock: Arc<dyn Clock>, deadline: Duration) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let signals = {
            let _inside = runtime.enter();
            Signals::listen()?
        };
        let (kept, dropped) = oneshot::channel();
        let watch = async move {
            tokio::select! { biased; _ = dropped => {}, () = watch(signals, clock, deadline) => {} }
        };
        std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || runtime.block_on(watch))?;
        Ok(Self(kept))
    }
}

async fn watch(mut signals: Signals, clock: Arc<dyn Clock>, deadline: Duration) {
    signals.next().await;
    let exit = tokio::select! {
        biased;
        _ = signals.next() => {
            clock.sleep(AT_ONCE).await;
            Exit::Interrupted
        }
        () = clock.sleep(deadline.saturating_add(GRACE)) => Exit::Failed,
    };
    let said = spawn_blocking(move || {
        tracing::error!(
            "the job did not end within {deadline:?} of a signal, or at once after a second one: something that it calls does \
             not return (standard output whose reader does not read, a disk that hangs). It is ended as it is: nothing is \
             lost, and what is not committed comes again"
        );
    });
    tokio::select! { biased; _ = said => {}, () = clock.sleep(LAST_WORDS) => {} }
    std::process::exit(i32::from(exit as u8));
}
