//! Changes to a container that stays: its name, its limits.

use super::Actor;
use crate::blocking;
use crate::container::request::Update;
use crate::error::{Error, Result};
use crate::spec::resources;

impl Actor {
    /// Gives the old name.
    pub(super) fn rename(&mut self, name: String) -> Result<String> {
        let name = name.strip_prefix('/').unwrap_or(&name).to_owned();
        if name.is_empty() {
            return Err(Error::Invalid(
                "Neither old nor new names may be empty".into(),
            ));
        }
        if name == self.record.name {
            return Err(Error::Invalid(
                "Renaming a container with the same name as its current name".into(),
            ));
        }
        name.parse::<ids::ContainerName>()
            .map_err(|e| Error::Invalid(e.to_string()))?;
        self.shared.containers.reserve(&name, &self.record.id)?;
        let old = std::mem::replace(&mut self.record.name, name);
        self.publish();
        if let Err(error) = self.record.write(&self.folder()) {
            let new = std::mem::replace(&mut self.record.name, old);
            self.shared.containers.release(&new);
            self.publish();
            return Err(error);
        }
        self.shared.containers.release(&old);
        crate::network::connect::renamed(&self.shared, &self.record);
        self.publish();
        self.tell("rename", [("oldName", format!("/{old}"))]);
        Ok(old)
    }

    /// The kernel is asked first: what it refuses is not written down.
    pub(super) async fn update(&mut self, update: Update) -> Result<Vec<String>> {
        self.permits(lifecycle::Use::Update)?;
        let mut host = self.record.host.clone();
        merge(&mut host.resources, &update.resources);
        if !update.restart_policy.name.is_empty() {
            if host.auto_remove && update.restart_policy.name != "no" {
                return Err(Error::Invalid(
                    "Restart policy cannot be updated because AutoRemove is enabled for the container".into(),
                ));
            }
            crate::container::create::policy_of(&update.restart_policy)?;
            host.restart_policy = update.restart_policy;
        }
        let limits = resources::to_oci(&host.resources)?;
        if self.record.state.is_running() {
            let cgroup = self.shared.cgroup_of(&self.record);
            blocking::run("container update", move || {
                Ok(cgroup::Group::open(&cgroup)?.apply(&limits)?)
            })
            .await?;
        }
        self.record.host = host;
        self.persist();
        self.tell("update", []);
        Ok(Vec::new())
    }
}

/// What the update sets; zero leaves as it is.
fn merge(into: &mut api::container::Resources, from: &api::container::Resources) {
    macro_rules! take {
        ($($field:ident),*) => {$(
            if from.$field != api::container::Resources::default().$field {
                into.$field = from.$field.clone();
            }
        )*};
    }
    if from.nano_cpus != 0 {
        (into.cpu_period, into.cpu_quota) = (0, 0);
    }
    if from.cpu_period != 0 || from.cpu_quota != 0 {
        into.nano_cpus = 0;
    }
    // A new limit without a word on swap keeps Docker's rule of twice the memory only where swap followed memory before.
    if from.memory != 0
        && from.memory_swap == 0
        && into.memory_swap > 0
        && into.memory_swap < from.memory
    {
        into.memory_swap = 0;
    }
    take!(
        cpu_shares,
        memory,
        nano_cpus,
        blkio_weight,
        blkio_weight_device,
        blkio_device_read_bps,
        blkio_device_write_bps,
        blkio_device_read_iops,
        blkio_device_write_iops,
        cpu_period,
        cpu_quota,
        cpu_realtime_period,
        cpu_realtime_runtime,
        cpuset_cpus,
        cpuset_mems,
        memory_reservation,
        memory_swap,
        memory_swappiness,
        oom_kill_disable,
        pids_limit,
        ulimits
    );
}
