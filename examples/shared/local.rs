//! For the examples: a local MNS with a queue and some messages in it. With an account, use its endpoint and
//! `Credentials::from_env()` instead.

use std::error::Error;

use headwater::Credentials;
use headwater_mns_client::proto::NewMessage;
use headwater_mns_server::{Server, ServerHandle};

/// A server with one queue that holds `bodies`, and credentials it takes.
pub(crate) async fn server_with(queue: &str, bodies: &[&str]) -> Result<(ServerHandle, Credentials), Box<dyn Error>> {
    let server = Server::builder().queue(queue).start().await?;
    server.put(queue, bodies.iter().map(|body| NewMessage::new(*body)))?;
    Ok((server, Credentials::key("testid", "testsecret")))
}
