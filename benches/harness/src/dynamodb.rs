//! DynamoDB for the functions: an embedded engine behind a TLS proxy. As with AWS, an intermediate
//! authority issues the server's certificate.

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

use crate::load::table_limits::{self, TableLimits};
use crate::table;

/// Name of the sessions table, which `template.yaml` defines.
pub(crate) const TABLE: &str = "sessions";

/// A running DynamoDB, which lasts as long as this process.
pub(crate) struct DynamoDb {
    http_url: String,
    /// Endpoint of the TLS proxy.
    pub(crate) https_url: String,
    /// Certificate of the root authority, in PEM.
    root_pem: String,
}

impl DynamoDb {
    /// Starts the engine and the TLS proxy, and creates the table. The limits, if any, apply only to
    /// calls through the proxy.
    pub(crate) async fn start(limits: Option<Arc<TableLimits>>) -> Result<Self> {
        let engine = TcpListener::bind("127.0.0.1:0").await?;
        let engine_address = engine.local_addr()?;
        let database = dynoxide::Database::memory()?;
        let mut proxied_address = engine_address;
        if let Some(limits) = limits {
            let limited = TcpListener::bind("127.0.0.1:0").await?;
            proxied_address = limited.local_addr()?;
            tokio::spawn(table_limits::serve(limited, database.clone(), limits));
        }
        tokio::spawn(async move { dynoxide::server::serve_on(engine, database).await });

        let (root_pem, tls) = certificates()?;
        let proxy = TcpListener::bind("127.0.0.1:0").await?;
        let https_url = format!("https://localhost:{}", proxy.local_addr()?.port());
        tokio::spawn(terminate_tls(proxy, TlsAcceptor::from(Arc::new(tls)), proxied_address));

        let dynamodb = Self { http_url: format!("http://{engine_address}"), https_url, root_pem };
        let endpoint = dynamodb.http_url.clone();
        tokio::task::spawn_blocking(move || table::create(&endpoint, TABLE))
            .await?
            .map_err(|error| anyhow!(error))?;
        Ok(dynamodb)
    }

    /// Calls an operation by name, without TLS.
    pub(crate) async fn call(&self, operation: &'static str, parameters: Value) -> Result<Value> {
        let endpoint = self.http_url.clone();
        let call =
            tokio::task::spawn_blocking(move || table::call(&endpoint, operation, &parameters));
        call.await?.map_err(|error| anyhow!("{operation}: {error}"))
    }

    /// Writes a CA bundle: the authorities in `base`, followed by this server's root. With `base`,
    /// a function parses as many certificates here as on Lambda.
    pub(crate) fn write_ca_bundle(&self, base: Option<&Path>, file: PathBuf) -> Result<PathBuf> {
        let authorities = match base {
            Some(path) => fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?,
            None => String::new(),
        };
        fs::write(&file, format!("{authorities}\n{}", self.root_pem))?;
        Ok(file)
    }
}

/// Terminates TLS on each connection and forwards the plaintext to the engine.
async fn terminate_tls(listener: TcpListener, tls: TlsAcceptor, engine: SocketAddr) {
    while let Ok((client, _)) = listener.accept().await {
        let tls = tls.clone();
        tokio::spawn(async move {
            client.set_nodelay(true)?;
            // Connect during the handshake, so that this hop, which AWS doesn't have, adds no
            // time.
            let (mut client, mut engine) =
                tokio::try_join!(tls.accept(client), TcpStream::connect(engine))?;
            engine.set_nodelay(true)?;
            tokio::io::copy_bidirectional(&mut client, &mut engine).await?;
            io::Result::Ok(())
        });
    }
}

/// Generates a root certificate, in PEM, and a TLS configuration for `localhost` that chains to it.
/// The authorities use RSA, and the server prefers the same cipher as AWS. The server's own key is
/// P-256: with RSA, the server's slow signatures would add to the functions' time.
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
    let root_pem = root.self_signed(&root_key)?.pem();
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
    Ok((root_pem, tls))
}
