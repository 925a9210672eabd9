//! Pure: the runtimes that exist, which of them run here, and the variables a function finds in
//! its environment (lambda.md §4, §7.2).

use std::{collections::BTreeMap, fmt, path::Path};

use crate::{Refusal, names};

/// How the code of a function is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    /// By the host's Node.js and our bootstrap; the major version is the one asked for.
    Node(u32),
    /// By the package's own `bootstrap` executable.
    Provided,
}

/// What the API model lists and what cannot be created anymore; a name outside is a typing error.
const KNOWN: &[&str] = &[
    "nodejs18.x",
    "nodejs20.x",
    "nodejs22.x",
    "nodejs24.x",
    "nodejs26.x",
    "provided",
    "provided.al2",
    "provided.al2023",
    "python3.8",
    "python3.9",
    "python3.10",
    "python3.11",
    "python3.12",
    "python3.13",
    "python3.14",
    "python3.15",
    "java8.al2",
    "java11",
    "java17",
    "java21",
    "java25",
    "dotnet6",
    "dotnet8",
    "dotnet10",
    "ruby3.2",
    "ruby3.3",
    "ruby3.4",
    "ruby4.0",
    "nodejs",
    "nodejs4.3",
    "nodejs6.10",
    "nodejs8.10",
    "nodejs10.x",
    "nodejs12.x",
    "nodejs14.x",
    "nodejs16.x",
    "python2.7",
    "python3.6",
    "python3.7",
    "java8",
    "dotnetcore1.0",
    "dotnetcore2.0",
    "dotnetcore2.1",
    "dotnetcore3.1",
    "go1.x",
    "ruby2.5",
    "ruby2.7",
];

impl Runtime {
    /// The runtime of this name, if it runs here.
    pub(crate) fn find(name: &str) -> Option<Runtime> {
        match name {
            "nodejs18.x" => Some(Runtime::Node(18)),
            "nodejs20.x" => Some(Runtime::Node(20)),
            "nodejs22.x" => Some(Runtime::Node(22)),
            "nodejs24.x" => Some(Runtime::Node(24)),
            "nodejs26.x" => Some(Runtime::Node(26)),
            "provided" | "provided.al2" | "provided.al2023" => Some(Runtime::Provided),
            _ => None,
        }
    }

    /// The runtime of this name, or why a function cannot have it.
    pub(crate) fn parse(name: &str) -> Result<Runtime, Refusal> {
        Runtime::find(name).ok_or_else(|| {
            Refusal::InvalidParameter(if KNOWN.contains(&name) {
                format!(
                    "The runtime {name} does not run on this server. Runtimes that do: \
                     nodejs18.x, nodejs20.x, nodejs22.x, nodejs24.x, nodejs26.x, provided.al2023, \
                     provided.al2, provided."
                )
            } else {
                format!(
                    "Value {name} at 'runtime' failed to satisfy constraint: Member must satisfy \
                     enum value set: [{}] or be a valid ARN",
                    KNOWN.join(", ")
                )
            })
        })
    }
}

/// All names and values together.
const ENVIRONMENT_BYTES_MAX: usize = 4096;

/// The variables that a function's owner has given it. They are secrets: sealed at rest, and never
/// part of a `Debug` text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// These variables, not checked yet: creating and updating a function does that.
    pub fn new(variables: BTreeMap<String, String>) -> Environment {
        Environment(variables)
    }

    /// Refuses names that cannot be used, reserved names, and more than 4096 bytes (lambda.md §4).
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let variables = &self.0;
        if let Some(name) = variables.keys().find(|name| !is_variable_name(name)) {
            return Err(Refusal::InvalidParameter(format!(
                "1 validation error detected: Value at 'environment.variables' failed to satisfy \
                 constraint: Map keys must satisfy constraint: [Member must satisfy regular \
                 expression pattern: [a-zA-Z]([a-zA-Z0-9_])+] ({name:?})"
            )));
        }
        if let Some((name, _)) = variables.iter().find(|(_, value)| value.contains('\0')) {
            return Err(Refusal::InvalidParameter(format!(
                "The value of the environment variable {name} holds a NUL character."
            )));
        }
        let reserved: Vec<&str> = variables
            .keys()
            .map(String::as_str)
            .filter(|name| is_reserved(name))
            .collect();
        if !reserved.is_empty() {
            return Err(Refusal::InvalidParameter(format!(
                "Lambda was unable to configure your environment variables because the \
                 environment variables you have provided contains reserved keys that are \
                 currently not supported for modification. Reserved keys used in this request: {}",
                reserved.join(", ")
            )));
        }
        let size_bytes: usize = variables
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if size_bytes > ENVIRONMENT_BYTES_MAX {
            return Err(Refusal::InvalidParameter(
                "Lambda was unable to configure your environment variables because the \
                 environment variables you have provided exceeded the 4KB limit."
                    .into(),
            ));
        }
        Ok(())
    }

    /// Names and values.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.0.len())
    }
}

fn is_variable_name(name: &str) -> bool {
    name.len() >= 2
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        || is_reserved(name)
}

fn is_reserved(name: &str) -> bool {
    matches!(
        name,
        "_HANDLER"
            | "_X_AMZN_TRACE_ID"
            | "AWS_DEFAULT_REGION"
            | "AWS_REGION"
            | "AWS_EXECUTION_ENV"
            | "AWS_ACCESS_KEY"
            | "AWS_ACCESS_KEY_ID"
            | "AWS_SECRET_ACCESS_KEY"
            | "AWS_SESSION_TOKEN"
            | "LAMBDA_TASK_ROOT"
            | "LAMBDA_RUNTIME_DIR"
    ) || name.starts_with("AWS_LAMBDA_")
}

/// What the environment of an instance is made of.
pub(crate) struct InstanceFacts<'a> {
    pub(crate) runtime: Runtime,
    pub(crate) runtime_name: &'a str,
    pub(crate) function_name: &'a str,
    pub(crate) handler: &'a str,
    pub(crate) memory_mb: i64,
    pub(crate) log_group: &'a str,
    pub(crate) log_stream: &'a str,
    pub(crate) region: &'a str,
    pub(crate) runtime_api: &'a str,
    pub(crate) task_root: &'a Path,
    pub(crate) runtime_dir: &'a Path,
    pub(crate) temporary_dir: &'a Path,
    pub(crate) public_url: &'a str,
    pub(crate) access_key_id: &'a str,
    pub(crate) secret_access_key: &'a str,
    /// For every function, unless its own configuration sets them.
    pub(crate) defaults: &'a [(String, String)],
    pub(crate) own: &'a Environment,
}

/// The whole environment of an instance: nothing is inherited from the server.
///
/// There is no `AWS_SESSION_TOKEN`: the key pair is a lasting one, and clients sign without a
/// token when there is none. `TMPDIR` stands in for a private `/tmp`, which an unprivileged process
/// cannot be given.
pub(crate) fn environment(facts: &InstanceFacts<'_>) -> BTreeMap<String, String> {
    let task_root = facts.task_root.display();
    let runtime_dir = facts.runtime_dir.display();
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |name: &str, value: String| {
        all.insert(name.to_owned(), value);
    };
    set(
        "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER",
        facts.public_url.to_owned(),
    );
    set("AWS_ENDPOINT_URL_LAMBDA", facts.public_url.to_owned());
    set("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin".into());
    set(
        "LD_LIBRARY_PATH",
        format!("{task_root}:{task_root}/lib:/opt/lib"),
    );
    set("LANG", "en_US.UTF-8".into());
    set("TZ", ":UTC".into());
    set("TMPDIR", facts.temporary_dir.display().to_string());
    set("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR".into());
    if let Runtime::Node(major) = facts.runtime {
        set(
            "NODE_PATH",
            format!(
                "/opt/nodejs/node{major}/node_modules:/opt/nodejs/node_modules:\
                 {runtime_dir}/node_modules"
            ),
        );
    }
    for (name, value) in facts.defaults {
        set(name, value.clone());
    }
    for (name, value) in facts.own.variables() {
        set(name, value.clone());
    }
    // Last, so that nothing above can stand in for them.
    set("_HANDLER", facts.handler.to_owned());
    set("LAMBDA_TASK_ROOT", task_root.to_string());
    set("LAMBDA_RUNTIME_DIR", runtime_dir.to_string());
    set("AWS_LAMBDA_RUNTIME_API", facts.runtime_api.to_owned());
    set("AWS_LAMBDA_FUNCTION_NAME", facts.function_name.to_owned());
    set("AWS_LAMBDA_FUNCTION_VERSION", names::LATEST.into());
    set(
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        facts.memory_mb.to_string(),
    );
    set("AWS_LAMBDA_LOG_GROUP_NAME", facts.log_group.to_owned());
    set("AWS_LAMBDA_LOG_STREAM_NAME", facts.log_stream.to_owned());
    set("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".into());
    set("AWS_REGION", facts.region.to_owned());
    set("AWS_DEFAULT_REGION", facts.region.to_owned());
    set("AWS_ACCESS_KEY_ID", facts.access_key_id.to_owned());
    set("AWS_SECRET_ACCESS_KEY", facts.secret_access_key.to_owned());
    if let Runtime::Node(_) = facts.runtime {
        set(
            "AWS_EXECUTION_ENV",
            format!("AWS_Lambda_{}", facts.runtime_name),
        );
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn runtimes_run_are_known_or_are_typing_errors() {
        assert_eq!(Runtime::parse("nodejs20.x"), Ok(Runtime::Node(20)));
        assert_eq!(Runtime::parse("provided.al2023"), Ok(Runtime::Provided));
        let elsewhere = Runtime::parse("python3.12").unwrap_err().to_string();
        assert!(elsewhere.contains("python3.12 does not run") && elsewhere.contains("nodejs20.x"));
        let unknown = Runtime::parse("nodejs20").unwrap_err().to_string();
        assert!(unknown.starts_with(
            "Value nodejs20 at 'runtime' failed to satisfy constraint: Member must satisfy enum \
             value set: ["
        ));
    }

    #[test]
    fn an_environment_is_refused_for_its_names_and_size() {
        for (pairs, expected) in [
            (vec![("API_KEY", "secret"), ("Z9", "")], None),
            (vec![("A", "x")], Some("regular expression")),
            (vec![("9A", "x")], Some("regular expression")),
            (vec![("A-B", "x")], Some("regular expression")),
            (vec![("A_B", "a\0b")], Some("NUL")),
            (
                vec![("AWS_LAMBDA_X", "x"), ("AWS_REGION", "x"), ("OK", "x")],
                Some("Reserved keys used in this request: AWS_LAMBDA_X, AWS_REGION"),
            ),
            (
                vec![("_HANDLER", "x")],
                Some("Reserved keys used in this request: _HANDLER"),
            ),
            (vec![("LONG", &"x".repeat(4093))], Some("4KB")),
            (vec![("LONG", &"x".repeat(4092))], None),
        ] {
            let refused = Environment::new(variables(&pairs)).check().err();
            match expected {
                None => assert_eq!(refused, None, "{pairs:?}"),
                Some(part) => assert!(
                    refused
                        .as_ref()
                        .is_some_and(|no| no.to_string().contains(part)),
                    "{pairs:?}: {refused:?}"
                ),
            }
        }
    }

    #[test]
    fn a_debug_text_holds_no_value() {
        let environment = Environment::new(variables(&[("API_KEY", "s3cret")]));
        assert_eq!(format!("{environment:?}"), "Environment(1 variables)");
    }

    #[test]
    fn own_variables_win_over_defaults_and_never_over_reserved_ones() {
        let own = Environment(variables(&[
            ("BASE_URL", "own"),
            ("_HANDLER", "stolen"),
            ("AWS_ENDPOINT_URL_LAMBDA", "http://own"),
        ]));
        let defaults = [
            ("BASE_URL".to_owned(), "default".to_owned()),
            ("OTHER".to_owned(), "default".to_owned()),
        ];
        let all = environment(&InstanceFacts {
            runtime: Runtime::Provided,
            runtime_name: "provided.al2023",
            function_name: "fn",
            handler: "index.handler",
            memory_mb: 128,
            log_group: "/aws/lambda/fn",
            log_stream: "s",
            region: "us-east-1",
            runtime_api: "127.0.0.1:1",
            task_root: Path::new("/task"),
            runtime_dir: Path::new("/runtime"),
            temporary_dir: Path::new("/temporary"),
            public_url: "http://server",
            access_key_id: "AKIA",
            secret_access_key: "s",
            defaults: &defaults,
            own: &own,
        });
        assert_eq!(all["BASE_URL"], "own");
        assert_eq!(all["OTHER"], "default");
        assert_eq!(all["_HANDLER"], "index.handler");
        assert_eq!(all["AWS_ENDPOINT_URL_LAMBDA"], "http://own");
        assert_eq!(
            all["AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER"],
            "http://server"
        );
        assert!(!all.contains_key("AWS_EXECUTION_ENV"));
    }
}
