//! How each function is started: as Lambda would, over the bench's own DynamoDB.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tokio::process::Command;

use crate::Options;
use crate::dynamodb::{DynamoDb, TABLE};
use crate::function::Function;
use crate::quota::Quota;

const BENCHES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Where Debian, Fedora's kin and Lambda's own image have the authorities that they trust.
const SYSTEM_ROOTS: [&str; 2] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// A program that is a Lambda function.
pub(crate) struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    directory: PathBuf,
    environment: Vec<(&'static str, String)>,
}

/// All the programs there are, and what they have in common.
pub(crate) struct Programs<'a> {
    options: &'a Options,
    dynamodb_url: String,
    /// Authorities to trust, as many as each has to read on Lambda, and the bench's own. Amazon's,
    amazon_roots: PathBuf,
    /// those of the system, which are about as many as boto3 brings,
    system_roots: PathBuf,
    /// and none, for Node, which adds it to its own.
    own_root: PathBuf,
}

impl<'a> Programs<'a> {
    /// With files for them in a folder.
    pub(crate) fn new(options: &'a Options, dynamodb: &DynamoDb, folder: &Path) -> Result<Self> {
        let amazon = Path::new(BENCHES).join("../src/config/amazon-roots.pem");
        let system = SYSTEM_ROOTS.iter().map(Path::new).find(|path| path.exists());
        let system =
            system.context("this system has no certificate authorities (ca-certificates)")?;
        Ok(Self {
            options,
            dynamodb_url: dynamodb.url.clone(),
            amazon_roots: dynamodb.trust(Some(&amazon), folder.join("amazon.pem"))?,
            system_roots: dynamodb.trust(Some(system), folder.join("system.pem"))?,
            own_root: dynamodb.trust(None, folder.join("own.pem"))?,
        })
    }

    /// A function of the session API.
    pub(crate) fn session_api(&self, function: &str) -> Program {
        let path = self.options.functions.join(function).join("bootstrap");
        self.native(path, &self.amazon_roots)
    }

    /// A function of the floor, which trusts what the session API does.
    pub(crate) fn floor(&self, function: &str) -> Program {
        let path = self.options.floor.join(function).join("bootstrap");
        self.native(path, &self.amazon_roots)
    }

    /// A function of the floor that trusts what the system does.
    pub(crate) fn floor_with_system_roots(&self, function: &str) -> Program {
        let path = self.options.floor.join(function).join("bootstrap");
        self.native(path, &self.system_roots)
    }

    /// A handler in Node.
    pub(crate) fn node(&self, handler: &str) -> Program {
        let home = self.options.peers.join("node");
        let client = home.join("node_modules/aws-lambda-ric/bin/index.mjs");
        Program {
            path: "node".into(),
            arguments: vec![client.to_string_lossy().into_owned(), handler.to_owned()],
            directory: home.join("build"),
            environment: self.environment("NODE_EXTRA_CA_CERTS", &self.own_root),
        }
    }

    /// A handler in Python.
    pub(crate) fn python(&self, handler: &str) -> Program {
        Program {
            path: self.options.peers.join("python/bin/python"),
            arguments: ["-m", "awslambdaric", handler].map(str::to_owned).to_vec(),
            directory: Path::new(BENCHES).join("peers/python"),
            environment: self.environment("AWS_CA_BUNDLE", &self.system_roots),
        }
    }

    fn native(&self, path: PathBuf, roots: &Path) -> Program {
        let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
        let environment = self.environment("SSL_CERT_FILE", roots);
        Program { path, arguments: vec![], directory, environment }
    }

    fn environment(&self, trust: &'static str, roots: &Path) -> Vec<(&'static str, String)> {
        let roots = roots.to_string_lossy().into_owned();
        vec![("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb_url.clone()), (trust, roots)]
    }
}

impl Program {
    /// Starts it with the environment that Lambda gives a function.
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
            // As long as a role's usually is, since it goes along with every call.
            .env("AWS_SESSION_TOKEN", "e".repeat(800))
            .env("TABLE_NAME", TABLE);
        Function::start(&mut command, quota).await
    }

    /// The bytes of the program, where it is one file of its own.
    pub(crate) fn size(&self) -> Option<u64> {
        let is_own = self.path.ends_with("bootstrap");
        std::fs::metadata(&self.path).ok().filter(|_| is_own).map(|file| file.len())
    }
}
