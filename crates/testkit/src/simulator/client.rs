//! What the process sees of the world: a queue, a clock, a disk. Each call and each look at a timer is a step, at which the
//! process may die or let others go first.

use std::fmt;
use std::future::Future;
use std::io::{self, Read, Write};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use headwater_core::fs::{FileSystem, Listed, Lock, LockError, Metadata, NewFile};
use headwater_core::{
    Capabilities, Clock, DeleteOutcome, Description, Extended, Handle, ManualClock, Mono, Queue, QueueError,
    QueueErrorKind, QueueIdentity, ReceiveRequest, Received, Sleep, WallMs,
};
use headwater_job::fs::MemoryFs;

use super::calls::{Answer, Asked, error};
use super::options::Sabotage;
use super::others::SAME;
use super::world::{Sim, note};

/// The clock of one life: its monotonic time begins anew, as after a restart of the machine.
#[derive(Debug)]
pub(crate) struct LifeClock {
    sim: Arc<Sim>,
    inner: ManualClock,
    began: Mono,
}

impl LifeClock {
    pub(crate) fn new(sim: &Arc<Sim>) -> Self {
        Self { inner: sim.clock.clone(), began: sim.clock.now(), sim: Arc::clone(sim) }
    }
}

impl Clock for LifeClock {
    fn now(&self) -> Mono {
        self.inner.now() - self.began.0
    }

    fn wall(&self) -> WallMs {
        self.sim.lock().wall()
    }

    fn sleep_until(&self, deadline: Mono) -> Sleep {
        Box::pin(Alarm {
            sim: Arc::clone(&self.sim),
            sleep: self.inner.sleep_until(self.began + deadline.0),
            turns: Turns::default(),
        })
    }
}

/// How often a future that is ready lets others go first; drawn when it is ready.
#[derive(Debug, Default)]
struct Turns(Option<u8>);

impl Turns {
    fn has_come(&mut self, sim: &Sim, cx: &Context<'_>) -> bool {
        let left = self.0.get_or_insert_with(|| sim.lock().steps_aside());
        if *left == 0 {
            return true;
        }
        *left -= 1;
        cx.waker().wake_by_ref();
        false
    }
}

struct Alarm {
    sim: Arc<Sim>,
    sleep: Sleep,
    turns: Turns,
}

impl Future for Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let alarm = &mut *self;
        if alarm.sim.step() || alarm.sleep.as_mut().poll(cx).is_pending() || !alarm.turns.has_come(&alarm.sim, cx) {
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

/// The queue, as one life of the process sees it.
#[derive(Debug)]
pub(crate) struct SimQueue {
    pub(crate) sim: Arc<Sim>,
    /// How long a call may take beyond the wait of a receive.
    pub(crate) margin: Duration,
}

/// One call: ends with its answer, or at the caller's deadline.
struct Calling<'a> {
    sim: &'a Arc<Sim>,
    call: u64,
    deadline: Sleep,
    turns: Turns,
    answer: Option<Answer>,
}

impl Future for Calling<'_> {
    type Output = Option<Answer>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Answer>> {
        let this = &mut *self;
        if this.sim.step() {
            return Poll::Pending;
        }
        if this.answer.is_none() {
            this.answer = this.sim.lock().calls.poll(this.call, cx.waker());
        }
        if this.answer.is_none() && this.deadline.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        if this.turns.has_come(this.sim, cx) { Poll::Ready(this.answer.take()) } else { Poll::Pending }
    }
}

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        self.sim.lock().calls.leave(self.call);
    }
}

impl SimQueue {
    async fn call(&self, asked: Asked, time: Duration) -> Answer {
        let call = {
            let mut world = self.sim.lock();
            if world.now.dead { None } else { Some(world.call(asked.clone())) }
        };
        let Some(call) = call else { return std::future::pending().await };
        let deadline = self.sim.clock.sleep(time);
        let calling = Calling { sim: &self.sim, call, deadline, turns: Turns::default(), answer: None };
        let answer = calling.await;
        answer.unwrap_or_else(|| {
            note!(self.sim.lock(), "source", "#{call} has had no answer in time");
            asked.unknown(QueueErrorKind::Transient, "no answer in time")
        })
    }
}

fn failed(answer: Answer) -> QueueError {
    match answer {
        Answer::Failed(error) => error,
        _ => error(QueueErrorKind::Unreadable, "an answer to another question"),
    }
}

#[async_trait]
impl Queue for SimQueue {
    fn identity(&self) -> QueueIdentity {
        self.sim.lock().service.identity()
    }

    fn capabilities(&self) -> Capabilities {
        self.sim.lock().service.capabilities()
    }

    async fn describe(&self) -> Result<Description, QueueError> {
        match self.call(Asked::Describe, self.margin).await {
            Answer::Description(description) => Ok(description),
            answer => Err(failed(answer)),
        }
    }

    async fn receive(&self, request: ReceiveRequest) -> Result<Received, QueueError> {
        match self.call(Asked::Receive(request), request.wait + self.margin).await {
            Answer::Received(received) => Ok(received),
            answer => Err(failed(answer)),
        }
    }

    async fn delete(&self, handles: &[Handle]) -> Result<Vec<DeleteOutcome>, QueueError> {
        match self.call(Asked::Delete(handles.to_vec()), self.margin).await {
            Answer::Deleted(outcomes) => Ok(outcomes),
            answer => Err(failed(answer)),
        }
    }

    async fn extend(&self, handle: &Handle, lease: Duration) -> Result<Extended, QueueError> {
        match self.call(Asked::Extend(handle.clone(), lease), self.margin).await {
            Answer::Extended(extended) => Ok(extended),
            answer => Err(failed(answer)),
        }
    }
}

/// The disk: each changing operation is a step.
#[derive(Clone)]
pub(crate) struct Disk {
    sim: Arc<Sim>,
    disk: MemoryFs,
    lies: bool,
    identities: bool,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Disk({:?})", self.disk)
    }
}

impl Disk {
    pub(crate) fn new(sim: &Arc<Sim>) -> Self {
        let (sabotage, elsewhere) = {
            let world = sim.lock();
            (world.sabotage, world.elsewhere.clone())
        };
        Self {
            sim: Arc::clone(sim),
            disk: elsewhere.unwrap_or_else(|| sim.disk.clone()),
            lies: sabotage == Some(Sabotage::SkipSync),
            identities: sabotage != Some(Sabotage::NoIdentities),
        }
    }

    fn change<T>(&self, what: &str, path: &Path, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.sim.step();
        let done = work();
        let mut world = self.sim.lock();
        world.figures.file_operations += 1;
        match &done {
            Ok(_) => note!(world, "disk", "{what} {}", path.display()),
            Err(error) => note!(world, "disk", "{what} {}: {:?}", path.display(), error.kind()),
        }
        drop(world);
        self.sim.step();
        done
    }
}

impl FileSystem for Disk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.change("mkdir", dir, || self.disk.create_dir(dir))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>> {
        let file = self.change("create", path, || self.disk.create(path))?;
        Ok(Box::new(DiskFile { disk: self.clone(), path: path.into(), file }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        self.disk.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change("rename to", to, || self.disk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change("remove", path, || self.disk.remove(path))
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.change("rmdir", dir, || self.disk.remove_dir(dir))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.change("sync", dir, || if self.lies { Ok(()) } else { self.disk.sync_dir(dir) })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>> {
        self.disk.list(dir)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let found = self.disk.metadata(path)?;
        Ok(if self.identities { found } else { Metadata { identity: SAME, ..found } })
    }

    fn lock(&self, path: &Path, owner: &str) -> Result<Box<dyn Lock>, LockError> {
        self.disk.lock(path, owner)
    }

    fn blocks(&self) -> bool {
        false
    }
}

#[derive(Debug)]
struct DiskFile {
    disk: Disk,
    path: std::path::PathBuf,
    file: Box<dyn NewFile>,
}

impl Write for DiskFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.change("write", &self.path, || self.file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl NewFile for DiskFile {
    fn sync(&mut self) -> io::Result<()> {
        self.disk.change("sync", &self.path, || if self.disk.lies { Ok(()) } else { self.file.sync() })
    }
}
