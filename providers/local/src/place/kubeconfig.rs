//! The kubeconfig of a place.

use super::Endpoint;
use super::gate::TOKEN;

/// The kubeconfig for an endpoint. Every value in it is made here, so that nothing needs quoting. The token is part of the
/// address, because `kubectl` sends tokens over TLS only.
pub fn render(endpoint: &Endpoint) -> String {
    let Endpoint { url, token, .. } = endpoint;
    format!(
        "apiVersion: v1
kind: Config
current-context: plinth-local
clusters:
  - name: plinth-local
    cluster:
      server: {url}{TOKEN}{token}
contexts:
  - name: plinth-local
    context:
      cluster: plinth-local
      user: plinth-local
users:
  - name: plinth-local
    user: {{}}
"
    )
}
