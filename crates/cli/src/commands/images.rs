//! `images`: lists images.

mod tree;

use client::{Query, Request};
use serde_json::Value as Json;

use super::shared;
use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::{Flag, Kind, Matches, flag},
    format::{self, Columns},
    human, json, out,
    template::Record,
    times,
};

const FLAGS: &[Flag] = &[
    flag("all", Kind::Bool, "Show intermediate images too").short('a'),
    flag("digests", Kind::Bool, "Show digests"),
    shared::FILTER,
    shared::FORMAT,
    flag("no-trunc", Kind::Bool, "Show all of long texts"),
    flag("quiet", Kind::Bool, "Show ids only").short('q'),
    flag("tree", Kind::Bool, "Show platforms below their images"),
];

pub(super) static COMMAND: Command = Command {
    paths: &["image ls", "image list", "images"],
    usage: "[OPTIONS] [REPOSITORY[:TAG]]",
    about: "List images",
    more: "",
    flags: &[FLAGS],
    args: Args::AtMost(1),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

pub(super) const COLUMNS: Columns = Columns {
    type_name: "*formatter.imageContext",
    headings: &[
        ("Containers", "CONTAINERS"),
        ("CreatedAt", "CREATED AT"),
        ("CreatedSince", "CREATED"),
        ("Digest", "DIGEST"),
        ("ID", "IMAGE ID"),
        ("Repository", "REPOSITORY"),
        ("SharedSize", "SHARED SIZE"),
        ("Size", "SIZE"),
        ("Tag", "TAG"),
        ("UniqueSize", "UNIQUE SIZE"),
        ("VirtualSize", "VIRTUAL SIZE"),
    ],
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let mut given = matches.list("filter").to_vec();
    if let Some(name) = matches.args.first() {
        given.push(format!("reference={name}"));
    }
    let as_tree = matches.on("tree");
    if as_tree {
        refuse_with_tree(matches)?;
    }
    let query = Query::new()
        .with_flag("all", matches.on("all"))
        .with_flag("manifests", as_tree)
        .with_some("filters", shared::filters(&given));
    let list = cli
        .client()?
        .json(Request::get(&["images", "json"]).query(query))
        .await?;
    if as_tree {
        out::print(tree::draw(&list));
        return Ok(0);
    }
    let quiet = matches.on("quiet") && !matches.is_set("format");
    let format = cli.format(matches, "imagesFormat");
    let digests = !quiet && (matches.on("digests") || format.contains("{{.Digest}}"));
    let default = if quiet {
        "{{.ID}}"
    } else if matches.on("digests") {
        "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
    } else {
        "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
    };
    let format = if quiet { default.to_owned() } else { format };
    let rows: Vec<Record> = list
        .as_array()
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .flat_map(|image| rows(image, digests, !matches.on("no-trunc")))
        .collect();
    out::print(format::render(&format, default, COLUMNS, rows)?);
    Ok(0)
}

/// What a tree cannot show.
fn refuse_with_tree(matches: &Matches) -> Result<(), Failure> {
    let asked = [
        ("--quiet", matches.on("quiet")),
        ("--no-trunc", matches.on("no-trunc")),
        ("--show-digest", matches.on("digests")),
        ("--format", matches.is_set("format")),
    ];
    match asked.iter().find(|(_, is_asked)| *is_asked) {
        Some((flag, _)) => Err(Failure::new(format!(
            "{flag} is not yet supported with --tree"
        ))),
        None => Ok(()),
    }
}

/// An image's rows: one for each of its names.
pub(super) fn rows(image: &Json, digests: bool, truncate: bool) -> Vec<Record> {
    names(image, digests)
        .into_iter()
        .map(|(repository, tag, digest)| row(image, &repository, &tag, &digest, truncate))
        .collect()
}

fn names(image: &Json, digests: bool) -> Vec<(String, String, String)> {
    let none = || "<none>".to_owned();
    let texts = |key: &str| -> Vec<String> {
        json::list(image, key)
            .iter()
            .filter_map(Json::as_str)
            .filter(|text| !text.starts_with("<none>"))
            .map(|text| {
                text.strip_prefix("docker.io/library/")
                    .unwrap_or(text)
                    .to_owned()
            })
            .collect()
    };
    let (tags, references) = (texts("RepoTags"), texts("RepoDigests"));
    let mut found = Vec::new();
    let digests_of = |repository: &str| -> Vec<String> {
        references
            .iter()
            .filter_map(|text| text.split_once('@'))
            .filter(|(name, _)| *name == repository)
            .map(|(_, digest)| digest.to_owned())
            .collect()
    };
    for text in &tags {
        let (repository, tag) = shared::split_tag(text);
        let known = digests_of(repository);
        if !digests || known.is_empty() {
            found.push((repository.to_owned(), tag.to_owned(), none()));
        } else {
            for digest in known {
                found.push((repository.to_owned(), tag.to_owned(), digest));
            }
        }
    }
    for (repository, digest) in references.iter().filter_map(|text| text.split_once('@')) {
        let tagged = tags
            .iter()
            .any(|text| shared::split_tag(text).0 == repository);
        if !tagged {
            let digest = if digests { digest.to_owned() } else { none() };
            found.push((repository.to_owned(), none(), digest));
        }
    }
    if found.is_empty() {
        found.push((none(), none(), none()));
    }
    found
}

fn row(image: &Json, repository: &str, tag: &str, digest: &str, truncate: bool) -> Record {
    let id = json::text(image, "Id");
    let created = json::int(image, "Created");
    let size = json::int(image, "Size");
    let shared = json::int(image, "SharedSize");
    let unknown = |number: i64, text: String| if number < 0 { "N/A".to_owned() } else { text };
    let bytes = |number: i64| human::size(number as f64);
    let shared_known = image.get("SharedSize").is_some() && shared >= 0;
    let containers = image.get("Containers").and_then(Json::as_i64).unwrap_or(-1);
    let virtual_size = image
        .get("VirtualSize")
        .and_then(Json::as_i64)
        .unwrap_or(size);
    Record {
        fields: vec![
            (
                "Containers",
                unknown(containers, containers.to_string()).into(),
            ),
            ("CreatedAt", times::go_string(created).into()),
            (
                "CreatedSince",
                if created < -62_135_596_000 {
                    "N/A".into()
                } else {
                    times::ago(created).into()
                },
            ),
            ("Digest", digest.into()),
            (
                "ID",
                if truncate {
                    human::short_id(id)
                } else {
                    id.to_owned()
                }
                .into(),
            ),
            ("Repository", repository.into()),
            (
                "SharedSize",
                if shared_known {
                    bytes(shared)
                } else {
                    "N/A".into()
                }
                .into(),
            ),
            ("Size", human::size_with_precision(size as f64, 3).into()),
            ("Tag", tag.into()),
            (
                "UniqueSize",
                if shared_known {
                    bytes(size - shared)
                } else {
                    "N/A".into()
                }
                .into(),
            ),
            ("VirtualSize", bytes(virtual_size).into()),
        ],
        ..Record::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_image_has_a_row_for_each_name() {
        let image = json!({"RepoTags": ["a:1", "a:2"], "RepoDigests": ["b@sha256:x"]});
        let found = names(&image, true);
        assert_eq!(found.len(), 3);
        assert_eq!(found[2], ("b".into(), "<none>".into(), "sha256:x".into()));
        assert_eq!(names(&json!({}), false)[0].0, "<none>");
    }
}
