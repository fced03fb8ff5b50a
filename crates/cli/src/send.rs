//! `headwater send`: puts messages into a queue, and says which ids they got.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_mns_client::MnsClient;
use headwater_mns_proto::numbers::{BATCH, MAX_BATCH_SEND_BYTES};
use headwater_mns_proto::{NewMessage, QueueSettings, SendFailure, SentMessage};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::args::SendArgs;
use crate::exit::{Exit, Failure};
use crate::input::{self, InputLine};
use crate::output::{self, Stop};

/// The longest body read: the service takes 64 KB, and says so better than a limit here would.
const BODY_MAX: u64 = 1 << 20;

/// What is printed for a message that was taken.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Taken<'a> {
    message_id: &'a str,
    body_md5: &'a str,
}

/// What is printed for a message that was not.
#[derive(Serialize)]
struct Refused<'a> {
    error: &'a str,
    message: &'a str,
}

/// Sends everything the arguments name, in order.
pub(crate) async fn run(args: SendArgs) -> Result<Exit, Stop> {
    let client = args.connect.client()?;
    if args.create {
        client.create_queue(&args.connect.queue, QueueSettings::default()).await.map_err(Failure::from)?;
    }
    let mut sender = Sender { client, queue: &args.connect.queue, refused: 0 };
    let shape = Shape::of(&args)?;
    let mut bodies = Bodies::of(&args.bodies, &args.files);
    while let Some(batch) = bodies.next_batch(&shape).await? {
        sender.send(batch).await?;
    }
    if sender.refused == 0 {
        return Ok(Exit::Done);
    }
    let text = format!("{} of the messages were refused; standard output says why, line by line", sender.refused);
    Err(Failure::new(Exit::Failed, text).into())
}

struct Sender<'a> {
    client: MnsClient,
    queue: &'a str,
    refused: u64,
}

impl Sender<'_> {
    async fn send(&mut self, batch: Vec<NewMessage>) -> Result<(), Stop> {
        let outcomes = self.client.batch_send(self.queue, batch).await.map_err(Failure::from)?;
        for outcome in &outcomes {
            self.refused += u64::from(outcome.is_err());
            output::line(&shown(outcome)?)?;
        }
        Ok(())
    }
}

fn shown(outcome: &Result<SentMessage, SendFailure>) -> Result<String, Failure> {
    let text = match outcome {
        Ok(sent) => serde_json::to_string(&Taken { message_id: &sent.id, body_md5: &sent.body_md5 }),
        Err(refused) => serde_json::to_string(&Refused { error: refused.code.as_str(), message: &refused.message }),
    };
    text.map_err(|error| Failure::because(Exit::Failed, "an answer cannot be written as JSON", &error))
}

/// How bodies become messages.
struct Shape {
    base64: bool,
    delay_seconds: Option<u32>,
    priority: Option<u32>,
    repeat: usize,
}

impl Shape {
    fn of(args: &SendArgs) -> Result<Self, Failure> {
        let delay_seconds = args.delay.map(whole_seconds).transpose()?;
        Ok(Self { base64: args.base64, delay_seconds, priority: args.priority, repeat: args.repeat })
    }

    fn message(&self, body: Vec<u8>, from: &str) -> Result<NewMessage, Failure> {
        let body = if self.base64 {
            STANDARD.encode(body)
        } else {
            String::from_utf8(body).map_err(|error| {
                let text = format!("{from} is not UTF-8 text, and a body is text: send it with --base64");
                Failure::because(Exit::BadData, text, &error.utf8_error())
            })?
        };
        let mut message = NewMessage::new(body);
        message.delay_seconds = self.delay_seconds;
        message.priority = self.priority;
        Ok(message)
    }
}

fn whole_seconds(delay: Duration) -> Result<u32, Failure> {
    match u32::try_from(delay.as_secs()) {
        Ok(seconds) if delay.subsec_nanos() == 0 => Ok(seconds),
        _ => Err(Failure::new(Exit::Usage, "--delay takes whole seconds, at most 604800s (7 days)")),
    }
}

/// The bodies in order: arguments, then files; standard input if there are neither.
struct Bodies {
    given: VecDeque<Given>,
    stdin: Option<mpsc::Receiver<Result<InputLine, Failure>>>,
    /// The message that did not fit into the batch before, and how often it is still to be sent.
    pending: Option<(NewMessage, usize)>,
    /// What is wrong with the body after the last one; what stands before it is sent first.
    failed: Option<Failure>,
}

enum Given {
    Body(String),
    File(PathBuf),
}

impl Bodies {
    fn of(bodies: &[String], files: &[PathBuf]) -> Self {
        let files = files.iter().cloned().map(Given::File);
        let given: VecDeque<_> = bodies.iter().cloned().map(Given::Body).chain(files).collect();
        let stdin = given.is_empty().then(|| input::lines_of_stdin(BODY_MAX));
        Self { given, stdin, pending: None, failed: None }
    }

    /// The next batch: as much as one request may hold, but of standard input only what is there already, so that a line
    /// typed into a pipe goes out at once.
    async fn next_batch(&mut self, shape: &Shape) -> Result<Option<Vec<NewMessage>>, Failure> {
        if let Some(failure) = self.failed.take() {
            return Err(failure);
        }
        let mut batch = Vec::new();
        let mut bytes = 0;
        loop {
            if self.pending.is_none() {
                match self.next(shape, batch.is_empty()).await {
                    Ok(message) => self.pending = message.map(|message| (message, shape.repeat)),
                    Err(failure) if batch.is_empty() => return Err(failure),
                    Err(failure) => self.failed = Some(failure),
                }
            }
            let Some((message, left)) = &mut self.pending else { break };
            let full = batch.len() == *BATCH.end() as usize || bytes + message.body.len() > MAX_BATCH_SEND_BYTES;
            if full && !batch.is_empty() {
                break;
            }
            bytes += message.body.len();
            batch.push(message.clone());
            *left -= 1;
            if *left == 0 {
                self.pending = None;
            }
        }
        Ok((!batch.is_empty()).then_some(batch))
    }

    async fn next(&mut self, shape: &Shape, wait: bool) -> Result<Option<NewMessage>, Failure> {
        if let Some(given) = self.given.pop_front() {
            let message = match given {
                Given::Body(body) => shape.message(body.into_bytes(), "the body")?,
                Given::File(path) => {
                    let body = input::read_bytes(&path, BODY_MAX)?;
                    shape.message(body, &path.display().to_string())?
                }
            };
            return Ok(Some(message));
        }
        let Some(stdin) = &mut self.stdin else { return Ok(None) };
        let line = if wait { stdin.recv().await } else { stdin.try_recv().ok() };
        let Some(line) = line.transpose()? else { return Ok(None) };
        shape.message(line.bytes, &format!("line {} of standard input", line.number)).map(Some)
    }
}
