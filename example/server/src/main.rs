//! The program: settings in, listener up, and down again on Ctrl-C or a termination signal.

use std::error::Error;
use std::io::IsTerminal;
use std::net::Ipv4Addr;

use clap::Parser;
use example_server::{Settings, router};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

fn main() -> Result<(), Box<dyn Error>> {
    // Before any thread exists, for it changes the process's environment.
    match dotenvy::dotenv() {
        Ok(_) => {}
        Err(error) if error.not_found() => {}
        Err(error) => return Err(format!("the file .env cannot be read: {error}").into()),
    }
    let settings = Settings::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stdout().is_terminal())
        .init();
    tokio::runtime::Runtime::new()?.block_on(serve(settings))
}

async fn serve(settings: Settings) -> Result<(), Box<dyn Error>> {
    let router = router(&settings)?;
    let port = settings.port;
    // Loopback only: it confirms the sign-up of whoever asks.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|error| {
            format!("cannot listen on port {port}: {error}. Set PORT to another one.")
        })?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    };
    let address = listener.local_addr()?;
    tracing::info!(issuer = settings.issuer(), web_origin = %settings.web_origin, "listening on http://{address}");
    axum::serve(listener, router)
        .with_graceful_shutdown(stop)
        .await?;
    Ok(())
}
