//! How each function is started: in Lambda's environment, with this harness's DynamoDB.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::process::Command;

use crate::Directories;
use crate::dynamodb::{DynamoDb, TABLE};
use crate::function::Function;
use crate::quota::Quota;

const BENCHES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Paths of the system's CA bundle: on Debian and Ubuntu, and on Fedora and Amazon Linux.
const SYSTEM_CA_BUNDLES: [&str; 2] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// The longest time limit that the template gives a function.
const MAX_TIME_LIMIT: Duration = Duration::from_secs(15);

/// Command that runs a Lambda function.
pub(crate) struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    directory: PathBuf,
    environment: Vec<(&'static str, String)>,
    time_limit: Duration,
}

/// Builds the programs, with the settings they share.
pub(crate) struct Programs<'a> {
    directories: &'a Directories,
    dynamodb_url: String,
    /// CA bundle of Amazon's authorities and the harness's root, for functions that trust only
    /// Amazon.
    amazon_roots: PathBuf,
    /// CA bundle of the system's authorities and the harness's root. boto3 has about as many of its
    /// own.
    system_roots: PathBuf,
    /// Only the harness's root. Node adds it to its built-in authorities.
    harness_root: PathBuf,
}

impl<'a> Programs<'a> {
    /// Writes the CA bundles to a directory.
    pub(crate) fn new(
        directories: &'a Directories,
        dynamodb: &DynamoDb,
        directory: &Path,
    ) -> Result<Self> {
        let amazon = Path::new(BENCHES).join("../src/config/amazon-roots.pem");
        let system = SYSTEM_CA_BUNDLES.iter().map(Path::new).find(|path| path.exists());
        let system = system.context("no CA bundle found; install ca-certificates")?;
        Ok(Self {
            directories,
            dynamodb_url: dynamodb.https_url.clone(),
            amazon_roots: dynamodb.write_ca_bundle(Some(&amazon), directory.join("amazon.pem"))?,
            system_roots: dynamodb.write_ca_bundle(Some(system), directory.join("system.pem"))?,
            harness_root: dynamodb.write_ca_bundle(None, directory.join("harness.pem"))?,
        })
    }

    /// Returns a function of the session API.
    pub(crate) fn session_api(&self, function: &str) -> Program {
        self.session_api_in(&self.directories.functions, function)
    }

    /// Returns a function of the session API that was built without a profile.
    pub(crate) fn plain_session_api(&self, function: &str) -> Program {
        self.session_api_in(&self.directories.plain, function)
    }

    fn session_api_in(&self, directory: &Path, function: &str) -> Program {
        let path = directory.join(function).join("bootstrap");
        let time_limit = match function {
            "read" | "destroy" => Duration::from_secs(5),
            _ => MAX_TIME_LIMIT,
        };
        Program { time_limit, ..self.native(path, &self.amazon_roots) }
    }

    /// Returns a minimal function that trusts the same authorities as the session API.
    pub(crate) fn floor(&self, function: &str) -> Program {
        let path = self.directories.floor.join(function).join("bootstrap");
        self.native(path, &self.amazon_roots)
    }

    /// Returns a minimal function with an argument.
    pub(crate) fn floor_with_argument(&self, function: &str, argument: &str) -> Program {
        Program { arguments: vec![argument.to_owned()], ..self.floor(function) }
    }

    /// Returns a minimal function that trusts the system's authorities.
    pub(crate) fn floor_with_system_roots(&self, function: &str) -> Program {
        let path = self.directories.floor.join(function).join("bootstrap");
        self.native(path, &self.system_roots)
    }

    /// Returns a handler in Node.
    pub(crate) fn node(&self, handler: &str) -> Program {
        let installed = self.directories.peers.join("node");
        let runtime_client = installed.join("node_modules/aws-lambda-ric/bin/index.mjs");
        Program {
            path: "node".into(),
            arguments: vec![runtime_client.to_string_lossy().into_owned(), handler.to_owned()],
            directory: installed.join("build"),
            environment: self.environment("NODE_EXTRA_CA_CERTS", &self.harness_root),
            time_limit: MAX_TIME_LIMIT,
        }
    }

    /// Returns a handler in Python.
    pub(crate) fn python(&self, handler: &str) -> Program {
        Program {
            path: self.directories.peers.join("python/bin/python"),
            arguments: ["-m", "awslambdaric", handler].map(str::to_owned).to_vec(),
            directory: Path::new(BENCHES).join("peers/python"),
            environment: self.environment("AWS_CA_BUNDLE", &self.system_roots),
            time_limit: MAX_TIME_LIMIT,
        }
    }

    fn native(&self, path: PathBuf, ca_bundle: &Path) -> Program {
        let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
        let environment = self.environment("SSL_CERT_FILE", ca_bundle);
        Program { path, arguments: vec![], directory, environment, time_limit: MAX_TIME_LIMIT }
    }

    fn environment(
        &self,
        ca_variable: &'static str,
        ca_bundle: &Path,
    ) -> Vec<(&'static str, String)> {
        let ca_bundle = ca_bundle.to_string_lossy().into_owned();
        vec![("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb_url.clone()), (ca_variable, ca_bundle)]
    }
}

impl Program {
    /// Starts the function with the environment variables that Lambda sets.
    pub(crate) async fn start(&self, quota: Option<Quota>) -> Result<Function> {
        let mut command = Command::new(&self.path);
        command
            .args(&self.arguments)
            .current_dir(&self.directory)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LANG", "en_US.UTF-8")
            .env("TZ", ":UTC")
            .env("LAMBDA_TASK_ROOT", &self.directory)
            .env("_HANDLER", self.arguments.last().map_or("bootstrap", String::as_str))
            .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/24/[1]0123456789abcdef")
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
            // As long as a role's usual session token, because every request includes it.
            .env("AWS_SESSION_TOKEN", "e".repeat(800))
            .env("TABLE_NAME", TABLE);
        Function::start(&mut command, self.time_limit, quota).await
    }

    /// Returns the size of the executable in bytes, or `None` for a script.
    pub(crate) fn binary_size(&self) -> Option<u64> {
        let is_native = self.path.ends_with("bootstrap");
        std::fs::metadata(&self.path).ok().filter(|_| is_native).map(|file| file.len())
    }
}
