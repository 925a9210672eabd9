//! Starts the whole system: the same door for `serve`, `dev` and every test.

use std::{io, net::SocketAddr, path::Path, time::Duration};

use accounts::{Accounts, SignaturePolicy};
use functions::Functions;
use passkeys::{DeliverySettings, Passkeys};
use platform::{Fault, Platform};
use pools::UserPools;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    config::{CodeDelivery, Config, Issuer},
    proxies::TrustedProxies,
    routes,
};

/// How often expired rows are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How long requests under way may take to end after a stop was asked for.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// The handles of all products over one platform.
#[derive(Clone)]
pub struct Products {
    /// Organizations and access keys.
    pub accounts: Accounts,
    /// The Passkey Flex service.
    pub passkeys: Passkeys,
    /// The Cognito-compatible user pools.
    pub pools: UserPools,
    /// The Lambda-compatible function runner.
    pub functions: Functions,
    /// Whose word about callers' addresses is taken.
    pub trusted_proxies: TrustedProxies,
}

impl Products {
    /// Puts the products together as the settings say. The function runner takes its folder here,
    /// which one server at a time may have, and ends what an earlier server left running in it.
    pub fn new(
        config: &Config,
        platform: &Platform,
        signatures: SignaturePolicy,
    ) -> Result<Products, Fault> {
        let accounts = Accounts::new(platform.clone(), signatures);
        let authenticators = config
            .read_authenticators()
            .map_err(|error| Fault::while_doing("reading the settings", error))?;
        let passkeys = Passkeys::new(platform.clone())
            .with_public_url(&config.public_url())
            .with_delivery_settings(DeliverySettings {
                private_addresses: config.webhook_private_addresses.unwrap_or(false),
                ..DeliverySettings::default()
            })
            .with_rate_limits(&config.rate_limits)
            .with_authenticators(authenticators);
        // What `dev` makes functions of; it may have moved since they were made.
        let program = std::env::current_exe().ok();
        let functions = Functions::new(
            platform.clone(),
            accounts.clone(),
            functions::Settings {
                public_url: config.public_url(),
                region: config.region.clone(),
                environment: function_environment(config, program.as_deref()),
                programs: program.into_iter().collect(),
                work_dir: config.data_dir.join("functions"),
                node: config.node.clone(),
                instances_max: config.instances_max,
            },
        )?;
        let pools = UserPools::new(
            platform.clone(),
            accounts.clone(),
            functions.clone(),
            pools::Settings {
                public_url: config.public_url(),
                issuer: match config.issuer {
                    Issuer::Server => pools::IssuerForm::Server,
                    Issuer::Aws => pools::IssuerForm::Aws,
                },
                region: config.region.clone(),
                delivery: match config.code_delivery {
                    CodeDelivery::Log => pools::Delivery::Log,
                    CodeDelivery::None => pools::Delivery::None,
                },
                enforce_function_permissions: config.enforce_function_permissions,
            },
        );
        Ok(Products {
            accounts,
            passkeys,
            pools,
            functions,
            trusted_proxies: config.trusted_proxies.clone().unwrap_or_default(),
        })
    }
}

/// What every function finds in its environment unless its own configuration
/// says otherwise, so that an unmodified bundle reaches this server. The
/// passkey service's address is known here only: no product knows another's.
fn function_environment(config: &Config, program: Option<&Path>) -> Vec<(String, String)> {
    let flex = format!("{}/v1", config.public_url());
    let mut environment = vec![("PASSAGE_BASE_URL".to_owned(), flex)];
    if let Some(program) = program {
        let program = program.to_string_lossy().into_owned();
        environment.push(("CLAVIGER_PROGRAM".to_owned(), program));
    }
    environment
}

/// A server at work.
pub struct Running {
    /// Where it listens; the port is known even if 0 was asked for.
    pub address: SocketAddr,
    products: Products,
    stop: watch::Sender<bool>,
    server: JoinHandle<io::Result<()>>,
    courier: JoinHandle<()>,
    sweeper: JoinHandle<()>,
}

/// Serves `products` on `listener` until [`Running::stop`].
pub fn start(
    products: Products,
    platform: &Platform,
    listener: TcpListener,
) -> io::Result<Running> {
    let address = listener.local_addr()?;
    let (stop, mut stopping) = watch::channel(false);
    let router = routes::router(&products, platform.db.clone());
    let server = tokio::spawn(async move {
        axum::serve(
            listener,
            router.into_make_service_with_connect_info::<SocketAddr>(),
        )
        .with_graceful_shutdown(async move {
            // An error means that nobody can ask any more, which asks for the same.
            let _ = stopping.wait_for(|stop| *stop).await;
        })
        .await
    });
    let passkeys = products.passkeys.clone();
    let mut stopping = stop.subscribe();
    let courier = tokio::spawn(async move {
        let stopped = async {
            let _ = stopping.wait_for(|stop| *stop).await;
        };
        passkeys.deliver_webhooks(stopped).await;
    });
    let sweeper = tokio::spawn(sweep_for_ever(products.clone()));
    Ok(Running {
        address,
        products,
        stop,
        server,
        courier,
        sweeper,
    })
}

impl Running {
    /// Stops: no new requests, a while for those under way and for webhooks that are being
    /// called, then the functions' processes.
    pub async fn stop(self) {
        self.sweeper.abort();
        let _ = self.stop.send(true);
        let aborts = [self.server.abort_handle(), self.courier.abort_handle()];
        let ending = async {
            // How they ended does not matter any more.
            let _ = self.server.await;
            let _ = self.courier.await;
        };
        if tokio::time::timeout(STOP_WITHIN, ending).await.is_err() {
            for abort in aborts {
                abort.abort();
            }
        }
        self.products.functions.shutdown().await;
    }
}

/// Removes expired rows now and then. They are refused long before: this only saves space.
async fn sweep_for_ever(products: Products) {
    let mut interval = tokio::time::interval(SWEEP_EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        for outcome in [
            products.passkeys.sweep().await.map(drop),
            products.pools.sweep().await,
        ] {
            if let Err(fault) = outcome {
                tracing::error!(%fault, "expired rows could not be removed");
            }
        }
    }
}
