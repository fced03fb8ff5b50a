//! Time-outs, limits and retries of a client, with the reasons for their defaults.

use std::time::Duration;

/// How a client behaves. The defaults suit a consumer in the region of its queue and across regions alike.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ClientSettings {
    /// How long to try for a connection, TLS and proxy included. Default 5 s: inside a region it takes milliseconds,
    /// and a lost SYN is repeated after 1 s and 3 s.
    pub connect_timeout: Duration,
    /// How long one attempt of a call that does not wait for messages may take. Default 10 s: the service answers in
    /// milliseconds, and holds a throttled call for about half a second.
    pub call_timeout: Duration,
    /// How much longer than its wait a receive may take. Default 5 s, the margin of the official Go client (35 s for
    /// the longest wait of 30 s).
    pub receive_margin: Duration,
    /// How often a call is tried at most, the first time included. Default 4: the official Java client repeats three
    /// times.
    pub max_attempts: u32,
    /// The pause before the first repetition; it doubles with each. Default 200 ms.
    pub first_backoff: Duration,
    /// The longest pause between repetitions. Default 5 s.
    pub max_backoff: Duration,
    /// How many repetitions there may be in a row, over all calls, without a success in between: a service in trouble
    /// is not helped by every call being made four times. A repetition takes one from the budget, a success gives a
    /// tenth back. Default 50.
    pub retry_budget: u32,
    /// How many connections may be open at once for receives, which are parked for most of their time. Default 64: a
    /// process with more pollers than that is better split.
    pub max_connections: u32,
    /// How many connections may be open at once for all other calls; they are opened as they are needed. Default 160: as many deletes as
    /// there are receives, as many extensions, and room for releases, sends and attributes. Fewer only make these wait for each other, never for a receive.
    pub max_call_connections: u32,
    /// How long an unused connection is kept. Default 30 s: less than common idle limits of servers and of address
    /// translation (60 s and more), so that a connection is rarely found closed.
    pub idle_timeout: Duration,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(10),
            receive_margin: Duration::from_secs(5),
            max_attempts: 4,
            first_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(5),
            retry_budget: 50,
            max_connections: 64,
            max_call_connections: 160,
            idle_timeout: Duration::from_secs(30),
        }
    }
}
