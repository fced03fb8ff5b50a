//! Reading what the command line names: files, and standard input line by line.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::Path;

use tokio::sync::mpsc;

use crate::exit::{Exit, Failure};

/// Lines read ahead of whoever uses them: a few batches of 16.
const AHEAD: usize = 64;

/// Reads a file of text that is at most `max` bytes long.
pub(crate) fn read_text(path: &Path, max: u64) -> Result<String, Failure> {
    let shown = path.display();
    String::from_utf8(read_bytes(path, max)?)
        .map_err(|error| Failure::because(Exit::Usage, format!("{shown} is not UTF-8 text"), &error.utf8_error()))
}

/// Reads a file that is at most `max` bytes long.
pub(crate) fn read_bytes(path: &Path, max: u64) -> Result<Vec<u8>, Failure> {
    let shown = path.display();
    let failed = |error: io::Error| Failure::because(Exit::Usage, format!("cannot read {shown}"), &error);
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(max + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > max {
        return Err(Failure::new(Exit::Usage, format!("{shown} is over {max} bytes: is it the right file?")));
    }
    Ok(bytes)
}

/// A line of standard input, without its end.
#[derive(Debug)]
pub(crate) struct InputLine {
    /// Counted from 1, empty lines included.
    pub(crate) number: u64,
    /// What it holds; not always text.
    pub(crate) bytes: Vec<u8>,
}

/// Reads standard input in the background. Empty lines are passed over; a line of more than `max` bytes is an error, and
/// the last thing that comes.
pub(crate) fn lines_of_stdin(max: u64) -> mpsc::Receiver<Result<InputLine, Failure>> {
    let (lines, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        for line in Lines::new(io::stdin().lock(), max) {
            // Nobody waits for more once the command has ended.
            if lines.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

struct Lines<R> {
    from: R,
    max: u64,
    number: u64,
    ended: bool,
}

impl<R> Lines<R> {
    fn new(from: R, max: u64) -> Self {
        Self { from, max, number: 0, ended: false }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<InputLine, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            let mut bytes = Vec::new();
            self.number += 1;
            // Two more than allowed: the line's end does not count.
            match (&mut self.from).take(self.max + 2).read_until(b'\n', &mut bytes) {
                Ok(0) => self.ended = true,
                Ok(_) => {
                    if bytes.last() == Some(&b'\n') {
                        bytes.pop();
                        bytes.pop_if(|last| *last == b'\r');
                    }
                    if bytes.len() as u64 > self.max {
                        self.ended = true;
                        let text = format!("line {} of standard input is over {} bytes", self.number, self.max);
                        return Some(Err(Failure::new(Exit::BadData, text)));
                    }
                    if !bytes.is_empty() {
                        return Some(Ok(InputLine { number: self.number, bytes }));
                    }
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(Failure::because(Exit::Failed, "cannot read standard input", &error)));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_and_limited() {
        let read = |text: &str| -> Vec<Result<(u64, String), String>> {
            Lines::new(text.as_bytes(), 5)
                .map(|line| match line {
                    Ok(line) => Ok((line.number, String::from_utf8(line.bytes).unwrap())),
                    Err(failure) => Err(failure.text()),
                })
                .collect()
        };
        assert_eq!(read("a\r\n\n12345\nlast"), [Ok((1, "a".into())), Ok((3, "12345".into())), Ok((4, "last".into()))]);
        assert_eq!(
            read("ok\n123456\nnever"),
            [Ok((1, "ok".into())), Err("line 2 of standard input is over 5 bytes".into())]
        );
        assert!(read("").is_empty());
    }
}
