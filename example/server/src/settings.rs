//! The settings, as flags and as the guide's environment variables. What they are used for is elsewhere.

use clap::Parser;
use clap::builder::NonEmptyStringValueParser;
use secrecy::SecretString;
use url::Url;

/// The example server of the guide: confirms sign-ups and lets a signed-in user add a passkey.
///
/// Every setting is a flag and an environment variable; a file `.env` in this folder or above sets variables too.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Settings {
    /// Port to listen on, on the loopback interface.
    #[arg(long, env = "PORT", default_value_t = 8080)]
    pub port: u16,

    /// Region of the user pool, such as us-east-1.
    #[arg(long, env = "AWS_COGNITO_REGION", value_parser = NonEmptyStringValueParser::new())]
    pub region: String,

    /// Id of the user pool, such as us-east-1_a1B2c3D4e.
    #[arg(long, env = "AWS_COGNITO_USER_POOL_ID", value_parser = NonEmptyStringValueParser::new())]
    pub user_pool_id: String,

    /// Id of the app client whose access tokens are accepted.
    #[arg(long, env = "AWS_COGNITO_APP_CLIENT_ID", value_parser = NonEmptyStringValueParser::new())]
    pub app_client_id: String,

    /// Id of an access key that may confirm, read and update users of the pool.
    #[arg(long, env = "AWS_ACCESS_KEY_ID", value_parser = NonEmptyStringValueParser::new())]
    pub access_key_id: String,

    /// Secret of that access key. Better set as a variable: flags are visible to other users of the machine.
    #[arg(long, env = "AWS_SECRET_ACCESS_KEY", value_parser = secret, hide_env_values = true)]
    pub secret_access_key: SecretString,

    /// Id of the passkey app.
    #[arg(long, env = "PASSAGE_APP_ID", value_parser = NonEmptyStringValueParser::new())]
    pub passage_app_id: String,

    /// API key of the passkey app. Better set as a variable: flags are visible to other users of the machine.
    #[arg(long, env = "PASSAGE_API_KEY", value_parser = secret, hide_env_values = true)]
    pub passage_api_key: SecretString,

    /// Address of the passkey service's API.
    #[arg(long, env = "PASSAGE_BASE_URL", default_value = claviger_flex::DEFAULT_BASE_URL)]
    pub passage_base_url: String,

    /// Address of the user pool's API; without it, the real Amazon Cognito.
    #[arg(long, env = "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER")]
    pub cognito_endpoint: Option<Url>,

    /// Issuer of the user pool's tokens [default: the endpoint with the pool's id, or the real one of Amazon Cognito].
    ///
    /// Needed when the pool writes another issuer than its own address. Its keys are read from the endpoint all the same.
    #[arg(long, env = "COGNITO_ISSUER")]
    cognito_issuer: Option<Url>,

    /// Origin of the web app, the only one whose pages may call this server.
    #[arg(long, env = "WEB_ORIGIN", default_value = "http://localhost:8081")]
    pub web_origin: Url,
}

impl Settings {
    /// What the `iss` claim of the pool's tokens must be, without a slash at the end.
    pub fn issuer(&self) -> String {
        match &self.cognito_issuer {
            Some(issuer) => issuer.as_str().trim_end_matches('/').to_owned(),
            None => self.pool_url(),
        }
    }

    /// Where the pool's public keys are. A server of one's own may write the issuer of the real service, where its keys
    /// are not: so the endpoint, which is trusted with everything else, is asked first.
    pub(crate) fn key_set_url(&self) -> String {
        let base = if self.cognito_endpoint.is_some() {
            self.pool_url()
        } else {
            self.issuer()
        };
        format!("{base}/.well-known/jwks.json")
    }

    fn pool_url(&self) -> String {
        let pool = &self.user_pool_id;
        match &self.cognito_endpoint {
            Some(endpoint) => format!("{}/{pool}", endpoint.as_str().trim_end_matches('/')),
            None => format!("https://cognito-idp.{}.amazonaws.com/{pool}", self.region),
        }
    }
}

fn secret(text: &str) -> Result<SecretString, &'static str> {
    if text.is_empty() {
        Err("a value is required")
    } else {
        Ok(SecretString::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuer_follows_the_pools_place_unless_it_is_named() {
        let real = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc";
        let ours = "http://localhost:8082/eu-west-1_abc";
        let named = "https://id.example.com/pool";
        let cases: [(&[&str], &str, &str); 5] = [
            (&[], real, real),
            (&["--cognito-endpoint", "http://localhost:8082"], ours, ours),
            (
                &["--cognito-endpoint", "http://localhost:8082/"],
                ours,
                ours,
            ),
            (
                &["--cognito-issuer", "https://id.example.com/pool/"],
                named,
                named,
            ),
            (
                &[
                    "--cognito-endpoint",
                    "http://localhost:8082",
                    "--cognito-issuer",
                    real,
                ],
                real,
                ours,
            ),
        ];
        for (flags, issuer, keys) in cases {
            let settings = parse(flags).expect("the flags are right");
            assert_eq!(settings.issuer(), issuer, "{flags:?}");
            assert_eq!(
                settings.key_set_url(),
                format!("{keys}/.well-known/jwks.json"),
                "{flags:?}"
            );
        }
    }

    #[test]
    fn a_setting_that_cannot_be_right_is_refused() {
        for flags in [
            ["--cognito-endpoint", "here"],
            ["--web-origin", "localhost"],
            ["--app-client-id", ""],
            ["--secret-access-key", ""],
        ] {
            assert!(parse(&flags).is_err(), "{flags:?}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let settings = parse(&[]).expect("the flags are right");
        let printed = format!("{settings:?}");
        assert!(printed.contains("AKIA"), "the rest is printed: {printed}");
        assert!(!printed.contains("hush"), "{printed}");
    }

    fn parse(more: &[&str]) -> Result<Settings, clap::Error> {
        let flags = [
            ("--region", "eu-west-1"),
            ("--user-pool-id", "eu-west-1_abc"),
            ("--app-client-id", "client"),
            ("--access-key-id", "AKIA"),
            ("--secret-access-key", "hush-secret"),
            ("--passage-app-id", "app1"),
            ("--passage-api-key", "hush-key"),
        ];
        let given = |name: &str| more.contains(&name);
        let flags = flags
            .into_iter()
            .filter(|(name, _)| !given(name))
            .flat_map(|(name, value)| [name, value]);
        Settings::try_parse_from(
            ["example-server"]
                .into_iter()
                .chain(flags)
                .chain(more.iter().copied()),
        )
    }
}
