//! The probe of one server elsewhere, by gRPC health: steady while it is up, with growing pauses
//! while it is down, at once when a call gave reason to doubt.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::pool::Member;
use super::transport::Transport;

/// The pause between probes of a server that is up.
const STEADY_PAUSE: Duration = Duration::from_secs(1);
/// The first and the longest pause between probes of a server that is down.
const DOWN_PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));
/// How long a probe may take.
const PROBE_LIMIT: Duration = Duration::from_secs(1);

pub(super) async fn watch_over(member: Arc<Member>, transport: Transport, end: CancellationToken) {
    end.run_until_cancelled(probe_for_ever(&member, transport)).await;
}

async fn probe_for_ever(member: &Member, transport: Transport) {
    let mut down_pause = DOWN_PAUSES.0;
    loop {
        let probed = timeout(PROBE_LIMIT, is_serving(transport.clone())).await;
        if matches!(probed, Ok(Ok(()))) {
            member.set_up(true);
            down_pause = DOWN_PAUSES.0;
            // A doubt is looked into soon, but not in a busy loop.
            tokio::select! {
                () = sleep(STEADY_PAUSE) => {}
                () = member.doubt.notified() => sleep(DOWN_PAUSES.0).await,
            }
        } else {
            member.set_up(false);
            sleep(down_pause).await;
            down_pause = (down_pause * 2).min(DOWN_PAUSES.1);
        }
    }
}

/// Asks a server whether it serves; says why if it does not.
pub(super) async fn is_serving(transport: Transport) -> Result<(), String> {
    let request = HealthCheckRequest { service: String::new() };
    match HealthClient::new(transport).check(request).await {
        Ok(response) if response.get_ref().status() == ServingStatus::Serving => Ok(()),
        Ok(_) => Err("the server says that it does not serve".to_owned()),
        Err(_) => Err("the server cannot be reached".to_owned()),
    }
}
