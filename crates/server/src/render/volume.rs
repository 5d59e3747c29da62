//! Volumes as the API shows them.

use api::volume::{Volume as Wire, VolumeUsage};
use engine::volume::Volume;

/// One volume; `usage` in `system df` only.
pub(crate) fn volume(volume: &Volume, usage: Option<VolumeUsage>) -> Wire {
    let second = 1_000_000_000;
    Wire {
        // Docker tells whole seconds here.
        created_at: crate::when::rfc3339(volume.created_unix_nanos.div_euclid(second) * second),
        driver: volume.driver.clone(),
        labels: volume.labels.clone(),
        mountpoint: volume.mountpoint.display().to_string(),
        name: volume.name.to_string(),
        options: volume.options.clone(),
        scope: "local".into(),
        usage_data: usage,
        ..Wire::default()
    }
}
