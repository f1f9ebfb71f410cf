//! Secrets: from a stack file's word about where a value comes from to a Secret object, by way of the encrypted state
//! or of the External Secrets operator. No secret is ever written into a ConfigMap.

use k8s_openapi::api::core::v1::Secret;
use plinth_provider::{OutputRef, Path, Resource, Urn, Value};

use super::build::Build;
use super::custom::{
    Custom, ExternalData, ExternalSecretSpec, ExternalTarget, RemoteReference, StoreReference, go_duration,
};
use super::object::{metadata, text_map};
use super::parts::{Phase, Space};
use crate::model::{SecretSource, StoreKind as ModelStoreKind};

/// The Secret with Grafana's administrator: `user` and `password`.
pub(crate) const GRAFANA_ADMIN: &str = "grafana-admin";

/// One key of a Secret.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    key: String,
    from: From,
}

#[derive(Debug, Clone)]
enum From {
    Source(SecretSource),
    Text(String),
}

impl Entry {
    /// A key whose value comes from where the stack file says; `None` generates one of 32 characters.
    pub fn source(key: &str, source: Option<&SecretSource>) -> Self {
        let source = source.cloned().unwrap_or_else(|| SecretSource::Generate(Default::default()));
        Self { key: key.to_owned(), from: From::Source(source) }
    }

    /// A key with a text, which may hold markers of outputs and secrets.
    pub fn text(key: &str, text: impl Into<String>) -> Self {
        Self { key: key.to_owned(), from: From::Text(text.into()) }
    }
}

impl Build<'_> {
    /// Declares a Secret. Keys from an External Secrets store are filled in by that operator.
    pub fn secret(&mut self, space: Space, name: &str, entries: Vec<Entry>) -> Urn {
        let namespace = self.namespace(space).to_owned();
        let (mut plain, mut external) = (Vec::new(), Vec::new());
        for entry in entries {
            match entry.from {
                From::Text(text) => plain.push((entry.key, text)),
                From::Source(SecretSource::FromExternalSecret(place)) if !self.simulates_secret_store() => {
                    external.push(ExternalData {
                        secret_key: entry.key,
                        remote_ref: RemoteReference { key: place.key, property: place.property },
                    });
                }
                From::Source(source) => {
                    let text = self.secret_text(&format!("{name}/{}", entry.key), &source);
                    plain.push((entry.key, text));
                }
            }
        }
        let mut last = None;
        let merge = !plain.is_empty();
        if merge {
            last = Some(self.object(Secret {
                metadata: metadata(Some(&namespace), name, self.common_labels()),
                type_: Some("Opaque".to_owned()),
                string_data: Some(text_map(plain)),
                ..Secret::default()
            }));
        }
        if !external.is_empty() {
            last = Some(self.external_secret(&namespace, name, external, merge));
        }
        last.unwrap_or_else(|| self.nowhere())
    }

    fn external_secret(&mut self, namespace: &str, name: &str, data: Vec<ExternalData>, merge: bool) -> Urn {
        let Some(store) = self.platform.external_secrets.clone() else {
            return self.error(
                format!(
                    "the secret `{name}` is to come from an External Secrets store, but the stack names none"
                ),
                "set `platform.externalSecrets.storeRef`, or use `generate` or `value`",
            );
        };
        let spec = ExternalSecretSpec {
            refresh_interval: go_duration(store.refresh_interval.seconds()),
            secret_store_ref: StoreReference {
                name: store.store_ref.name,
                kind: match store.store_ref.kind {
                    ModelStoreKind::ClusterSecretStore => "ClusterSecretStore",
                    ModelStoreKind::SecretStore => "SecretStore",
                },
            },
            target: ExternalTarget {
                name: name.to_owned(),
                creation_policy: if merge { "Merge" } else { "Owner" },
            },
            data,
        };
        self.object(Custom::new(metadata(Some(namespace), name, self.common_labels()), spec))
    }

    /// A secret as a text for a Secret's value: a marker, never the value itself. `name` tells generated ones apart.
    pub fn secret_text(&mut self, name: &str, source: &SecretSource) -> String {
        let length = match source {
            SecretSource::Value(text) => return Value::mark_secret(text.expose()),
            SecretSource::Generate(generated) => generated.length,
            // In a rehearsal nobody fills Secrets from outside; a made-up value stands in.
            SecretSource::FromExternalSecret(_) => 32,
        };
        self.password(name, length).mark()
    }

    /// A random text, made once and kept in the encrypted state.
    pub fn password(&mut self, name: &str, length: u32) -> OutputRef {
        let urn = self.urn("plinth:Password", name);
        if self.declared.insert(urn.clone()) {
            let mut resource =
                Resource::new(urn.clone(), Value::from([("length", Value::from(i64::from(length)))]));
            resource.options.phase = Phase::Identity.name().to_owned();
            self.add(resource);
        }
        OutputRef { urn, path: Path::parse("value") }
    }

    fn simulates_secret_store(&self) -> bool {
        self.target.rehearse
    }
}
