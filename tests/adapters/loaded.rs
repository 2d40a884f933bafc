//! Clients as the daemon loads them, over real sockets; and runs in memory that can be repeated.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use lamplighter::cloud::aws::{CallObserver, Settings, load};
use lamplighter::cloud::dynamodb::{Tables, create_tables};
use lamplighter::cloud::probe::HttpProber;
use lamplighter::cloud::{Cloud, Error};
use lamplighter::model::blueprint::BuildKind;
use lamplighter::model::name::ClusterName;
use lamplighter::model::observed::Observed;
use simcloud::{FaultPlan, SimCloud, SimConfig};
use tokio::net::TcpListener;

use crate::support::{CLUSTER, Calls, PROJECT, blueprint, id, intent, memory, operation, world_with};

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

#[tokio::test]
async fn loaded_clients_reach_every_service_at_its_endpoint() {
    let cloud_of = || {
        let sim = SimCloud::new(SimConfig::default());
        sim.create_project(PROJECT, CLUSTER);
        sim
    };
    // DynamoDB is elsewhere, as it is for `lamplighter dev`.
    let (aws, tables) = (cloud_of(), cloud_of());
    let mut urls = Vec::new();
    for sim in [&aws, &tables] {
        let (listener, url) = listen().await;
        urls.push(url);
        let sim = sim.clone();
        tokio::spawn(async move { sim.serve(listener, std::future::pending::<()>()).await });
    }
    let settings = Settings {
        region: Some("eu-central-1".to_owned()),
        endpoint_url: Some(urls[0].clone()),
        dynamodb_endpoint_url: Some(urls[1].clone()),
        made_up_credentials: true,
    };
    let calls = Arc::new(Calls::default());
    let observer: Arc<dyn CallObserver> = Arc::clone(&calls) as _;
    let clients = load(&settings, observer).await;
    create_tables(&clients, &Tables::default()).await.unwrap();
    let cloud = Cloud::on_aws(&clients, Tables::default(), Arc::new(HttpProber::new().unwrap()));
    cloud.state.write(&intent(memory("a1", 1, 1), 1)).await.unwrap();
    let request = blueprint(&id("a1"), "a1.example.com").request(BuildKind::Apply, &operation(1));
    let build = cloud.builds.start(&request).await.unwrap();
    assert!(
        cloud.builds.look(std::slice::from_ref(&build)).await[&build]
            .present()
            .is_some()
    );
    assert_eq!(cloud.services.list(&ClusterName::new(CLUSTER)).await.unwrap(), []);
    assert_eq!(cloud.routes.group_with_targets("gone").await, Observed::Absent);
    let told = aws.world().calls();
    assert!(told.contains_key("codebuild.StartBuild"), "{told:?}");
    assert!(!told.keys().any(|call| call.starts_with("dynamodb.")), "{told:?}");
    assert!(
        tables
            .world()
            .calls()
            .keys()
            .all(|call| call.starts_with("dynamodb."))
    );
    assert!(calls.take().iter().all(|call| call.attempts == 1));
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_unavailable() {
    let (listener, url) = listen().await;
    drop(listener);
    let settings = Settings {
        region: Some("eu-central-1".to_owned()),
        endpoint_url: Some(url),
        made_up_credentials: true,
        ..Settings::default()
    };
    let calls = Arc::new(Calls::default());
    let observer: Arc<dyn CallObserver> = Arc::clone(&calls) as _;
    let clients = load(&settings, observer).await;
    let error = create_tables(&clients, &Tables::default()).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(error.chain().contains("Connection refused"), "{}", error.chain());
    let call = calls.take().remove(0);
    assert_eq!((call.outcome, call.attempts), ("unavailable", 3));
}

/// Everything that can be seen of one run in bad weather.
async fn run(seed: u64) -> String {
    let world = world_with(|config| config.seed = seed).await;
    world
        .sim
        .faults()
        .set(FaultPlan::storm(seed).rate(0.4, simcloud::Fault::Throttle));
    let began = tokio::time::Instant::now();
    let mut told = String::new();
    for n in 0..40_u8 {
        let app = format!("a{n}");
        let mut intent = intent(memory(&app, 1, n), n);
        intent.take.truncate(1);
        writeln!(told, "{:?}", world.cloud.state.write(&intent).await.is_ok()).unwrap();
        let request =
            blueprint(&id(&app), &format!("{app}.example.com")).request(BuildKind::Apply, &operation(n));
        let build = world.cloud.builds.start(&request).await;
        writeln!(told, "{:?}", build.map_err(|error| error.chain())).unwrap();
        tokio::time::sleep(Duration::from_secs(7)).await;
    }
    writeln!(told, "{:?} {:?}", began.elapsed(), world.calls.take()).unwrap();
    told.push_str(&world.sim.world().log().join("\n"));
    told
}

#[test]
fn one_seed_gives_one_run() {
    let run = |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run(seed))
    };
    let first = run(7);
    assert!(
        first.contains("throttled") && first.contains("attempts: 3"),
        "the weather was too good"
    );
    assert_eq!(first, run(7));
    assert_ne!(first, run(8));
}
