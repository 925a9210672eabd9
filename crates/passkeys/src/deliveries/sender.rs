//! One attempt: a signed request, and what its response means.

use std::{error::Error, fmt, net::SocketAddr, sync::Arc};

use platform::Fault;
use reqwest::{
    Client, Response, StatusCode,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{CONTENT_TYPE, RETRY_AFTER},
    redirect::Policy,
};

use super::{Attempt, DeliveryError, DeliverySettings, Outcome, retry};
use crate::webhooks::{address, signature};

/// Sends messages. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    client: Client,
    private_addresses: bool,
}

impl Sender {
    pub(super) fn new(settings: DeliverySettings) -> Result<Sender, Fault> {
        let mut builder = Client::builder()
            .user_agent(concat!("Claviger/", env!("CARGO_PKG_VERSION")))
            .timeout(settings.timeout)
            // A redirect could lead to where the URL must not, and would have the
            // message signed for somebody else.
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            // A proxy would resolve names itself, past the rule for addresses.
            .no_proxy();
        if !settings.private_addresses {
            builder = builder.https_only(true).dns_resolver(Arc::new(PublicOnly));
        }
        Ok(Sender {
            client: builder
                .build()
                .map_err(|error| Fault::while_doing("preparing to call webhooks", error))?,
            private_addresses: settings.private_addresses,
        })
    }

    /// Makes the attempt, which is over when the settings' time-out is.
    pub(super) async fn send(&self, attempt: &Attempt, now_ms: i64) -> Outcome {
        let failed = |error| Outcome::Failed {
            error,
            status: None,
            retry_after_ms: None,
        };
        // The settings may have changed since the URL was taken, and an address in
        // the URL itself is never resolved.
        let url = match address::parse(&attempt.url) {
            Ok(url) if self.private_addresses || address::check_public(&url).is_ok() => url,
            _ => return failed(DeliveryError::AddressNotAllowed),
        };
        let id = attempt.id.as_str();
        let timestamp_s = now_ms.div_euclid(1_000);
        let sent = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp_s)
            .header(
                "webhook-signature",
                signature::header(&attempt.keys, id, timestamp_s, &attempt.payload),
            )
            .body(attempt.payload.clone())
            .send()
            .await;
        match sent {
            Ok(response) => {
                let outcome = judge(&response, now_ms);
                drain(response).await;
                outcome
            }
            Err(error) => failed(class(&error)),
        }
    }
}

fn judge(response: &Response, now_ms: i64) -> Outcome {
    let status = response.status();
    if status.is_success() {
        return Outcome::Delivered(status.as_u16());
    }
    if status == StatusCode::GONE {
        return Outcome::Gone;
    }
    let retry_after = response.headers().get(RETRY_AFTER);
    Outcome::Failed {
        error: DeliveryError::StatusNotOk,
        status: Some(status.as_u16()),
        retry_after_ms: retry_after
            .and_then(|header| header.to_str().ok())
            .and_then(|header| retry::retry_after_ms(header, now_ms)),
    }
}

/// Reads a short body to its end, so that the connection can be used again. What
/// it says is not kept, and a long or slow one is cut off.
async fn drain(mut response: Response) {
    let mut seen = 0;
    while seen < BODY_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(piece)) => seen += piece.len(),
            Ok(None) | Err(_) => return,
        }
    }
}

fn class(error: &reqwest::Error) -> DeliveryError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<NoPublicAddress>() {
            return DeliveryError::AddressNotAllowed;
        }
        cause = error.source();
    }
    if error.is_timeout() {
        DeliveryError::TimedOut
    } else {
        DeliveryError::ConnectionFailed
    }
}

/// Resolves names by the operating system and leaves out every address that is
/// not public. What it gives is what is connected to, so that a name cannot lead
/// elsewhere between the look and the connection.
#[derive(Debug)]
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0))
                .await?
                .filter(|address| address::is_public(address.ip()))
                .collect();
            if addresses.is_empty() {
                return Err(NoPublicAddress.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// A name has addresses, or none, but no public one.
#[derive(Debug)]
struct NoPublicAddress;

impl fmt::Display for NoPublicAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name leads to no public address")
    }
}

impl Error for NoPublicAddress {}

const BODY_BYTES_MAX: usize = 4 * 1_024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;

    /// What becomes of a request to a name that leads to this machine, where somebody listens.
    async fn call_localhost(settings: DeliverySettings) -> (DeliveryError, bool) {
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let url = format!(
            "https://localhost:{}/",
            listener.local_addr().unwrap().port()
        );
        // Past the look at the URL, which would refuse this name already.
        let client = Sender::new(settings).unwrap().client;
        let calling = async { class(&client.post(url).send().await.unwrap_err()) };
        let accepting = async {
            let connection = listener.accept().await.unwrap();
            drop(connection);
        };
        tokio::pin!(calling);
        tokio::select! {
            biased;
            () = accepting => (calling.await, true),
            error = &mut calling => (error, false),
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_to_a_private_address_is_not_connected_to() {
        let strict = DeliverySettings::default();
        assert_eq!(
            call_localhost(strict).await,
            (DeliveryError::AddressNotAllowed, false)
        );
        let open = DeliverySettings {
            private_addresses: true,
            timeout: Duration::from_secs(15),
        };
        assert_eq!(
            call_localhost(open).await,
            (DeliveryError::ConnectionFailed, true)
        );
    }
}
