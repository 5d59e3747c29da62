//! Containers as the API speaks of them.

pub mod archive;
pub mod changes;
pub mod config;
pub mod create;
pub mod host_config;
pub mod inspect;
pub mod list;
pub mod mount;
pub mod prune;
pub mod stats;
pub mod top;
pub mod update;
pub mod wait;

pub use archive::PathStat;
pub use changes::{Change, ChangeKind};
pub use config::{ContainerConfig, HealthConfig};
pub use create::{CreateRequest, CreateResponse};
pub use host_config::{
    DeviceMapping, DeviceRequest, HostConfig, LogConfig, PortBinding, Resources, RestartPolicy,
    ThrottleDevice, Ulimit, WeightDevice,
};
pub use inspect::{ContainerInspect, ContainerState, GraphDriver, Health, HealthResult};
pub use list::{ContainerSummary, Port};
pub use mount::{Mount, MountPoint};
pub use prune::ContainersPruned;
pub use stats::Stats;
pub use top::Top;
pub use update::{UpdateRequest, UpdateResponse};
pub use wait::{WaitError, WaitResponse};
