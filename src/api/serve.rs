//! Listens on both ports, and stops: no new connection, then what is in hand ends, then the deadline.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower_service::Service as _;

use super::access::Ends;
use super::{ApiState, admin, public};

/// More connections than that wait in the kernel. A portal keeps a few dozen.
const CONNECTIONS_MAX: usize = 512;
/// Also how long a connection may stay idle.
const HEADERS_PATIENCE: Duration = Duration::from_secs(30);
/// After an error of `accept`, which is mostly a lack of file descriptors: others have to close first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves both ports until `shutdown`, then ends within `grace`: idle connections close at once, those with
/// an answer under way close after it, and what is left at the deadline is cut.
pub async fn serve(
    public_port: TcpListener,
    admin_port: TcpListener,
    state: ApiState,
    shutdown: impl Future<Output = ()>,
    grace: Duration,
) -> io::Result<()> {
    let own = (public_port.local_addr()?, admin_port.local_addr()?);
    let (stop, stopped) = watch::channel(());
    let feed = state.handle.feed();
    let public = port(public_port, own.0, public(state.clone()), stopped.clone(), grace);
    let admin = port(admin_port, own.1, admin(state), stopped, grace);
    let stopping = async move {
        shutdown.await;
        // Those who watch would be in hand for ever; they are told that this is the end.
        feed.close();
        drop(stop);
    };
    tokio::join!(public, admin, stopping);
    Ok(())
}

async fn port(
    listener: TcpListener,
    own: SocketAddr,
    router: Router,
    mut stopped: watch::Receiver<()>,
    grace: Duration,
) {
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            // The sender is dropped to stop, and never sends.
            _ = stopped.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(stream, Ends { peer, own }, router.clone(), graceful.watcher()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = tokio::time::sleep(grace) => {
            tracing::warn!(port = own.port(), left = connections.len(), "connections were cut at the deadline");
        }
    }
    connections.shutdown().await;
}

async fn connection(
    stream: TcpStream,
    ends: Ends,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) {
    // A small answer should not wait for the acknowledgement of the one before it.
    let _ = stream.set_nodelay(true);
    // HTTP/1 only: without TLS hardly a client speaks HTTP/2, and telling the two apart waits without limit
    // for the first bytes of a connection.
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_PATIENCE);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ends);
        let answer = router.clone().call(request);
        async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    let served = watcher
        .watch(
            builder
                .serve_connection(TokioIo::new(stream), service)
                .into_owned(),
        )
        .await;
    if let Err(error) = served {
        tracing::debug!(error, "a connection ended early");
    }
}
