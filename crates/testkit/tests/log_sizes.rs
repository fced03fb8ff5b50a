//! Files of a source's own log that are larger than any that is written: refused with the file, its size and the limit, unread.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use headwater_core::fs::{FileLimits, FileSystem};
use headwater_core::{Clock, ManualClock, Queue, SourceErrorKind, WallMs};
use headwater_formats::Format;
use headwater_job::fs::{LocalFs, MemoryFs};
use headwater_queue_source::{LogConfig, QueueSource, SourceConfig};
use headwater_testkit::{MemoryQueue, MemoryQueueOptions};

/// Of nothing, on a real disk: nobody could read it before the test is given up.
const TERABYTE: u64 = 1 << 40;
const SEGMENT: &str = "segment-0000000000000001";

/// Opens a source with this log; the text of its refusal.
async fn open(log: LogConfig) -> Result<(), String> {
    let clock = ManualClock::new(WallMs(0));
    let queue: Arc<dyn Queue> = Arc::new(MemoryQueue::new(&clock, MemoryQueueOptions::default()));
    let clock: Arc<dyn Clock> = Arc::new(clock);
    let decoder = Format::raw().factory(&"body BYTES".parse().expect("a row type")).expect("a decoder");
    let opened = QueueSource::open(queue, clock, SourceConfig::new("t", decoder).commit_log(log)).await;
    opened.map(drop).map_err(|error| {
        assert_eq!(error.kind, SourceErrorKind::State, "{error}");
        error.to_string()
    })
}

fn log(fs: Arc<dyn FileSystem>, dir: &Path) -> LogConfig {
    LogConfig::new(fs, dir, 7)
}

fn check(text: &str, name: &str, len: u64, max: u64) {
    assert!(text.contains(name) && text.contains("--accept-loss"), "{text}");
    assert!(text.contains(&format!("it has {len} bytes, and no more than {max} are read")), "{text}");
}

#[tokio::test]
async fn a_terabyte_in_place_of_a_file_of_the_log_is_refused_unread() {
    let limits = FileLimits::default();
    for (name, max) in [("committed", limits.note), (SEGMENT, limits.log_segment)] {
        let dir = tempfile::tempdir().expect("a directory");
        let fs: Arc<dyn FileSystem> = Arc::new(LocalFs::private());
        open(log(Arc::clone(&fs), dir.path())).await.expect("a new log");
        let file = File::options().write(true).create(true).truncate(false).open(dir.path().join(name));
        file.and_then(|file| file.set_len(TERABYTE)).expect("a sparse file");
        check(&open(log(fs, dir.path())).await.expect_err("a refusal"), name, TERABYTE, max);
    }
}

#[tokio::test]
async fn one_byte_more_is_refused_on_a_simulated_disk_too() {
    let (memory, dir) = (MemoryFs::new(), Path::new("/log"));
    let fs: Arc<dyn FileSystem> = Arc::new(memory.clone());
    open(log(Arc::clone(&fs), dir)).await.expect("a new log");
    let len = fs.metadata(&dir.join(SEGMENT)).expect("a segment").len;
    for (max, fits) in [(len, true), (len - 1, false)] {
        let mut config = log(Arc::clone(&fs), dir);
        config.limits.log_segment = max;
        match open(config).await {
            Ok(()) => assert!(fits),
            Err(text) => check(&text, SEGMENT, len, max),
        }
    }
    let max = FileLimits::default().note;
    memory.put(&dir.join("committed"), &vec![0; usize::try_from(max).expect("small") + 1]);
    check(&open(log(fs, dir)).await.expect_err("a refusal"), "committed", max + 1, max);
}
