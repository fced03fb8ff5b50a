//! A server in this process, and scripts that read its queue.

use std::path::Path;

use headwater_mns_proto::{NewMessage, QueueSettings};
use headwater_mns_server::{Faults, Server, ServerHandle};

/// The queue that every job here reads.
pub(crate) const QUEUE: &str = "orders";
/// The key's id and secret, as the server's default.
pub(crate) const KEY: (&str, &str) = ("testid", "testsecret");

/// A server with the queue, whose lease is so many seconds.
pub(crate) async fn server(lease: u32, faults: Faults) -> ServerHandle {
    let settings = QueueSettings { visibility_timeout: Some(lease), ..QueueSettings::default() };
    Server::builder().queue_with(QUEUE, settings).faults(faults).start().await.expect("a free port")
}

/// Puts messages `{"id": i}` into the queue.
pub(crate) fn put(server: &ServerHandle, ids: std::ops::Range<usize>) {
    server.put(QUEUE, ids.map(|id| NewMessage::new(format!("{{\"id\": {id}}}")))).expect("the queue is there");
}

/// Messages of the queue, wherever they are.
pub(crate) fn left(server: &ServerHandle) -> usize {
    let counts = server.counts(QUEUE).expect("the queue is there");
    counts.visible + counts.leased + counts.delayed
}

/// Options of the source table, with `more` behind them.
pub(crate) fn source(endpoint: &str, more: &str) -> String {
    let (id, secret) = KEY;
    format!(
        "CREATE TABLE src (`id` BIGINT) WITH (
            'connector' = 'mns',
            'endpoint' = '{endpoint}',
            'queueName' = '{QUEUE}',
            'accessKeyId' = '{id}',
            'accessKeySecret' = '{secret}',
            'format' = 'json',
            'batchSize' = '16',
            'pollingWaitTime' = '1s'{more}
        );\n"
    )
}

/// A job from the queue to files in `out` of `dir`; the script's path.
pub(crate) fn to_files(dir: &Path, endpoint: &str, more: &str) -> String {
    let out = dir.join("out").display().to_string();
    let sink = format!(
        "CREATE TABLE files (`id` BIGINT) WITH ('connector' = 'filesystem', 'path' = '{out}', 'format' = 'json');
         INSERT INTO files SELECT id FROM src;\n"
    );
    super::write(dir, "job.sql", &(source(endpoint, more) + &sink))
}

/// A job from the queue to standard output; the script's path.
pub(crate) fn to_print(dir: &Path, endpoint: &str, more: &str) -> String {
    let sink =
        "CREATE TABLE shown (`id` BIGINT) WITH ('connector' = 'print');\nINSERT INTO shown SELECT id FROM src;\n";
    super::write(dir, "job.sql", &(source(endpoint, more) + sink))
}

/// The ids in the finished files of `dir`, sorted; and the names of unfinished ones.
pub(crate) fn ids_in_files(dir: &Path) -> (Vec<u64>, Vec<String>) {
    let (mut ids, mut unfinished) = (Vec::new(), Vec::new());
    let mut folders = vec![dir.join("out")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.starts_with('.') {
                unfinished.push(name);
            } else {
                let text = std::fs::read_to_string(&path).expect("a text file");
                ids.extend(text.lines().map(id_of));
            }
        }
    }
    ids.sort_unstable();
    (ids, unfinished)
}

/// The ids in the bodies that the job in `dir/state` has in the source's own log, in its order.
#[allow(dead_code)] // Not every test has one.
pub(crate) fn ids_in_log(dir: &Path) -> Vec<u64> {
    let log = dir.join("state").join(format!("log-{QUEUE}"));
    let Ok(entries) = std::fs::read_dir(log) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("segment-")));
    paths.sort();
    let texts = paths.iter().map(|path| String::from_utf8_lossy(&std::fs::read(path).expect("a segment")).into_owned());
    let found = |text: String| -> Vec<u64> {
        let bodies = text.split("{\"id\": ").skip(1);
        bodies.filter_map(|body| body.split_once('}')?.0.parse().ok()).collect()
    };
    texts.flat_map(found).collect()
}

/// The id of a printed or written row.
pub(crate) fn id_of(line: &str) -> u64 {
    let row: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line:?} is no row: {e}"));
    row["id"].as_u64().unwrap_or_else(|| panic!("{line:?} has no id"))
}
