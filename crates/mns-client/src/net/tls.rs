//! TLS: always verified, on ring.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;

/// Whose word is taken for who a server is.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum TlsRoots {
    /// The certificate authorities of this system. `SSL_CERT_FILE` and `SSL_CERT_DIR` replace them.
    #[default]
    System,
    /// These alone: for a service with a certificate of its own.
    Certificates(Vec<CertificateDer<'static>>),
}

/// Why TLS cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The system has no certificate authorities that can be read.
    #[error(
        "no certificate authorities found on this system ({problems} problems while looking); install them, or name a file of them in SSL_CERT_FILE"
    )]
    NoRoots {
        /// How many places could not be read.
        problems: usize,
        /// The first problem.
        #[source]
        source: Option<rustls_native_certs::Error>,
    },
    /// A certificate is not usable as an authority.
    #[error("a certificate authority given is not usable")]
    BadRoot(#[source] rustls::Error),
    /// The TLS library cannot be set up.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

impl TlsRoots {
    /// The configuration all connections of a client share.
    pub(crate) fn client_config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_root_certificates(self.store()?)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }

    fn store(&self) -> Result<RootCertStore, TlsError> {
        let mut store = RootCertStore::empty();
        match self {
            Self::Certificates(certificates) => {
                for certificate in certificates {
                    store.add(certificate.clone()).map_err(TlsError::BadRoot)?;
                }
            }
            Self::System => {
                let mut found = rustls_native_certs::load_native_certs();
                // Systems carry authorities that no library accepts any more; the others are what counts.
                store.add_parsable_certificates(found.certs);
                if store.is_empty() {
                    let problems = found.errors.len();
                    let source = (problems > 0).then(|| found.errors.swap_remove(0));
                    return Err(TlsError::NoRoots { problems, source });
                }
            }
        }
        Ok(store)
    }
}
