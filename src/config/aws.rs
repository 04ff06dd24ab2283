//! Configuration of the AWS SDK, from the environment variables that every AWS SDK reads.

mod connections;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::config::{ProvideCredentials, SharedCredentialsProvider, SharedHttpClient};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use lambda_http::http::Uri;
use lambda_http::http::uri::Authority;

use self::connections::{Connections, IDLE_TIMEOUT};
use super::environment::{ConfigError, Environment};

/// The root certificates behind DynamoDB's certificates, from <https://www.amazontrust.com/repository/>. A
/// typical trust store has 140; parsing just these five saves time on every cold start.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon-roots.pem");

/// Region prefixes of isolated AWS partitions, whose certificates aren't signed by Amazon's public roots.
const ISOLATED_PARTITIONS: [&str; 3] = ["cn-", "us-iso", "eu-isoe"];

/// Reads the region, the credentials, the endpoint, and the endpoint's type from the environment.
///
/// We set up only the providers that a Lambda function can use. `aws_config::defaults()` would add profile files, web
/// identities, and the EC2 metadata service. Those made init 11% longer rather than 5%, and without credentials, init
/// would wait for the metadata service.
///
/// # Errors
/// [`ConfigError`] if a variable is invalid or the region or the credentials are missing.
pub(super) async fn load(environment: &Environment<'_>) -> Result<SdkConfig, ConfigError> {
    let region = region(environment)?;
    let http_client = http_client(&region, ssl_cert_file(environment)?.as_deref());
    let providers = ProviderConfig::without_region()
        .with_region(Some(region.clone()))
        .with_http_client(http_client.clone());
    let credentials = CredentialsProviderChain::first_try(
        "Environment",
        EnvironmentVariableCredentialsProvider::new(),
    )
    .or_else("Container", EcsCredentialsProvider::builder().configure(&providers).build());
    // If neither provider's variables are set, the chain says so without making a call.
    if let Err(CredentialsError::CredentialsNotLoaded(_)) = credentials.provide_credentials().await
    {
        return Err(missing_credentials(environment));
    }
    let endpoint_url = endpoint_url(environment)?;
    let mut config = sdk_config(region, credentials, http_client, endpoint_url).into_builder();
    config
        .set_use_fips(switch(environment, "AWS_USE_FIPS_ENDPOINT")?)
        .set_use_dual_stack(switch(environment, "AWS_USE_DUALSTACK_ENDPOINT")?);
    Ok(config.build())
}

/// Reads one of the SDKs' variables, which count as unset if they're empty.
fn read<T>(
    environment: &Environment<'_>,
    variable: &'static str,
    expected: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, ConfigError> {
    let read = environment.read(variable, expected, |text| {
        if text.is_empty() { Some(None) } else { parse(text).map(Some) }
    });
    read.map(Option::flatten)
}

/// Reads the region, which becomes a label in the endpoint's host name. Lambda always sets `AWS_REGION`.
fn region(environment: &Environment<'_>) -> Result<Region, ConfigError> {
    let expected = "an AWS region, as in eu-central-1";
    let alphabet = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let parse = |name: &str| {
        let is_label =
            name.len() <= 63 && name.bytes().all(alphabet) && name.trim_matches('-') == name;
        is_label.then(|| Region::new(name.to_owned()))
    };
    let (variable, other) = ("AWS_REGION", "AWS_DEFAULT_REGION");
    let region = match read(environment, variable, expected, parse)? {
        None => read(environment, other, expected, parse)?,
        region => region,
    };
    region.ok_or_else(|| ConfigError { variable, value: None, expected: expected.to_owned() })
}

/// Reads the path of a file with root certificates, and checks the file: with a bad one, every call would fail.
fn ssl_cert_file(environment: &Environment<'_>) -> Result<Option<String>, ConfigError> {
    read(environment, "SSL_CERT_FILE", "a readable file of certificates in PEM format", |path| {
        let pem = std::fs::read_to_string(path).ok()?;
        pem.contains("-----BEGIN CERTIFICATE-----").then(|| path.to_owned())
    })
}

/// Reads the URL to use instead of DynamoDB's endpoint. The SDK reads the service-specific variable only in
/// `defaults()`, and doesn't check that the value is a URL until a request uses it.
fn endpoint_url(environment: &Environment<'_>) -> Result<Option<String>, ConfigError> {
    let expected = "an http or https URL with a host, but without credentials or a query, as in \
                    http://localhost:8000";
    // `Uri` would also accept an invalid port.
    let is_host = |authority: &Authority| {
        let host = authority.host();
        !host.is_empty() && (authority.as_str() == host || authority.port_u16().is_some())
    };
    let parse = |url: &str| {
        let uri: Uri = url.parse().ok()?;
        let is_endpoint = matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.authority().is_some_and(is_host)
            && !url.contains(['@', '?', '#']);
        is_endpoint.then(|| url.to_owned())
    };
    match read(environment, "AWS_ENDPOINT_URL_DYNAMODB", expected, parse)? {
        None => read(environment, "AWS_ENDPOINT_URL", expected, parse),
        url => Ok(url),
    }
}

/// Reads a variable that is `true` or `false`. The SDK's own provider would also read profile files, and would
/// ignore an invalid value.
fn switch(
    environment: &Environment<'_>,
    variable: &'static str,
) -> Result<Option<bool>, ConfigError> {
    read(environment, variable, "true or false", |text| text.to_ascii_lowercase().parse().ok())
}

/// Returns an SDK configuration for one region. `endpoint_url` replaces DynamoDB's own endpoint.
pub fn sdk_config(
    region: Region,
    credentials: impl ProvideCredentials + 'static,
    http_client: SharedHttpClient,
    endpoint_url: Option<String>,
) -> SdkConfig {
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(region)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client);
    config.set_endpoint_url(endpoint_url);
    config.build()
}

/// Returns an HTTPS client that trusts only Amazon's root certificates. If `SSL_CERT_FILE` is set, it trusts
/// that file's instead; otherwise, in an isolated partition, it trusts the system's.
pub fn http_client(region: &Region, ssl_cert_file: Option<&str>) -> SharedHttpClient {
    let trust = if trusts_system_roots(region, ssl_cert_file) {
        TrustStore::default()
    } else {
        TrustStore::empty().with_pem_certificate(AMAZON_ROOTS)
    };
    // The builder doesn't validate anything, so it never fails.
    let tls = TlsContext::builder().with_trust_store(trust).build().unwrap_or_default();
    let client = aws_smithy_http_client::Builder::new()
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tls_provider(Provider::rustls(CryptoMode::Ring))
        .tls_context(tls);
    SharedHttpClient::new(Connections::new(move || client.clone().build_https()))
}

fn trusts_system_roots(region: &Region, ssl_cert_file: Option<&str>) -> bool {
    ssl_cert_file.is_some_and(|path| !path.is_empty())
        || ISOLATED_PARTITIONS.iter().any(|prefix| region.as_ref().starts_with(prefix))
}

/// Names the first missing variable. The error shows its value only if that's blank.
fn missing_credentials(Environment(lookup): &Environment<'_>) -> ConfigError {
    let key_id = lookup("AWS_ACCESS_KEY_ID");
    let (variable, value, expected) = match key_id {
        Some(id) if !id.trim().is_empty() => (
            "AWS_SECRET_ACCESS_KEY",
            lookup("AWS_SECRET_ACCESS_KEY").filter(|secret| secret.trim().is_empty()),
            "the secret of the access key that AWS_ACCESS_KEY_ID names",
        ),
        blank => ("AWS_ACCESS_KEY_ID", blank, "the id of an AWS access key"),
    };
    ConfigError { variable, value, expected: expected.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::environment::with_variables;
    use super::*;

    #[test]
    fn missing_credentials_are_named_without_a_secret() {
        let error = |variables: &[_]| with_variables(variables, missing_credentials).to_string();
        let key_id = "it must be the id of an AWS access key";
        assert_eq!(error(&[]), format!("AWS_ACCESS_KEY_ID is not set; {key_id}"));
        let blank = error(&[("AWS_ACCESS_KEY_ID", " "), ("AWS_SECRET_ACCESS_KEY", "secret")]);
        assert_eq!(blank, format!("AWS_ACCESS_KEY_ID is \" \"; {key_id}"));
        let half = error(&[("AWS_ACCESS_KEY_ID", "key-id")]);
        assert!(half.starts_with("AWS_SECRET_ACCESS_KEY is not set; it must be"), "{half}");
        assert!(!half.contains("key-id"));
    }

    #[test]
    fn endpoints_are_urls_with_a_host() {
        let endpoint = |url| with_variables(&[("AWS_ENDPOINT_URL", url)], endpoint_url);
        for url in [
            "http://localhost:8000",
            "http://[::1]:8000",
            "https://dynamodb.eu-central-1.amazonaws.com/",
        ] {
            assert_eq!(endpoint(url), Ok(Some(url.to_owned())));
        }
        assert_eq!(endpoint(""), Ok(None));
        let expected = "it must be an http or https URL with a host, but without credentials or a \
                        query, as in http://localhost:8000";
        for url in [
            "localhost:8000",
            "localhost",
            "http://",
            "http:///path",
            "ftp://localhost",
            "http://a b",
            "http://:8000",
            "http://localhost:",
            "http://localhost:65536",
            "http://localhost:http",
            "http://localhost/?a=b",
            "http://localhost/#a",
        ] {
            let error = endpoint(url).unwrap_err().to_string();
            assert_eq!(error, format!("AWS_ENDPOINT_URL is {url:?}; {expected}"));
        }
        let error = endpoint("http://user:secret@localhost").unwrap_err().to_string();
        assert_eq!(error, format!("AWS_ENDPOINT_URL is [redacted]; {expected}"));
    }

    #[test]
    fn regions_are_labels_of_a_host_name() {
        let region = |variables: &[_]| {
            let region = with_variables(variables, region);
            region.map(|region| region.to_string()).map_err(|error| error.to_string())
        };
        assert_eq!(region(&[("AWS_REGION", "eu-central-1")]).unwrap(), "eu-central-1");
        let both = [("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "us-east-1")];
        assert_eq!(region(&both).unwrap(), "us-east-1");
        let expected = "it must be an AWS region, as in eu-central-1";
        assert_eq!(region(&[]).unwrap_err(), format!("AWS_REGION is not set; {expected}"));
        assert_eq!(
            region(&[("AWS_DEFAULT_REGION", "EU")]).unwrap_err(),
            format!("AWS_DEFAULT_REGION is \"EU\"; {expected}")
        );
        let is_region = |name: &str| with_variables(&[("AWS_REGION", name)], super::region).is_ok();
        for bad in ["EU", "eu central", "eu/central", "eu.central", "-eu", "eu-"] {
            assert!(!is_region(bad), "{bad}");
        }
        assert!(is_region(&"a".repeat(63)) && !is_region(&"a".repeat(64)));
    }

    #[test]
    fn ssl_cert_file_holds_certificates() {
        let file = |path| {
            with_variables(&[("SSL_CERT_FILE", path)], ssl_cert_file)
                .map_err(|error| error.to_string())
        };
        let roots = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/amazon-roots.pem");
        assert_eq!(file(roots), Ok(Some(roots.to_owned())));
        assert_eq!(file(""), Ok(None));
        for path in ["/does/not/exist", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")] {
            let expected = "it must be a readable file of certificates in PEM format";
            assert_eq!(file(path).unwrap_err(), format!("SSL_CERT_FILE is {path:?}; {expected}"));
        }
    }

    #[test]
    fn idle_connections_are_closed_before_dynamodb_does() {
        let client = format!("{:?}", http_client(&Region::from_static("eu-central-1"), None));
        assert!(client.contains("idle_timeout: Some(50s)"), "{client}");
    }

    #[test]
    fn isolated_partitions_and_ssl_cert_file_use_system_roots() {
        let trusts = |region, file| trusts_system_roots(&Region::from_static(region), file);
        assert!(!trusts("eu-central-1", None));
        assert!(!trusts("eu-central-1", Some("")));
        assert!(trusts("eu-central-1", Some("/etc/ssl/ca.pem")));
        assert!(trusts("cn-north-1", None));
        assert!(trusts("us-iso-east-1", None));
    }
}
