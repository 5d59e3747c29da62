//! The engine as a whole: ping, version, info, events, disk usage, log-in.

use api::system::DiskUsage;
use api::volume::VolumeUsage;
use hyper::Method;
use hyper::header::{CACHE_CONTROL, PRAGMA};

use super::container::list::shown_image;
use super::taken_apart;
use crate::call::Call;
use crate::problem::{Problem, Result};
use crate::render::info::Daemon;
use crate::reply::{Left, Lines, Reply};
use crate::{render, when};

/// Answers what belongs to no noun.
pub(crate) async fn route(mut call: Call) -> Result {
    let (method, path) = taken_apart(&mut call);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match (&method, path.as_slice()) {
        (&Method::GET | &Method::HEAD, ["_ping"]) => Ok(ping()),
        (&Method::GET, ["version"]) => Ok(Reply::json(&render::info::version(call.engine.host()))),
        (&Method::GET, ["info"]) => info(&call),
        (&Method::GET, ["events"]) => events(call),
        (&Method::GET, ["system", "df"]) => disk_usage(call).await,
        (&Method::POST, ["auth"]) => auth(),
        (
            _,
            [
                "swarm" | "nodes" | "services" | "tasks" | "secrets" | "configs",
                ..,
            ],
        ) => Err(Problem::new(
            fault::Kind::Unavailable,
            "This node is not a swarm manager, and never will be: this engine serves one host.",
        )),
        (&Method::GET, ["plugins"]) => Ok(Reply::json(&[(); 0])),
        (&Method::GET, ["plugins", name, "json"]) => Err(Problem::new(
            fault::Kind::NotFound,
            format!("plugin {name:?} not found"),
        )),
        (_, ["plugins", ..]) => Err(Problem::unimplemented("managing plugins")),
        (&Method::POST, ["session" | "grpc"]) => Err(Problem::unimplemented("building images")),
        _ => Err(Problem::no_route()),
    }
}

fn ping() -> Reply {
    Reply::text("OK")
        .header(CACHE_CONTROL, "no-cache, no-store, must-revalidate")
        .header(PRAGMA, "no-cache")
        .header_value("swarm", hyper::header::HeaderValue::from_static("inactive"))
}

fn info(call: &Call) -> Result {
    let daemon = Daemon {
        descriptors: std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
        tasks: tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks(),
        limits: cgroup::host()
            .map(cgroup::Host::features)
            .unwrap_or_default(),
        forwards: std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward")
            .is_ok_and(|on| on.trim() == "1"),
        now_unix_nanos: render::now(),
    };
    let engine = &call.engine;
    let counts = engine.counts();
    Ok(Reply::json(&render::info::info(
        engine.id(),
        engine.host(),
        engine.options(),
        &counts,
        &daemon,
    )))
}

/// Log-in needs the registry client; a wrong "Login Succeeded" would be worse than none.
fn auth() -> Result {
    Err(Problem::unimplemented("logging in to registries"))
}

async fn disk_usage(call: Call) -> Result {
    let wanted: Vec<&str> = call.query.all("type").collect();
    let wants = |kind: &str| wanted.is_empty() || wanted.contains(&kind);
    if let Some(other) = wanted.iter().find(|kind| !KINDS.contains(kind)) {
        return Err(Problem::invalid(format!("unknown object type: {other}")));
    }
    let used = call.engine.disk_usage().await?;
    let now = render::now();
    let mut answer = DiskUsage::default();
    if wants("image") {
        answer.layers_size = render::container::bytes(used.images.layers);
        answer.images = used
            .images
            .images
            .iter()
            .map(|used| {
                let mut row = render::image::summary(&used.image, call.version);
                row.shared_size = render::container::bytes(used.shared);
                row.containers =
                    i64::try_from(call.engine.containers_of(&used.image)).unwrap_or(i64::MAX);
                row
            })
            .collect();
    }
    if wants("container") {
        answer.containers = used
            .containers
            .iter()
            .map(|(view, size)| {
                render::container::summary(view, shown_image(&call.engine, view), Some(*size), now)
            })
            .collect();
    }
    if wants("volume") {
        answer.volumes = used
            .volumes
            .iter()
            .map(|(volume, size, users)| {
                let usage = VolumeUsage {
                    ref_count: i64::try_from(*users).unwrap_or(i64::MAX),
                    size: render::container::bytes(*size),
                };
                render::volume::volume(volume, Some(usage))
            })
            .collect();
    }
    Ok(Reply::json(&answer))
}

const KINDS: [&str; 4] = ["container", "image", "volume", "build-cache"];

/// Past events since a time, then those to come until a time or until the client goes.
fn events(call: Call) -> Result {
    let filters = call.query.filters()?;
    filters.require_known(render::event::FILTERS)?;
    let time = |key| {
        call.query
            .text(key)
            .filter(|t| *t != "0")
            .map(|text| when::parse(key, text))
            .transpose()
    };
    let (since, until) = (time("since")?, time("until")?);
    if let (Some(since), Some(until)) = (since, until)
        && since > until
    {
        return Err(Problem::invalid(
            "`since` time cannot be after `until` time",
        ));
    }
    let subscription = call.engine.events().subscribe(since);
    let (lines, reply) = Reply::lines(call.gone());
    tokio::spawn(async move {
        // Err only says that the client left.
        let _ = tell(subscription, until, &filters, &lines).await;
    });
    Ok(reply)
}

async fn tell(
    mut subscription: engine::events::Subscription,
    until: Option<i64>,
    filters: &ids::Filters,
    lines: &Lines,
) -> std::result::Result<(), Left> {
    use tokio::sync::broadcast::error::RecvError;
    let in_time =
        |event: &engine::events::Event| until.is_none_or(|until| event.at_unix_nanos <= until);
    for event in subscription.past.iter().filter(|event| in_time(event)) {
        if render::event::is_wanted(event, filters) {
            lines.send(&render::event::wire(event)).await?;
        }
    }
    let left = until.map(|until| u64::try_from(until - render::now()).unwrap_or(0));
    let deadline = async {
        match left {
            Some(nanos) => tokio::time::sleep(std::time::Duration::from_nanos(nanos)).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(deadline);
    loop {
        let event = tokio::select! {
            event = subscription.present.recv() => event,
            () = &mut deadline => return Ok(()),
            () = lines.left() => return Err(Left),
        };
        match event {
            Ok(event) if render::event::is_wanted(&event, filters) => {
                lines.send(&render::event::wire(&event)).await?;
            }
            Ok(_) => {}
            // A client too slow for the backlog goes on with what is left of it.
            Err(RecvError::Lagged(lost)) => tracing::warn!(lost, "a slow client lost events"),
            Err(RecvError::Closed) => return Ok(()),
        }
    }
}
