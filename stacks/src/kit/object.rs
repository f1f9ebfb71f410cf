//! Anything that can be declared as one Kubernetes object.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;

use super::custom::{Custom, CustomSpec};

/// A Kubernetes object with its type.
pub(crate) trait Object: Serialize {
    /// Group and version.
    fn api_version(&self) -> &str;
    /// The kind.
    fn kind(&self) -> &str;
    /// Name, namespace and so on.
    fn meta(&mut self) -> &mut ObjectMeta;
}

impl<T> Object for T
where
    T: k8s_openapi::Metadata<Ty = ObjectMeta> + Serialize,
{
    fn api_version(&self) -> &str {
        T::API_VERSION
    }

    fn kind(&self) -> &str {
        T::KIND
    }

    fn meta(&mut self) -> &mut ObjectMeta {
        self.metadata_mut()
    }
}

impl<S: CustomSpec> Object for Custom<S> {
    fn api_version(&self) -> &str {
        S::API_VERSION
    }

    fn kind(&self) -> &str {
        S::KIND
    }

    fn meta(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// The metadata of an object; `None` for those outside namespaces.
pub(crate) fn metadata(
    namespace: Option<&str>,
    name: impl Into<String>,
    labels: BTreeMap<String, String>,
) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.into()),
        namespace: namespace.map(str::to_owned),
        labels: (!labels.is_empty()).then_some(labels),
        ..ObjectMeta::default()
    }
}

/// A map of texts.
pub(crate) fn text_map<K: Into<String>, V: Into<String>>(
    entries: impl IntoIterator<Item = (K, V)>,
) -> BTreeMap<String, String> {
    entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
}
