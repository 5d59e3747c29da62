//! An image made of what a container has changed.

use std::io;
use std::sync::Arc;

use api::container::ContainerConfig;
use oci::Reference;

use super::changes;
use crate::blocking;
use crate::engine::{Engine, Shared};
use crate::error::{Error, Result};

/// A container to be made into an image.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// The container.
    pub container: String,
    /// The image's name; `None` leaves it nameless.
    pub reference: Option<Reference>,
    /// Who made it.
    pub author: String,
    /// The message.
    pub comment: String,
    /// Dockerfile instructions for its config.
    pub changes: Vec<String>,
    /// Replaces the container's config, field by field where set.
    pub config: Option<ContainerConfig>,
    /// Freeze the container meanwhile.
    pub pause: bool,
}

impl Engine {
    /// Makes an image of what a container has changed; gives its id.
    ///
    /// # Errors
    /// No such container; a bad instruction.
    pub async fn commit(&self, commit: Commit) -> Result<String> {
        let view = self.container(&commit.container)?;
        let frozen = commit.pause && matches!(view.record.state, lifecycle::State::Running { .. });
        if frozen {
            self.pause(&view.record.id).await?;
        }
        let (shared, record) = (self.shared.clone(), view.record.clone());
        let made =
            blocking::run("commit", move || commit_container(&shared, &record, commit)).await;
        if frozen {
            self.unpause(&view.record.id).await?;
        }
        made
    }
}

fn commit_container(
    shared: &Arc<Shared>,
    record: &crate::container::Record,
    commit: Commit,
) -> Result<String> {
    use std::os::fd::AsFd;
    let config = over(commit.config.as_ref(), &record.config);
    let command: Vec<&str> = [&record.config.entrypoint, &record.config.cmd]
        .into_iter()
        .flatten()
        .flat_map(|w| w.iter().map(String::as_str))
        .collect();
    let make = ::image::Commit {
        parent: Some(
            record
                .image_id
                .parse()
                .map_err(|_| Error::NotFound(format!("No such image: {}", record.image_id)))?,
        ),
        execution: execution(&config),
        changes: changes(&commit.changes)?,
        author: commit.author,
        comment: commit.comment,
        created_by: command.join(" "),
        reference: commit.reference.map(Reference::or_latest),
    };
    let upper = shared.snapshots.open_upper(&record.id)?;
    let id = shared.images.commit(&make, &mut |to| {
        archive::pack_overlay_diff(upper.as_fd(), &archive::PackOptions::default(), to)
            .map(drop)
            .map_err(|e| io::Error::other(fault::chain(&e)))
    })?;
    let id = id.to_string();
    let name = make
        .reference
        .as_ref()
        .map_or_else(String::new, Reference::familiar);
    if !name.is_empty() {
        let named = [("name".to_owned(), name.clone())];
        shared.tell("image", "tag", &id, named.into());
    }
    shared.tell_of(
        record,
        "commit",
        [
            ("comment", make.comment.clone()),
            ("imageID", id.clone()),
            ("imageRef", name),
        ],
    );
    shared.flush_images_later();
    Ok(id)
}

/// The container's config with what the caller set in its place.
fn over(asked: Option<&ContainerConfig>, own: &ContainerConfig) -> ContainerConfig {
    let mut config = own.clone();
    let Some(asked) = asked else { return config };
    let nothing = ContainerConfig::default();
    macro_rules! take {
        ($($field:ident),*) => {$(
            if asked.$field != nothing.$field {
                config.$field = asked.$field.clone();
            }
        )*};
    }
    take!(
        user,
        exposed_ports,
        cmd,
        healthcheck,
        volumes,
        working_dir,
        entrypoint,
        on_build,
        stop_signal,
        stop_timeout,
        shell
    );
    let name = |v: &String| {
        v.split_once('=')
            .map_or(v.clone(), |(name, _)| name.to_owned())
    };
    let set: Vec<String> = asked.env.iter().map(name).collect();
    config.env.retain(|v| !set.contains(&name(v)));
    config.env.extend(asked.env.iter().cloned());
    config.labels.extend(asked.labels.clone());
    config
}

/// What a container runs with, as an image's config.
fn execution(config: &ContainerConfig) -> oci::image::Execution {
    oci::image::Execution {
        user: config.user.clone(),
        exposed_ports: config.exposed_ports.keys().cloned().collect(),
        env: config.env.clone(),
        entrypoint: config.entrypoint.as_ref().map(|w| w.to_vec()),
        cmd: config.cmd.as_ref().map(|w| w.to_vec()),
        healthcheck: config
            .healthcheck
            .as_ref()
            .map(|h| oci::image::Healthcheck {
                test: h.test.clone(),
                interval: h.interval,
                timeout: h.timeout,
                start_period: h.start_period,
                start_interval: h.start_interval,
                retries: h.retries,
            }),
        volumes: config.volumes.keys().cloned().collect(),
        working_dir: config.working_dir.clone(),
        on_build: config.on_build.clone(),
        labels: config.labels.clone(),
        stop_signal: config.stop_signal.clone(),
        stop_timeout: config.stop_timeout,
        shell: config.shell.as_ref().map(|w| w.to_vec()),
        ..oci::image::Execution::default()
    }
}
