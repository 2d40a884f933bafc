//! The cloud over TCP, HTTP/1.1 and HTTP/2 on one port: AWS endpoints and running apps alike. A dropped answer
//! closes the connection; nothing is decided here.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;

use crate::cloud::SimCloud;
use crate::wire::answer::{Bytewise, Lost, Reply, page};

/// How long open requests may take to end once the server is told to.
const GRACE: Duration = Duration::from_secs(3);
const LARGEST_BODY: usize = 17 * 1024 * 1024;

impl SimCloud {
    /// Answers on `listener` until `shutdown` resolves; then lets open requests end, for a few seconds.
    pub async fn serve(&self, listener: TcpListener, shutdown: impl Future) -> io::Result<()> {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new());
        builder.http2().timer(TokioTimer::new());
        let graceful = GracefulShutdown::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let stream = tokio::select! {
                biased;
                _ = &mut shutdown => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // Too many open files, or a peer that was gone at once: neither is a reason to end.
                        tracing::warn!(%error, "could not accept a connection");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
            };
            // Small answers must not wait for the peer's acknowledgements.
            let _ = stream.set_nodelay(true);
            let cloud = self.clone();
            let service = service_fn(move |request| {
                let cloud = cloud.clone();
                async move { cloud.answer_http(request).await }
            });
            let connection = builder
                .serve_connection(TokioIo::new(stream), service)
                .into_owned();
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(error, "a connection ended early");
                }
            });
        }
        drop(listener);
        let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
        Ok(())
    }

    /// The error closes the connection without an answer.
    async fn answer_http(&self, request: Request<Incoming>) -> Result<Response<Bytewise>, Lost> {
        let (parts, body) = request.into_parts();
        let reply = match Limited::new(body, LARGEST_BODY).collect().await {
            Ok(body) => self.handle(Request::from_parts(parts, body.to_bytes())).await,
            Err(_) => Reply::Response(page(
                413,
                "text/plain",
                "the body is too large or broke off\n".to_owned(),
            )),
        };
        match reply {
            Reply::Response(response) => Ok(response.map(Bytewise::whole)),
            Reply::Reset(response) => Ok(response.map(|body| Bytewise::half(&body))),
            Reply::Dropped => Err(Lost),
            Reply::Hangs => std::future::pending::<Result<_, Infallible>>()
                .await
                .map_err(|never| match never {}),
        }
    }
}
