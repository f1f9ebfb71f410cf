//! The sizes that the API server and etcd refuse, found before anything is sent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plinth_provider::{Error, Path, Result, Value};

use crate::kind::Gvk;

const DATA: usize = 1_048_576;
const ANNOTATIONS: usize = 262_144;
const OBJECT: usize = 1_572_864;

pub(super) fn check(gvk: &Gvk, object: &Value) -> Result<()> {
    if gvk.is("", "ConfigMap") || gvk.is("", "Secret") {
        let size =
            data_size(object.get("data"), gvk.is("", "Secret")) + data_size(object.get("binaryData"), true);
        if size > DATA {
            return Err(Error::invalid(format!("data holds {size} bytes; a {} takes {DATA}", gvk.kind))
                .at(Path::parse("data"))
                .help("spread it over several objects"));
        }
    }
    let annotations = object.at(&Path::parse("metadata.annotations"));
    let size: usize = annotations
        .and_then(Value::as_map)
        .into_iter()
        .flatten()
        .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len))
        .sum();
    if size > ANNOTATIONS {
        return Err(Error::invalid(format!("annotations hold {size} bytes; an object takes {ANNOTATIONS}"))
            .at(Path::parse("metadata.annotations")));
    }
    let size = size_of(object);
    if size > OBJECT {
        return Err(Error::invalid(format!("the object has about {size} bytes; etcd takes about {OBJECT}")));
    }
    Ok(())
}

fn data_size(data: Option<&Value>, encoded: bool) -> usize {
    let length =
        |text: &str| if encoded { STANDARD.decode(text).map_or(text.len(), |b| b.len()) } else { text.len() };
    data.and_then(Value::as_map)
        .into_iter()
        .flatten()
        .map(|(key, value)| key.len() + value.as_str().map_or(0, length))
        .sum()
}

/// About how many bytes of JSON a value is.
fn size_of(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::List(list) | Value::Concat(list) => 2 + list.iter().map(|v| size_of(v) + 1).sum::<usize>(),
        Value::Map(map) => 2 + map.iter().map(|(key, v)| key.len() + 4 + size_of(v)).sum::<usize>(),
        Value::Secret(inner) => size_of(inner),
        _ => 5,
    }
}
