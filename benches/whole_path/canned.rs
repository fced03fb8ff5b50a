//! A service that is never the limit: a thread for each connection, answers rendered beforehand, fresh ids written into
//! them. Deletes succeed, whatever they say.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::bodies::{BATCH, BLANK, Kind};

const ATTRIBUTES: &str = r#"<?xml version="1.0" encoding="UTF-8"?><Queue xmlns="http://mns.aliyuncs.com/doc/v1/"><QueueName>q</QueueName><CreateTime>1795161600</CreateTime><LastModifyTime>1795161600</LastModifyTime><VisibilityTimeout>43200</VisibilityTimeout><MaximumMessageSize>65536</MaximumMessageSize><MessageRetentionPeriod>345600</MessageRetentionPeriod><DelaySeconds>0</DelaySeconds><PollingWaitSeconds>0</PollingWaitSeconds><ActiveMessages>0</ActiveMessages><InactiveMessages>0</InactiveMessages><DelayMessages>0</DelayMessages><LoggingEnabled>False</LoggingEnabled></Queue>"#;

/// Serves until its process is killed.
pub(crate) fn serve(kind: &Kind) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let template = Arc::new(Template::new(kind));
    let counts = Arc::new(Counts::default());
    std::thread::scope(|scope| {
        for stream in listener.incoming() {
            let (template, counts) = (Arc::clone(&template), Arc::clone(&counts));
            scope.spawn(move || stream.and_then(|stream| connection(stream, &template, &counts)));
        }
    });
    Ok(())
}

/// What was handed out and deleted so far.
#[derive(Default)]
struct Counts {
    numbers: AtomicU64,
    deleted: AtomicU64,
}

/// An answer to a receive, and where its ids and handles are.
struct Template {
    bytes: Vec<u8>,
    blanks: Vec<Range<usize>>,
}

impl Template {
    fn new(kind: &Kind) -> Self {
        let xml = kind.answer();
        let head = head("200 OK", xml.len());
        let bytes = [head.as_bytes(), xml.as_bytes()].concat();
        let text = String::from_utf8_lossy(&bytes);
        let blanks = text.match_indices(BLANK).map(|(at, blank)| at..at + blank.len()).collect();
        Self { blanks, bytes }
    }
}

fn head(status: &str, length: usize) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/xml;charset=utf-8\r\nContent-Length: {length}\r\nConnection: keep-alive\r\n\
         Date: Sat, 21 Nov 2026 10:00:00 GMT\r\nServer: AliyunMNS\r\nx-mns-request-id: 5F290C926D472878A1B2C3D4\r\n\
         x-mns-version: 2015-06-06\r\n\r\n"
    )
}

fn connection(stream: TcpStream, template: &Template, counts: &Counts) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BufReader::with_capacity(64 << 10, stream.try_clone()?);
    let mut output = stream;
    let mut answer = template.bytes.clone();
    let attributes = format!("{}{ATTRIBUTES}", head("200 OK", ATTRIBUTES.len()));
    let gone = head("204 No Content", 0).replace("Content-Length: 0\r\n", "");
    let mut line = String::new();
    let mut scratch = Vec::new();
    loop {
        line.clear();
        if input.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let (delete, receive) = (line.starts_with("DELETE"), line.contains("numOfMessages"));
        let asked = line.starts_with("GET /deleted");
        let length = rest_of_head(&mut input, &mut line)?;
        scratch.resize(length, 0);
        input.read_exact(&mut scratch)?;
        if delete {
            counts.deleted.fetch_add(handles(&scratch), Ordering::Relaxed);
            output.write_all(gone.as_bytes())?;
        } else if receive {
            let first = counts.numbers.fetch_add(BATCH as u64, Ordering::Relaxed);
            for (message, blanks) in template.blanks.chunks(2).enumerate() {
                let mut id = [0; 32];
                write!(&mut id[..], "{:032X}", first + message as u64 + 1)?;
                blanks.iter().for_each(|blank| answer[blank.clone()].copy_from_slice(&id));
            }
            output.write_all(&answer)?;
        } else if asked {
            let text = counts.deleted.load(Ordering::Relaxed).to_string();
            output.write_all(format!("{}{text}", head("200 OK", text.len())).as_bytes())?;
            return Ok(());
        } else {
            output.write_all(attributes.as_bytes())?;
        }
    }
}

/// How many handles a delete names.
fn handles(body: &[u8]) -> u64 {
    const END: &[u8] = b"</ReceiptHandle>";
    body.windows(END.len()).filter(|bytes| *bytes == END).count() as u64
}

/// Reads a request's headers; says how long its body is.
fn rest_of_head(input: &mut impl BufRead, line: &mut String) -> io::Result<usize> {
    let mut length = 0;
    loop {
        line.clear();
        input.read_line(line)?;
        if line.len() <= 2 {
            return Ok(length);
        }
        if line.len() > 15 && line[..15].eq_ignore_ascii_case("content-length:") {
            length = line[15..].trim().parse().unwrap_or(0);
        }
    }
}
