//! One numbered entry of the log, and its bytes.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::lines::{Builder, Flaw, Parsed, VERSION, item, item_text, items, may_need_sealing, seal_text};
use crate::ring::KeyRing;
use crate::seal::check_sealable;
use crate::{DataKeys, Event, Result};

/// One entry of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Format version.
    pub version: u64,
    /// Its position; the first is 1.
    pub seq: u64,
    /// Hash of the previous entry's bytes; empty in the first.
    pub prev: String,
    /// The epoch under which it was appended.
    pub epoch: u64,
    /// Who appended it: one id per writer.
    pub writer: Uuid,
    /// When.
    pub time: jiff::Timestamp,
    /// The stack that it belongs to; empty in entries of format version 1, which do not say.
    pub stack: String,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// Hash of its bytes, or of those of the lost entry whose place it takes; the next entry's `prev`.
    pub hash: String,
}

impl Entry {
    /// Of a placeholder: where state goes on.
    pub(crate) fn resume(&self) -> Option<u64> {
        self.events.iter().find_map(|event| match event {
            Event::Lost { resume } => Some(*resume),
            _ => None,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Header {
    pub version: u64,
    pub seq: u64,
    pub prev: String,
    pub epoch: u64,
    pub writer: Uuid,
    pub time: jiff::Timestamp,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stack: String,
    /// Of a placeholder: the hash of the lost entry in whose place it stands, where the entry after it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stands_for: Option<String>,
}

const EVENTS: &str = "events";

/// Runs what would hold up an async task on a thread of its own; right here where there is no runtime to hold up.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    if tokio::runtime::Handle::try_current().is_err() {
        return work();
    }
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| crate::Error::Closed { why: format!("a background thread failed: {error}") })?
}

/// Where an entry goes and who appends it.
pub(crate) struct Place<'a> {
    pub stack: &'a str,
    pub seq: u64,
    pub prev: &'a str,
    pub epoch: u64,
    pub writer: Uuid,
    pub time: jiff::Timestamp,
}

/// An entry's bytes beside the entry itself.
pub(crate) struct Encoded {
    pub entry: Entry,
    pub bytes: bytes::Bytes,
    /// The data key that this entry installs before everything else, once it is durable.
    pub installs: Option<DataKeys>,
}

/// Checks one caller's events by themselves, so that what cannot be recorded fails that call alone.
pub(crate) fn texts(events: &[Event]) -> Result<Vec<String>> {
    let text = |event: &Event| {
        let text = item_text(event)?;
        if may_need_sealing(&text) {
            let tree: serde_json::Value = serde_json::from_str(&text)
                .map_err(|error| crate::Error::Unrecordable { why: error.to_string() })?;
            check_sealable(&tree)?;
        }
        Ok(text)
    };
    events.iter().map(text).collect()
}

/// The bytes of an entry, secrets sealed; the data key is made when this is the first secret.
/// `texts` are the events' JSON, in the clear.
pub(crate) async fn encode(
    place: Place<'_>,
    mut events: Vec<Event>,
    texts: &[String],
    ring: &KeyRing,
) -> Result<Encoded> {
    let secret = |text: &String| {
        may_need_sealing(text)
            && serde_json::from_str(text).is_ok_and(|tree: serde_json::Value| crate::holds_secret(&tree))
    };
    let needed = ring.data.is_empty() && texts.iter().any(secret);
    let made = if needed { Some(ring.make().await?) } else { None };
    let header = Header {
        version: VERSION,
        seq: place.seq,
        prev: place.prev.to_owned(),
        epoch: place.epoch,
        writer: place.writer,
        time: place.time,
        stack: place.stack.to_owned(),
        stands_for: None,
    };
    let mut builder = Builder::new(&header)?;
    builder.section(EVENTS);
    let mut installs = None;
    if let Some((data, event)) = made {
        builder.item(&item_text(&event)?);
        events.insert(0, event);
        installs = Some(data);
    }
    let keys = installs.as_ref().unwrap_or(&ring.data);
    for text in texts {
        builder.item(&seal_text(text, keys)?);
    }
    let (bytes, hash) = builder.finish();
    let Header { version, seq, prev, epoch, writer, time, stack, .. } = header;
    let entry = Entry { version, seq, prev, epoch, writer, time, stack, events, hash };
    Ok(Encoded { entry, bytes: bytes.into(), installs })
}

/// The bytes of a placeholder: an entry in the place of one that was lost, and the hash of these bytes.
pub(crate) fn placeholder(
    place: Place<'_>,
    stands_for: Option<String>,
    event: &Event,
) -> Result<(bytes::Bytes, String)> {
    let mut builder = Builder::new(&Header {
        version: VERSION,
        seq: place.seq,
        prev: place.prev.to_owned(),
        epoch: place.epoch,
        writer: place.writer,
        time: place.time,
        stack: place.stack.to_owned(),
        stands_for,
    })?;
    builder.section(EVENTS);
    builder.item(&item_text(event)?);
    let (bytes, hash) = builder.finish();
    Ok((bytes.into(), hash))
}

/// The events that can still be read in an object that is damaged: one stands on each line. None of them is proven.
pub(crate) fn salvage(bytes: &[u8], keys: &DataKeys) -> Vec<Event> {
    let lines = bytes.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    lines.filter_map(|line| item(line.strip_suffix(',').unwrap_or(line), keys).ok()).collect()
}

/// What stands at the head of an entry, without its events; and its hash.
pub(crate) fn decode_header(bytes: &[u8]) -> Result<(Header, String), Flaw> {
    let parsed = Parsed::new(bytes)?;
    let header: Header = parsed.header()?;
    let hash = header.stands_for.clone().unwrap_or(parsed.hash);
    Ok((header, hash))
}

/// Reads an entry. Its secrets open with the ring's data keys; the ring takes over a key that the entry installs.
///
/// The outer error is the key's: a wrong one is no damage of the log.
pub(crate) async fn decode(bytes: &[u8], ring: &mut KeyRing) -> Result<Result<Entry, Flaw>> {
    let parsed = match Parsed::new(bytes) {
        Ok(parsed) => parsed,
        Err(flaw) => return Ok(Err(flaw)),
    };
    if let Some(key) = installed_key(&parsed).filter(|key| !ring.covers(key)) {
        ring.install(&key).await?;
    }
    Ok(read(&parsed, &ring.data))
}

/// The key that an entry installs, if it is whole and installs one.
pub(crate) fn key_of(bytes: &[u8]) -> Option<crate::WrappedKey> {
    installed_key(&Parsed::new(bytes).ok()?)
}

/// Reads an entry without any key: what it tells of leases, of the log itself and of transfers, and nothing else.
pub(crate) fn skim(bytes: &[u8]) -> Result<Entry, Flaw> {
    let parsed = Parsed::new(bytes)?;
    let plain = |line: &str| -> Option<Event> {
        let event = match line.contains("\"$sealed\"") {
            // What was sent may hold secrets; that it was does not.
            true => sent(line)?,
            false => item(line, &DataKeys::default()).ok()?,
        };
        match event {
            Event::Sent { transfer, to, .. } => Some(Event::Sent { transfer, to, edit: Box::default() }),
            Event::LeaseAcquired { .. }
            | Event::LeaseRenewed { .. }
            | Event::LeaseReleased
            | Event::LeaseBroken { .. }
            | Event::Compacted { .. }
            | Event::Lost { .. }
            | Event::Repaired(_)
            | Event::Migrated { .. } => Some(event),
            _ => None,
        }
    };
    let events = parsed.section(EVENTS).into_iter().filter_map(plain).collect();
    let Header { version, seq, prev, epoch, writer, time, stack, stands_for } = parsed.header()?;
    let hash = stands_for.unwrap_or_else(|| parsed.hash.clone());
    Ok(Entry { version, seq, prev, epoch, writer, time, stack, events, hash })
}

fn sent(line: &str) -> Option<Event> {
    #[derive(Deserialize)]
    struct Sent {
        r#type: String,
        transfer: Uuid,
        to: String,
    }
    let Sent { r#type, transfer, to } = serde_json::from_str(line).ok()?;
    (r#type == "sent").then(|| Event::Sent { transfer, to, edit: Box::default() })
}

/// The key that an entry installs, if it installs one.
pub(crate) fn installed_key<T: AsRef<[u8]>>(parsed: &Parsed<T>) -> Option<crate::WrappedKey> {
    // Inside a text the quotes would be escaped.
    let line = parsed.section(EVENTS).into_iter().find(|line| line.contains("\"type\":\"keyInstalled\""))?;
    match item::<Event>(line, &DataKeys::default()) {
        Ok(Event::KeyInstalled { key }) => Some(key),
        _ => None,
    }
}

/// Reads an entry whose bytes are whole.
pub(crate) fn read<T: AsRef<[u8]>>(parsed: &Parsed<T>, keys: &DataKeys) -> Result<Entry, Flaw> {
    let Header { version, seq, prev, epoch, writer, time, stack, stands_for } = parsed.header()?;
    let events = items(&parsed.section(EVENTS), keys)?;
    let hash = stands_for.unwrap_or_else(|| parsed.hash.clone());
    Ok(Entry { version, seq, prev, epoch, writer, time, stack, events, hash })
}
