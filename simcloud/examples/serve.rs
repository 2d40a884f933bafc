//! The simulated cloud on a port, for the AWS CLI, other SDKs and a browser:
//! `cargo run -p simcloud --example serve -- 127.0.0.1:8081 60`, where 60 is the speed. Ctrl-C ends it.

use simcloud::{SimCloud, SimConfig};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8081".to_owned());
    let speed = arguments
        .next()
        .and_then(|speed| speed.parse().ok())
        .unwrap_or(60.0);
    let listener = tokio::net::TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let cloud = SimCloud::new(SimConfig {
        speed,
        app_port: Some(address.port()),
        ..SimConfig::default()
    });
    cloud.create_project("childapp", "apps");
    #[allow(clippy::print_stdout)] // An example talks to the person who started it.
    {
        println!("AWS_ENDPOINT_URL=http://{address}");
        println!(
            "apps answer at {} once they run",
            cloud.app_url("HOST_NAME.localhost")
        );
    }
    cloud.serve(listener, tokio::signal::ctrl_c()).await
}
