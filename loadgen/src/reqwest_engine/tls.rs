//! Who is trusted: the TLS configuration of a run, made once.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::engine::{Trust, Version};
use crate::error::PlanError;

/// # Errors
/// A file of certificates that cannot be used, or a system that trusts nobody.
pub(super) fn config(trust: &Trust, http: Version) -> Result<ClientConfig, PlanError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the provider knows the default versions");
    let mut config = match trust {
        Trust::System => builder
            .with_platform_verifier()
            .map_err(|e| PlanError {
                field: "cacert",
                reason: format!("this system trusts no authority ({e}); name a file of certificates, or --insecure"),
            })?
            .with_no_client_auth(),
        Trust::Only(path) => builder.with_root_certificates(authorities(path)?).with_no_client_auth(),
        Trust::Anyone => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider))).with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![
        match http {
            Version::Http1 => b"http/1.1".as_slice(),
            Version::Http2 => b"h2",
        }
        .to_vec(),
    ];
    Ok(config)
}

fn authorities(path: &Path) -> Result<RootCertStore, PlanError> {
    let wrong = |reason: String| PlanError { field: "cacert", reason: format!("{}: {reason}", path.display()) };
    let mut store = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|e| wrong(format!("cannot be read: {e}")))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|e| wrong(format!("is not PEM: {e}")))?;
        store.add(certificate).map_err(|e| wrong(format!("holds a certificate that cannot be used: {e}")))?;
    }
    if store.is_empty() {
        return Err(wrong("holds no certificate; it must be PEM (-----BEGIN CERTIFICATE-----)".to_owned()));
    }
    Ok(store)
}

/// Accepts every certificate, but still checks that the peer has its key.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
