//! `images --tree`: images with their platforms below them, what each takes on disk, and whether it is in use.

use serde_json::Value as Json;

use crate::{human, json, out};

const EXPERIMENTAL: &str =
    "WARNING: This is an experimental feature. The output may change and shouldn't be depended on.";
const LEGEND: &str = "Info ->  U In Use ";

/// One line of the tree; an image has one more above it for each further name.
struct Line {
    name: String,
    id: String,
    disk_usage: String,
    content_size: String,
    is_used: bool,
}

/// An image and its platforms.
struct Family {
    created: i64,
    more_names: Vec<String>,
    image: Line,
    platforms: Vec<Line>,
}

/// The whole picture; colours only for terminals.
pub(super) fn draw(list: &Json) -> String {
    let list = list.as_array().map_or(&[][..], Vec::as_slice);
    let mut families: Vec<Family> = list.iter().map(family).collect();
    families.sort_by_key(|family| std::cmp::Reverse(family.created));
    let width = families.iter().map(name_width).max().unwrap_or(0).max(5);
    let is_spaced = families.iter().any(|family| !family.platforms.is_empty());
    let mut text = format!("{EXPERIMENTAL}\n{LEGEND:>0$}\n\n", out::width());
    let (bold, plain) = match out::is_terminal(out::Stream::Out) {
        true => ("\x1b[1m", "\x1b[0m"),
        false => ("", ""),
    };
    text.push_str(&format!(
        "{bold}{:<width$}   {:<12}   {:>10}   {:>12}   {:<5}{plain}\n",
        "IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA"
    ));
    for family in &families {
        for name in &family.more_names {
            text.push_str(&format!("{name}\n"));
        }
        push(&mut text, "", &family.image, width);
        for (at, platform) in family.platforms.iter().enumerate() {
            let is_last = at + 1 == family.platforms.len();
            push(
                &mut text,
                if is_last { "└─ " } else { "├─ " },
                platform,
                width,
            );
        }
        if is_spaced {
            text.push('\n');
        }
    }
    text
}

fn push(text: &mut String, branch: &str, line: &Line, width: usize) {
    let name = format!("{branch}{}", line.name);
    text.push_str(&format!(
        "{name:<width$}   {:<12}   {:>10}   {:>12}   {:<5}\n",
        line.id,
        line.disk_usage,
        line.content_size,
        if line.is_used { "U" } else { "" }
    ));
}

/// Docker counts a branch by its bytes, and so leaves room behind the names.
fn name_width(family: &Family) -> usize {
    let names = family.more_names.iter().map(String::len);
    let platforms = family.platforms.iter();
    names
        .chain([family.image.name.len()])
        .chain(platforms.map(|line| line.name.len() + "└─ ".len()))
        .max()
        .unwrap_or(0)
}

fn family(image: &Json) -> Family {
    let manifests = json::list(image, "Manifests");
    let images: Vec<&Json> = manifests
        .iter()
        .filter(|manifest| json::text(manifest, "Kind") == "image")
        .collect();
    let platforms: Vec<Line> = images.iter().map(|manifest| platform(manifest)).collect();
    let content: i64 = images
        .iter()
        .map(|manifest| size(manifest, "Content"))
        .sum();
    let mut names: Vec<String> = json::list(image, "RepoTags")
        .iter()
        .filter_map(Json::as_str)
        .map(str::to_owned)
        .collect();
    let name = names.pop().unwrap_or_else(|| "<untagged>".to_owned());
    Family {
        created: json::int(image, "Created"),
        more_names: names,
        image: Line {
            name,
            id: human::short_id(json::text(image, "Id")),
            disk_usage: bytes(json::int(image, "Size")),
            content_size: bytes(content),
            is_used: json::int(image, "Containers") > 0
                || platforms.iter().any(|line| line.is_used),
        },
        platforms,
    }
}

fn platform(manifest: &Json) -> Line {
    let word = |key: &str| {
        let found = manifest.pointer(&format!("/ImageData/Platform/{key}"));
        found.and_then(Json::as_str).unwrap_or_default().to_owned()
    };
    let words = [word("os"), word("architecture"), word("variant")];
    let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let containers = manifest.pointer("/ImageData/Containers");
    Line {
        name: words.join("/"),
        id: human::short_id(json::text(manifest, "ID")),
        disk_usage: bytes(size(manifest, "Total")),
        content_size: bytes(size(manifest, "Content")),
        is_used: containers
            .and_then(Json::as_array)
            .is_some_and(|ids| !ids.is_empty()),
    }
}

fn size(manifest: &Json, key: &str) -> i64 {
    manifest
        .get("Size")
        .map_or(0, |sizes| json::int(sizes, key))
}

fn bytes(count: i64) -> String {
    human::size_with_precision(count as f64, 3)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn platforms_hang_below_their_image() {
        let part = |digest: &str, arch: &str, containers: &[&str]| {
            json!({"ID": digest, "Kind": "image", "Available": true,
                "Size": {"Content": 1_030_000, "Total": 3_010_000},
                "ImageData": {"Platform": {"os": "linux", "architecture": arch}, "Containers": containers}})
        };
        let list = json!([
            {"Id": "sha256:aaaaaaaaaaaaaaaa", "Created": 1, "Size": 1_980_000, "RepoTags": ["old:1"], "Containers": 0},
            {"Id": "sha256:bbbbbbbbbbbbbbbb", "Created": 2, "Size": 1_980_000, "RepoTags": ["b:2", "multi:1"], "Containers": 0,
             "Manifests": [
                part("sha256:cccccccccccccccc", "amd64", &["x"]),
                {"ID": "sha256:d", "Kind": "attestation", "Size": {"Content": 5, "Total": 5}},
                part("sha256:eeeeeeeeeeeeeeee", "arm64", &[]),
            ]},
        ]);
        let text = draw(&list);
        let lines: Vec<&str> = text.lines().skip(3).collect();
        assert_eq!(
            lines,
            [
                "IMAGE                ID             DISK USAGE   CONTENT SIZE   EXTRA",
                "b:2",
                "multi:1              bbbbbbbbbbbb       1.98MB         2.06MB   U    ",
                "├─ linux/amd64       cccccccccccc       3.01MB         1.03MB   U    ",
                "└─ linux/arm64       eeeeeeeeeeee       3.01MB         1.03MB        ",
                "",
                "old:1                aaaaaaaaaaaa       1.98MB             0B        ",
                "",
            ]
        );
    }
}
