//! Bodies: what was sent is what comes, byte for byte.

use super::bench::Bench;
use super::harness::QueueHarness;
use crate::trial::{Halt, ensure, trials};

trials!(dyn QueueHarness, Bench: [
    a_plain_body_survives,
    an_empty_body_survives,
    unicode_survives,
    what_xml_escapes_survives,
    what_looks_escaped_survives,
    leading_and_trailing_whitespace_survives,
    every_line_end_survives,
    what_looks_like_base64_survives,
    a_body_of_the_largest_size_survives,
    the_same_body_twice_is_two_messages,
]);

async fn a_plain_body_survives(bench: &Bench) -> Result<(), Halt> {
    bench.round_trip(r#"{"id": 1, "name": "a"}"#).await
}

async fn an_empty_body_survives(bench: &Bench) -> Result<(), Halt> {
    if !bench.settings.empty_bodies {
        return Err(Halt::skipped("the queue takes no empty body"));
    }
    bench.round_trip("").await
}

async fn unicode_survives(bench: &Bench) -> Result<(), Halt> {
    // Two, three and four bytes of UTF-8, a combining mark, a byte order mark in the middle, the last code points that
    // XML can carry.
    bench.round_trip("é 消息 🚰 e\u{301} a\u{feff}b \u{fffd} \u{10fffd}").await
}

async fn what_xml_escapes_survives(bench: &Bench) -> Result<(), Halt> {
    bench.round_trip("<a b=\"c\" d='e'>&</a> ]]> <![CDATA[x]]> <!-- y --> <?z?>").await
}

async fn what_looks_escaped_survives(bench: &Bench) -> Result<(), Halt> {
    bench.round_trip("&amp; &lt; &#38; &#x3c; %26 %3C \\u0026 &unknown;").await
}

async fn leading_and_trailing_whitespace_survives(bench: &Bench) -> Result<(), Halt> {
    bench.round_trip(" \t a  b \t ").await?;
    bench.round_trip("   ").await
}

async fn every_line_end_survives(bench: &Bench) -> Result<(), Halt> {
    bench.round_trip("\na\nb\r\nc\rd\n\r\n").await
}

async fn what_looks_like_base64_survives(bench: &Bench) -> Result<(), Halt> {
    bench.round_trip("dGVzdA==").await
}

async fn a_body_of_the_largest_size_survives(bench: &Bench) -> Result<(), Halt> {
    let size = usize::try_from(bench.queue.capabilities().max_message_bytes).unwrap_or(usize::MAX).min(1 << 20);
    let body: String = "0123456789abcde\n".chars().cycle().take(size).collect();
    bench.round_trip(&body).await
}

async fn the_same_body_twice_is_two_messages(bench: &Bench) -> Result<(), Halt> {
    let (first, second) = (bench.send("a").await?, bench.send("a").await?);
    ensure!(first != second, "two messages with the same id {first}");
    let messages = super::bench::by_id(bench.receive(2).await?)?;
    ensure!(messages.len() == 2, "{} messages", messages.len());
    Ok(())
}

impl Bench {
    async fn round_trip(&self, body: &str) -> Result<(), Halt> {
        let message = self.lease_one(body).await?;
        let at = message.body.iter().zip(body.as_bytes()).take_while(|(came, sent)| came == sent).count();
        ensure!(
            message.body == body.as_bytes(),
            "{} bytes were sent, {} came; they differ from byte {at} on",
            body.len(),
            message.body.len()
        );
        Ok(())
    }
}
