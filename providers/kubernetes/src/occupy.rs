//! What already stands where a create would make an object, and what cannot outlive what.

use futures::StreamExt;
use plinth_provider::{Context, Live, Occupant, Owner as Whose, Path, Recorded, Request, Result};

use crate::apply::is_terminating;
use crate::kind::Gvk;
use crate::owner::{Owner, owner_of};
use crate::provider::Kubernetes;
use crate::read::{Target, live};

/// How many objects are asked for at once.
const CONCURRENT: usize = 16;

/// Asks for the object of every request whose name is known.
pub(crate) async fn occupants(
    provider: &Kubernetes,
    context: &Context,
    requests: &[Request<'_>],
) -> Vec<Result<Option<Occupant>>> {
    let mut asked = Vec::with_capacity(requests.len());
    for request in requests {
        let asking: futures::future::BoxFuture<'_, _> = Box::pin(occupant(provider, context, *request));
        asked.push(asking);
    }
    futures::stream::iter(asked).buffered(CONCURRENT).collect().await
}

async fn occupant(
    provider: &Kubernetes,
    context: &Context,
    request: Request<'_>,
) -> Result<Option<Occupant>> {
    let gvk = Gvk::parse(request.urn.kind())?;
    if request.inputs.text_at("metadata.name").is_none() {
        return Ok(None);
    }
    let cluster = provider.cluster(context, request.connection).await?;
    let Some(target) = Target::of(&cluster, context, &gvk, request.inputs).await? else { return Ok(None) };
    let Some(object) = cluster.get(context, &target.path()).await? else { return Ok(None) };
    if is_terminating(&object) {
        return Ok(None);
    }
    let owner = match owner_of(&object, request.urn) {
        Owner::Ours => Whose::Ours,
        Owner::Nobody => Whose::Nobody,
        Owner::Other { stack, urn } => Whose::Other { stack, urn },
    };
    let live: Live = live(&gvk, &target, &object, request.inputs);
    Ok(Some(Occupant { live, owner }))
}

/// Whether the one goes with the other: what is in a namespace, and the objects of a definition.
pub(crate) fn lives_in(dependent: &Recorded, dependency: &Recorded) -> bool {
    let (Ok(inner), Ok(outer)) = (Gvk::parse(dependent.urn.kind()), Gvk::parse(dependency.urn.kind())) else {
        return false;
    };
    if outer.is("", "Namespace") {
        let namespace = dependent.inputs.text_at("metadata.namespace");
        return namespace.is_some() && namespace == dependency.inputs.text_at("metadata.name");
    }
    outer.is("apiextensions.k8s.io", "CustomResourceDefinition")
        && dependency.inputs.text_at("spec.group") == Some(inner.group.as_str())
        && dependency.inputs.at(&Path::parse("spec.names.kind")).and_then(|kind| kind.as_str())
            == Some(inner.kind.as_str())
}
