//! The client: its settings, and how one request travels. What can be asked is in `auth` and `users`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::{Host, Url};

use crate::auth::Auth;
use crate::error::Error;
use crate::users::User;

/// Where `claviger dev` listens; used unless [`Builder::base_url`] says otherwise.
pub const DEFAULT_BASE_URL: &str = "http://localhost:8082/v1";

/// How long a call may take in all, unless [`Builder::timeout`] says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

const PRODUCT: &str = concat!("claviger-flex-rust ", env!("CARGO_PKG_VERSION"));
const USER_AGENT: &str = concat!("claviger-flex-rust/", env!("CARGO_PKG_VERSION"));

/// A client of the Passkey Flex management API, for one app. Cheap to clone; make one and keep it, so that connections
/// are used again.
#[derive(Debug, Clone)]
pub struct PassageFlex {
    /// Transactions and nonces.
    pub auth: Auth,
    /// Users and their devices.
    pub user: User,
}

impl PassageFlex {
    /// A client of the server at [`DEFAULT_BASE_URL`], with the default time-out.
    ///
    /// Never fails and never sends: what is wrong with the arguments is told by the first call, as
    /// [`Error::InvalidArgument`]. Use [`PassageFlex::builder`] for another server and to be told at once.
    ///
    /// ```
    /// let flex = claviger_flex::PassageFlex::new("<app id>", "<API key>");
    /// ```
    pub fn new(app_id: impl Into<String>, api_key: impl Into<String>) -> Self {
        Self::of(Self::builder(app_id, api_key).client())
    }

    /// Starts a client with settings of its own.
    pub fn builder(app_id: impl Into<String>, api_key: impl Into<String>) -> Builder {
        Builder {
            app_id: app_id.into(),
            api_key: SecretString::from(api_key.into()),
            base_url: DEFAULT_BASE_URL.to_owned(),
            timeout: DEFAULT_TIMEOUT,
        }
    }

    fn of(client: Result<Client, Error>) -> Self {
        let client = client.unwrap_or_else(|error| Client::Unusable {
            reason: error.to_string(),
        });
        let client = Arc::new(client);
        Self {
            auth: Auth::new(client.clone()),
            user: User::new(client),
        }
    }
}

/// Settings of a client. Made by [`PassageFlex::builder`].
///
/// ```
/// use std::time::Duration;
/// use claviger_flex::PassageFlex;
///
/// let flex = PassageFlex::builder("<app id>", "<API key>")
///     .base_url("https://passkeys.example.com/v1")
///     .timeout(Duration::from_secs(3))
///     .build()?;
/// # Ok::<(), claviger_flex::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder {
    app_id: String,
    api_key: SecretString,
    base_url: String,
    timeout: Duration,
}

impl Builder {
    /// Where the API is, version included: `https://host/v1`. The API key travels in every request, so anything but
    /// `localhost` should be `https`.
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = base_url.into();
        self
    }

    /// How long a call may take in all, from looking the host up to the last byte of the answer.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The client.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] if the app id or the API key is empty or cannot be sent, or the base URL is not an
    /// `http` or `https` URL. [`Error::Transport`] if TLS cannot be set up, as on a machine without CA certificates.
    pub fn build(self) -> Result<PassageFlex, Error> {
        Ok(PassageFlex::of(Ok(self.client()?)))
    }

    fn client(&self) -> Result<Client, Error> {
        if self.app_id.is_empty() {
            return Err(Error::InvalidArgument("app_id is required".to_owned()));
        }
        if self.api_key.expose_secret().is_empty() {
            return Err(Error::InvalidArgument("api_key is required".to_owned()));
        }
        let base_url = Url::parse(&self.base_url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| {
                Error::InvalidArgument(format!(
                    "base_url must be an http or https URL, not \"{}\"",
                    self.base_url
                ))
            })?;
        // An app id that no address can hold is told here, not by the first call.
        endpoint(&base_url, &self.app_id, &[])?;

        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {}", self.api_key.expose_secret())).map_err(
                |_| Error::InvalidArgument("api_key has a character no key can have".to_owned()),
            )?;
        authorization.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, authorization);
        headers.insert("passage-version", HeaderValue::from_static(PRODUCT));

        let mut http = reqwest::Client::builder()
            .default_headers(headers)
            .user_agent(USER_AGENT)
            .timeout(self.timeout)
            // The service never redirects; following one would carry the API key to wherever it points.
            .redirect(reqwest::redirect::Policy::none())
            // Making a transaction twice is waste, redeeming a nonce twice fails: a lost answer is the caller's to judge.
            .retry(reqwest::retry::never())
            // Below the idle time-out of common proxies, so that a request is not sent into a closing connection.
            .pool_idle_timeout(Duration::from_secs(20));
        if base_url.scheme() == "http" {
            // Without TLS there is nothing to verify: do not read the system's certificates, nor fail where there are none.
            http = http.tls_certs_only([]);
        }
        if is_loopback(&base_url) {
            // A proxy of the environment cannot reach this machine's own loopback address.
            http = http.no_proxy();
        }
        Ok(Client::Ready {
            http: http.build()?,
            base_url,
            app_id: self.app_id.clone(),
        })
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Sends requests with the app's credentials.
pub(crate) enum Client {
    Ready {
        /// Holds the API key, as a header it marks as sensitive.
        http: reqwest::Client,
        base_url: Url,
        app_id: String,
    },
    /// Made by [`PassageFlex::new`] from arguments that cannot work.
    Unusable { reason: String },
}

impl Client {
    /// Gets `{base_url}/apps/{app_id}/{path}?{query}`.
    pub(crate) async fn get<A: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<A, Error> {
        Answer::of(self.request(Method::GET, path, query)?)
            .await?
            .read()
    }

    /// Posts `request` to `{base_url}/apps/{app_id}/{path}`.
    pub(crate) async fn post<A: DeserializeOwned>(
        &self,
        path: &[&str],
        request: &impl Serialize,
    ) -> Result<A, Error> {
        Answer::of(self.request(Method::POST, path, &[])?.json(request))
            .await?
            .read()
    }

    /// Deletes `{base_url}/apps/{app_id}/{path}`. A success has no body to read.
    pub(crate) async fn delete(&self, path: &[&str]) -> Result<(), Error> {
        Answer::of(self.request(Method::DELETE, path, &[])?).await?;
        Ok(())
    }

    fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<RequestBuilder, Error> {
        match self {
            Client::Ready {
                http,
                base_url,
                app_id,
            } => {
                let mut url = endpoint(base_url, app_id, path)?;
                if !query.is_empty() {
                    url.query_pairs_mut().extend_pairs(query);
                }
                Ok(http.request(method, url))
            }
            Client::Unusable { reason } => Err(Error::InvalidArgument(reason.clone())),
        }
    }
}

/// What the service sent back with a status of success.
struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Answer {
    /// Sends the request and waits for the whole answer; a refusal becomes an error.
    async fn of(request: RequestBuilder) -> Result<Self, Error> {
        let answer = request.send().await?;
        let status = answer.status();
        let retry_after = answer.headers().get(header::RETRY_AFTER).cloned();
        let body = answer.bytes().await?;
        if !status.is_success() {
            let retry_after = retry_after.as_ref().and_then(|value| value.to_str().ok());
            return Err(Error::from_answer(status.as_u16(), retry_after, &body));
        }
        Ok(Self {
            status: status.as_u16(),
            body: body.into(),
        })
    }

    fn read<A: DeserializeOwned>(&self) -> Result<A, Error> {
        serde_json::from_slice(&self.body).map_err(|_| Error::UnexpectedResponse {
            status: self.status,
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Client::Ready {
                base_url, app_id, ..
            } => f
                .debug_struct("Client")
                .field("base_url", &base_url.as_str())
                .field("app_id", app_id)
                .finish_non_exhaustive(),
            Client::Unusable { reason } => {
                f.debug_struct("Client").field("unusable", reason).finish()
            }
        }
    }
}

/// The address of an operation. Whatever the app id, a user's or a device's id holds, it stays one segment of its own and
/// cannot lead to another path.
fn endpoint(base_url: &Url, app_id: &str, path: &[&str]) -> Result<Url, Error> {
    let segments = || ["apps", app_id].into_iter().chain(path.iter().copied());
    segments().try_for_each(segment)?;
    let mut url = base_url.clone();
    if let Ok(mut end) = url.path_segments_mut() {
        end.pop_if_empty().extend(segments());
    }
    Ok(url)
}

/// Refuses `.` and `..`, which cannot be written as a segment at all: URLs resolve or drop them, and then the deletion of
/// device `..` is that of something else.
pub(crate) fn segment(text: &str) -> Result<(), Error> {
    match text {
        "." | ".." => Err(Error::InvalidArgument(format!("\"{text}\" is not an id"))),
        _ => Ok(()),
    }
}

/// The value, unless it is empty. The service would refuse it too; this saves the round trip and names the argument.
pub(crate) fn required(name: &str, value: String) -> Result<String, Error> {
    if value.is_empty() {
        return Err(Error::InvalidArgument(format!("{name} is required")));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_made_of_base_app_and_operation() {
        let cases = [
            (
                "http://localhost:8082/v1",
                "app1",
                "http://localhost:8082/v1/apps/app1/authenticate/verify",
            ),
            (
                "https://example.com/v1/",
                "app1",
                "https://example.com/v1/apps/app1/authenticate/verify",
            ),
            (
                "https://example.com",
                "app1",
                "https://example.com/apps/app1/authenticate/verify",
            ),
            (
                "https://example.com/v1",
                "a/../b?c",
                "https://example.com/v1/apps/a%2F..%2Fb%3Fc/authenticate/verify",
            ),
        ];
        for (base_url, app_id, expected) in cases {
            let base_url = Url::parse(base_url).expect("the table holds URLs");
            let url = endpoint(&base_url, app_id, &["authenticate", "verify"]).expect("an address");
            assert_eq!(url.as_str(), expected);
        }
    }

    #[test]
    fn an_id_that_would_climb_to_another_path_is_refused() {
        let base_url = Url::parse("https://example.com/v1").expect("a URL");
        for dots in [".", ".."] {
            for path in [
                ["users", dots, "devices", "d1"],
                ["users", "u1", "devices", dots],
            ] {
                assert!(matches!(
                    endpoint(&base_url, "app1", &path),
                    Err(Error::InvalidArgument(_))
                ));
            }
            assert!(PassageFlex::builder(dots, "prefix.secret").build().is_err());
        }
        // Written out, a percent sign is encoded again, so this stays the odd id that it is.
        let url = endpoint(&base_url, "app1", &["users", "%2e%2e", "a/.."]).expect("an address");
        assert_eq!(url.path(), "/v1/apps/app1/users/%252e%252e/a%2F..");
    }

    #[test]
    fn settings_that_cannot_work_are_refused_by_build() {
        let key = "prefix.secret";
        let cases = [
            (PassageFlex::builder("", key), "app_id is required"),
            (PassageFlex::builder("app1", ""), "api_key is required"),
            (
                PassageFlex::builder("app1", "line\nbreak"),
                "api_key has a character no key can have",
            ),
            (
                PassageFlex::builder("app1", key).base_url("localhost:8082/v1"),
                "base_url must be an http or https URL, not \"localhost:8082/v1\"",
            ),
            (
                PassageFlex::builder("app1", key).base_url("file:///v1"),
                "base_url must be an http or https URL, not \"file:///v1\"",
            ),
        ];
        for (builder, expected) in cases {
            match builder.build() {
                Err(Error::InvalidArgument(text)) => assert_eq!(text, expected),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn the_api_key_is_never_printed() {
        let builder = PassageFlex::builder("app1", "prefix.secret");
        assert!(
            !format!("{builder:?}").contains("secret."),
            "a builder does not print it"
        );
        assert!(!format!("{builder:?}").contains("prefix"), "nor its prefix");
        let flex = builder.build().expect("the settings are right");
        assert!(
            !format!("{flex:?}").contains("prefix"),
            "a client does not print it"
        );
    }

    #[test]
    fn a_proxy_is_not_asked_for_this_machine() {
        for (url, expected) in [
            ("http://localhost:1/v1", true),
            ("http://app.localhost/v1", true),
            ("http://127.0.0.2/v1", true),
            ("http://[::1]:8082/v1", true),
            ("https://localhost.example.com/v1", false),
            ("http://10.0.0.1/v1", false),
        ] {
            assert_eq!(
                is_loopback(&Url::parse(url).expect("the table holds URLs")),
                expected,
                "{url}"
            );
        }
    }
}
