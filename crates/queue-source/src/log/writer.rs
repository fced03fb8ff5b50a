//! Writing: one frame after the other, each durable before the next.

use std::io::Write;
use std::sync::Arc;

use headwater_core::SourceError;
use headwater_core::fs::{FileSystem, NewFile};

use super::Position;
use super::dir::{LogDir, failed};
use super::format::{FrameBuilder, HEADER, Header, mark};

/// The end of the log. After an error it is to be dropped: a file whose sync failed is never written or synced again.
#[derive(Debug)]
pub(crate) struct Writer {
    dir: Arc<LogDir>,
    log: u128,
    segment: u64,
    len: u64,
    frame: u64,
    segment_max: u64,
    file: Box<dyn NewFile>,
}

/// Where a frame was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) start: Position,
    /// The end of the log now.
    pub(super) end: Position,
    /// How many times something was synced for it.
    pub(super) syncs: u64,
}

impl Writer {
    /// Goes on at the end of a segment that was just written.
    pub(super) fn new(
        dir: Arc<LogDir>,
        end: (Header, u64, u64),
        file: Box<dyn NewFile>,
        segment_max: u64,
    ) -> Result<Self, SourceError> {
        let (header, len, frame) = end;
        let mut writer = Self { dir, log: header.log, segment: header.segment, len, frame, segment_max, file };
        // So that what is full can be removed although nothing more is written.
        if writer.len >= segment_max && writer.len > HEADER as u64 {
            writer.next_segment()?;
        }
        Ok(writer)
    }

    pub(super) fn fs(&self) -> &Arc<dyn FileSystem> {
        &self.dir.fs
    }

    pub(super) const fn end(&self) -> Position {
        Position { segment: self.segment, offset: self.len }
    }

    fn next_segment(&mut self) -> Result<(), SourceError> {
        let header = Header { log: self.log, segment: self.segment + 1, first_frame: self.frame };
        self.file = self.dir.make_segment(header.segment, &header.encode())?;
        self.segment = header.segment;
        self.len = HEADER as u64;
        Ok(())
    }

    /// Writes a frame and makes it durable.
    pub(super) fn write(&mut self, frame: FrameBuilder) -> Result<Written, SourceError> {
        let mut syncs = 1;
        if self.len >= self.segment_max && self.len > HEADER as u64 {
            self.next_segment()?;
            syncs += 2;
        }
        let start = self.end();
        let bytes = frame.finish(mark(self.log), self.frame);
        let path = self.dir.segment(self.segment);
        self.file.write_all(&bytes).map_err(|error| failed("write", &path, error))?;
        self.file.sync().map_err(|error| failed("sync", &path, error))?;
        self.len += bytes.len() as u64;
        self.frame += 1;
        Ok(Written { start, end: self.end(), syncs })
    }
}
