//! Images as `inspect`, the list and the history show them.

use std::collections::BTreeSet;

use api::container::{ContainerConfig, HealthConfig};
use api::image::{
    DeleteItem, Descriptor, HistoryItem, ImageInspect, ImageMetadata, ImageSummary,
    ManifestAttestation, ManifestImage, ManifestImageSize, ManifestSize, ManifestSummary, Platform,
    RootFs,
};
use api::version::ApiVersion;
use api::{Argv, Empty};
use engine::folders::Folders;
use engine::image::{ManifestInfo, ManifestKind};
use image::{HistoryEntry, Image, Removed};
use serde_json::Value;

use super::container::{bytes, graph_driver};
use crate::when::NEVER;

/// One row of the list.
pub(crate) fn summary(image: &Image, version: ApiVersion) -> ImageSummary {
    ImageSummary {
        containers: -1,
        created: image.created().map_or(0, jiff::Timestamp::as_second),
        id: image.id.to_string(),
        labels: image.config.config.labels.clone(),
        parent_id: image.parent().map(ToString::to_string).unwrap_or_default(),
        descriptor: target(image, version),
        manifests: Vec::new(),
        repo_digests: image.repo_digests(),
        repo_tags: image.repo_tags(),
        shared_size: -1,
        size: bytes(image.size()),
        virtual_size: before_44(version, image),
    }
}

/// The manifest or index that the image came with, for clients that know of it.
fn target(image: &Image, version: ApiVersion) -> Option<Descriptor> {
    let target = image.record.target();
    target
        .filter(|_| version >= ApiVersion::v1(48))
        .map(descriptor)
}

/// Until 1.44 the size stood in two places.
fn before_44(version: ApiVersion, image: &Image) -> Option<i64> {
    (version < ApiVersion::v1(44)).then(|| bytes(image.size()))
}

/// Everything about an image, in the words of the given version.
pub(crate) fn inspect(
    image: &Image,
    version: ApiVersion,
    folders: Option<Folders>,
    manifests: Vec<ManifestSummary>,
) -> Value {
    let read = ImageInspect {
        id: image.id.to_string(),
        repo_tags: image.repo_tags(),
        repo_digests: image.repo_digests(),
        parent: image.parent().map(ToString::to_string).unwrap_or_default(),
        comment: image.comment().to_owned(),
        created: image.config.created.clone().unwrap_or_default(),
        docker_version: image
            .config
            .extra
            .get("docker_version")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        author: image.config.author.clone(),
        config: Some(config(image)),
        architecture: image.platform().architecture,
        variant: image.platform().variant.unwrap_or_default(),
        os: image.platform().os,
        os_version: image.config.os_version.clone().unwrap_or_default(),
        size: bytes(image.size()),
        virtual_size: before_44(version, image),
        graph_driver: graph_driver(folders),
        root_fs: RootFs {
            kind: "layers".into(),
            layers: image.diff_ids().iter().map(ToString::to_string).collect(),
        },
        metadata: ImageMetadata {
            last_tag_time: image
                .record
                .last_tagged
                .map_or(NEVER.into(), |at| at.to_string()),
        },
        descriptor: target(image, version),
        manifests,
    };
    let mut json = serde_json::to_value(read).expect("wire types have string keys only");
    let config = &mut json["Config"];
    if version >= ApiVersion::v1(50) {
        drop_absent(config);
    } else if image.config.config.labels.is_empty() {
        config["Labels"] = Value::Null;
    }
    json
}

/// From 1.50 on an image's config has only the fields that images have, and only those that are set.
fn drop_absent(config: &mut Value) {
    const OF_IMAGES: [&str; 14] = [
        "User",
        "ExposedPorts",
        "Env",
        "Entrypoint",
        "Cmd",
        "Volumes",
        "WorkingDir",
        "Labels",
        "StopSignal",
        "ArgsEscaped",
        "Healthcheck",
        "OnBuild",
        "Shell",
        "Memory",
    ];
    let is_set = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    };
    if let Value::Object(fields) = config {
        fields.retain(|name, value| OF_IMAGES.contains(&name.as_str()) && is_set(value));
    }
}

/// An image's config in the shape of a container's.
pub(crate) fn config(image: &Image) -> ContainerConfig {
    let given = &image.config.config;
    let set =
        |names: &BTreeSet<String>| names.iter().map(|name| (name.clone(), Empty {})).collect();
    let argv = |words: &Option<Vec<String>>| words.clone().map(Argv);
    ContainerConfig {
        user: given.user.clone(),
        exposed_ports: set(&given.exposed_ports),
        env: given.env.clone(),
        entrypoint: argv(&given.entrypoint),
        cmd: argv(&given.cmd),
        volumes: set(&given.volumes),
        working_dir: given.working_dir.clone(),
        labels: given.labels.clone(),
        stop_signal: given.stop_signal.clone(),
        healthcheck: given.healthcheck.as_ref().map(|check| HealthConfig {
            test: check.test.clone(),
            interval: check.interval,
            timeout: check.timeout,
            start_period: check.start_period,
            start_interval: check.start_interval,
            retries: check.retries,
        }),
        on_build: given.on_build.clone(),
        shell: argv(&given.shell),
        args_escaped: given.args_escaped,
        stop_timeout: given.stop_timeout,
        ..ContainerConfig::default()
    }
}

/// A descriptor.
pub(crate) fn descriptor(found: &oci::Descriptor) -> Descriptor {
    Descriptor {
        media_type: found.media_type.clone(),
        digest: found.digest.to_string(),
        size: bytes(found.size),
        annotations: found.annotations.clone(),
        platform: found.platform.as_ref().map(platform),
        ..Descriptor::default()
    }
}

fn platform(found: &oci::Platform) -> Platform {
    Platform {
        architecture: found.architecture.clone(),
        os: found.os.clone(),
        os_version: found.os_version.clone().unwrap_or_default(),
        os_features: found.os_features.clone(),
        variant: found.variant.clone().unwrap_or_default(),
    }
}

/// One of the manifests behind an image, with the containers made from it.
pub(crate) fn manifest((info, containers): (ManifestInfo, Vec<String>)) -> ManifestSummary {
    let mut shown = ManifestSummary {
        id: info.descriptor.digest.to_string(),
        descriptor: descriptor(&info.descriptor),
        available: info.is_complete,
        size: ManifestSize {
            content: bytes(info.content_bytes),
            total: bytes(info.content_bytes),
        },
        ..ManifestSummary::default()
    };
    match info.kind {
        ManifestKind::Image {
            platform: found,
            unpacked_bytes,
            ..
        } => {
            shown.kind = "image".into();
            shown.size.total += bytes(unpacked_bytes);
            shown.image_data = Some(ManifestImage {
                platform: platform(&found),
                size: ManifestImageSize {
                    unpacked: bytes(unpacked_bytes),
                },
                containers,
            });
        }
        ManifestKind::Attestation { about } => {
            shown.kind = "attestation".into();
            shown.attestation_data = Some(ManifestAttestation { about });
        }
        ManifestKind::Unknown => shown.kind = "unknown".into(),
    }
    shown
}

/// One step of an image's making.
pub(crate) fn history(step: &HistoryEntry) -> HistoryItem {
    HistoryItem {
        id: step
            .id
            .as_ref()
            .map_or("<missing>".into(), ToString::to_string),
        created: step.created.map_or(0, jiff::Timestamp::as_second),
        created_by: step.created_by.clone(),
        tags: step.tags.clone(),
        size: bytes(step.size),
        comment: step.comment.clone(),
    }
}

/// One thing that went.
pub(crate) fn removed(thing: &Removed) -> DeleteItem {
    let deleted = |what: String| DeleteItem {
        deleted: what,
        ..DeleteItem::default()
    };
    match thing {
        Removed::Untagged { name, .. } => DeleteItem {
            untagged: name.clone(),
            ..DeleteItem::default()
        },
        Removed::Image(id) => deleted(id.to_string()),
        Removed::Layer { chain, .. } => deleted(chain.to_string()),
    }
}

/// Bytes of an image's layers that other images have too.
pub(crate) fn shared(image: &Image, usage: &image::Usage) -> i64 {
    let found = usage.images.iter().find(|used| used.image.id == image.id);
    found.map_or(-1, |used| bytes(used.shared))
}

/// What pruning the build cache removes while there is none.
#[derive(Debug, Default, serde::Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NoBuildCache {
    caches_deleted: Option<()>,
    space_reclaimed: u64,
}
