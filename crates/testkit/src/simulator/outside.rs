//! What happens outside by itself: messages are sent, troubles begin and end.

use std::time::Duration;

use headwater_core::{Handle, Mono};

use super::data::{Content, Wish};
use super::faults::Fault;
use super::plan::Trouble;
use super::world::{Happening, World, note};

impl World {
    pub(super) fn send(&mut self, count: u32) {
        for _ in 0..count {
            let number = self.books.next_number();
            let skipped = self.start_time().is_some_and(|start| self.server_now().0 < start);
            let rows = if skipped { 0 } else { u32::try_from(self.luck.below(4)).unwrap_or(0) };
            let content = match self.plan.data.as_ref().filter(|_| !skipped) {
                Some(data) => data.content(self.plan.seed, number, rows),
                None => Content::rows(number, rows),
            };
            let now = self.server_now();
            let id = self.service.send(now, &content.body);
            self.figures.messages += 1;
            self.figures.rows += u64::from(rows);
            note!(self, "producer", "sends m{number} with {rows} rows");
            if content.is_bad() || content.wish != Wish::Keep {
                let faults = [(Fault::BadRecord, content.bad), (Fault::FailingRow, content.failing)];
                faults.into_iter().filter(|(_, many)| *many > 0).for_each(|(fault, _)| self.figures.hit(fault));
                note!(
                    self,
                    "producer",
                    "… of which {} are bad and {} fail: {:?}",
                    content.bad,
                    content.failing,
                    content.wish
                );
            }
            self.books.sent_with(&id, content);
        }
    }

    pub(super) fn trouble(&mut self, trouble: Trouble) {
        note!(self, "world", "{trouble:?}");
        let now = self.mono();
        match trouble {
            Trouble::DeadHandle => self.spoil_handle(Fault::DeadHandle, self.plan.lease),
            Trouble::EarlyReturn => self.spoil_handle(Fault::EarlyReturn, Duration::from_secs(1)),
            Trouble::Deny(call, time) => _ = self.denied.insert(call, now + time),
            Trouble::ServerClock(by) => {
                self.figures.hit(Fault::ServerClock);
                self.server_latest = self.server_latest.max(self.server_now());
                self.server_skew += by;
            }
            Trouble::WallClock(by) => {
                self.figures.hit(Fault::WallClock);
                self.wall_skew += by;
            }
            Trouble::DiskFull(room, time) => {
                self.figures.hit(Fault::DiskFull);
                (self.now.disk_failed, self.disk_ever_failed, self.disk_full) = (true, true, true);
                self.disk.set_capacity(Some(self.disk.used() + room));
                self.schedule(now + time, Happening::Room);
            }
            Trouble::File(fault, nth) => {
                use headwater_job::fs::Fault as File;
                let sync = matches!(fault, File::Sync | File::SyncDir);
                self.figures.hit(if sync { Fault::SyncError } else { Fault::FileError });
                (self.now.disk_failed, self.disk_ever_failed) = (true, true);
                self.disk.fail(fault, nth, std::io::ErrorKind::Other);
            }
            Trouble::SecondStart => self.second_start(),
            Trouble::TakeOver => self.take_over(),
            Trouble::BackUp => self.back_up(),
            Trouble::CopyStart { old } => self.copy_start(old),
            Trouble::SlowSink(time) => {
                self.figures.hit(Fault::SlowSink);
                self.sink_stalls = now + time;
            }
            Trouble::SlowStore(time) => {
                self.figures.hit(Fault::SlowStore);
                self.store_stalls = now + time;
            }
        }
    }

    pub(super) fn make_room(&mut self) {
        self.disk_full = false;
        self.disk.set_capacity(None);
    }

    /// A handle dies behind its owner's back; the message is visible again after `hidden`.
    fn spoil_handle(&mut self, fault: Fault, hidden: Duration) {
        let at = usize::try_from(self.luck.below(self.handles.len() as u64)).unwrap_or(0);
        let Some(handle) = self.handles.get(at).cloned() else { return };
        let now = self.server_now();
        if self.service.extend(now, &handle, hidden).is_some() {
            self.figures.hit(fault);
        }
    }

    pub(super) fn lapse(&mut self, handle: &Handle) {
        let now = self.server_now();
        if self.service.delete(now, handle) {
            note!(self, "sabotage", "deletes {}", self.calls.number_of(handle));
            self.deleted(handle);
        }
    }

    /// Ends all trouble: what is denied, full, slow or skewed is mended.
    pub(crate) fn calm(&mut self) -> Duration {
        self.denied.clear();
        self.make_room();
        (self.sink_stalls, self.store_stalls) = (Mono::default(), Mono::default());
        // The service never goes back: until its clock has caught up with where it was before a jump, no lease ends.
        let behind = self.server_latest.0.saturating_sub(self.server_now().0);
        Duration::from_millis(u64::try_from(behind).unwrap_or(0))
    }
}
