//! A start: the lock, a look at every file, and the newest one written anew, without its torn tail.

use std::path::Path;
use std::sync::Arc;

use headwater_core::{CheckpointId, SourceError, SourceErrorKind};

use super::config::LogConfig;
use super::dir::{self, LogDir, damaged, newer};
use super::format::{BadHeader, HEADER, Header, Scan, VERSION, scan};
use super::writer::Writer;

/// A log as it was found, or begun.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) dir: Arc<LogDir>,
    pub(super) id: u128,
    /// There was none.
    pub(super) fresh: bool,
    /// Oldest first; at least one.
    pub(super) segments: Vec<Scan>,
    /// The newest checkpoint that is committed with a position in this log.
    pub(super) committed: Option<CheckpointId>,
    pub(super) writer: Writer,
}

/// Opens the log of a source. Everything in it is checked; nothing is received yet.
pub(crate) async fn open(config: &LogConfig, accept_loss: bool) -> Result<super::LogSide, SourceError> {
    let found = {
        let config = config.clone();
        dir::run(&Arc::clone(&config.fs), move || find(&config)).await?
    };
    Ok(super::LogSide::new(found, config, accept_loss))
}

fn find(config: &LogConfig) -> Result<Found, SourceError> {
    let dir = Arc::new(LogDir::open(config)?);
    let committed = dir.committed()?;
    let numbers = dir.segments()?;
    let Some((&last, older)) = numbers.split_last() else {
        if committed.is_some() {
            let path = dir.path.join("committed");
            return Err(damaged(&path, "it speaks of a log, and no segment of it is there"));
        }
        return begin(config, dir);
    };
    let mut segments = Vec::with_capacity(numbers.len());
    let mut id = None;
    for &number in older {
        let (scanned, _) = read(&dir, number, &mut id, false)?;
        segments.push(scanned);
    }
    let (newest, bytes) = read(&dir, last, &mut id, true)?;
    let id = newest.header.log;
    if let Some((other, _)) = committed.filter(|(log, _)| *log != id) {
        let path = dir.path.join("committed");
        return Err(damaged(&path, &format!("it is of another log ({other:032x}, not {id:032x})")));
    }
    if newest.end < bytes.len() {
        let path = dir.segment(last);
        let cut = bytes.len() - newest.end;
        tracing::warn!(path = %path.display(), at = newest.end, bytes = cut, "the torn tail of the log was cut: what was never durable was not deleted from the queue either");
    }
    // Anew, because what an earlier process wrote and did not sync is whole to a reader, and not durable.
    let file = dir.make_segment(last, &bytes[..newest.end])?;
    let end = (newest.header, newest.end as u64, newest.next_frame);
    let writer = Writer::new(Arc::clone(&dir), end, file, config.segment_max())?;
    segments.push(newest);
    if writer.end().segment != last {
        let header = Header { log: id, segment: writer.end().segment, first_frame: newest.next_frame };
        segments.push(Scan { header, next_frame: newest.next_frame, end: HEADER });
    }
    Ok(Found { dir, id, fresh: false, segments, committed: committed.map(|(_, checkpoint)| checkpoint), writer })
}

fn begin(config: &LogConfig, dir: Arc<LogDir>) -> Result<Found, SourceError> {
    let header = Header { log: config.fresh_id, segment: 1, first_frame: 0 };
    let file = dir.make_segment(1, &header.encode())?;
    let writer = Writer::new(Arc::clone(&dir), (header, HEADER as u64, 0), file, config.segment_max())?;
    let segments = vec![Scan { header, next_frame: 0, end: HEADER }];
    Ok(Found { dir, id: header.log, fresh: true, segments, committed: None, writer })
}

/// Reads a segment and checks it; `log` is the id of the segments before.
fn read(dir: &LogDir, number: u64, log: &mut Option<u128>, newest: bool) -> Result<(Scan, Vec<u8>), SourceError> {
    let path = dir.segment(number);
    let bytes = dir.read_segment(number)?;
    let header = Header::decode(&bytes).map_err(|bad| match bad {
        BadHeader::Newer(found) => newer(&path, found, VERSION),
        BadHeader::Damaged(what) => damaged(&path, what),
    })?;
    if header.segment != number {
        return Err(damaged(&path, &format!("it is segment {} by another name", header.segment)));
    }
    if *log.get_or_insert(header.log) != header.log {
        return Err(foreign(&path));
    }
    let scanned = scan(&bytes, header, newest)
        .map_err(|damage| damaged(&path, &format!("at byte {} {}", damage.offset, damage.what)))?;
    Ok((scanned, bytes))
}

fn foreign(path: &Path) -> SourceError {
    let text = format!(
        "`{}` is of another log than the segments before it: a log has a directory of its own, and its files are not mixed",
        path.display()
    );
    SourceError::new(SourceErrorKind::State, text)
}
