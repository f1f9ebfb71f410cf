//! The account that a stack lives in: whether it is the one that is meant, the way into the clusters that were made in it,
//! and what is left there at the end.

use plinth_provider::Urn;
use plinth_stacks::model::Cloud;

use super::failure::{Diagnostic, Failure};
use super::session::Session;
use super::stack_args::error_style;
use crate::engine::Event;
use crate::present;

impl Session {
    /// Nobody should believe that it is AWS itself that is talked to.
    pub(super) fn tell_endpoints(&self) {
        for (variable, url) in self.aws.iter().flat_map(|_| super::cloud::aws_endpoints()) {
            let message = format!("AWS is reached at {url}, as {variable} says");
            present::diagnostics::warning(&message, None, error_style());
        }
    }

    /// Sees whether the credentials at hand are those of the account that the stack means, before anything else. Who only
    /// looks at a stack that has nothing yet may do without.
    ///
    /// # Errors
    /// When there are none, or those of another account.
    pub async fn check_account(&self, only_looks: bool) -> Result<(), Failure> {
        let Some(aws) = &self.aws else { return Ok(()) };
        let Err(error) = aws.clients().await else { return Ok(()) };
        if only_looks && self.state.resources.is_empty() && !super::cloud::is_of_another_account(&error) {
            return Ok(());
        }
        let Some(path) = &error.path else {
            let failure = Failure::new(format!("the stack's account cannot be reached: {}", error.message));
            return Err(match error.help {
                Some(help) => failure.help(help),
                None => failure,
            });
        };
        let mut placed = self.loaded.locations.diagnostic(path, error.message);
        if let Some(help) = error.help {
            placed = placed.help(help);
        }
        Err(Failure::many(vec![Diagnostic::rendered(placed.to_string())]))
    }

    /// What the clusters that were there have left in the account: what Kubernetes made and nobody removed.
    pub async fn leftovers(&self) -> Vec<Event> {
        let Some(aws) = &self.aws else { return Vec::new() };
        // What was recorded when this command began.
        let clusters =
            self.state.resources.values().filter(|tracked| tracked.urn.kind() == "aws:eks/Cluster");
        let mut told = Vec::new();
        for cluster in clusters.filter_map(|tracked| tracked.outputs.text_at("name")) {
            let found = match aws.clients().await {
                Ok(clients) => plinth_aws::leftovers(clients, cluster).await,
                Err(error) => Err(error),
            };
            match found {
                Ok(arns) if arns.is_empty() => {}
                Ok(arns) => told.push(Event::Leftovers { cluster: cluster.to_owned(), arns }),
                Err(error) => {
                    let why = error.message;
                    let message =
                        format!("whether the cluster {cluster} has left anything is not known: {why}");
                    told.push(Event::Note { message });
                }
            }
        }
        told
    }

    /// The kubeconfig with which people enter the clusters of the stack.
    ///
    /// # Errors
    /// When it has none, or none yet.
    pub fn kubeconfig_of_clusters(&self) -> Result<String, Failure> {
        if let Some(place) = &self.place {
            return Ok(place.kubeconfig()?);
        }
        let Cloud::Aws(cloud) = &self.loaded.stack.cloud else {
            return Err(Failure::new("the stack makes no cluster, so it has no kubeconfig")
                .help("it uses a cluster that you have a kubeconfig of (cloud.kubeconfig, KUBECONFIG)"));
        };
        let of_eks = |urn: &Urn| urn.kind() == "aws:eks/Cluster";
        let clusters = self.state.resources.values().filter(|tracked| of_eks(&tracked.urn));
        let clusters = clusters.map(|tracked| &tracked.outputs);
        plinth_aws::kubeconfig(clusters, &super::cloud::aws_settings(cloud)).ok_or_else(|| {
            Failure::new("the stack has no cluster yet, so it has no kubeconfig")
                .help(format!("make it first: plinth apply -s {}", self.name))
        })
    }
}
