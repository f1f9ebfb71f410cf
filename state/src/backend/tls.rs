//! TLS towards a database: whom we believe.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Believes the system's authorities, and those in a file of one's own.
///
/// # Errors
/// When the file cannot be read, or there is no authority at all.
pub(super) fn config(own: Option<&str>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = own {
        let unreadable =
            |error: &dyn std::fmt::Display| format!("the certificates in {file} cannot be read: {error}");
        let certificates = CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))?;
        for certificate in certificates {
            roots
                .add(certificate.map_err(|error| unreadable(&error))?)
                .map_err(|error| unreadable(&error))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        return Err(
            "there is no authority to check the server's certificate by: name one with sslrootcert=FILE"
                .to_owned(),
        );
    }
    with_roots(roots)
}

/// Believes nobody: for connections that do not ask for TLS.
pub(super) fn none() -> Result<ClientConfig, String> {
    with_roots(RootCertStore::empty())
}

fn with_roots(roots: RootCertStore) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
