//! TLS, from a certificate and a key in PEM that are read again when they change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::log;

/// How often the files' dates are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why TLS cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file is not what it should be.
    #[error("{} is no {what} in PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// Why.
        source: pem::Error,
    },
    /// Certificate and key do not fit each other, or are of an unknown kind.
    #[error("the certificate in {} and its key cannot be used together", path.display())]
    Pair {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// The two files, and what they were when they were read last.
pub(crate) struct Tls {
    cert: PathBuf,
    key: PathBuf,
    acceptor: RwLock<TlsAcceptor>,
}

impl Tls {
    /// # Errors
    /// If the files cannot be read, or do not fit.
    pub(crate) fn read(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        Ok(Self {
            cert: cert.to_owned(),
            key: key.to_owned(),
            acceptor: RwLock::new(read(cert, key)?),
        })
    }

    /// For the next connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let acceptor = self.acceptor.read();
        acceptor.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the files again whenever they change, for ever. While they do not fit each other the former go on.
    pub(crate) async fn watch(self: Arc<Self>) {
        let stamp =
            |path: &Path| -> Option<SystemTime> { std::fs::metadata(path).ok()?.modified().ok() };
        let stamps = || (stamp(&self.cert), stamp(&self.key));
        let mut seen = stamps();
        let mut complained_of = None;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = stamps();
            if now == seen || complained_of == Some(now) {
                continue;
            }
            match read(&self.cert, &self.key) {
                Ok(acceptor) => {
                    log::info(format_args!("the certificate was read again"));
                    *self
                        .acceptor
                        .write()
                        .unwrap_or_else(PoisonError::into_inner) = acceptor;
                    seen = now;
                }
                // The other file may be on its way: looked at again when something changes once more.
                Err(error) => {
                    log::warn(format_args!("{error}; the former certificate goes on"));
                    complained_of = Some(now);
                }
            }
        }
    }
}

fn read(cert: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let wrong = |path: &Path, what| {
        let path = path.to_owned();
        move |source| TlsError::Pem { path, what, source }
    };
    let certificates = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(wrong(cert, "certificate"))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(wrong(key, "private key"))?;
    let unfit = |source| TlsError::Pair {
        path: cert.to_owned(),
        source,
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unfit)?
        .with_no_client_auth()
        .with_single_cert(certificates, private)
        .map_err(unfit)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
