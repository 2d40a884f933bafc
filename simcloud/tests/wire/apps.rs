//! The running apps as a browser meets them.

use crate::common::{CLUSTER, HOST, NAME, apply, browse, sim, wait};

#[tokio::test(start_paused = true)]
async fn an_app_answers_once_it_is_up_and_503_before_and_after() {
    let sim = sim().await;
    assert_eq!(browse(&sim.cloud, HOST, "/").await.0, 404);
    sim.build(apply()).await;
    while sim
        .cloud
        .world()
        .service(CLUSTER, NAME)
        .is_none_or(|service| service.running == 0)
    {
        wait(1).await;
    }
    assert_eq!(
        browse(&sim.cloud, HOST, "/").await.0,
        503,
        "the target is not healthy yet"
    );
    wait(180).await;
    let (status, body) = browse(&sim.cloud, &format!("{}:8081", HOST.to_uppercase()), "/").await;
    assert_eq!(status, 200);
    assert!(body.starts_with("<!doctype html>") && body.contains("notebook"));
    assert_eq!(
        browse(&sim.cloud, HOST, "/healthz").await,
        (200, "ok\n".to_owned())
    );
    sim.cloud.world().detach_target_group(NAME);
    assert_eq!(browse(&sim.cloud, HOST, "/").await.0, 503);
    sim.cloud.world().attach_target_group(NAME, "apps");
    wait(60).await;
    sim.cloud.world().http_status(HOST, 502);
    assert_eq!(browse(&sim.cloud, HOST, "/healthz").await.0, 502);
    sim.cloud.world().heal(HOST);
    wait(60).await;
    assert_eq!(browse(&sim.cloud, HOST, "/").await.0, 200);
    sim.cloud.world().set_desired_count(CLUSTER, NAME, 0);
    wait(60).await;
    assert_eq!(browse(&sim.cloud, HOST, "/").await.0, 503);
}

#[tokio::test(start_paused = true)]
async fn what_a_page_prints_is_escaped() {
    let sim = sim().await;
    sim.run(apply().with("APP", "<script>alert('1')</script>")).await;
    wait(180).await;
    let (status, body) = browse(&sim.cloud, HOST, "/a&b\"").await;
    assert_eq!(status, 200);
    assert!(
        !body.contains("<script>") && body.contains("&lt;script&gt;"),
        "{body}"
    );
    assert!(body.contains("/a&amp;b&quot;"), "{body}");
}
