//! Programs that know nothing of this bench: `headwater run`, and the official SDKs. What they have done is asked of the server, what it
//! cost of the kernel.

use std::error::Error;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::bodies::Kind;
use crate::process::cpu;
use crate::sample::Sample;

/// How long a program may take for its messages before it is taken to be stuck.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often the server is asked. 10 ms, a hundredth of what is measured.
const LOOK: Duration = Duration::from_millis(10);

/// A program beside the connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// The binary of this workspace, with an SQL plan between source and sink.
    Run,
    /// The official Python SDK.
    Python,
    /// The official Node SDK.
    Node,
}

impl Program {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Run => "headwater run",
            Self::Python => "aliyun-mns-sdk (Python)",
            Self::Node => "@alicloud/mns (Node)",
        }
    }

    /// What it is held against: the connector with its checkpoints in memory; or, for the job, in a directory as the job's own are, so
    /// that the runner and the plan are what makes the difference.
    pub(crate) const fn rival(self) -> &'static str {
        match self {
            Self::Run => "library",
            Self::Python | Self::Node => "connector",
        }
    }

    /// How many messages are enough: they differ by a factor of fifty.
    pub(crate) const fn messages(self, kind: &Kind) -> u64 {
        match self {
            Self::Run => kind.messages,
            Self::Python | Self::Node => kind.messages / 10,
        }
    }

    /// How it is started, or what is missing for that.
    pub(crate) fn job(self, address: &str, kind: &Kind) -> Result<Job, String> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let endpoint = format!("http://{address}");
        match self {
            Self::Run => {
                let binary = binary().ok_or("no release build of it: cargo build --release --bin headwater")?;
                let mut command = Command::new(binary);
                let job = TempDir::new().and_then(|dir| {
                    fs::write(dir.path().join("job.sql"), script(&endpoint, kind))?;
                    Ok(dir)
                });
                let dir = job.map_err(|error| format!("no directory for its state: {error}"))?;
                command.arg("run").arg(dir.path().join("job.sql")).arg("--state").arg(dir.path().join("state"));
                Ok(Job { command, _dir: Some(dir) })
            }
            Self::Python => {
                let python = here.join("../target/python-venv/bin/python");
                if !python.exists() {
                    return Err("not installed: bash .ci/python-env".to_owned());
                }
                let mut command = Command::new(python);
                command.arg(here.join("whole_path/peer.py")).arg(endpoint);
                Ok(Job { command, _dir: None })
            }
            Self::Node => {
                let modules = here.join("../target/node_modules");
                if !modules.join("@alicloud/mns").exists() {
                    return Err("not installed: npm install --prefix target @alicloud/mns".to_owned());
                }
                let mut command = Command::new("node");
                command.arg(here.join("whole_path/peer.js")).arg(endpoint).env("NODE_PATH", modules);
                Ok(Job { command, _dir: None })
            }
        }
    }
}

/// A program that can be started.
pub(crate) struct Job {
    pub(crate) command: Command,
    /// Where its script and its state are; removed with this.
    _dir: Option<TempDir>,
}

/// Measures a program that was started and pinned, between two counts of deleted messages, and ends it.
pub(crate) fn measure(mut child: Child, address: &str, messages: u64) -> Result<Sample, Box<dyn Error>> {
    let sample = watch(&mut child, address, messages);
    let _ = child.kill();
    let _ = child.wait();
    sample
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark's own clock, and a process that cannot be waited for otherwise"
)]
fn watch(child: &mut Child, address: &str, messages: u64) -> Result<Sample, Box<dyn Error>> {
    let (began, before) = (Instant::now(), deleted(address)?);
    let mut first = None;
    loop {
        std::thread::sleep(LOOK);
        if let Some(status) = child.try_wait()? {
            return Err(format!("it ended: {status}").into());
        }
        if began.elapsed() > PATIENCE {
            return Err("it did not finish in time".into());
        }
        let done = deleted(address)? - before;
        if done < messages / 4 {
            continue;
        }
        let now = (done, cpu(child.id())?, Instant::now());
        let Some((count, used, at)) = first else {
            first = Some(now);
            continue;
        };
        if done - count >= messages {
            let messages = (done - count) as f64;
            let rate = messages / now.2.duration_since(at).as_secs_f64();
            return Ok(Sample { cpu: (now.1 - used) / messages, rate });
        }
    }
}

/// Messages that were deleted at the server so far.
fn deleted(address: &str) -> Result<u64, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /deleted HTTP/1.1\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text.rsplit("\r\n\r\n").next().unwrap_or_default().parse()?)
}

/// The release build beside this bench.
fn binary() -> Option<PathBuf> {
    let bench = std::env::current_exe().ok()?;
    let binary = bench.ancestors().nth(2)?.join("headwater");
    binary.exists().then_some(binary)
}

/// A job that reads what the connector reads, filters and computes a little, and drops the rows.
fn script(endpoint: &str, kind: &Kind) -> String {
    let message_type = if kind.oss { ", 'messageType' = 'OSS'" } else { "" };
    let (first, columns) = (kind.first_column(), kind.columns);
    format!(
        "CREATE TABLE messages ({columns}) WITH ('connector' = 'mns', 'endpoint' = '{endpoint}', 'queueName' = 'q', \
         'accessKeyId' = 'testid', 'accessKeySecret' = 'testsecret', 'format' = '{}', 'messageEncoding' = 'base64', 'batchSize' = '16', 'pollers' = '{}'\
         {message_type});\n\
         CREATE TABLE dropped ({columns}) WITH ('connector' = 'blackhole');\n\
         INSERT INTO dropped SELECT * FROM messages WHERE {first} <> 'nothing';\n",
        kind.format,
        crate::sample::CONNECTIONS
    )
}
