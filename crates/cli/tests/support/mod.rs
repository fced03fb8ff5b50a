//! Running the real binary and waiting for what it says, never for a time to pass.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod job;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longer than anything here takes on a busy machine; only a process that hangs gets to its end.
const HANGS: Duration = Duration::from_secs(120);

/// A run of `headwater`. Dropping it kills the process.
pub(crate) struct Process {
    child: Child,
    lines: [Receiver<String>; 2],
    seen: [Vec<String>; 2],
    readers: Vec<JoinHandle<()>>,
    /// Standard output that nobody reads.
    unread: Option<ChildStdout>,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    /// All of standard output, by lines.
    pub(crate) stdout: Vec<String>,
    /// All of standard error, by lines.
    pub(crate) stderr: Vec<String>,
}

/// The command `headwater` with these arguments, without variables that would change what it does.
pub(crate) fn headwater<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
    command.args(args).stdin(Stdio::null());
    for name in
        ["RUST_LOG", "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "http_proxy", "HTTP_PROXY"]
    {
        command.env_remove(name);
    }
    command
}

/// Runs to the end.
pub(crate) fn run<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Finished {
    Process::start(&mut headwater(args)).finish()
}

/// Runs to the end with this on standard input.
pub(crate) fn run_with_input<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>, input: &[u8]) -> Finished {
    let mut process = Process::start(headwater(args).stdin(Stdio::piped()));
    let mut stdin = process.stdin();
    // A process that ends early does not read it all.
    let _ = stdin.write_all(input);
    drop(stdin);
    process.finish()
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut process = Self::start_unread(command);
        let (out, out_lines) = channel();
        let stdout = process.unread.take().expect("nobody has read it");
        process.readers.push(reader(stdout, out));
        process.lines[0] = out_lines;
        process
    }

    /// Nobody reads its standard output: once the pipe is full, it cannot write.
    pub(crate) fn start_unread(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let (err, err_lines) = channel();
        let readers = vec![reader(stderr, err)];
        Self { child, lines: [channel().1, err_lines], seen: Default::default(), readers, unread: Some(stdout) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("started with Stdio::piped")
    }

    /// The next line of standard output.
    pub(crate) fn line(&mut self) -> String {
        self.wait_for(0, |_| true)
    }

    /// Waits for a line of standard error that contains `part`.
    pub(crate) fn log(&mut self, part: &str) -> String {
        self.wait_for(1, |line| line.contains(part))
    }

    fn wait_for(&mut self, stream: usize, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            match self.lines[stream].recv_timeout(HANGS) {
                Ok(line) => {
                    self.seen[stream].push(line.clone());
                    if wanted(&line) {
                        return line;
                    }
                }
                Err(error) => {
                    while let Ok(line) = self.lines[1 - stream].try_recv() {
                        self.seen[1 - stream].push(line);
                    }
                    panic!("{error}: no such line; stdout {:#?}, stderr {:#?}", self.seen[0], self.seen[1]);
                }
            }
        }
    }

    /// Sends a signal: `INT`, `TERM`, `KILL`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
        assert!(status.expect("kill is there").success());
    }

    /// Waits for the end.
    pub(crate) fn finish(mut self) -> Finished {
        for stream in [0, 1] {
            loop {
                match self.lines[stream].recv_timeout(HANGS) {
                    Ok(line) => self.seen[stream].push(line),
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => panic!("it hangs; so far it said {:#?}", self.seen),
                }
            }
        }
        // Both streams are closed, so it has ended or is about to.
        let code = self.child.wait().expect("a child can be waited for").code();
        let [stdout, stderr] = std::mem::take(&mut self.seen);
        Finished { code, stdout, stderr }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already gone is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

impl Finished {
    /// Asserts the exit code; shows what the process said if it is another.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout {:#?}\nstderr {:#?}", self.stdout, self.stderr);
        self
    }

    /// Asserts that standard error holds each of these.
    #[track_caller]
    pub(crate) fn says<'a>(self, parts: impl IntoIterator<Item = &'a str>) -> Self {
        let all = self.stderr.join("\n");
        for part in parts {
            assert!(all.contains(part), "{part:?} is not in\n{all}");
        }
        self
    }
}

fn reader(stream: impl Read + Send + 'static, lines: Sender<String>) -> JoinHandle<()> {
    let read = move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { break };
            if lines.send(line).is_err() {
                break;
            }
        }
    };
    std::thread::Builder::new().spawn(read).expect("a thread")
}

/// A running `headwater server` and its base URL.
pub(crate) fn server<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> (Process, String) {
    let mut process = Process::start(headwater(["server"]).args(args));
    let endpoint = process.line();
    assert!(endpoint.starts_with("http://127.0.0.1:"), "{endpoint}");
    (process, endpoint)
}

/// Writes a file and returns its path as text.
pub(crate) fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("a temporary file");
    path.to_str().expect("a UTF-8 path").to_owned()
}
