//! The kubeconfig of a place.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::Endpoint;

/// The kubeconfig for an endpoint. Every value in it is made here, so that nothing needs quoting.
pub fn render(endpoint: &Endpoint) -> String {
    let Endpoint { url, token, authority, .. } = endpoint;
    let url = url.replacen("http://", "https://", 1);
    let authority = BASE64.encode(authority);
    format!(
        "apiVersion: v1
kind: Config
current-context: plinth-local
clusters:
  - name: plinth-local
    cluster:
      server: {url}
      certificate-authority-data: {authority}
contexts:
  - name: plinth-local
    context:
      cluster: plinth-local
      user: plinth-local
users:
  - name: plinth-local
    user:
      token: {token}
"
    )
}
