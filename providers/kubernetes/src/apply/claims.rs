//! The claims of a StatefulSet: its controller makes them once from the templates and never touches them again, so
//! growing a template means growing the claims.

use http::Method;
use plinth_provider::{Path, Result};
use serde_json::json;

use super::Writer;
use crate::delete::claims_of;
use crate::owner::MANAGER;
use crate::quantity;
use crate::tree;

/// Brings existing claims to the size that the templates ask for. A class that cannot grow is a warning: the set
/// itself is as it should be.
pub(super) async fn enlarge(writer: &Writer<'_>) -> Result<()> {
    let templates = writer.inputs.at(&Path::parse("spec.volumeClaimTemplates"));
    for template in templates.and_then(|list| list.as_list()).unwrap_or_default() {
        let (Some(name), Some(want)) =
            (template.text_at("metadata.name"), template.text_at("spec.resources.requests.storage"))
        else {
            continue;
        };
        for claim in claims_of(writer.cluster, writer.context, writer.inputs, Some(name)).await? {
            let have = tree::text(&claim.object, "spec.resources.requests.storage").unwrap_or("0");
            if quantity::nano(have) >= quantity::nano(want) {
                continue;
            }
            let patch = json!({"spec": {"resources": {"requests": {"storage": want}}}});
            let path = format!("{}?fieldManager={MANAGER}", claim.path);
            let content = Some(("application/merge-patch+json", &patch));
            let reply = writer.cluster.send_again(writer.context, Method::PATCH, &path, content).await?;
            if let Err(status) = reply.success() {
                let why = status.into_error(false);
                let name = tree::text(&claim.object, "metadata.name").unwrap_or("");
                writer.context.reporter.warning(&format!("the claim {name} keeps its size: {}", why.message));
            }
        }
    }
    Ok(())
}
