//! The certificate of a place: made once, kept beside the token, shown by kubeconfigs so that clients trust it.
//!
//! It serves one purpose: `kubectl` and its like send tokens over TLS only. On a loopback port it hides nothing that the
//! token does not.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use serde::{Deserialize, Serialize};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::PlaceError;

/// The names under which a place on this machine is reached.
const NAMES: [&str; 2] = ["127.0.0.1", "localhost"];

/// A certificate, its key, and the authority that vouches for it. Binary parts are base64.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identity {
    /// The authority's certificate, as PEM: what kubeconfigs carry.
    pub authority: String,
    certificate: String,
    key: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl Identity {
    /// A new one.
    pub fn make() -> Result<Self, PlaceError> {
        made().map_err(|error| failed(&error))
    }

    /// What connections are accepted with.
    pub fn acceptor(&self) -> Result<TlsAcceptor, PlaceError> {
        // Clients in this process may find two implementations of ciphers compiled in, and then take none by themselves.
        // Who was first decides; either is as good.
        if CryptoProvider::get_default().is_none() {
            let _ = ring::default_provider().install_default();
        }
        let read = |text: &str| BASE64.decode(text).map_err(|error| failed(&error));
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(read(&self.key)?));
        let chain = vec![CertificateDer::from(read(&self.certificate)?)];
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| failed(&error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn failed(error: &dyn std::fmt::Display) -> PlaceError {
    let source = std::io::Error::other(error.to_string());
    PlaceError::Files { what: "make the place's certificate".to_owned(), source }
}

fn made() -> Result<Identity, rcgen::Error> {
    let named = |mut params: CertificateParams, name: &str| {
        params.distinguished_name.push(DnType::CommonName, name);
        // A place is as short-lived as its machine; what must not happen is that it stops working one day.
        params.not_before = date_time_ymd(2025, 1, 1);
        params.not_after = date_time_ymd(2075, 1, 1);
        params
    };
    let mut authority = named(CertificateParams::new(Vec::new())?, "plinth local");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let mut server = named(CertificateParams::new(NAMES.map(str::to_owned))?, "127.0.0.1");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &authority)?;
    Ok(Identity {
        authority: authority.pem(),
        certificate: BASE64.encode(certificate.der()),
        key: BASE64.encode(key.serialize_der()),
    })
}
