//! Answers whole, in pieces, cut and damaged; against hyper's reading of the same bytes.

use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const LIMIT: usize = 10_000;

/// What came of reading an answer: status, body, whether the connection is kept.
type Outcome = Result<(u16, Vec<u8>, bool), AnswerError>;

/// Reads an answer that arrives in these pieces, behind which the connection ends.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut reader = AnswerReader::default();
    read_with(&mut reader, pieces)
}

fn read_with<'a>(reader: &mut AnswerReader, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    reader.begin(LIMIT);
    'pieces: {
        for piece in pieces {
            let mut rest = piece;
            while !rest.is_empty() {
                let room = reader.room(true);
                let count = rest.len().min(room.capacity() - room.len());
                assert!(count > 0, "there is room for more");
                room.extend_from_slice(&rest[..count]);
                rest = &rest[count..];
                if reader.arrived()? {
                    break 'pieces;
                }
            }
        }
        reader.closed()?;
    }
    let (head, body, alone) = reader.take().expect("it is complete");
    assert!(body.bytes.len() <= body.holds);
    Ok((head.status, body.bytes.to_vec(), head.keeps && alone))
}

fn with_head(head: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}")
}

#[test]
fn a_body_ends_where_its_head_says() {
    let chunked = "transfer-encoding: chunked\r\n";
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
    for (answer, status, body, keeps) in [
        (with_head("content-length: 3\r\n", "abc"), 200, "abc", true),
        (with_head("content-length: 3, 3\r\ncontent-length: 3\r\n", "abc"), 200, "abc", true),
        (with_head("content-length: 3\r\n", "abcd"), 200, "abc", false),
        (with_head("content-length: 0\r\n", ""), 200, "", true),
        (with_head("content-length: 3\r\nconnection: x, Close\r\n", "abc"), 200, "abc", false),
        (with_head("content-length: 3\r\nconnection: close\r\nconnection: keep-alive\r\n", "abc"), 200, "abc", false),
        (with_head("", "abc"), 200, "abc", false),
        (with_head("transfer-encoding: gzip\r\n", "abc"), 200, "abc", false),
        (with_head(chunked, "1\r\na\r\n2;x=y\r\nbc\r\n0\r\n\r\n"), 200, "abc", true),
        (with_head(chunked, "001 \t;\"x\"\r\na\r\n0\r\nx: y\r\nz: \r\n\r\n"), 200, "a", true),
        (with_head("Transfer-Encoding: gzip , CHUNKED\r\n", "1\r\na\r\n0\r\n\r\n"), 200, "a", true),
        (with_head(chunked, "1\r\na\r\n0\r\n\r\nH"), 200, "a", false),
        (with_head(chunked, "0\r\n\r\n"), 200, "", true),
        (format!("{interim}{}", with_head("content-length: 1\r\n", "a")), 200, "a", true),
        ("\r\n\r\nHTTP/1.1 404 \r\ncontent-length: 1\r\n\r\na".to_owned(), 404, "a", true),
        ("HTTP/1.1 204 X\r\ncontent-length: 3\r\n\r\n".to_owned(), 204, "", true),
        ("HTTP/1.1 204 X\r\ncontent-length: 3\r\n\r\nabc".to_owned(), 204, "", false),
        ("HTTP/1.1 304 X\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(), 304, "", true),
        ("HTTP/1.1 101 X\r\nupgrade: x\r\n\r\n".to_owned(), 101, "", false),
        ("HTTP/1.0 200 X\r\ncontent-length: 1\r\n\r\na".to_owned(), 200, "a", false),
        ("HTTP/1.0 200 X\r\ncontent-length: 1\r\nconnection: keep-alive\r\n\r\na".to_owned(), 200, "a", true),
    ] {
        let whole = read([answer.as_bytes()]).unwrap_or_else(|error| panic!("{answer:?}: {error}"));
        assert_eq!(whole, (status, body.as_bytes().to_vec(), keeps), "{answer:?}");
    }
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let head = |lines: &str| with_head(lines, "abc");
    let chunks = |body: &str| with_head("transfer-encoding: chunked\r\n", body);
    let (lines, long) = ("a: b\r\n".repeat(101), "x".repeat(70_000));
    for (answer, expected) in [
        (head("content-length: 3\r\ncontent-length: 4\r\n"), "two different"),
        (head("content-length: 3, 4\r\n"), "two different"),
        (head("content-length: \r\n"), "not a number"),
        (head("content-length: +3\r\n"), "not a number"),
        (head("content-length: 3,\r\n"), "not a number"),
        (head("content-length: 18446744073709551616\r\n"), "not a number"),
        (head("content-length: 10001\r\n"), "longer than 10000"),
        (head("content-length: 3\r\ntransfer-encoding: chunked\r\n"), "both"),
        (head("a: b\r\n c\r\n"), "does not begin"),
        (head("a: \0\r\n"), "does not begin"),
        (head("a : b\r\n"), "does not begin"),
        (head(&lines), "does not begin"),
        (head(&format!("a: {long}\r\n")), "head of the answer"),
        (format!("HTTP/1.1 200 {long}"), "head of the answer"),
        ("HTTP/1.1 100 X\r\n\r\n".repeat(5_000), "head of the answer"),
        ("HTTP/1.0 200 X\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(), "HTTP/1.0"),
        (head("transfer-encoding: gzip\u{e9}, chunked\r\n"), "printable"),
        ("HTTP/1.1 099 X\r\n\r\n".to_owned(), "status"),
        ("HTTP/2.0 200 X\r\n\r\n".to_owned(), "does not begin"),
        (chunks("\r\n"), "malformed"),
        (chunks("-1\r\n"), "malformed"),
        (chunks("1\na"), "malformed"),
        (chunks("1;a\nb\r\n"), "malformed"),
        (chunks("1\r\nab"), "malformed"),
        (chunks("1\r\na\n"), "malformed"),
        (chunks("00000000000000001\r\na"), "malformed"),
        (chunks("0\r\na\n\r\n"), "malformed"),
        (chunks("0\r\na: b\n\r\n"), "malformed"),
        (chunks("0\r\na\r\n\r\n"), "malformed"),
        (chunks("0\r\na : b\r\n\r\n"), "malformed"),
        (chunks("0\r\n: b\r\n\r\n"), "malformed"),
        (chunks("0\r\na: \x7f\r\n\r\n"), "malformed"),
        (chunks("0\r\nHTTP/1.1 200 OK\r\na: b\r\n\r\n"), "malformed"),
        (chunks(&format!("1;{long}")), "extensions"),
        (chunks(&format!("0\r\na: {long}")), "trailers"),
        (chunks(&format!("0\r\n{lines}\r\n")), "trailers"),
        (chunks(&format!("ffffffffffffffff\r\n{long}")), "longer than 10000"),
        (chunks(&"1\r\na\r\n".repeat(10_001)), "longer than 10000"),
        (with_head("", &long), "longer than 10000"),
        (String::new(), "before any answer"),
        ("H".to_owned(), "middle"),
        (head("content-length: 4\r\n"), "middle"),
        (chunks("1\r\na\r\n"), "middle"),
    ] {
        let shown = &answer[..answer.len().min(200)];
        let error = read([answer.as_bytes()]).expect_err(shown).to_string();
        assert!(error.contains(expected), "{shown:?}: {error}");
        let bytes = read(answer.as_bytes().chunks(1)).expect_err(shown).to_string();
        assert_eq!(bytes, error, "byte by byte: {shown:?}");
    }
}

/// Answers of every framing, the whole of each needed to know its end.
fn whole_answers() -> [String; 4] {
    let body = "<Messages></Messages>";
    [
        with_head(&format!("date: Fri, 20 Nov 2026 08:00:00 GMT\r\ncontent-length: {}\r\n", body.len()), body),
        with_head(
            "transfer-encoding: chunked\r\n",
            &format!("5;x\r\n{}\r\n{:x}\r\n{}\r\n0\r\na: b\r\n\r\n", &body[..5], body.len() - 5, &body[5..]),
        ),
        "HTTP/1.1 100 X\r\n\r\nHTTP/1.1 204 X\r\n\r\n".to_owned(),
        format!("HTTP/1.0 404 X\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\n{}", 'a'),
    ]
}

#[test]
fn an_answer_is_the_same_in_any_two_pieces_and_no_part_of_one_is_an_answer() {
    for answer in whole_answers() {
        let whole = read([answer.as_bytes()]).unwrap();
        assert_eq!(read(answer.as_bytes().chunks(1)).unwrap(), whole, "byte by byte: {answer:?}");
        for cut in 0..answer.len() {
            let (first, second) = answer.as_bytes().split_at(cut);
            assert_eq!(read([first, second]).unwrap(), whole, "in two at {cut}: {answer:?}");
            let part = read([first]).expect_err("a part");
            let nothing = matches!(part, AnswerError::Nothing);
            assert!(nothing == (cut == 0) && (nothing || matches!(part, AnswerError::Cut)), "{cut}: {part}");
        }
    }
}

#[test]
fn room_is_made_for_what_has_arrived_not_for_what_is_claimed() {
    let mut reader = AnswerReader::default();
    reader.begin(64 << 20);
    reader.room(true).extend_from_slice(b"HTTP/1.1 200 X\r\ncontent-length: 60000000\r\n\r\n");
    assert!(!reader.arrived().unwrap());
    let mut have = reader.room(true).len();
    while have < 20_000_000 {
        let room = reader.room(true);
        assert!(room.capacity() <= 4 * have.max(SMALL), "{} for {have}", room.capacity());
        let spare = room.capacity() - room.len();
        room.resize(have + spare, b'a');
        have += spare;
        assert!(!reader.arrived().unwrap());
    }
}

#[test]
fn between_calls_little_is_held_and_the_next_answer_has_room_at_once() {
    let mut reader = AnswerReader::default();
    let answer = |length: usize| with_head(&format!("content-length: {length}\r\n"), &"a".repeat(length));
    let small = answer(100);
    for _ in 0..3 {
        assert_eq!(read_with(&mut reader, [small.as_bytes()]).unwrap().1.len(), 100);
        assert_eq!(reader.bytes.capacity(), SMALL, "kept, and no more than that");
    }
    let medium = answer(2 * COPIED);
    let (mut held, mut rooms) = (Vec::new(), Vec::new());
    for hold in [false, false, true, false] {
        reader.begin(LIMIT);
        fill(&mut reader, medium.as_bytes());
        let (_, body, alone) = reader.take().unwrap();
        assert!(alone && body.bytes == "a".repeat(2 * COPIED) && body.holds == SMALL);
        rooms.push(body.bytes.as_ptr());
        if hold {
            held.push(body);
        }
    }
    assert!(rooms[0] == rooms[1] && rooms[1] == rooms[2], "the room serves again");
    assert!(rooms[3] != rooms[2] && held[0].bytes == "a".repeat(2 * COPIED), "unless a part of it is held");
    let mut large = AnswerReader::default();
    large.begin(2 << 20);
    fill(&mut large, answer(1 << 20).as_bytes());
    let (_, body, alone) = large.take().unwrap();
    assert!(alone && body.bytes.len() == 1 << 20 && body.holds <= 3 << 20, "{}", body.holds);
    assert_eq!(large.bytes.capacity(), 0, "given away with the body");
    assert!(large.room(true).capacity() > 1 << 20, "the next is probably as large");
    large.rest();
    assert_eq!(large.bytes.capacity(), 0, "but nothing has come of it");
    assert_eq!(large.room(false).capacity(), SMALL);
    assert!(large.guess <= MAX_GUESS);
}

/// Feeds a reader what fits its room until the answer is complete; says what is left.
fn fill<'a>(reader: &mut AnswerReader, mut rest: &'a [u8]) -> &'a [u8] {
    loop {
        let room = reader.room(true);
        let count = rest.len().min(room.capacity() - room.len());
        room.extend_from_slice(&rest[..count]);
        rest = &rest[count..];
        if reader.arrived().unwrap() {
            return rest;
        }
    }
}

#[test]
fn what_follows_a_large_answer_is_not_where_the_next_one_arrives() {
    let rooms = Arc::new(Rooms::default());
    let length = 200_000;
    let answer = with_head(&format!("content-length: {length}\r\n"), &"a".repeat(length));
    let evil = [answer.as_bytes(), with_head("content-length: 4\r\n", "evil").as_bytes()].concat();
    let mut readers = [AnswerReader::new(rooms.clone()), AnswerReader::new(rooms)];
    for reader in &mut readers {
        // So that its next answer takes a large room.
        reader.begin(1 << 20);
        fill(reader, answer.as_bytes());
        assert!(reader.take().unwrap().2);
    }
    let [first, second] = &mut readers;
    first.begin(1 << 20);
    fill(first, &evil);
    let (_, body, alone) = first.take().unwrap();
    assert!(body.bytes.len() == length && !alone);
    drop(body);
    second.begin(1 << 20);
    for _ in 0..9 {
        assert_eq!(second.room(true).len(), 0, "nothing has arrived");
        second.rest();
    }
    fill(second, answer.as_bytes());
    assert_eq!(second.take().unwrap().1.bytes.len(), length);
}

/// hyper's reading: status and body, or `None`.
async fn read_by_hyper(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    let (mut sender, connection) = http1::handshake(TokioIo::new(ours)).await.unwrap();
    let call = async {
        let response = sender.send_request(hyper::Request::new(Empty::<Bytes>::new())).await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.into_body().collect().await.ok()?.to_bytes().to_vec()))
    };
    let serve = async {
        assert!(theirs.read(&mut [0; 1_024]).await.unwrap() > 0);
        let _ = theirs.write_all(answer).await;
        drop(theirs);
    };
    // How the connection ends is no matter: the call says what came of it.
    let (read, (), _) = tokio::join!(call, serve, connection);
    read
}

/// Whatever is read is what hyper reads; what is refused that hyper takes is refused on purpose.
fn agrees(answer: &[u8], pieces: usize) {
    let ours = read(answer.chunks(pieces.max(1)));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let theirs = runtime.block_on(read_by_hyper(answer));
    let shown = String::from_utf8_lossy(answer);
    match (ours, theirs) {
        (Ok((status, body, _)), theirs) => assert_eq!(theirs, Some((status, body)), "{shown:?}"),
        (Err(AnswerError::Length | AnswerError::TwoLengths | AnswerError::EncodingText), _)
        | (Err(AnswerError::TooLong { .. }), _)
        | (Err(_), None) => {}
        // A line feed alone, which hyper takes for the end of a line behind the chunks.
        (Err(AnswerError::Chunk), Some(_)) if answer.windows(2).any(|pair| pair[1] == b'\n' && pair[0] != b'\r') => {}
        (Err(error), Some(theirs)) => panic!("{shown:?}: {error} for {theirs:?}"),
    }
}

const STATUS_LINES: &[&str] = &[
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 404\r\n",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 204 X\r\n",
    "HTTP/1.1 100 X\r\n\r\nHTTP/1.1 200 OK\r\n",
    "HTTP/1.1 102 X\r\na: b\r\n\r\nHTTP/1.1 500 \r\n",
    "HTTP/1.1 304 X\r\n",
    "\r\nHTTP/1.1 200 OK\n",
    "HTTP/1.1 999 X\r\n",
    "HTTP/1.1 20 X\r\n",
];
const HEADERS: &[&str] = &[
    "content-length: 3\r\n",
    "Content-Length:\t3 \r\n",
    "content-length: 3,3\r\n",
    "content-length: 0\r\n",
    "content-length: 7\r\n",
    "transfer-encoding: chunked\r\n",
    "Transfer-Encoding: gzip, Chunked\r\n",
    "transfer-encoding: chunked, gzip\r\n",
    "transfer-encoding: identity\r\n",
    "connection: close\r\n",
    "connection: keep-alive\r\n",
    "x-mns-request-id: A1\r\n",
    "x-mns-request-id: B2\r\n",
    "date: x\n",
    "a:\r\n",
    "a: \x01\r\n",
    " folded\r\n",
];
const BODIES: &[&str] = &[
    "",
    "abc",
    "abcdefg",
    "3\r\nabc\r\n0\r\n\r\n",
    "1;x\r\na\r\n2 \r\nbc\r\n0\r\na: b\r\n\r\n",
    "A\r\n0123456789\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    "3\r\nabc\r\n0\r\n",
    "ffffffffffffffff\r\nabc",
    "3\r\nabcd\r\n0\r\n\r\n",
];
const PIECES: &[&[u8]] =
    &[b"\r\n", b"\n", b"\r", b"\0", b" ", b"0", b"f", b";", b":", b",", b"\xff", b"chunked", b"HTTP/1.1 200 OK\r\n"];

proptest! {
    #[test]
    fn answers_are_read_as_hyper_reads_them(
        status in select(STATUS_LINES),
        headers in vec(select(HEADERS), 0..4),
        body in select(BODIES),
        pieces in 1_usize..40,
    ) {
        agrees(format!("{status}{}\r\n{body}", headers.concat()).as_bytes(), pieces);
    }

    #[test]
    fn damaged_answers_are_read_as_hyper_reads_them(
        status in select(STATUS_LINES),
        headers in vec(select(HEADERS), 0..3),
        body in select(BODIES),
        at in any::<Index>(),
        cut in 0_usize..4,
        piece in select(PIECES),
        pieces in 1_usize..40,
    ) {
        let mut answer = format!("{status}{}\r\n{body}", headers.concat()).into_bytes();
        let at = at.index(answer.len());
        let end = (at + cut).min(answer.len());
        answer.splice(at..end, piece.iter().copied());
        agrees(&answer, pieces);
    }

    #[test]
    fn an_answer_behind_others_is_read_as_if_it_were_the_first(
        heads in vec((select(STATUS_LINES), vec(select(HEADERS), 0..3)), 1..3),
        turns in vec(
            (any::<Index>(), 0..3_000_usize, proptest::option::of((any::<Index>(), select(PIECES))), 1_usize..300),
            1..8,
        ),
    ) {
        let mut reader = AnswerReader::default();
        for (head, length, change, pieces) in turns {
            let (status, headers) = head.get(&heads);
            let head = format!("{status}{}content-length: {length}\r\n\r\n", headers.concat());
            let mut answer = (head + &"x".repeat(length)).into_bytes();
            if let Some((at, piece)) = change {
                let at = at.index(answer.len());
                answer.splice(at..at, piece.iter().copied());
            }
            let outcome = |read: Outcome| read.map(|(status, body, _)| (status, body)).map_err(|error| error.to_string());
            let behind = outcome(read_with(&mut reader, answer.chunks(pieces)));
            prop_assert_eq!(behind, outcome(read([&answer[..]])), "{}", answer.escape_ascii());
        }
    }
}
