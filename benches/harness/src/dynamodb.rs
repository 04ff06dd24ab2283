//! DynamoDB as the functions meet it: an engine, embedded, and TLS in front of it with a certificate
//! under an intermediate authority, as DynamoDB's own is.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use anyhow::{Context as _, Result, anyhow};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_RSA_SHA256, RsaKeySize,
};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::CipherSuite::TLS13_AES_128_GCM_SHA256;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::table;

/// The sessions' table, as `template.yaml` defines it.
pub(crate) const TABLE: &str = "sessions";

/// A DynamoDB that runs for as long as this process.
pub(crate) struct DynamoDb {
    plain: String,
    /// Its URL over TLS.
    pub(crate) url: String,
    /// The authority to trust, in PEM.
    authority: String,
}

impl DynamoDb {
    /// Starts it and makes the table.
    pub(crate) async fn start() -> Result<Self> {
        let engine = TcpListener::bind("127.0.0.1:0").await?;
        let engine_address = engine.local_addr()?;
        let database = dynoxide::Database::memory()?;
        tokio::spawn(async move { dynoxide::server::serve_on(engine, database).await });

        let (authority, tls) = certificates()?;
        let terminator = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://localhost:{}", terminator.local_addr()?.port());
        tokio::spawn(terminate(terminator, TlsAcceptor::from(Arc::new(tls)), engine_address));

        let this = Self { plain: format!("http://{engine_address}"), url, authority };
        let endpoint = this.plain.clone();
        tokio::task::spawn_blocking(move || table::create(&endpoint, TABLE))
            .await?
            .map_err(|error| anyhow!(error))?;
        Ok(this)
    }

    /// Calls an operation by its name, without TLS.
    pub(crate) async fn call(&self, operation: &'static str, parameters: Value) -> Result<Value> {
        let endpoint = self.plain.clone();
        let called =
            tokio::task::spawn_blocking(move || table::call(&endpoint, operation, &parameters));
        called.await?.map_err(|error| anyhow!("{operation}: {error}"))
    }

    /// Writes a file of authorities to trust: this one's beside those in the given file, so that a
    /// function has as many to read here as on Lambda.
    pub(crate) fn trust(&self, beside: Option<&Path>, file: PathBuf) -> Result<PathBuf> {
        let others = match beside {
            Some(path) => fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?,
            None => String::new(),
        };
        fs::write(&file, format!("{others}\n{}", self.authority))?;
        Ok(file)
    }
}

/// Takes TLS off each connection and passes on what is in it.
async fn terminate(listener: TcpListener, tls: TlsAcceptor, engine: SocketAddr) {
    while let Ok((client, _)) = listener.accept().await {
        let tls = tls.clone();
        tokio::spawn(async move {
            client.set_nodelay(true)?;
            // Both at once: DynamoDB has nothing to connect to behind its TLS.
            let (mut client, mut engine) =
                tokio::try_join!(tls.accept(client), TcpStream::connect(engine))?;
            engine.set_nodelay(true)?;
            tokio::io::copy_bidirectional(&mut client, &mut engine).await?;
            io::Result::Ok(())
        });
    }
}

/// A root to trust, in PEM, and a server's side of TLS for `localhost` under it: RSA authorities and
/// the cipher that AWS prefers. The server's own key is of P-256, so that the time that RSA takes to
/// sign, all of it the server's, does not count as a function's.
fn certificates() -> Result<(String, ServerConfig)> {
    let authority = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let rsa_key = || KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048);
    let root_key = rsa_key()?;
    let root = authority("session-api bench root");
    let pem = root.self_signed(&root_key)?.pem();
    let root = Issuer::new(root, root_key);

    let intermediate_key = rsa_key()?;
    let intermediate = authority("session-api bench intermediate");
    let intermediate_certificate = intermediate.signed_by(&intermediate_key, &root)?;
    let intermediate = Issuer::new(intermediate, intermediate_key);

    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new(["localhost".to_owned()])?.signed_by(&key, &intermediate)?;
    let chain = vec![leaf.der().clone(), intermediate_certificate.der().clone()];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != TLS13_AES_128_GCM_SHA256);
    let mut tls = ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    tls.ignore_client_order = true;
    Ok((pem, tls))
}
