//! Images: what faces may ask of them. The store knows images; here it learns which containers use them.

use std::io::{self, Read};
use std::sync::Arc;

use api::container::ContainerConfig;
use oci::{Platform, Reference};
use tokio::sync::mpsc;

use crate::blocking;
use crate::container::Pruned;
use crate::engine::{Engine, Shared};
use crate::error::{Error, Result};
use crate::prune::Until;
use crate::stream::{Chunks, outward};

pub use ::image::{HistoryEntry, Image, LoadEvent, RemoveOptions, Removed, SaveFormat};

/// Events of a load that may wait for a slow client.
const BACKLOG: usize = 64;

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

/// Which images a list shows.
#[derive(Debug, Clone, Default)]
pub struct ImageQuery {
    /// Also those that only others are made of.
    pub all: bool,
    /// Docker's filters.
    pub filters: ids::Filters,
}

/// An image to be made of a file system.
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// Dockerfile instructions for its config.
    pub changes: Vec<String>,
    /// The message of its history.
    pub message: String,
    /// Its name.
    pub reference: Option<Reference>,
    /// `os/arch`, when it is not for this machine.
    pub platform: Option<Platform>,
}

impl Engine {
    /// The image that a name, digest or id prefix means.
    ///
    /// # Errors
    /// No such image.
    pub fn image(&self, text: &str) -> Result<Arc<Image>> {
        Ok(self.shared.images.resolve(text)?)
    }

    /// The images that a query asks for, newest first.
    ///
    /// # Errors
    /// An unknown filter, or one that names what is not there.
    pub fn images(&self, query: &ImageQuery) -> Result<Vec<Arc<Image>>> {
        const KNOWN: [&str; 8] = [
            "before",
            "dangling",
            "id",
            "label",
            "label!",
            "reference",
            "since",
            "until",
        ];
        let filters = &query.filters;
        filters
            .require_known(&KNOWN)
            .map_err(|e| Error::Invalid(e.to_string()))?;
        let edge = |key: &str| -> Result<Option<jiff::Timestamp>> {
            filters
                .get(key)
                .next()
                .map_or(Ok(None), |name| Ok(self.image(name)?.created()))
        };
        let (before, since) = (edge("before")?, edge("since")?);
        let until = Until::parse(filters, self.shared.now())?.timestamp();
        let dangling = match filters.contains("dangling") {
            true => Some(
                filters
                    .flag("dangling", true)
                    .map_err(|e| Error::Invalid(e.to_string()))?,
            ),
            false => None,
        };
        let mut list = self.shared.images.list();
        list.retain(|image| {
            let created = image.created().unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            let labels: ids::Labels = image.config.config.labels.clone().into_iter().collect();
            (query.all || !image.is_dangling() || self.shared.images.children(&image.id).is_empty())
                && dangling.is_none_or(|want| image.is_dangling() == want)
                && before.is_none_or(|edge| created < edge)
                && since.is_none_or(|edge| created > edge)
                && until.is_none_or(|edge| created < edge)
                && filters.matches_labels("label", &labels)
                && filters.lacks_labels("label!", &labels)
                && filters.matches_any("id", |id| {
                    image.id.to_string().starts_with(id) || image.id.short().starts_with(id)
                })
                && filters.matches_any("reference", |pattern| {
                    image.tags.iter().any(|tag| matches_reference(pattern, tag))
                })
        });
        list.sort_by(|a, b| b.created().cmp(&a.created()).then_with(|| a.id.cmp(&b.id)));
        Ok(list)
    }

    /// The tags of an image that a query's `reference` filters want; all when it has none.
    #[must_use]
    pub fn tags_shown(&self, image: &Image, query: &ImageQuery) -> Vec<String> {
        let wanted = |tag: &&Reference| {
            query
                .filters
                .matches_any("reference", |pattern| matches_reference(pattern, tag))
        };
        image
            .tags
            .iter()
            .filter(wanted)
            .map(Reference::familiar)
            .collect()
    }

    /// How an image came to be, newest first.
    ///
    /// # Errors
    /// No such image.
    pub fn image_history(&self, text: &str) -> Result<Vec<HistoryEntry>> {
        let image = self.image(text)?;
        Ok(self.shared.images.history(&image))
    }

    /// The number of containers that are made from an image.
    #[must_use]
    pub fn containers_of(&self, image: &Image) -> usize {
        self.shared.uses(&image.id.to_string()).len()
    }

    /// Loads an archive; the receiver gets what happens, then an error or the end.
    pub fn load(
        &self,
        archive: impl Read + Send + 'static,
        platform: Option<Platform>,
    ) -> mpsc::Receiver<Result<LoadEvent>> {
        let (to, from) = mpsc::channel(BACKLOG);
        let shared = self.shared.clone();
        tokio::task::spawn_blocking(move || {
            let options = ::image::LoadOptions { platform };
            let mut listen = |event: LoadEvent| {
                if let LoadEvent::Loaded { image, name } = &event {
                    let name = name.clone().unwrap_or_else(|| image.to_string());
                    shared.tell(
                        "image",
                        "load",
                        &image.to_string(),
                        [("name".to_owned(), name)].into(),
                    );
                }
                let _ = to.blocking_send(Ok(event));
            };
            match shared.images.load(archive, &options, &mut listen) {
                Ok(_) => shared.flush_images_later(),
                Err(error) => drop(to.blocking_send(Err(error.into()))),
            }
        });
        from
    }

    /// Images as one archive.
    ///
    /// # Errors
    /// One of them is not there.
    pub fn save(&self, names: Vec<String>, format: SaveFormat) -> Result<Chunks> {
        for name in &names {
            // Known missing before the first byte, so that a client gets an error and not half an archive.
            if let Err(error) = self.image(name)
                && self.repository_is_empty(name)
            {
                return Err(error);
            }
        }
        for image in names.iter().filter_map(|name| self.image(name).ok()) {
            let id = image.id.to_string();
            let name = [("name".to_owned(), id.clone())];
            self.shared.tell("image", "save", &id, name.into());
        }
        let (mut writer, chunks) = outward();
        let images = self.shared.images.clone();
        tokio::task::spawn_blocking(move || match images.save(&names, format, &mut writer) {
            Ok(()) => drop(writer),
            Err(error) => writer.fail(io::Error::other(fault::chain(&error))),
        });
        Ok(chunks)
    }

    fn repository_is_empty(&self, name: &str) -> bool {
        let Ok(reference) = name.parse::<Reference>() else {
            return true;
        };
        !self.shared.images.list().iter().any(|i| {
            i.tags
                .iter()
                .any(|t| t.repository() == reference.repository())
        })
    }

    /// Makes an image of a file system; gives its id.
    ///
    /// # Errors
    /// A bad instruction; an archive that is refused. Nothing is left then.
    pub async fn import(&self, tar: impl Read + Send + 'static, import: Import) -> Result<String> {
        let import = ::image::Import {
            changes: changes(&import.changes)?,
            message: import.message,
            reference: import.reference.map(Reference::or_latest),
            platform: import.platform,
        };
        let shared = self.shared.clone();
        blocking::run("import", move || {
            let id = shared.images.import(tar, &import)?.to_string();
            let name = import
                .reference
                .map_or_else(|| id.clone(), |r| r.familiar());
            shared.tell("image", "import", &id, [("name".to_owned(), name)].into());
            shared.flush_images_later();
            Ok(id)
        })
        .await
    }

    /// Gives an image one more name.
    ///
    /// # Errors
    /// No such image.
    pub async fn tag(&self, text: &str, reference: Reference) -> Result<()> {
        let (image, shared) = (self.image(text)?, self.shared.clone());
        blocking::run("tag", move || {
            let reference = reference.or_latest();
            shared.images.tag(&image.id, &reference)?;
            let name = [("name".to_owned(), reference.familiar())];
            shared.tell("image", "tag", &image.id.to_string(), name.into());
            Ok(())
        })
        .await
    }

    /// Removes a name, and the image with its last one.
    ///
    /// # Errors
    /// No such image; containers or other names stand against it.
    pub async fn remove_image(&self, text: &str, options: RemoveOptions) -> Result<Vec<Removed>> {
        let (text, shared) = (text.to_owned(), self.shared.clone());
        blocking::run("image removal", move || {
            let removed = shared
                .images
                .remove(&text, options, &|id| shared.uses(&id.to_string()))?;
            shared.tell_removed(&removed);
            Ok(removed)
        })
        .await
    }

    /// Removes images that nothing needs: nameless ones, or (`dangling=false`) all.
    ///
    /// # Errors
    /// An unknown filter.
    pub async fn prune_images(&self, filters: &ids::Filters) -> Result<(Vec<Removed>, u64)> {
        filters
            .require_known(&["dangling", "label", "label!", "until"])
            .map_err(|e| Error::Invalid(e.to_string()))?;
        let label = |key: &str, is_negated: bool| -> Vec<::image::LabelFilter> {
            let split = |text: &str| match text.split_once('=') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                None => (text.to_owned(), None),
            };
            let filter = |(key, value)| ::image::LabelFilter {
                key,
                value,
                is_negated,
            };
            filters.get(key).map(split).map(filter).collect()
        };
        let mut labels = label("label", false);
        labels.extend(label("label!", true));
        let filter = ::image::PruneFilter {
            dangling_only: filters
                .flag("dangling", true)
                .map_err(|e| Error::Invalid(e.to_string()))?,
            until: Until::parse(filters, self.shared.now())?.timestamp(),
            labels,
        };
        let shared = self.shared.clone();
        blocking::run("image prune", move || {
            let pruned = shared
                .images
                .prune(&filter, &|id| shared.uses(&id.to_string()))?;
            shared.tell_removed(&pruned.removed);
            Ok((pruned.removed, pruned.reclaimed))
        })
        .await
    }

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

/// Whether all the instructions are ones that an image's config can take.
///
/// # Errors
/// The first that is not.
pub fn check_changes(lines: &[String]) -> Result<()> {
    changes(lines).map(drop)
}

fn changes(lines: &[String]) -> Result<Vec<::image::Change>> {
    lines
        .iter()
        .map(|line| {
            line.parse()
                .map_err(|e: <::image::Change as std::str::FromStr>::Err| {
                    Error::Invalid(e.to_string())
                })
        })
        .collect()
}

/// A `reference=` pattern (`busy*`, `*/*:latest`) against a name, with or without its tag.
fn matches_reference(pattern: &str, reference: &Reference) -> bool {
    let (full, bare) = (reference.familiar(), reference.familiar_name());
    glob(pattern.as_bytes(), full.as_bytes()) || glob(pattern.as_bytes(), bare.as_bytes())
}

/// `*` and `?` as in a file name: neither matches a slash.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            glob(rest, text)
                || text
                    .first()
                    .is_some_and(|&b| b != b'/' && glob(pattern, &text[1..]))
        }
        ([b'?', rest @ ..], [b, text @ ..]) if *b != b'/' => glob(rest, text),
        ([p, rest @ ..], [b, text @ ..]) if p == b => glob(rest, text),
        _ => false,
    }
}

impl Shared {
    /// The containers that are made from an image.
    pub(crate) fn uses(&self, image: &str) -> Vec<::image::Use> {
        self.containers
            .all()
            .iter()
            .map(|handle| handle.view().record)
            .filter(|record| record.image_id == image)
            .map(|record| ::image::Use {
                container: record.id[..12].to_owned(),
                is_running: record.state.is_running(),
            })
            .collect()
    }

    fn tell_removed(&self, removed: &[Removed]) {
        for one in removed {
            match one {
                Removed::Untagged { name, image } => {
                    self.tell(
                        "image",
                        "untag",
                        &image.to_string(),
                        [("name".to_owned(), name.clone())].into(),
                    );
                }
                Removed::Image(id) => {
                    self.tell(
                        "image",
                        "delete",
                        &id.to_string(),
                        [("name".to_owned(), id.to_string())].into(),
                    );
                }
                Removed::Layer { .. } => {}
            }
        }
    }

    /// Makes new images safe against a power cut, in the background.
    pub(crate) fn flush_images_later(self: &Arc<Self>) {
        let shared = self.clone();
        let flush = move || {
            if let Err(error) = shared.images.flush() {
                tracing::error!(
                    error = fault::chain(&error),
                    "images are not safe against a power cut yet"
                );
            }
        };
        if std::thread::Builder::new()
            .name("image flush".into())
            .spawn(flush)
            .is_err()
        {
            tracing::warn!("no thread for flushing images");
        }
    }
}

impl From<(Vec<Removed>, u64)> for Pruned {
    fn from((removed, reclaimed): (Vec<Removed>, u64)) -> Self {
        Self {
            removed: removed.iter().map(ToString::to_string).collect(),
            reclaimed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names_with_and_without_tag() {
        let reference: Reference = "busybox:1.36".parse().expect("a reference");
        for pattern in ["busybox", "busy*", "busybox:1*", "*:1.3?"] {
            assert!(matches_reference(pattern, &reference), "{pattern}");
        }
        for pattern in ["box", "*/*", "busybox:2"] {
            assert!(!matches_reference(pattern, &reference), "{pattern}");
        }
    }
}
