//! Images in and out as archives: `load`, `get`.

use api::image::{Progress, ProgressDetail};
use engine::image::{LoadEvent, SaveFormat};

use crate::body;
use crate::call::Call;
use crate::problem::{Problem, Result};
use crate::render::container::bytes;
use crate::reply::Reply;

/// `POST /images/load`: progress as JSON lines; an error after the first line stands in the stream.
pub(super) async fn load(call: Call) -> Result {
    let quiet = call.query.flag("quiet");
    let platform = match super::make::platform(call.query.text("platform")) {
        Ok(platform) => platform,
        Err(problem) => return Err(body::refuse(call.request.into_body(), problem).await),
    };
    let (lines, reply) = Reply::lines(call.gone());
    let engine = call.engine;
    tokio::spawn(async move {
        let work = |archive| async {
            let mut events = engine.load(archive, platform);
            while let Some(event) = events.recv().await {
                let line = match &event {
                    Ok(event) => line(event, quiet),
                    Err(error) => Some(Progress::failed(fault::chain(error))),
                };
                if let Some(line) = line {
                    // The load goes on without its client: an archive that came whole is worth keeping.
                    let _ = lines.send(&line).await;
                }
            }
        };
        body::feed(call.request.into_body(), work).await;
    });
    Ok(reply)
}

/// What a client is told of an event.
fn line(event: &LoadEvent, quiet: bool) -> Option<Progress> {
    match event {
        LoadEvent::Layer { .. } if quiet => None,
        LoadEvent::Layer { id, current, total } => {
            let short = id.split_once(':').map_or(id.as_str(), |(_, hex)| hex);
            Some(Progress {
                status: event.to_string(),
                id: short.chars().take(12).collect(),
                progress: bar(*current, *total),
                progress_detail: Some(ProgressDetail {
                    current: bytes(*current),
                    total: bytes(*total),
                }),
                ..Progress::default()
            })
        }
        _ => Some(Progress {
            stream: format!("{event}\n"),
            ..Progress::default()
        }),
    }
}

/// Docker's bar: `[=====>     ]  1.2MB/3.4MB`.
fn bar(current: u64, total: u64) -> String {
    const WIDTH: u64 = 50;
    let filled = (current.min(total) * WIDTH)
        .checked_div(total)
        .unwrap_or(WIDTH);
    let filled = usize::try_from(filled).expect("at most 50");
    let rest = 49_usize.saturating_sub(filled);
    let line = "=".repeat(filled);
    format!(
        "[{line}>{}] {:>8}/{}",
        " ".repeat(rest),
        size(current),
        size(total)
    )
}

/// Four digits and a decimal unit.
fn size(count: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut unit = 0;
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    let mut value = count as f64;
    while value >= 1000.0 && unit < UNITS.len() - 1 {
        value /= 1000.0;
        unit += 1;
    }
    let text = match value {
        v if unit == 0 => format!("{v}"),
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    };
    format!("{text}{}", UNITS[unit])
}

/// `GET /images/get?names=…`.
pub(super) async fn save_named(call: Call) -> Result {
    let names: Vec<String> = call.query.all("names").map(str::to_owned).collect();
    if names.is_empty() {
        return Err(Problem::invalid("no image names given"));
    }
    save(call, names).await
}

/// An archive of images. `format=oci` or `format=docker` leaves the other half out.
pub(super) async fn save(call: Call, names: Vec<String>) -> Result {
    let format = match call.query.text("format") {
        None => SaveFormat::Combined,
        Some("docker") => SaveFormat::DockerArchive,
        Some("oci") => SaveFormat::OciArchive,
        Some(other) => return Err(Problem::invalid(format!("unknown save format {other:?}"))),
    };
    let platform = super::platform(&call, 48)?;
    let chunks = call.engine.save(names, platform, format)?;
    Ok(Reply::stream("application/x-tar", chunks, call.gone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_shows_a_bar_and_a_quiet_load_only_the_names() {
        let layer = LoadEvent::Layer {
            id: format!("sha256:{}", "ab".repeat(32)),
            current: 500_000,
            total: 1_000_000,
        };
        let shown = line(&layer, false).expect("not quiet");
        assert_eq!(shown.id, "abababababab");
        assert_eq!(
            shown.progress,
            format!("[{}>{}]    500kB/1.000MB", "=".repeat(25), " ".repeat(24))
        );
        assert_eq!(line(&layer, true), None);
        assert_eq!(bar(7, 7), format!("[{}>]       7B/7B", "=".repeat(50)));
    }
}
