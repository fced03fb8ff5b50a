//! Secrets stay where they were put: everything that failing runs of the real binary produce (both streams, metrics, state)
//! is searched for every secret, whole or in part, plain or encoded, and for the bodies of messages.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use headwater_mns_proto::NewMessage;
use headwater_mns_server::{Faults, Server};
use support::{Finished, Process, headwater, job, write};

/// The secrets, none of which shares eight characters with another or with anything else. They hold what URLs and base64
/// treat differently.
const SECRET: &str = "Zx9+Qw3/Er7Ty1Ui5Op8As";
const TOKEN: &str = "CAIS=k4jH2gF+6dS8aP0oI/u";
const PROXY: &str = "n5Bv7Cx9Zl1Kj3Hg";
const USERINFO: &str = "r2Et4Yu6Io8Pm0Nb";
const BODY: &str = "q7Wa9Ez1Sx3Dc5Rf";
const SECRETS: [&str; 5] = [SECRET, TOKEN, PROXY, USERINFO, BODY];

/// How many characters of a secret are too many.
const PART: usize = 8;

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = |chunk: &[u8]| chunk.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
    let digits = |three: &[u8]| {
        let bits = bits(three);
        [18, 12, 6, 0].map(|shift| char::from(ALPHABET[(bits >> shift & 63) as usize]))
    };
    bytes.chunks_exact(3).flat_map(digits).collect()
}

/// Every text that would give a part of a secret away.
fn traces(secret: &str) -> BTreeSet<String> {
    let url = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|b| if b.is_ascii_alphanumeric() { char::from(*b).to_string() } else { format!("%{b:02X}") })
            .collect::<String>()
    };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut traces = BTreeSet::new();
    for part in secret.as_bytes().windows(PART) {
        traces.insert(String::from_utf8(part.to_vec()).unwrap());
        traces.insert(url(part));
        traces.insert(url(part).to_lowercase());
        traces.insert(hex(part));
        traces.insert(hex(part).to_uppercase());
        traces.insert(part.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    }
    // In base64 a part looks different at each of three offsets; nine bytes are twelve digits at one of them.
    for part in secret.as_bytes().windows(PART + 1) {
        traces.insert(base64(part));
        traces.insert(base64(part).replace('+', "-").replace('/', "_"));
    }
    traces
}

/// What runs produced, and under which name.
#[derive(Default)]
struct Produced(Vec<(String, Vec<u8>)>);

impl Produced {
    fn add(&mut self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.0.push((name.to_owned(), bytes.into()));
    }

    fn streams(&mut self, name: &str, finished: &Finished) {
        self.add(&format!("{name}: stdout"), finished.stdout.join("\n"));
        self.add(&format!("{name}: stderr"), finished.stderr.join("\n"));
    }

    fn files(&mut self, name: &str, dir: &Path) {
        for entry in std::fs::read_dir(dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            self.add(&format!("{name}: name {}", path.display()), path.display().to_string());
            if path.is_dir() {
                self.files(name, &path);
            } else {
                self.add(&format!("{name}: {}", path.display()), std::fs::read(&path).unwrap());
            }
        }
    }

    /// Looks for everything in everything; one trace per place is enough to know.
    #[track_caller]
    fn assert_clean(&self) {
        let all: Vec<_> = SECRETS.into_iter().map(|secret| (secret, traces(secret))).collect();
        let mut found = Vec::new();
        for (place, bytes) in &self.0 {
            let text = String::from_utf8_lossy(bytes);
            for (secret, traces) in &all {
                if let Some(trace) = traces.iter().find(|trace| text.contains(trace.as_str())) {
                    let at = text.find(trace.as_str()).unwrap();
                    let around: String =
                        text[..at].chars().rev().take(150).collect::<Vec<_>>().into_iter().rev().collect();
                    found.push(format!("{secret} as {trace} in {place}: …{around}"));
                }
            }
        }
        assert!(found.is_empty(), "{} leaks:\n{}", found.len(), found.join("\n"));
        assert!(self.0.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > 1_000, "nothing was produced");
    }
}

/// A service that repeats in its answer every byte of the request, in one of several ways.
fn parrot(answer: impl Fn(&str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::Builder::new()
        .spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let head = head_of(&mut stream);
                let _ = stream.write_all(answer(&head).as_bytes());
            }
        })
        .unwrap();
    format!("http://127.0.0.1:{port}")
}

fn head_of(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

fn http(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\n{headers}connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn xml_error(code: &str, text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<Error><Code>{code}</Code><Message>{escaped}</Message><RequestId>1</RequestId><HostId>{escaped}</HostId></Error>"
    )
}

/// A secrets file that only its owner can read.
fn secrets_file(dir: &Path, lines: &str) -> String {
    let path = write(dir, "keys.txt", lines);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// A script whose source has these options beside the usual ones, with the keys from the secrets file.
fn script(dir: &Path, endpoint: &str, more: &str) -> String {
    let text = format!(
        "CREATE TABLE src (`id` BIGINT) WITH ('connector' = 'mns', 'endpoint' = '{endpoint}', 'queueName' = '{}',
            'accessKeyId' = 'testid', 'accessKeySecret' = '${{secret_values.sk}}', 'securityToken' = '${{secret_values.token}}',
            'format' = 'json', 'pollingWaitTime' = '1s'{more});
         CREATE TABLE shown (`id` BIGINT) WITH ('connector' = 'blackhole');
         INSERT INTO shown SELECT id FROM src;\n",
        job::QUEUE
    );
    write(dir, "job.sql", &text)
}

/// `headwater run` of a script with everything logged, in both forms; what it says and leaves behind is kept.
fn runs(produced: &mut Produced, name: &str, dir: &Path, job: &str, change: impl Fn(&mut Command)) -> Vec<Option<i32>> {
    let keys = secrets_file(dir, &format!("sk={SECRET}\ntoken={TOKEN}\n"));
    let mut codes = Vec::new();
    for (format, more) in [("text", ""), ("json", ""), ("text", "--dry-run")] {
        let state = dir.join(format!("state-{name}-{format}{more}"));
        let state_text = state.display().to_string();
        let mut args = vec!["run", job, "--secrets", &keys, "--state", &state_text, "--log-format", format];
        args.extend(["--until-idle", "1s", "--checkpoint-interval", "1s", "--drain-timeout", "3s"]);
        args.extend(Some(more).filter(|more| !more.is_empty()));
        let mut command = headwater(args);
        command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full");
        change(&mut command);
        let finished = Process::start(&mut command).finish();
        codes.push(finished.code);
        produced.streams(&format!("{name} ({format}{more})"), &finished);
        produced.files(name, &state);
    }
    codes
}

#[test]
fn the_search_finds_what_it_looks_for() {
    for (name, leak) in [
        ("plain", SECRET.to_owned()),
        ("a part", format!("…{}…", &TOKEN[3..11])),
        ("base64", base64(format!("a{PROXY}bc").as_bytes())),
        ("hexadecimal", USERINFO.bytes().map(|byte| format!("{byte:02X}")).collect()),
        ("of a URL", SECRET.replace('+', "%2B").replace('/', "%2F")),
        ("debugged bytes", format!("{:?}", BODY.as_bytes())),
    ] {
        let mut produced = Produced::default();
        produced.add(name, format!("{}{leak}", " ".repeat(2_000)));
        let caught = std::panic::catch_unwind(|| produced.assert_clean());
        assert!(caught.is_err(), "{name} was not found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_the_service_repeat_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let mut produced = Produced::default();
    let real = Server::builder().queue(job::QUEUE).start().await.unwrap();
    real.put(job::QUEUE, [NewMessage::new(format!("{{\"id\": \"{BODY}\"}}"))]).unwrap();
    let parrots = [
        ("denied", parrot(|head| http(403, "", &xml_error("AccessDenied", head)))),
        ("signature", parrot(|head| http(403, "", &xml_error("SignatureDoesNotMatch", head)))),
        ("unknown code", parrot(|head| http(400, "", &xml_error(&head.replace(['\r', '\n'], " "), head)))),
        ("page", parrot(|head| http(403, "", &format!("<html>{head}</html>")))),
        (
            "headers first",
            parrot(|head| {
                let token = head.lines().find(|line| line.starts_with("security-token")).unwrap_or_default().to_owned();
                http(
                    403,
                    &format!("x-mns-request-id: {token}\r\n"),
                    &format!("<html>{}{token}</html>", "x".repeat(165)),
                )
            }),
        ),
        (
            "redirect",
            parrot(|head| {
                let token = head.lines().find(|line| line.starts_with("security-token")).unwrap_or_default().to_owned();
                http(302, &format!("location: http://elsewhere.example/?{token}\r\n"), "")
            }),
        ),
        (
            "body in broken XML",
            parrot(|head| {
                let attributes = !head.contains("/messages");
                let body = if attributes {
                    xml_error("AccessDenied", "no")
                } else {
                    format!("<Messages><Message><MessageBody>{BODY} <{BODY}")
                };
                http(if attributes { 403 } else { 200 }, "", &body)
            }),
        ),
        ("nobody", "http://127.0.0.1:1".to_owned()),
    ];
    for (name, endpoint) in
        [("wrong key", real.endpoint())].into_iter().chain(parrots.iter().map(|(n, e)| (*n, e.clone())))
    {
        // What only passes is tried again for ever: a second signal is not the matter here, so those only plan.
        let job = script(dir.path(), &endpoint, "");
        if name == "nobody" {
            let keys = secrets_file(dir.path(), &format!("sk={SECRET}\ntoken={TOKEN}\n"));
            let mut command =
                headwater(["run", &job, "--secrets", &keys, "--state", dir.path().join("n").to_str().unwrap()]);
            let mut process = Process::start(command.env("RUST_LOG", "trace"));
            process.log("trying again");
            process.signal("KILL");
            produced.streams(name, &process.finish());
            continue;
        }
        let codes = runs(&mut produced, name, dir.path(), &job, |_| {});
        assert!(codes[..2].iter().all(|code| matches!(code, Some(1..=5))), "{name}: {codes:?}");
    }
    // The official variables instead of options; and commands beside `run`.
    for args in [["peek", "--queue", job::QUEUE], ["send", "--queue", job::QUEUE]] {
        for (name, endpoint) in [("real", real.endpoint()), ("parrot", parrots[0].1.clone())] {
            let mut command = headwater(
                args.iter().copied().chain(["--endpoint", &endpoint]).chain((args[0] == "send").then_some(BODY)),
            );
            command.env("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid").env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", SECRET);
            command.env("ALIBABA_CLOUD_SECURITY_TOKEN", TOKEN).env("RUST_LOG", "trace");
            let finished = Process::start(&mut command).finish().code(4);
            produced.streams(&format!("{} at {name}", args[0]), &finished);
        }
    }
    produced.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_data_and_good_runs_show_no_body() {
    let dir = tempfile::tempdir().unwrap();
    let mut produced = Produced::default();
    let server = job::server(5, Faults::default()).await;
    for (name, more, code) in [("fail", "", 5), ("skip", ", 'badRecords' = 'skip'", 0)] {
        for body in [
            format!("{{\"id\": \"{BODY}\"}}"),
            format!("{{\"id\": {BODY}}}"),
            format!("{{\"{BODY}\": \"{BODY}"),
            BODY.to_owned(),
            format!("{{\"id\": 1, \"other\": \"{BODY}\"}}"),
        ] {
            server.put(job::QUEUE, [NewMessage::new(body)]).unwrap();
        }
        let (id, secret) = job::KEY;
        let job = script(dir.path(), &server.endpoint(), more).replace("testid", id);
        let text = std::fs::read_to_string(&job).unwrap();
        std::fs::write(
            &job,
            text.replace("${secret_values.sk}", secret).replace(", 'securityToken' = '${secret_values.token}'", ""),
        )
        .unwrap();
        let codes = runs(&mut produced, name, dir.path(), &job, |_| {});
        assert_eq!(codes[1], Some(code), "{name}: {codes:?}");
    }
    produced.assert_clean();
}

#[test]
fn configuration_errors_repeat_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let mut produced = Produced::default();
    let sk = "${secret_values.sk}";
    for (name, more) in [
        ("typo", format!(", 'accessKeySecrt' = '{sk}'")),
        ("duration", format!(", 'checkpointMaxBytes' = '{sk}'")),
        ("number", format!(", 'batchSize' = '{sk}'")),
        ("choice", format!(", 'leasePolicy' = '{sk}'")),
        ("format option", format!(", 'json.timestamp-format.standard' = '{sk}'")),
        ("boolean", format!(", 'json.fail-on-missing-field' = '{sk}'")),
        ("path", format!(", 'badRecords' = 'dead-letter', 'deadLetterPath' = '/proc/{sk}'")),
        ("bad name", format!(", 'deadLetterQueue' = '{sk}', 'badRecords' = 'dead-letter'")),
        ("plain typo", format!(", 'accessKeySecrt' = '{SECRET}'")),
        ("plain token typo", format!(", 'securityTokn' = '{TOKEN}'")),
    ] {
        let job = script(dir.path(), "http://127.0.0.1:1", &more);
        let codes = runs(&mut produced, name, dir.path(), &job, |_| {});
        // A plan does not touch the path.
        assert_eq!(codes[..2], [Some(2); 2], "{name}");
    }
    for (name, endpoint) in [
        ("userinfo", format!("http://user:{USERINFO}@mns.example")),
        ("userinfo of no URL", format!("http://user:{USERINFO}@[mns.example")),
        ("userinfo without scheme", format!("user:{USERINFO}@mns.example")),
        ("query", format!("http://mns.example/?AccessKeySecret={USERINFO}")),
        ("path", format!("http://mns.example/{USERINFO}")),
        ("endpoint", sk.to_owned()),
    ] {
        let job = script(dir.path(), &endpoint, "");
        let codes = runs(&mut produced, name, dir.path(), &job, |_| {});
        assert_eq!(codes, [Some(2); 3], "{name}");
    }
    for (name, set) in [
        ("SET", format!("SET 'execution.checkpointing.interval' = '{sk}';")),
        ("SET delivery", format!("SET 'delivery' = '{sk}';")),
        ("SET zone", format!("SET 'table.local-time-zone' = '{sk}';")),
        ("SET unknown", format!("SET 'pipeline.nam' = '{sk}';")),
    ] {
        let job = script(dir.path(), "http://127.0.0.1:1", "");
        let text = std::fs::read_to_string(&job).unwrap();
        std::fs::write(&job, format!("{set}\n{text}")).unwrap();
        let codes = runs(&mut produced, name, dir.path(), &job, |_| {});
        assert_eq!(codes, [Some(2); 3], "{name}");
    }
    for (name, change) in [
        ("connector", ("'connector' = 'mns'", format!("'connector' = '{sk}'"))),
        ("format", ("'format' = 'json'", format!("'format' = '{sk}'"))),
        ("not closed", ("'format' = 'json'", format!("'format' = '{SECRET}"))),
    ] {
        let job = script(dir.path(), "http://127.0.0.1:1", "");
        let text = std::fs::read_to_string(&job).unwrap();
        std::fs::write(&job, text.replacen(change.0, &change.1, 1)).unwrap();
        let codes = runs(&mut produced, name, dir.path(), &job, |_| {});
        assert_eq!(codes, [Some(2); 3], "{name}");
    }
    produced.assert_clean();
}

#[test]
fn command_lines_and_files_that_are_wrong_repeat_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let mut produced = Produced::default();
    let job = script(dir.path(), "http://127.0.0.1:1", "");
    let definition = format!("secret_values.sk={SECRET}");
    let nameless = format!("={SECRET}");
    let assigned = format!("--access-key-secret={SECRET}");
    let typo = format!("--access-key-secrt={SECRET}");
    let endpoint = format!("--endpoint=http://user:{USERINFO}@mns.example");
    for args in [
        vec!["run", &job, "-D", &definition],
        vec!["run", &job, "-D", &nameless],
        vec!["run", &job, "-D", SECRET],
        vec!["server", "--no-auth", &assigned],
        vec!["server", &typo],
        vec!["peek", "--queue", "q", &endpoint],
        vec!["peek", "--queue", "q", "--endpoint=http://mns.example", "--access-key-id", "i", &typo],
        vec!["server", "--access-key-secret", SECRET, "--faults", "/nonexistent"],
        vec!["server", "--access-key-secret", SECRET, "--listen", "192.0.2.1:1"],
    ] {
        let finished = support::run(&args);
        assert_ne!(finished.code, Some(0), "{args:?}");
        produced.streams(&args.join(" ").replace(SECRET, "…"), &finished);
    }
    for lines in [
        format!("sk={SECRET}\n{TOKEN}\n"),
        format!("sk={SECRET}\nsk={TOKEN}\n"),
        format!("={SECRET}\n"),
        format!("sk={SECRET}\n"),
        format!("{SECRET}\n").repeat(60_000),
    ] {
        let keys = secrets_file(dir.path(), &lines);
        produced.streams("secrets file", &support::run(["run", &job, "--secrets", &keys]).code(2));
    }
    let open = write(dir.path(), "open.txt", &format!("sk={SECRET}\n"));
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
    produced.streams("open file", &support::run(["run", &job, "--secrets", &open]).code(2));
    produced.assert_clean();
}

#[test]
fn proxies_with_passwords_show_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut produced = Produced::default();
    let proxy = parrot(|head| http(403, "", &format!("<html>{head}</html>")));
    let refuses = parrot(|head| http(407, "", head));
    let with_password = |proxy: &str| proxy.replace("http://", &format!("http://user:{PROXY}@"));
    for (name, variable, value, endpoint) in [
        ("forward", "http_proxy", with_password(&proxy), "http://mns.example"),
        ("407", "HTTP_PROXY", with_password(&refuses), "http://mns.example"),
        ("socks", "http_proxy", format!("socks5://user:{PROXY}@127.0.0.1:1"), "http://mns.example"),
        ("no URL", "http_proxy", format!("http://user:{PROXY}@[127.0.0.1"), "http://mns.example"),
        ("tunnel to nobody", "https_proxy", format!("ftp://user:{PROXY}@127.0.0.1:1"), "https://mns.example"),
    ] {
        let job = script(dir.path(), endpoint, "");
        let codes = runs(&mut produced, name, dir.path(), &job, |command| {
            command.env(variable, &value);
        });
        assert!(codes[..2].iter().all(|code| matches!(code, Some(1..=5))), "{name}: {codes:?}");
    }
    produced.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_health_and_hostile_scrapers_show_nothing_and_stop_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut produced = Produced::default();
    let server = job::server(30, Faults::default()).await;
    server.put(job::QUEUE, [NewMessage::new(format!("{{\"id\": 1, \"x\": \"{BODY}\"}}"))]).unwrap();
    let job = job::to_files(dir.path(), &server.endpoint(), "");
    let state = dir.path().join("state");
    let mut process = Process::start(&mut headwater([
        "run",
        &job,
        "--state",
        state.to_str().unwrap(),
        "--metrics",
        "127.0.0.1:0",
        "--checkpoint-interval",
        "1s",
    ]));
    let line = process.log("metrics are on");
    let address = line.split("address=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    process.log("checkpoint committed");
    // Whoever hangs up half way may get no answer, so a scraper does not.
    let ask = |bytes: &[u8], hang_up: bool| {
        let mut stream = TcpStream::connect(&address).unwrap();
        let _ = stream.write_all(bytes);
        if hang_up {
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        heard
    };
    // Connections that say nothing, one byte short of all that are served at once.
    let silent: Vec<_> = (0..15).map(|_| TcpStream::connect(&address).unwrap()).collect();
    for hostile in [
        vec![0; 100_000],
        vec![b'A'; 1_000_000],
        [&b"GET /metrics HTTP/1.1\r\na: "[..], &[b'a'; 1_000_000]].concat(),
        b"POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 9223372036854775807\r\n\r\n".to_vec(),
        b"GET /../../etc/passwd HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
    ] {
        let heard = ask(&hostile, true);
        assert!(heard.is_empty() || heard.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&heard));
    }
    for path in ["/metrics", "/health"] {
        let heard = ask(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes(), false);
        assert!(heard.starts_with(b"HTTP/1.1 200"), "{path}: {}", String::from_utf8_lossy(&heard));
        produced.add(path, heard);
    }
    drop(silent);
    process.signal("TERM");
    produced.streams("run", &process.finish().code(0));
    produced.files("state", &state);
    produced.assert_clean();
}
