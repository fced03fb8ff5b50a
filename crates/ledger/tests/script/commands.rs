//! The commands of a script.

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_ledger::{
    CheckpointId, DeleteBatch, DeleteOutcome, DeleteToken, Delivery, ExtendOutcome, Grant, Handle, Ledger, Limits,
    LogLimits, MessageKey, Mono, ServerMs, Snapshot, Ticket, Violation,
};

type Answer = Result<Vec<String>, String>;

/// What a script acts on: one ledger after another, a clock, and the snapshots taken so far.
#[derive(Default)]
pub(crate) struct Stage {
    ledger: Option<Ledger>,
    limits: Limits,
    now: Mono,
    snapshots: BTreeMap<CheckpointId, Snapshot>,
    // Ids by key, to be able to print them.
    names: BTreeMap<MessageKey, String>,
    // Ids that some committed snapshot held: the script's own record of what may be deleted (G1).
    committed: Vec<MessageKey>,
}

impl Stage {
    pub(crate) fn check(&self) -> Result<(), Violation> {
        self.ledger.as_ref().map_or(Ok(()), Ledger::check)
    }

    /// Carries out one command.
    pub(crate) fn obey(&mut self, line: &str) -> Answer {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let words: Vec<&str> = rest.split_whitespace().collect();
        match verb {
            "ledger" => self.start(&words),
            "crash" => {
                self.ledger = Some(Ledger::new(self.limits.clone(), self.now).map_err(|e| format!("{e:?}"))?);
                Ok(vec![])
            }
            "at" => self.set_clock(Mono(duration(rest)?)),
            "after" => self.set_clock(self.now + duration(rest)?),
            "receive" | "answer" | "abandon" | "hand-out" | "leave" | "retract" | "full" => {
                self.receiving(verb, &words)
            }
            "due" | "announce" | "deadline" | "barrier" | "commit" | "abort" | "restore" => {
                self.checkpoints(verb, &words)
            }
            "deletes" | "deleted" | "release" | "released" => self.deleting(verb, &words),
            "extends" | "extended" | "extend-lease" => self.extending(verb, &words),
            "log-durable" | "log-replayed" | "log-out" | "log-used" | "log-kept" | "log-recall" | "log" => {
                self.logging(verb, &words)
            }
            "tick" => {
                let server = words.first().map(|w| server_time(w)).transpose()?;
                let now = self.now;
                let forgotten = self.ledger()?.tick(now, server);
                Ok(if forgotten == 0 { vec![] } else { vec![format!("forgot {forgotten}")] })
            }
            "retention" => {
                let retention = duration(rest)?;
                self.ledger()?.note_retention(retention);
                Ok(vec![])
            }
            "state" => self.state(),
            "counts" => self.counts(),
            _ => Err(format!("no command named {verb}")),
        }
    }

    fn ledger(&mut self) -> Result<&mut Ledger, String> {
        self.ledger.as_mut().ok_or_else(|| "a script begins with > ledger".into())
    }

    fn set_clock(&mut self, now: Mono) -> Answer {
        if now < self.now {
            return Err("the clock does not go back".into());
        }
        self.now = now;
        Ok(vec![])
    }

    fn start(&mut self, words: &[&str]) -> Answer {
        let mut limits = Limits::default();
        limits.shards = 1;
        for word in words {
            let (name, value) = word.split_once('=').ok_or_else(|| format!("{word}: name=value"))?;
            set_limit(&mut limits, name, value)?;
        }
        *self = Self { now: self.now, ..Self::default() };
        match Ledger::new(limits.clone(), self.now) {
            Ok(ledger) => self.ledger = Some(ledger),
            Err(errors) => return Ok(errors.iter().map(ToString::to_string).collect()),
        }
        self.limits = limits;
        Ok(vec![])
    }

    fn receiving(&mut self, verb: &str, words: &[&str]) -> Answer {
        let now = self.now;
        match verb {
            "receive" => Ok(vec![match self.ledger()?.begin_receive(now) {
                Ok(Grant { ticket, max_messages, screening }) => {
                    let screening = if screening { ", screening" } else { "" };
                    format!("t{}, up to {max_messages}{screening}", ticket.0)
                }
                Err(blocked) => format!("no: {blocked:?}").to_lowercase(),
            }]),
            "answer" => {
                let ticket = Ticket(number(words.first(), 't')?);
                let deliveries = words[1..].iter().map(|w| self.delivery(w)).collect::<Result<Vec<_>, _>>()?;
                let verdicts = self.ledger()?.screen(ticket, deliveries.clone());
                if verdicts.len() != deliveries.len() {
                    return Ok(vec!["not read".into()]);
                }
                let said = deliveries.iter().zip(verdicts).map(|(d, v)| format!("{} {v:?}", self.names[&d.key]));
                Ok(list(said.map(|s| s.to_lowercase())))
            }
            "abandon" => {
                let ticket = Ticket(number(words.first(), 't')?);
                self.ledger()?.abandon(ticket);
                Ok(vec![])
            }
            "hand-out" => {
                let keys: Vec<_> = words.iter().map(|w| MessageKey::of(w)).collect();
                self.ledger()?.hand_out(&keys);
                Ok(vec![])
            }
            "leave" => {
                words.iter().try_for_each(|w| self.ledger().map(|l| l.leave(MessageKey::of(w))))?;
                Ok(vec![])
            }
            "retract" => {
                let taken = words.iter().map(|w| {
                    let taken = self.ledger()?.retract(MessageKey::of(w));
                    Ok(format!("{w} {}", if taken { "taken back" } else { "stays" }))
                });
                Ok(list(taken.collect::<Result<Vec<_>, String>>()?.into_iter()))
            }
            _ => Ok(vec![self.ledger()?.full_for(now).map_or("not full".into(), |d| format!("full for {d:?}"))]),
        }
    }

    fn logging(&mut self, verb: &str, words: &[&str]) -> Answer {
        let now = self.now;
        let keys: Vec<_> = words.iter().map(|w| MessageKey::of(w)).collect();
        let weighed: Vec<_> = keys.iter().map(|key| (*key, 100)).collect();
        match verb {
            "log-durable" => {
                let used = self.ledger()?.log_counts().used + weighed.iter().map(|(_, bytes)| bytes).sum::<u64>();
                self.ledger()?.log_durable(&weighed, used);
                // Committed in the other sense of G1.
                self.committed.extend(keys);
            }
            "log-replayed" => self.ledger()?.log_replayed(&weighed),
            "log-out" => self.ledger()?.hand_out_logged(&keys),
            "log-used" => {
                let used = words.first().and_then(|w| w.parse().ok()).ok_or("how many bytes?")?;
                self.ledger()?.note_log_used(used);
            }
            "log-kept" => {
                let kept = words.first().and_then(|w| w.parse().ok()).ok_or("how many bytes?")?;
                self.ledger()?.note_kept(kept);
            }
            "log-recall" => {
                let end = words.iter().position(|w| *w == "deleted").unwrap_or(words.len());
                for word in &words[..end] {
                    let delivery = self.delivery(word)?;
                    self.ledger()?.recall(&delivery, now);
                    self.committed.push(delivery.key);
                }
                keys[end..].iter().try_for_each(|key| self.ledger().map(|l| l.recall_deleted(*key, now)))?;
                self.ledger()?.recall_done();
            }
            _ => {
                let c = self.ledger()?.log_counts();
                let all = [
                    (c.used, "used"),
                    (c.waiting, "waiting"),
                    (c.waiting_bytes, "waiting bytes"),
                    (c.uncommitted, "uncommitted"),
                    (c.uncommitted_bytes, "uncommitted bytes"),
                    (self.ledger()?.held_bytes(), "held"),
                ];
                return Ok(list(all.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"))));
            }
        }
        Ok(vec![])
    }

    fn checkpoints(&mut self, verb: &str, words: &[&str]) -> Answer {
        let now = self.now;
        let id = || words.first().and_then(|w| w.parse().ok()).map(CheckpointId).ok_or("which checkpoint?");
        let reason = |r: Option<headwater_ledger::DueReason>| vec![r.map_or("none", |r| r.as_str()).to_owned()];
        match verb {
            "due" => Ok(reason(self.ledger()?.checkpoint_due(now))),
            "announce" => Ok(reason(self.ledger()?.announce_checkpoint(now))),
            "deadline" => Ok(vec![
                self.ledger()?
                    .next_deadline()
                    .map_or("none".into(), |at| format!("{:?}", at.since(Mono(Duration::ZERO)))),
            ]),
            "barrier" => {
                let id = id()?;
                let later = words.iter().position(|w| *w == "before").map_or(&[][..], |at| &words[at + 1..]);
                let later: Vec<_> = later.iter().map(|w| MessageKey::of(w)).collect();
                let taken = self.ledger()?.barrier_before(id, &later, now);
                Ok(match taken {
                    Ok(snapshot) => {
                        let described = self.describe(&snapshot)?;
                        self.snapshots.insert(id, snapshot);
                        described
                    }
                    Err(error) => vec![error.to_string()],
                })
            }
            "commit" => {
                let id = id()?;
                if let Err(error) = self.ledger()?.commit(id) {
                    return Ok(vec![error.to_string()]);
                }
                for (_, snapshot) in self.snapshots.range(..=id) {
                    let mut ledger = Ledger::new(Limits::default(), now).map_err(|e| format!("{e:?}"))?;
                    ledger.restore(snapshot.checkpoint, &snapshot.segments, now).map_err(|e| e.to_string())?;
                    self.committed.extend(ledger.ids().iter().map(|view| view.key));
                }
                Ok(vec![])
            }
            "abort" => {
                let id = id()?;
                self.ledger()?.abort(id, now);
                Ok(vec![])
            }
            _ => {
                let id = id()?;
                let from = words.get(2).and_then(|w| w.parse().ok()).map_or(id, CheckpointId);
                let snapshot = self.snapshots.get(&from).cloned().ok_or("no such snapshot")?;
                let restored = self.ledger()?.restore(id, &snapshot.segments, now);
                Ok(restored.err().map(|e| e.to_string()).into_iter().collect())
            }
        }
    }

    /// What a restart would find in a snapshot: which segments, and each id with its checkpoint and handle.
    fn describe(&self, snapshot: &Snapshot) -> Answer {
        let mut ledger = Ledger::new(Limits::default(), self.now).map_err(|e| format!("{e:?}"))?;
        ledger.restore(snapshot.checkpoint, &snapshot.segments, self.now).map_err(|e| e.to_string())?;
        let ids = ledger.ids().into_iter().map(|view| {
            let handle = view.handle.map_or("-".to_owned(), |h| h.as_str().to_owned());
            format!("{} {}@{} {handle}", self.names[&view.key], view.stage, view.checkpoint.map_or(0, |c| c.0))
        });
        let segments = format!("base + {}", snapshot.segments.len() - 1);
        let mut ids: Vec<String> = ids.collect();
        ids.sort();
        Ok([vec![segments], ids].concat())
    }

    fn deleting(&mut self, verb: &str, words: &[&str]) -> Answer {
        let now = self.now;
        match verb {
            "deletes" => {
                let Some(DeleteBatch { token, handles, keys }) = self.ledger()?.next_deletes(now) else {
                    return Ok(vec!["nothing".into()]);
                };
                for key in keys.iter() {
                    if !self.committed.contains(key) {
                        return Err(format!(
                            "G1: {} is deleted, and no committed checkpoint holds it",
                            self.names[key]
                        ));
                    }
                }
                let handles = handles.iter().map(|handle| handle.as_str()).collect::<Vec<_>>();
                Ok(vec![format!("d{}: {}", token.0, handles.join(" "))])
            }
            "deleted" => {
                let token = DeleteToken(number(words.first(), 'd')?);
                let outcomes = words[1..].iter().map(|w| outcome(w)).collect::<Result<Vec<_>, _>>()?;
                let report = self.ledger()?.delete_done(token, &outcomes, now);
                let parts = [
                    (report.confirmed, "confirmed"),
                    (report.stale, "stale"),
                    (report.retried, "retried"),
                    (report.given_up, "given up"),
                ];
                Ok(list(parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"))))
            }
            "release" if !words.is_empty() => {
                let released = words.iter().map(|w| Ok(self.ledger()?.release(MessageKey::of(w))));
                let released = released.collect::<Result<Vec<_>, String>>()?;
                Ok(list(released.into_iter().flatten().map(|r| r.handle.as_str().to_owned())))
            }
            "release" => {
                let released = self.ledger()?.release_all();
                let mut handles: Vec<_> = released.iter().map(|r| r.handle.as_str().to_owned()).collect();
                handles.sort();
                Ok(list(handles.into_iter()))
            }
            _ => {
                words.iter().try_for_each(|w| self.ledger().map(|l| l.release_done(MessageKey::of(w))))?;
                Ok(vec![])
            }
        }
    }

    /// `extended a ok a.1+1(lease=60s)`: the answer to an extension of `a`, with its new handle.
    fn extending(&mut self, verb: &str, words: &[&str]) -> Answer {
        let now = self.now;
        if verb == "extends" {
            let max = words.first().map_or(Ok(usize::MAX), |w| w.parse()).map_err(|_| "how many at most?")?;
            let extends = self.ledger()?.next_extends(now, max);
            return Ok(list(extends.iter().map(|e| e.handle.as_str().to_owned())));
        }
        if verb == "extend-lease" {
            let lease = words.first().filter(|w| **w != "none").map(|w| duration(w)).transpose()?;
            self.limits.extend_lease = lease;
            self.ledger()?.set_extend_lease(lease);
            return Ok(vec![]);
        }
        let key = words.first().map(|w| MessageKey::of(w)).ok_or("which id?")?;
        let outcome = match words.get(1) {
            Some(&"ok") => {
                let Delivery { handle, next_visible, lease_end, .. } =
                    self.delivery(words.get(2).ok_or("with which handle?")?)?;
                ExtendOutcome::Extended { handle, next_visible, lease_end }
            }
            Some(&"gone") => ExtendOutcome::Gone,
            Some(&"failed") => ExtendOutcome::Failed,
            Some(&"unknown") => ExtendOutcome::Unknown,
            Some(&"denied") => ExtendOutcome::Denied,
            _ => return Err("ok, gone, failed, unknown or denied".into()),
        };
        self.ledger()?.extend_done(key, outcome, now);
        Ok(vec![])
    }

    fn state(&mut self) -> Answer {
        let views = self.ledger()?.ids();
        let lines = views.into_iter().map(|view| {
            let place = view.checkpoint.map_or(String::new(), |c| format!("@{}", c.0));
            let handle = view.handle.map_or("-".to_owned(), |h| h.as_str().to_owned());
            format!("{} {}{place} {handle} {}", self.names[&view.key], view.stage, view.doing).trim().to_owned()
        });
        let mut lines: Vec<String> = lines.collect();
        lines.sort();
        Ok(if lines.is_empty() { vec!["empty".into()] } else { lines })
    }

    fn counts(&mut self) -> Answer {
        let c = self.ledger()?.counts();
        let all = [
            (c.receives, "receives"),
            (c.reserved, "reserved"),
            (c.reserved_bytes, "reserved bytes"),
            (c.buffered, "buffered"),
            (c.uncommitted, "uncommitted"),
            (c.held_bytes, "held bytes"),
            (c.deletable, "deletable"),
            (c.unconfirmed, "unconfirmed"),
            (c.deleted, "deleted"),
        ];
        Ok(list(all.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"))))
    }

    /// `a.2(lease=30s,bytes=100)`: the second delivery of message `a`, with the handle `a.2`. `a.2+1`: after it was extended once.
    fn delivery(&mut self, word: &str) -> Result<Delivery, String> {
        let (head, options) = word.strip_suffix(')').and_then(|w| w.split_once('(')).unwrap_or((word, ""));
        let (name, count) = head.split_once('.').ok_or_else(|| format!("{word}: name.count"))?;
        let key = MessageKey::of(name);
        self.names.insert(key, name.to_owned());
        let mut delivery = Delivery {
            key,
            handle: Handle::new(head),
            dequeue_count: count
                .split('+')
                .next()
                .unwrap_or(count)
                .parse()
                .map_err(|_| format!("{word}: which delivery?"))?,
            next_visible: ServerMs(0),
            enqueued: ServerMs(1000),
            lease_end: None,
            bytes: 10,
        };
        for option in options.split(',').filter(|o| !o.is_empty()) {
            let (name, value) = option.split_once('=').ok_or_else(|| format!("{option}: name=value"))?;
            let integer = || value.parse::<u64>().map_err(|_| format!("{option}: a number"));
            match name {
                "lease" => delivery.lease_end = Some(Mono(duration(value)?)),
                "bytes" => delivery.bytes = integer()?,
                "count" => delivery.dequeue_count = u32::try_from(integer()?).map_err(|e| e.to_string())?,
                "visible" => delivery.next_visible = ServerMs(i64::try_from(integer()?).map_err(|e| e.to_string())?),
                "sent" => delivery.enqueued = server_time(value)?,
                _ => return Err(format!("{option}: no such option of a delivery")),
            }
        }
        Ok(delivery)
    }
}

fn list(parts: impl Iterator<Item = String>) -> Vec<String> {
    let all = parts.collect::<Vec<_>>().join(", ");
    if all.is_empty() { vec!["none".into()] } else { vec![all] }
}

fn number(word: Option<&&str>, letter: char) -> Result<u64, String> {
    let digits = word.and_then(|w| w.strip_prefix(letter)).and_then(|w| w.parse().ok());
    digits.ok_or_else(|| format!("expected {letter} and a number"))
}

fn outcome(word: &str) -> Result<DeleteOutcome, String> {
    Ok(match word {
        "ok" => DeleteOutcome::Deleted,
        "stale" => DeleteOutcome::Stale,
        "failed" => DeleteOutcome::Failed,
        "unknown" => DeleteOutcome::Unknown,
        _ => return Err(format!("{word}: ok, stale, failed or unknown")),
    })
}

fn duration(word: &str) -> Result<Duration, String> {
    let digits = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
    let (number, unit) = word.split_at(digits);
    let number: u64 = number.parse().map_err(|_| format!("{word}: a duration such as 500ms, 10s, 5m, 2h, 7d"))?;
    let ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(format!("{word}: ms, s, m, h or d")),
    };
    Ok(Duration::from_millis(number * ms))
}

/// The queue's clock in a script begins at 0.
fn server_time(word: &str) -> Result<ServerMs, String> {
    i64::try_from(duration(word)?.as_millis()).map(ServerMs).map_err(|e| e.to_string())
}

fn set_limit(limits: &mut Limits, name: &str, value: &str) -> Result<(), String> {
    let integer = || value.parse::<u64>().map_err(|_| format!("{name}={value}: a number"));
    let small = || integer().and_then(|n| u32::try_from(n).map_err(|e| e.to_string()));
    match name {
        "batch" => (limits.batch_max, limits.delete_max) = (small()?, small()?),
        "undeleted" => limits.undeleted_max = small()?,
        "bytes" => limits.bytes_max = integer()?,
        "message-bytes" => limits.message_bytes_max = integer()?,
        "checkpoint-messages" => limits.checkpoint_max_messages = small()?,
        "checkpoint-bytes" => limits.checkpoint_max_bytes = integer()?,
        "interval" => limits.checkpoint_interval = duration(value)?,
        "retry" => limits.checkpoint_retry = duration(value)?,
        "lease-margin" => limits.lease_margin = duration(value)?,
        "extend-lease" => limits.extend_lease = Some(duration(value)?),
        "hold" => limits.hold_max = duration(value)?,
        "ledger-ids" => limits.ledger_max_ids = small()?,
        "grace" => limits.grace = duration(value)?,
        "grace-ids" => limits.grace_max_ids = small()?,
        "delete-retries" => limits.delete_max_retries = small()?,
        "delete-pause" => limits.delete_retry_pause = duration(value)?,
        "retention" => limits.retention = duration(value)?,
        "stale-is-error" => limits.stale_delete_is_error = value == "yes",
        "deltas" => limits.deltas_max = small()?,
        "shards" => limits.shards = small()?,
        "log" => {
            let mut log = LogLimits::new(integer()?);
            log.record_overhead = 0;
            limits.log = Some(log);
        }
        _ => return Err(format!("no limit named {name}")),
    }
    Ok(())
}
