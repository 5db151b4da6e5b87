//! TLS: whom a client trusts, which protocols it offers, and why it does not trust a server.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, InvalidMessage, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::transport_error::TransportError;

/// HTTP/2 where the server has it, else HTTP/1.1 (RFC 7301). reqwest adds nothing to a configuration that is handed over
/// ready-made.
const OFFERED: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Certificates in PEM, of which there is at least one.
pub(crate) fn read_certificates(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    read.ok().filter(|certificates| !certificates.is_empty())
}

/// Trusts what the system trusts, and these roots.
pub(super) fn trusting(
    extra_roots: &[CertificateDer<'static>],
) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(extra_roots.to_vec(), provider.clone())?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        // Not dangerous: it is the system's own verifier.
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = OFFERED.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

/// Trusts nobody. A server without TLS needs no root certificates, and reading them takes longer than a call.
pub(super) fn unused() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

/// Why there is no TLS connection.
pub(super) fn failure(error: &rustls::Error) -> TransportError {
    match error {
        rustls::Error::InvalidCertificate(problem) => match problem {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                TransportError::CertificateExpired
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                TransportError::CertificateNotYetValid
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TransportError::CertificateOtherName
            }
            // Revoked, a broken signature, a purpose that it is not for: nobody should trust it either.
            _ => TransportError::CertificateUntrusted,
        },
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => TransportError::NotTls,
        _ => TransportError::Tls,
    }
}
