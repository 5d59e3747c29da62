//! `GET /containers/{id}/stats`.

use std::sync::Arc;
use std::time::Duration;

use engine::Engine;
use tokio::time::{MissedTickBehavior, interval};

use crate::call::Call;
use crate::problem::Result;
use crate::render::stats::stats as render;
use crate::reply::{Left, Lines, Reply};

/// Time between two readings.
const PERIOD: Duration = Duration::from_secs(1);

/// One reading, or one every second.
pub(super) async fn stats(call: Call, id: &str) -> Result {
    let view = call.engine.container(id)?;
    let id = view.record.id.clone();
    if call.query.flag_or("stream", true) {
        let (lines, reply) = Reply::lines(call.gone());
        tokio::spawn(async move {
            // Err only says that the client left.
            let _ = tell(call.engine, id, &lines).await;
        });
        return Ok(reply);
    }
    // Without a reading before there is no CPU use to compute.
    let before = match call.query.flag("one-shot") || !view.record.state.is_running() {
        true => None,
        false => {
            let before = call.engine.sample(&id).await?;
            tokio::time::sleep(PERIOD).await;
            Some(before)
        }
    };
    let now = call.engine.sample(&id).await?;
    Ok(Reply::json(&render(
        &id,
        &view.record.name,
        &now,
        before.as_ref(),
    )))
}

/// A reading every second until the client leaves or the container is removed.
async fn tell(engine: Arc<Engine>, id: String, lines: &Lines) -> std::result::Result<(), Left> {
    let mut clock = interval(PERIOD);
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut before = None;
    loop {
        tokio::select! {
            _ = clock.tick() => {}
            () = lines.left() => return Err(Left),
        }
        let (Ok(view), Ok(now)) = (engine.container(&id), engine.sample(&id).await) else {
            return Ok(());
        };
        lines
            .send(&render(&id, &view.record.name, &now, before.as_ref()))
            .await?;
        before = Some(now);
    }
}
